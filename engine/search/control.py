"""Steering a running search from another thread: pause, go on, one step, stop, other settings, interventions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from engine.search.interventions import Intervention
from engine.tree.events import PauseKind


class Pause(NamedTuple):
    """Why a search is paused."""

    words: str = "asked"
    kind: PauseKind = "asked"
    node: int | None = None  # that met a breakpoint
    query: str = ""  # of the breakpoint


ASKED = Pause()


class Control:
    """Requests to a search. A person's requests may be made from any thread, at any time."""

    def __init__(self, paused: bool = False, waits_on_failures: bool = False) -> None:
        self.paused = paused
        self.why_paused = ASKED
        self.waits_on_failures = waits_on_failures  # stand still after too many failures instead of ending
        self.stop_reason: str | None = None
        self.changes: list[tuple[str, dict[str, Any]]] = []  # who, settings that are to hold from now on
        self.requests: list[tuple[str, Intervention]] = []  # who, what is to be done to the tree
        self._steps = 0  # steps that are allowed while paused
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._cancel: Callable[[], None] = lambda: None

    # -- asked by a person -------------------------------------------------------------------------

    def pause(self, why: Pause = ASKED) -> None:
        """Stand still before the next selection."""
        self.paused, self.why_paused, self._steps = True, why, 0
        self._poke()

    def resume(self) -> None:
        """Go on."""
        self.paused, self.why_paused, self._steps = False, ASKED, 0
        self._poke()

    def step(self) -> None:
        """Make one more expansion, then pause."""
        self.paused = True
        self._steps += 1
        self._poke()

    def stop(self, reason: str = "stopped") -> None:
        """End the search. Calls in flight are dropped, answers that arrived stay in the trace."""
        self.stop_reason = self.stop_reason or reason  # first: a search that binds just now looks at it then
        self._poke()
        self._on_loop(self._cancel)

    def change(self, who: str, changes: dict[str, Any]) -> None:
        """Other settings, from the next selection on."""
        self.changes.append((who, changes))
        self._poke()

    def intervene(self, who: str, asked: Intervention) -> None:
        """Do something to the tree before the next selection, also while the search is paused. `who`: the reviewer.
        `asked`: the intervention."""
        self.requests.append((who, asked))
        self._poke()

    def _poke(self) -> None:
        self._on_loop(self._changed.set)

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the search is over, maybe just now
                self._loop.call_soon_threadsafe(call)

    # -- for the search ----------------------------------------------------------------------------

    def bind(self, cancel: Callable[[], None]) -> None:
        """Called by the search, on its own loop: `cancel` drops the calls in flight."""
        self._loop, self._cancel = asyncio.get_running_loop(), cancel

    @property
    def must_wait(self) -> bool:
        """Whether the search may not make another step now."""
        return self.stop_reason is None and self.paused and self._steps == 0

    def take_step(self) -> None:
        """One of the allowed steps is made."""
        if self.paused and self._steps:
            self._steps -= 1

    def allow(self, steps: int) -> None:
        """Allow so many `steps` more of a paused search."""
        if self.paused:
            self._steps += steps

    async def changed(self) -> None:
        """Wait for the next request."""
        await self._changed.wait()
        self._changed.clear()
