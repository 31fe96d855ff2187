"""Replay: does a trajectory hold in the environment? Does a whole tree?

The stored, executed actions are stepped in a fresh environment and compared with what was stored. Splices of one tree
share most of their steps: what was stepped once from the start is answered from memory the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from engine.base.errors import InputError
from engine.base.text import clean, flatten
from engine.environment.at_node import EnvironmentAtNode
from engine.environment.instances import Reply
from engine.environment.opened import Opened, at_hand, instruction_of, name_to_open, open_environment, recalls
from engine.environment.permission import TrustedSettings, UntrustedTrace, permit, remember
from engine.environment.states import States
from engine.tree.events import Number
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, InstanceDied, UnknownTask

Verdict = Literal["verified", "reobserved", "diverged", "unreplayable", "repaired", "unreplayed"]
HOLDS: frozenset[str] = frozenset({"verified", "reobserved", "repaired"})
"""Verdicts after which a sample holds in the environment."""
NOT_REFUTED = HOLDS | {"unreplayed"}
"""These, and that of a sample that no environment was asked about: whether it holds is for a person to say."""

TOLERANCE = 1e-9  # of returns, which environments compute in floating point

Enough = Callable[[Number], bool]
"""Whether a return that is below the expected one will do all the same: the pair's own terms."""

NOTHING_ELSE: Enough = lambda score: False  # noqa: E731


class Step(Struct, frozen=True):
    """One step to replay, with what was stored of it."""

    action: str
    observation: str


class Replay(Struct, omit_defaults=True, frozen=True):
    """The result of a replay.

    `verified`: every observation as stored, and the return. `reobserved`: observations or the return differ, but the
    pair's own thresholds hold: `observations` has the true text of the steps (0 for the first) where another was
    stored, `score` the true return; where it is reached before the last step, `ended` is the number of steps that are
    left of the trajectory. `diverged`: the return is lost; `step` is the first step that differs. `unreplayable`:
    `reason` says why. `unreplayed`: the tree is an import, and no environment is at hand.
    """

    verdict: Verdict
    steps: int = 0  # environment steps that were taken
    score: Number = 0  # the return that was reached
    step: int | None = None  # first step that differs
    expected: str = ""
    got: str = ""
    reason: str = ""
    observations: dict[int, str] = {}
    ended: int | None = None  # steps after which the episode was over, where that is before the last one


class NoEnvironment(InputError):
    """The environment of an imported tree is not known, and nobody named one."""


class AnotherTask(InputError):
    """An environment was opened for a tree, and has another task than the tree."""


def opener(tree: SearchTree, environment: str | None = None, own: TrustedSettings = ()) -> Callable[[], Opened]:
    """Returns a function that opens the environment of a tree.

    Where the tree is imported, or was made in another environment, the task is found, or rebuilt, by its first
    observation; a task with another goal is never taken for it.

    `tree`: the search. `environment`: name of the environment to open; None: the tree's own. `own`: settings that a
    person named (`engine.environment.permission`).

    The function raises `InputError`, `NoEnvironment`, `AnotherTask`, and `UntrustedTrace` where a person has to be
    asked first.
    """
    started = tree.started
    if started is None:
        raise ValueError("the tree has no `started` event")
    name, own = environment or name_to_open(started), list(own)
    first = started.header[-1].content if started.header else None
    elsewhere = environment is not None and environment not in (started.environment, started.opened)
    hint = first if tree.imported_from is not None or elsewhere or recalls(name) else None

    def open_tree() -> Opened:
        source = tree.source or "this trace"
        if not at_hand(name):
            raise NoEnvironment(f"{source}: no environment is at hand ({name}): --env names one to replay in")
        allowed = permit(name, started, own, source)
        try:
            opened = open_environment(allowed, started.task, hint)
        except InputError as error:
            if isinstance(error.__cause__, UnknownTask) and (elsewhere or recalls(name)):
                raise AnotherTask(f"{source}: {error}") from error
            raise
        if elsewhere and first is not None:
            _check_goal(opened, first, source)
        if environment is not None and any(each.get("env") == name for each in own):
            remember(started, allowed, source=source)  # a person named it for this tree
        return opened

    return open_tree


def _check_goal(opened: Opened, first: str, source: object) -> None:
    """Raises `AnotherTask` where an environment that was opened in the place of another one started another task."""
    was, now = instruction_of(first), instruction_of(opened.first_observation)
    if was.split() != now.split():
        opened.env.close()
        raise AnotherTask(
            f"{source}: task {opened.task} of {opened.name} is another one: it starts with {now[:80]!r}, not with"
            f" {was[:80]!r}"
        )


MAX_REMEMBERED = 200_000
"""Steps that a replayer remembers; then it begins anew."""


class _Memory:
    """Replies of an environment to the actions that were stepped from its start, as a tree of numbered states."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], tuple[int, Reply]] = {}  # state, action → state, reply; the start is 0


class _Walk:
    """Steps from the root of a tree, for as long as it takes one trajectory."""

    def __init__(self, memory: _Memory, stand: Callable[[], EnvironmentAtNode]) -> None:
        self._memory = memory
        self._open = stand
        self._state = 0
        self._actions: list[str] = []
        self._stand: EnvironmentAtNode | None = None  # which stands behind these actions

    def step(self, action: str) -> Reply:
        """The environment's answer. Raises `EnvError`, and `InputError` where there is no environment."""
        known = self._memory.known
        found = known.get((self._state, action))
        if found is None:
            found = known[self._state, action] = (len(known) + 1, self._really(action))
        else:
            self._stand = None
        self._actions.append(action)
        self._state = found[0]
        return found[1]

    def _really(self, action: str) -> Reply:
        try:
            if self._stand is not None:
                return self._stand.step(action)
            return self._all(action)
        except InstanceDied:
            return self._all(action)

    def _all(self, action: str) -> Reply:
        self._stand = None  # nobody knows where it stands, should a step fail
        stand = self._open()
        for before in self._actions:
            stand.step(before)
        reply = stand.step(action)
        self._stand = stand
        return reply


class Replayer:
    """Replays trajectories of one tree; the environment is opened once and kept."""

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened]) -> None:
        self._tree = tree
        self._open = open_environment
        self._stand: EnvironmentAtNode | None = None
        self._states: States | None = None
        self._refused: Replay | None = None
        self._memory = _Memory()

    def stand(self) -> EnvironmentAtNode:
        """The environment at the root of the tree. Raises `InputError`."""
        if self._stand is None:
            assert self._tree.started is not None
            self._stand = EnvironmentAtNode(self._tree, self._open(), self._tree.started.prefix)
        self._stand.go_to(ROOT)
        return self._stand

    @property
    def states(self) -> States:
        """The states of the tree's task, to look ahead in; of an environment of their own."""
        if self._states is None:
            self._states = States(self._tree, self._open)
        return self._states

    @property
    def steps(self) -> int:
        """Environment steps so far, those of looking ahead included."""
        mine = self._stand.steps if self._stand is not None else 0
        return mine + (self._states.steps if self._states is not None else 0)

    def replay(
        self, steps: Sequence[Step], expected_return: Number, tail: int = 0, enough: Enough = NOTHING_ELSE
    ) -> Replay:
        """Replay steps from the root.

        `steps`: with the stored actions and observations. `expected_return`: the return to reach. `tail`: place of the
        first good step, from 0. `enough`: says which other returns also hold.

        A step that fails is a verdict, not an exception. Raises `UntrustedTrace` where the environment may not be
        opened without a person's yes, and `AnotherTask`.
        """
        if self._refused is not None:
            return self._refused
        if len(self._memory.known) > MAX_REMEMBERED:
            self._memory = _Memory()
        try:
            if self._stand is None:
                self.stand()
        except (UntrustedTrace, AnotherTask):  # what a person has to decide or mend is no property of the sample
            raise
        except NoEnvironment:
            self._refused = Replay("unreplayed", reason="no environment is at hand")
            return self._refused
        except (InputError, EnvError) as error:
            self._refused = Replay("unreplayable", reason=str(error))
            return self._refused
        return run(_Walk(self._memory, self._at_the_root), steps, expected_return, tail, enough)

    def _at_the_root(self) -> EnvironmentAtNode:
        stand = self.stand()
        stand.at = NO_PARENT  # steps are taken past the stand
        return stand

    def close(self) -> None:
        """Close the environment."""
        for held in (self._stand, self._states):
            if held is not None:
                held.close()


def run(
    walk: _Walk, steps: Sequence[Step], expected_return: Number, tail: int = 0, enough: Enough = NOTHING_ELSE
) -> Replay:
    """Step from the start, and compare with what was stored.

    Where the tail reaches a return that holds before its end, the trajectory holds as far as that step; an episode that
    ends among the bad steps never holds.

    `walk`: steps in the environment. `steps`: with the stored actions and observations. `expected_return`: a return
    holds that is not below it. `tail`: place of the first good step, from 0. `enough`: says which other returns also
    hold.
    """

    def holds(score: Number) -> bool:
        return score >= expected_return - TOLERANCE or enough(score)

    observations: dict[int, str] = {}
    score: Number = 0
    first: tuple[int, str, str] | None = None
    for place, step in enumerate(steps):
        try:
            raw, score, done = walk.step(step.action)
        except EnvError as error:
            return Replay("unreplayable", place, score, step=place, reason=str(error))
        observation = clean(flatten(raw))
        if observation != step.observation:
            observations[place] = observation
            first = first or (place, step.observation, observation)
        if (done or score < 0) and (place < len(steps) - 1 or place < tail):
            if place >= tail and score >= 0 and holds(score):
                at = first or (place, f"{len(steps) - 1 - place} steps more", "the episode is over")
                return Replay("reobserved", place + 1, score, *at, observations=observations, ended=place + 1)
            got = f"the episode ended with {len(steps) - 1 - place} steps to go (return {max(score, 0):g})"
            at = first or (place, step.observation, got)
            return Replay("diverged", place + 1, max(score, 0), *at, reason=got, observations=observations)
    score = max(score, 0)
    if not holds(score):
        at = first or (len(steps) - 1, f"return {expected_return:g}", f"return {score:g}")
        reason = f"return {score:g} instead of {expected_return:g}"
        return Replay("diverged", len(steps), score, *at, reason=reason, observations=observations)
    if abs(score - expected_return) > TOLERANCE:
        at = first or (len(steps) - 1, f"return {expected_return:g}", f"return {score:g}")
        reason = f"return {score:g} instead of {expected_return:g}"
        return Replay("reobserved", len(steps), score, *at, reason=reason, observations=observations)
    if observations:
        assert first is not None
        return Replay("reobserved", len(steps), score, *first, observations=observations)
    return Replay("verified", len(steps), score)


class Difference(Struct, frozen=True):
    """A node whose replay differs from what is stored."""

    node: int
    field: str
    expected: str | Number | bool
    got: str | Number | bool


def replay_tree(tree: SearchTree, opened: Opened) -> Iterator[Difference]:
    """Execute every node's action from its parent's state and compare. Raises `EnvError` where that is impossible."""
    assert tree.started is not None
    stand = EnvironmentAtNode(tree, opened, tree.started.prefix)
    first = tree.started.header[-1].content if tree.started.header else ""
    if first and opened.first_observation != first:
        yield Difference(ROOT, "first observation", first, opened.first_observation)
    try:
        pending = [ROOT]
        while pending:  # depth first: the environment mostly stands where it is needed next
            node = tree.nodes[pending.pop()]
            pending.extend(reversed(node.children))
            if node.parent == NO_PARENT:
                continue
            observation, score, done = stand.try_action(node.parent, node.action)
            stand.remember_as(node.id)
            if observation != node.observation:
                yield Difference(node.id, "observation", node.observation, observation)
            if abs(max(score, 0) - node.reward) > TOLERANCE:
                yield Difference(node.id, "reward", node.reward, max(score, 0))
            if (done or score < 0) and node.terminal is None:
                yield Difference(node.id, "terminal", False, True)
            if node.terminal == "done" and not done and tree.imported_from is None:
                yield Difference(node.id, "terminal", True, False)
    finally:
        stand.close()
