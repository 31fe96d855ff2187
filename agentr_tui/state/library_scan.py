"""Reads what the library lists, in a thread of its own: which files there are, their figures, their goals."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from agentr_tui.state.library_tail import Tail
from agentr_tui.state.trace_row import Kind, TraceRow
from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import UNREADABLE
from engine.recovery.repair import FOLDER as REPAIRS
from engine.trace.sources import NothingFound, find_sources, is_trace
from engine.trace.trace_file import read_events
from engine.trace.treefile.read import read_tree
from engine.tree.events import Started
from engine.workspace.figures import KIND, MANY, TraceFigures, cached_figures, kept_figures
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace

PATIENCE = 0.15  # seconds between two reports
RESTS = 10.0
"""After a file took t seconds to read it is left alone for this many times t, also where it goes on growing."""

FIRST = 500
"""Files that are shown before the index was asked for all others."""

_KIND = "head3"


class Head(msgspec.Struct):
    """The facts in the first event of a trace."""

    goal: str
    score_range: tuple[float, float]
    origin: str = ""  # of a repair or a fork
    kind: Kind = "search"


UNKNOWN = Head("", (0.0, 1.0))
"""Of a trace that can't be read."""

Stamp = tuple[int, int]
"""Size and time of change of a file."""


@dataclass(frozen=True, slots=True)
class Known:
    """A row and what it was read from."""

    row: TraceRow
    stamp: Stamp | None
    tail: Tail | None = None  # of a search that another process runs
    rest_until: float = 0.0  # monotonic seconds; it is not read again before


Report = Callable[[Sequence[Known]], None]


def look(
    workspace: Workspace,
    sources: Sequence[Path],
    known: Mapping[Path, Known],
    report: Report,
    cancelled: Callable[[], bool] = lambda: False,
) -> set[Path]:
    """Report every file that is new or changed, a few at a time; returns all there are. A file that can't be read is a
    row with an error.

    `workspace`: its traces are listed. `sources`: further files and folders. `known`: what was reported before.
    `report`: called with rows. `cancelled`: True ends the work early.
    """
    found = dict(listed(workspace, sources))
    fresh: list[Known] = []
    for path, error in found.items():
        stamp, modified = _stamp(path)
        before = known.get(path)
        if before is None:
            fresh.append(Known(TraceRow(path, modified, error=error), None))
        elif before.row.goes_on and not before.row.live:
            continue  # `look_at_running` does
        elif before.stamp == stamp:
            continue
        elif time.monotonic() >= before.rest_until:
            fresh.append(replace(before, row=replace(before.row, modified=modified)))
    if len(fresh) >= MANY:
        fresh = _from_index(workspace, fresh, report)
    new = [item for item in fresh if item.stamp is None]
    if new:
        report(new)
    _read(workspace, [item for item in fresh if not item.row.error or item.stamp is not None], report, cancelled)
    return set(found)


def _from_index(workspace: Workspace, items: Sequence[Known], report: Report) -> list[Known]:
    """Tell `report` of all files that the index knows as they are, the newest first and the rest at once; returns the
    others."""
    told: list[Known] = []
    left: list[Known] = []
    with Index(workspace.index_file) as index:
        index.load(KIND)
        index.load(_KIND)
        for item in sorted(items, key=lambda item: -item.row.modified):
            path = os.fspath(item.row.path)
            try:
                stat = os.stat(path)
                figures, head = kept_figures(index, path, stat), _kept_head(index, os.path.abspath(path), stat)
            except OSError:
                figures = head = None
            if item.row.error or figures is None or head is None:
                left.append(item)
                continue
            row = replace(_with_head(item.row, head), figures=figures, error="")
            told.append(Known(row, (stat.st_size, stat.st_mtime_ns)))
            if len(told) == FIRST:
                report(told[:])
    told = told[FIRST:] if len(told) >= FIRST else told
    if told:
        report(told)
    return left


def look_at_running(known: Mapping[Path, Known], report: Report) -> None:
    """Report the running searches that went on, or that no process runs any more. For the others, one `stat` each."""
    for path, before in known.items():
        if not before.row.goes_on or before.row.live:
            continue
        tail = before.tail or Tail(path)
        try:
            row = tail.grown(before.row)
        except InputError:  # replaced, or gone: it is read from the start, or no longer there
            report([Known(replace(before.row, figures=None), None)])
            continue
        if row is None and tail.is_alone() and (row := tail.grown(before.row)) is None:
            row = _crashed(before.row)
        if row is not None:
            report([Known(row, _stamp(path)[0], tail if row.goes_on else None)])
        elif before.tail is None:
            report([replace(before, tail=tail)])


def _crashed(row: TraceRow) -> TraceRow:
    """A search that said nothing of its end and that nobody runs any more."""
    assert row.figures is not None
    return replace(row, figures=msgspec.structs.replace(row.figures, state="crashed"))


def listed(workspace: Workspace, sources: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file of the library, with what is wrong with its path."""
    seen: set[Path] = set()
    for place in (workspace.traces, *sources):
        try:
            paths = find_sources([place])
        except NothingFound:
            continue
        except InputError as error:
            if place != workspace.traces or not isinstance(error, NoFile):
                yield place, str(error)
            continue
        for path in paths:
            whole = path.absolute()
            if whole not in seen:
                seen.add(whole)
                yield path, ""


def _stamp(path: Path) -> tuple[Stamp | None, float]:
    try:
        stat = path.stat()
    except OSError:
        return None, 0.0
    return (stat.st_size, stat.st_mtime_ns), stat.st_mtime


def _read(workspace: Workspace, items: Sequence[Known], report: Report, cancelled: Callable[[], bool]) -> None:
    """Read figures, newest files first, in portions that take about `PATIENCE`."""
    waiting = sorted(items, key=lambda item: item.row.modified)
    portion = 1
    while waiting and not cancelled():
        began = time.monotonic()
        now = [waiting.pop() for _ in range(min(portion, len(waiting)))]
        stamps = {item.row.path: _stamp(item.row.path)[0] for item in now}
        errors: dict[str, str] = {}

        def broken(path: str, error: InputError, errors: dict[str, str] = errors) -> None:
            errors[path] = _reason(path, error)

        rows = cached_figures(workspace, [item.row.path for item in now], broken)
        figures = {row.path: row for row in rows}
        for item in now:
            _see_growth(item, figures.get(str(item.row.path)), stamps[item.row.path])
        with Index(workspace.index_file) as index:
            heads = {path: _head(index, path) for path in figures}
        took = time.monotonic() - began
        rest = time.monotonic() + RESTS * took / len(now)
        told = []
        for item in now:
            path = str(item.row.path)
            row = _with_head(item.row, heads.get(path, UNKNOWN))
            row = replace(row, figures=figures.get(path), error=errors.get(path, ""))
            told.append(Known(row, stamps[item.row.path], rest_until=rest))
        report(told)
        portion = max(1, portion * 2 if took < PATIENCE / 2 else portion // 2 if took > PATIENCE else portion)


def _see_growth(before: Known, found: TraceFigures | None, stamp: Stamp | None) -> None:
    """A trace that grows is being written, also by another machine whose lock can't be seen from here."""
    grew = before.stamp is not None and stamp is not None and stamp[0] > before.stamp[0]
    if grew and found is not None and found.state == "crashed":
        found.state = "running"


def _reason(path: str, error: InputError) -> str:
    """The error's line without the path in front: the row names the file."""
    told = str(error).removeprefix(path).removeprefix(":").strip()
    number, colon, reason = told.partition(":")
    return f"line {number}: {reason.strip()}" if colon and number.isdecimal() else told


def _with_head(row: TraceRow, head: Head) -> TraceRow:
    return replace(row, goal=head.goal, score_range=head.score_range, origin=head.origin, kind=head.kind)


def _kept_head(index: Index, key: str, stat: os.stat_result) -> Head | None:
    body = index.get(_KIND, key, stat)
    try:
        return None if body is None else msgspec.json.decode(body, type=Head)
    except UNREADABLE:
        return None


def _head(index: Index, path: str) -> Head:
    """Goal and score range of a trace, from the index where the file did not change."""
    key = os.path.abspath(path)
    try:
        stat = os.stat(path)
        known = _kept_head(index, key, stat)
        if known is not None:
            return known
        started = first_event(Path(path))
    except (OSError, InputError, *UNREADABLE):
        return UNKNOWN
    kind: Kind = "search"
    if started.forked_from is not None:
        kind = "repair" if Path(path).parent.name == REPAIRS else "fork"
    origin = started.forked_from.trace if started.forked_from is not None else ""
    head = Head(started.instruction, started.score_range, origin, kind)
    index.put(_KIND, key, stat, msgspec.json.encode(head))
    return head


def first_event(path: Path) -> Started:
    """The `started` event of a trace or tree file. Raises `InputError`."""
    events = iter(read_events(path) if is_trace(path.name) else read_tree(path))
    started = next(events, None)
    if not isinstance(started, Started):
        raise InputError(f"{path}: does not begin as a trace does")
    return started
