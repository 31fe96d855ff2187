"""Conversations with a mask: what the formats of messages share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from engine.datasets.formats.base import Record
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import EMPTY, NO_MASK, ROLES, SHAPE, UNTRAINED, WRONG_MASK, alternate
from engine.datasets.templates.tokens import fitting
from engine.samples.splice import Turn

UNANSWERED = "a call without its result, or a result without its call"
LAST = "does not end with a response"
THOUGHT = "reasoning_content"
"""Key of a message's reasoning, as chat templates and trainers name it."""
TOOLS = "tools"
"""Column of the tools that a conversation may call."""
CALL_KEYS = ("tool_calls", "tool_call_id", "name")
"""Keys of messages in a conversation with tools."""


def within(turns: Sequence[Turn], options: FormatOptions) -> list[Turn]:
    """The turns that a trainer gets: up to the last response, within the length. Empty where none is trained."""
    kept = fitting(turns, options.max_length, options.measure, options.markup)
    return kept if any(turn.loss for turn in kept) else []


def trained(turn: Turn) -> bool:
    """Whether a turn is trained: one without a mask is not."""
    return turn.role == "assistant" and bool(turn.loss)


def plain(turns: Sequence[Turn], thinks: bool = False, tools: bool | None = None) -> list[Record]:
    """Returns messages without a mask.

    `turns`: the conversation. `thinks`: whether each message has its reasoning, which may be empty. `tools`: whether
    each has its calls and the call that it answers, so that all messages have the same keys; None: where the
    conversation calls a tool.
    """
    tools = calls_tools(turns) if tools is None else tools
    return [
        {"role": turn.role, "content": turn.content, **(called(turn) if tools else {}), **thought(turn, thinks)}
        for turn in turns
    ]


def calls_tools(turns: Iterable[Turn]) -> bool:
    """Whether a tool is called."""
    return any(turn.calls for turn in turns)


def called(turn: Turn) -> Record:
    """The calls of a message and what it answers, as OpenAI's messages have them; each may be empty."""
    return {"tool_calls": calls_of(turn), "tool_call_id": turn.call_id, "name": turn.name}


def calls_of(turn: Turn) -> list[Record]:
    """The calls of a message in OpenAI's form."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in turn.calls
    ]


def tools_column(turns: Sequence[Turn], options: FormatOptions) -> Record:
    """The tools of a conversation as a column: a JSON text, since Arrow would join the schemas of all tools to one."""
    if not options.tools and not calls_tools(turns):
        return {}
    return {TOOLS: json.dumps(list(options.tools), ensure_ascii=False)}


def thought(turn: Turn, thinks: bool) -> Record:
    """A message's reasoning under its key: that of a trained turn, else empty; all messages have the same keys."""
    return {THOUGHT: turn.reasoning if trained(turn) else ""} if thinks else {}


def masked(turns: Sequence[Turn], options: FormatOptions, key: str, kind: type = bool) -> list[Record]:
    """Returns one record of messages that each have a mask, whoever speaks; no record where nothing fits.

    `turns`: the conversation. `options`: limits, and what a record holds. `key`: name of the mask in a message. `kind`:
    type of the mask: `bool`, or `int` for 0 and 1.
    """
    kept = within(turns, options)
    messages = plain(kept, options.reasoning)
    for message, turn in zip(messages, kept, strict=True):
        message[key] = kind(trained(turn))
    return [{"messages": messages, **tools_column(kept, options)}] if messages else []


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
    names: tuple[str, ...] = ("system", "user", "assistant", "tool"),
) -> list[str]:
    """Returns what is wrong with a list of messages, one text a problem.

    `messages`: decoded JSON. `keys`: returns the keys that a message of a role has, in order. `role` and `text`: the
    names of these fields. `names`: what the roles are called: system, user, assistant and tool, in this order.
    """
    if not isinstance(messages, list) or not messages:
        return [SHAPE]
    tools = any(isinstance(message, dict) and "tool_calls" in message for message in messages)
    for message in messages:
        if not isinstance(message, dict) or message.get(role) not in names:
            return [SHAPE]
        if message[role] == "tool" and not tools:
            return [SHAPE]
        if tuple(key for key in message if key not in (THOUGHT, *CALL_KEYS)) != keys(message[role]):
            return [SHAPE]
        if not isinstance(message.get(THOUGHT, ""), str):
            return [SHAPE]
    problems = []
    said = {
        name: ("user", "assistant")[(place - 1) % 2] for place, name in enumerate(names) if place and name != "tool"
    }
    spoken = [message[role] for message in messages]
    if spoken[:1] == [names[0]]:
        spoken = spoken[1:]
    if any(message.get("tool_calls") for message in messages):
        if not answered(messages):
            problems.append(UNANSWERED)
    elif not alternate(said.get(name, name) for name in spoken):
        problems.append(ROLES)
    if not spoken or said.get(spoken[-1]) != "assistant":
        problems.append(LAST)
    results = ("tool", "observation")  # may be empty
    for message in messages:
        words = message[text]
        if not isinstance(words, str):
            return [SHAPE]
        if not (words.strip() or message.get("tool_calls") or message[role] in results):
            return [*problems, EMPTY]
    return problems


def answered(messages: Sequence[Record]) -> bool:
    """Whether each call has its result before the next turn of the assistant, and each result its call. The calls of
    the last turn wait for theirs."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "assistant":
            if waiting:
                return False
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
        elif message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return False
            waiting.remove(message["tool_call_id"])
    return messages[-1]["role"] == "assistant" or not waiting


def mask_problems(masks: Sequence[Any], on: Sequence[Any]) -> list[str]:
    """What is wrong with the masks of the assistant's messages: each must be one of the two values `on` (off, on)."""
    problems = []
    if any(type(mask) is not type(on[0]) or mask not in on for mask in masks):
        problems.append(NO_MASK)
    if on[1] not in masks:
        problems.append(UNTRAINED)
    return problems


def masked_problems(record: Record, key: str, on: Sequence[Any] = (False, True)) -> list[str]:
    """Returns what is wrong with a line of messages that each have a mask, one text a problem.

    `record`: the line. `key`: name of the mask in a message. `on`: its two values: not trained, trained.
    """
    if tuple(record) not in (("messages",), ("messages", TOOLS)):
        return [SHAPE]
    problems = conversation_problems(record["messages"], lambda role: ("role", "content", key))
    if SHAPE in problems:
        return problems
    masks = [message[key] for message in record["messages"] if message["role"] == "assistant"]
    others = [message[key] for message in record["messages"] if message["role"] != "assistant"]
    if any(type(mask) is not type(on[0]) or mask != on[0] for mask in others):
        problems.append(WRONG_MASK)
    return problems + mask_problems(masks, on)
