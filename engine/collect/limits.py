"""What the searches of one worker share: calls at a time, calls a second, and calls that are left of the collection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from engine.actors.base import NotPermitted


class SharedLimits:
    """Limits that every call enters. `grant` and `deny` answer the requests that `ask` made."""

    def __init__(self, slots: int, spacing: float = 0.0, ask: Callable[[], None] | None = None) -> None:
        """`slots`: calls at a time. `spacing`: least seconds between the starts of two calls. `ask`: asks for calls,
        where they are counted; None: as many as are wanted."""
        self._slots = asyncio.Semaphore(slots)
        self._spacing = spacing
        self._next = 0.0  # monotonic seconds; no call starts before
        self._ask = ask
        self._asked = False
        self._left = 0  # calls that were granted and not made
        self._answered = asyncio.Event()
        self.denied = False

    def grant(self, calls: int) -> None:
        """So many more calls may be made."""
        self._left += calls
        self._wake()

    def deny(self) -> None:
        """No further call may be made."""
        self.denied = True
        self._wake()

    def _wake(self) -> None:
        self._asked = False
        self._answered.set()
        self._answered = asyncio.Event()

    async def __aenter__(self) -> None:
        await self._slots.acquire()
        try:
            await self._take()
            await self._pace()
        except BaseException:
            self._slots.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()

    async def _take(self) -> None:
        if self._ask is None:
            if self.denied:
                raise NotPermitted
            return
        while not self._left:
            if self.denied:
                raise NotPermitted
            answered = self._answered
            if not self._asked:
                self._asked = True
                self._ask()
            await answered.wait()
        self._left -= 1

    async def _pace(self) -> None:
        if not self._spacing:
            return
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._spacing
        if start > now:
            await asyncio.sleep(start - now)
