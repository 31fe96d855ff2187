"""Gymnasium environments of other packages, called so that everything they may do wrong becomes one line."""

from __future__ import annotations

import copy
import importlib
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.spaces import Discrete, Space

from envs.any_gymnasium.adapter import Adapter, adapted
from envs.any_gymnasium.observations import draws, holds_text, is_batch_of_one, kind, text_of
from envs.any_gymnasium.spec import Spec
from envs.any_gymnasium.valid_actions import number_of
from envs.base import EnvError, InstanceDied

Foreign = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Reply:
    """The answer to a step."""

    observation: str
    score: float  # the sum of the rewards so far
    terminated: bool
    truncated: bool


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
            made = gymnasium.make(spec.id, disable_env_checker=True, **_drawing(spec))
            env, _ = adapted(made, spec.batch)
    except Exception as error:
        raise EnvError(_line(f"gym: can't make {spec.id!r}", error)) from error
    return env


def _drawing(spec: Spec) -> dict[str, Any]:
    """How an environment is told to draw text, where it has a mode for it."""
    if not draws(spec):
        return {}
    creator: Any = gymnasium.spec(spec.id).entry_point
    if isinstance(creator, str):
        creator = load_env_creator(creator)
    metadata = getattr(creator, "metadata", None)
    modes = metadata.get("render_modes", ()) if isinstance(metadata, dict) else ()
    return next(({"render_mode": mode} for mode in ("ansi", "text", "ascii") if mode in modes), {})


def adapter_of(env: Foreign) -> Adapter:
    """The adapter that `new` put into an environment."""
    while not isinstance(env, Adapter):
        assert isinstance(env, gymnasium.Wrapper)
        env = env.env
    return env


@contextmanager
def _quiet() -> Iterator[None]:
    """No remarks about versions and metadata on the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_actions(space: Space[Any] | None) -> None:
    """Raises `EnvError` where actions are neither text, a batch of one text, nor numbers that can have names."""
    if not isinstance(space, Discrete) and not holds_text(space) and not is_batch_of_one(space):
        raise EnvError(f"gym: the action space is {kind(space)}, not text")


def reset(env: Foreign, spec: Spec, seed: int) -> tuple[str, dict[str, Any]]:
    """Reset the environment; returns the first observation and the info. Raises `EnvError`.

    `env`: the other package's environment. `spec`: how it is used here. `seed`: the task.
    """
    try:
        with _quiet():
            observation, info = env.reset(seed=seed)
            return text_of(env, spec, observation), dict(info)
    except EnvError:
        raise
    except _LOST as error:
        raise InstanceDied(_line(f"{spec.name}: reset (task {seed}) failed", error)) from error
    except (Exception, SystemExit) as error:
        raise EnvError(_line(f"{spec.name}: reset (task {seed}) failed", error)) from error


class StepRaised(EnvError):
    """The environment's own `step` raised: the action was not taken."""


def step(env: Foreign, spec: Spec, action: str, score: float) -> tuple[Reply, dict[str, Any] | None]:
    """Take one step; returns the reply, and the info, which is None where the environment gave none. Raises `EnvError`.

    `env`: the other package's environment. `spec`: how it is used here. `action`: the text of the actor. `score`: the
    score before the step; the step's reward is added to it.
    """
    given: Any = action
    if spec.start is not None:
        given = number_of(spec, action)
        if given is None:
            said = f"There is no action {action[:80]!r}. Actions: {', '.join(spec.actions)}."
            return Reply(said, score, False, False), None
    try:
        observation, reward, terminated, truncated, info = env.step(given)
    except EnvError:
        raise
    except _LOST as error:
        raise InstanceDied(_line(f"{spec.name}: step failed", error)) from error
    except (Exception, SystemExit) as error:
        if spec.observe:
            return Reply(_told(error), score, False, False), None
        raise StepRaised(_line(f"{spec.name}: step failed", error)) from error
    try:
        score += float(reward)
        if not math.isfinite(score):
            raise ValueError(f"a reward of {reward!r}")
        return Reply(text_of(env, spec, observation), score, bool(terminated), bool(truncated)), dict(info)
    except Exception as error:
        raise EnvError(_line(f"{spec.name}: step failed", error)) from error


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _told(error: BaseException) -> str:
    """An exception as an observation: the same in every process."""
    return f"Error: {_ADDRESS.sub('', str(error)).strip() or type(error).__name__}"


def close(env: Foreign) -> None:
    """Close it. An error that it raises is ignored."""
    with suppress(Exception, SystemExit):
        env.close()


_LOST = (ConnectionError, TimeoutError, EOFError)
"""What an environment raises whose process or server is gone, whatever the action was."""


def _line(what: str, error: BaseException) -> str:
    return " ".join(f"{what}: {type(error).__name__}: {error}".split())


def copy_of(env: Foreign) -> Foreign | None:
    """A copy; None where it holds what can't be copied."""
    try:
        return copy.deepcopy(env)
    except Exception:
        return None


def transcript(env: Foreign, spec: Spec, actions: Sequence[str]) -> tuple[list[Reply], dict[str, Any]]:
    """Returns the replies to some actions, and all that the infos held; the environment can't be used afterwards.

    `env`: just reset. `spec`: how it is used here. `actions`: in order; the replies end with the first that fails or
    ends the episode.
    """
    replies: list[Reply] = []
    infos: dict[str, Any] = {}
    for action in actions:
        try:
            reply, info = step(env, spec, action, replies[-1].score if replies else 0.0)
        except EnvError as error:
            replies.append(Reply(_ADDRESS.sub("", str(error)), 0.0, False, False))
            break
        replies.append(reply)
        infos.update(info or {})
        if reply.terminated or reply.truncated:
            break
    return replies, infos
