"""Commands that only look: stats, show, diff, envs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.options import OUTPUT, JsonOption, WorkspaceOption
from agentr_tui.cli.rollouts import (
    MapOption,
    MergeOption,
    ReadAsOption,
    RewardOption,
    all_sources,
    one_source,
    options_of,
    parted,
    refuse_rollouts,
)
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError
from engine.base.foreign import real_path
from engine.base.text import many
from engine.explain.forks import ForkOf, fork_line
from engine.explain.forks import forks as forks_of
from engine.trace.diff import compare
from engine.trace.sources import find_sources
from engine.trace.trace_file import read_events
from engine.tree.answer_counts import answer_words, asks_model
from engine.tree.thresholds import Thresholds
from engine.tree.tree import ROOT, SearchTree
from engine.workspace.figures import TraceFigures, cached_figures, figures, total
from engine.workspace.rates import Rate, rates, verified_in
from engine.workspace.workspace import Workspace
from envs.base import EnvironmentInfo, broken_entry_points, environments, missing

MANY = 32
"""Files of a workspace from which on their figures are taken from its index."""


def stats(
    paths: Annotated[
        list[Path], Parameter(help="Traces, tree files, rollouts or folders. Folders are read recursively.")
    ],
    /,
    *,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    merge: MergeOption = "action",
    reward: RewardOption = None,
    forks: Annotated[
        bool,
        Parameter(
            group=OUTPUT, negative="", help="List the steps at which failures leave successes, the surest first."
        ),
    ] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Print figures of traces: nodes, pairs, lessons, what 1,000 calls gave; of rollouts: solved attempts."""
    rows: list[TraceFigures] = []
    answers: list[str] = []
    found_forks: list[list[ForkOf]] = []
    notes: list[str] = []
    broken = BrokenFiles(paths)
    options = options_of(read_as, map_, merge, reward)
    plain, rollouts = parted(paths, options)
    files = find_sources(plain) if plain or not rollouts else []
    indexed = {} if forks else _in_workspace(workspace, files)
    if indexed:
        rows += cached_figures(Workspace(workspace), indexed, lambda path, error: broken.tell(Path(path), error))
    for source in all_sources([path for path in files if path not in indexed], rollouts, options, broken):
        if isinstance(source, TraceFigures):
            rows.append(source)
            found_forks += [[]] if forks else []
            continue
        for warning in source.warnings:
            warn(warning)
        rows.append(figures(source))
        notes += [f"{rows[-1].task}: {note}" for note in source.tree.import_notes]
        if forks:
            started = source.tree.started
            assert started is not None
            found_forks.append(forks_of(source.tree, Thresholds.for_range(started.score_range, None, None)))
        started, counts = source.tree.started, source.tree.answers
        if started is not None and asks_model(started.settings) and (words := answer_words(counts)):
            answers.append(f"{Path(source.path).name}: {counts.answers} answers: {', '.join(words)}")
    summed = total(rows)
    gave = rates(summed, verified_in(Workspace(workspace), rows))
    if json:
        told_rows = [msgspec.to_builtins(row) for row in rows]
        for told_row, ways in zip(told_rows, found_forks, strict=False):
            told_row["forks"] = msgspec.to_builtins(ways)
        emit_json({"traces": told_rows, "total": summed, "rates": gave, **broken.as_json()})
        return broken.code
    head = [
        "trace",
        "env",
        "task",
        "state",
        "nodes",
        "leaves",
        "good",
        "bad",
        "best",
        "depth",
        "pairs",
        "lessons",
        "calls",
        "s",
    ]
    body = [
        [
            Path(row.path).name,
            row.env,
            row.task,
            row.state,
            str(row.nodes),
            str(row.leaves),
            str(row.good),
            str(row.bad),
            "–" if row.best_return is None else f"{row.best_return:g}",
            str(row.max_depth),
            str(row.pairs),
            str(row.lessons),
            str(row.calls),
            "–" if row.seconds is None else f"{row.seconds:.1f}",
        ]
        for row in rows
    ]
    if summed.attempts:
        head += ["attempts", "solved"]
        for cells, row in zip(body, rows, strict=True):
            share = f"{row.solved / row.scored:.0%}" if row.scored else "–"
            cells += [str(row.attempts), share] if row.attempts else ["–", "–"]
    table(head, body, right=range(4, len(head)))
    for note in notes:
        say(note)
    for row, ways in zip(rows, found_forks, strict=False):
        _say_forks(row, ways)
    for told in answers:
        say(told)
    if summed.lessons:
        depths = ", ".join(f"{count} at depth {depth}" for depth, count in summed.lessons_by_depth.items())
        say(f"{many(len(rows), 'trace')}, {many(summed.lessons, 'lesson')}: {depths}")
    elif len(rows) > 1:
        say(many(len(rows), "trace"))
    for line in _rate_lines(gave):
        say(line)
    return broken.code


MOST_FORKS = 10
"""Of each tree so many are printed; `--json` has all."""


def _say_forks(row: TraceFigures, ways: list[ForkOf]) -> None:
    what = "attempts" if row.attempts else "leaves"
    if not ways:
        say(f"{row.task}: no step parts failed {what} from solved ones")
        return
    say(f"{row.task}: where failed {what} leave solved ones")
    for way in ways[:MOST_FORKS]:
        say(f"  {fork_line(way)}  {' '.join(way.action.split())[:80]}")
    if len(ways) > MOST_FORKS:
        say(f"  and {len(ways) - MOST_FORKS} more: --json lists them")


def _in_workspace(workspace: Path, sources: Sequence[Path]) -> dict[Path, None]:
    """Those of many files that lie in the workspace, whose index knows their figures; few are read."""
    if len(sources) < MANY or not workspace.is_dir():
        return {}
    place = real_path(workspace)
    inside = {folder: real_path(folder).is_relative_to(place) for folder in {source.parent for source in sources}}
    return {source: None for source in sources if inside[source.parent]}


def _rate_lines(gave: Mapping[str, Rate]) -> list[str]:
    """What each unit of cost gave, where it is known."""
    lines = []
    for name, unit in (
        ("per_1000_calls", "1,000 calls"),
        ("per_million_tokens", "million tokens"),
        ("per_dollar", "$"),
    ):
        known = {what: value for what, each in gave.items() if (value := getattr(each, name)) is not None}
        if known:
            parts = ", ".join(f"{value:.3g} {what.replace('_', ' ')}" for what, value in known.items())
            lines.append(f"per {unit}: {parts.replace('good', 'good leaves', 1)}")
    return lines


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
