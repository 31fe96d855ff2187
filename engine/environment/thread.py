"""Where a search uses its environment: at once, or, where that may block, in one thread, so that it never holds up the
loop. Ending the search waits for no step that takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.environment.at_node import Stand

T = TypeVar("T")


class Stopped(Exception):
    """The search is to end, and the environment has not answered yet."""


class AtWork:
    """A stand, used from an event loop."""

    def __init__(self, stand: Stand, blocking: bool) -> None:
        self._stand = stand
        self._thread = ThreadPoolExecutor(1, "environment") if blocking else None
        self._stopping = asyncio.Event()

    async def do(self, work: Callable[[], T], /) -> T:
        """What `work` gives. Raises what it raises, and `Stopped`."""
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

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stopping.set()

    async def close(self) -> None:
        """Close the environment; a step that takes long ends with that."""
        if self._thread is None:
            self._stand.close()
            return
        await asyncio.get_running_loop().run_in_executor(None, self._stand.close)
        self._thread.shutdown(wait=False)
