"""Conversations in the forms in which people share them, read as turns with a mask.

| form | is trained |
| --- | --- |
| `messages`: role and content, whatever else stands there | what the assistant says |
| `conversations`: from and value (ShareGPT), or role and content; `system` beside them | what the assistant says |
| `conversation`: rounds of system, input and output (XTuner) | the outputs |
| `prompt` and `completion` (or `response`): texts, or messages | what the assistant says in the completion |
| `instruction`, `input`, `output` (Alpaca), `system` and `history` beside them | the outputs |

A message that says that it is not trained (`loss`, `train`, `weight`, … is false or 0) is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.datasets.templates.markup import JOINT
from engine.samples.splice import Turn

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
TOOL_ROLES = ("tool", "function", "function_call", "function_response", "observation", "ipython", "environment")
MASKS = ("loss", "train", "training", "trainable", "weight", "loss_weight", "loss_mask", "output_with_loss")
"""Keys by which a message says whether it is trained."""

TOOLS = "tool turns, for which the format has no place"
UNKNOWN = "a form that is not known"
NO_TEXT = "a message without a text"
OTHER_PART = "a part of a message that is no text"


class Unfit(Exception):
    """Why a line can't be read as a conversation, in a few fixed words."""


def conversation_of(value: Any) -> list[Turn]:
    """The conversation of a line. Raises `Unfit`."""
    if not isinstance(value, Mapping):
        raise Unfit(UNKNOWN)
    for reader in (_messages, _rounds, _prompted, _instructed):
        turns = reader(value)
        if turns is not None:
            return _with_system(turns, value.get("system"))
    raise Unfit(UNKNOWN)


def _messages(value: Mapping[str, Any]) -> list[Turn] | None:
    for key in ("messages", "conversations", "conversation"):
        rows = value.get(key)
        if isinstance(rows, Sequence) and not isinstance(rows, str) and rows and all(map(_is_message, rows)):
            return [_turn(row) for row in rows]
    return None


def _is_message(row: Any) -> bool:
    return isinstance(row, Mapping) and ("role" in row or "from" in row)


def _turn(row: Mapping[str, Any], trained: bool = True) -> Turn:
    """A message as a turn. Raises `Unfit`."""
    role = row.get("role", row.get("from"))
    if role in TOOL_ROLES or any(row.get(key) for key in ("tool_calls", "function_call")):
        raise Unfit(TOOLS)
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise Unfit(f"a role that is not known: {str(role)[:20]!r}")
    known = ROLES[role.lower()]
    text = _text(row.get("content", row.get("value")))
    return Turn(known, text, (trained and _trained(row)) if known == "assistant" else None, "good")


def _text(content: Any) -> str:
    """A message's text; parts of it are joined. Raises `Unfit`."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unfit(NO_TEXT)
    texts = []
    for part in content:
        if isinstance(part, Mapping):
            if part.get("type", "text") != "text":
                raise Unfit(OTHER_PART)
            part = part.get("text", part.get("value", part.get("content")))
        if not isinstance(part, str):
            raise Unfit(OTHER_PART)
        texts.append(part)
    return "".join(texts)


def _trained(row: Mapping[str, Any]) -> bool:
    """Whether a message is trained: unless it says that it is not."""
    return all(row.get(key) not in (False, 0, "false", "False") for key in MASKS)


def _rounds(value: Mapping[str, Any]) -> list[Turn] | None:
    rows = value.get("conversation")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) and "output" in row for row in rows):
        return None
    turns: list[Turn] = []
    for row in rows:
        if isinstance(row.get("system"), str) and row["system"] and not turns:
            turns.append(Turn("system", row["system"], None, "good"))
        turns.append(Turn("user", _text(row.get("input")), None, "good"))
        turns.append(Turn("assistant", _text(row["output"]), _trained(row), "good"))
    return turns


def _prompted(value: Mapping[str, Any]) -> list[Turn] | None:
    answer = next((value[key] for key in ("completion", "response") if key in value), None)
    prompt = value.get("prompt")
    if answer is None or prompt is None:
        return None
    turns = []
    for said, trained in ((prompt, False), (answer, True)):
        if isinstance(said, list) and all(map(_is_message, said)):
            turns += [_turn(row, trained) for row in said]
        elif isinstance(said, str):
            turns.append(Turn("assistant" if trained else "user", said.strip(), trained or None, "good"))
        else:
            raise Unfit(NO_TEXT)
    return turns


def _instructed(value: Mapping[str, Any]) -> list[Turn] | None:
    if "instruction" not in value or "output" not in value:
        return None
    turns = []
    history = value.get("history")
    for pair in history if isinstance(history, list) else ():
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unfit(UNKNOWN)
        turns += [Turn("user", _text(pair[0]), None, "good"), Turn("assistant", _text(pair[1]), True, "good")]
    more = value.get("input")
    asked = _text(value["instruction"]) + (f"\n{more}" if isinstance(more, str) and more else "")
    return [*turns, Turn("user", asked, None, "good"), Turn("assistant", _text(value["output"]), True, "good")]


def _with_system(turns: list[Turn], system: Any) -> list[Turn]:
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        return [Turn("system", system, None, "good"), *turns]
    return turns


def joined_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of messages with the system's text at the head of the first user turn."""
    found = dict(record)
    for key, role, text, user in (
        ("messages", "role", "content", "user"),
        ("prompt", "role", "content", "user"),
        ("conversations", "from", "value", "human"),
    ):
        rows = record.get(key)
        if isinstance(rows, list) and rows and isinstance(rows[0], dict) and rows[0].get(role) == "system":
            found[key] = _joined(rows, role, text, user)
    return found


def _joined(rows: list[dict[str, Any]], role: str, text: str, user: str) -> list[dict[str, Any]]:
    system, *rest = rows
    if not rest or rest[0].get(role) != user:
        return [{**system, role: user}, *rest]
    if not isinstance(system[text], str) or not isinstance(rest[0][text], str):
        return rows
    return [{**rest[0], text: f"{system[text]}{JOINT}{rest[0][text]}"}, *rest[1:]]
