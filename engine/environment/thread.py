"""Runs environment calls: directly, or in one worker thread if they may block, so that the event loop never waits.

A search can end without waiting for a slow step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.environment.at_node import EnvironmentAtNode

T = TypeVar("T")


class Stopped(Exception):
    """The search ended before the environment answered."""


class EnvironmentThread:
    """An `EnvironmentAtNode`, used from an event loop."""

    def __init__(self, stand: EnvironmentAtNode, blocking: bool) -> None:
        self._stand = stand
        self._thread = ThreadPoolExecutor(1, "environment") if blocking else None
        self._stopping = asyncio.Event()

    async def do(self, work: Callable[[], T], /) -> T:
        """Returns the result of `work`. Raises what it raises, and `Stopped` after `abandon`."""
        if self._thread is None:
            return work()
        working = asyncio.get_running_loop().run_in_executor(self._thread, work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Stopped
            return working.result()
        finally:
            stopping.cancel()
            working.cancel()

    def abandon(self) -> None:
        """Stops waiting for the call in progress; `do` raises `Stopped`."""
        self._stopping.set()

    async def close(self) -> None:
        """Closes the environment. A step still in progress ends with an error."""
        if self._thread is None:
            self._stand.close()
            return
        await asyncio.get_running_loop().run_in_executor(None, self._stand.close)
        self._thread.shutdown(wait=False)
