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
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
from msgspec.structs import replace

from engine import __version__
from engine.actor import Actor, Answer, DrawFailed, Request, draw_seed
from engine.algorithms import ALGORITHMS, Outcome, walk_on
from engine.control import Control
from engine.errors import InputError
from engine.events import (
    FORMAT_VERSION,
    AnyEvent,
    BackedUp,
    Child,
    Ended,
    Expanded,
    Failed,
    Fork,
    Intervened,
    Iteration,
    Number,
    Paused,
    PrefixStep,
    Repeat,
    Resumed,
    Sampled,
    SearchSettings,
    Selected,
    SettingsChanged,
    Started,
    TerminalReason,
    Usage,
)
from engine.human import WRITTEN
from engine.interventions import Intervention, refused
from engine.node import Walk
from engine.pairs import ALPHA
from engine.query import Predicate, parse
from engine.selection import NOTHING, passing
from engine.standing import Opened, Stand
from engine.text import clean, normalise_response, parse_action
from engine.tree import ROOT, SearchTree
from envs.base import EnvError, StateKeys, TextEnv

BUDGETS = ("budget_tokens", "budget_cost", "budget_calls", "budget_seconds", "budget_good")

T = TypeVar("T")
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
    return settings_from(msgspec.to_builtins(settings))


def settings_from(values: dict[str, Any]) -> SearchSettings:
    """Settings of plain values. Raises `InputError` naming the one that is unusable."""
    unknown = sorted(set(values) - set(SearchSettings.__struct_fields__))
    if unknown:
        raise InputError(f"unknown setting {unknown[0]!r}")
    try:
        settings = msgspec.convert(values, SearchSettings)
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
        self.actor = actor
        self._sink = sink
        self._opened = opened
        self._stand = Stand(tree, opened, tree.started.prefix)
        self._has_keys = isinstance(opened.env, StateKeys)
        self._rng = random.Random(self.settings.seed)
        for ties in tree.ties:  # as far as the trace got
            self._rng.choice(range(ties))
        self._clock = time.monotonic() - tree.t
        self._failures_in_a_row = 0
        self._good_leaves = 0
        self._counted = 0  # nodes whose returns _good_leaves covers
        self._drawing: dict[int, asyncio.Future[list[None]]] = {}  # node in flight → its draws
        self._slots = asyncio.Semaphore(self.settings.concurrency)
        self._cut_short: set[int] = set()  # nodes in flight whose draws a budget left out
        self._budgeted = any(getattr(self.settings, name) is not None for name in BUDGETS)
        self._breakpoints: dict[str, Predicate] = {}
        self._broke_at: set[tuple[str, int]] = set()  # breakpoints and the nodes at which they held up the search
        if self.control.waits_on_failures:  # somebody watches: breakpoints of before hold again
            for query in tree.breakpoints:
                self._set_breakpoint(query)
        # A blocking environment is used by one thread only, so that it never holds up the loop.
        self._thread = ThreadPoolExecutor(1, "environment") if opened.blocking else None

    @classmethod
    def begin(
        cls, started: Started, opened: Opened, actor: Actor, sink: Sink, control: Control | None = None
    ) -> Search:
        """A new search: `started` is its first event."""
        tree = SearchTree()
        sink(replace(started, settings=replace(started.settings)))  # this fold changes its own
        tree.apply(started)
        return cls(tree, opened, actor, sink, control)

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
        self.control.bind(self._cancel_draws)
        if self.tree.state == "done" and not self.control.changes and not self.control.requests:
            return self.tree.end_reason or "done"
        if self.tree.seq > 0:
            self._emit(Resumed(seq=self._next, code=code_versions()))
        self._change_settings()
        self._back_up_leaves(self._unfinished())
        try:
            reason = await self._search()
        finally:
            await self._drop_draws()
            await self._with_environment(self._stand.close)
            if self._thread is not None:
                self._thread.shutdown(wait=False)
        self._emit(Ended(seq=self._next, reason=reason, totals=self.totals()))
        return reason

    async def _search(self) -> str:
        tree = self.tree
        while True:
            if reason := self._must_end():
                return reason
            self._change_settings()
            if self.control.requests:
                await self._intervene()
            if self.control.must_wait:
                await self._wait("asked")
                continue
            self._select()
            if not tree.in_flight:
                if self.control.requests or self.control.changes:  # came at the last moment
                    continue
                return "iterations" if tree.iteration >= self.settings.iterations else "exhausted"
            if await self._expand(next(iter(tree.in_flight))):
                self.control.take_step()

    def _must_end(self) -> str | None:
        """Why the search may not go on, although there may be nodes to expand."""
        if self.control.stop_reason is not None:
            return self.control.stop_reason
        if self._failures_in_a_row >= self.settings.max_failures:
            if not self.control.waits_on_failures:
                return "failures"
            self._failures_in_a_row = 0
            last = self.tree.failures[-1].error
            self.control.pause(f"{self.settings.max_failures} draws in a row failed, the last: {last}")
        return self._spent()

    def _spent(self) -> str | None:
        """The budget that is used up, as the reason of the end."""
        tree, settings = self.tree, self.settings
        tokens = (tree.tokens_in or 0) + (tree.tokens_out or 0)
        used: list[tuple[str, float, float | None]] = [
            ("tokens", tokens, settings.budget_tokens),
            ("cost", tree.cost or 0.0, settings.budget_cost),
            ("calls", tree.calls + len(tree.failures), settings.budget_calls),
            ("seconds", time.monotonic() - self._clock, settings.budget_seconds),
            ("good", self._good() if settings.budget_good is not None else 0, settings.budget_good),
        ]
        return next(
            (f"budget: {name}" for name, amount, budget in used if budget is not None and amount >= budget), None
        )

    def _good(self) -> int:
        """Good leaves so far, by the default alpha."""
        low, high = self._opened.score_range
        for node in self.tree.nodes[self._counted :]:
            self._good_leaves += node.is_leaf and node.reward > low + ALPHA * (high - low)
        self._counted = len(self.tree.nodes)
        return self._good_leaves

    async def _wait(self, reason: str) -> None:
        self._emit(Paused(seq=self._next, reason=self.control.why_paused or reason))
        while self.control.must_wait:
            await self.control.changed()
            self._change_settings()
            await self._intervene()
        if self.control.stop_reason is None:
            self._emit(Resumed(seq=self._next))

    def _change_settings(self) -> None:
        """Take up what a person changed; it holds from the next selection on."""
        while self.control.changes:
            who, changes = self.control.changes.pop(0)
            try:
                settings_from({**msgspec.to_builtins(self.settings), **changes})
            except InputError:
                continue  # whoever asked is told where it was asked; a search does not end over it
            self._emit(SettingsChanged(seq=self._next, who=who, changes=changes))
            if "concurrency" in changes:
                self._slots = asyncio.Semaphore(self.settings.concurrency)
            self._budgeted = any(getattr(self.settings, name) is not None for name in BUDGETS)

    # -- what a person asks for --------------------------------------------------------------------

    async def _intervene(self) -> None:
        """Do what was asked for since the last look; what can't be done is written down with the reason."""
        tree, control = self.tree, self.control
        while control.requests and control.stop_reason is None:
            who, asked = control.requests.pop(0)
            child: Child | None = None
            why = refused(tree, asked)
            if why is None and asked.what == "edited":
                try:
                    child = await self._with_environment(partial(self._step_written, asked))
                except EnvError as error:
                    why = str(error)
            if why is not None:
                node = asked.node if 0 <= asked.node < len(tree) else ROOT
                detail = clean(f"{asked.what}: {why}")
                self._emit(Intervened(seq=self._next, who=who, what="refused", node=node, detail=detail))
                continue
            first = len(tree.nodes)
            self._emit(
                Intervened(
                    seq=self._next,
                    who=who,
                    what=asked.what,
                    node=asked.node,
                    detail="" if child is not None else clean(asked.detail),
                    of=asked.of,
                    child=child,
                )
            )
            self._back_up_leaves(range(first, len(tree.nodes)))
            if asked.what == "forced":
                control.allow(len(tree.in_flight))  # that node's, and those before it in the order of selection
            elif asked.what == "breakpoint":
                self._set_breakpoint(asked.detail)
            elif asked.what == "breakpoint removed":
                self._breakpoints.pop(asked.detail, None)

    def _step_written(self, asked: Intervention) -> Child:
        """Step what a person wrote. Raises `EnvError`."""
        response = normalise_response(clean(asked.detail))
        child = self._child(asked.node, Sampled(seq=0, parent=asked.node, draw=WRITTEN, response=response), response)
        child.response = response
        self._stand.became(len(self.tree.nodes))
        return child

    def _set_breakpoint(self, query: str) -> None:
        self._breakpoints[query] = parse(query).on(self.tree)

    def _look_for_breakpoints(self, ids: Iterable[int]) -> None:
        """Stand still where one of these nodes is what somebody waits for."""
        for query, test in self._breakpoints.items():
            for id in ids:
                if (query, id) not in self._broke_at and test(self.tree.nodes[id]):
                    self._broke_at.add((query, id))
                    self.control.pause(f"breakpoint: node {id} is {query}")
                    break

    # -- selecting ---------------------------------------------------------------------------------

    def _select(self) -> None:
        """Select until as many expansions are in flight as may be, and start their draws.

        Walks go on in the order in which they began; a new one begins where there is room.
        """
        tree = self.tree
        for id in tree.in_flight:  # of a search that is resumed
            if id not in self._drawing:
                self._start_draws(id)
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
        self._emit(
            Selected(
                seq=self._next, path=found.path, ties=found.ties, in_flight=list(tree.in_flight), draws=found.draws
            )
        )
        self._start_draws(found.path[-1])
        return True

    # -- expanding ---------------------------------------------------------------------------------

    def _start_draws(self, parent: int) -> None:
        """Ask for the draws of a node in flight that were not answered yet."""
        tree = self.tree
        made = tree.partial.get(parent, 0)
        wanted = tree.draws_of[parent]
        answered = tree.pending.get(parent, {})
        first = tree.first_index[parent] - made
        self._drawing[parent] = asyncio.gather(
            *(self._draw(parent, draw, first + draw) for draw in range(made, made + wanted) if draw not in answered)
        )

    async def _expand(self, parent: int) -> bool:
        """Wait for the draws of a node, step them, back up terminal children; False where the search must end."""
        try:
            await self._drawing[parent]
        except asyncio.CancelledError:
            if self.control.stop_reason is None:
                raise
            return False
        if parent in self._cut_short:
            return False  # a budget was used up before its draws were made: it stays in flight
        if self._failures_in_a_row >= self.settings.max_failures:
            del self._drawing[
                parent
            ]  # an outage is no dead end: its failed draws are made again when the search goes on
            return False
        del self._drawing[parent]
        event, failed = await self._with_environment(lambda: self._step_draws(parent))
        for draw, error in failed:
            self._failures_in_a_row += 1
            self._fail(parent, draw, "environment", error, 1)
        event.seq = self._next
        first = len(self.tree.nodes)
        self._emit(event)
        self._back_up_leaves(range(first, len(self.tree.nodes)))
        if self._breakpoints:
            self._look_for_breakpoints((parent, *range(first, len(self.tree.nodes))))
        return True

    async def _with_environment(self, work: Callable[[], T]) -> T:
        """Do something with the environment: at once, or in its thread where it may block."""
        if self._thread is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _cancel_draws(self) -> None:
        for drawing in self._drawing.values():
            drawing.cancel()

    async def _drop_draws(self) -> None:
        """End what is still in flight when the search ends: its answers that arrived are in the trace."""
        self._cancel_draws()
        await asyncio.gather(*self._drawing.values(), return_exceptions=True)
        self._drawing.clear()

    async def _draw(self, parent: int, draw: int, index: int) -> None:
        tree = self.tree

        async def environment(ask: Callable[[TextEnv], Any]) -> Any:
            return await self._with_environment(lambda: ask(self._stand.go_to(parent)))

        def fault(what: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
            self._fail(parent, draw, what, error, attempt, usage)

        request = Request(
            parent,
            draw,
            index,
            draw_seed(self.settings.seed, parent, draw),
            lambda: tree.conversation(parent),
            environment,
            fault,
        )
        async with self._slots:
            if self._budgeted and self._spent():  # a call that was not made yet costs nothing
                self._cut_short.add(parent)
                return
            began = time.monotonic()
            try:
                answer = await self.actor.sample(request)
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

    def _step_draws(self, parent: int) -> tuple[Expanded, list[tuple[int, str]]]:
        """Step the answers of a node in the order of their draws; what failed comes as (draw, error).

        May run in the environment's thread: it reads the tree, which stands still meanwhile below this node, and
        writes nothing.
        """
        tree, stand = self.tree, self._stand
        answers = tree.pending.get(parent, {})
        steps, resets = stand.steps, stand.resets
        event = Expanded(seq=0, parent=parent, partial=self._stays_partial(parent))
        failed: list[tuple[int, str]] = []
        seen = {tree.nodes[child].response: tree.nodes[child].draw for child in tree.nodes[parent].children}
        next_id = len(tree.nodes)
        for draw in sorted(answers):
            answer = answers[draw]
            response = normalise_response(answer.response)
            if response in seen:
                event.repeats.append(Repeat(draw, seen[response]))
                continue
            try:
                child = self._child(parent, answer, response)
            except EnvError as error:
                failed.append((draw, str(error)))
                continue
            seen[response] = draw
            stand.became(next_id + len(event.children))
            event.children.append(child)
        event.steps, event.resets = stand.steps - steps, stand.resets - resets
        return event, failed

    def _stays_partial(self, parent: int) -> bool:
        made, draws = self.tree.partial.get(parent, 0), self.tree.in_flight[parent].draws
        return draws > 0 and made + draws < self.settings.samples

    def _child(self, parent: int, answer: Sampled, response: str) -> Child:
        """Step one answer. Raises `EnvError`."""
        action = answer.action if answer.action is not None else parse_action(response)
        if answer.action is None and self.settings.algorithm == "agent-r":  # as the original: the nearest valid action
            action = self._stand.executable(parent, action)
        observation, score, done = self._stand.try_action(parent, action)
        if not math.isfinite(score):
            raise EnvError(f"the environment gave the score {score}")
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
            state_key=cast(StateKeys, self._stand.env).state_key() if self._has_keys else None,
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
