"""The kind of step that an action was, by the environment's description: refused, or one that only looks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from envs.base import EnvError, EnvironmentInfo, Taken, info_of
from envs.call_text import call_text, read_calls, split_results


@lru_cache(maxsize=64)
def info_or_none(environment: str) -> EnvironmentInfo | None:
    """Returns the description of an environment; None for one that is not registered (a tree may come from
    anywhere)."""
    try:
        return info_of(environment)
    except EnvError:
        return None


def refused(environment: str, action: str, observation: str, results: Sequence[str] = ()) -> bool:
    """Whether the observation says that the environment did nothing. Of several calls: whether none did anything.

    `environment`: its name. `action`: the text of the step's action or calls. `observation`: the environment's answer
    to it. `results`: what each call returned, where the trace keeps that.
    """
    info = info_or_none(environment)
    if info is None:
        return False
    if "\n" not in action:  # asked of every step: no list is made
        return info.refuses(observation)
    return all(info.refuses(result) for _, result in _parts(action, observation, results))


def only_looks(environment: str, action: str) -> bool:
    """Whether the action only shows something: `inventory`, `look around`. It changes nothing but the time."""
    info = info_or_none(environment)
    return info is not None and info.looks(action)


def careless(
    environment: str,
    action: str,
    observation: str,
    results: Sequence[str] = (),
    *,
    ahead: Sequence[str] | None = None,
    behind: Sequence[Taken] = (),
) -> bool:
    """Whether the action did something else than it says, and the environment accepted it; or whether it took more than
    the following actions use up, beside what was there already.

    `environment`: its name. `action`: the text of the step's action or calls; one such call is enough. `observation`:
    the environment's answer to it. `results`: what each call returned, where the trace keeps that. `ahead`: all actions
    that follow, up to the return; None where they are not known. `behind`: the steps before it, from the first.
    """
    info = info_or_none(environment)
    if info is None:
        return False
    if any(info.careless(*each) for each in _parts(action, observation, results)):
        return True
    return ahead is not None and info.wasteful(action, ahead, behind)


def _parts(action: str, observation: str, results: Sequence[str]) -> list[tuple[str, str]]:
    """The calls of a step, each with its result; the step itself where it is none of several calls."""
    several = "\n" in action and (len(results) > 1 or observation.startswith("[1] "))
    if several and (calls := read_calls(action)) is not None and len(calls) > 1:
        lines = [call_text(call.name, call.arguments) for call in calls]
        return list(zip(lines, results or split_results(observation, len(calls)), strict=False))
    return [(action, observation)]


def counts_time(environment: str) -> bool:
    """Whether the environment's state keys count the time that passed, so that no state comes twice."""
    info = info_or_none(environment)
    return info is not None and info.timed
