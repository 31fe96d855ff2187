"""Calls of tools as texts: `get(count=3, item="white wool")` is the action of a step that calls a tool.

The text is canonical: arguments by name, their values as JSON. So search, repeats, replay and `diff` compare calls as
they compare other actions. Several calls of one turn stand on a line each; their results are numbered.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, NamedTuple

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
LONGEST_LINE = 10_000
"""Characters of a line that is read as a call in Python's form."""
_BLANKS = " \t\n\r"
"""That may stand around a JSON value."""
_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


class Call(NamedTuple):
    """A call of a tool."""

    name: str
    arguments: str  # the model's own string


def arguments_of(arguments: str) -> dict[str, Any] | None:
    """Returns the arguments of a call; None where the string is not a JSON object. An empty string means no
    arguments."""
    if not arguments.strip():
        return {}
    text = arguments.strip(_BLANKS)
    try:
        found, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return found if end == len(text) and isinstance(found, dict) else None


def call_text(name: str, arguments: str) -> str:
    """Returns a call as one line of text. Arguments that are not a JSON object are written as the string that they
    are."""
    found = arguments_of(arguments)
    return f"{_word(name)}({_json(arguments)})" if found is None else canonical(name, found)


def canonical(name: str, arguments: Mapping[str, Any]) -> str:
    """The text of a call with these arguments."""
    return f"{_word(name)}({_inside(arguments)})"


def calls_text(calls: Sequence[tuple[str, str]]) -> str:
    """The calls of one turn, a line each."""
    return "\n".join([call_text(name, arguments) for name, arguments in calls])


def parse_calls(text: str) -> list[Call] | None:
    """The calls of an action, their arguments as JSON with sorted keys; None where it is no text of calls."""
    calls, at = [], 0
    while True:
        found = _parse_call(text, at)
        if found is None:
            return None
        call, at = found
        calls.append(call)
        if at == len(text):
            return calls
        if text[at] != "\n":
            return None
        at += 1


def read_calls(text: str) -> list[Call] | None:
    """The calls of a text that a person or a model wrote: also with Python's values, `get(item='white wool', count=3)`.
    None where it is no text of calls."""
    found = parse_calls(text)
    if found is not None:
        return found
    calls = [_python_call(line) for line in text.strip().split("\n")]
    return [call for call in calls if call is not None] if all(calls) else None


_WORDS = {"true": True, "false": False, "null": None}


def _python_call(line: str) -> Call | None:
    """A call as Python writes it, its arguments by name."""
    if not line.rstrip().endswith(")") or len(line) > LONGEST_LINE:
        return None
    try:
        call = ast.parse(line.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        arguments = {
            str(each.arg): _WORDS[each.value.id]
            if isinstance(each.value, ast.Name) and each.value.id in _WORDS
            else ast.literal_eval(each.value)
            for each in call.keywords
            if each.arg is not None
        }
        return Call(call.func.id, _json(arguments)) if len(arguments) == len(call.keywords) else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def join_results(results: Sequence[str]) -> str:
    """What the calls of one turn returned, as one observation: a single result as it is, several of them numbered.

    What looks like the number of the next result in one gets a backslash, so that `split_results` finds them all again.
    """
    if len(results) == 1:
        return results[0]
    last = len(results)
    return "\n".join(
        f"[{number}] {_marker(number + 1).sub(_ESCAPE, result) if number < last else result}"
        for number, result in enumerate(results, 1)
    )


def split_results(observation: str, count: int) -> list[str]:
    """Returns the results that `join_results` joined to an observation, also where its line ends became blanks. Text
    that it did not make belongs to the first call where it can't be divided; the other calls then have empty results.
    """
    if count == 1:
        return [observation]
    results, left = [], observation.removeprefix("[1] ")
    for number in range(2, count + 1):
        parts = re.split(rf"[\n ]\[{number}\] ", left, maxsplit=1)
        if len(parts) == 1:
            break
        results.append(_escaped_marker(number).sub(r"\1", parts[0]))
        left = parts[1]
    results.append(left)
    return results + [""] * (count - len(results))


_ESCAPE = r"\\\g<0>"
_BLANK_BEFORE, _BLANK_AFTER = r"(?<![^\n\t ])", r"(?![^\n\t ])"  # or the end of the text


@functools.cache
def _marker(number: int) -> re.Pattern[str]:
    """What would be read as the number of a result, with or without backslashes."""
    return re.compile(rf"{_BLANK_BEFORE}\\*\[{number}\]{_BLANK_AFTER}")


@functools.cache
def _escaped_marker(number: int) -> re.Pattern[str]:
    return re.compile(rf"{_BLANK_BEFORE}\\(\\*\[{number}\]){_BLANK_AFTER}")


def _parse_call(text: str, at: int) -> tuple[Call, int] | None:
    """A call that begins at a place, and the place behind it."""
    found = _parse_word(text, at)
    if found is None:
        return None
    name, at = found
    if not text.startswith("(", at):
        return None
    at += 1
    arguments: dict[str, Any] = {}
    if text.startswith(")", at):
        return Call(name, "{}"), at + 1
    while True:
        key = _parse_word(text, at)
        if key is None:
            return None
        if not text.startswith("=", key[1]):  # arguments that were no JSON object
            alone = not arguments and text[at] == '"' and text.startswith(")", key[1])
            return (Call(name, key[0]), key[1] + 1) if alone else None
        try:
            value, at = _DECODER.raw_decode(text, key[1] + 1)
        except (ValueError, RecursionError):
            return None
        arguments[key[0]] = value
        if text.startswith(")", at):
            return Call(name, _json(arguments)), at + 1
        if not text.startswith(", ", at):
            return None
        at += 2


def _parse_word(text: str, at: int) -> tuple[str, int] | None:
    if plain := _NAME.match(text, at):
        return plain[0], plain.end()
    if not text.startswith('"', at):
        return None
    try:
        word, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return str(word), end


def _inside(arguments: Mapping[str, Any]) -> str:
    return ", ".join([f"{_word(key)}={_json(value)}" for key, value in sorted(arguments.items())])


@functools.lru_cache(maxsize=1 << 10)
def _word(word: str) -> str:
    return word if _NAME.fullmatch(word) else _json(word)


def _json(value: Any) -> str:
    return encode_basestring(value) if type(value) is str else _ENCODER.encode(value)
