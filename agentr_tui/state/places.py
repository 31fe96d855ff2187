"""Where new things go, and where the sample trees are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from engine.base.errors import NameTaken, TraceError
from engine.tree.events import SearchSettings

DEMO_DELAY = 0.25

TRIES = 20
"""How often another process may take a name that was free just now."""

T = TypeVar("T")


def short_name(environment: str) -> str:
    """An environment's name as that of a file holds it: without what is behind it, but with the kind of a server,
    and whether its agent calls tools."""
    head, _, more = environment.partition(":")
    if head == "tools" and more:
        return f"{short_name(more)}-tools"
    if more.partition(":")[0] == "tools":
        return f"{head}-tools"
    kind, at, _ = more.partition("@")
    return f"{head}-{kind}" if at and kind else head


LONGEST = 120
"""Bytes of an environment and a task in the name of a trace: file systems take 255."""


def free_name(folder: Path, environment: str, task: str, seed: int) -> Path:
    """Returns a trace name that is not taken yet.

    `folder`: where traces are. `environment`: its short name. `task`: its id. `seed`: of the search.
    """
    told = f"{environment}-{task}".encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in f"{told}-s{seed}")
    place, number = folder / f"{stem}.trace.jsonl", 2
    while os.path.lexists(place):
        place, number = folder / f"{stem}-{number}.trace.jsonl", number + 1
    return place


def with_free_name(folder: Path, environment: str, task: str, seed: int, make: Callable[[Path], T]) -> T:
    """Returns what `make` returns for a trace name that is not taken yet. Where another process takes it just now, for
    the next one.

    `folder`, `environment`, `task`, `seed`: as of `free_name`. `make`: makes the trace; raises `NameTaken`, or
    `TraceError` where another process writes it.
    """
    for _ in range(TRIES):
        place = free_name(folder, environment, task, seed)
        try:
            return make(place)
        except (NameTaken, TraceError):
            if not os.path.lexists(place):
                raise
    return make(free_name(folder, environment, task, seed))


def fresh_folder(base: Path) -> Path:
    """`base`-1, `base`-2, …: the first that is not there."""
    number = 1
    while (place := base.with_name(f"{base.name}-{number}")).exists():
        number += 1
    return place


def shipped_folder() -> Path:
    """Where the sample trees are installed."""
    import sample_trees

    return Path(sample_trees.__file__).parent


DEFAULT_DELAY = DEMO_DELAY
"""Seconds a draw: the scripted actor answers at once, a person wants to watch."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The choices of a person for a new search."""

    environment: str = "textcraft"
    task: str = "0"
    settings: SearchSettings = field(default_factory=lambda: SearchSettings(iterations=DEFAULT_ITERATIONS))
    delay: float = DEFAULT_DELAY  # seconds a draw of the scripted actor
    about: str = ""  # the trace that it is like (`engine.environment.permission.digest_of`); "": none
    source: str = ""  # its file


DEFAULT_ITERATIONS = 8
