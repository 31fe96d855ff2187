"""The draws in flight: which calls are made, how many at once, and what becomes of answers and failures.

Draws are started when their node is selected and are waited for when it is expanded, so that those of several nodes are
in flight at the same time. An answer is written when it arrives: whatever happens next, it is never asked for again. A
draw that met an outage (`engine.search.outages`) is owed, and is made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, NamedTuple

from engine.actors.base import Actor, Answer, DrawFailed, NotPermitted, Request, draw_seed
from engine.base.text import clean
from engine.search.budgets import Budgets
from engine.search.outages import Outages
from engine.tree.events import AnyEvent, Failed, Message, Sampled, ToolCall, Usage
from engine.tree.failure_kinds import ENVIRONMENT_GONE, STEP_FAILED
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, TextEnv, Unavailable

AtNode = Callable[[int, Callable[[TextEnv], Any]], Awaitable[Any]]
"""Asks the environment as it stands at a node."""

Lives = Callable[[int], Awaitable[bool]]
"""Whether the environment still comes to a node."""


class _AtNode(NamedTuple):
    """What the draws of one node ask with: as in `Request`."""

    parent: int
    conversation: Callable[[], list[Message]]
    environment: Callable[[Callable[[TextEnv], Any]], Awaitable[Any]]
    actions: Callable[[], list[str]]


class Draws:
    """The calls of one search."""

    def __init__(
        self,
        tree: SearchTree,
        actor: Actor,
        at_node: AtNode,
        lives: Lives,
        emit: Callable[[AnyEvent], None],
        budgets: Budgets,
    ) -> None:
        assert tree.started is not None
        self.outages = Outages(tree.started.settings)  # where one has a reason, nothing is asked until it is forgiven
        self._tree = tree
        self._actor = actor
        self._waits = getattr(actor, "waits", True)
        self._at_node = at_node
        self._lives = lives
        self._emit = emit
        self._budgets = budgets
        self._settings = tree.started.settings
        self._of_node: dict[int, asyncio.Future[Any]] = {}  # node in flight → its draws
        self._cut_short: set[int] = set()  # nodes in flight whose draws were left out: a budget is used up, an outage
        self._cancelled = False
        self.shared: AbstractAsyncContextManager[object] | None = None  # entered for each call; of several searches
        self.limit()

    def limit(self) -> None:
        """Take up how many calls the settings allow at once; those in flight are not counted anew."""
        self._slots = asyncio.Semaphore(self._settings.concurrency)

    # -- of a node ---------------------------------------------------------------------------------

    def start(self, parent: int) -> None:
        """Ask for the draws of a node in flight that are not made yet; once at a time."""
        if parent in self._of_node:
            return
        draws = self._missing(parent)
        if not draws and parent == ROOT and ROOT not in self._tree.pending:  # none was usable: there is nothing else
            draws = list(self._of(ROOT))
        first = self._tree.first_index[parent] - self._tree.partial.get(parent, 0)
        if self._waits:
            at = self._at(parent)
            self._of_node[parent] = asyncio.gather(*(self._draw(at, draw, first + draw) for draw in draws))
        else:
            self._of_node[parent] = asyncio.ensure_future(self._in_turn(parent, draws, first))

    def _of(self, parent: int) -> range:
        """The draws of a node in flight."""
        made = self._tree.partial.get(parent, 0)
        return range(made, made + self._tree.draws_of[parent])

    def _missing(self, parent: int) -> list[int]:
        """Those of them that were neither answered nor found unusable."""
        answered, unusable = self._tree.pending.get(parent, ()), self._tree.unusable.get(parent, ())
        return [draw for draw in self._of(parent) if draw not in answered and draw not in unusable]

    async def _in_turn(self, parent: int, draws: Sequence[int], first: int) -> None:
        """Draws that wait for nothing: a task for each would cost more than the draws themselves."""
        at = self._at(parent)
        for draw in draws:
            await self._draw(at, draw, first + draw)

    async def first_made(self, parents: Sequence[int]) -> int:
        """Wait until the draws of one of these nodes are made, or ended otherwise; of several return the first."""
        await asyncio.wait([self._of_node[parent] for parent in parents], return_when=asyncio.FIRST_COMPLETED)
        return next(parent for parent in parents if self._of_node[parent].done())

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
        if parent == ROOT and not self._tree.pending.get(ROOT):
            self.nothing_usable()
            return False
        return not self._missing(parent)

    def nothing_usable(self) -> None:
        """Note that the draws of the root were made, and none gave a child."""
        last = self._tree.failures[-1]
        self.outages.nothing_usable(len(self._of(ROOT)), last.what, last.error)

    async def land(self) -> None:
        """Wait for the calls in flight: what they bring is paid for. Nothing else begins, in an outage."""
        await asyncio.gather(*self._of_node.values(), return_exceptions=True)

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

    def _at(self, parent: int) -> _AtNode:
        return _AtNode(
            parent,
            partial(self._tree.conversation, parent),
            partial(self._at_node, parent),
            partial(self._tree.actions_to, parent),
        )

    async def _draw(self, at: _AtNode, draw: int, index: int) -> None:
        parent = at.parent
        request = Request(
            parent,
            draw,
            index,
            draw_seed(self._settings.seed, parent, draw),
            at.conversation,
            at.environment,
            partial(self._fail, parent, draw),
            self._permit,
            at.actions,
        )
        async with self._slots:
            try:
                if self.shared is None:  # mostly: no context is entered for nothing
                    answer, took = await self._answer(request)
                else:
                    async with self.shared:
                        answer, took = await self._answer(request)
            except NotPermitted:
                self._cut_short.add(parent)
                return
            except DrawFailed as error:
                self.failed(parent, draw, error.kind, str(error), error.attempt, error.usage, error.raw)
                return
            except Unavailable as error:
                self.failed(parent, draw, ENVIRONMENT_GONE, str(error))
                return
            except EnvError as error:
                what = STEP_FAILED if await self._lives(parent) else ENVIRONMENT_GONE
                self.failed(parent, draw, what, str(error))
                return
        self.outages.answered()
        self._emit(self._sampled(parent, draw, answer, took))

    async def _answer(self, request: Request) -> tuple[Answer, float]:
        """The answer to a draw, if one may be asked for now, and how many seconds it took."""
        self._permit()
        began = time.monotonic()
        answer = await self._actor.sample(request)
        return answer, time.monotonic() - began

    def _permit(self) -> None:
        """A call that was not made yet costs nothing: a budget is overrun by what is in flight, at most."""
        if self.outages.reason or self._budgets.spent():
            raise NotPermitted

    def failed(
        self,
        parent: int,
        draw: int,
        what: str,
        error: str,
        attempt: int = 1,
        usage: Usage | None = None,
        raw: str | None = None,
    ) -> None:
        """Record that a draw, or its step, failed for good.

        `parent` and `draw`: the node, and which of its draws. `what`: the kind (`engine.tree.failure_kinds`); `error`:
        a line. `attempt`: the last one, from 1. `usage`: what it cost; None: not known. `raw`: the answer as it
        arrived; None: there was none.
        """
        self._fail(parent, draw, what, error, attempt, usage, raw)
        self.outages.failed(what, self._tree.failures[-1].error)

    def _fail(
        self,
        parent: int,
        draw: int,
        what: str,
        error: str,
        attempt: int,
        usage: Usage | None = None,
        raw: str | None = None,
        /,
    ) -> None:
        line = " ".join(clean(error).split())
        seq, raw = self._tree.seq + 1, None if raw is None else clean(raw)
        self._emit(
            Failed(seq=seq, parent=parent, draw=draw, what=what, error=line, attempt=attempt, usage=usage, raw=raw)
        )

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
            raw=None if answer.raw is None or answer.raw == answer.response else clean(answer.raw),
            notes=list(answer.notes),
            tool_calls=_cleaned(answer.tool_calls) if answer.tool_calls else (),
        )


def _cleaned(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(clean(call.name), clean(call.arguments)) for call in calls)
