"""The calls of judges: one event loop in a thread, so many calls at once, and one budget for all threads and trees.

Trees of one run share a pool. A reply that does not count (unread, empty, too long) is remembered as long as the pool
lives, so that a run asks for it once; replies that count are kept in the cache.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from msgspec import Struct

from engine.base.errors import WorkFailed
from engine.models.client import ChatRequest, Client, OnFault, complete, open_client
from engine.models.endpoint import Endpoint
from engine.models.reply import Reply
from engine.tree.events import Usage
from engine.verifiers.base import BudgetSpent, JudgeSettings
from engine.verifiers.judge_reply import Word

T = TypeVar("T")

GIVE_UP = 8
"""Questions to which no usable reply came, before any did, after which a model is taken for one that can't judge."""


class Vote(Struct, frozen=True):
    """The result of one question."""

    word: Word | None  # None: no vote
    text: str  # the reply, or why there is none


class Stopped(WorkFailed):
    """A person stopped the judging."""


class JudgePool:
    """Calls of one model. `start` and `run` may be called from any thread but the pool's own."""

    def __init__(self, judge: JudgeSettings, endpoint: Endpoint) -> None:
        self._judge = judge
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._slots: asyncio.Semaphore | None = None
        self._client: Client | None = None
        self._began = time.monotonic()
        self._attempts = 0
        self._tokens: int | None = 0  # None: unknown
        self._cost: float | None = 0.0
        self._running: set[asyncio.Task[Any]] = set()
        self._unanswered = 0
        self._answered = False
        self.failure: WorkFailed | None = None  # why nothing more is asked
        self.waiting = 0  # calls that are in flight or wait for a slot
        self.votes: dict[str, asyncio.Task[Vote]] = {}  # by key: in flight, and those that came to nothing
        self.seen: set[str] = set()  # keys of votes that were asked or known

    # -- from any thread ---------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin with some work."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="judging", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(self._tracked(work), self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work. Raises what it raises; `Stopped` where the pool was stopped."""
        if isinstance(self.failure, Stopped):
            work.close()
            raise self.failure
        return self.result(self.start(work))

    def result(self, future: Future[T]) -> T:
        """Waits for work that began. Raises as `run` does."""
        try:
            return future.result()
        except CancelledError:
            raise self.failure or Stopped("the judging was stopped") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Make no further call and drop those in flight: a thread that waits for one gets `Stopped`."""
        with self._lock:
            self.failure = Stopped("the judging was stopped")
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)

    def close(self) -> None:
        """Drop what is in flight and close the connections."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @property
    def attempts(self) -> int:
        """Calls so far, failed ones too."""
        return self._attempts

    @property
    def cost(self) -> float | None:
        """US dollars so far; None: unknown."""
        return self._cost if self._judge.price_in is not None and self._judge.price_out is not None else None

    def left_out(self) -> list[str]:
        """The parameters that the server refused, and that requests no longer hold."""
        return self._client.left_out() if self._client is not None else []

    # -- on its loop -------------------------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def _tracked(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await work
        finally:
            self._running.discard(task)

    def task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work on the pool's loop that several may wait for; it ends with the pool."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # a waiting thread gets it; there may be none

    def _cancel(self) -> None:
        for task in list(self._running):
            task.cancel()

    async def _end(self) -> None:
        mine = asyncio.current_task()
        self._cancel()
        await asyncio.gather(*(task for task in list(self._running) if task is not mine), return_exceptions=True)
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def call(self, ask: ChatRequest, fault: OnFault) -> Reply:
        """Returns one reply. Raises `CallFailed`; `WorkFailed` where no further call may be made."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._judge.concurrency)
        self.waiting += 1
        try:
            async with self._slots:
                self._permit()
                if self._client is None:
                    self._client = open_client(self._endpoint)
                return await complete(self._client, self._endpoint, ask, fault, self._permit)
        finally:
            self.waiting -= 1

    def _permit(self) -> None:
        """Before each attempt: may it be made? Raises `WorkFailed`."""
        if self.failure is None and (spent := self._spent()):
            self.failure = BudgetSpent(spent)
        if self.failure is not None:
            raise self.failure
        self._attempts += 1

    def _spent(self) -> str:
        judge = self._judge
        if judge.budget_calls is not None and self._attempts >= judge.budget_calls:
            return "calls"
        if judge.budget_seconds is not None and time.monotonic() - self._began >= judge.budget_seconds:
            return "seconds"
        if judge.budget_tokens is not None and (self._tokens is None or self._tokens >= judge.budget_tokens):
            return "tokens (the server tells none)" if self._tokens is None else "tokens"
        if judge.budget_cost is not None and (self._cost is None or self._cost >= judge.budget_cost):
            return "cost (it is unknown)" if self._cost is None else "cost"
        return ""

    def spend(self, usage: Usage | None, replied: bool = False) -> None:
        """Count what was paid; a reply without usage makes the sum unknown."""
        if usage is None and not replied:
            return
        told = usage is not None and usage.tokens_in is not None and usage.tokens_out is not None
        if usage is None or not told or self._tokens is None:
            self._tokens = None
        else:
            self._tokens += (usage.tokens_in or 0) + (usage.tokens_out or 0)
        if usage is None or usage.cost is None or self._cost is None:
            self._cost = None
        else:
            self._cost += usage.cost

    def answered(self) -> None:
        """A reply was read."""
        self._answered = True

    def unanswered(self, why: str) -> None:
        """A question got no usable reply: where none ever did, the model can't judge."""
        self._unanswered += 1
        if not self._answered and self._unanswered >= GIVE_UP and self.failure is None:
            self.failure = WorkFailed(f"the verifier's model gave no usable reply to {GIVE_UP} questions: {why}")
