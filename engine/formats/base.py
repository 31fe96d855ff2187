"""What a dataset format is, and the registry of those there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import InputError
from engine.revision import Turn
from engine.samples import Sample
from engine.tree import SearchTree

DataType = Literal["centric", "good"]
"""`centric`: revision and direct-revision trajectories; `good`: good trajectories alone."""

DATA_TYPES: tuple[DataType, ...] = ("centric", "good")
Record = dict[str, Any]


@dataclass(frozen=True)
class Format:
    """One dataset format: how a sample becomes a record, and when a record is well-formed."""

    name: str
    summary: str
    array: bool  # one JSON array; False: JSON Lines
    extension: str  # of the file's name, with its dot
    data_types: tuple[DataType, ...]
    mask: str  # how a trainer learns which turns are trained, in a sentence
    render: Callable[[SearchTree, Sample, Sequence[Turn]], Record]
    validate: Callable[[Record], list[str]]  # what is wrong with a record, in a few words each


FORMATS: dict[str, Format] = {}
"""All registered formats, by name."""


def register(format: Format) -> None:
    """Add a format, or replace the one of that name."""
    FORMATS[format.name] = format


def format_named(name: str) -> Format:
    """The format of that name. Raises `InputError` with the names there are."""
    format = FORMATS.get(name)
    if format is None:
        raise InputError(f"unknown format {name!r}: one of {', '.join(sorted(FORMATS))}")
    return format


def data_type_of(sample: Sample) -> DataType:
    """Which data type a sample belongs to."""
    return "good" if sample.kind == "good" else "centric"
