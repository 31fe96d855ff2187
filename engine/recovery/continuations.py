"""Would it recover? Continuations by the actor from just after a wrong step, with and without the revision thought.

A continuation is one trajectory: the actor goes on from the state after the wrong step until the environment says done,
the score falls below 0, or the depth limit. `without`: the actor sees the header and the steps up to the mark.
`with`: it sees the revision turn and its `ok.` after them. That turn takes no step in the environment, so both begin in
the same state; draw for draw both have the same seeds. A continuation is good where its return is above alpha.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from engine.actors.base import Actor, Answer, DrawFailed, Request
from engine.base.errors import AgentrError, InputError, WorkFailed
from engine.base.sums_with_unknowns import plus
from engine.base.text import clean, normalise_response
from engine.environment.at_node import POOL_SIZE, EnvironmentAtNode
from engine.environment.opened import name_to_go_on
from engine.environment.permission import TrustedSettings, check_search
from engine.environment.replay import opener
from engine.recovery.continuation_figures import MarkFigures
from engine.recovery.continuation_plan import (
    Mark,
    RecoverySettings,
    actor_settings,
    arms_of,
    figures_of,
    named_server,
    price_of,
)
from engine.recovery.continuation_store import Arm, ContinuedStep, Recoveries, ended, read_file
from engine.samples.sample import Sample
from engine.samples.splice import WAIT_ANSWER, thought_turn
from engine.search.actor_choice import check_actor, make_actor
from engine.search.control import Control
from engine.search.expansion import step_answer
from engine.search.outages import Outages
from engine.tree.events import Child, Expanded, Message, Sampled, Usage
from engine.tree.failure_kinds import ENVIRONMENT_GONE, STEP_FAILED
from engine.tree.messages import messages_of, observed
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, Snapshots, TextEnv, Unavailable

TOLD_EVERY = 0.1  # seconds, at most so often

T = TypeVar("T")


class Progress(Struct, frozen=True):
    """How far a recovery got."""

    calls: int  # answers that were paid for this time
    ended: int  # continuations that came to their end this time
    continuations: int  # that were to be made
    cost: float | None
    failed: dict[str, int]  # kind → draws that came to nothing
    words: dict[str, str]  # kind → what the last of them was told
    figures: list[MarkFigures]


class Recovery:
    """Continuations at marks of one bad trajectory. `control` stops them from any thread; what was made stays."""

    def __init__(
        self,
        tree: SearchTree,
        sample: Sample,
        marks: Sequence[Mark],
        settings: RecoverySettings,
        known: Recoveries,
        *,
        environment: str | None = None,
        control: Control | None = None,
        heard: Callable[[Progress], None] = lambda progress: None,
        tell_every: float = TOLD_EVERY,
        own: TrustedSettings = (),
    ) -> None:
        """`heard` is told at most every `tell_every` seconds, in the thread that runs them. `own`: what a
        person named besides `settings` (`engine.environment.permission`). Raises `InputError`."""
        if sample.bad is None or not sample.thought:
            raise InputError(f"sample {sample.id} has no revision thought: there is nothing to compare")
        self.settings = actor_settings(tree, settings)
        assert tree.started is not None
        self._named: list[Mapping[str, Any]] = [named_server(settings), {"actor": settings.actor}, *own]
        check_search(self.settings, tree.started, self._named, tree.source or sample.path, environment)
        self.control = control or Control()
        self._tree = tree
        self._sample = sample
        self._bad: int = sample.bad
        self._marks = list(marks)
        self._count = settings.continuations
        self._alpha = settings.alpha
        self._known = known
        self._environment = environment
        self._heard = heard
        self._told = 0.0
        self._tell_every = tell_every
        assert tree.started is not None
        named = environment or tree.started.environment
        recorded, tools = bool(self._recording), tree.started.tools
        self._actor = (
            None if recorded else make_actor(self.settings.actor, self.settings, environment=named, tools=tools)
        )
        price = price_of(tree, sample.thought, marks, self.settings, known, settings.continuations)
        self._wanted = price.continuations
        self._calls = self._ended = 0
        self._outages = Outages(self.settings)
        self._cost: float | None = None
        self._failed: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._broken: AgentrError | None = None
        self._over: dict[int, str] = {}  # marks that the environment will not go on from
        self._thread: ThreadPoolExecutor | None = None

    @property
    def _recording(self) -> str:
        return self.settings.actor.removeprefix("recorded:") if self.settings.actor.startswith("recorded:") else ""

    def progress(self) -> Progress:
        """How far it got."""
        marks = [replace(mark, over=self._over.get(mark.mark, mark.over)) for mark in self._marks]
        figures = figures_of(self._tree, self._sample.thought, marks, self.settings, self._known, self._alpha)
        return Progress(
            self._calls, self._ended, self._wanted, self._cost, dict(self._failed), dict(self._words), figures
        )

    def run_blocking(self) -> Progress:
        """Make what is missing, on an event loop of its own. Raises `InputError`, `WorkFailed`."""
        return asyncio.run(self.run())

    async def run(self) -> Progress:
        """Make the missing continuations; returns all there are in the end. Raises `InputError`, `WorkFailed`.

        Ends where the actor or the environment fails `max_failures` times in a row, or can't be asked at all; the same
        command again goes on from what was made.
        """
        try:
            if self._wanted and self.control.stop_reason is None:
                await self._continue_all()
        finally:
            close = getattr(self._actor, "close", None)
            if close is not None:
                await close()
        if self._broken is not None:
            raise self._broken
        self._heard(done := self.progress())
        return done

    async def _continue_all(self) -> None:
        opened = opener(self._tree, self._environment or self._open_as, self._named)()
        try:
            check_actor(opened, self.settings.actor)
        except InputError:
            opened.env.close()
            raise
        self._thread = ThreadPoolExecutor(1, "environment") if opened.blocking else None
        lanes = self.settings.concurrency
        if not isinstance(opened.env, Snapshots):  # more would take turns with the instances, and replay the way
            lanes = min(lanes, POOL_SIZE)
        assert self._tree.started is not None
        begun = replace(self._tree.started, seq=0, settings=self.settings)
        self._own = SearchTree([begun])  # of the continuations: the environment stands at its nodes
        try:
            self._stand = await self._with_environment(lambda: EnvironmentAtNode(self._own, opened, begun.prefix))
        except EnvError as error:
            raise InputError(str(error)) from error
        try:
            nodes = await self._with_environment(self._walk_to_marks)
            slots = asyncio.Semaphore(lanes)
            work = [
                self._in_turn(slots, arm, mark, nodes[mark.mark], number)
                for number in range(self._count)  # all marks grow evenly
                for mark in self._marks
                if mark.mark in nodes
                for arm in arms_of(self._tree, mark, self._sample.thought, self.settings)
                if not ended(self._known.of(arm.key).get(number, []))
            ]
            tasks = [asyncio.ensure_future(each) for each in work]

            def drop() -> None:
                for task in tasks:
                    task.cancel()

            self.control.bind(drop)
            for came in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(came, Exception):  # a defect: what is cancelled is none
                    raise came
        except EnvError as error:
            raise WorkFailed(f"sample {self._sample.id}: {error}") from error
        finally:
            await self._with_environment(self._stand.close)
            if self._thread is not None:
                self._thread.shutdown(wait=False)

    @property
    def _open_as(self) -> str:
        assert self._tree.started is not None
        return name_to_go_on(self._tree.started)

    async def _with_environment(self, work: Callable[[], T]) -> T:
        """Do something with the environment: at once, or in its thread where it may block."""
        if self._thread is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _walk_to_marks(self) -> dict[int, int]:
        """Go the bad trajectory as far as marks ask for: mark → node, with what the environment truly answers.

        Raises `EnvError`.
        """
        open_marks = {mark.mark for mark in self._marks if not mark.over}
        found: dict[int, int] = {}
        at = ROOT
        for depth, id in enumerate(self._tree.ancestors(self._bad)[1:], 1):
            if depth > max(open_marks, default=0):
                break
            node = self._tree.nodes[id]
            observation, score, done = self._stand.try_action(at, node.action)
            step = observed(node.as_prefix(), observation)
            child = Child(0, node.action, observation, max(score, 0), None, node.response)
            child.tool_calls, child.results = step.tool_calls, step.results
            at = self._grow(at, child)
            self._stand.remember_as(at)
            if reasoning := self._tree.reasoning.get(id):
                self._own.reasoning[at] = reasoning
            if done or score < 0:
                self._over |= {mark: "the episode is over here" for mark in open_marks if mark >= depth}
                break
            if depth in open_marks:
                found[depth] = at
        return found

    def _grow(self, parent: int, child: Child) -> int:
        """A new node of the continuations' own tree; only where the environment is."""
        self._own.apply(Expanded(seq=self._own.seq + 1, parent=parent, children=[child]))
        return len(self._own.nodes) - 1

    # -- one continuation ----------------------------------------------------------------------------

    async def _in_turn(self, slots: asyncio.Semaphore, arm: Arm, mark: Mark, node: int, number: int) -> None:
        async with slots:
            if self._broken is not None or self.control.stop_reason is not None:
                return
            try:
                await self._continue(arm, mark, node, number)
            except (DrawFailed, EnvError) as error:
                self._count_failure(error, await self._kind_of(error, node))
            except AgentrError as error:  # the disk is full, the settings can't work: the others would not either
                self._break(error)

    async def _kind_of(self, error: DrawFailed | EnvError, node: int) -> str:
        if isinstance(error, DrawFailed):
            return error.kind
        if isinstance(error, Unavailable) or not await self._with_environment(lambda: self._stand.lives(node)):
            return ENVIRONMENT_GONE
        return STEP_FAILED

    def _count_failure(self, error: DrawFailed | EnvError, kind: str) -> None:
        words = " ".join(clean(str(error)).split())
        self._failed[kind] = self._failed.get(kind, 0) + 1
        self._words[kind] = words
        self._spend(getattr(error, "usage", None))
        self._outages.failed(kind, words)
        if self._outages.reason:
            self._break(WorkFailed(f"sample {self._sample.id}: {self._outages.reason}"))

    def _break(self, error: AgentrError) -> None:
        self._broken = self._broken or error

    async def _continue(self, arm: Arm, mark: Mark, node: int, number: int) -> None:
        """Go on with a continuation to its end. Raises `DrawFailed`, `EnvError`, `AgentrError`."""
        actor = self._actor or recorded_actor(Path(self._recording), arm)
        at, shown = node, self._shown(arm, node)
        steps = list(self._known.of(arm.key).get(number, []))
        for step in steps:  # what an earlier process made; the environment goes that way when it is asked to
            at = await self._with_environment(partial(self._grow, at, _child(number, step)))
            shown += _messages(step)
        while not ended(steps):
            answer = await actor.sample(self._request(arm, node, at, number, len(steps), list(shown)))
            self._calls += 1
            self._outages.answered()
            self._spend(answer.usage)
            step, at = await self._with_environment(partial(self._step, arm, at, number, len(steps) + 1, answer))
            self._outages.stepped(at, 1, True)
            self._known.add(arm, step)
            steps.append(step)
            shown += _messages(step)
            self._ended += step.end != ""
            self._tell()
            await asyncio.sleep(0)  # an actor that never waits must not keep `stop` out
            if self.control.stop_reason is not None:
                return

    def _step(self, arm: Arm, at: int, number: int, place: int, answer: Answer) -> tuple[ContinuedStep, int]:
        """Step an answer: the step, and the node it leads to. Raises `EnvError`."""
        response = normalise_response(clean(answer.response))
        sampled = Sampled(
            seq=0, parent=at, draw=number, response=response, action=answer.action, tool_calls=answer.tool_calls
        )
        child = step_answer(self._own, self._stand, self.settings, at, sampled, response)
        ended = child.terminal or ""
        assert ended == "" or ended == "done" or ended == "disaster" or ended == "depth"
        step = ContinuedStep(
            key=arm.key,
            number=number,
            step=place,
            response=response,
            action=child.action,
            observation=child.observation,
            score=child.reward,
            end=ended,
            usage=answer.usage,
            dropped=answer.dropped,
            tool_calls=answer.tool_calls,
            results=child.results,
            reasoning=answer.reasoning or "" if self.settings.send_reasoning else "",
        )
        node = self._grow(at, _child(number, step))
        self._stand.remember_as(node)
        return step, node

    def _shown(self, arm: Arm, node: int) -> list[Message]:
        """What the actor sees at the mark."""
        messages = self._own.conversation(node)
        if arm.thought:
            calls = self._own.started is not None and bool(self._own.started.tools)  # no line `Action:` then
            said = arm.thought if calls else thought_turn(arm.thought)
            messages += [Message("assistant", said), Message("user", WAIT_ANSWER)]
        return messages

    def _request(self, arm: Arm, mark: int, at: int, number: int, place: int, shown: list[Message]) -> Request:
        async def environment(ask: Callable[[TextEnv], Any]) -> Any:
            return await self._with_environment(lambda: ask(self._stand.go_to(at)))

        def fault(what: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
            self._spend(usage)

        seed = continuation_seed(self.settings.seed, arm.node, number, place)
        actions = partial(self._own.actions_to, at)
        return Request(mark, number, place, seed, lambda: shown, environment, fault, actions=actions)

    def _spend(self, usage: Usage | None) -> None:
        if usage is not None:
            self._cost = plus(self._cost, usage.cost)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= self._tell_every:
            self._told = now
            self._heard(self.progress())


def continuation_seed(seed: int, node: int, number: int, place: int) -> int:
    """The seed of a draw: 31 bits. The same with the thought and without it: only what the actor reads differs.

    `seed`: of the run. `node`: after the wrong step. `number`: of the continuation, from 0. `place`: of the step
    in it, from 0.
    """
    digest = blake2b(b"%d/%d/%d/%d/continuation" % (seed, node, number, place), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFF_FFFF


def _child(number: int, step: ContinuedStep) -> Child:
    child = Child(number, step.action, step.observation, step.score, step.end or None, step.response)
    child.tool_calls, child.results = step.tool_calls, step.results
    return child


def _messages(step: ContinuedStep) -> list[Message]:
    messages = messages_of(step, f"r{step.step}")
    if step.reasoning:
        messages[0] = replace(messages[0], reasoning=step.reasoning)
    return messages


class RecordedContinuations:
    """Gives the answers of recorded continuations of one arm again."""

    def __init__(self, by_number: dict[int, list[ContinuedStep]], source: Path) -> None:
        self._by_number = by_number
        self._source = source

    async def sample(self, request: Request) -> Answer:
        """The recorded answer. Raises `DrawFailed` where the recording ends."""
        steps = self._by_number.get(request.draw, [])
        if request.index >= len(steps):
            raise DrawFailed(
                "not recorded", f"{self._source} holds no step {request.index + 1} of continuation {request.draw}"
            )
        step = steps[request.index]
        return Answer(step.response, action=step.action, dropped=step.dropped, tool_calls=step.tool_calls)


def recorded_actor(path: Path, arm: Arm) -> Actor:
    """The continuations that a file holds from this arm's node with this arm's thought. Raises `InputError`."""
    arms, continuations = read_file(path)
    for key, each in arms.items():
        if (each.trace, each.node, each.thought) == (arm.trace, arm.node, arm.thought):
            return RecordedContinuations(continuations.get(key, {}), path)
    return RecordedContinuations({}, path)
