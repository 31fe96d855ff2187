"""JSON of strangers: decoded within bounds, and looked into without trusting a type."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from engine.base.text import clean_values

MOST_LENIENT = 1 << 28
"""Bytes up to which JSON is read that Python's own reader takes only: as objects it takes many times its size."""


class Malformed(ValueError):
    """A piece of a file is not in its format; `str(error)` is the reason."""


def decode(data: bytes | str, type: Any = Any) -> Any:
    """A JSON value. NaN, infinities and lone surrogates, which JSON does not know but Python writes, are read too.

    Raises `Malformed`.
    """
    try:
        return msgspec.json.decode(data, type=type)
    except RecursionError:
        raise Malformed("is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        first = str(error)
    if len(data) > MOST_LENIENT:
        raise Malformed(f"is no JSON: {first}")
    try:
        value = json.loads(data)
        return clean_values(value)
    except RecursionError:
        raise Malformed("is nested too deeply") from None
    except ValueError:
        raise Malformed(f"is no JSON: {first}") from None


def compact(value: Any) -> str:
    """A value as compact JSON, keys in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text(holder: Any, key: str) -> str:
    """The string at a key; a number there as one; else ""."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def part(holder: Any, *keys: str) -> dict[str, Any]:
    """The object at a path of keys; empty where there is none."""
    for key in keys:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else {}


def rows(holder: Any, key: str) -> list[dict[str, Any]]:
    """The objects of the list at a key; what is no object is not among them."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """Returns a finite real number, also one that is written as text; true and false are 1 and 0. None for anything
    else."""
    if isinstance(value, bool | int | float | str):
        try:
            real = float(value)
        except (OverflowError, ValueError):
            return None
        return real if math.isfinite(real) else None
    return None


def reward_of(told: Any, notes: list[str], name: str = "reward") -> float | None:
    """Returns a reward as a number, also one in an object (`{"score": 1}`); None where it is unknown.

    `told`: as the file has it. One that is given and is no number is unknown, and `notes` gets a line about it, in
    which it is called `name`.
    """
    held = told
    if isinstance(told, dict):
        held = next((told[key] for key in ("value", "score", "reward") if key in told), told)
    found = number(held)
    if found is None and held is not None:
        notes.append(f"the {name} {str(told)[:40]!r} is no number: it counts as unknown")
    return found


def listed(holder: Any, key: str) -> list[Any]:
    """The list at a key. Raises `Malformed` where there is none."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, list):
        raise Malformed(f"`{key}` is no list")
    return value
