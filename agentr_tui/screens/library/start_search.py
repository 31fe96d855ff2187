"""Starting a search from the library: a new one, set as the trace under the cursor, or one that was left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.library.new_search_form import request_of
from agentr_tui.screens.shared.services import Services
from agentr_tui.state.event_buffer import Ready
from agentr_tui.state.library_scan import first_event
from agentr_tui.state.places import DEFAULT_DELAY, SearchRequest
from agentr_tui.state.trace_row import TraceRow
from engine.environment.permission import digest_of
from engine.search.control import Control
from engine.search.job import SearchJob, resume_job
from engine.trace.sources import is_trace
from engine.tree.events import AnyEvent


class SearchStarter:
    """Starts searches and resumes them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def new(self, row: TraceRow | None) -> None:
        """Ask how, then start."""
        if not self._services.may_start():
            return
        if row is None or row.error:
            self._ask(request_of(self._services.session.configured))
        else:
            self._services.in_thread(lambda: request_like(row.path), self._ask, "library")

    def _ask(self, request: SearchRequest) -> None:
        def made(ready: Ready | None) -> None:
            if ready is not None:
                self._services.run_ready(ready)

        session = self._services.session
        self._services.open(NewSearch(session.workspace, request, session.own), made)

    def resume(self, row: TraceRow | None) -> None:
        """Go on with a search that was stopped or killed."""
        if row is None or not self._services.may_start():
            return
        if row.error or row.figures is None:
            self._services.complain(f"{row.path}: {row.error or 'is still being read'}")
        elif row.state == "done":
            self._services.say(f"{row.name} is done: press o to start a search like it.", severity="warning")
        elif row.goes_on:
            self._services.say(f"{row.name} runs elsewhere: press enter to watch it.", severity="warning")
        else:
            self._resume(row.path)

    def _resume(self, path: Path) -> None:
        def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
            control, own = Control(waits_on_failures=True), self._services.session.own
            return resume_job(path, listener=listener, delay=DEFAULT_DELAY, control=control, own=own)

        self._services.start(make)


def request_like(path: Path) -> SearchRequest:
    """A new search set as that of a trace. Raises `InputError`."""
    started = first_event(path)
    request = SearchRequest(
        started.opened or started.environment, started.task, about=digest_of(started), source=str(path)
    )
    return replace(request, settings=started.settings) if is_trace(path.name) else request
