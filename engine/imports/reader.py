"""What a reader of a foreign format is, and which there are.

A package adds its own through an entry point of the group `agentr_tui.imports` that is a `Reader`.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from engine.base.errors import InputError, foreign_line
from engine.imports.attempt import Attempt, ForeignTree
from engine.imports.files import RolloutFile

Rollout = Attempt | ForeignTree


@dataclass(frozen=True)
class ReadOptions:
    """How files are read. `mapping` says where chat rows hold a field, e.g. `{"reward": "scores.main"}`."""

    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """A format that can be read.

    `recognise` looks at a file without reading all of it. `read` yields its attempts one at a time; a row that can't be
    read becomes a problem of the file (`RolloutFile.problem`), and the others are read. `read` may raise `Malformed` or
    `InputError` for the whole file.
    """

    name: str  # for `--read-as`
    title: str  # for people
    recognise: Callable[[RolloutFile], bool]
    read: Callable[[RolloutFile, ReadOptions], Iterator[Rollout]]


READERS: dict[str, Reader] = {}
"""All readers by name, in the order in which they are asked: the first that recognises a file reads it."""


def register(reader: Reader) -> None:
    """Add a reader, or replace the one of that name."""
    READERS[reader.name] = reader


GROUP = "agentr_tui.imports"
"""Entry points of this group are readers of other packages."""


@functools.cache
def broken_entry_points() -> tuple[str, ...]:
    """Register the readers of installed packages; returns a line for each that can't be used.

    Names that are taken stay as they are.
    """
    broken = []
    for point in importlib.metadata.entry_points(group=GROUP):
        where = f"entry point {point.name!r} ({point.value})"
        try:
            found = point.load()
            if not isinstance(found, Reader):
                raise TypeError(f"is a {type(found).__name__}, not a Reader")
        except Exception as error:  # another package's code
            broken.append(foreign_line(where, error))
            continue
        if READERS.setdefault(found.name, found) is not found:
            broken.append(f"{where}: there is a reader {found.name!r} already")
    return tuple(broken)


def reader_named(name: str) -> Reader:
    """The reader of that name, other packages' included. Raises `InputError` with the names there are."""
    broken = broken_entry_points()
    if name not in READERS:
        told = f" ({'; '.join(broken)})" if broken else ""
        raise InputError(f"unknown rollout format {name!r}: one of {', '.join(sorted(READERS))}{told}")
    return READERS[name]


def reader_of(file: RolloutFile) -> Reader | None:
    """The first reader that recognises a file."""
    broken_entry_points()
    return next((reader for reader in READERS.values() if reader.recognise(file)), None)
