"""Made-up attempts: short to write, and read back as they were said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.merging.grouping import group
from engine.tree.events import ImportedAttempt, Message, ToolCall
from engine.tree.tree import SearchTree

Said = str | tuple[str, str, str]
"""A step: words alone, or words, a command and its result."""

SYSTEM = "You mend code."
TASK = "Mend `parse`."

_count = iter(range(10**9))


def attempt(reward: float | None, *steps: Said, system: str = SYSTEM, task: str = TASK, **more: Any) -> Attempt:
    """An attempt of an agent with one tool; call ids never come twice."""
    messages = [AttemptMessage(role="system", content=system), AttemptMessage(role="user", content=task)]
    for step in steps:
        if isinstance(step, str):
            messages.append(AttemptMessage(role="assistant", content=step))
            continue
        words, command, result = step
        call = ToolCall("bash", '{"command":"' + command + '"}', f"call_{next(_count)}_abcdefgh")
        messages.append(AttemptMessage(role="assistant", content=words, tool_calls=(call,)))
        messages.append(AttemptMessage(role="tool", content=result, tool_call_id=call.id))
    return Attempt(task="parse", source="a.jsonl", format="chat", messages=messages, reward=reward, **more)


def tree_of(*attempts: Attempt, **more: Any) -> SearchTree:
    """The one tree that they make."""
    (events,) = [events for _, events in group(attempts, **more).all()]
    return SearchTree(events)


def shape(messages: Sequence[AttemptMessage] | Sequence[Message]) -> list[tuple[Any, ...]]:
    """What is said, and which call each result answers, whatever the ids are."""
    ids: dict[str, int] = {}
    found, calls_so_far = [], 0
    for message in messages:
        for call in message.tool_calls:  # files repeat ids
            ids[call.id] = calls_so_far
            calls_so_far += 1
        calls = [(call.name, call.arguments) for call in message.tool_calls]
        found.append((message.role, message.content, calls, message.reasoning, ids.get(message.tool_call_id)))
    return found


def reads_as(tree: SearchTree, told: ImportedAttempt, attempt: Attempt) -> bool:
    """Whether the tree holds an attempt as it was; of a file without call ids nobody knows what answers what."""
    own, raw = read_back(tree, told), shape(attempt.messages)
    nameless = any(not call.id for message in attempt.messages for call in message.tool_calls)
    return [each[:-1] for each in own] == [each[:-1] for each in raw] if nameless else own == raw


def read_back(tree: SearchTree, told: ImportedAttempt) -> list[tuple[Any, ...]]:
    """The shape of an attempt as the tree holds it."""
    return shape(tree.attempt_messages(told))
