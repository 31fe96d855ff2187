"""The draws in flight: who is asked, how many at once, and what becomes of answers and failures.

Draws are started when their node is selected and are waited for when it is expanded, so that those of several nodes
are under way at the same time. An answer is written the moment it arrives: whatever happens next, it is never asked
for again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from engine.actors.base import Actor, Answer, DrawFailed, NotPermitted, Request, draw_seed
from engine.base.response_text import clean
from engine.search.budgets import Budgets
from engine.tree.events import AnyEvent, Failed, Sampled, Usage
from engine.tree.tree import ROOT, SearchTree
from envs.base import EnvError, TextEnv

AtNode = Callable[[int, Callable[[TextEnv], Any]], Awaitable[Any]]
"""Asks the environment as it stands at a node."""


class Draws:
    """The calls of one search."""

    def __init__(
        self, tree: SearchTree, actor: Actor, at_node: AtNode, emit: Callable[[AnyEvent], None], budgets: Budgets
    ) -> None:
        assert tree.started is not None
        self._failed_in_a_row = 0
        self.outage = False  # the search stands still until whoever steers it says otherwise
        self._tree = tree
        self._actor = actor
        self._waits = getattr(actor, "waits", True)
        self._at_node = at_node
        self._emit = emit
        self._budgets = budgets
        self._settings = tree.started.settings
        self._of_node: dict[int, asyncio.Future[Any]] = {}  # node in flight → its draws
        self._cut_short: set[int] = set()  # nodes in flight whose draws a budget left out
        self._cancelled = False
        self.limit()

    def limit(self) -> None:
        """Take up how many calls the settings allow at once; those in flight are not counted anew."""
        self._slots = asyncio.Semaphore(self._settings.concurrency)

    # -- of a node ---------------------------------------------------------------------------------

    def start(self, parent: int) -> None:
        """Ask for the draws of a node in flight that were not answered yet; once."""
        if parent in self._of_node:
            return
        tree = self._tree
        made = tree.partial.get(parent, 0)
        answered = tree.pending.get(parent, {})
        first = tree.first_index[parent] - made
        draws = [draw for draw in range(made, made + tree.draws_of[parent]) if draw not in answered]
        if self._waits:
            self._of_node[parent] = asyncio.gather(*(self._draw(parent, draw, first + draw) for draw in draws))
        else:
            self._of_node[parent] = asyncio.ensure_future(self._in_turn(parent, draws, first))

    async def _in_turn(self, parent: int, draws: Sequence[int], first: int) -> None:
        """Draws that wait for nothing: a task for each would cost more than the draws themselves."""
        for draw in draws:
            await self._draw(parent, draw, first + draw)

    async def made(self, parent: int) -> bool:
        """Wait for the draws of a node; False where they were not all made, so that the node stays in flight."""
        try:
            await self._of_node[parent]
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            return False
        del self._of_node[parent]
        if parent in self._cut_short:
            self._cut_short.remove(parent)
            return False
        # an outage is no dead end: draws that failed are made again when the search goes on
        if parent == ROOT and not self._tree.pending.get(ROOT):  # nothing was ever answered
            self.outage = True
        return not self.outage

    def forgive(self) -> int:
        """Count failures anew; returns how many there were in a row."""
        failed, self._failed_in_a_row, self.outage = self._failed_in_a_row, 0, False
        return failed

    def cancel(self) -> None:
        """Let go of what is in flight: answers that arrived are in the trace."""
        self._cancelled = True
        for draws in self._of_node.values():
            draws.cancel()

    async def close(self) -> None:
        """The search ends: let go of what is in flight, and wait until it is gone."""
        self.cancel()
        await asyncio.gather(*self._of_node.values(), return_exceptions=True)
        self._of_node.clear()

    # -- one ---------------------------------------------------------------------------------------

    async def _draw(self, parent: int, draw: int, index: int) -> None:
        request = Request(
            parent,
            draw,
            index,
            draw_seed(self._settings.seed, parent, draw),
            partial(self._tree.conversation, parent),
            partial(self._at_node, parent),
            partial(self._fail, parent, draw),
            self._permit,
        )
        async with self._slots:
            try:
                self._permit()
                began = time.monotonic()
                answer = await self._actor.sample(request)
            except NotPermitted:
                self._cut_short.add(parent)
                return
            except DrawFailed as error:
                self.failed(parent, draw, error.kind, str(error), error.attempt, error.usage)
                return
            except EnvError as error:
                self.failed(parent, draw, "environment", str(error))
                return
        self._failed_in_a_row, self.outage = 0, False
        self._emit(self._sampled(parent, draw, answer, time.monotonic() - began))

    def _permit(self) -> None:
        """A call that was not made yet costs nothing: a budget is overrun by what is in flight, at most."""
        if self._budgets.spent():
            raise NotPermitted

    def failed(
        self, parent: int, draw: int, what: str, error: str, attempt: int = 1, usage: Usage | None = None
    ) -> None:
        """A draw came to nothing."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._settings.max_failures:
            self.outage = True
        self._fail(parent, draw, what, error, attempt, usage)

    def _fail(self, parent: int, draw: int, what: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
        line = " ".join(clean(error).split())
        seq = self._tree.seq + 1
        self._emit(Failed(seq=seq, parent=parent, draw=draw, what=what, error=line, attempt=attempt, usage=usage))

    def _sampled(self, parent: int, draw: int, answer: Answer, latency: float) -> Sampled:
        return Sampled(
            seq=self._tree.seq + 1,
            parent=parent,
            draw=draw,
            response=clean(answer.response),
            usage=answer.usage,
            latency=round(latency, 4) if latency >= 0.001 else None,
            prior=answer.prior,
            reasoning=answer.reasoning,
            action=answer.action,
            dropped=answer.dropped,
        )
