"""Calls of tools that stand in a text: a person wrote them, or a server left them where its model put them.

`get(count=3, item="white wool")`, a call a line, at the end of the text; or JSON in any of the usual shapes:
`{"name": "get", "arguments": {…}}`, with `function` around it, as an array of these, or under `tool_calls`.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from envs.call_text import Call, read_calls

_LABEL = re.compile(r"^[ \t]*(?:Action|Calls?)(?: 1)?:[ \t]*", re.I)
_THOUGHT = re.compile(r"^\s*Thought(?: 1)?:[ \t]*", re.I)
_JSON_START = re.compile(r"^[ \t]*(?:(?:Action|Calls?)(?: 1)?:[ \t]*)?(?=[{\[])", re.M | re.I)
_FENCE = re.compile(r"^```\w*[ \t]*$", re.M)
MOST_STARTS = 200
"""Lines with which JSON may begin that are tried, each to the end of the text."""


def written_calls(text: str) -> tuple[str, list[Call]]:
    """Returns the text beside the calls, and the calls at its end; none where it does not end with calls."""
    lines = text.strip().split("\n")
    first = len(lines)
    found: list[Call] = []
    while first and (calls := read_calls(_LABEL.sub("", lines[first - 1]).strip())) is not None:
        first -= 1
        found[:0] = calls
        if _LABEL.match(lines[first]):
            break
    if found:
        return _thought("\n".join(lines[:first])), found
    bare = _FENCE.sub("", text)
    for match in islice(_JSON_START.finditer(bare), MOST_STARTS):
        if found := calls_in_json(bare[match.end() :]):
            return _thought(bare[: match.start()]), found
    return _thought(text), []


def calls_in_json(text: str) -> list[Call]:
    """The calls in a JSON text; none where it is no JSON, or of another shape."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return _calls_in(value) or []


def _calls_in(value: Any) -> list[Call] | None:
    if isinstance(value, list):
        parts = [_calls_in(each) for each in value]
        return [call for part in parts for call in part or ()] if parts and all(parts) else None
    if not isinstance(value, dict):
        return None
    inside = value.get("tool_calls") or value.get("function")
    if isinstance(inside, dict | list):
        return _calls_in(inside)
    name = value.get("name")
    given: Any = next((value[key] for key in ("arguments", "parameters", "input") if key in value), {})
    if not isinstance(name, str) or not name or not isinstance(given, dict | str):
        return None
    return [Call(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))]


def _thought(text: str) -> str:
    return _THOUGHT.sub("", text).strip()
