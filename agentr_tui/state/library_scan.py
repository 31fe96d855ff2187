"""Reads what the library lists, in a thread of its own: which files there are, their figures, their goals."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from agentr_tui.state.library_tail import Tail
from agentr_tui.state.trace_row import Kind, TraceRow
from agentr_tui.terminal.gc_pauses import listing
from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import UNREADABLE
from engine.recovery.repair import FOLDER as REPAIRS
from engine.trace.sources import NothingFound, is_trace, source_names
from engine.trace.trace_file import read_events
from engine.trace.treefile.read import read_tree
from engine.tree.events import Started
from engine.workspace.figures import KIND, MANY, Head, TraceFigures, cached_figures, head_of, kept_head, kept_of
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace

PATIENCE = 0.15  # seconds between two reports
RESTS = 10.0
"""After a file took t seconds to read it is left alone for this many times t, also where it goes on growing."""

FIRST = 500
"""Files that are shown before the index was asked for all others."""

UNKNOWN = Head("", (0.0, 1.0))
"""Of a trace whose first event can't be read."""

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
    seen = {os.fspath(path): item for path, item in known.items()}
    there: set[Path] = set()
    fresh: list[_Found] = []
    for path, error in _listed(workspace, sources):
        stat, before = _stat(path), seen.get(path)
        if before is None:
            fresh.append(_Found(path, stat, error=error))
            continue
        there.add(before.row.path)
        if before.row.goes_on and not before.row.live:
            continue  # `look_at_running` does
        if before.stamp != _stamp(stat) and time.monotonic() >= before.rest_until:
            fresh.append(_Found(path, stat, before))
    if len(fresh) >= MANY:
        fresh, told = _from_index(workspace, fresh, report)
        there |= told
    items = [each.known() for each in fresh]
    there.update(item.row.path for item in items)
    new = [item for item in items if item.stamp is None]
    if new:
        report(new)
    _read(workspace, [item for item in items if not item.row.error or item.stamp is not None], report, cancelled)
    return there


class _Found(NamedTuple):
    """A file that is new, or that changed since it was known."""

    path: str
    stat: os.stat_result | None
    before: Known | None = None
    error: str = ""

    @property
    def modified(self) -> float:
        return self.stat.st_mtime if self.stat is not None else 0.0

    def known(self) -> Known:
        """What is known of it until it is read."""
        if self.before is not None:
            return replace(self.before, row=replace(self.before.row, modified=self.modified))
        return Known(TraceRow(Path(self.path), self.modified, error=self.error), None)


def _from_index(workspace: Workspace, found: list[_Found], report: Report) -> tuple[list[_Found], set[Path]]:
    """Report all files that the index knows as they are, the newest first and the rest at once.

    Returns the others, and the paths that were reported.
    """
    left: list[_Found] = []
    paths: set[Path] = set()
    found.sort(key=lambda each: -each.modified)
    with Index(workspace.index_file) as index, listing():
        for number, portion in enumerate((found[:FIRST], found[FIRST:])):
            if number:  # the first were asked for one by one: they are on screen at once
                index.load(KIND)
            told: list[Known] = []
            for each in portion:
                kept = kept_of(index, each.path, each.stat) if each.stat is not None and not each.error else None
                if kept is None:
                    left.append(each)
                    continue
                path = each.before.row.path if each.before is not None else Path(each.path)
                told.append(Known(_row(path, each.modified, kept.head, kept.figures), _stamp(each.stat)))
                paths.add(path)
            if told:
                report(told)
    return left, paths


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
            report([Known(row, _stamp(_stat(path)), tail if row.goes_on else None)])
        elif before.tail is None:
            report([replace(before, tail=tail)])


def _crashed(row: TraceRow) -> TraceRow:
    """A search that said nothing of its end and that nobody runs any more."""
    assert row.figures is not None
    return replace(row, figures=msgspec.structs.replace(row.figures, state="crashed"))


def listed(workspace: Workspace, sources: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Every file of the library, with what is wrong with its path."""
    return ((Path(path), error) for path, error in _listed(workspace, sources))


def _listed(workspace: Workspace, sources: Sequence[Path]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for place in (workspace.traces, *sources):
        try:
            names = source_names([place])
        except NothingFound:
            continue
        except InputError as error:
            if place != workspace.traces or not isinstance(error, NoFile):
                yield os.fspath(place), str(error)
            continue
        for whole, name in names.items():
            if whole not in seen:
                seen.add(whole)
                yield name, ""


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _stamp(stat: os.stat_result | None) -> Stamp | None:
    return (stat.st_size, stat.st_mtime_ns) if stat is not None else None


def _read(workspace: Workspace, items: Sequence[Known], report: Report, cancelled: Callable[[], bool]) -> None:
    """Read figures, newest files first, in portions that take about `PATIENCE`."""
    waiting = sorted(items, key=lambda item: item.row.modified)
    portion = 1
    while waiting and not cancelled():
        began = time.monotonic()
        now = [waiting.pop() for _ in range(min(portion, len(waiting)))]
        stamps = {item.row.path: _stamp(_stat(item.row.path)) for item in now}
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
            row = _row(
                item.row.path, item.row.modified, heads.get(path, UNKNOWN), figures.get(path), errors.get(path, "")
            )
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


def _row(path: Path, modified: float, head: Head, figures: TraceFigures | None, error: str = "") -> TraceRow:
    kind: Kind = "search"
    if head.forked_from:
        kind = "repair" if path.parent.name == REPAIRS else "fork"
    return TraceRow(path, modified, figures, head.goal, head.score_range, error, origin=head.forked_from, kind=kind)


def _head(index: Index, path: str) -> Head:
    """Goal, score range and origin of a trace, from the index where the file did not change."""
    try:
        return kept_head(index, path, os.stat(path)) or head_of(first_event(Path(path)))
    except (OSError, InputError, *UNREADABLE):
        return UNKNOWN


def first_event(path: Path) -> Started:
    """The `started` event of a trace or tree file. Raises `InputError`."""
    events = iter(read_events(path) if is_trace(path.name) else read_tree(path))
    started = next(events, None)
    if not isinstance(started, Started):
        raise InputError(f"{path}: does not begin as a trace does")
    return started
