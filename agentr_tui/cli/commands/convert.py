"""Commands that read one tree: convert, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from agentr_tui.cli.options import (
    INPUT,
    OUTPUT,
    JsonOption,
)
from agentr_tui.cli.rollouts import (
    MapOption,
    MergeOption,
    ReadAsOption,
    RewardOption,
    one_source,
    options_of,
    parted,
    read,
    several,
)
from agentr_tui.terminal.output import emit_json, say, warn
from engine.base.errors import InputError, WorkFailed
from engine.base.text import many
from engine.base.untrusted_files import is_folder, what_is
from engine.environment.replay import opener, replay_tree
from engine.imports.trees import ImportOptions
from engine.trace.sources import is_trace, load_any
from engine.trace.trace_file import write_trace
from engine.trace.treefile.read import read_tree
from engine.trace.treefile.write import save_tree
from engine.tree.tree import SearchTree
from envs.base import EnvError

Kind = Literal["tree", "trace", "graphml", "dot", "node-link"]


def convert(
    source: Annotated[
        Path, Parameter(help="Trace, tree file or rollouts. It may be compressed with gzip or zstandard.")
    ],
    out: Annotated[
        Path,
        Parameter(
            help="File to write: NAME.trace.jsonl for a trace, .json for a tree file, .graphml or .dot for a graph."
            " A folder (FOLDER/) takes a trace of each task of rollouts."
        ),
    ],
    /,
    *,
    to: Annotated[
        Kind | None,
        Parameter(group=OUTPUT, help="Kind of file to write. The default follows the file's name."),
    ] = None,
    merge: MergeOption = "action",
    no_merge: Annotated[
        bool,
        Parameter(
            group=OUTPUT,
            name="--no-merge",
            negative="",
            help="Make one vertex of a graph for each node. The default is one for each state.",
        ),
    ] = False,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    reward: RewardOption = None,
    env: Annotated[
        str | None,
        Parameter(group=INPUT, name="--env", help="Environment of a tree file. The default is to recognise it."),
    ] = None,
    task: Annotated[
        str | None, Parameter(group=INPUT, help="Task of a tree file. The default is taken from the file's name.")
    ] = None,
    force: Annotated[bool, Parameter(group=OUTPUT, help="Replace the file if it exists.")] = False,
) -> int:
    """Convert a trace to a tree file or a graph, or a tree file or rollouts of another harness to traces."""
    from engine.explain.graph import kind_of

    options = options_of(read_as, map_, merge, reward)
    if to in (None, "trace") and (is_folder(out) or not (out.suffixes or to)) and parted([source], options)[1]:
        return _into_folder(source, options, out, force=force)
    graph = kind_of(out.name)
    kind: Kind | None = to or graph or ("trace" if is_trace(str(out)) else "tree" if ".json" in out.suffixes else None)
    if kind is None:
        raise InputError(f"{out}: the name does not say what to write: add --to tree, trace, graphml, dot or node-link")
    if what_is(out) is not None and not force:
        raise InputError(f"{out}: exists already: choose another name, or --force")
    if parted([source], options)[1]:
        return _rollouts(source, options, out, kind, states=not no_merge, force=force)
    loaded = load_any(source, environment=env, task=task)
    for warning in loaded.warnings:
        warn(warning)
    if kind != "trace":
        _save(loaded.tree, out, kind, states=not no_merge)
    else:
        if loaded.kind == "trace":
            raise InputError(f"{source}: is a trace already")
        write_trace(out, read_tree(source, environment=env, task=task), overwrite=force)
    say(str(out))
    return 0


def _save(tree: SearchTree, out: Path, kind: Kind, *, states: bool) -> None:
    from engine.explain.graph import save_graph

    if kind == "tree":
        save_tree(tree, out)
    elif kind != "trace":
        save_graph(tree, out, kind, merge=states)


def _rollouts(source: Path, options: ImportOptions, out: Path, kind: Kind, *, states: bool, force: bool) -> int:
    trees = read([source], options).trees
    if len(trees) > 1:
        raise several(source, len(trees))
    if kind == "trace":
        write_trace(out, trees[0].events, overwrite=force)
    else:
        _save(trees[0].source().tree, out, kind, states=states)
    say(str(out))
    return 0


def _into_folder(source: Path, options: ImportOptions, out: Path, *, force: bool) -> int:
    trees = read([source], options).trees
    paths = [out / f"{tree.stem}.trace.jsonl" for tree in trees]
    for path in paths:
        if what_is(path) is not None and not force:
            raise InputError(f"{path}: exists already: choose another folder, or --force")
    out.mkdir(parents=True, exist_ok=True)
    for tree, path in zip(trees, paths, strict=True):
        write_trace(path, tree.events, overwrite=force)
        say(str(path))
    return 0


def replay(
    path: Annotated[Path, Parameter(help="Trace, tree file, or rollouts of one task.")],
    /,
    *,
    env: Annotated[
        str | None,
        Parameter(
            group=INPUT, name="--env", help="Environment in which to execute the steps. The default is the tree's own."
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Execute every step of a tree again and list the differences."""
    source = one_source(path, env)
    tree = source.tree
    for warning in source.warnings:
        warn(warning)
    assert tree.started is not None
    try:
        opened = opener(tree, env, [{"env": env}])()
        if opened.changed:
            warn(opened.changed)
        differences = list(replay_tree(tree, opened))
    except EnvError as error:
        raise WorkFailed(f"{path}: {error}") from error
    if json:
        emit_json({"path": str(path), "env": opened.environment, "nodes": len(tree), "differences": differences})
        return 0
    for difference in differences[:50]:
        expected, got = repr(difference.expected)[:80], repr(difference.got)[:80]
        say(f"node {difference.node} {difference.field}: expected {expected}, got {got}")
    say(f"{path}: {many(len(tree), 'node')} in {opened.environment}, {many(len(differences), 'difference')}")
    return 0
