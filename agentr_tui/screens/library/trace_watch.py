"""What the library knows of the traces, and the looks that keep it true: all files now and then, running ones often."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from textual.message import Message

from agentr_tui.screens.library.rows import with_live
from agentr_tui.screens.shared.services import Services, Stopped
from agentr_tui.state.library_scan import Known, look, look_at_running
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.gc_pauses import keep

LOOK_EVERY = 2.0  # seconds
AGES_EVERY = 20.0  # seconds; ages are told in minutes
IDLE_SHARE = 150
"""After a look that took t seconds the next comes t * IDLE_SHARE later, if that is later than usual."""


class TraceWatch:
    """Looks at the files in a thread, which posts `Found` and `Looked`."""

    class Found(Message):
        """A thread looked at some files."""

        def __init__(self, items: Sequence[Known]) -> None:
            super().__init__()
            self.items = items

    class Looked(Message):
        """A thread looked at all files, or only at running searches."""

        def __init__(self, there: set[Path], took: float, whole: bool) -> None:
            super().__init__()
            self.there = there
            self.took = took
            self.whole = whole

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[Path, Known] = {}
        self._looking = False
        self._looked_once = False
        self._next_look = 0.0
        self._next_ages = 0.0  # when rows are shown again for their ages alone

    @property
    def looked_once(self) -> bool:
        """Whether all files were looked at: where there is no row, there is no trace."""
        return self._looked_once

    def rows(self) -> list[TraceRow]:
        """A row a trace; that of the search that runs here shows it as it is now."""
        session = self._services.session
        rows = {path: known.row for path, known in self._known.items()}
        live = session.live
        if live is not None and session.running:
            row = rows.get(live.path) or TraceRow(live.path, time.time())
            rows[live.path] = with_live(row, session.tree)
        return list(rows.values())

    def look_now(self) -> None:
        """Look at all files without waiting for their turn."""
        self._next_look = 0.0
        self.look()

    def look(self) -> None:
        """Look at the files that are due, where the screen is shown and no look is in progress."""
        due = time.monotonic() >= self._next_look
        if self._looking or not self._services.in_front or not (due or self._others_run()):
            return
        self._looking = True
        session = self._services.session
        workspace, sources, known = session.workspace, list(session.sources), dict(self._known)

        def work(stopped: Stopped) -> None:
            began, there = time.monotonic(), set(known)
            try:
                if due:
                    there = look(workspace, sources, known, self._report, stopped)
                look_at_running(known, self._report)
            finally:
                self._services.post(self.Looked(there, time.monotonic() - began, whole=due))

        self._services.beside(work, "look")

    def _others_run(self) -> bool:
        return any(known.row.goes_on for known in self._known.values())

    def _report(self, items: Sequence[Known]) -> None:
        self._services.post(self.Found(items))

    def found(self, event: Found) -> None:
        """Takes up what the thread saw of some files."""
        for item in event.items:
            self._known[item.row.path] = item

    def looked(self, event: Looked) -> bool:
        """Takes up that a look is over; whether rows went away, or may be older than they say.

        What is new came by `Found`.
        """
        first = not self._looked_once
        if first:
            keep()  # a collection would look through thousands of rows at each sorting
        self._looking, self._looked_once = False, True
        if not event.whole:
            return False
        now = time.monotonic()
        self._next_look = now + max(LOOK_EVERY, event.took * IDLE_SHARE)
        gone = self._known.keys() - event.there
        for path in gone:
            del self._known[path]
        aged = now >= self._next_ages
        if aged:
            self._next_ages = now + AGES_EVERY
        return bool(first or gone or aged)

    def forget(self, path: Path) -> None:
        """The file was deleted."""
        self._known.pop(path, None)
