"""OpenHands 0.x: `output.jsonl` with a `history` of events, or a list of events.

Actions of the same answer of the model are one message; an observation answers the call that it names. Older events
name no call: the call is made from the action's name and arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, compact, listed, part, reward_of, rows, text
from engine.imports.files import RolloutFile, value
from engine.imports.formats.coding.reports import with_report
from engine.imports.messages import instruction_of, messages_of, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall

_SILENT = {"change_agent_state", "agent_state_changed", "null", "recall"}
_AROUND = {"thought", "is_confirmed", "confirmation_state", "action_risk", "keep_prompt", "security_risk", "blocking"}
_OUTER = {"id", "timestamp", "source", "message", "action", "timeout", "tool_call_metadata", "kernel_init_code"}


def recognise(file: RolloutFile) -> bool:
    """A row with a `history` of events, or events themselves."""
    if file.has("history") and bool(file.keys & {"test_result", "git_patch", "instance_id", "metadata"}):
        return True
    return file.shape in ("list", "lines") and file.has("source") and bool(file.keys & {"action", "observation"})


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row; one a file of events."""
    if not file.has("history"):
        events = [value(item) for _, item in file.pieces()] if file.shape == "list" else [row for _, row in file.rows()]
        yield _attempt({"history": events}, file, "")
        return
    for place, row in file.rows():
        with file.reporting(place):
            yield _attempt(row, file, place)


def _attempt(row: dict[str, Any], file: RolloutFile, place: str) -> Attempt:
    events: list[dict[str, Any]] = []
    for event in listed(row, "history"):
        pair = event if isinstance(event, list) else [event]  # very old: [action, observation]
        events += [one for one in pair if isinstance(one, dict)]
    notes: list[str] = []
    messages = _messages(events, notes)
    if not messages:
        raise Malformed("the history holds no messages")
    metadata, issue = part(row, "metadata"), part(row, "issue")
    instance = text(row, "instance_id")
    if issue:
        instance = instance or f"{text(issue, 'owner')}/{text(issue, 'repo')}#{text(issue, 'number')}"
    told = reward_of(
        part(row, "test_result", "report").get("resolved", part(row, "report").get("resolved")), notes, "verdict"
    )
    success = reward_of(row.get("success"), notes, "success")
    error = text(row, "error")
    attempt = Attempt(
        task=instance or file.stem,
        source=str(file.path),
        format="openhands",
        place=place,
        id=text(metadata, "eval_output_dir").rpartition("/")[2],
        agent=text(metadata, "agent_class") or "OpenHands",
        model=text(part(metadata, "llm_config"), "model") or _model(events),
        instruction=text(issue, "title") or instruction_of(messages),
        messages=messages,
        rewards={name: one for name, one in (("resolved", told), ("success", success)) if one is not None},
        reward=told if told is not None else success,
        reward_range=(0.0, 1.0) if told is not None or success is not None else None,
        stop="error" if error else "",
        cut_off=bool(error),
        notes=[*notes, *([f"error: {error[:500]}"] if error else [])],
    )
    return attempt if attempt.rewards or not instance else with_report(attempt, file.path, instance)


def _model(events: list[dict[str, Any]]) -> str:
    return next((text(told, "model") for event in events if (told := _response(event))), "")


def _response(event: dict[str, Any]) -> dict[str, Any]:
    """The model's whole answer, where an event keeps it."""
    return part(event, "tool_call_metadata", "model_response")


def _messages(events: list[dict[str, Any]], notes: list[str]) -> list[AttemptMessage]:
    messages: list[AttemptMessage] = []
    told: set[str] = set()  # answers of the model that are messages already
    silent = 0
    for event in events:
        kind = text(event, "action") or text(event, "observation")
        if kind in _SILENT and not (kind == "recall" and text(event, "content")):
            silent += 1
        elif text(event, "action"):
            messages += _action(event, kind, told)
        elif text(event, "observation"):
            messages.append(_observation(event, kind))
    if silent:
        notes.append(f"{silent} events that say nothing to the model are left out")
    return messages


def _action(event: dict[str, Any], kind: str, told: set[str]) -> list[AttemptMessage]:
    arguments = part(event, "args") or {key: one for key, one in event.items() if key not in _OUTER}
    content = text_of(arguments.get("content")) or text(event, "message")
    source = text(event, "source")
    if kind == "system":
        return [AttemptMessage(role="system", content=content)]
    if kind in ("condensation", "condensation_request"):
        return [
            AttemptMessage(role="system", content=text(arguments, "summary") or "[context condensed]", compacted=True)
        ]
    if kind == "message" and source != "agent":  # events without a source begin with the instruction
        return [AttemptMessage(role="user", content=content)]
    if kind == "message":
        return [AttemptMessage(role="assistant", content=content, reasoning=text(arguments, "reasoning_content"))]
    if source not in ("agent", ""):
        return [AttemptMessage(role="user", content=content or compact(arguments), name=kind)]
    response = _response(event)
    choices = response.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and part(choices[0], "message"):
        key = text(response, "id")
        if key and key in told:
            return []
        told.add(key)
        return messages_of(part(choices[0], "message"), role="assistant")
    thought = text(arguments, "thought")
    own = {key: one for key, one in arguments.items() if key not in _AROUND}
    identity = text(part(event, "tool_call_metadata"), "tool_call_id")
    name = text(part(event, "tool_call_metadata"), "function_name") or kind
    return [AttemptMessage(role="assistant", content=thought, tool_calls=(ToolCall(name, compact(own), identity),))]


def _observation(event: dict[str, Any], kind: str) -> AttemptMessage:
    content = text_of(event.get("content"))
    metadata = part(event, "tool_call_metadata")
    if kind == "recall" and not metadata:
        return AttemptMessage(role="system", content="\n".join([content, *_recalled(part(event, "extras"))]))
    if kind in ("user_message", "chat"):
        return AttemptMessage(role="user", content=content)
    return AttemptMessage(
        role="tool",
        content=content,
        tool_call_id=text(metadata, "tool_call_id"),
        name=text(metadata, "function_name") or kind,
        error=kind == "error",
    )


def _recalled(extras: dict[str, Any]) -> list[str]:
    """The texts that a recall gave the model: instructions of the repository, and knowledge of microagents."""
    told = [text(extras, name) for name in ("repo_instructions", "additional_agent_instructions")]
    told += [text(known, "content") for known in rows(extras, "microagent_knowledge")]
    return [each for each in told if each]


READER = Reader("openhands", "OpenHands 0.x", recognise, read)
