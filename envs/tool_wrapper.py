"""Environments whose agent calls tools, made of environments that take texts.

The action of a step is the text of its calls (`envs.call_text`). The schema of its tool checks each call; it becomes
an action of the environment below, and is executed there. Several calls are executed in order, as one step. What is no
valid call is answered, and changes nothing. Everything else that an environment offers (snapshots, a plan, mistakes,
words, valid actions) is that of the one below, its actions told as calls.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import gymnasium

from envs.base import (
    Actions,
    AnyText,
    MapsActions,
    Mistakes,
    Needs,
    Plan,
    Planner,
    Remarks,
    Snapshots,
    StateKeys,
    TextEnv,
    Tools,
    Words,
)
from envs.call_text import Call, arguments_of, canonical, join_results, parse_calls, read_calls, split_results
from envs.tool_schemas import misfit, name_of

NO_CALL = "No tool was called"
INVALID = "Invalid call"
OVER = "Not called: the episode was over before."
_REFUSALS = (NO_CALL, f"{INVALID}:", OVER)
SHOWN = 120
"""Characters of arguments that an answer shows."""


@dataclass(frozen=True)
class Toolbox:
    """The tools of an environment, and how calls of them are actions of the one below."""

    tools: Callable[[], Sequence[dict[str, Any]]]  # of the current task
    action_of: Callable[[str, Mapping[str, Any]], str]  # name and arguments, which keep to the schema
    call_of: Callable[[str], tuple[str, Mapping[str, Any]] | None]  # the way back; None where no call does that
    final_action: Callable[[str], str] | None = None  # the action that stands for words without a call


class Standing(NamedTuple):
    """A snapshot: of the environment below, and its score."""

    below: Hashable
    score: float  # as it is told: a number of any kind


def calling(env: TextEnv, box: Toolbox, name_of_env: Callable[[str], str] = str) -> TextEnv:
    """Returns the environment with tools.

    `env`: the environment below, which takes texts. `box`: its tools. `name_of_env`: makes the environment's name from
    the name that the one below has in the info of `reset`.
    """
    kinds = [kind for protocol, kind in _PARTS if isinstance(env, protocol)]
    made: TextEnv = _class_of(tuple(kinds))(env, box, name_of_env)
    return made


@functools.cache
def _class_of(kinds: tuple[type, ...]) -> type:
    """`Calling` with what else the environment below offers: callers ask by class."""
    return type("Calling", (*kinds, Calling), {}) if kinds else Calling


def refuses_calls(result: str) -> bool:
    """Whether a result says that its call was not made; for environments that refuse nothing themselves."""
    return result.startswith(_REFUSALS)


def refuses(below: Callable[[str], bool], result: str) -> bool:
    """Whether a result says that its call did nothing. `below`: decides that for answers of the environment itself."""
    return refuses_calls(result) or below(result)


class Calling(gymnasium.Env[str, str]):
    """An environment whose actions are calls of tools."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, below: TextEnv, box: Toolbox, name_of_env: Callable[[str], str]) -> None:
        self.action_space = AnyText()
        self.observation_space = AnyText()
        self.below = below
        self._box = box
        self._name_of = name_of_env
        self._score: Any = 0  # after the last step
        self._tools: dict[str, dict[str, Any]] = {}

    def tools(self) -> list[dict[str, Any]]:
        """The tools of the current task."""
        return list(self._box.tools())

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a task, as the environment below starts it."""
        super().reset(seed=seed)
        observation, info = self.below.reset(seed=seed, options=options)
        if "environment" in info:
            info = info | {"environment": self._name_of(str(info["environment"]))}
        self._score = getattr(self.below, "start_score", 0)
        self._tools = {name_of(schema): schema for schema in self._box.tools()}
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute the calls of one turn; `info["results"]` holds what each of them returned.

        What is left of them after the end of the episode is not executed. Words without a call end the episode where
        the environment has an action for that.
        """
        calls = read_calls(action)
        if calls is None:
            if self._box.final_action is None:
                return self._answered([f"{NO_CALL}: call {self._listed()}."])
            return self._taken([self._box.final_action(action)])
        return self._taken([self._meaning(call) for call in calls])

    def _taken(self, meanings: Sequence[str | Call]) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute actions of the environment below; a call among them stands for what is none, and is answered."""
        results: list[str] = []
        terminated = truncated = over = False
        more: dict[str, Any] = {}
        for meaning in meanings:
            if over:
                results.append(OVER)
            elif isinstance(meaning, Call):
                results.append(self._why_invalid(meaning))
            else:
                observation, self._score, terminated, truncated, more = self.below.step(meaning)
                results.append(observation)
                over = terminated or truncated or self._score < 0
        return self._answered(results, terminated, truncated, more)

    def _answered(
        self, results: list[str], terminated: bool = False, truncated: bool = False, more: dict[str, Any] | None = None
    ) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return join_results(results), self._score, terminated, truncated, {**(more or {}), "results": results}

    def _meaning(self, call: Call) -> str | Call:
        """The action that a call is; the call itself where it is not valid."""
        arguments = arguments_of(call.arguments)
        schema = self._tools.get(call.name)
        if schema is None or arguments is None or misfit(schema, arguments):
            return call
        return self._box.action_of(call.name, arguments)

    def _why_invalid(self, call: Call) -> str:
        schema, arguments = self._tools.get(call.name), arguments_of(call.arguments)
        if schema is None:
            return f"{INVALID}: there is no tool {call.name[:SHOWN]}; call {self._listed()}."
        if arguments is None:
            shown = call.arguments if len(call.arguments) <= SHOWN else f"{call.arguments[:SHOWN]}…"
            return f"{INVALID}: the arguments of {call.name} are no JSON object: {shown}"
        return f"{INVALID}: {call.name}: {misfit(schema, arguments)}."

    def _listed(self) -> str:
        names = list(self._tools)
        return f"one of {', '.join(names)}" if len(names) > 1 else names[0] if names else "none: there is no tool"

    def close(self) -> None:
        """Close the environment below."""
        self.below.close()

    # -- for the parts -------------------------------------------------------------------------------------

    def _told(self, action: str) -> str:
        """An action of the environment below as the call that does it; as it is where no call does."""
        found = self._box.call_of(action)
        return action if found is None else canonical(*found)

    def _meant(self, actions: Sequence[str]) -> list[str]:
        """Actions of this environment as those of the one below; what is no valid call is left out."""
        calls = [call for action in actions for call in read_calls(action) or ()]
        return [meaning for call in calls if isinstance(meaning := self._meaning(call), str)]


class _Snapshots(Calling):
    def snapshot(self) -> Hashable:
        """The state of the environment below, and its score."""
        return Standing(cast(Snapshots, self.below).snapshot(), self._score)

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken. Raises `ValueError` for another kind."""
        if not isinstance(snapshot, Standing):
            raise ValueError(f"no snapshot of an environment with tools: {str(snapshot)[:60]}")
        cast(Snapshots, self.below).restore(snapshot.below)
        self._score = snapshot.score


class _Planner(Calling):
    def plan(self) -> Plan:
        """The next action of the plan, as a call, and the steps left."""
        action, left = cast(Planner, self.below).plan()
        return Plan(None if action is None else self._told(action), left)


class _Actions(Calling):
    def valid_actions(self) -> list[str]:
        """The valid actions, as calls."""
        return [self._told(action) for action in cast(Actions, self.below).valid_actions()]


class _Mistakes(Calling):
    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """A thought and a plausible wrong call; a wrong action that no call does stays words."""
        thought, action = cast(Mistakes, self.below).mistake(rng)
        return thought, self._told(action)


class _StateKeys(Calling):
    def state_key(self) -> str:
        """That of the environment below."""
        return cast(StateKeys, self.below).state_key()


class _MapsActions(Calling):
    def executable(self, action: str) -> str:
        """A single valid call that does the nearest valid action; what else there is stays."""
        meant = self._meant([action])
        if len(meant) != 1 or "\n" in action:
            return action
        return self._told(cast(MapsActions, self.below).executable(meant[0]))


class _Needs(Calling):
    def words(self, taken: str, answer: str, ahead: Sequence[str]) -> Words:
        """Why the calls that were just made did not serve, and what is needed now."""
        steps = self._meant(ahead)
        calls = read_calls(taken) or []
        meant = self._meant([taken])
        if len(meant) == len(calls) > 0:
            return cast(Needs, self.below).words(meant[-1], split_results(answer, len(calls))[-1], steps)
        wrong = next((call for call in calls if isinstance(self._meaning(call), Call)), None)
        said = cast(Needs, self.below).words("", "", steps)
        return Words(self._fault(wrong), said.need, said.why)

    def _fault(self, wrong: Call | None) -> str:
        if wrong is None:
            return "I called no tool"
        if wrong.name not in self._tools:
            return f"there is no tool {wrong.name[:SHOWN]}"
        arguments = arguments_of(wrong.arguments)
        if arguments is None:
            return f"the arguments of {wrong.name} were no JSON object"
        return str(misfit(self._tools[wrong.name], arguments))


class _Remarks(Calling):
    @property
    def remarks(self) -> Sequence[str]:
        """Those of the environment below."""
        return cast(Remarks, self.below).remarks


_PARTS: tuple[tuple[Any, type[Calling]], ...] = (
    (Snapshots, _Snapshots),
    (Planner, _Planner),
    (Actions, _Actions),
    (Mistakes, _Mistakes),
    (StateKeys, _StateKeys),
    (MapsActions, _MapsActions),
    (Needs, _Needs),
    (Remarks, _Remarks),
)
"""What the environment below may offer, and the part that passes it on."""


def with_own_tools(env: TextEnv) -> TextEnv:
    """Returns an environment with tools of one that lists its tools itself (`tools()`): its `step` takes the text of
    one valid call."""
    return calling(env, Toolbox(cast(Tools, env).tools, canonical, _first_call, getattr(env, "final_action", None)))


def _first_call(action: str) -> tuple[str, Mapping[str, Any]] | None:
    calls = parse_calls(action)
    if calls is None or len(calls) != 1:
        return None
    arguments = arguments_of(calls[0].arguments)
    return None if arguments is None else (calls[0].name, arguments)
