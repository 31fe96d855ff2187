"""The part of a name after `gym:`: `MODULE:ID`, and after a `?` how to read its actions, observations and rewards."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

from envs.base import EnvError, EnvironmentInfo

FOLLOWS = (
    "only obs=, actions=, range=LOW,HIGH (or auto), errors=observe, batch=list (or text) and lines=many may follow"
)


class Spec(NamedTuple):
    """The part of a name after `gym:`, and what was found out about the environment when it was made."""

    text: str  # the whole of it
    module: str
    id: str
    obs: str = ""  # parts of the observation, or a template of them; "": the observation is text
    range: tuple[float, float] | None = None  # least and greatest sum of rewards
    auto: bool = False  # whether that range is measured
    several_lines: bool = False  # whether an action may have several lines
    actions: tuple[str, ...] = ()  # names of a Discrete environment's actions, else valid actions
    observe: bool = False  # whether an exception in `step` is an observation
    batch: Literal["", "list", "text"] = ""  # how a batch of one takes its action; "": as its action space says
    start: int | None = None  # of a Discrete environment: the number of its first action

    @property
    def name(self) -> str:
        """The environment's name in traces."""
        return f"gym:{self.text}"

    @property
    def offset(self) -> float:
        """What is added to the sum of the rewards, so that penalties are no disasters where LOW is below 0."""
        return max(0.0, -self.range[0]) if self.range is not None else 0.0

    def with_range(self, low: float, high: float) -> Spec:
        """The same with a range in the place of `range=auto`."""
        return self._replace(
            text=self.text.replace("range=auto", f"range={low:g},{high:g}"), range=(low, high), auto=False
        )


def parse_spec(argument: str) -> Spec:
    """Read the part of a name after `gym:`. Raises `EnvError`."""
    place, _, query = argument.partition("?")
    module, colon, id = place.partition(":")
    if not colon or not id:
        raise EnvError(
            f"gym names no environment in {argument!r}: write gym:MODULE:ID, or gym::ID for a registered one"
        )
    spec = Spec(argument, module, id)
    for name, value in parse_qsl(query, keep_blank_values=True):
        match name, value:
            case "obs", str() if value:
                spec = spec._replace(obs=value)
            case "range", "auto":
                spec = spec._replace(auto=True)
            case "range", _:
                spec = spec._replace(range=_range_of(value))
            case "actions", str() if value:
                spec = spec._replace(actions=_names_of(value))
            case "errors", "observe":
                spec = spec._replace(observe=True)
            case "lines", "many":
                spec = spec._replace(several_lines=True)
            case "batch", "list":
                spec = spec._replace(batch="list")
            case "batch", "text":
                spec = spec._replace(batch="text")
            case _:
                raise EnvError(f"gym: {f'{name}={value}'!r}: {FOLLOWS}")
    return spec


def _range_of(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise EnvError(
            f"gym: range={text!r}: write range=LOW,HIGH, the least and the greatest sum of rewards, or range=auto"
        )
    return low, high


def _names_of(text: str) -> tuple[str, ...]:
    names = tuple(" ".join(name.split()) for name in text.split(","))
    if not all(names) or len({name.casefold() for name in names}) < len(names):
        raise EnvError(f"gym: actions={text!r}: write actions=NAME,NAME,…, each name once")
    return names


def info_for(argument: str, general: EnvironmentInfo) -> EnvironmentInfo:
    """What is known of the environment that `argument` names. Raises `EnvError`."""
    spec = parse_spec(argument)
    general = replace(general, several_lines=spec.several_lines)
    if spec.range is None:
        return general
    low, high = spec.range
    return replace(general, score_range=(low + spec.offset, high + spec.offset), counted_from=-spec.offset)
