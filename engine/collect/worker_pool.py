"""Runs a collection: starts workers, gives them tasks, and replaces workers that are lost.

A worker is a process (`engine.collect.worker`), of this machine or of Ray (`engine.collect.worker_link`). Another
worker resumes the searches of a lost one from their traces: no answer is asked for twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from engine.base.errors import WorkFailed
from engine.collect.messages import Finished, Grant, Halt, Orders, Report, RunTask, Wants
from engine.collect.task_ledger import Ledger
from engine.collect.worker_link import StartWorker, WorkerLink

TICK = 0.25
"""Seconds between two looks at budgets and at tasks that are due again."""

PATIENCE = 20.0
"""Seconds that workers have to end their searches after they were told to."""

MOST_FAILED_STARTS, MOST_KILLED_STARTS = 3, 30
"""Workers in a row that end before they say anything: of themselves, or killed."""


class Collector:
    """One run of a collection."""

    def __init__(self, ledger: Ledger, orders: Orders, start: StartWorker, workers: int, at_once: int) -> None:
        """`orders`: of each worker. `start`: starts one. `at_once`: searches of one worker."""
        self.ledger = ledger
        self.pids: list[int] = []  # of the workers that run
        self._orders, self._start_worker = orders, start
        self._workers, self._at_once = workers, at_once
        self.changed: Callable[[], None] = lambda: None  # is called when there is news
        self._running: list[WorkerLink] = []
        self._news = asyncio.Event()
        self._halted = ""
        self._failed_starts = 0
        self._give_up = math.inf  # monotonic seconds: when workers that do not end are killed

    @property
    def halted(self) -> str:
        """Why the collection ends before all tasks are done; "" where it does not."""
        return self._halted

    def halt(self, reason: str, now: bool = False) -> None:
        """End all searches cleanly; they go on with the next run of the same command. May be repeated with `now`."""
        self._halted = self._halted or reason
        if now:
            self._give_up = min(self._give_up, time.monotonic() + PATIENCE)
        self.ledger.stop()
        for worker in self._running:
            worker.tell(Halt(reason, now))
        self._news.set()

    async def run(self) -> None:
        """Until all tasks are settled or the collection is halted. Raises `WorkFailed` where no worker can live."""
        count = min(self._workers, len(self.ledger.tasks) - len(self.ledger.outcomes))
        keepers = [asyncio.ensure_future(self._keep(number)) for number in range(count)]
        try:
            while not self.ledger.settled and time.monotonic() < self._give_up:
                await self._tick()
                for keeper in keepers:
                    if keeper.done():
                        keeper.result()
            for worker in self._running:
                worker.close()
            await asyncio.wait_for(asyncio.gather(*keepers), PATIENCE)
        except TimeoutError:
            pass
        finally:
            for worker in self._running:
                worker.kill()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _tick(self) -> None:
        if not self._halted and (spent := self.ledger.over_budget()):
            self.halt(f"{spent} of the collection")
        if not self._halted:
            self._give()
        wait = self.ledger.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), TICK if wait is None else min(TICK, wait + 0.01))
        self._news.clear()

    def _give(self) -> None:
        """Give out what is due, to the worker with the fewest searches first."""
        while True:
            free = [worker for worker in self._running if len(worker.tasks) < self._at_once]
            if not free or (task := self.ledger.next_task()) is None:
                return
            worker = min(free, key=lambda worker: len(worker.tasks))
            worker.tasks.add(task)
            worker.tell(RunTask(task, str(self.ledger.paths[task])))

    # -- workers -------------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Keep one worker running until there is nothing left to do."""
        while not self._halted and not self.ledger.settled:
            worker = await self._start(number)
            try:
                await self._listen(worker)
            finally:
                self._running.remove(worker)
                self.pids.remove(worker.pid)
            self._lost(worker, killed=await worker.ended())

    async def _start(self, number: int) -> WorkerLink:
        worker = await self._start_worker(number)
        worker.tell(self._orders)
        self._running.append(worker)
        self.pids.append(worker.pid)
        self._news.set()
        return worker

    async def _listen(self, worker: WorkerLink) -> None:
        while (message := await worker.hear()) is not None:
            worker.spoke = True
            if isinstance(message, Wants):
                self._grant(worker)
                continue
            worker.granted -= self.ledger.report(message.task, message.spent)
            if isinstance(message, Report):
                worker.begun.add(message.task)
            else:
                self._ended(worker, message)
            self.changed()

    def _grant(self, worker: WorkerLink) -> None:
        calls = 0 if self._halted else self.ledger.grant(self._workers)
        worker.granted += calls
        worker.tell(Grant(calls))
        if not calls and not self._halted:
            self.halt("calls of the collection")

    def _ended(self, worker: WorkerLink, finished: Finished) -> None:
        worker.tasks.discard(finished.task)
        self.ledger.ended(finished)
        if not self._halted:
            self._give()
        self._news.set()

    def _lost(self, worker: WorkerLink, killed: bool) -> None:
        """A worker ended: of itself at the end, or lost, with searches to be resumed."""
        if worker.tasks or not self.ledger.settled:
            self.ledger.lost += not self._halted
        self.ledger.granted = max(0, self.ledger.granted - max(0, worker.granted))
        for task in worker.tasks:
            if self._halted:
                self.ledger.under_way.pop(task, None)
            else:
                self.ledger.give_back(task, begun=task in worker.begun)
        self._failed_starts = 0 if worker.spoke else self._failed_starts + 1
        if self._failed_starts >= (MOST_KILLED_STARTS if killed else MOST_FAILED_STARTS):
            raise WorkFailed(f"no worker can be started: {worker.last_words() or 'it ended at once'}")
        self._news.set()
        self.changed()


def shares(total: int, parts: int) -> Sequence[int]:
    """Returns a number in parts as equal as possible, at least 1 each."""
    return [max(1, total // parts + (place < total % parts)) for place in range(parts)]
