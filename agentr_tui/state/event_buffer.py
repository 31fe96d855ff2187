"""A search that was made ready in a thread and waits for its listener. Knows no Textual."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from agentr_tui.state.places import SearchRequest, short_name, with_free_name
from engine.environment.permission import Permit
from engine.search.control import Control
from engine.search.job import SearchJob, new_job
from engine.search.settings import check_settings
from engine.tree.events import AnyEvent
from engine.workspace.workspace import Workspace


class Ready:
    """A search that is ready to run; its events wait until it has a listener.

    Making a search (its environment, its trace) may take a while, so a thread does it; only then is it handed to the
    session, which has the listener.
    """

    def __init__(self, make: Callable[[Callable[[AnyEvent], None]], SearchJob]) -> None:
        """Make it. Raises `InputError`."""
        self._waiting: deque[AnyEvent] = deque()
        self._hear: Callable[[AnyEvent], None] = self._waiting.append
        self.job = make(self._heard)

    def _heard(self, event: AnyEvent) -> None:
        self._hear(event)

    def hand_over(self, listener: Callable[[AnyEvent], None]) -> SearchJob:
        """The search, from now on heard by `listener`, which gets first what waited."""
        for event in self._waiting:
            listener(event)
        self._hear = listener
        return self.job


def make_ready(workspace: Workspace, request: SearchRequest, which: Permit) -> Ready:
    """Returns a new search of the workspace that waits for its listener. Raises `InputError`.

    `workspace`: takes its trace. `request`: task and settings. `which`: the permit of the environment.
    """
    settings = check_settings(request.settings)

    def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
        control = Control(waits_on_failures=True)

        def at(out: Path) -> SearchJob:
            return new_job(
                which,
                request.task or None,
                settings,
                out,
                listener=listener,
                delay=request.delay,
                control=control,
            )

        name = short_name(request.environment)
        return with_free_name(workspace.traces, name, request.task or "0", settings.seed, at)

    return Ready(make)
