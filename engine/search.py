"""The search: an async loop that writes events.

`agent-r` is the search of the original (reference: Agent-R, arXiv 2501.11425). An iteration walks from the root to
a leaf and expands every node on its way that was not expanded before; terminal children are backed up at once.

Everything that the loop needs to go on is in the tree, which is a fold over the events so far: so a search is
resumed by folding its trace and running this loop again. The state of the random numbers that break ties is
restored from the recorded numbers of ties, and answers that arrived before the end are taken from the trace.
"""

from __future__ import annotations

import asyncio
import math
import platform
import random
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from engine import __version__
from engine.actor import Actor, Answer, DrawFailed, Request, draw_seed
from engine.control import Control
from engine.errors import InputError
from engine.events import (
    FORMAT_VERSION,
    AnyEvent,
    BackedUp,
    Child,
    Ended,
    Event,
    Expanded,
    Failed,
    Fork,
    Iteration,
    Number,
    Paused,
    PrefixStep,
    Repeat,
    Resumed,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    TerminalReason,
    Usage,
)
from engine.selection import best_children
from engine.standing import Opened, Stand
from engine.text import clean, normalise_response, parse_action
from engine.tree import ROOT, SearchTree
from envs.base import EnvError, StateKeys, recognise

ALGORITHMS = ("agent-r",)

E = TypeVar("E", bound=Event)
Sink = Callable[[AnyEvent], None]


def code_versions() -> dict[str, str]:
    """Versions of what makes the trace."""
    return {"agentr-tui": __version__, "python": platform.python_version()}


def instruction_of(first_observation: str) -> str:
    """The goal in a few words: what follows the last `Goal:` or the first line."""
    if "Goal:" in first_observation:
        return first_observation.rsplit("Goal:", 1)[1].strip().rstrip(".")
    if "Instruction: [SEP]" in first_observation:
        return first_observation.split("Instruction: [SEP]", 1)[1].split("[SEP]", 1)[0].strip()
    lines = first_observation.strip().splitlines()
    return lines[0].strip() if lines else ""


def check_settings(settings: SearchSettings) -> SearchSettings:
    """The settings, where they are usable. Raises `InputError` naming the one that is not."""
    try:
        msgspec.convert(msgspec.to_builtins(settings), SearchSettings)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        raise InputError(f"setting {place.rstrip('`')}: {reason[0].lower()}{reason[1:]}") from error
    if settings.algorithm not in ALGORITHMS:
        raise InputError(f"unknown algorithm {settings.algorithm!r}: one of {', '.join(ALGORITHMS)}")
    return settings


def started_event(
    opened: Opened,
    settings: SearchSettings,
    *,
    prefix: Iterable[PrefixStep] = (),
    forked_from: Fork | None = None,
    trace: str | None = None,
) -> Started:
    """The first event of a new search."""
    return Started(
        seq=0,
        version=FORMAT_VERSION,
        trace=trace or uuid.uuid4().hex[:16],
        environment=opened.environment,
        task=opened.task,
        header=opened.header,
        settings=settings,
        instruction=instruction_of(opened.first_observation),
        opened=opened.name if opened.name != opened.environment else "",
        score_range=opened.score_range,
        prefix=list(prefix),
        code=code_versions(),
        forked_from=forked_from,
    )


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
        self._actor = actor
        self._sink = sink
        self._opened = opened
        self._stand = Stand(tree, opened, tree.started.prefix)
        self._keys = opened.env if isinstance(opened.env, StateKeys) else None
        self._rng = random.Random(self.settings.seed)
        for ties in tree.ties:  # as far as the trace got
            self._rng.choice(range(ties))
        self._clock = time.monotonic() - tree.t
        self._failures_in_a_row = 0
        self._draws = self._draws_so_far()
        self._slots = asyncio.Semaphore(self.settings.concurrency)

    @classmethod
    def begin(
        cls, started: Started, opened: Opened, actor: Actor, sink: Sink, control: Control | None = None
    ) -> Search:
        """A new search: `started` is its first event."""
        tree = SearchTree()
        sink(started)
        tree.apply(started)
        return cls(tree, opened, actor, sink, control)

    def _draws_so_far(self) -> int:
        """How many draws were asked for by expansions that were applied."""
        expanded = sum(1 for node in self.tree.nodes if node.expanded)
        return expanded * self.settings.samples

    # -- writing events ----------------------------------------------------------------------------

    def _emit(self, event: AnyEvent) -> None:
        event.t = round(time.monotonic() - self._clock, 4)
        self._sink(event)  # the file first: what the tree shows was written
        self.tree.apply(event)

    @property
    def _next(self) -> int:
        return self.tree.seq + 1

    # -- the loop ----------------------------------------------------------------------------------

    async def run(self) -> str:
        """Search until it is over; returns the reason, as in `ended`.

        Raises what the sink raises (a full disk); the trace is resumable then.
        """
        self.control.bind()
        if self.tree.state == "done":
            return self.tree.end_reason or "done"
        if self.tree.state in ("stopped", "paused") or self.tree.seq > 0:
            self._emit(Resumed(seq=self._next, code=code_versions()))
        self._back_up_leaves(self._unfinished())
        try:
            reason = await self._search()
        finally:
            self._stand.close()
        self._emit(Ended(seq=self._next, reason=reason, totals=self.totals()))
        return reason

    async def _search(self) -> str:
        while True:
            if reason := self._over():
                return reason
            if self.control.must_wait:
                await self._wait()
                continue
            if self._select():
                await self._expand(next(iter(self.tree.in_flight)))
                self.control.take_step()

    def _over(self) -> str | None:
        tree = self.tree
        if self.control.stop_reason is not None:
            return self.control.stop_reason
        if self._failures_in_a_row >= self.settings.max_failures:
            return "failures"
        if not tree.in_flight and tree.position == ROOT:
            if tree.iteration >= self.settings.iterations:
                return "iterations"
            if tree.nodes[ROOT].exhausted:
                return "exhausted"
        return None

    async def _wait(self) -> None:
        self._emit(Paused(seq=self._next))
        while self.control.must_wait:
            await self.control.changed()
        if self.control.stop_reason is None:
            self._emit(Resumed(seq=self._next))

    def _select(self) -> bool:
        """Walk on to the next node to expand. False where the walk ended: that iteration is over."""
        tree = self.tree
        if tree.in_flight:
            return True
        walk = [tree.position]
        ties: list[int] = []
        while True:
            node = tree.nodes[walk[-1]]
            if not node.expanded and node.terminal is None:
                self._emit(Selected(seq=self._next, path=walk, ties=ties))
                return True
            best = best_children(tree, node.id, self.settings.c)
            if not best:
                self._emit(Iteration(seq=self._next, number=tree.iteration + 1))
                return False
            ties.append(len(best))
            walk.append(self._rng.choice(best))

    # -- expanding ---------------------------------------------------------------------------------

    async def _expand(self, parent: int) -> None:
        """Make the draws of a node that were not made yet, step them, back up terminal children."""
        missing = [draw for draw in range(self.settings.samples) if draw not in self.tree.pending.get(parent, {})]
        if not await self._all_or_stop([self._draw(parent, draw, self._draws + draw) for draw in missing]):
            return
        self._draws += self.settings.samples
        if self._opened.blocking:
            event = await asyncio.to_thread(self._step_draws, parent)
        else:
            event = self._step_draws(parent)
        first = len(self.tree.nodes)
        self._emit(event)
        self._back_up_leaves(range(first, len(self.tree.nodes)))

    async def _all_or_stop(self, draws: list[Coroutine[Any, Any, None]]) -> bool:
        """Make all draws; False where the search was told to stop before they were there."""
        together = asyncio.gather(*draws)
        self.control.in_flight = together
        try:
            await together
        except asyncio.CancelledError:
            if self.control.stop_reason is None:
                raise
            return False
        finally:
            self.control.in_flight = None
        return True

    async def _draw(self, parent: int, draw: int, index: int) -> None:
        tree = self.tree
        request = Request(
            parent,
            draw,
            index,
            draw_seed(self.settings.seed, parent, draw),
            lambda: tree.conversation(parent),
            lambda: self._stand.go_to(parent),
            lambda what, error, attempt: self._fail(parent, draw, what, error, attempt),
        )
        async with self._slots:
            began = time.monotonic()
            try:
                answer = await self._actor.sample(request)
            except (DrawFailed, EnvError) as error:
                self._failures_in_a_row += 1
                if isinstance(error, DrawFailed):
                    self._fail(parent, draw, error.kind, str(error), error.attempt, error.usage)
                else:
                    self._fail(parent, draw, "environment", str(error), 1)
                return
        self._failures_in_a_row = 0
        self._emit(self._sampled(parent, draw, answer, time.monotonic() - began))

    def _fail(self, parent: int, draw: int, what: str, error: str, attempt: int, usage: Usage | None = None) -> None:
        line = " ".join(clean(error).split())
        self._emit(
            Failed(seq=self._next, parent=parent, draw=draw, what=what, error=line, attempt=attempt, usage=usage)
        )

    def _sampled(self, parent: int, draw: int, answer: Answer, latency: float) -> Sampled:
        return Sampled(
            seq=self._next,
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

    def _step_draws(self, parent: int) -> Expanded:
        """Step the answers of a node in the order of their draws."""
        stand, answers = self._stand, self.tree.pending.get(parent, {})
        steps, resets = stand.steps, stand.resets
        children: list[Child] = []
        repeats: list[Repeat] = []
        seen: dict[str, int] = {}
        next_id = len(self.tree.nodes)
        for draw in sorted(answers):
            answer = answers[draw]
            response = normalise_response(answer.response)
            if response in seen:
                repeats.append(Repeat(draw, seen[response]))
                continue
            child = self._child(parent, answer, response)
            if child is not None:
                seen[response] = draw
                stand.became(next_id + len(children))
                children.append(child)
        return Expanded(
            seq=self._next,
            parent=parent,
            children=children,
            repeats=repeats,
            steps=stand.steps - steps,
            resets=stand.resets - resets,
        )

    def _child(self, parent: int, answer: Sampled, response: str) -> Child | None:
        action = answer.action if answer.action is not None else parse_action(response)
        try:
            observation, score, done = self._stand.try_action(parent, action)
            if not math.isfinite(score):
                raise EnvError(f"the environment gave the score {score}")
        except EnvError as error:
            self._failures_in_a_row += 1
            self._fail(parent, answer.draw, "environment", str(error), 1)
            return None
        terminal: TerminalReason | None = None
        if score < 0:
            terminal, score = "disaster", 0
        elif done:
            terminal = "done"
        elif self.tree.nodes[parent].depth + 1 > self.settings.max_depth:
            terminal = "depth"
        return Child(
            draw=answer.draw,
            action=action,
            observation=observation,
            reward=score,
            terminal=terminal,
            response=response if response != answer.response else None,
            state_key=self._keys.state_key() if self._keys is not None else None,
            prior=answer.prior,
        )

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
        totals: dict[str, Any] = {
            "nodes": len(tree),
            "calls": tree.calls,
            "failures": len(tree.failures),
            "tokens_in": tree.tokens_in,
            "tokens_out": tree.tokens_out,
            "cost": tree.cost,
            "steps": tree.steps,
            "resets": tree.resets,
        }
        return totals


def recognised_environment(first_observation: str) -> str | None:
    """The environment that a tree made elsewhere comes from."""
    info = recognise(first_observation)
    return info.name if info else None
