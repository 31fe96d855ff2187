"""JSON schemas of tools in OpenAI's form, and whether arguments are valid by them.

Checks as much of JSON Schema as tools use: types, required and further properties, enumerations, items, limits,
alternatives. Other parts of a schema are not checked.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any

SHOWN = 60
"""Characters of a value that a message shows."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_LIMITS = (
    ("minimum", operator.ge, "at least"),
    ("maximum", operator.le, "at most"),
    ("exclusiveMinimum", operator.gt, "more than"),
    ("exclusiveMaximum", operator.lt, "less than"),
)
_ARTICLES = {"integer": "an integer", "array": "an array", "object": "an object", "null": "null"}


def tool(name: str, description: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a tool, all of whose arguments have to be given."""
    parameters = {
        "type": "object",
        "properties": {key: dict(value) for key, value in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def name_of(schema: Mapping[str, Any]) -> str:
    """The name of a tool; "" where the schema has none."""
    function = schema.get("function")
    return str(function.get("name", "")) if isinstance(function, Mapping) else ""


def parameters_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a tool's arguments."""
    function = schema.get("function")
    found = function.get("parameters") if isinstance(function, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with the arguments of a call, in a clause; None where they are valid by the schema of the
    tool.

    Arguments that the schema does not know are wrong, unless it allows further ones.
    """
    parameters = parameters_of(schema)
    closed = {"additionalProperties": False} if parameters.get("properties") or not parameters else {}
    return _misfit({**closed, **parameters, "type": "object"}, dict(arguments), "")


def signature(schema: Mapping[str, Any]) -> str:
    """A tool as one line of text: `get(count: integer, item: string)`."""
    parameters = parameters_of(schema)
    known = parameters.get("properties") or {}
    required = parameters.get("required") or ()
    parts = [f"{key}{'' if key in required else '?'}: {_type_of(value)}" for key, value in sorted(known.items())]
    return f"{name_of(schema)}({', '.join(parts)})"


def _type_of(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"array of {_type_of(schema['items'])}"
    return "|".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _misfit(schema: Any, value: Any, place: str) -> str | None:
    """What is wrong with a value at a place; "" is the whole."""
    if not isinstance(schema, Mapping):
        return None
    return (
        _wrong_kind(schema, value, place) or _out_of_limits(schema, value, place) or _wrong_parts(schema, value, place)
    )


def _wrong_kind(schema: Mapping[str, Any], value: Any, place: str) -> str | None:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is_of(value, kind) for kind in kinds):
        wanted = " or ".join(_ARTICLES.get(kind, f"a {kind}") for kind in kinds)
        return f"{place or 'the whole'} has to be {wanted}, not {_shown(value)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} has to be one of {', '.join(map(_shown, schema['enum']))}, not {_shown(value)}"
    if "const" in schema and value != schema["const"]:
        return f"{place} has to be {_shown(schema['const'])}, not {_shown(value)}"
    for name in ("anyOf", "oneOf"):
        ways = schema.get(name)
        if isinstance(ways, list) and ways:
            found = [_misfit(way, value, place) for way in ways]
            if all(found):
                return found[0]
    for way in schema.get("allOf") or ():
        if found_one := _misfit(way, value, place):
            return found_one
    return None


def _is_of(value: Any, kind: str) -> bool:
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, _TYPES[kind]) if kind in _TYPES else True


def _out_of_limits(schema: Mapping[str, Any], value: Any, place: str) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    size = len(value) if isinstance(value, str | list) else None
    for key, holds, words in _LIMITS:
        if number and isinstance(schema.get(key), int | float) and not holds(value, schema[key]):
            return f"{place} has to be {words} {schema[key]}, not {_shown(value)}"
    unit = "item" if isinstance(value, list) else "character"
    least = schema.get("minItems" if isinstance(value, list) else "minLength")
    most = schema.get("maxItems" if isinstance(value, list) else "maxLength")
    if size is not None and isinstance(least, int) and size < least:
        return f"{place} has to have at least {least} {unit}{'s' * (least != 1)}"
    if size is not None and isinstance(most, int) and size > most:
        return f"{place} may have at most {most} {unit}{'s' * (most != 1)}"
    return None


def _wrong_parts(schema: Mapping[str, Any], value: Any, place: str) -> str | None:
    if isinstance(value, list):
        for number, each in enumerate(value):
            if found := _misfit(schema.get("items"), each, f"{place}[{number}]"):
                return found
    if not isinstance(value, dict):
        return None
    inside = f"{place}." if place else ""
    known = schema.get("properties") or {}
    for key in schema.get("required") or ():
        if key not in value:
            return f"{inside}{key} is missing"
    further = schema.get("additionalProperties", True)
    for key, each in value.items():
        if key not in known and further is False:
            there = f"; there is {_listed(sorted(known))}" if known else ""
            return f"{inside}{key} is no argument{there}"
        if found := _misfit(known.get(key, further), each, f"{inside}{key}"):
            return found
    return None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
