"""Any Gymnasium environment whose actions are texts or have names: `gym:MODULE:ID`, or `gym::ID` for a registered one.

MODULE is imported, which registers ID. What may follow says how it is read (`envs.any_gymnasium.spec`). The task id is
the seed of reset. The score after a step is the sum of the rewards so far, less LOW of its range where that is below 0;
a score below 0 is a disaster.

Where copies of the environment prove equal to it, they serve as snapshots; else whoever wants to stand somewhere has to
reset and repeat. An environment may help further: by the methods `plan` and `valid_actions` of `envs.base`, or as
TextWorld does, by `policy_commands` and `admissible_commands` (or another usual name) in the info of reset and step.
One that has a method `tools` is acted in by calls of them (`envs.tool_wrapper`): its `step` takes the text of a valid
call.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import gymnasium

from envs.any_gymnasium import guarded_calls
from envs.any_gymnasium.guarded_calls import Foreign, Reply, check_actions
from envs.any_gymnasium.observations import check_observations
from envs.any_gymnasium.probe import not_repeatable, probe
from envs.any_gymnasium.spec import Spec, parse_spec
from envs.any_gymnasium.valid_actions import attribute, valid_actions
from envs.base import AnyText, EnvError, InstanceDied, Plan, TextEnv, UnknownTask
from envs.tool_wrapper import with_own_tools

MAX_COPIES = 2_000
"""Copies that one instance keeps; an older state is reached by reset and repeating."""

CHECKED_COPIES = 5
"""How many of the first steps from a copy are made a second time in an environment that was reset, and compared."""

_numbers = itertools.count()  # of snapshots, in the whole process: an instance may get those of another


class Snapshot(NamedTuple):
    """A state: how to get there, what was answered on the way, and the number of the copy that is in it."""

    seed: int
    actions: tuple[str, ...]
    number: int
    replies: tuple[Reply, ...] = ()


def make(argument: str) -> TextEnv:
    """The environment of `gym:ARGUMENT`. It is reset and stepped a few times, to see what it can do.

    Raises `EnvError` where it can't be made or reset, its actions have no names, or its observations are no text.
    """
    spec = parse_spec(argument)
    guarded_calls.import_module(spec)
    env = guarded_calls.new(spec)
    check_actions(getattr(env, "action_space", None))
    check_observations(getattr(env, "observation_space", None), spec)
    found = probe(env, spec)
    kinds: list[type] = []
    if found.copies:
        kinds.append(_Copies)
    if found.plans:
        kinds.append(_Plans)
    if found.lists:
        kinds.append(_Lists)
    if callable(attribute(env, "tools")):
        kinds.append(_Calls)
    if callable(attribute(env, "final_action")):
        kinds.append(_Speaks)
    made: TextEnv = _class_of(*kinds)(env, found.spec, found.remarks)
    return with_own_tools(made) if _Calls in kinds else made


@functools.cache
def _class_of(*kinds: type) -> type:
    """`GymText` with what else an environment offers: callers ask by class."""
    return type("GymText", (*kinds, GymText), {}) if kinds else GymText


class GymText(gymnasium.Env[str, str]):
    """A Gymnasium environment whose reward is the score after the step."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, env: Foreign, spec: Spec, remarks: Sequence[str] = ()) -> None:
        self.spec_of_gym = spec
        self.action_space = AnyText()
        self.observation_space = AnyText()
        self._env = env
        self._seed: int | None = None
        self._remarks = list(remarks)
        self._actions: list[str] = []  # since reset
        self._replies: list[Reply] = []  # to them
        self._score = 0.0  # the sum of the rewards since reset
        self._info: dict[str, Any] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start task `options["task"]`, the seed that the environment is reset with; else task `seed`, else 0.

        Raises `UnknownTask` for what is no seed, and `EnvError` where the environment fails.
        """
        super().reset(seed=seed)
        task = (options or {}).get("task")
        self._begin(_seed_of(task if task is not None else seed or 0))
        info = {"environment": self.spec_of_gym.name, "task": str(self._seed)}
        if self.spec_of_gym.start is not None:
            info["more_rules"] = f"The actions are: {', '.join(self.spec_of_gym.actions)}"
        return self._first, info

    @property
    def start_score(self) -> float:
        """The score before the first step."""
        return self.spec_of_gym.offset

    @property
    def remarks(self) -> Sequence[str]:
        """What is odd about the environment, a line each."""
        return self._remarks

    def _remark(self, line: str) -> None:
        what = line.partition(": ")[0]
        if not any(known.startswith(what) for known in self._remarks):
            self._remarks.append(line)

    def _begin(self, seed: int) -> None:
        self._seed = None  # nothing was started, should it fail
        self._first, self._info = guarded_calls.reset(self._env, self.spec_of_gym, seed)
        self._seed, self._actions, self._replies, self._score = seed, [], [], 0.0

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. Raises `EnvError` where the environment fails."""
        if self._seed is None:
            raise EnvError(f"{self.spec_of_gym.name}: no task was started: reset it first")
        reply = self._take(action)
        return reply.observation, reply.score + self.spec_of_gym.offset, reply.terminated, reply.truncated, {}

    def _take(self, action: str) -> Reply:
        try:
            reply, info = guarded_calls.step(self._env, self.spec_of_gym, action, self._score)
        except InstanceDied:
            self._seed = None
            raise
        except EnvError as error:
            self._seed = None  # nobody knows where it stands
            if isinstance(error, guarded_calls.StepRaised):
                self._remark(f"a step that raises is a failed draw, and with ?errors=observe an observation: {error}")
            raise
        if info is not None:
            self._info = info
        self._actions.append(action)
        self._replies.append(reply)
        self._score = reply.score
        return reply

    def close(self) -> None:
        """Close the environment. May be called again."""
        self._seed = None
        guarded_calls.close(self._env)


class _Plans:
    """What an environment with an expert adds."""

    _env: Foreign
    _info: dict[str, Any]
    _score: float

    def plan(self) -> Plan:
        """The expert's next action and the steps left, as the environment tells them. Raises `EnvError`."""
        plan = attribute(self._env, "plan")
        if callable(plan):
            try:
                action, left = plan()
            except Exception as error:
                raise EnvError(f"the environment's plan failed: {type(error).__name__}: {error}") from error
            return Plan(action, left)
        way = list(self._info.get("policy_commands") or [])
        if way:
            return Plan(str(way[0]), len(way))
        return Plan(None, 0 if self._info.get("won") else None)


class _Lists:
    """What an environment that knows its valid actions adds."""

    spec_of_gym: Spec
    _env: Foreign
    _info: dict[str, Any]

    def valid_actions(self) -> Sequence[str]:
        """Valid actions of the current state, as the environment lists them. Raises `EnvError`."""
        try:
            return valid_actions(self._env, self.spec_of_gym, self._info)
        except Exception as error:
            raise EnvError(f"the environment's valid actions failed: {type(error).__name__}: {error}") from error


class _Calls:
    """What an environment with tools of its own adds."""

    _env: Foreign

    def tools(self) -> list[dict[str, Any]]:
        """The tools of the current task. Raises `EnvError`."""
        try:
            return list(attribute(self._env, "tools")())
        except Exception as error:
            raise EnvError(f"the environment's tools failed: {type(error).__name__}: {error}") from error


class _Speaks:
    """What an environment adds whose episode may end with words of the agent."""

    _env: Foreign

    def final_action(self, text: str) -> str:
        """The action that stands for these last words. Raises `EnvError`."""
        try:
            return str(attribute(self._env, "final_action")(text))
        except Exception as error:
            raise EnvError(f"the environment's final action failed: {type(error).__name__}: {error}") from error


class _Copies(GymText):
    """What an environment that can be copied adds: snapshots.

    The probe when it was made may have been too mild: copies that share a connection or a handle answer alike until
    one of them moves. So the first steps that are made from a copy are made again in a fresh environment; where they
    differ, no copy is used any more.
    """

    def __init__(self, env: Foreign, spec: Spec, remarks: Sequence[str] = ()) -> None:
        super().__init__(env, spec, remarks)
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
        return Snapshot(self._seed, tuple(self._actions), number, tuple(self._replies))

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken, by a copy or else by repeating the actions.

        Raises `ValueError` for what is no snapshot, and `EnvError`.
        """
        if not isinstance(snapshot, Snapshot):
            raise ValueError(f"no snapshot of {self.spec_of_gym.name}: {type(snapshot).__name__}")
        kept = self._kept.get(snapshot.number)
        if kept is None:
            self._stand(snapshot.seed, snapshot.actions, snapshot.replies)
            return
        self._env, self._score, self._info = copy.deepcopy(kept)
        self._seed, self._actions = snapshot.seed, list(snapshot.actions)
        self._replies = list(snapshot.replies)
        self._from_copy = True

    def _stand(self, seed: int, actions: Sequence[str], before: Sequence[Reply]) -> None:
        """Go there by actions, and compare what is said with what was said."""
        self._from_copy = False
        self._begin(seed)
        for step, (action, said) in enumerate(zip(actions, before, strict=True), 1):
            reply = super()._take(action)
            if reply != said:
                self._remark(not_repeatable(step, reply, said))

    def _take(self, action: str) -> Reply:
        if not (self._from_copy and self._to_check and self._seed is not None):
            return super()._take(action)
        self._from_copy = False
        self._to_check -= 1
        seed, before, replies = self._seed, tuple(self._actions), tuple(self._replies)
        try:
            reply = super()._take(action)
        except EnvError:
            reply = None
        copied = self._env, self._score, self._info
        self._env = guarded_calls.new(self.spec_of_gym)
        self._stand(seed, before, replies)
        true = super()._take(action)
        if reply == true:
            guarded_calls.close(self._env)
            self._env, self._score, self._info = copied
        else:
            self._copying = False
            self._kept.clear()
        return true

    def close(self) -> None:
        """Close the environment. May be called again."""
        self._kept.clear()
        if self._env is not self._original:
            guarded_calls.close(self._original)
        super().close()


def _seed_of(task: object) -> int:
    text = str(task)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UnknownTask(f"gym has no task {text[:40]!r}: a seed, 0 to 999999999")
    return int(text)
