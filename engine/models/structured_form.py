"""The optional parts of a request: the form of answers, a person's own fields, a joined system turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.tree.events import Message

FORMS = ("json_schema", "json_object", "")
"""How an answer of a form is asked for, best first; "": in words only."""


def form_field(form: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of `response_format` for answers of a schema; `form` is one of `FORMS`."""
    if form == "json_schema":
        return {"type": form, "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}
    return {"type": form}


def chosen_fields(top_p: float | None, reasoning_effort: str) -> dict[str, Any]:
    """Fields that are sent only where a person chose them."""
    fields: dict[str, Any] = {}
    if top_p is not None:
        fields["top_p"] = top_p
    if reasoning_effort:
        fields["reasoning_effort"] = reasoning_effort
    return fields


def with_extra(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with those of `--extra-body`, which takes out what it sets to null."""
    return {name: value for name, value in {**fields, **extra}.items() if extra.get(name, value) is not None}


def joined_system(messages: Sequence[Message]) -> list[Message]:
    """The turns with the system's text at the head of the first user turn."""
    system = [message.content for message in messages if message.role == "system"]
    turns = [message for message in messages if message.role != "system"]
    text = "\n\n".join(filter(None, system))
    first = next((place for place, turn in enumerate(turns) if turn.role == "user"), None)
    if not text:
        return turns
    if first is None:
        return [Message("user", text), *turns]
    turns[first] = Message("user", f"{text}\n\n{turns[first].content}")
    return turns
