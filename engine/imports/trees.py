"""Rollouts of files and folders as trees in memory (`trace_store` keeps them as traces)."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.errors import InputError
from engine.imports.attempt import ForeignTree
from engine.imports.files import FileState, Problem
from engine.imports.merging.equal_messages import MERGES, Merge
from engine.imports.merging.foreign_tree import foreign_events
from engine.imports.merging.grouping import Groups
from engine.imports.sources import Rollouts, read_rollouts
from engine.trace.sources import Source
from engine.tree.events import AnyEvent
from engine.tree.tree import SearchTree

KEPT_LETTERS, KEPT_BYTES = 60, 160  # of a task's name, in the name of its trace
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\.", re.I)
"""Windows takes a file whose name begins so for a device."""


@dataclass(frozen=True)
class ImportOptions:
    """How rollouts are read and merged."""

    read_as: str = ""
    mapping: dict[str, str] = field(default_factory=dict)
    merge: Merge = "action"
    reward: str = ""  # which of several named rewards


@dataclass
class ImportedTree:
    """One tree of an import."""

    name: str  # for people
    stem: str  # of its trace's name
    events: list[AnyEvent]

    def source(self) -> Source:
        """The tree, folded; its path names the first file it is from."""
        tree = SearchTree(self.events)
        path = tree.attempts[0].source if tree.attempts else self.name
        tree.source = path
        return Source(tree, path, "rollouts", warnings=[])


@dataclass
class Import:
    """What was read."""

    trees: list[ImportedTree]
    problems: list[Problem]  # what could not be read
    warnings: list[str]  # a line each
    formats: dict[str, int]  # attempts, by format
    states: dict[Path, dict[str, FileState]] = field(default_factory=dict)  # file → all that was looked at for it

    @property
    def attempts(self) -> int:
        """Attempts in all."""
        return sum(self.formats.values())


def import_rollouts(
    paths: Iterable[str | os.PathLike[str]],
    options: ImportOptions,
    told: Callable[[int], object] = lambda count: None,
    only: Container[Path] | None = None,
) -> Import:
    """Read rollouts and merge them to trees. Raises `InputError` where nothing can be read.

    `paths`: files, folders and patterns. `options`: how to read and merge. `told`: called with the number of attempts
    read so far. `only`: which of the files are read; None: all.
    """
    if options.merge not in MERGES:
        raise InputError(f"--merge {options.merge}: one of {', '.join(MERGES)}")
    if options.merge == "state":
        raise InputError("--merge state: rollouts hold no state keys: merge by action, text or none")
    rollouts = read_rollouts(paths, options.read_as, options.mapping, only)
    with _no_collections():
        groups, foreign, named = _read(rollouts, options, told)
    if options.reward and only is None and options.reward not in named:
        known = ", ".join(sorted(named)) or "none has a name"
        raise InputError(f"--reward {options.reward}: no attempt has a reward of that name: {known}")
    trees = [ImportedTree(group.name, stem_of(group.first.task, group.key), events) for group, events in groups.all()]
    for found in foreign:
        events = foreign_events(found)
        started = events[0]
        trees.append(ImportedTree(found.task, stem_of(found.task, getattr(started, "trace", "")), events))
    return Import(trees, rollouts.problems, rollouts.told + copies(groups), rollouts.formats, rollouts.states)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Nothing that is read is garbage: looking for some would take as long as the work."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(
    rollouts: Rollouts, options: ImportOptions, told: Callable[[int], object]
) -> tuple[Groups, list[ForeignTree], set[str]]:
    """Read and merge. Returns the names of rewards too, where one of several is wanted."""
    groups, foreign, names = Groups(options.merge), list[ForeignTree](), set[str]()
    count = 0
    for rollout in rollouts:
        if isinstance(rollout, ForeignTree):
            foreign.append(rollout)
            continue
        if options.reward:
            names.update(rollout.rewards)
            rollout.reward = rollout.rewards.get(options.reward)
            rollout.reward_range = None
        groups.add(rollout)
        count += 1
        told(count)
    return groups, foreign, names


def copies(groups: Groups) -> list[str]:
    """A line where files hold the same attempts, to the letter: resumed or copied results."""
    lines = []
    for group in groups.groups.values():
        of_file: dict[str, list[str]] = {}
        for attempt in group.tree.attempts:
            of_file.setdefault(attempt.source, []).append(attempt.digest)
        seen: dict[tuple[str, ...], str] = {}
        for source, digests in of_file.items():
            first = seen.setdefault(tuple(digests), source)
            if first != source:
                lines.append(f"{source}: holds the same attempts as {first}: a copy? each counts")
    return lines


def stem_of(task: str, key: str) -> str:
    """The name of a tree's trace, the same at each import."""
    letters = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in task)[:KEPT_LETTERS]
    letters = letters.encode()[:KEPT_BYTES].decode("utf-8", "ignore").strip(".-") or "task"
    return f"{'task-' if _DEVICES.match(letters) else ''}{letters}-{key[:8]}"
