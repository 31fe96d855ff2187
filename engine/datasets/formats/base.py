"""What a dataset format is, and the registry of those there are."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from engine.base.errors import InputError
from engine.datasets.formats.options import DEFAULT_OPTIONS, FormatOptions
from engine.datasets.formats.ready import ready
from engine.datasets.formats.rules import UNTRAINED
from engine.samples.revise import Sample
from engine.samples.splice import Turn
from engine.tree.tree import SearchTree

DataType = Literal["centric", "good"]
"""`centric`: revision and direct-revision trajectories; `good`: good trajectories alone."""

DATA_TYPES: tuple[DataType, ...] = ("centric", "good")
Record = dict[str, Any]


class Item(NamedTuple):
    """What a record is made of: a sample as people left it, and its trajectory."""

    tree: SearchTree
    sample: Sample
    turns: Sequence[Turn]
    approved: bool = False  # whether a person accepted the sample or set its mark


Conversation = Callable[[Sequence[Turn], FormatOptions], list[Record]]
"""Records of a conversation with its mask; none where nothing trained is left of it."""


@dataclass(frozen=True)
class Format:
    """One dataset format: how a sample becomes records, and when a record is well-formed.

    A format of conversations gives `conversation`; any other gives `build`, which also sees the tree.
    """

    name: str
    summary: str
    array: bool  # one JSON array; False: JSON Lines
    extension: str  # of the file's name, with its dot
    data_types: tuple[DataType, ...]
    mask: str  # how a trainer learns which turns are trained, in a sentence
    validate: Callable[[Record], list[str]]  # what is wrong with a record, in a few words each
    conversation: Conversation | None = None
    build: Callable[[Item, FormatOptions], list[Record]] | None = None
    empty: str = UNTRAINED  # why a sample gives no record, where its length is not the reason
    why_none: Callable[[Item], str] | None = None  # the same, where it depends on the sample
    columns: bool = False  # whether every record has the same keys and types, so that Parquet can hold it
    with_tools: Callable[[Record], Record | None] | None = None  # the record of a conversation with tool turns
    thinks: bool = False  # whether a turn has a place for its reasoning
    trainer: str = ""  # whose configuration is written beside the dataset (`engine.datasets.trainer_configs`)

    def records(self, item: Item, options: FormatOptions = DEFAULT_OPTIONS) -> list[Record]:
        """The records of a sample; empty where none can be made within the options."""
        if self.build is not None:
            return self.build(item, options)
        return self.of_turns(item.turns, options)

    def of_turns(self, turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
        """The records of a conversation with its mask; only for a format of conversations."""
        assert self.conversation is not None
        return self.conversation(ready(turns, options), options)

    def render(self, tree: SearchTree, sample: Sample, turns: Sequence[Turn]) -> Record:
        """The last record of a sample, to look at: the only one in most formats. Empty where there is none."""
        made = self.records(Item(tree, sample, turns, approved=True))
        return made[-1] if made else {}


FORMATS: dict[str, Format] = {}
"""All registered formats, by name."""


def register(format: Format) -> None:
    """Add a format, or replace the one of that name."""
    FORMATS[format.name] = format


GROUP = "agentr_tui.formats"
"""Entry points of this group name formats of other packages."""


@functools.cache
def broken_entry_points() -> tuple[str, ...]:
    """Register the formats that installed packages offer; returns a line for each that can't be used.

    An entry point is a `Format`. Names that are taken stay as they are.
    """
    broken = []
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            found = point.load()
            if not isinstance(found, Format):
                raise TypeError(f"is a {type(found).__name__}, not a Format")
        except Exception as error:  # another package's code
            line = " ".join(f"entry point {point.name!r} ({point.value}): {type(error).__name__}: {error}".split())
            broken.append(line)
            continue
        if FORMATS.setdefault(found.name, found) is not found:
            broken.append(f"entry point {point.name!r} ({point.value}): there is a format {found.name!r} already")
    return tuple(broken)


def format_named(name: str) -> Format:
    """The format of that name, other packages' included. Raises `InputError` with the names there are."""
    if name not in FORMATS:
        broken = broken_entry_points()
        if name not in FORMATS:
            told = f" ({'; '.join(broken)})" if broken else ""
            raise InputError(f"unknown format {name!r}: one of {', '.join(sorted(FORMATS))}{told}")
    return FORMATS[name]


def data_type_of(sample: Sample) -> DataType:
    """Which data type a sample belongs to."""
    return "good" if sample.kind == "good" else "centric"
