"""The command `grep`: nodes of many traces that match a query (`docs/query.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.options import OUTPUT, JsonOption
from agentr_tui.cli.rollouts import all_sources, parted
from agentr_tui.screens.shared.finding import find_query
from agentr_tui.terminal.output import emit_json, say, warn
from agentr_tui.terminal.safe_text import clip
from engine.base.errors import InputError
from engine.base.text import many
from engine.imports.trees import ImportOptions
from engine.query.find import find
from engine.trace.sources import Source, find_sources
from engine.tree.tree import SearchTree

SHOWN = 100
"""Characters of an action that a line shows."""


def grep(
    query: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="Query, for example 'disaster depth<6' (docs/query.md).")
    ],
    paths: Annotated[
        list[Path], Parameter(help="Traces, tree files, rollouts or folders. Folders are read recursively.")
    ],
    /,
    *,
    limit: Annotated[int | None, Parameter(group=OUTPUT, help="Maximum nodes to list. All are counted.")] = None,
    json: JsonOption = False,
) -> int:
    """List the nodes of many traces that match a query."""
    wanted = find_query(query)
    if limit is not None and limit < 0:
        raise InputError("--limit must be at least 0")
    broken = BrokenFiles(paths)
    rows: list[dict[str, Any]] = []
    total = matching = traces = 0
    for source in _sources(paths, broken):
        for warning in source.warnings:
            warn(warning)
        nodes = find(wanted, source.tree)
        traces += 1
        matching += bool(nodes)
        listed = nodes if limit is None else nodes[: max(0, limit - total)]
        total += len(nodes)
        for id in listed:
            row = row_of(Path(source.path), source.tree, id)
            if json:
                rows.append(row)
            else:
                say(line_of(row, told_task=source.kind == "rollouts"))
    if json:
        figures = {"matches": rows, "total": total, "matching": matching, "traces": traces}
        emit_json({"query": wanted.text, **figures, **broken.as_json()})
    else:
        more = f" ({total - limit} not listed)" if limit is not None and total > limit else ""
        say(f"{many(total, 'node')} in {matching} of {many(traces, 'trace')}{more}")
    return broken.code


def _sources(paths: list[Path], broken: BrokenFiles) -> Iterator[Source]:
    """Every tree. One broken file in a folder does not hide the others."""
    options = ImportOptions()
    plain, rollouts = parted(paths, options)
    for path in find_sources(plain) if plain or not rollouts else []:
        if (source := broken.load(path)) is not None:
            yield source
    for found in all_sources([], rollouts, options, broken):
        if isinstance(found, Source):
            yield found


def row_of(path: Path, tree: SearchTree, id: int) -> dict[str, Any]:
    """Returns what `--json` prints of one node.

    `path`: the trace. `tree`: its tree. `id`: the node.
    """
    node = tree.nodes[id]
    return {
        "path": str(path),
        "trace": tree.started.trace if tree.started else "",
        "task": tree.started.task if tree.started else "",
        "node": id,
        "depth": node.depth,
        "visits": node.visits,
        "q": node.q,
        "reward": node.reward,
        "terminal": node.terminal,
        "action": node.action,
        "observation": node.observation,
    }


def line_of(row: dict[str, Any], told_task: bool = False) -> str:
    """Returns one line for a node: place, figures, action. `row`: as `row_of` returns it. `told_task`: whether to name
    the task, since a file of rollouts may hold several."""
    q = "–" if row["q"] is None else f"{row['q']:.2f}"
    ended = f"  [{row['terminal']}]" if row["terminal"] else ""
    where = f"{row['path']}:{row['node']}" + (f"  task {row['task']}" if told_task else "")
    return f"{where}  depth {row['depth']}  N {row['visits']}  Q {q}  {clip(row['action'], SHOWN)}{ended}"
