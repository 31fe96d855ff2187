"""OpenHands V1 (software-agent-sdk): a conversation's folder (`events/event-00000-….json`), or JSONL of events.

Actions of one answer of the model are one message. Events about state, cost or hooks are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, compact, decode, part, text
from engine.imports.files import RolloutFile, consulted, inside, small_json
from engine.imports.messages import call_of, digest_key, instruction_of, messages_of, schemas_of, text_of
from engine.imports.reader import Reader, ReadOptions

EVENT_FILE = re.compile(r"event-(\d+)-.+\.json")
_RESULTS = {"ObservationEvent", "AgentErrorEvent", "UserRejectObservation"}
_MOST_EVENTS = 100_000


def recognise(file: RolloutFile) -> bool:
    """Events with a `kind` and a `source`."""
    kind = file.peek("kind") if file.has("kind", "source", "id") else None
    return isinstance(kind, str) and kind.endswith(("Event", "Observation", "Condensation", "CondensationRequest"))


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """Yields one attempt: the events of a file, or of all files of the conversation that holds it."""
    if EVENT_FILE.fullmatch(file.path.name):
        beside = small_json(file.path.parent.parent, "base_state.json")
        yield _attempt(_folder(file), file, text(beside, "id") or file.path.parent.parent.name, beside)
        return
    yield _attempt((row for _, row in file.rows()), file, "", {})


def _event_names(file: RolloutFile) -> list[str]:
    consulted(file.path.parent)
    return [path.name for path in file.path.parent.iterdir() if EVENT_FILE.fullmatch(path.name)]


def _number(name: str) -> int:
    found = EVENT_FILE.fullmatch(name)
    return int(found[1]) if found else 0


def _folder(file: RolloutFile) -> Iterator[dict[str, Any]]:
    for name in sorted(_event_names(file), key=lambda name: (_number(name), name))[:_MOST_EVENTS]:
        place = inside(file.path.parent, name)
        try:
            event = decode(place.read_bytes()) if place is not None and place.stat().st_size < 1 << 28 else None
        except (OSError, Malformed) as error:
            file.problem(name, str(error))
            continue
        if isinstance(event, dict):
            yield event
        else:
            file.problem(name, "is no event")


def _attempt(events: Iterable[dict[str, Any]], file: RolloutFile, conversation: str, state: dict[str, Any]) -> Attempt:
    messages: list[AttemptMessage] = []
    notes: list[str] = []
    tools: list[dict[str, Any]] = []
    answer, left_out, model = "", 0, text(part(state, "agent", "llm"), "model")
    for event in events:
        kind = text(event, "kind")
        model = model or _model(event)
        if kind == "SystemPromptEvent":
            messages.append(AttemptMessage(role="system", content=text_of(event.get("system_prompt"))))
            tools = schemas_of(event.get("tools"))
        elif kind == "MessageEvent":
            messages += messages_of(event.get("llm_message"), role=text(event, "source"))
        elif kind == "ActionEvent":
            made = _action(event)
            identity = text(event, "llm_response_id")
            if identity and identity == answer and messages and messages[-1].tool_calls:
                messages[-1] = replace(messages[-1], tool_calls=messages[-1].tool_calls + made.tool_calls)
            else:
                messages.append(made)
            answer = identity
        elif kind in _RESULTS:
            messages.append(_result(event, kind))
        elif kind == "Condensation":
            said = text(event, "summary") or "[context condensed]"
            messages.append(AttemptMessage(role="system", content=said, compacted=True))
        else:
            left_out += 1
    if left_out:
        notes.append(f"{left_out} events that say nothing to the model are left out")
    if not messages:
        raise Malformed("the events hold no messages")
    if not any(message.role in ("system", "user") for message in messages):
        notes.append("the file begins after the prompt")
    return Attempt(
        task=digest_key(messages) if any(message.role == "user" for message in messages) else conversation or file.stem,
        source=str(file.path.parent.parent if conversation else file.path),
        format="openhands-sdk",
        id=conversation,
        agent="OpenHands",
        model=model,
        instruction=instruction_of(messages),
        tools=tools,
        messages=messages,
        stop=text(state, "execution_status"),
        cut_off=text(state, "execution_status") in ("error", "stuck"),
        notes=[*notes, "the format holds no reward"],
    )


def _model(event: dict[str, Any]) -> str:
    usage = part(event, "value", "usage_to_metrics")
    return next((text(one, "model_name") for one in usage.values() if text(one, "model_name")), "")


def _action(event: dict[str, Any]) -> AttemptMessage:
    call = event.get("tool_call")
    if not isinstance(call, dict):
        call = {"name": text(event, "tool_name"), "arguments": compact(part(event, "action"))}
    return AttemptMessage(
        role="assistant",
        content=text_of(event.get("thought")),
        tool_calls=(call_of({**call, "id": text(call, "id") or text(event, "tool_call_id")}),),
        reasoning=text(event, "reasoning_content"),
    )


def _result(event: dict[str, Any], kind: str) -> AttemptMessage:
    observation = part(event, "observation")
    content = text_of(observation.get("content", observation.get("output")))
    return AttemptMessage(
        role="tool",
        content=content or text(event, "error") or text(event, "rejection_reason"),
        tool_call_id=text(event, "tool_call_id"),
        name=text(event, "tool_name"),
        error=kind != "ObservationEvent" or observation.get("is_error") is True,
    )


READER = Reader("openhands-sdk", "OpenHands V1 events", recognise, read)
