"""Clauses of English for revision thoughts in ScienceWorld: why a step was wrong, and what the steps ahead begin
with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envs.base import Words

_MOVES = ("open door to ", "go to ", "teleport to ")
_LOOKS = ("look", "inventory", "examine ", "read ", "task")
_WAITS = {"wait": "let some time pass", "wait1": "let a moment pass"}

_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), phrase)
    for pattern, phrase in (
        (r"open door to (.+)", "open the door to {0}"),
        (r"(?:go|teleport) to outside", "go outside"),
        (r"(?:go|teleport) to (.+)", "go to {0}"),
        (r"(?:pick up|get|take) (.+)", "pick up {0}"),
        (r"(?:put down|drop) (.+)", "put down {0}"),
        (r"(move|put) (.+) (?:to|in|into) (.+)", "{verb} {1} into {2}"),
        (r"(pour|dunk) (.+) (?:in|into|to) (.+)", "{verb} {1} into {2}"),
        (r"use (.+) (?:on|with) (.+)", "use {0} on {1}"),
        (r"connect (.+) to (.+)", "connect {0} to {1}"),
        (r"focus on (.+)", "focus on {0}"),
        (r"(activate|deactivate|open|close|use|eat|mix|flush|disconnect|read|examine) (.+)", "{verb} {1}"),
        (r"look (at|in) (.+)", "look {verb} {1}"),
    )
)
_IN_INVENTORY = re.compile(r"(?<!\s)\s*\(?in inventory\)?|^inventory ", re.IGNORECASE)


def words(taken: str, refused: bool, ahead: Sequence[str]) -> Words:
    """Returns words about a wrong step and about what is needed now.

    `taken`: the action of the step. `refused`: whether the environment refused it. `ahead`: the actions that are taken
    next.
    """
    return Words(fault=_fault(taken, refused), need=_need(ahead))


def _fault(taken: str, refused: bool) -> str:
    verb = taken.split(" ", 1)[0] if taken else ""
    return f"there is no such action as `{verb}`" if refused and verb in ("stop", "think", "search", "finish") else ""


def _need(ahead: Sequence[str]) -> str:
    """The way to the next room is told with what is done there."""
    moves = 0
    while moves < len(ahead) and ahead[moves].startswith(_MOVES):
        moves += 1
    rooms = [action.removeprefix("go to ") for action in ahead[:moves] if action.startswith("go to ")]
    act = phrase(ahead[moves]) if moves < len(ahead) else ""
    if not moves:
        return act
    if not rooms:
        return phrase(ahead[0])
    start = phrase(f"go to {rooms[-1]}")
    return f"{start} and {act} there" if act else start


def phrase(action: str) -> str:
    """Returns an action in the form that follows "I have to"; empty where it has no such form (an answer to a
    question)."""
    if action in _WAITS:
        return _WAITS[action]
    if action == "look around":
        return "look around"
    if action == "inventory":
        return "see what I carry"
    for pattern, text in _PHRASES:
        match = pattern.fullmatch(action)
        if match:
            groups = match.groups()
            return text.format(*(thing(group) for group in groups), verb=match[1] if groups else "")
    return ""


def thing(name: str) -> str:
    """Returns the name of a thing as a sentence has it: `thermometer in inventory` is the thermometer."""
    found = _IN_INVENTORY.sub("", name).strip() or name
    if found.startswith(("the ", "my ")):
        return found
    return f"the {found}"
