"""A search that runs in a thread of its own while the screen shows it.

The engine's events pile up in a queue; the screen takes them in batches and folds a tree of its own. Nothing
mutable is shared: `control` only sets requests, the queue is a deque.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from engine.base.errors import AgentrError
from engine.search.job import SearchJob
from engine.tree.events import AnyEvent


class LiveSearch:
    """One search that was started from the app."""

    def __init__(self, make_job: Callable[[Callable[[AnyEvent], None]], SearchJob]) -> None:
        """`make_job` gets the listener; it may raise `InputError`, before anything runs."""
        self._queue: deque[AnyEvent] = deque()
        self.job = make_job(self._queue.append)
        self.control = self.job.control
        self.path: Path = self.job.path
        self.error: str | None = None
        self.over = False

    def run(self) -> None:
        """Run to the end, in the thread that calls. Never raises: `error` is the message."""
        try:
            self.job.run_blocking()
        except AgentrError as error:
            self.error = str(error)
        except Exception as error:  # the screen says so in one line; the trace is resumable
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self.over = True

    @property
    def waiting(self) -> bool:
        """Whether there are events to take."""
        return bool(self._queue)

    def take(self, most: int) -> list[AnyEvent]:
        """The events since the last call, oldest first, at most `most`."""
        queue = self._queue
        taken: list[AnyEvent] = []
        while queue and len(taken) < most:
            taken.append(queue.popleft())
        return taken
