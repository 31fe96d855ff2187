"""The text of an observation: its own, that of parts of it, or what the environment draws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.spaces import Dict, Sequence, Space, Text, Tuple

from envs.any_gymnasium.spec import Spec
from envs.base import EnvError

RENDER = "render"
"""The part that is not in the observation: what `render()` gives."""

MOST_NUMBERS = 200
"""Numbers of an array that are written as text; a picture is none."""

_FIELD = re.compile(r"\{([^{}]+)\}")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COLOURED = re.compile(r"\x1b\[(?!0?m)[0-9;]*m(.*?)\x1b\[0?m", re.S)


def parts_of(obs: str) -> list[str]:
    """The parts that `?obs=` names."""
    return _FIELD.findall(obs) if "{" in obs else obs.split(",")


def draws(spec: Spec) -> bool:
    """Whether the observation is, in part, what the environment draws."""
    return RENDER in parts_of(spec.obs)


def check_observations(space: Space[Any] | None, spec: Spec) -> None:
    """Raises `EnvError` where the observations are no text, or have no such part."""
    if not spec.obs:
        if is_batch_of_one(space):
            return
        if isinstance(space, Dict | Tuple):
            names = _names(space)
            texts = [name for name in names if holds_text(_part(space, name))]
            remedy = f"one of {', '.join(texts or names)}" if names else "but there are none"
            raise EnvError(f"gym: the observation space has several parts: choose one with ?obs=KEY, {remedy}")
        if not holds_text(space):
            raise EnvError(
                f"gym: the observation space is {kind(space)}, not text: ?obs=render takes what `render()` draws"
            )
        return
    for part in parts_of(spec.obs):
        if part == RENDER:
            continue
        if not isinstance(space, Dict | Tuple):
            raise EnvError(
                f"gym: ?obs={spec.obs} needs an observation that is a dictionary or a tuple, not {kind(space)}"
            )
        inner: Any = space
        for name in part.split(".") if part not in _names(space) else [part]:
            names = _names(inner)
            if name not in names:
                raise EnvError(
                    f"gym: the observation space has no part {part!r}: choose with ?obs=KEY, one of {', '.join(names)}"
                )
            inner = _part(inner, name)


def _names(space: Any) -> list[str]:
    if isinstance(space, Dict):
        return [str(name) for name in space.spaces]
    return [str(place) for place in range(len(space.spaces))] if isinstance(space, Tuple) else []


def _part(space: Any, name: str) -> Space[Any]:
    part: Space[Any] = space.spaces[int(name)] if isinstance(space, Tuple) else space.spaces[name]
    return part


def kind(space: object) -> str:
    """What a space is, in a word."""
    return type(space).__name__ if space is not None else "missing"


def holds_text(space: Space[Any] | None) -> bool:
    """Whether a space holds text; one of a package's own is asked for a sample."""
    if space is None or isinstance(space, Text):
        return space is not None
    try:
        return isinstance(space.sample(), str | bytes)
    except Exception:
        return False


def is_batch_of_one(space: Space[Any] | None) -> bool:
    """Whether a space holds batches of one text."""
    if isinstance(space, Sequence):
        return holds_text(space.feature_space)
    return isinstance(space, Tuple) and len(space.spaces) == 1 and holds_text(space.spaces[0])


def text_of(env: gymnasium.Env[Any, Any], spec: Spec, observation: Any) -> str:
    """Returns the text of an observation, as a Python string that UTF-8 can write. Raises `TypeError`, `KeyError`.

    `env`: the environment, which may draw its state. `spec`: how it is used here; its `obs` names the parts to show.
    `observation`: as the environment returned it.
    """
    if not spec.obs:
        text = _own_text(observation)
    elif "{" in spec.obs:
        text = _FIELD.sub(lambda field: _words(_value(env, observation, field[1])), spec.obs)
    else:
        text = "\n".join(_words(_value(env, observation, name)) for name in parts_of(spec.obs))
    return text.encode(errors="replace").decode()


def _value(env: gymnasium.Env[Any, Any], observation: Any, name: str) -> Any:
    if isinstance(observation, Mapping) and name in observation:
        return observation[name]
    if name == RENDER:
        return drawn(env)
    for part in name.split("."):
        observation = observation[part] if isinstance(observation, Mapping) else observation[int(part)]
    return observation


def drawn(env: gymnasium.Env[Any, Any]) -> str:
    """What the environment draws, colours as brackets. Raises `TypeError` where that is no text."""
    picture: Any = env.render()
    if isinstance(picture, list | tuple) and picture and isinstance(picture[-1], str):
        picture = picture[-1]
    if hasattr(picture, "getvalue"):
        picture = picture.getvalue()
    if not isinstance(picture, str):
        raise TypeError(f"render() gives {type(picture).__name__}, not text")
    return _COLOUR.sub("", _COLOURED.sub(r"[\1]", picture)).strip("\n")


def _words(value: Any) -> str:
    """A part of an observation as text: numbers are written as numbers."""
    if isinstance(value, str | bytes):
        return _own_text(value)
    if hasattr(value, "tolist"):
        if getattr(value, "size", 1) > MOST_NUMBERS:
            raise TypeError(f"a part of the observation is an array of {value.size} numbers, not text")
        value = value.tolist()
    if isinstance(value, list | tuple):
        return " ".join(_words(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_words(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else _own_text(str(value))


def _own_text(observation: Any) -> str:
    if not isinstance(observation, str | bytes) and getattr(observation, "size", 0) == 1:
        observation = observation.item()  # an array of one text
    if isinstance(observation, bytes):
        return observation.decode(errors="replace")
    if not isinstance(observation, str):
        raise TypeError(f"an observation is of type {type(observation).__name__}, not text")
    return observation
