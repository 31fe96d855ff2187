"""NeMo Gym: a row holds the parameters of a Responses call and its result, as Responses items.

A turn is a run of reasoning, message and call items up to the next output. Outputs are matched by `call_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, compact, part, reward_of, text
from engine.imports.files import RolloutFile
from engine.imports.messages import ROLES, call_of, instruction_of, messages_of, schemas_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall


def recognise(file: RolloutFile) -> bool:
    """The parameters of a Responses call beside its response."""
    return file.has("responses_create_params", "response")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row."""
    for place, row in file.rows():
        with file.reporting(place):
            yield _attempt(row, str(file.path), place)


def _attempt(row: dict[str, Any], source: str, place: str) -> Attempt:
    asked, answered = part(row, "responses_create_params"), part(row, "response")
    notes: list[str] = []
    output = answered.get("output")
    if not isinstance(output, list):
        raise Malformed("`response.output` is no list")
    given = asked.get("input")
    header = [{"role": "user", "content": given}] if isinstance(given, str) and given else given
    header = header if isinstance(header, list) else []
    if output and all(isinstance(state, list) for state in output):
        output = _last_state(output, notes)
    messages = _system(asked) + list(items(header)) + list(items(output))
    statement = text(part(row, "instance_config", "problem_info"), "problem_statement") or text(
        part(asked, "metadata"), "problem_statement"
    )
    if not any(message.role in ("system", "user") for message in messages) and statement:
        messages = _synthesised(row, statement) + messages
        notes.append("the file leaves the prompt out: it is made of the system prompt and task text that the row tells")
    reward = reward_of(row.get("reward"), notes)
    if row.get("mask_sample") is True:
        notes.append("masked by NeMo Gym (not to be trained on): its reward counts as unknown")
    stop = "timeout" if row.get("agent_timed_out") is True else text(row, "error_kind")
    incomplete = part(answered, "incomplete_details")
    return Attempt(
        task=_task(row, header),
        source=source,
        format="nemo-gym",
        place=place,
        id=text(row, "_ng_rollout_index"),
        agent=text(part(row, "agent_ref"), "name"),
        model=text(answered, "model") or text(asked, "model"),
        instruction=shorten(statement) or instruction_of(messages),
        tools=schemas_of(asked.get("tools") or answered.get("tools")),
        messages=messages,
        rewards={"reward": reward},
        reward=None if row.get("mask_sample") is True else reward,
        stop=stop or text(incomplete, "reason"),
        cut_off=bool(stop or incomplete),
        notes=notes,
        raw={key: row[key] for key in ("_ng_task_index", "_ng_rollout_index", "resolved", "task_idx") if key in row},
    )


def _task(row: dict[str, Any], header: list[Any]) -> str:
    """The instance's name, else the number of the task, else a digest of the input."""
    asked = part(row, "responses_create_params")
    named = text(part(row, "instance_config", "problem_info"), "instance_id") or text(
        part(asked, "metadata"), "instance_id"
    )
    for key in ("_ng_task_index", "task_idx"):
        named = named or (f"task {text(row, key)}" if text(row, key) else "")
    return named or f"prompt-{hashlib.sha256(compact([asked.get('instructions'), header]).encode()).hexdigest()[:12]}"


def _system(asked: dict[str, Any]) -> list[AttemptMessage]:
    told = text(asked, "instructions")
    return [AttemptMessage(role="system", content=told)] if told else []


def _synthesised(row: dict[str, Any], statement: str) -> list[AttemptMessage]:
    system = text(part(row, "instance_config", "agent_kwargs"), "system_prompt")
    made = [AttemptMessage(role="system", content=system, synthesised=True)] if system else []
    return [*made, AttemptMessage(role="user", content=statement, synthesised=True)]


def _last_state(states: list[Any], notes: list[str]) -> list[Any]:
    """The conversation of a list of states, each of which repeats the one before it."""
    last = states[-1]
    if any(state != last[: len(state)] for state in states):
        notes.append("the states do not go on from each other: the last one is read")
    return list(last)


def items(told: Iterable[Any]) -> Iterator[AttemptMessage]:
    """Returns Responses items as messages: the model's items between two outputs are one message."""
    turn = _Turn()
    for item in told:
        if not isinstance(item, dict):
            raise Malformed("an item is no object")
        kind, role = text(item, "type") or "message", text(item, "role")
        if kind == "reasoning":
            turn.thoughts += [said for said in (text_of(item.get("summary")), text_of(item.get("content"))) if said]
        elif kind.endswith("_call"):
            turn.calls.append(_call(item))
        elif kind == "message" and ROLES.get(role, "assistant") == "assistant":
            if "tool_calls" in item:
                yield from turn.done()
                yield from messages_of(item)
                continue
            turn.texts.append(text_of(item.get("content")))
        else:
            yield from turn.done()
            if kind.endswith("_call_output"):
                yield AttemptMessage(
                    role="tool", content=text_of(item.get("output")), tool_call_id=text(item, "call_id")
                )
            elif kind == "message":
                yield from messages_of(item)
            else:
                yield AttemptMessage(role="tool", content=compact(item), name=kind)
    yield from turn.done()


def _call(item: dict[str, Any]) -> ToolCall:
    if text(item, "name"):
        return call_of({**item, "id": item.get("call_id") or item.get("id")})
    kind = text(item, "type")  # a server's own tool: a search, a computer
    return ToolCall(
        kind.removesuffix("_call"), compact(item.get("action", {})), text(item, "call_id") or text(item, "id")
    )


class _Turn:
    """What the model said since the last output."""

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self.texts: list[str] = []
        self.calls: list[ToolCall] = []

    def done(self) -> Iterator[AttemptMessage]:
        """The turn as a message, if anything was said; and begin anew."""
        if self.thoughts or self.texts or self.calls:
            yield AttemptMessage(
                role="assistant",
                content="\n".join(self.texts),
                tool_calls=tuple(self.calls),
                reasoning="\n".join(self.thoughts),
            )
        self.thoughts, self.texts, self.calls = [], [], []


READER = Reader("nemo-gym", "NeMo Gym rollouts", recognise, read)
