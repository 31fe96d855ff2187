"""The contract of an environment, and the registry of those there are.

An environment is a `gymnasium.Env[str, str]`: a text action in, a text observation out. `reset(options={"task":
ID})` starts one task; the observation of `reset` holds the goal. `reward` of `step` is *the score after the step*
(the return, at the end), on the scale of `EnvironmentInfo.score_range`; a score below 0 is a *disaster*.

What an environment may offer beyond that is a protocol of its own (`Snapshots`, `Planner`, `Actions`, `Tools`): callers
ask with `isinstance`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import random
import re
import shutil
import string
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import gymnasium
from gymnasium.spaces import Text

from envs.errors import EnvError as EnvError
from envs.errors import InstanceDied as InstanceDied
from envs.errors import Unavailable as Unavailable
from envs.errors import UnknownTask as UnknownTask
from envs.errors import in_words

TextEnv = gymnasium.Env[str, str]


class Plan(NamedTuple):
    """What an expert would do from here."""

    action: str | None  # its next action; None at the goal, or where no way leads there
    steps_left: int | None  # steps to the goal, that action included; None where no way leads there


@runtime_checkable
class Snapshots(Protocol):
    """An environment whose state can be kept and restored."""

    def snapshot(self) -> Hashable:
        """The state, immutable, cheap to keep."""
        ...

    def restore(self, snapshot: Hashable) -> None:
        """Return to the state of `snapshot`. Raises `ValueError` for a snapshot of another kind, or one that is no
        longer kept: the caller then repeats the actions."""
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


@runtime_checkable
class MapsActions(Protocol):
    """An environment that can turn any text of an actor into one of its valid actions, as the original's search
    does."""

    def executable(self, action: str) -> str:
        """The action to execute in the current state in the place of `action`; a valid one stays as it is."""
        ...


class Words(NamedTuple):
    """What a revision thought can say about a wrong step, in the environment's own words. Each part may be empty.

    `fault` and `why` are clauses with a small first letter and no full stop; nothing is claimed that the steps so far
    and the rules do not show.
    """

    fault: str = ""  # why the step that was just taken did not serve: "the red bed has to be crafted"
    need: str = ""  # what the steps ahead begin with, as it follows "I have to": "fetch 4 honey bottles"
    why: str = ""  # what shows that: "I carry 1 stick and the ladder takes 7"


@runtime_checkable
class Needs(Protocol):
    """An environment that can say what is needed now."""

    def words(self, taken: str, answer: str, ahead: Sequence[str]) -> Words:
        """Returns words about the action that was just taken and about what is needed now. Changes nothing.

        `taken`: the action. `answer`: the observation it got. `ahead`: the actions that are taken next, from the
        current state.
        """
        ...


@runtime_checkable
class Tools(Protocol):
    """An environment whose agent calls tools.

    An action is the text of the calls of one turn (`envs.call_text.calls_text`), or the agent's words without a call.
    `envs.tool_wrapper` turns an environment that takes other actions into one with tools.
    """

    def tools(self) -> Sequence[dict[str, Any]]:
        """The tools of the current task, as JSON schemas of functions in OpenAI's form."""
        ...


@runtime_checkable
class LastWords(Protocol):
    """An environment in which the agent's words without a call may end the episode."""

    def final_action(self, text: str) -> str:
        """Returns the action for these last words, such as `answer[…]`."""
        ...


@runtime_checkable
class Remarks(Protocol):
    """An environment that reports what is odd about it."""

    @property
    def remarks(self) -> Sequence[str]:
        """What its user should know, a line each; every step may add more."""
        ...


def offers(env: TextEnv, protocol: Any) -> bool:
    """`isinstance` for these protocols costs more than a step of TextCraft; the answer depends on the class alone."""
    kind: Any = type(env)
    return _is_subclass(kind, protocol)


@functools.cache
def _is_subclass(kind: Any, protocol: Any) -> bool:
    return issubclass(kind, protocol)


class AnyText(Text):
    """The space of all texts, such as those of a server or another package. Its samples are short and ASCII."""

    def __init__(self) -> None:
        super().__init__(max_length=100_000_000, min_length=0, charset=string.printable)

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Any text of up to 40 characters."""
        return super().sample((int(self.np_random.integers(40)), None) if mask is None else mask)

    def contains(self, x: Any) -> bool:
        """Whether it is a text."""
        return isinstance(x, str) and len(x) <= self.max_length


_NO_PLACE = re.compile(r"[\w ,=&+-]*")


def is_place(argument: str) -> bool:
    """Whether what follows an environment's name may be a file, a folder, a host or a module: it is more than a word or
    a few, or there is a file of that name."""
    return bool(argument) and (_NO_PLACE.fullmatch(argument) is None or os.path.lexists(argument))


Taken: TypeAlias = tuple[str, str]
"""The action of a step that was taken, and the environment's answer to it."""


@dataclass(frozen=True)
class EnvironmentInfo:
    """What is known of an environment before it is made."""

    name: str
    summary: str
    load: str  # "module:factory"; the factory takes the text after ":" in the environment's name, or ""
    rules: str  # the user turn of the header: rules and action format
    score_range: tuple[float, float] = (0.0, 1.0)  # least and greatest return; from below 0 see `info_of`
    requires: str = ""  # the extra that installs what it needs
    recognises: Callable[[str], bool] = lambda observation: False  # of a first observation
    refuses: Callable[[str], bool] = lambda observation: False  # whether an observation says that nothing was done
    several_lines: bool = False  # whether an action may have several lines (code, a letter)
    joined: str = "{action} {input}"  # a name and its input, which some models write apart, as one action
    looks: Callable[[str], bool] = lambda action: False  # whether an action only shows something and changes nothing
    careless: Callable[[str, str], bool] = lambda action, observation: False  # whether it did not do what it says
    # whether it takes more than the actions ahead use up, beside what the steps behind (action, answer) left to use
    wasteful: Callable[[str, Sequence[str], Sequence[Taken]], bool] = lambda action, ahead, behind: False
    timed: bool = False  # whether its state keys count the time that passed, so that no state comes twice
    blocking: bool = False  # whether a step may wait for a process or the network
    instances: int = 4  # how many of them one search may hold at a time
    recalls: bool = False  # whether `reset` takes the first observation of a trace, and sees that the task is the same
    needs: tuple[str, ...] = ()  # top-level modules that have to be installed
    programs: tuple[tuple[str, str], ...] = ()  # programs that have to be on the PATH, each with how to get it
    of: Callable[[str], EnvironmentInfo] | None = None  # where rules or scores depend on what follows the ":"
    kinds: Callable[[], list[EnvironmentInfo]] | None = None  # what may follow the ":", where these are known
    broken_kinds: Callable[[], Sequence[str]] | None = None  # and a line for each that can't be used
    note: str = ""  # what readers of results have to know, in a word
    takes_place: Callable[[str], bool] = is_place  # whether what follows the ":" reaches a file, a host or a module
    counted_from: float = 0.0  # the environment's own score that stands for a return of 0; set by `info_of`
    offset: float = 0.0  # what is added to the environment's own scores; set by `info_of`


_REGISTRY: dict[str, EnvironmentInfo] = {}
OWN = "envs.bundled_environments"
"""The module that registers the environments of this package."""
GROUP = "agentr_tui.envs"
"""Entry points of this group name environments of other packages."""


def register(info: EnvironmentInfo) -> None:
    """Add an environment, or replace the one of that name."""
    _registered()[info.name] = info


def _registered() -> dict[str, EnvironmentInfo]:
    """All environments so far by name, the package's own among them."""
    if OWN not in sys.modules:  # else it was loaded, or is just registering them
        importlib.import_module(OWN)
    return _REGISTRY


@functools.cache
def broken_entry_points() -> tuple[str, ...]:
    """Register the environments that installed packages offer; returns a line for each that can't be used.

    An entry point is an `EnvironmentInfo`, or a function that gives one. Names that are taken stay as they are.
    """
    broken = []
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            found = point.load()
            info = found if isinstance(found, EnvironmentInfo) else found()
            if not isinstance(info, EnvironmentInfo):
                raise TypeError(f"gives a {type(info).__name__}, not an EnvironmentInfo")
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # another package's code, which may also call `sys.exit`
            line = " ".join(f"entry point {point.name!r} ({point.value}): {in_words(error)}".split())
            broken.append(line)
            continue
        if _registered().setdefault(info.name, info) is not info:
            broken.append(f"entry point {point.name!r} ({point.value}): there is an environment {info.name!r} already")
    return tuple(broken)


def environments() -> list[EnvironmentInfo]:
    """All environments, those of other packages included, by name."""
    broken_entry_points()
    return sorted(_registered().values(), key=lambda info: info.name)


def info_of(name: str) -> EnvironmentInfo:
    """Returns the environment of a name, or of the part before its first ":".

    Where its scores begin below 0, they are counted from there: 0 to HIGH − LOW, and every score has `offset` added.
    Raises `EnvError` with the names there are, or where the part after the ":" is not valid.
    """
    head, _, argument = name.partition(":")
    if head not in _registered():
        broken_entry_points()
    info = _registered().get(head)
    if info is None:
        known = ", ".join(info.name for info in environments())
        raise EnvError(f"unknown environment {name!r}: one of {known}")
    info = info.of(argument) if info.of is not None else info
    low, high = info.score_range
    if low >= 0:
        return info
    return replace(info, score_range=(0.0, high - low), counted_from=low, offset=-low)


def names_place(name: str) -> bool:
    """Whether making this environment reaches what its name names: a file, a folder, a host, another package's module.

    A file of somebody else may not name such an environment without a person's yes (`engine.environment.permission`).
    """
    head, _, argument = name.partition(":")
    if head not in _registered():
        broken_entry_points()
    info = _registered().get(head)
    return info is not None and info.takes_place(argument)


def title_of(environment: str, task: str = "") -> str:
    """Environment and task as people see them, with what they have to know about it: `webshop 6 (synthetic)`."""
    try:
        note = info_of(environment).note
    except EnvError:  # a tree may come from an environment that is not here
        note = ""
    return f"{environment} {task}".strip() + (f" ({note})" if note else "")


def missing(info: EnvironmentInfo) -> str | None:
    """What an environment lacks on this machine, and how to get it, in one line; None where nothing is missing.

    Looks without importing.
    """
    lacking = [module for module in info.needs if importlib.util.find_spec(module) is None]
    parts = []
    if lacking:
        remedy = f"'agentr-tui[{info.requires}]'" if info.requires else " ".join(lacking)
        parts.append(f"{', '.join(lacking)}: pip install {remedy}")
    parts += [f"{program}: {remedy}" for program, remedy in info.programs if shutil.which(program) is None]
    return "; ".join(parts) or None


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
    """Returns the environment that recognises a first observation; None where none does."""
    return next((info for info in environments() if info.recognises(first_observation)), None)
