"""Steering a running search from another thread: pause, go on, one step, stop."""

from __future__ import annotations

import asyncio


class Control:
    """Requests to a search. Every method but `permit` may be called from any thread, at any time."""

    def __init__(self, paused: bool = False) -> None:
        self.paused = paused
        self.stop_reason: str | None = None
        self._steps = 0  # steps that are allowed while paused
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self.in_flight: asyncio.Future[list[None]] | None = None  # the draws that a stop cancels

    def pause(self) -> None:
        """Stand still before the next selection."""
        self.paused, self._steps = True, 0
        self._poke()

    def resume(self) -> None:
        """Go on."""
        self.paused, self._steps = False, 0
        self._poke()

    def step(self) -> None:
        """Make one more expansion, then stand still."""
        self.paused = True
        self._steps += 1
        self._poke()

    def stop(self, reason: str = "stopped") -> None:
        """End the search. Calls in flight are dropped, answers that arrived stay in the trace."""
        self.stop_reason = self.stop_reason or reason
        self._poke()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self.in_flight is not None:
            self.in_flight.cancel()

    def _poke(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)

    def bind(self) -> None:
        """Called by the search, on its own loop."""
        self._loop = asyncio.get_running_loop()

    @property
    def must_wait(self) -> bool:
        """Whether the search may not make another step now."""
        return self.stop_reason is None and self.paused and self._steps == 0

    def take_step(self) -> None:
        """One of the allowed steps is made."""
        if self.paused and self._steps:
            self._steps -= 1

    async def changed(self) -> None:
        """Wait for the next request."""
        await self._changed.wait()
        self._changed.clear()
