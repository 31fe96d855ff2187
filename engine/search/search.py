"""The search: an async loop that writes events.

`agent-r` is the search of the original (reference: Agent-R, arXiv 2501.11425). An iteration walks from the root to
a leaf and expands every node on its way that was not expanded before; terminal children are backed up at once.

Everything that the loop needs to go on is in the tree, which is a fold over the events so far: so a search is
resumed by folding its trace and running this loop again. The state of the random numbers that break ties is
restored from the recorded numbers of ties, and answers that arrived before the end are taken from the trace.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from msgspec.structs import replace

from engine.actors.base import Actor
from engine.environment.at_node import EnvironmentAtNode
from engine.environment.opened import Opened
from engine.environment.thread import EnvironmentThread, Stopped
from engine.search.algorithms import Outcome, walk_on
from engine.search.budgets import Budgets
from engine.search.child_scores import NOTHING, passing
from engine.search.control import Control, Pause
from engine.search.draws_in_flight import Draws
from engine.search.expansion import step_answers
from engine.search.started_event import code_versions
from engine.search.steering import Steering
from engine.tree.events import AnyEvent, BackedUp, Ended, Iteration, Number, Resumed, Selected, Started
from engine.tree.failure_kinds import ENVIRONMENT_GONE, STEP_FAILED
from engine.tree.node import ROOT, Walk
from engine.tree.tree import SearchTree
from envs.base import TextEnv

Sink = Callable[[AnyEvent], None]


class Search:
    """One search over one tree. `run` drives it; `control` steers it from any thread."""

    def __init__(
        self,
        tree: SearchTree,
        opened: Opened,
        actor: Actor,
        sink: Sink,
        control: Control | None = None,
    ) -> None:
        if tree.started is None:
            raise ValueError("the tree has no `started` event: use `begin`")
        self.tree = tree
        self.settings = tree.started.settings
        self.control = control or Control()
        self.actor = actor
        self.remarks: list[str] = []  # what is odd about the environment, as it was found out
        self.on_remark: Callable[[str], None] = lambda line: None  # is told each of them at once
        self.sink = sink
        self._clock = time.monotonic() - tree.t
        self._rng = random.Random(self.settings.seed)
        for ties in tree.ties:  # as far as the trace got
            self._rng.choice(range(ties))
        self._stand = EnvironmentAtNode(tree, opened, tree.started.prefix)
        self._environment_thread = EnvironmentThread(self._stand, opened.blocking)
        self._budgets = Budgets(tree, opened.score_range, self._clock)
        self._draws = Draws(tree, actor, self._at_node, self._lives, self._emit, self._budgets)
        self._steering = Steering(
            tree, self.control, self._stand, self._environment_thread.do, self._emit, self._back_up_leaves
        )

    @classmethod
    def begin(
        cls, started: Started, opened: Opened, actor: Actor, sink: Sink, control: Control | None = None
    ) -> Search:
        """Returns a new search.

        `started`: its first event. `opened`: the environment, reset. `actor`: proposes actions. `sink`: gets each event
        before the next is made. `control`: steers it from another thread; None: nobody does.
        """
        tree = SearchTree()
        sink(replace(started, settings=replace(started.settings)))  # this fold changes its own
        tree.apply(started)
        return cls(tree, opened, actor, sink, control)

    def _emit(self, event: AnyEvent) -> None:
        event.t = int((time.monotonic() - self._clock) * 10_000 + 0.5) / 10_000  # `round` takes four times as long
        self.sink(event)  # the file first: what the tree shows was written
        self.tree.apply(event)

    @property
    def _next(self) -> int:
        return self.tree.seq + 1

    def _at_node(self, id: int, ask: Callable[[TextEnv], Any]) -> Awaitable[Any]:
        return self._environment_thread.do(partial(self._stand.ask, id, ask))

    def _lives(self, id: int) -> Awaitable[bool]:
        return self._environment_thread.do(partial(self._stand.lives, id))

    def _stop(self) -> None:
        self._draws.cancel()
        self._environment_thread.abandon()

    # -- the loop ----------------------------------------------------------------------------------

    async def run(self) -> str:
        """Search until it is over; returns the reason, as in `ended`.

        Raises what the sink raises (a full disk); the trace is resumable then.
        """
        self.control.bind(self._stop)
        if self.tree.state == "done" and not self.control.changes and not self.control.requests:
            return self.tree.end_reason or "done"
        if self.tree.seq > 0:
            self._emit(Resumed(seq=self._next, code=code_versions()))
        self._take_settings()
        self._back_up_leaves(self._unfinished())
        self._take_remarks()
        try:
            reason = await self._search()
            if reason == "failures":
                await self._draws.land()
        except Stopped:  # answers that the environment had no time for are in the trace
            reason = self.control.stop_reason or "stopped"
        finally:
            await self._draws.close()
            await self._environment_thread.close()
        self._emit(Ended(seq=self._next, reason=reason, totals=self.totals()))
        return reason

    async def _search(self) -> str:
        tree = self.tree
        while True:
            if reason := self._must_end():
                return reason
            self._take_settings()
            await self._steering.intervene()
            if self.control.must_wait:
                await self._steering.wait()
                self._draws.outages.forgive()
                continue
            self._select()
            if not tree.in_flight:
                if self.control.requests or self.control.changes:  # came at the last moment
                    continue
                return "iterations" if tree.iteration >= self.settings.iterations else "exhausted"
            if await self._expand(await self._next_result()):
                self.control.take_step()

    async def _next_result(self) -> int:
        """The node in flight whose result is applied next: the one that was selected first, or with `any_order` the
        one whose draws are made first (again in the order of a trace whose answers are given again)."""
        in_flight = list(self.tree.in_flight)
        if not self.settings.any_order:
            return in_flight[0]
        order: Mapping[tuple[int, int], int] | None = getattr(self.actor, "order", None)
        if order is None:
            return await self._draws.first_made(in_flight)
        made = self.tree.partial
        return min(in_flight, key=lambda id: order.get((id, made.get(id, 0)), len(order)))

    def _must_end(self) -> str | None:
        """Why the search may not go on, although there may be nodes to expand."""
        if self.control.stop_reason is not None:
            return self.control.stop_reason
        if self.outage:
            if not self.control.waits_on_failures:
                return "failures"
            self.control.pause(Pause(self.outage, "failures"))
        return self._budgets.spent()

    def share(self, limits: AbstractAsyncContextManager[object]) -> None:
        """Enter these limits for each call: several searches of one process share them."""
        self._draws.shared = limits

    @property
    def outage(self) -> str:
        """What the search could not go on for; "" where it can."""
        return self._draws.outages.reason

    def _take_settings(self) -> None:
        if self._steering.take_settings():
            self._draws.limit()
            adapt = getattr(self.actor, "adapt", None)
            if adapt is not None:
                adapt(self.settings)

    # -- selecting ---------------------------------------------------------------------------------

    def _select(self) -> None:
        """Select until as many expansions are in flight as may be, and start their draws.

        Walks go on in the order in which they began; a new one begins where there is room.
        """
        tree = self.tree
        for id in tree.in_flight:  # of a search that is resumed
            self._draws.start(id)
        if tree.forced:  # what a person asked for comes first
            return
        for walk in list(tree.walks):
            if walk.position not in tree.in_flight:
                self._walk_on(walk)
        while len(tree.in_flight) < self.settings.parallel_nodes and not tree.nodes[ROOT].exhausted:
            if tree.iteration + len(tree.walks) >= self.settings.iterations:
                return
            if not self._walk_on(Walk([ROOT])):
                return

    def _walk_on(self, walk: Walk) -> bool:
        """Select where a walk goes on; False where it is over or has to wait."""
        tree = self.tree
        in_flight = passing(tree) if tree.in_flight else NOTHING
        before = self._rng.getstate() if self.settings.algorithm in ("uct", "puct") else None
        found = walk_on(tree, self.settings, self._rng, walk, in_flight)
        if before is not None and found is Outcome.OVER:  # a rollout chose its way to where it may not draw
            self._rng.setstate(before)  # only recorded choices count, or a resumed search would break ties otherwise
        if found is Outcome.OVER and walk in tree.walks:
            self._emit(Iteration(seq=self._next, number=tree.iteration + 1, leaf=walk.position))
        if isinstance(found, Outcome):
            return False
        in_flight_before = list(tree.in_flight)
        self._emit(
            Selected(seq=self._next, path=found.path, ties=found.ties, in_flight=in_flight_before, draws=found.draws)
        )
        self._draws.start(found.path[-1])
        return True

    # -- expanding and backing up ------------------------------------------------------------------

    async def _expand(self, parent: int) -> bool:
        """Wait for the draws of a node, step them, back up terminal children; False where some are not made yet."""
        if not await self._draws.made(parent):
            return False
        tree = self.tree
        event, failed, gone = await self._environment_thread.do(
            partial(step_answers, tree, self._stand, self.settings, parent)
        )
        self._take_remarks()
        self._draws.outages.stepped(parent, len(event.children), gone is None)
        if gone is not None:
            self._draws.failed(parent, gone.draw, ENVIRONMENT_GONE, gone.error)
            return False
        for draw, error in failed:
            self._draws.failed(parent, draw, STEP_FAILED, error)
        if parent == ROOT and not event.children:
            self._draws.nothing_usable()
            return False
        event.seq = self._next
        first = len(tree.nodes)
        self._emit(event)
        self._back_up_leaves(range(first, len(tree.nodes)))
        self._steering.look_for_breakpoints((parent, *range(first, len(tree.nodes))))
        return True

    def _take_remarks(self) -> None:
        for line in self._stand.take_remarks():
            what = line.partition(": ")[0]  # told once, with the first example
            if not any(known.partition(": ")[0] == what for known in self.remarks):
                self.remarks.append(line)
                self.on_remark(line)

    @property
    def differences(self) -> int:
        """Repeated steps that the environment answered otherwise than before."""
        return self._stand.differences

    def _back_up_leaves(self, ids: Iterable[int]) -> None:
        for id in ids:
            node = self.tree.nodes[id]
            if node.terminal is not None and node.visits == 0 and node.terminal != "dead_end":
                self._emit(BackedUp(seq=self._next, leaf=id, value=node.reward))

    def _unfinished(self) -> list[int]:
        """Leaves of the last expansion that a killed search did not back up."""
        last = self.tree.nodes[-1].parent
        return list(self.tree.nodes[last].children) if last >= 0 else []

    def totals(self) -> dict[str, Number | None]:
        """Figures of the whole search; None means unknown."""
        tree = self.tree
        return {
            "nodes": len(tree),
            "calls": tree.calls,
            "failures": len(tree.failures),
            "tokens_in": tree.tokens_in,
            "tokens_out": tree.tokens_out,
            "cost": tree.cost,
            "steps": tree.steps,
            "resets": tree.resets,
        }
