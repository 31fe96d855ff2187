"""The commands `show`, `diff` and `envs`: a node as text, two traces compared, and the environments there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.options import OUTPUT, JsonOption
from agentr_tui.cli.rollouts import (
    one_source,
    refuse_rollouts,
)
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError
from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvironmentInfo, broken_entry_points, environments, missing


def show(
    path: Annotated[Path, Parameter(help="Trace, tree file, or rollouts of one task.")],
    node: Annotated[int, Parameter(help="Node id. The default is the root.")] = ROOT,
    /,
    *,
    way: Annotated[
        bool, Parameter(group=OUTPUT, name="--path", help="Print every step from the root to the node.")
    ] = False,
    conversation: Annotated[bool, Parameter(group=OUTPUT, help="Print the whole conversation at the node.")] = False,
    depth: Annotated[int, Parameter(group=OUTPUT, help="Levels of children to list.")] = 2,
) -> int:
    """Print a node with its children, or the path to it, as text."""
    source = one_source(path)
    for warning in source.warnings:
        warn(warning)
    tree = source.tree
    if not 0 <= node < len(tree):
        raise InputError(f"{path}: has no node {node}: 0 to {len(tree) - 1}")
    if conversation:
        for message in tree.conversation(node):
            say(f"{message.role}:")
            for part in message.said.splitlines() or [""]:
                say(f"  {part}")
        return 0
    if way:
        for place, id in enumerate(tree.ancestors(node)[1:], 1):
            step = tree.nodes[id]
            say(f"{place:>4}  node {id}  {step.action}{_by_hand(tree, id)}")
            say(f"      {step.observation}")
        return 0
    pending = [(node, 0)]
    while pending:
        id, level = pending.pop()
        item = tree.nodes[id]
        q = "  –  " if item.q is None else f"{item.q:5.2f}"
        ended = f"  [{item.terminal}]" if item.terminal else ""
        say(f"{id:>6} {item.visits:>5} {q}  {'  ' * level}{item.action}{ended}{_by_hand(tree, id)}")
        if level < depth:
            pending.extend((child, level + 1) for child in reversed(item.children))
    return 0


def _by_hand(tree: SearchTree, id: int) -> str:
    """What a person did to a node."""
    written = f"  [written by {tree.written_by[id]}]" if id in tree.written_by else ""
    return written + ("  [pruned]" if tree.nodes[id].pruned else "")


def diff(
    a: Annotated[Path, Parameter(help="First trace.")],
    b: Annotated[Path, Parameter(help="Second trace.")],
    /,
    *,
    json: JsonOption = False,
) -> int:
    """Compare two traces, without what depends on the machine."""
    refuse_rollouts([a, b], "diff compares traces")
    differences = compare(read_events(a), read_events(b))
    if json:
        emit_json({"a": str(a), "b": str(b), "differences": differences})
        return 0
    for difference in differences:
        say(str(difference))
    say("no differences" if not differences else f"{len(differences)} differences")
    return 0


def envs(*, json: JsonOption = False) -> int:
    """List the environments and what each needs."""
    found: list[EnvironmentInfo] = []
    for info in environments():
        found += [info, *(info.kinds() if info.kinds is not None else ())]
    rows = [
        {
            "name": info.name,
            "scores": list(info.score_range),
            "summary": info.summary,
            "ready": missing(info) is None,
            "missing": missing(info) or "",
        }
        for info in found
    ]
    for info in environments():
        for broken in info.broken_kinds() if info.broken_kinds is not None else ():
            warn(broken)
    for broken in broken_entry_points():
        warn(broken)
    if json:
        emit_json({"environments": rows})
        return 0
    table(
        ["name", "scores", "", "summary"],
        [
            [info.name, "{:g} to {:g}".format(*info.score_range), missing(info) or "ready", info.summary]
            for info in found
        ],
    )
    return 0
