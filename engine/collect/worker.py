"""A worker of a collection: a process that runs the searches it is given (`python -m engine.collect.worker`).

Its messages go over its standard input and output (`engine.collect.messages`). Where its input ends, the collector is
gone: the worker ends its searches cleanly, and then itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.base.compression import open_unpacked
from engine.base.errors import AgentrError, foreign_line
from engine.base.untrusted_files import what_is
from engine.collect.limits import SharedLimits
from engine.collect.manifest import MAY_CHANGE
from engine.collect.messages import (
    Finished,
    FromWorker,
    Grant,
    Orders,
    Report,
    RunTask,
    Spent,
    ToWorker,
    Wants,
    line_of,
    to_worker,
)
from engine.environment.permission import NeedsConsent
from engine.search.control import Control
from engine.search.job import SearchJob, new_job, resume_job
from engine.search.outages import owed_words
from engine.search.settings import is_episode
from engine.trace.trace_file import is_being_written
from engine.tree.tree import SearchTree
from envs.base import EnvError, UnknownTask

REPORT_SECONDS = 0.25
"""Between two reports of how far a search is."""

MOST_LINE = 1 << 24
"""Bytes of a message."""


def spent(tree: SearchTree) -> Spent:
    """What a search has used since it began."""
    return Spent(tree.calls, tree.tokens_in, tree.tokens_out, tree.cost, len(tree))


def has_begun(path: Path) -> bool:
    """Whether a trace holds an event. One whose first line was cut off by a kill holds none. Raises `InputError` where
    the system can't say."""
    if what_is(path) is None:
        return False
    with open_unpacked(path) as file:
        return file.readline().endswith(b"\n")


class Worker:
    """Runs searches side by side on one event loop."""

    def __init__(self, orders: Orders, say: Callable[[FromWorker], None]) -> None:
        self._orders = orders
        self._say = say
        self._jobs: dict[str, SearchJob] = {}
        self._halted = ""
        self.limits = SharedLimits(orders.slots, orders.spacing, (lambda: say(Wants())) if orders.metered else None)

    def halt(self, reason: str, now: bool) -> None:
        """End all searches."""
        self._halted = reason
        for job in self._jobs.values():
            if now:
                job.control.stop(reason)  # drops what is in flight
            elif job.control.stop_reason is None:
                job.control.stop_reason = reason  # ends after the expansion in flight: its calls are paid for
        self.limits.deny()

    async def run(self, task: str, path: Path) -> None:
        """One search, to its end."""
        began = time.monotonic()
        if self._halted:
            self._say(Finished(task, "halted", Spent()))
            return
        try:
            finished = await self._searched(task, path)
        except NeedsConsent as error:
            finished = Finished(task, "hopeless", Spent(), error=str(error))
        except (AgentrError, EnvError) as error:
            unknown = isinstance(error, UnknownTask) or isinstance(error.__cause__, UnknownTask)
            finished = Finished(task, "hopeless" if unknown else "failed", self._spent(task), error=str(error))
        except Exception as error:  # a defect, of an environment or of ours: other tasks may do
            finished = Finished(task, "failed", self._spent(task), error=foreign_line(task, error))
        finally:
            self._jobs.pop(task, None)
        finished.seconds = round(time.monotonic() - began, 3)
        self._say(finished)

    def _spent(self, task: str) -> Spent:
        job = self._jobs.get(task)
        return spent(job.tree) if job is not None else Spent()

    def _job(self, task: str, path: Path) -> SearchJob:
        orders, control = self._orders, Control()
        settings = orders.settings
        if not has_begun(path):
            return new_job(
                orders.environment, task, settings, path, control=control, delay=orders.delay, overwrite=True,
                choose_actor=orders.choose_actor, notes=orders.notes,
            )  # fmt: skip
        changes = {name: getattr(settings, name) for name in MAY_CHANGE}
        own = [msgspec.to_builtins(settings), {"env": orders.environment}]
        return resume_job(path, control=control, delay=orders.delay, changes=changes, own=own)

    async def _searched(self, task: str, path: Path) -> Finished:
        if is_being_written(path):
            return Finished(task, "elsewhere", Spent())
        job = self._jobs[task] = self._job(task, path)
        job.search.share(self.limits)
        telling = asyncio.ensure_future(self._tell(task, job))
        try:
            reason = await job.run()
        finally:
            telling.cancel()
        used = spent(job.tree)
        if job.tree.state == "done" or reason.startswith("budget: "):
            return Finished(task, "done", used, reason)
        if job.control.stop_reason is not None:
            return Finished(task, "halted", used, reason)
        owed = owed_words(job.tree)
        if not owed and is_episode(self._orders.settings):  # the actor's only answer to its task was not usable
            return Finished(task, "done", used, reason)
        return Finished(task, "owed" if owed else "failed", used, reason, error=job.search.outage or owed or reason)

    async def _tell(self, task: str, job: SearchJob) -> None:
        while True:
            self._say(Report(task, spent(job.tree)))
            await asyncio.sleep(REPORT_SECONDS)


async def serve(read: asyncio.StreamReader, say: Callable[[FromWorker], None]) -> None:
    """Run the searches that are asked for until the input and all searches have ended."""
    worker: Worker | None = None
    searches: set[asyncio.Task[None]] = set()
    while line := await read.readline():
        message: ToWorker = to_worker.decode(line)
        if isinstance(message, Orders):
            worker = Worker(message, say)
            continue
        assert worker is not None
        if isinstance(message, RunTask):
            search = asyncio.ensure_future(worker.run(message.task, Path(message.path)))
            searches.add(search)
            search.add_done_callback(searches.discard)
        elif isinstance(message, Grant):
            if message.calls:
                worker.limits.grant(message.calls)
            else:
                worker.halt("calls of the collection", now=False)
        else:
            worker.halt(message.reason, message.now)
    if worker is not None and searches:  # the collector is gone
        worker.halt("stopped", now=True)
    await asyncio.gather(*searches, return_exceptions=True)


async def _main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what an environment prints must not stand between messages
    loop = asyncio.get_running_loop()
    read = asyncio.StreamReader(limit=MOST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(read), sys.stdin)

    def say(message: FromWorker) -> None:
        data = memoryview(line_of(message))
        try:
            while data:
                data = data[os.write(out, data) :]
        except OSError:  # the collector is gone: the end of the input says so, too
            return

    await serve(read, say)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the collector is told, and tells its workers
    asyncio.run(_main())
