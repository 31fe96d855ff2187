"""What kind of step an action was, as far as the environment's description tells: refused, or one that only looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from envs.base import EnvError, EnvironmentInfo, info_of


@lru_cache(maxsize=64)
def info_or_none(environment: str) -> EnvironmentInfo | None:
    """The description of an environment; None for one that nobody registered (a tree may come from anywhere)."""
    try:
        return info_of(environment)
    except EnvError:
        return None


def refused(environment: str, action: str, observation: str) -> bool:
    """Whether the observation says that the environment did nothing."""
    info = info_or_none(environment)
    return info is not None and info.refuses(observation)


def only_looks(environment: str, action: str) -> bool:
    """Whether the action only shows something: `inventory`, `look around`. It changes nothing but the time."""
    info = info_or_none(environment)
    return info is not None and info.looks(action)


def careless(environment: str, action: str, observation: str, ahead: Sequence[str] | None = None) -> bool:
    """Whether the action did something else than it says, and the environment took it all the same; or took more than
    the actions `ahead` use up, where these are known: all that follow it, up to the return."""
    info = info_or_none(environment)
    if info is None:
        return False
    return info.careless(action, observation) or (ahead is not None and info.wasteful(action, ahead))


def counts_time(environment: str) -> bool:
    """Whether the environment's state keys count the time that passed, so that no state comes twice."""
    info = info_or_none(environment)
    return info is not None and info.timed
