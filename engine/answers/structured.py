"""Answers that are data: JSON, tool calls, tags. What action do they hold, and what thought?"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from engine.answers.undress import words_of

ACTION_KEYS = (
    "action", "nextaction", "act", "command", "cmd", "actiontext", "actioncommand", "chosenaction", "selectedaction",
    "finalaction", "actions", "nextstep", "step", "move", "tooluse", "toolcall", "functioncall", "toolcalls",
)  # fmt: skip
OTHER_ACTION_WORDS = words_of(
    "aktion acción accion azione ação acao actie akcja akce åtgärd handling eylem aksi tindakan действие 动作 "
    "行动 動作 行動 操作 アクション 액션 행동 कार्य الإجراء"
)
"""What an action is called in other languages."""
THOUGHT_KEYS = (
    "thought", "thoughts", "think", "thinking", "reasoning", "reason", "rationale", "explanation", "analysis", "plan",
)  # fmt: skip
_NAME_KEYS = ("name", "toolname", "functionname", "tool", "function", "type", "actiontype", "actionname")
_INPUT_KEYS = (
    "arguments", "args", "parameters", "params", "actioninput", "input", "inputs", "toolinput", "kwargs", "value",
    "argument", "parameter", "target", "object", "text", "content",
)  # fmt: skip
_GENERIC = words_of(
    "act action actions do step execute perform run take environment env tool function functions call game "
    "play send submit respond interact command input move string text simulator agent"
)
_EMPTY_WORDS = frozenset(("", "none", "null", "n/a", "{}", "[]", '""'))
_MAX_OBJECTS = 50  # beginnings of objects that are tried in one answer
_MAX_SIZE = 100_000  # characters of an answer that are looked at
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_LOOSE_ACTION = re.compile(r"[\"']\s*(?:next[_ ]?)?action\s*[\"']\s*:\s*\"((?:[^\"\\\n]|\\.)*)\"", re.I)
_LOOSE_THOUGHT = re.compile(r"[\"']\s*(?:thoughts?|reasoning)\s*[\"']\s*:\s*\"((?:[^\"\\]|\\.)*)\"", re.I)
_FUNCTION = re.compile(r"<(?:function|invoke|tool)(?:\s*=\s*|\s+name\s*=\s*)[\"']?([\w.:-]+)[\"']?\s*>", re.I)
_PARAMETER = re.compile(
    r"<parameter(?:\s*=\s*|\s+name\s*=\s*)[\"']?(\w+)[\"']?[^>]*>\s*(.*?)\s*(?:</parameter>|\Z)"
    r"|<arg_key>\s*(.*?)\s*</arg_key>\s*<arg_value>\s*(.*?)\s*(?:</arg_value>|\Z)",
    re.I | re.S,
)
_ACTION_TAG = re.compile(
    r"<(?P<name>action|next_action|act|command|tool_call|function_call|tool_use)(?:\s[^<>]*)?>"
    r"(?P<content>.*?)(?P<end></(?P=name)>|\Z)",
    re.I | re.S,
)
_THOUGHT_TAG = re.compile(r"<(thoughts?|reason|rationale)>(.*?)(?:</\1>|(?=<(?:action|act|command)\b)|\Z)", re.I | re.S)
_CALLED = re.compile(
    r"(?:print\(\s*)?(?P<name>[\w.]+)\(\s*(?:\w+\s*=\s*)?(?P<quote>[\"'])(?P<value>.*)(?P=quote)\s*\)\s*\)?", re.S
)


class Structured(NamedTuple):
    """The thought and the action that data in an answer holds."""

    thought: str | None  # None: it says nothing of one
    action: str  # may have several lines
    start: int  # where in the answer it begins, and ends
    end: int
    several: bool  # whether there are further actions


def structured(text: str, joined: str) -> Structured | None:
    """The first action that data in the answer holds. `joined`: how a name and its input are one action."""
    text = text[:_MAX_SIZE]
    return _of_tags(text, joined) or _of_json(text, joined) or _of_broken_json(text)


def begins_structured(text: str) -> bool:
    """Whether an answer is, or was to be, data and nothing else."""
    head = re.sub(r"\s*(?:```[\w-]*\s*)?(?:json\b\s*)?", "", text[:80], count=1)
    return head.startswith(("{", "[{", '["', "<tool", "<function", "<action", "<thought", "<invoke", "<act>"))


def action_in(value: Any, joined: str) -> str | None:
    """The action that a JSON value holds; None where there is none in it."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return next((found for item in value if (found := action_in(item, joined)) is not None), None)
    if isinstance(value, dict):
        return _action_in_object(value, joined)
    return None


def called(text: str) -> str | None:
    """Returns the action in a call of a function that means acting: `act("get 4 quartz")`."""
    match = _CALLED.fullmatch(text.strip())
    if match and _is_generic(match["name"]):
        return match["value"].strip() or None
    return None


def joined_action(name: str, given: str, joined: str) -> str:
    """Returns a tool's name and its input as one action.

    `name`: of the tool. `given`: its input as text; a word such as `none` counts as empty. `joined`: the template that
    joins them, with the fields `{action}` and `{input}`.
    """
    name, given = name.strip(), given.strip()
    if given.lower() in _EMPTY_WORDS:
        return name
    if _is_generic(name) or given.casefold().startswith(name.casefold() + " ") or given == name:
        return given
    if name.endswith("]") or (given.startswith("[") and given.endswith("]")):
        return name + given if given.startswith("[") else f"{name} {given}"
    return joined.format(action=name, input=given)


def input_text(text: str) -> str:
    """Returns the text of an `Action Input:`: the values of an object, else the text."""
    for value, _, _ in _objects(text):
        return _values(value)
    return text


def _plain(key: Any) -> str:
    plain = re.sub(r"[\s_\-:*\d]+", "", str(key)).casefold()
    return "action" if plain in OTHER_ACTION_WORDS else plain


def _plain_keys(given: dict[Any, Any]) -> dict[str, Any]:
    """The values by their plain keys; of several that are alike, the first."""
    plain: dict[str, Any] = {}
    for key, value in given.items():
        plain.setdefault(_plain(key), value)
    return plain


def _is_generic(name: str) -> bool:
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return all(word in _GENERIC or word.isdigit() or not word for word in words)


def _first(plain: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((plain[key] for key in keys if plain.get(key) not in (None, "", [], {})), None)


def _values(value: Any) -> str:
    """The values of an input as words, in their order."""
    if isinstance(value, dict):
        parts = [_values(item) for item in value.values()]
    elif isinstance(value, list):
        parts = [_values(item) for item in value]
    else:
        return "" if value is None else str(value).strip()
    return " ".join(part for part in parts if part)


def _action_in_object(given: dict[Any, Any], joined: str) -> str | None:
    plain = _plain_keys(given)
    main = _first(plain, ACTION_KEYS)
    more = _first(plain, _INPUT_KEYS)
    if isinstance(main, str) and more is not None:
        return joined_action(main, _given(more, joined), joined)
    if main is not None:
        return action_in(main, joined)
    name = _first(plain, _NAME_KEYS)
    if isinstance(name, dict):  # {"function": {"name": …, "arguments": …}}
        return _action_in_object(name, joined)
    if isinstance(name, str):
        rest = {key: value for key, value in given.items() if _plain(key) not in (*_NAME_KEYS, "id", *THOUGHT_KEYS)}
        return joined_action(name.split(".")[-1], _given(more if more is not None else rest, joined), joined)
    return None


def _given(value: Any, joined: str) -> str:
    """The input of a call as text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict):
        inner = _first(_plain_keys(value), ACTION_KEYS)
        if inner is not None and (found := action_in(inner, joined)) is not None:
            return found
    return _values(value)


def _thought_in(given: dict[Any, Any]) -> str | None:
    plain = _plain_keys(given)
    for key in THOUGHT_KEYS:
        if key in plain:
            value = plain[key]
            return "" if value is None else value.strip() if isinstance(value, str) else _values(value)
    inner = _first(plain, ACTION_KEYS)
    return _thought_in(inner) if isinstance(inner, dict) else None


# -- finding it ----------------------------------------------------------------------------------------


def _objects(text: str) -> Iterator[tuple[Any, int, int]]:
    """The JSON objects and lists of objects in a text, from left to right: value, start, end."""
    place, tried = 0, 0
    while tried < _MAX_OBJECTS and (begin := re.compile(r"[{\[]").search(text, place)):
        start = begin.start()
        tried += 1
        found = _decoded(text, start)
        if found is not None and isinstance(found[0], dict | list) and found[0]:
            yield found[0], start, found[1]
            place = found[1]
        else:
            place = start + 1


def _decoded(text: str, start: int) -> tuple[Any, int] | None:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        pass
    end = _balanced_end(text, start)
    if end is None:
        return None
    piece = _TRAILING_COMMA.sub(r"\1", text[start:end].translate(_STRAIGHT))
    try:
        return json.loads(piece, strict=False), end
    except (ValueError, RecursionError):
        pass
    with warnings.catch_warnings(), suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        warnings.simplefilter("ignore")  # it warns of escapes that are none
        return ast.literal_eval(piece), end  # written as Python writes it
    return None


_STRAIGHT = {ord(quote): '"' for quote in "“”„"}


_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.S)


def _balanced_end(text: str, start: int) -> int | None:
    """Where the bracket that opens at `start` is closed; quotes are looked at."""
    depth, quoted = 0, False
    for found in _STRUCTURE.finditer(text, start):
        sign = found[0]
        if sign == '"':
            quoted = not quoted
        elif quoted or len(sign) > 1:  # text, or what a backslash takes its meaning from
            continue
        elif sign in "{[":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def _holder(value: Any, depth: int = 0) -> dict[Any, Any] | None:
    """The object that holds the first action: the value itself, or one in it."""
    if isinstance(value, dict):
        plain = {_plain(key) for key in value}
        if depth > 5 or plain.intersection((*ACTION_KEYS, *_NAME_KEYS)):
            return value
        inner = (found for item in value.values() if (found := _holder(item, depth + 1)) is not None)
        return next((found for found in inner if _action_in_object(found, "{action} {input}")), value)
    if isinstance(value, list) and depth <= 5:
        return next((found for item in value if (found := _holder(item, depth + 1)) is not None), None)
    return None


def _of_json(text: str, joined: str) -> Structured | None:
    thought: str | None = None
    began: int | None = None
    found: Structured | None = None
    for value, start, end in _objects(text):
        given = _holder(value)
        if given is None:
            continue
        action = _action_in_object(given, joined)
        if found is not None:
            if action is not None:
                return found._replace(several=True)
            continue
        said = _thought_in(given)
        thought = said if said is not None else thought
        began = start if began is None else began
        if action is not None:
            more = isinstance(value, list) and len(value) > 1
            actions = next((item for key, item in given.items() if _plain(key) in ACTION_KEYS), None)
            more = more or (isinstance(actions, list) and len(actions) > 1)
            found = Structured(thought, action, began, end, more)
    return found


def _of_broken_json(text: str) -> Structured | None:
    """An object that lost its end, or a comma, where the text of its action is whole."""
    match = _LOOSE_ACTION.search(text)
    if match is None:
        return None
    thought = _LOOSE_THOUGHT.search(text)
    start = text.rfind("{", 0, match.start())
    several = _LOOSE_ACTION.search(text, match.end()) is not None
    return Structured(
        _unescaped(thought[1]) if thought else None,
        _unescaped(match[1]),
        start if start >= 0 else match.start(),
        match.end(),
        several,
    )


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False)).strip()
    except ValueError:
        return text.strip()


def _of_tags(text: str, joined: str) -> Structured | None:
    if "<" not in text:
        return None
    tag = _ACTION_TAG.search(text)
    if tag is None:
        function = _FUNCTION.search(text)
        if function is None:
            return None
        return _of_call(text, function.start(), len(text), joined)
    content = tag["content"]
    if tag["name"].lower() in ("tool_call", "function_call", "tool_use"):
        found = _of_call(text, tag.start(), tag.end(), joined)
        several = _ACTION_TAG.search(text, tag.end()) is not None
        return found._replace(several=several) if found is not None else None
    inner = _of_json(content, joined)
    action = inner.action if inner is not None else content.strip()
    if not action or (not tag["end"] and not content.strip()):
        return None
    thought = _THOUGHT_TAG.search(text[: tag.start()]) or _THOUGHT_TAG.search(text, tag.end())
    return Structured(
        thought[2].strip() if thought else None,
        action,
        min(tag.start(), thought.start()) if thought else tag.start(),
        tag.end(),
        _ACTION_TAG.search(text, tag.end()) is not None,
    )


def _of_call(text: str, start: int, end: int, joined: str) -> Structured | None:
    """A tool call in tags: JSON in it, or parameters one by one."""
    content = text[start:end]
    found = _of_json(content, joined)
    if found is not None:
        return found._replace(start=start, end=end)
    given = {match[1] or match[3]: match[2] or match[4] for match in _PARAMETER.finditer(content)}
    function = _FUNCTION.search(content)
    bare = re.match(r"<[^<>]+>\s*([\w.-]+)\s*(?=<arg_key>)", content)
    name = function[1] if function else bare[1] if bare else ""
    action = _action_in_object({"name": name, "arguments": given} if name else given, joined) if given or name else None
    return Structured(None, action, start, end, False) if action else None
