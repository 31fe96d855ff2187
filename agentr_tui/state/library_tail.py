"""Keeps the row of a search that another process runs up to date: reads what its trace grew by, nothing twice."""

from __future__ import annotations

import time
from pathlib import Path

from agentr_tui.state.trace_row import TraceRow
from engine.base.errors import InputError
from engine.trace.follower import Follower
from engine.trace.sources import Source
from engine.trace.trace_file import is_being_written
from engine.tree.tree import SearchTree
from engine.workspace.figures import figures

RESTS = 20.0
"""After figures took t seconds to count they are left alone for this many times t."""

GONE_AFTER = 30.0
"""Seconds without growth after which a search whose lock can't be seen is taken for dead."""


class Tail:
    """A trace that grows, folded as far as it is written."""

    def __init__(self, path: Path) -> None:
        self._path, self._tree, self._follower = path, SearchTree(), Follower(path)
        self._rest_until = 0.0  # monotonic seconds
        self._grew = time.monotonic()
        self._locked = False  # whether its lock was ever seen: locks of other machines may not be

    def grown(self, row: TraceRow) -> TraceRow | None:
        """The row with new figures; None where there is nothing new, or it is too early to count again.

        Raises `InputError` where the trace can't be followed any more.
        """
        began = time.monotonic()
        if began < self._rest_until:
            return None
        events = self._follower.poll()
        if not events:
            return None
        self._grew = began
        try:
            for event in events:
                self._tree.apply(event)
        except ValueError as error:
            raise InputError(f"{self._path}: {error}") from error
        started = self._tree.started
        if started is None:
            return None
        found = figures(Source(self._tree, str(row.path), "trace"))
        self._rest_until = time.monotonic() + RESTS * (time.monotonic() - began)
        if found.state == "crashed":  # nobody is seen to hold it, but it grows
            found.state = "running"
        paused = self._tree.state == "paused"
        return TraceRow(row.path, time.time(), found, started.instruction, started.score_range, paused=paused)

    def is_alone(self) -> bool:
        """Whether no process writes the trace any more: its lock is free, or, where there never was one, the file
        stopped growing."""
        if is_being_written(self._path):
            self._locked = True
            return False
        return self._locked or time.monotonic() - self._grew > GONE_AFTER
