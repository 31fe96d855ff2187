"""Gymnasium environments of other packages, called so that everything they may do wrong becomes one line.

What stands after `gym:` is `MODULE:ID?obs=KEY&range=LOW,HIGH&lines=many`.
"""

from __future__ import annotations

import copy
import importlib
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import gymnasium
from gymnasium.spaces import Dict, Space, Text

from envs.base import EnvError, EnvironmentInfo, InstanceDied

Foreign = gymnasium.Env[Any, Any]


class Spec(NamedTuple):
    """What stands after `gym:`."""

    text: str  # the whole of it
    module: str
    id: str
    key: str | None  # of the text in an observation that is a dictionary
    range: tuple[float, float] | None  # least and greatest sum of rewards
    several_lines: bool = False  # whether an action may have several lines

    @property
    def name(self) -> str:
        """The environment's name in traces."""
        return f"gym:{self.text}"

    @property
    def offset(self) -> float:
        """What is added to the sum of the rewards, so that penalties are no disasters where LOW is below 0."""
        return max(0.0, -self.range[0]) if self.range is not None else 0.0


@dataclass(frozen=True)
class Reply:
    """What came of a step."""

    observation: str
    score: float  # the sum of the rewards so far
    terminated: bool
    truncated: bool


def parse_spec(argument: str) -> Spec:
    """Read `MODULE:ID?obs=KEY&range=LOW,HIGH&lines=many`. Raises `EnvError`."""
    place, _, query = argument.partition("?")
    module, colon, id = place.partition(":")
    if not colon or not id:
        raise EnvError(
            f"gym names no environment in {argument!r}: write gym:MODULE:ID, or gym::ID for a registered one"
        )
    key, scores, several_lines = None, None, False
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "obs" and value:
            key = value
        elif name == "range":
            scores = _range_of(value)
        elif name == "lines" and value == "many":
            several_lines = True
        else:
            raise EnvError(f"gym: {f'{name}={value}'!r}: only obs=KEY, range=LOW,HIGH and lines=many may follow")
    return Spec(argument, module, id, key, scores, several_lines)


def _range_of(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise EnvError(f"gym: range={text!r}: write range=LOW,HIGH, the least and the greatest sum of rewards")
    return low, high


def info_for(argument: str, general: EnvironmentInfo) -> EnvironmentInfo:
    """What is known of the environment that `argument` names. Raises `EnvError`."""
    spec = parse_spec(argument)
    general = replace(general, several_lines=spec.several_lines)
    if spec.range is None:
        return general
    low, high = spec.range
    return replace(general, score_range=(low + spec.offset, high + spec.offset))


_folder: ContextVar[str | None] = ContextVar("folder", default=None)
_added: set[str] = set()  # folders that were put on the path here


@contextmanager
def modules_from(folder: str) -> Iterator[None]:
    """Within it modules are looked for in this folder, too, after all other places; "" for a name that no person gave:
    then the working folder is not searched at all. Who calls `envs.base.make` without it names what they want."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


@contextmanager
def _path() -> Iterator[None]:
    """The path of modules without the working folder, where nobody allowed it: Python itself puts it there for
    `python -m`, and a search before may have. A folder that `PYTHONPATH` names stays."""
    here, before = str(Path.cwd()), list(sys.path)
    named = {str(Path(place).resolve()) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place}
    hidden = _folder.get() == ""
    if hidden:
        first = sys.path[:1] == [here] and not sys.flags.safe_path
        kept = before[1:] if first and here not in named else before
        sys.path[:] = [place for place in kept if place not in ("", ".") and place not in _added]
    try:
        yield
    finally:
        if hidden:
            sys.path[:] = before


def import_module(spec: Spec) -> None:
    """Import what registers the environment; the folder of `modules_from` is searched last. Raises `EnvError`."""
    if not spec.module:
        return
    folder = _folder.get()
    folder = str(Path.cwd()) if folder is None else folder
    try:
        with _path():
            try:
                importlib.import_module(spec.module)
            except ModuleNotFoundError as error:
                if error.name != spec.module.partition(".")[0] or not folder or folder in sys.path:
                    raise
                sys.path.append(folder)  # the command is a script, whose own folder is searched instead of this one
                _added.add(folder)
                importlib.invalidate_caches()
                importlib.import_module(spec.module)
    except ModuleNotFoundError as error:
        where = "" if folder else "; the working folder is searched only for a name that --env gives"
        raise EnvError(_line(f"gym: can't import {spec.module!r}", error) + where) from error
    except (Exception, SystemExit) as error:
        raise EnvError(_line(f"gym: can't import {spec.module!r}", error)) from error


def new(spec: Spec) -> Foreign:
    """A new instance. Raises `EnvError`."""
    try:
        with _quiet(), _path():  # "MODULE:ID" is a name of Gymnasium's own, which imports, too
            env: Foreign = gymnasium.make(spec.id, disable_env_checker=True)
    except Exception as error:
        raise EnvError(_line(f"gym: can't make {spec.id!r}", error)) from error
    return env


@contextmanager
def _quiet() -> Iterator[None]:
    """No remarks about versions and metadata on the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_space(what: str, space: Space[Any] | None, key: str | None) -> None:
    """Raises `EnvError` where a space holds no text; of a dictionary, the part at `key` has to."""
    if isinstance(space, Dict):
        texts = [name for name, part in space.spaces.items() if _holds_text(part)]
        if key in texts:
            return
        if what == "observation":
            remedy = f"one of {', '.join(texts)}" if texts else "but none of them is text"
            chosen = f"no text {key!r}" if key is not None else "several parts"
            raise EnvError(f"gym: the observation space has {chosen}: choose one with ?obs=KEY, {remedy}")
    elif key is not None:
        raise EnvError(f"gym: ?obs={key} needs an observation that is a dictionary, not {_kind(space)}")
    elif _holds_text(space):
        return
    raise EnvError(f"gym: the {what} space is {_kind(space)}, not text")


def _kind(space: object) -> str:
    return type(space).__name__ if space is not None else "missing"


def _holds_text(space: Space[Any] | None) -> bool:
    if space is None or isinstance(space, Text):
        return space is not None
    try:
        return isinstance(space.sample(), str | bytes)  # a space of the package's own
    except Exception:
        return False


def reset(env: Foreign, spec: Spec, seed: int) -> tuple[str, dict[str, Any]]:
    """Reset it: the first observation, and the info. Raises `EnvError`."""
    try:
        with _quiet():
            observation, info = env.reset(seed=seed)
        return _text(observation, spec.key), dict(info)
    except EnvError:
        raise
    except _LOST as error:
        raise InstanceDied(_line(f"{spec.name}: reset (task {seed}) failed", error)) from error
    except Exception as error:
        raise EnvError(_line(f"{spec.name}: reset (task {seed}) failed", error)) from error


def step(env: Foreign, spec: Spec, action: str, score: float) -> tuple[Reply, dict[str, Any]]:
    """One step, after which the score is `score` and the reward: what came of it, and the info. Raises `EnvError`."""
    try:
        observation, reward, terminated, truncated, info = env.step(action)
        score += float(reward)
        if not math.isfinite(score):
            raise ValueError(f"a reward of {reward!r}")
        return Reply(_text(observation, spec.key), score, bool(terminated), bool(truncated)), dict(info)
    except EnvError:
        raise
    except _LOST as error:
        raise InstanceDied(_line(f"{spec.name}: step failed", error)) from error
    except Exception as error:
        raise EnvError(_line(f"{spec.name}: step failed", error)) from error


def close(env: Foreign, spec: Spec) -> None:
    """Close it. Raises `EnvError`."""
    try:
        env.close()
    except Exception as error:
        raise EnvError(_line(f"{spec.name}: close failed", error)) from error


_LOST = (ConnectionError, TimeoutError, EOFError)
"""What an environment raises whose process or server is gone, whatever the action was."""


def _line(what: str, error: BaseException) -> str:
    return " ".join(f"{what}: {type(error).__name__}: {error}".split())


def _text(observation: Any, key: str | None) -> str:
    """The text of an observation: as a Python string that UTF-8 can write."""
    if key is not None:
        observation = observation[key]
    if not isinstance(observation, str | bytes) and hasattr(observation, "item"):
        observation = observation.item()  # an array of one text
    if isinstance(observation, bytes):
        return observation.decode(errors="replace")
    if not isinstance(observation, str):
        raise TypeError(f"an observation is of type {type(observation).__name__}, not text")
    return observation.encode(errors="replace").decode()


def copies_are_equal(env: Foreign, spec: Spec, actions: Sequence[str]) -> bool:
    """Whether a copy of the environment, which was just reset, does what the environment does. Both are used up."""
    try:
        twin = copy.deepcopy(env)
        return _transcript(env, spec, actions) == _transcript(twin, spec, actions)
    except Exception:  # most often it holds what can't be copied
        return False


def _transcript(env: Foreign, spec: Spec, actions: Sequence[str]) -> list[Reply]:
    replies: list[Reply] = []
    for action in actions:
        reply, _ = step(env, spec, action, replies[-1].score if replies else 0.0)
        replies.append(reply)
        if reply.terminated or reply.truncated:
            break
    return replies
