"""Attempts written again: as ATIF 1.7 documents, and as rows of chat JSONL.

ATIF has no place for a reward, a task, or a message's marks: they are in `extra`, where the reader finds them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage, Transcript
from engine.imports.bounded_json import Malformed, compact, decode

ATIF_VERSION = "ATIF-v1.7"

_SOURCES = {"system": "system", "user": "user", "assistant": "agent", "tool": "system"}


def atif_document(attempt: Attempt) -> dict[str, Any]:
    """The attempt as one ATIF document, valid by Harbor's rules."""
    extra = {
        "task": attempt.task,
        **({"attempt": attempt.id} if attempt.id else {}),
        **({"reward": attempt.reward} if attempt.reward is not None else {}),
        **({"rewards": attempt.rewards} if attempt.rewards else {}),
        **({"environment": attempt.environment} if attempt.environment else {}),
        **({"stop": attempt.stop} if attempt.stop else {}),
        **({"cut_off": True} if attempt.cut_off else {}),
    }
    agent = {
        "name": attempt.agent or "unknown",
        "version": str(attempt.raw.get("agent_version") or "unknown"),
        **({"model_name": attempt.model} if attempt.model else {}),
        **({"tool_definitions": attempt.tools} if attempt.tools else {}),
    }
    return {**_document(attempt.messages, agent, attempt.id or "attempt"), "extra": extra}


def _document(messages: Sequence[AttemptMessage], agent: dict[str, Any], identity: str) -> dict[str, Any]:
    nested: list[dict[str, Any]] = []
    steps = _Steps(identity, nested)
    for message in messages:
        steps.add(message)
    return {
        "schema_version": ATIF_VERSION,
        "session_id": identity,
        "trajectory_id": identity,
        "agent": agent,
        "steps": steps.done,
        **({"subagent_trajectories": nested} if nested else {}),
    }


class _Steps:
    """Steps as they are made, message by message."""

    def __init__(self, identity: str, nested: list[dict[str, Any]]) -> None:
        self.done: list[dict[str, Any]] = []
        self.identity, self.nested = identity, nested
        self.open: list[tuple[str, str]] = []  # calls of the last step: the file's id, the id written

    def add(self, message: AttemptMessage) -> None:
        """Write one message: as a step, or as a result of the last one."""
        if message.role == "tool" and not message.of_user and self._answers(message):
            return
        step: dict[str, Any] = {
            "step_id": len(self.done) + 1,
            "source": _SOURCES[message.role],
            "message": message.content,
        }
        extra = _marks(message)
        self.open = []
        if message.role == "assistant":
            if message.reasoning:
                step["reasoning_content"] = message.reasoning
            if message.tool_calls:
                step["tool_calls"] = self._calls(message)
        else:
            if message.role == "tool":
                extra |= {"role": "tool", "tool_call_id": message.tool_call_id}
            if message.tool_calls:
                extra["user_tool_calls"] = [
                    {"name": call.name, "arguments": call.arguments, "id": call.id} for call in message.tool_calls
                ]
            if message.reasoning:
                extra["reasoning_content"] = message.reasoning
        if message.sub:
            extra["subagents"] = [{"trajectory_id": self._nest(sub)} for sub in message.sub]
        if extra:
            step["extra"] = extra
        self.done.append(step)

    def _calls(self, message: AttemptMessage) -> list[dict[str, Any]]:
        made = []
        used: set[str] = set()
        for index, call in enumerate(message.tool_calls):
            identity = call.id if call.id and call.id not in used else f"call_{len(self.done) + 1}_{index + 1}"
            used.add(identity)
            self.open.append((call.id, identity))
            arguments, exact = _arguments(call.arguments)
            extra = {
                **({} if exact else {"raw_arguments": call.arguments}),
                **({} if call.id == identity else {"id": call.id}),
            }
            made.append(
                {
                    "tool_call_id": identity,
                    "function_name": call.name,
                    "arguments": arguments,
                    **({"extra": extra} if extra else {}),
                }
            )
        return made

    def _answers(self, message: AttemptMessage) -> bool:
        """Write a result into the last step, where that has its call."""
        at = next((at for at, (told, _) in enumerate(self.open) if told == message.tool_call_id), None)
        if at is None or message.compacted:
            return False
        _, identity = self.open.pop(at)
        extra = _marks(message)
        result: dict[str, Any] = {"source_call_id": identity, "content": message.content}
        if message.sub:
            result["subagent_trajectory_ref"] = [{"trajectory_id": self._nest(sub)} for sub in message.sub]
        if extra:
            result["extra"] = extra
        self.done[-1].setdefault("observation", {"results": []})["results"].append(result)
        return True

    def _nest(self, sub: Transcript) -> str:
        identity = f"{self.identity}/{len(self.nested) + 1}"
        place: dict[str, Any] = {}
        self.nested.append(place)
        agent = {"name": sub.agent or "unknown", "version": "unknown"}
        place |= _document(sub.messages, agent, identity)
        if sub.id:
            place["extra"] = {"id": sub.id}
        return identity


def _marks(message: AttemptMessage) -> dict[str, Any]:
    """What a message is besides its text, for `extra`."""
    marks: dict[str, Any] = {name: True for name in ("synthesised", "untrained", "of_user") if getattr(message, name)}
    if message.error:
        marks["is_error"] = True
    if message.compacted:
        marks["context_management"] = {"type": "compaction", "boundary": "replace"}
    if message.name:
        marks["name"] = message.name
    return marks


def _arguments(told: str) -> tuple[dict[str, Any], bool]:
    """A call's arguments as the object that ATIF wants, and whether that says all of the string."""
    try:
        found = decode(told)
    except Malformed:
        return {}, False
    return (found, compact(found) == told) if isinstance(found, dict) else ({}, False)


def chat_row(attempt: Attempt) -> dict[str, Any]:
    """The attempt as a row of chat JSONL, in OpenAI's form."""
    row: dict[str, Any] = {"task_id": attempt.task, "messages": chat_messages(attempt.messages)}
    if attempt.tools:
        row["tools"] = attempt.tools
    if attempt.reward is not None:
        row["reward"] = attempt.reward
    if any(name != "reward" for name in attempt.rewards):
        row["rewards"] = attempt.rewards
    told = {
        "attempt_id": attempt.id,
        "agent": attempt.agent,
        "model": attempt.model,
        "environment": attempt.environment,
        "instruction": attempt.instruction,
        "stop": attempt.stop,
    }
    return row | {name: value for name, value in told.items() if value}


def chat_messages(messages: Iterable[AttemptMessage]) -> list[dict[str, Any]]:
    """Messages in OpenAI's form; transcripts of subagents are left out."""
    return [_chat(message) for message in messages]


def _chat(message: AttemptMessage) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        told["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    for name in ("tool_call_id", "name"):
        if value := getattr(message, name):
            told[name] = value
    if message.reasoning:
        told["reasoning_content"] = message.reasoning
    if message.untrained and message.role == "assistant":
        told["trainable"] = False
    return told
