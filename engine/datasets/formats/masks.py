"""Conversations with a mask: what the formats of messages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.datasets.formats.base import Record
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import EMPTY, NO_MASK, ROLES, SHAPE, UNTRAINED, WRONG_MASK, alternate
from engine.datasets.templates.tokens import fitting
from engine.samples.splice import Turn

LAST = "does not end with a response"
THOUGHT = "reasoning_content"
"""Key of a message's reasoning, as chat templates and trainers name it."""


def within(turns: Sequence[Turn], options: FormatOptions) -> list[Turn]:
    """The turns that a trainer gets: up to the last response, within the length. Empty where none is trained."""
    kept = fitting(turns, options.max_length, options.measure, options.markup)
    return kept if any(turn.loss for turn in kept) else []


def trained(turn: Turn) -> bool:
    """Whether a turn is trained: one without a mask is not."""
    return turn.role == "assistant" and bool(turn.loss)


def plain(turns: Sequence[Turn], thinks: bool = False) -> list[Record]:
    """Messages without a mask; with `thinks`, each has its reasoning, which may be empty."""
    return [{"role": turn.role, "content": turn.content, **thought(turn, thinks)} for turn in turns]


def thought(turn: Turn, thinks: bool) -> Record:
    """A message's reasoning under its key: that of a trained turn, else empty; all messages have the same keys."""
    return {THOUGHT: turn.reasoning if trained(turn) else ""} if thinks else {}


def masked(turns: Sequence[Turn], options: FormatOptions, key: str, kind: type = bool) -> list[Record]:
    """A line of messages with a mask on each, whoever speaks: a boolean, or 0 and 1."""
    kept = within(turns, options)
    messages = plain(kept, options.reasoning)
    for message, turn in zip(messages, kept, strict=True):
        message[key] = kind(trained(turn))
    return [{"messages": messages}] if messages else []


def runs(turns: Sequence[Turn]) -> Iterator[tuple[int, int]]:
    """Where the mask is on: from the first of some trained turns up to behind the last, with no untrained between."""
    begin = None
    last = 0
    for place, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        if trained(turn):
            begin, last = place if begin is None else begin, place + 1
        elif begin is not None:
            yield begin, last
            begin = None
    if begin is not None:
        yield begin, last


def conversation_problems(
    messages: Any,
    keys: Callable[[str], tuple[str, ...]],
    role: str = "role",
    text: str = "content",
    names: tuple[str, str, str] = ("system", "user", "assistant"),
) -> list[str]:
    """What is wrong with a list of messages; `keys` gives the keys that a message of a role has, in their order."""
    if not isinstance(messages, list) or not messages:
        return [SHAPE]
    for message in messages:
        if not isinstance(message, dict) or message.get(role) not in names:
            return [SHAPE]
        if tuple(key for key in message if key != THOUGHT) != keys(message[role]):
            return [SHAPE]
        if not isinstance(message.get(THOUGHT, ""), str):
            return [SHAPE]
    problems = []
    said = {names[1]: "user", names[2]: "assistant"}
    spoken = [message[role] for message in messages]
    if spoken[:1] == [names[0]]:
        spoken = spoken[1:]
    if not alternate(said.get(name, name) for name in spoken):
        problems.append(ROLES)
    if spoken[-1:] != [names[2]]:
        problems.append(LAST)
    if not all(isinstance(message[text], str) and message[text].strip() for message in messages):
        problems.append(EMPTY)
    return problems


def mask_problems(masks: Sequence[Any], on: Sequence[Any]) -> list[str]:
    """What is wrong with the masks of the assistant's messages: each must be one of the two values `on` (off, on)."""
    problems = []
    if any(type(mask) is not type(on[0]) or mask not in on for mask in masks):
        problems.append(NO_MASK)
    if on[1] not in masks:
        problems.append(UNTRAINED)
    return problems


def masked_problems(record: Record, key: str, on: Sequence[Any] = (False, True)) -> list[str]:
    """What is wrong with a line of messages that each have a mask: one of the two values `on` (off, on)."""
    if tuple(record) != ("messages",):
        return [SHAPE]
    problems = conversation_problems(record["messages"], lambda role: ("role", "content", key))
    if SHAPE in problems:
        return problems
    masks = [message[key] for message in record["messages"] if message["role"] == "assistant"]
    others = [message[key] for message in record["messages"] if message["role"] != "assistant"]
    if any(type(mask) is not type(on[0]) or mask != on[0] for mask in others):
        problems.append(WRONG_MASK)
    return problems + mask_problems(masks, on)
