"""OpenHands V1 (software-agent-sdk): a conversation's folder (`events/event-00000-….json`), or JSONL of events.

Actions of one answer of the model are one message. Events about state, cost or hooks are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, compact, decode, part, rows, text
from engine.imports.files import RolloutFile, consulted, inside, small_json
from engine.imports.messages import (
    call_of,
    digest_key,
    instruction_of,
    messages_of,
    reasoning_of,
    schemas_of,
    text_of,
)
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall

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
    stop, running = text(state, "execution_status"), dict[str, int]()  # calls of an agent that runs its own tools
    for event in events:
        kind = text(event, "kind")
        model = model or _model(event)
        if kind == "SystemPromptEvent":
            said = _with(text_of(event.get("system_prompt")), event.get("dynamic_context"))
            messages.append(AttemptMessage(role="system", content=said))
            tools = schemas_of([_named(tool) for tool in rows(event, "tools")])
        elif kind == "MessageEvent":
            made_of = messages_of(event.get("llm_message"), role=text(event, "source"))
            last = made_of[-1]
            messages += [*made_of[:-1], replace(last, content=_with(last.content, event.get("extended_content")))]
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
        elif kind == "ACPToolCallEvent":
            _own_call(event, messages, running)
        elif kind == "ConversationErrorEvent":
            stop = "error"
            notes.append(f"error: {text(event, 'code')}: {text(event, 'detail')[:500]}")
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
        stop=stop,
        cut_off=stop in ("error", "stuck"),
        notes=[*notes, "the format holds no reward"],
    )


def _with(said: str, more: Any) -> str:
    """A text, and what the conversation adds to it: skills, facts about the workspace."""
    added = text_of(more)
    return f"{said}\n{added}" if said and added else said or added


def _named(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool with its name, which events call its title."""
    return tool if "name" in tool or "function" in tool else {**tool, "name": text(tool, "title")}


def _own_call(event: dict[str, Any], messages: list[AttemptMessage], running: dict[str, int]) -> None:
    """A call that an agent made with tools of its own, or what is new about it: its result is in the last event."""
    identity = text(event, "tool_call_id")
    given, came = event.get("raw_input"), event.get("raw_output")
    content = came if isinstance(came, str) else compact(came) if came is not None else ""
    result = AttemptMessage(
        role="tool",
        content=content or "\n".join(filter(None, (text_of(part.get("content")) for part in rows(event, "content")))),
        tool_call_id=identity,
        name=text(event, "title"),
        error=event.get("is_error") is True,
    )
    arguments = given if isinstance(given, str) else compact(given) if given is not None else "{}"
    call = ToolCall(text(event, "title") or text(event, "tool_kind") or "tool", arguments, identity)
    if identity in running:
        at = running[identity]
        messages[at] = replace(messages[at], tool_calls=(call,)) if given is not None else messages[at]
        messages[at + 1] = result
        return
    running[identity] = len(messages)
    messages += [AttemptMessage(role="assistant", tool_calls=(call,)), result]


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
        reasoning=reasoning_of(event),
    )


def _result(event: dict[str, Any], kind: str) -> AttemptMessage:
    observation = part(event, "observation")
    content = _with(text_of(observation.get("content", observation.get("output"))), event.get("extended_content"))
    return AttemptMessage(
        role="tool",
        content=content or text(event, "error") or text(event, "rejection_reason"),
        tool_call_id=text(event, "tool_call_id"),
        name=text(event, "tool_name"),
        error=kind != "ObservationEvent" or observation.get("is_error") is True,
    )


READER = Reader("openhands-sdk", "OpenHands V1 events", recognise, read)
