"""Trees of rollouts as traces of a folder. A tree that is stored already grows, and its nodes keep their numbers.

What was imported before is known by its content. An attempt that went on since then (its file has more messages now, or
its reward came) is known by its file and its place there: it begins with the messages of the older one, and takes its
place. Where the older one is in another tree (Harbor tells the task of a trial when it is over), it is withdrawn there.
"""

from __future__ import annotations

import functools
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.untrusted_files import UNREADABLE, lines_of, open_given
from engine.imports.merging.equal_messages import MERGES, Merge
from engine.imports.merging.merge import TreeOfAttempts
from engine.imports.trees import Import, ImportedTree
from engine.trace.sources import is_trace
from engine.trace.trace_file import Loaded, TraceWriter, load, write_trace
from engine.trace.write_lock import alone
from engine.tree.events import AnyEvent, Imported, ImportedAttempt, Message, Started
from engine.tree.tree import SearchTree

_FIRST = re.compile(r"[a-z]+ 1")  # "line 1", "simulation 1"


@dataclass
class Stored:
    """What became of an import."""

    paths: list[Path] = field(default_factory=list)  # of the trees' traces
    new: int = 0  # attempts
    continued: int = 0  # attempts that took the place of an unfinished one
    kept: list[str] = field(default_factory=list)  # a line for each trace that keeps unfinished attempts


def store(
    found: Import,
    folder: Path,
    merge: Merge,
    decided: Callable[[], frozenset[str]] = frozenset,
    partial: bool = False,
) -> Stored:
    """Write each tree into a folder of traces, or add what is new to the trace that is there.

    `found`: the trees. `folder`: where traces are. `merge`: the rule by which they were merged; another than `action`
    is in the file's name. `decided`: returns the ids of traces of which a person decided something; these lose no
    attempt to another trace. `partial`: whether the import read only some of the files that were imported before.
    Raises `WorkFailed` where another import of the folder does not end.
    """
    if not found.trees:
        return Stored()
    with alone(folder / ".import.lock", "another process imports into this folder"):
        return _store(found, folder, merge, decided, partial)


def _store(found: Import, folder: Path, merge: Merge, decided: Callable[[], frozenset[str]], partial: bool) -> Stored:
    homes: list[_Home] = []
    for tree in found.trees:
        path = folder / f"{tree.stem}{_ending(merge)}"
        homes.append(_Home(path, tree, load(path) if path.exists() and path.stat().st_size else None))
    for home in homes:
        home.match(partial)
    others: list[_Home] = []
    if any(home.missing for home in homes):
        files = {_real(told.source) for home in homes for told in home.imported.attempts}
        taken = {home.path for home in homes}
        for path in _traces_of(folder, merge, files):
            if path not in taken:
                others.append(_Home(path, None, load(path)))
    _succeed(homes, others)
    stored = Stored()
    for home in (*homes, *others):  # others last: a kill leaves an attempt in two trees, not in none
        home.write(stored, decided)
    return stored


def _ending(merge: Merge) -> str:
    return ".trace.jsonl" if merge == "action" else f"-{merge}.trace.jsonl"


@functools.lru_cache(maxsize=4096)
def _real(source: str) -> str:
    return os.path.realpath(source)


def _at_place(told: ImportedAttempt) -> tuple[str, ...]:
    return told.digest, *_place_of(told)


def _place_of(told: ImportedAttempt) -> tuple[str, str]:
    """File and place; the only row of a file is its first when more follow."""
    return _real(told.source), "" if _FIRST.fullmatch(told.place) else told.place


def _in_file(told: ImportedAttempt) -> tuple[str, ...]:
    return told.digest, _real(told.source)


def _anywhere(told: ImportedAttempt) -> tuple[str, ...]:
    return (told.digest,)


class _Home:
    """A trace that holds attempts, or is to hold them."""

    def __init__(self, path: Path, fresh: ImportedTree | None, loaded: Loaded | None) -> None:
        self.path, self.fresh, self.loaded = path, fresh, loaded
        told = fresh.events[1] if fresh is not None else None
        self.imported = told if isinstance(told, Imported) else Imported(seq=1, source="", nodes=[])
        self.missing: list[int] = []  # of the fresh ones: places of those that the trace does not hold
        self.left = dict.fromkeys(range(len(self.known)))  # of those that it holds: places of those not read again
        self.replaced: dict[int, int] = {}  # fresh → stored, both by their places
        self.half: set[int] = set()  # stored ones that are replaced and ended within a step, which is whole now
        self.repeated: list[int] = []  # stored ones whose continuation the trace holds besides
        self.moved: list[int] = []  # stored ones that went on in another trace

    @property
    def known(self) -> list[ImportedAttempt]:
        """The attempts that the trace holds."""
        return self.loaded.tree.attempts if self.loaded is not None else []

    @functools.cached_property
    def tree(self) -> SearchTree:
        """The fresh tree, folded."""
        assert self.fresh is not None
        return SearchTree(self.fresh.events)

    def match(self, partial: bool) -> None:
        """Find the fresh attempts that the trace holds: of the same place, of the same file, then of any file; of a
        partial import, of a file that is gone."""
        fresh, known = self.imported.attempts, self.known
        self.missing = list(range(len(fresh)))
        if not known:
            return
        for key in (_at_place, _in_file, _anywhere):
            free: dict[tuple[str, ...], list[int]] = defaultdict(list)
            for place in reversed(list(self.left)):
                told = known[place]
                if key is not _anywhere or not partial or not os.path.exists(told.source):
                    free[key(told)].append(place)
            missing, self.missing = self.missing, []
            for place in missing:
                if found := free.get(key(fresh[place])):
                    del self.left[found.pop()]
                else:
                    self.missing.append(place)

    def write(self, stored: Stored, decided: Callable[[], frozenset[str]]) -> None:
        """Write the trace, or what is new. One that all attempts left is removed."""
        if self.moved and self.loaded is not None and self._trace in decided():
            what = "an unfinished attempt" if len(self.moved) == 1 else f"{len(self.moved)} unfinished attempts"
            told = f"keeps {what} that went on in another tree: a person decided on its samples"
            stored.kept.append(f"{self.path}: {told}")
            self.moved = []
        new = len(self.missing)
        if self.loaded is None:
            if self.imported.attempts and not self.missing:
                return  # all of them are known to be longer
            assert self.fresh is not None
            write_trace(self.path, self._beginning(self.fresh))
        elif len(self.moved) == len(self.known) and not self.missing:
            with TraceWriter(self.path, append_to=self.loaded.end):  # nobody else writes it
                self.path.unlink(missing_ok=True)
        elif self.missing or self.moved or self.repeated:
            with TraceWriter(self.path, append_to=self.loaded.end) as writer:
                writer.write(self._growth(self.loaded.tree))
        stored.continued += len(self.replaced) + len(self.moved)
        stored.new += new - len(self.replaced) - len(self.moved)
        if self.fresh is not None and self.path.exists():
            stored.paths.append(self.path)

    @property
    def _trace(self) -> str:
        started = self.loaded.tree.started if self.loaded is not None else None
        return started.trace if started is not None else ""

    def _beginning(self, fresh: ImportedTree) -> list[AnyEvent]:
        """A new trace: the fresh tree, less what is known to be longer."""
        if len(self.missing) == len(self.imported.attempts):
            return fresh.events
        merger = TreeOfAttempts(next(merge for merge in MERGES if merge == self.imported.merge))
        merger.header = list(self.tree.header_as({}))
        for place in self.missing:
            merger.again(self.tree, self.imported.attempts[place])
        told = replace(self.imported, nodes=merger.rows, attempts=merger.attempts)
        return [fresh.events[0], told]

    def _growth(self, tree: SearchTree) -> Imported:
        """What is new in a trace, as an event."""
        without = dict.fromkeys((*self.repeated, *self.moved), len(tree))
        without.update((old, int(old in self.half)) for old in self.replaced.values())
        merger = TreeOfAttempts.of(tree, without)
        nodes, attempts = len(merger.rows), len(merger.attempts)
        wordings = [len(row.wordings) for row in merger.rows]
        for place in self.missing:
            old = self.replaced.get(place, -1)
            along = tree.ancestors(tree.attempts[old].leaf)[1:2] if old >= 0 else []
            merger.again(self.tree, self.imported.attempts[place], along[0] if along else -1)
            merger.attempts[-1].replaces = old
        assert tree.started is not None
        low, high = tree.started.score_range
        if self.missing and self.tree.started is not None:
            other = self.tree.started.score_range
            low, high = min(low, other[0]), max(high, other[1])
        return Imported(
            seq=tree.seq + 1,
            source=self.imported.source or tree.imported_from or "",
            nodes=merger.rows[nodes:],
            attempts=merger.attempts[attempts:],
            merge=merger.merge,
            wordings={
                id: row.wordings[count:]
                for id, (row, count) in enumerate(zip(merger.rows, wordings, strict=False))
                if len(row.wordings) > count
            },
            score_range=None if (low, high) == tree.started.score_range else (low, high),
            withdrawn=sorted((*self.repeated, *self.moved)),
        )

    def messages(self, place: int) -> list[_Words]:
        """The messages of a stored attempt."""
        assert self.loaded is not None
        return _in_words(self.loaded.tree.attempt_messages(self.known[place]))


# -- which attempt went on ----------------------------------------------------------------------------


def _succeed(homes: Sequence[_Home], others: Sequence[_Home]) -> None:
    """Find the stored attempts that were not read again since they went on, and what became of each."""
    at_place: dict[tuple[str, str], list[tuple[_Home, int]]] = defaultdict(list)
    of_id: dict[tuple[str, str, str], list[tuple[_Home, int]]] = defaultdict(list)
    for home in (*homes, *others):
        for place in home.left:
            told = home.known[place]
            at_place[_place_of(told)].append((home, place))
            if told.id:
                of_id[_real(told.source), _task(home), told.id].append((home, place))
    if not at_place:
        return
    over: set[tuple[int, int]] = set()
    for home in homes:
        missing = set(home.missing)
        for place, told in enumerate(home.imported.attempts):
            file = _real(told.source)
            older = at_place.get(_place_of(told), []) + of_id.get((file, _task(home), told.id), [])
            older.sort(key=lambda each: each[0].known[each[1]].id != told.id)
            now = _in_words(home.tree.attempt_messages(told)) if older else []
            for its_home, its_place in older:
                key = id(its_home), its_place
                if key in over:
                    continue
                before = its_home.messages(its_place)
                if _goes_on(before, now):
                    over.add(key)
                    if its_home is not home:
                        its_home.moved.append(its_place)
                    elif place in missing and place not in home.replaced:
                        home.replaced[place] = its_place
                        if _stopped_within(before, now):
                            home.half.add(its_place)
                    else:
                        home.repeated.append(its_place)
                elif place in missing and _goes_on(now, before):  # the file is being written again
                    home.missing.remove(place)
                    break


def _task(home: _Home) -> str:
    events = home.fresh.events if home.fresh is not None else []
    started = home.loaded.tree.started if home.loaded is not None else events[0] if events else None
    return started.task if isinstance(started, Started) else ""


_Words = tuple[str, str, tuple[tuple[str, str], ...], int, str, str]
"""A message without the ids of its calls: role, text, calls, the call that it answers, name, reasoning."""


def _in_words(messages: Sequence[Message]) -> list[_Words]:
    numbers: dict[str, int] = {"": -1}
    found: list[_Words] = []
    for message in messages:
        for call in message.tool_calls:
            numbers.setdefault(call.id, len(numbers))
        answered = numbers.setdefault(message.tool_call_id, len(numbers))
        calls = tuple((call.name, call.arguments) for call in message.tool_calls)
        found.append((message.role, message.content, calls, answered, message.name, message.reasoning))
    return found


def _goes_on(before: list[_Words], now: list[_Words]) -> bool:
    """Whether an attempt begins with all messages of another; the last one may have been longer since."""
    if not before or len(before) > len(now) or before[:-1] != now[: len(before) - 1]:
        return False
    last, same = before[-1], now[len(before) - 1]
    return last == same or (
        last[0] == same[0]
        and same[1].startswith(last[1])
        and same[2][: len(last[2])] == last[2]
        and last[3:5] == same[3:5]
        and same[5].startswith(last[5])
    )


def _stopped_within(before: list[_Words], now: list[_Words]) -> bool:
    """Whether an attempt ended within a step that is whole now."""
    following = now[len(before)][0] if len(now) > len(before) else "assistant"
    return before[-1] != now[len(before) - 1] or following != "assistant"


# -- where attempts of a file are stored --------------------------------------------------------------


class _Origin(msgspec.Struct):
    source: str = ""


class _Line(msgspec.Struct):
    """What of an event tells whose attempts a trace holds."""

    type: str = ""
    merge: str = ""
    attempts: list[_Origin] = []


def _traces_of(folder: Path, merge: Merge, files: set[str]) -> Iterator[Path]:
    """The traces of a folder that hold attempts of these files, merged by that rule."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if is_trace(entry.name))
    except FileNotFoundError:
        return
    for name in names:
        path = folder / name
        try:
            stat = path.stat()
            rule, sources = _origins(path, stat.st_size, stat.st_mtime_ns)
        except (OSError, InputError):
            continue
        if rule == merge and any(_real(source) in files for source in sources):
            yield path


@functools.lru_cache(maxsize=4096)
def _origins(path: Path, size: int, changed: int) -> tuple[str, frozenset[str]]:
    """The rule of merging and the files of a trace of attempts; of another trace none."""
    rule, sources = "", set[str]()
    with open_given(path) as file:
        for number, line in enumerate(lines_of(file, path)):
            if number == 0 and b'"algorithm":"attempts"' not in line:
                break
            try:
                told = msgspec.json.decode(line, type=_Line)
            except UNREADABLE:
                break
            rule = told.merge or rule
            sources.update(each.source for each in told.attempts)
    return rule, frozenset(sources)
