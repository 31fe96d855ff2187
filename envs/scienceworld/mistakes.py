"""Plausible mistakes in ScienceWorld: what a model that nearly understands the task would do instead.

The scripted actor errs with these, so that trees hold good and bad leaves, and disasters, without a model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Mistake = tuple[str, str]
"""A thought and an action."""

_NUMBER = re.compile(r"\d+")
_HARMLESS = ("look at", "look in", "examine", "read")
_HANDS_ON = ("pick up", "move", "put", "pour", "open", "close", "activate", "deactivate", "use", "eat", "mix", "dunk")


def mistake(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake:
    """Returns a wrong next step.

    `way`: what an expert would still do, its next action first; empty where nobody knows. `allowed`: the valid actions.
    `last`: the action before; None at the start. `rng`: decides which mistake.
    """
    kinds: list[tuple[_Kind, int]] = [
        (_idle, 5),
        (_inspect, 4),
        (_misnamed, 3),
        (_too_early, 3),
        (_repeat, 2),
        (_wrong_focus, 2),
        (_meddle, 2),
        (_wander, 2),
        (_give_up, 1),
    ]
    keyed = sorted(kinds, key=lambda kind: -(rng.random() ** (1 / kind[1])))
    for kind, _ in keyed:
        found = kind(way, allowed, last, rng)
        if found is not None and found[1] != (way[0] if way else None):
            return found
    return _give_up(way, allowed, last, rng)


_Kind = Callable[[Sequence[str], Sequence[str], str | None, random.Random], Mistake | None]


def _idle(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake:
    return rng.choice(
        (
            ("I look around before I go on.", "look around"),
            ("Let me see what I carry.", "inventory"),
            ("Perhaps something changes with time.", "wait1"),
        )
    )


def _of(allowed: Sequence[str], verbs: Sequence[str]) -> list[str]:
    return [action for action in allowed if action.startswith(tuple(f"{verb} " for verb in verbs))]


def _wander(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    places = _of(allowed, ("go to",))
    return ("What I need may be in another place.", rng.choice(places)) if places else None


def _wrong_focus(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    things = _of(allowed, ("focus on",))
    if not things:
        return None
    action = rng.choice(things)
    return f"This must be what the task asks for: {action.removeprefix('focus on ')}.", action


def _meddle(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    verbs = [verb for verb in _HANDS_ON if _of(allowed, (verb,))]
    return ("This may help.", rng.choice(_of(allowed, (rng.choice(verbs),)))) if verbs else None


def _inspect(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    things = _of(allowed, _HARMLESS)
    return ("I should know more about this first.", rng.choice(things)) if things else None


def _too_early(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    return ("I can do this right away.", rng.choice(way[1:8])) if len(way) > 1 else None


def _misnamed(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    if not way:
        return None
    if number := _NUMBER.search(way[0]):
        wrong = int(number[0]) + rng.choice((1, 2))
        return "This is the one that I want.", f"{way[0][: number.start()]}{wrong}{way[0][number.end() :]}"
    words = way[0].split()
    return ("This should do.", " ".join(words[:-1])) if len(words) > 2 else None


def _repeat(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake | None:
    return ("I try that once more.", last) if last is not None else None


def _give_up(way: Sequence[str], allowed: Sequence[str], last: str | None, rng: random.Random) -> Mistake:
    return "I do not see what else to do, so I stop here.", "stop"
