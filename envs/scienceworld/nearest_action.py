"""The nearest valid action of ScienceWorld: the original's search executes it in place of whatever the actor says.

An action that is not valid is replaced by the valid one with the most words in common; of several the shortest, then
the first in alphabetical order (the original leaves that to chance). Where none has a word in common, the action itself
is executed, with nothing but its letters, digits and spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ROOMS = (
    *("hallway", "greenhouse", "green house", "kitchen", "bathroom", "outside"),
    *("workshop", "art studio", "foundry", "bedroom", "living room"),
)

_OPENING = frozenset(f"open door to {room}" for room in ROOMS)
_NO_FOCUS = frozenset(f"focus on {what}" for what in ("agent", "air", *ROOMS))
_FOCUS_WORDS = re.compile(r"\b(?:focus|on|in|to)\b", re.IGNORECASE)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ]+")


def candidates(valid: Iterable[str], look: str, inventory: str) -> list[str]:
    """Returns the actions that may be chosen, shortest first: the valid ones and opening a door to any room; without
    other things to do with doors, and without focusing on the agent, air, a room, or what is neither seen nor carried.

    `valid`: the environment's valid actions. `look` and `inventory`: its texts about what is seen and what is carried.
    """
    seen = f"{look} {inventory}".lower()
    allowed = [action for action in (set(valid) | _OPENING) - _NO_FOCUS if _is_allowed(action, seen)]
    return sorted(allowed, key=lambda action: (len(action), action))


def _is_allowed(action: str, seen: str) -> bool:
    if "door" in action and "open" not in action:
        return False
    if action.startswith("focus on"):
        return all(word in seen for word in _FOCUS_WORDS.sub("", action).split(" "))
    return True


def nearest(action: str, allowed: Sequence[str]) -> str:
    """Returns the one of `allowed` (as `candidates` returns them) that replaces the action."""
    action = action.strip()
    if action in allowed:
        return action
    words = frozenset(action.split(" "))
    most, best = 0, ""
    for candidate in allowed:
        shared = len(words.intersection(candidate.split(" ")))
        if shared > most:
            most, best = shared, candidate
    return best if most else _NOT_PLAIN.sub("", action)
