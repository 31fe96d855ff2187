"""Odd numbers in every place of every format that may hold one: the places are found by the types that are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from agentr_tui.state.bookmarks import NodeMark
from engine.collect.manifest import Ended, Manifest
from engine.collect.messages import FromWorker, ToWorker
from engine.datasets.options import Report
from engine.models.reply_cache import Kept as KeptJudgement
from engine.recovery.continuation_store import Arm, ContinuedStep
from engine.review.agreement import Planted
from engine.review.decisions import Decision
from engine.rounds.record import Round
from engine.samples.sample import Sample
from engine.search.control_file import Command
from engine.tree.events import AnyEvent
from engine.workspace.figures import Kept as KeptFigures
from engine.workspace.workspace import RunEnd, RunHeader

ODD = (
    "NaN", "Infinity", "-Infinity", "-0.0", "1e400", "1e-400", "1e308", "-1e308", "0.5", "1.0", "true", "null", '"1"',
    '""', "-1", "0", "2147483648", "9007199254740993", "-9007199254740993", "9223372036854775808",
    "18446744073709551616", "1" + "0" * 40, "9" * 5000,
)  # fmt: skip
"""As JSON, or what looks like it: no number, none that a float holds, of another kind, of too many digits."""

TYPES: dict[str, Any] = {
    "event of a trace": AnyEvent,
    "sample": Sample,
    "head of a run": RunHeader,
    "end of a run": RunEnd,
    "decision": Decision,
    "planted fault": Planted,
    "bookmark": NodeMark,
    "request to a search": Command,
    "recovery": Arm | ContinuedStep,
    "kept judgement": KeptJudgement,
    "kept figures": KeptFigures,
    "manifest of a collection": Manifest,
    "line of a collection": Ended,
    "record of a round": Round,
    "report of an export": Report,
    "message to a worker": ToWorker,
    "message of a worker": FromWorker,
}
"""What is read from files and processes, by name."""

_HOLE = "@@a number@@"
_DEEPEST = 7


def alternatives(type: inspect.Type) -> tuple[inspect.Type, ...]:
    """The types of a union; the type itself where it is none."""
    return type.types if isinstance(type, inspect.UnionType) else (type,)


def least(type: inspect.Type) -> Any:
    """A value of a type with as little in it as there can be."""
    kind = next(each for each in alternatives(type) if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        tag = {kind.tag_field: kind.tag} if kind.tag_field else {}
        return tag | {each.encode_name: least(each.type) for each in kind.fields if each.required}
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.TupleType):
        return [least(each) for each in kind.item_types]
    plain = {inspect.StrType: "x", inspect.BoolType: False, inspect.IntType: 1, inspect.FloatType: 1.0}
    return {**plain, inspect.ListType: [], inspect.VarTupleType: [], inspect.DictType: {}}.get(kind.__class__, 1)


def _holes(value: Any, type: inspect.Type, depth: int = 0) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each place of a type that may hold a number, and the value with a hole there; missing parts are made."""
    if depth > _DEEPEST:
        return
    kinds = alternatives(type)
    if any(isinstance(kind, inspect.IntType | inspect.FloatType | inspect.BoolType) for kind in kinds):
        yield (), _HOLE
    for kind in kinds:
        if isinstance(kind, inspect.StructType):
            held = value if isinstance(value, dict) else least(kind)
            if kind.tag_field and held.get(kind.tag_field) != kind.tag:
                continue
            for field in kind.fields:
                name = field.encode_name
                for path, made in _holes(held.get(name), field.type, depth + 1):
                    yield (name, *path), {**held, name: made}
        elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
            first, *rest = value if isinstance(value, list) and value else [None]
            for path, made in _holes(first, kind.item_type, depth + 1):
                yield ("[]", *path), [made, *rest]
        elif isinstance(kind, inspect.TupleType):
            items = value if isinstance(value, list) else least(kind)
            for at, item in enumerate(kind.item_types):
                for path, made in _holes(items[at], item, depth + 1):
                    yield (str(at), *path), [*items[:at], made, *items[at + 1 :]]
        elif isinstance(kind, inspect.DictType):
            held = value if isinstance(value, dict) and value else {"k": None}
            key = next(iter(held))
            for path, made in _holes(held[key], kind.value_type, depth + 1):
                yield ("{}", *path), {**held, key: made}


def with_numbers(value: Any, type: Any) -> Iterator[tuple[str, list[bytes]]]:
    """Each place of a value of a type that may hold a number: its name, and the JSON with each of `ODD` there."""
    for path, made in _holes(value, inspect.type_info(type)):
        begin, end = json.dumps(made, separators=(",", ":")).split(f'"{_HOLE}"')
        yield ".".join(path), [f"{begin}{odd}{end}".encode() for odd in ODD]


def least_of(type: Any) -> list[Any]:
    """A value of each alternative of a type with as little in it as there can be."""
    return [least(kind) for kind in alternatives(inspect.type_info(type))]


def lines_with_odd_numbers(data: bytes, type: Any) -> Iterator[tuple[str, bytes]]:
    """The lines of a good file, one of them with an odd number; a value of `ODD` for each place, in turn.

    `data`: the file. `type`: of its lines.
    """
    lines, seen = data.splitlines(keepends=True), set[str]()
    for at, line in enumerate(lines):
        value = msgspec.json.decode(line)
        kind = value.get("type", value.get("do", "")) if isinstance(value, dict) else ""
        for place, made in with_numbers(value, type):
            if (name := f"{kind} {place}") not in seen:
                seen.add(name)
                odd = made[len(seen) % len(ODD)]
                yield name, b"".join([*lines[:at], odd + b"\n", *lines[at + 1 :]])
