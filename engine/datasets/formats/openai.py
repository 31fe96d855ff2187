"""`openai`: lines for OpenAI's supervised fine-tuning, and for other services that took its format over.

Every message of the assistant has a `weight`, 0 (not trained) or 1. OpenAI trains a message without one, so the
header's `Ok.` has one too.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.datasets.formats.base import Format, Record, register
from engine.datasets.formats.masks import (
    calls_of,
    calls_tools,
    conversation_problems,
    mask_problems,
    trained,
    within,
)
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import SHAPE
from engine.samples.splice import Turn


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """One line."""
    kept = within(turns, options)
    messages = []
    for turn in kept:
        message: Record = {"role": turn.role, "content": turn.content}
        if turn.role == "assistant":
            message["weight"] = int(trained(turn))
        if turn.calls:
            message["tool_calls"] = calls_of(turn)
        if turn.role == "tool":
            message["tool_call_id"] = turn.call_id
        messages.append(message)
    if not messages:
        return []
    if not options.tools and not calls_tools(kept):
        return [{"messages": messages}]
    parallel = any(len(turn.calls) > 1 for turn in kept)
    return [{"messages": messages, "tools": list(options.tools), "parallel_tool_calls": parallel}]


def keys(role: str) -> tuple[str, ...]:
    """Keys of a message, but those of its calls."""
    return ("role", "content", "weight") if role == "assistant" else ("role", "content")


CALLING = ("messages", "tools", "parallel_tool_calls")


def validate(record: Record) -> list[str]:
    """What is wrong with a line."""
    if tuple(record) not in (("messages",), CALLING):
        return [SHAPE]
    problems = conversation_problems(record["messages"], keys)
    if SHAPE in problems:
        return problems
    weights = [message["weight"] for message in record["messages"] if message["role"] == "assistant"]
    return problems + mask_problems(weights, (0, 1))


TOOL_KEYS = {
    "system": ("role", "content", "name"),
    "user": ("role", "content", "name"),
    "assistant": ("role", "content", "name", "tool_calls", "function_call", "weight"),
    "tool": ("role", "content", "tool_call_id"),
    "function": ("role", "content", "name"),
}
"""Keys of messages in a conversation with tools."""


def _is_role(value: object) -> bool:
    return isinstance(value, str) and value in TOOL_KEYS


def with_tools(value: Record) -> Record | None:
    """The record of a conversation with tool turns in OpenAI's own form; None where it is in another."""
    rows = value.get("messages")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and _is_role(row.get("role")) for row in rows):
        return None
    messages = []
    for row in rows:
        message = {key: row[key] for key in TOOL_KEYS[row["role"]] if row.get(key) is not None}
        said = message.get("content", "")
        if not isinstance(said, str) or not (said.strip() or message.get("tool_calls") or message.get("function_call")):
            return None
        if row["role"] == "assistant":
            message["weight"] = 0 if message.get("weight") == 0 else 1
        messages.append(message)
    spoken = [message["role"] for message in messages]
    if spoken[-1:] != ["assistant"] or "system" in spoken[1:] or not any(each.get("weight") for each in messages):
        return None
    told = {key: value[key] for key in ("tools", "functions", "parallel_tool_calls") if value.get(key) is not None}
    return {"messages": messages, **told}


register(
    Format(
        name="openai",
        summary="messages for OpenAI's supervised fine-tuning",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`weight` (0 or 1) on every message of the assistant; one without it would be trained",
        validate=validate,
        conversation=conversation,
        with_tools=with_tools,
        calls="own",
    )
)
