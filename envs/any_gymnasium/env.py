"""Any Gymnasium environment with text actions and observations: `gym:MODULE:ID`, or `gym::ID` for a registered one.

MODULE is imported, which registers ID. What may follow: `?obs=KEY`, the text in an observation that is a dictionary,
and `?range=LOW,HIGH`, least and greatest sum of rewards (0 to 1 otherwise). The task id is the seed of reset. The score
after a step is the sum of the rewards so far, less LOW where that is below 0; a score below 0 is a disaster.

Where copies of the environment prove equal to it, they serve as snapshots; else whoever wants to stand somewhere has to
reset and repeat. An environment may help further: by the methods `plan` and `valid_actions` of `envs.base`, or as
TextWorld does, by `policy_commands` and `admissible_commands` in the info of reset and step.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import gymnasium

from envs.any_gymnasium import foreign
from envs.any_gymnasium.foreign import Foreign, Reply, Spec, parse_spec
from envs.base import Actions, AnyText, EnvError, Plan, Planner, TextEnv, UnknownTask

MAX_COPIES = 2_000
"""Copies that one instance keeps; an older state is reached by reset and repeating."""

CHECKED_COPIES = 5
"""How many of the first steps from a copy are made a second time in an environment that was reset, and compared."""

PROBE_STEPS = 6
_PROBE_SEED = 0
_PROBES = ("look", "inventory", "go north", "go east", "open door", "help")

_numbers = itertools.count()  # of snapshots, in the whole process: an instance may get those of another


class Snapshot(NamedTuple):
    """A state: how to come there, and the number of the copy that stands there."""

    seed: int
    actions: tuple[str, ...]
    number: int


def make(argument: str) -> TextEnv:
    """The environment of `gym:ARGUMENT`. It is reset and stepped a few times, to see what it can do.

    Raises `EnvError` where it can't be made or reset, or its spaces hold no text.
    """
    spec = parse_spec(argument)
    foreign.import_module(spec)
    env = foreign.new(spec)
    foreign.check_space("action", getattr(env, "action_space", None), None)
    foreign.check_space("observation", getattr(env, "observation_space", None), spec.key)
    _, info = foreign.reset(env, spec, _PROBE_SEED)
    probes = info.get("admissible_commands") or _PROBES
    kinds: list[type] = []
    if foreign.copies_are_equal(env, spec, [str(action) for action in list(probes)[:PROBE_STEPS]]):
        kinds.append(_Copies)
    if isinstance(env.unwrapped, Planner) or "policy_commands" in info:
        kinds.append(_Plans)
    if isinstance(env.unwrapped, Actions) or "admissible_commands" in info:
        kinds.append(_Lists)
    made: TextEnv = _class_of(*kinds)(env, spec)
    return made


@functools.cache
def _class_of(*kinds: type) -> type:
    """`GymText` with what else an environment offers: callers ask by class."""
    return type("GymText", (*kinds, GymText), {}) if kinds else GymText


class GymText(gymnasium.Env[str, str]):
    """A Gymnasium environment whose reward is the score after the step."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, env: Foreign, spec: Spec) -> None:
        self.spec_of_gym = spec
        self.action_space = AnyText()
        self.observation_space = AnyText()
        self._env = env
        self._seed: int | None = None
        self._actions: list[str] = []  # since reset
        self._score = 0.0  # the sum of the rewards since reset
        self._info: dict[str, Any] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start task `options["task"]`, the seed that the environment is reset with; else task `seed`, else 0.

        Raises `UnknownTask` for what is no seed, and `EnvError` where the environment fails.
        """
        super().reset(seed=seed)
        task = (options or {}).get("task")
        self._begin(_seed_of(task if task is not None else seed or 0))
        return self._first, {"environment": self.spec_of_gym.name, "task": str(self._seed)}

    def _begin(self, seed: int) -> None:
        self._seed = None  # nothing was started, should it fail
        self._first, self._info = foreign.reset(self._env, self.spec_of_gym, seed)
        self._seed, self._actions, self._score = seed, [], 0.0

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. Raises `EnvError` where the environment fails."""
        if self._seed is None:
            raise EnvError(f"{self.spec_of_gym.name}: no task was started: reset it first")
        reply = self._take(action)
        return reply.observation, reply.score + self.spec_of_gym.offset, reply.terminated, reply.truncated, {}

    def _take(self, action: str) -> Reply:
        try:
            reply, self._info = foreign.step(self._env, self.spec_of_gym, action, self._score)
        except EnvError:
            self._seed = None  # nobody knows where it stands
            raise
        self._actions.append(action)
        self._score = reply.score
        return reply

    def close(self) -> None:
        """Close the environment. May be called again."""
        self._seed = None
        foreign.close(self._env, self.spec_of_gym)


class _Plans:
    """What an environment with an expert adds."""

    _env: Foreign
    _info: dict[str, Any]
    _score: float

    def plan(self) -> Plan:
        """The expert's next action and the steps left, as the environment tells them. Raises `EnvError`."""
        own = self._env.unwrapped
        if isinstance(own, Planner):
            try:
                action, left = own.plan()
            except Exception as error:
                raise EnvError(f"the environment's plan failed: {type(error).__name__}: {error}") from error
            return Plan(action, left)
        way = list(self._info.get("policy_commands") or [])
        if way:
            return Plan(str(way[0]), len(way))
        return Plan(None, 0 if self._info.get("won") else None)


class _Lists:
    """What an environment that knows its valid actions adds."""

    _env: Foreign
    _info: dict[str, Any]

    def valid_actions(self) -> Sequence[str]:
        """Valid actions of the current state, as the environment lists them. Raises `EnvError`."""
        own = self._env.unwrapped
        if isinstance(own, Actions):
            try:
                return [str(action) for action in own.valid_actions()]
            except Exception as error:
                raise EnvError(f"the environment's valid actions failed: {type(error).__name__}: {error}") from error
        return [str(action) for action in self._info.get("admissible_commands") or []]


class _Copies(GymText):
    """What an environment that can be copied adds: snapshots.

    The probe when it was made may have been too mild: copies that share a connection or a handle answer alike until
    one of them moves. So the first steps that are made from a copy are made again in a fresh environment; where they
    differ, no copy is used any more.
    """

    def __init__(self, env: Foreign, spec: Spec) -> None:
        super().__init__(env, spec)
        self._original = env
        self._kept: OrderedDict[int, tuple[Foreign, float, dict[str, Any]]] = OrderedDict()
        self._copying = True
        self._to_check = CHECKED_COPIES
        self._from_copy = False

    def snapshot(self) -> Hashable:
        """The current state. Raises `EnvError` where no task was started."""
        if self._seed is None:
            raise EnvError(f"{self.spec_of_gym.name}: no task was started: reset it first")
        number = next(_numbers)
        if self._copying:
            try:
                self._kept[number] = copy.deepcopy((self._env, self._score, self._info))
            except Exception:  # it holds something by now that can't be copied: it is repeated then
                self._copying = False
            if len(self._kept) > MAX_COPIES:
                self._kept.popitem(last=False)
        return Snapshot(self._seed, tuple(self._actions), number)

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken, by a copy or else by repeating the actions.

        Raises `ValueError` for what is no snapshot, and `EnvError`.
        """
        if not isinstance(snapshot, Snapshot):
            raise ValueError(f"no snapshot of {self.spec_of_gym.name}: {type(snapshot).__name__}")
        kept = self._kept.get(snapshot.number)
        if kept is None:
            self._stand(snapshot.seed, snapshot.actions)
            return
        self._env, self._score, self._info = copy.deepcopy(kept)
        self._seed, self._actions = snapshot.seed, list(snapshot.actions)
        self._from_copy = True

    def _stand(self, seed: int, actions: Sequence[str]) -> None:
        self._from_copy = False
        self._begin(seed)
        for action in actions:
            super()._take(action)

    def _take(self, action: str) -> Reply:
        if not (self._from_copy and self._to_check and self._seed is not None):
            return super()._take(action)
        self._from_copy = False
        self._to_check -= 1
        seed, before = self._seed, tuple(self._actions)
        try:
            reply = super()._take(action)
        except EnvError:
            reply = None
        copied = self._env, self._score, self._info
        self._env = foreign.new(self.spec_of_gym)
        self._stand(seed, before)
        true = super()._take(action)
        if reply == true:
            foreign.close(self._env, self.spec_of_gym)
            self._env, self._score, self._info = copied
        else:
            self._copying = False
            self._kept.clear()
        return true

    def close(self) -> None:
        """Close the environment. May be called again."""
        self._kept.clear()
        if self._env is not self._original:
            foreign.close(self._original, self.spec_of_gym)
        super().close()


def _seed_of(task: object) -> int:
    text = str(task)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UnknownTask(f"gym has no task {text[:40]!r}: a seed, 0 to 999999999")
    return int(text)
