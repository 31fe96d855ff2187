"""What a dataset format is, and the registry of those there are."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from engine.base.errors import InputError
from engine.datasets.formats.options import DEFAULT_OPTIONS, FormatOptions
from engine.datasets.formats.preparation import ready
from engine.datasets.formats.rules import UNTRAINED
from engine.datasets.templates.tool_calls import as_texts
from engine.samples.sample import Sample
from engine.samples.splice import Turn
from engine.tree.tree import SearchTree

Calls = Literal["", "own", "native", "text"]
"""How a format carries calls of tools: in its `own` fields; as `native` messages that the chat template beside the
dataset writes out; as the `text` that a chat template makes of them; or not at all."""

NO_CALLS = "calls of tools, for which this format has no place"
UNKNOWN_CALLS = "calls of tools, whose form in this chat template is not known"

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
    calls: Calls = ""
    spliced: bool = True  # whether a record joins two trajectories; if not, no environment has to say that it holds
    trainer: str = ""  # whose configuration is written beside the dataset (`engine.datasets.trainer_configs`)

    def records(self, item: Item, options: FormatOptions = DEFAULT_OPTIONS) -> list[Record]:
        """The records of a sample; empty where none can be made within the options."""
        if item.tree.started is not None and item.tree.started.tools:
            options = replace(options, tools=item.tree.started.tools)
        if self.why_no_calls(item.turns, options):
            return []
        if self.build is not None:
            return self.build(item, options)
        return self.of_turns(item.turns, options)

    def of_turns(self, turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
        """The records of a conversation with its mask; only for a format of conversations."""
        assert self.conversation is not None
        turns = ready(turns, options)
        if self.calls == "text" or options.vocabulary is not None:
            turns = as_texts(turns, options.tools)
        return self.conversation(turns, options)

    def why_no_calls(self, turns: Sequence[Turn], options: FormatOptions) -> str | None:
        """Why the calls of tools in a conversation have no place in this format; None where they have, or none is
        there."""
        if not any(turn.calls for turn in turns):
            return None
        if not self.calls:
            return NO_CALLS
        return None if self.calls == "own" or options.markup.calls else UNKNOWN_CALLS

    def why_no_record(self, item: Item, options: FormatOptions) -> str:
        """Why a sample gives no record, where its length is not the reason."""
        if why := self.why_no_calls(item.turns, options):
            return why
        return self.why_none(item) if self.why_none is not None else self.empty

    def render(self, tree: SearchTree, sample: Sample, turns: Sequence[Turn]) -> Record:
        """Returns the last record of a sample, for a look at it: in most formats the only one. Empty where there is
        none.

        `tree`: the search. `sample`: the sample. `turns`: its conversation.
        """
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
