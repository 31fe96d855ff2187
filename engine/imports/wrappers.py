"""Rollouts inside of something else: `{"data": [...]}`, a list of lists, rows in a field of rows, rows after a header.

Asked only where no reader recognises a file as it is. What is inside is read where a reader recognises it; what stands
beside it (a task, a reward) counts for rows that do not tell it themselves. Nothing is guessed: where two parts are of
different formats, neither is read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec

from engine.imports.bounded_json import Malformed, compact
from engine.imports.files import RolloutFile, shaped, value
from engine.imports.formats.chat import NAMES
from engine.imports.reader import Reader

MOST_DEEP = 3
_LOOK_AHEAD = 20  # rows, for one that is recognised
_OF_GROUP = frozenset(
    (*NAMES["task"], *NAMES["agent"], *NAMES["model"], *NAMES["environment"], *NAMES["instruction"], *NAMES["tools"])
) - {"id", "index"}
"""What a group says for all of its attempts."""

Recognise = Callable[[RolloutFile], Reader | None]


@dataclass(frozen=True)
class Part:
    """A part of a file that a reader recognises."""

    file: RolloutFile
    reader: Reader
    where: str  # for people


def parts_of(file: RolloutFile, recognise: Recognise, depth: int = 0) -> list[Part]:
    """Returns the parts that are rollouts; none where there are none. Raises `Malformed` where these are of several
    formats.

    `file`: that no reader recognises. `recognise`: returns the reader of a part. `depth`: how deep it lies already.
    """
    if file.shape == "document":
        found = _of_document(file, recognise, depth)
    elif file.shape in ("lines", "list", "joined") and not _is_conversation(file):
        found = _of_rows(file, recognise, depth)
    else:
        return []
    readers = sorted({part.reader.name for part in found})
    if len(readers) > 1:
        told = ", ".join(f"{part.where} ({part.reader.name})" for part in found[:4])
        raise Malformed(f"holds rollouts of several formats: {told}; write one of them as a file of its own")
    return found


def _of_document(file: RolloutFile, recognise: Recognise, depth: int) -> list[Part]:
    fields = file.document()
    inner = [part for key, raw in fields.items() if (part := _inner(file, key, raw)) is not None]
    found = [Part(part, reader, f"`{part.within}`") for part in inner if (reader := _reader(part, recognise))]
    if not found and depth < MOST_DEEP:
        found = [each for part in inner for each in parts_of(part, recognise, depth + 1)]
    return found


def _inner(file: RolloutFile, key: str, raw: Any) -> RolloutFile | None:
    """The object or the list in a field, as a file of its own; None for anything else."""
    try:
        data = bytes(raw) if isinstance(raw, msgspec.Raw) else compact(raw).encode()
        if not data.lstrip().startswith((b"{", b"[")) or len(data) < 3:
            return None
        part = shaped(file.path, data, True)
    except Malformed:
        return None
    around = _around(file.document() if file.shape == "document" else {}, key, part.shape == "list")
    within = f"{file.within}.{key}" if file.within else key
    return replace(part, within=within, around={**file.around, **around}, problems=file.problems)


def _around(fields: dict[str, Any], key: str, of_many: bool) -> dict[str, Any]:
    """What stands beside a field: numbers and texts; for the rows of a list only what a group says for all of them."""
    around: dict[str, Any] = {}
    for name, raw in fields.items():
        if name == key or (of_many and name not in _OF_GROUP):
            continue
        told = value(raw)
        if isinstance(told, str | int | float) or (of_many and name in NAMES["tools"]):
            around[name] = told
    return around


def _reader(part: RolloutFile, recognise: Recognise) -> Reader | None:
    """The reader of a part. A bare list of messages beside other fields is none: these say what it is."""
    return None if _is_conversation(part) else recognise(part)


def _is_conversation(part: RolloutFile) -> bool:
    return part.shape == "list" and (part.has("role") or part.has("from"))


def _of_rows(file: RolloutFile, recognise: Recognise, depth: int) -> list[Part]:
    first = next(_quietly(file).values(), ("", None))[1]
    if _is_rows(first):
        lists = _of_lists(file)
        reader = recognise(lists)
        return [Part(lists, reader, "its lists")] if reader else []
    ahead = [(place, row) for place, row in islice(_quietly(file).values(), _LOOK_AHEAD) if isinstance(row, dict)]
    for number, (place, row) in enumerate(ahead[1:], 1):
        reader = _reader(_as_rows(file, row), recognise)
        if reader is not None:
            alike = sum(recognise(_as_rows(file, other)) is reader for _, other in ahead[number:])
            return [Part(_as_rows(file, row), reader, f"{place} on")] if 2 * alike >= len(ahead) - 1 else []
    return _of_field(file, [row for _, row in ahead], recognise) if depth < MOST_DEEP else []


def _as_rows(file: RolloutFile, row: dict[str, Any]) -> RolloutFile:
    """The same file, looked at by another row than its first."""
    return replace(file, keys=frozenset(row), _fields=row, problems=file.problems)


def _quietly(file: RolloutFile) -> RolloutFile:
    """The same file, without a word about bad rows."""
    return replace(file, problems=[])


def _is_rows(held: Any) -> bool:
    return isinstance(held, list) and bool(held) and all(isinstance(each, dict) for each in held)


def _of_lists(file: RolloutFile) -> RolloutFile:
    """Lists in a list, or a list a line: groups of rows, or conversations without anything around them."""
    _, first = next(_flat(_quietly(file)))
    part = replace(file, shape="lines", keys=frozenset(first), _fields=first, problems=file.problems)
    part.row_source = lambda: _flat(file)
    return part


def _flat(file: RolloutFile) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, held in file.values():
        if not _is_rows(held):
            file.problem(place, "is no list of objects")
        elif "role" in held[0] or "from" in held[0]:
            yield place, {**file.around, "messages": held}
        else:
            for number, each in enumerate(held):
                yield f"{place}.{number + 1}", {**file.around, **each}


def _of_field(file: RolloutFile, ahead: list[dict[str, Any]], recognise: Recognise) -> list[Part]:
    """Rows all of which hold the attempt, or the attempts of a group, in a field; one may come first that does not."""
    found = []
    held_by = [row for row in ahead if row]
    for key in dict.fromkeys(key for row in held_by[:2] for key in row):
        firsts = [next(iter(_in_field(row, key, "", row.get(key))), None) for row in held_by]
        inner = [first[1] for first in firsts if first is not None]
        if len(inner) < len(held_by) - (len(held_by) > 2):
            continue
        part = replace(file, shape="lines", keys=frozenset(inner[0]), _fields=inner[0], problems=file.problems)
        if reader := recognise(part):
            part.row_source = functools.partial(_rows_in, file, key)
            found.append(Part(part, reader, f"`{key}` of its rows"))
    return found


def _rows_in(file: RolloutFile, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, row in file.rows():
        count = 0
        for where, each in _in_field(row, key, place, row.get(key)):
            count += 1
            yield where, each
        if not count:
            file.problem(place, f"holds nothing in `{key}`")


def _in_field(row: dict[str, Any], key: str, place: str, held: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a field of a row holds: one attempt, or several; and beside it what the row says."""
    if isinstance(held, dict):
        yield place, {**_around(row, key, False), **held}
        return
    around = _around(row, key, True)
    for number, each in enumerate(held if isinstance(held, list) else []):
        inner = {"messages": each} if isinstance(each, list) and each and isinstance(each[0], dict) else each
        if isinstance(inner, dict) and "role" not in inner and "from" not in inner:
            yield f"{place}, {key} {number + 1}".removeprefix(", "), {**around, **inner}
