"""The contract of an environment, and the registry of those there are.

An environment is a `gymnasium.Env[str, str]`: a text action in, a text observation out. `reset(options={"task":
ID})` starts one task; the observation of `reset` holds the goal. `reward` of `step` is *the score after the step*
(the return, at the end), on the scale of `EnvironmentInfo.score_range`; a score below 0 is a *disaster*.

What an environment may offer beyond that is a protocol of its own (`Snapshots`, `Planner`, `Actions`): callers
ask with `isinstance`.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium

TextEnv = gymnasium.Env[str, str]


class EnvError(Exception):
    """An environment can't be made or reset: the message is one line with the remedy."""


class UnknownTask(EnvError):
    """There is no such task."""


class Plan(NamedTuple):
    """What an expert would do from here."""

    action: str | None  # its next action; None at the goal, or where no way leads there
    steps_left: int | None  # steps to the goal, that action included; None where no way leads there


@runtime_checkable
class Snapshots(Protocol):
    """An environment whose state can be kept and taken up again."""

    def snapshot(self) -> Hashable:
        """The state, immutable, cheap to keep."""
        ...

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken. Raises `ValueError` for one of another kind."""
        ...


@runtime_checkable
class Planner(Protocol):
    """An environment that knows an expert's way."""

    def plan(self) -> Plan:
        """The expert's next action from the current state, and the steps left."""
        ...


@runtime_checkable
class Actions(Protocol):
    """An environment that can list valid actions of the current state."""

    def valid_actions(self) -> Sequence[str]:
        """Valid actions, in a stable order."""
        ...


@runtime_checkable
class Mistakes(Protocol):
    """An environment that knows how one errs in it."""

    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """A thought and a plausible wrong action in the current state. Depends on the state and `rng` alone."""
        ...


@runtime_checkable
class StateKeys(Protocol):
    """An environment whose states can be compared."""

    def state_key(self) -> str:
        """A short digest: equal exactly where the state is equal."""
        ...


@dataclass(frozen=True)
class EnvironmentInfo:
    """What is known of an environment before it is made."""

    name: str
    summary: str
    load: str  # "module:factory"; the factory takes the text after ":" in the environment's name, or ""
    rules: str  # the user turn of the header: rules and action format
    score_range: tuple[float, float] = (0.0, 1.0)
    requires: str = ""  # the extra that installs what it needs
    recognises: Callable[[str], bool] = lambda observation: False  # of a first observation
    refuses: Callable[[str], bool] = lambda observation: False  # whether an observation says that nothing was done
    blocking: bool = False  # whether a step may wait for a process or the network


_REGISTRY: dict[str, EnvironmentInfo] = {}


def register(info: EnvironmentInfo) -> None:
    """Add an environment, or replace the one of that name."""
    _REGISTRY[info.name] = info


def environments() -> list[EnvironmentInfo]:
    """All registered environments, by name."""
    return sorted(_REGISTRY.values(), key=lambda info: info.name)


def info_of(name: str) -> EnvironmentInfo:
    """The environment that `name` (or the part before its first ":") stands for.

    Raises `EnvError` with the names there are.
    """
    info = _REGISTRY.get(name.split(":", 1)[0])
    if info is None:
        known = ", ".join(info.name for info in environments())
        raise EnvError(f"unknown environment {name!r}: one of {known}")
    return info


def make(name: str) -> TextEnv:
    """A new instance. Raises `EnvError` where it is unknown or something it needs is missing."""
    info = info_of(name)
    module, factory = info.load.split(":")
    try:
        create: Callable[[str], Any] = getattr(importlib.import_module(module), factory)
    except ImportError as error:
        remedy = f"pip install 'agentr-tui[{info.requires}]'" if info.requires else f"install {error.name}"
        raise EnvError(f"environment {info.name!r} needs {error.name}: {remedy}") from error
    env: TextEnv = create(name.partition(":")[2])
    return env


def recognise(first_observation: str) -> EnvironmentInfo | None:
    """The environment that a first observation comes from, where one claims it."""
    return next((info for info in environments() if info.recognises(first_observation)), None)
