"""The command `compare`: searches of several kinds on the same tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.options import INPUT, JsonOption
from agentr_tui.cli.rollouts import refuse_rollouts
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.intervals import Interval
from engine.base.text import many
from engine.evaluate.compare import By, Comparison, compare_traces
from engine.trace.sources import Source, find_sources


def compare(
    paths: Annotated[list[Path], Parameter(help="Traces or folders. Folders are read recursively.")],
    /,
    *,
    by: Annotated[By, Parameter(group=INPUT, help="What tells the groups apart.")] = "algorithm",
    verify: Annotated[
        bool,
        Parameter(
            group=INPUT,
            negative="",
            help="Count verified lessons, too: make the samples of each trace and replay them. Nothing is written.",
        ),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Compare searches on the same tasks, with 95 % bootstrap intervals over the tasks."""
    refuse_rollouts(paths, "compare compares searches")
    broken = BrokenFiles(paths)
    found = compare_traces(_sources(find_sources(paths), broken), by, verify)
    if json:
        emit_json({**msgspec.to_builtins(found), **broken.as_json()})
    else:
        _tell(found)
    for against in found.against:
        if not against.tasks:
            warn(f"{against.name} and {against.against} have no task in common: they can't be compared")
    return broken.code


def _sources(paths: Sequence[Path], broken: BrokenFiles) -> Iterator[Source]:
    for _, source in broken.each(paths):
        for warning in source.warnings:
            warn(warning)
        yield source


def _tell(found: Comparison) -> None:
    names = list(found.groups[0].per_1000_calls)
    heads = [f"{name.replace('_', ' ')} / 1,000 calls" for name in names]
    table(
        [found.by, "traces", "tasks", "calls", "solved", "best return", *heads],
        [
            [
                group.name, str(group.traces), str(group.tasks), f"{group.calls:,}", f"{group.solved:.0%}",
                _shown(group.best), *(_shown(group.per_1000_calls.get(name)) for name in names),
            ]
            for group in found.groups
        ],
        right=range(1, 5),
    )  # fmt: skip
    for against in found.against:
        if against.tasks:
            ratios = ", ".join(f"{name.replace('_', ' ')} {_shown(against.ratio.get(name))} times" for name in names)
            best = f"; best return {_shown(against.best, sign=True)}" if against.best is not None else ""
            both = many(against.tasks, "task")
            say(f"{against.name} against {against.against}, {both} of both, per call: {ratios}{best}")


def _shown(interval: Interval | None, sign: bool = False) -> str:
    if interval is None:
        return "–"
    return f"+{interval}" if sign and interval.value > 0 else str(interval)
