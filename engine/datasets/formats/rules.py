"""Rules that hold for a sample in every format: what must not reach a trainer unnoticed.

Each function returns what is wrong in a few fixed words, so that an export can count by reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.base.secrets import key_like as key_like
from engine.environment.replay import HOLDS
from engine.samples.sample import Sample, splice_of
from engine.samples.splice import Turn, quoting
from engine.samples.trained import FAULTS
from engine.tree.tree import SearchTree

SHAPE = "other keys than the format's"
ROLES = "roles do not alternate"
EMPTY = "empty text"
NO_MASK = "a turn without a mask"
UNTRAINED = "no trained turn"
WRONG_MASK = "a mask on a turn that is not the actor's"
TOO_LONG = "no trained turn within the length"
KEY = "looks like a key"
AFTER_END = "goes on after the episode's end"
BEFORE_FORK = "mark before the fork"
NOT_REPLAYED = "not replayed"
SAME_ACTION = "the first good action is the flagged one again"
QUOTED = "a thought quotes an observation that was replaced"
CUT = "cut to the length"
TAKEN_OUT = "a text that looks like a key was redacted"


def turn_problems(turns: Sequence[Turn]) -> list[str]:
    """What is wrong with the conversation and its mask."""
    problems = []
    roles = [turn.role for turn in turns if turn.role != "system"]
    calls = any(turn.calls for turn in turns)  # then each has its result: formats look for that
    if any(turn.role == "system" for turn in turns[1:]) or not (calls or alternate(roles)):
        problems.append(ROLES)
    if any(not turn.said.strip() and turn.role != "tool" for turn in turns):
        problems.append(EMPTY)
    if any(turn.role == "assistant" and turn.part != "header" and turn.loss is None for turn in turns):
        problems.append(NO_MASK)
    if not any(turn.loss for turn in turns):
        problems.append(UNTRAINED)
    if any(key_like(turn.said) for turn in turns):
        problems.append(KEY)
    return problems


def texts_of(record: Any) -> Iterator[str]:
    """Every text in a record."""
    if isinstance(record, str):
        yield record
    elif isinstance(record, dict):
        for value in record.values():
            yield from texts_of(value)
    elif isinstance(record, list) and not (record and isinstance(record[0], int)):  # token ids hold no text
        for value in record:
            yield from texts_of(value)


def record_problems(record: Any) -> list[str]:
    """What is wrong with a record that holds more than its sample's trajectory."""
    return [KEY] if any(key_like(text) for text in texts_of(record)) else []


def sample_warnings(sample: Sample, turns: Sequence[Turn]) -> list[str]:
    """What is odd about a sample's trajectory, though it may be right."""
    warnings = [QUOTED] if quoting(turns) else []
    flagged = next((turn for turn in reversed(turns) if turn.part == "bad" and turn.role == "assistant"), None)
    first = next((turn for turn in turns if turn.part == "good" and turn.role == "assistant"), None)
    if sample.mark is None or flagged is None or first is None:
        return warnings
    if flagged.action == first.action:
        warnings.append(SAME_ACTION)
    return warnings


def alternate(roles: Iterable[str]) -> bool:
    """Whether roles are user, assistant, user, …"""
    return all(role == ("user", "assistant")[place % 2] for place, role in enumerate(roles))


def sample_problems(tree: SearchTree, sample: Sample) -> list[str]:
    """What is wrong with the splice: is it checked, is the mark in its place, does it end where the episode does?"""
    problems = []
    if sample.replay is None:
        problems.append(NOT_REPLAYED)
    if sample.kind == "revision" and sample.mark is not None and sample.mark <= sample.fork_depth and not sample.compat:
        problems.append(BEFORE_FORK)
    # What a replay saw is worth more than what the tree says of its nodes: foreign files do not tell an episode's end
    # from the search's depth limit.
    if sample.verdict not in HOLDS:
        steps = splice_of(tree, sample).steps
        if any(tree.nodes[id].terminal in ("done", "disaster") for id in steps[:-1]):
            problems.append(AFTER_END)
    return problems


RULES = (
    SHAPE,
    ROLES,
    EMPTY,
    NO_MASK,
    WRONG_MASK,
    UNTRAINED,
    TOO_LONG,
    AFTER_END,
    BEFORE_FORK,
    NOT_REPLAYED,
    KEY,
    *FAULTS,
)
"""What is checked before a record is written; formats add rules of their own."""
