"""Workers on Ray: the worker of a process (`engine.collect.worker`) as a Ray actor, over the same messages.

Ray is an extra. A collection uses a cluster that runs, or starts a Ray of its own and ends only that one. The folder of
the collection has to be shared by all nodes, and this package installed on each.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from engine.base.errors import InputError, WorkFailed, foreign_line
from engine.collect.messages import FromWorker, ToWorker, from_worker, line_of
from engine.collect.worker import MOST_LINE, serve
from engine.collect.worker_link import StartWorker, WorkerLink

STORE = 200 * 1024**2
"""Bytes of the object store of a Ray of our own: nothing large goes through it."""


class RayWorker:
    """Runs in a process of Ray. Its methods run side by side on one event loop."""

    def __init__(self) -> None:
        self._read = asyncio.StreamReader(limit=MOST_LINE)
        self._said: list[bytes] = []
        self._news = asyncio.Event()
        self._serving: asyncio.Future[None] | None = None

    async def begin(self) -> int:
        """Serve messages; returns the process's number."""
        self._serving = asyncio.ensure_future(serve(self._read, self._say))
        self._serving.add_done_callback(lambda _: self._news.set())
        return os.getpid()

    def _say(self, message: FromWorker) -> None:
        self._said.append(line_of(message))
        self._news.set()

    async def tell(self, line: bytes) -> None:
        """Take a message of the collector; an empty one is the last."""
        if line:
            self._read.feed_data(line)
        else:
            self._read.feed_eof()

    async def hear(self) -> list[bytes]:
        """Returns the messages since the last call, at least one; none where the worker ended."""
        while not self._said and not (self._serving is None or self._serving.done()):
            self._news.clear()
            await self._news.wait()
        said, self._said = self._said, []
        return said


class RayLink(WorkerLink):
    """A worker on Ray."""

    def __init__(self, ray: Any, actor: Any, pid: int) -> None:
        super().__init__()
        self.pid = pid
        self._ray, self._actor = ray, actor
        self._heard: deque[bytes] = deque()
        self._lost = ""

    def tell(self, message: ToWorker) -> None:
        """Call the actor with a message."""
        with suppress(self._ray.exceptions.RayError):
            self._actor.tell.remote(line_of(message))

    async def hear(self) -> FromWorker | None:
        """The next message; None where the actor ended, or its process or node is lost."""
        if not self._heard:
            try:
                self._heard.extend(await self._actor.hear.remote())
            except self._ray.exceptions.RayError as error:  # its process or its node is gone
                self._lost = foreign_line("Ray", error)
        return from_worker.decode(self._heard.popleft()) if self._heard else None

    def close(self) -> None:
        """Tell the actor that there are no further messages."""
        with suppress(self._ray.exceptions.RayError):
            self._actor.tell.remote(b"")

    def kill(self) -> None:
        """Kill the actor."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    async def ended(self) -> bool:
        """Let the actor go; whether it was lost."""
        self.kill()
        return bool(self._lost)

    def last_words(self) -> str:
        """Returns Ray's reason why the worker was lost."""
        return self._lost


@contextmanager
def ray_workers(address: str, workers: int) -> Iterator[StartWorker]:
    """Workers on a Ray: the one at `address` (`auto`: that of this machine), or with "" one of our own, which ends with
    the block. Raises `InputError` where Ray is not installed or not there."""
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise InputError("--ray needs Ray: pip install 'agentr-tui[ray]'") from error
    options = {"address": address} if address else {"num_cpus": workers, "object_store_memory": STORE}
    try:
        ray.init(include_dashboard=None if address else False, log_to_driver=False, configure_logging=False, **options)
    except Exception as error:  # another package's: no cluster there, another version, no memory
        raise InputError(f"--ray {address}: {foreign_line('Ray', error)}") from error
    remote = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=1000)(RayWorker)

    async def start(number: int) -> WorkerLink:
        actor = remote.remote()
        try:
            pid = await actor.begin.remote()
        except ray.exceptions.RayError as error:
            raise WorkFailed(f"no worker can be started on Ray: {foreign_line('Ray', error)}") from error
        return RayLink(ray, actor, pid)

    try:
        yield start
    finally:
        ray.shutdown()  # leaves the cluster; ends what `init` started, and no other
