"""Decisions: what people said about samples, as append-only lines.

Each reviewer's process writes a file of its own (`REVIEWER-HOST-PID-RANDOM.jsonl`), a decision a line, and nobody
ever rewrites one: two people, or one person twice, never collide, also on a network file system. What holds now is a
fold over the lines of all files by time: of the verdicts on a sample the latest wins, likewise of marks, thoughts,
notes, tags and repairs. Undoing appends a line that names the one it takes back; redoing takes back the undoing.
"""

from __future__ import annotations

import errno
import getpass
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, WorkFailed
from engine.base.files import refusal, stamp
from engine.samples.splice import Tail

DecisionVerdict = Literal["accepted", "rejected", "skipped"]
REVIEWER_VARIABLE = "AGENTR_REVIEWER"


class Decision(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """One line: what one person said about one sample. What is None is left as it was."""

    id: str  # random; an undoing names it
    sample: str
    reviewer: str
    time: str  # ISO 8601, UTC, microseconds
    verdict: DecisionVerdict | None = None
    reason: str = ""  # of the verdict
    mark: int | None = None  # first wrong step, counted from 1
    thought: str | None = None  # text of the revision thought
    note: str | None = None
    tags: list[str] | None = None  # all of them; an empty list takes them off
    repair: Tail | None = None  # a tail that a search found on this person's behalf; holds with its mark
    batch: str = ""  # id of the first of several lines that were said at once
    undo_of: str | None = None  # id of the line (of the same sample) that this one takes back


class Decided(Struct, kw_only=True):
    """What holds about a sample: the latest of each kind over all reviewers."""

    sample: str
    verdict: DecisionVerdict | None = None
    reason: str = ""
    reviewer: str = ""  # who gave the verdict
    time: str = ""  # when
    mark: int | None = None
    marked_by: str = ""
    thought: str | None = None
    thought_by: str = ""
    note: str | None = None
    tags: list[str] = []
    repair: Tail | None = None
    by_reviewer: dict[str, DecisionVerdict] = {}  # each reviewer's latest verdict


_decision = msgspec.json.Decoder(Decision)
_encoder = msgspec.json.Encoder()


def fold(decisions: Iterable[Decision]) -> dict[str, Decided]:
    """What holds, by sample. It does not matter how the lines come in; samples without anything are left out."""
    by_sample: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_sample.setdefault(decision.sample, []).append(decision)
    folded = ((sample, fold_one(sample, lines)) for sample, lines in by_sample.items())
    return {sample: decided for sample, decided in folded if decided is not None}


def in_effect(lines: Iterable[Decision]) -> list[Decision]:
    """The lines of one sample that nothing took back, by time; undoings themselves left out."""
    taken_back: set[str] = set()
    left: list[Decision] = []
    for line in sorted(lines, key=_by_time, reverse=True):  # an undoing is always later than what it undoes
        if line.id in taken_back:
            continue
        if line.undo_of is not None:
            taken_back.add(line.undo_of)
        else:
            left.append(line)
    left.reverse()
    return left


def _by_time(line: Decision) -> tuple[str, str]:
    return line.time, line.id


def fold_one(sample: str, lines: Iterable[Decision]) -> Decided | None:
    """What holds about one sample; None where every line was taken back."""
    left = in_effect(lines)
    if not left:
        return None
    decided = Decided(sample=sample)
    for line in left:
        if line.verdict is not None:
            decided.verdict, decided.reason = line.verdict, line.reason
            decided.reviewer, decided.time = line.reviewer, line.time
            decided.by_reviewer[line.reviewer] = line.verdict
        if line.mark is not None:
            decided.mark, decided.marked_by = line.mark, line.reviewer
        if line.thought is not None:
            decided.thought, decided.thought_by = line.thought, line.reviewer
        if line.note is not None:
            decided.note = line.note
        if line.tags is not None:
            decided.tags = line.tags
        if line.repair is not None:
            decided.repair = line.repair
    return decided


def reviewer_name() -> str:
    """Who reviews: the variable AGENTR_REVIEWER, else the user's name. One line, at most 80 characters."""
    name = os.environ.get(REVIEWER_VARIABLE, "")
    if not name.strip():
        try:
            name = getpass.getuser()
        except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
            name = f"user-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    printable = "".join(sign if sign.isprintable() else " " for sign in name)
    return " ".join(printable.split())[:80] or "unknown"


Batch = list[Decision]


def remembered(lines: Iterable[Decision]) -> tuple[list[Batch], list[tuple[Batch, Batch]]]:
    """What one reviewer can undo, and what can be done again (with the lines that took it back); the last one last.

    Only takes back what was taken back in order, as `Decisions` does.
    """
    batches: dict[str, Batch] = {}
    for line in sorted(lines, key=_by_time):
        batches.setdefault(line.batch or line.id, []).append(line)
    done: list[Batch] = []
    undone: list[tuple[Batch, Batch]] = []
    for batch in batches.values():
        target = batch[0].undo_of
        if target is None:
            done.append(batch)
            undone.clear()
            continue
        for place, earlier in enumerate(done):
            if earlier[0].id == target:
                undone.append((done.pop(place), batch))
                break
        else:
            for place, (earlier, undoing) in enumerate(undone):
                if undoing[0].id == target:
                    del undone[place]
                    done.append(earlier)
                    break
    return done, undone


def _for_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_.")[:40] or "unknown"


def _writable(text: str) -> str:
    """Text without half surrogate pairs, which a terminal may hand over and UTF-8 can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


class _File:
    """How far one file was read."""

    __slots__ = ("identity", "lines", "offset", "torn")

    def __init__(self, identity: int) -> None:
        self.identity = identity  # inode
        self.offset = 0  # bytes, up to the last whole line
        self.lines = 0
        self.torn = False  # something stands after the last whole line


class Decisions:
    """All decisions of a workspace, and the pen of one reviewer's process. Safe to use from several threads."""

    def __init__(self, folder: Path, reviewer: str | None = None) -> None:
        """Read what there is. Raises `InputError` for a line that can't be read, naming file and line."""
        self.folder = folder
        self.reviewer = reviewer or reviewer_name()
        self._own: Path | None = None  # made at the first decision
        self._last = datetime.min.replace(tzinfo=UTC)
        self._files: dict[Path, _File] = {}
        self._lines: dict[str, dict[str, Decision]] = {}  # sample → id → line
        self._current: dict[str, Decided] = {}
        self._done: list[list[Decision]] = []  # what can be undone, a batch each
        self._undone: list[tuple[list[Decision], list[Decision]]] = []  # a batch, and the lines that took it back
        self._lock = threading.RLock()
        self.refresh()

    # -- reading -----------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        """A line for each file with an unfinished last line: left out for now (it may still be being written)."""
        with self._lock:
            torn = sorted(path for path, file in self._files.items() if file.torn)
        return [f"{path}: the last line is not whole and was left out" for path in torn]

    def current(self) -> Mapping[str, Decided]:
        """What holds, by sample, as of the last `refresh`. Not to be changed."""
        return self._current

    def said_by(self, reviewer: str) -> Mapping[str, Decided]:
        """What would hold, by sample, if there were only this reviewer's lines: for who is to judge unswayed."""
        with self._lock:
            return fold(line for lines in self._lines.values() for line in lines.values() if line.reviewer == reviewer)

    def lines_of(self, sample: str) -> list[Decision]:
        """Every line about a sample, by time, undoings included."""
        with self._lock:
            return sorted(self._lines.get(sample, {}).values(), key=_by_time)

    def refresh(self) -> set[str]:
        """Read what other processes appended since; returns the samples it is about. Raises `InputError`."""
        with self._lock:
            touched: set[str] = set()
            try:
                with os.scandir(self.folder) as entries:
                    paths = [Path(entry.path) for entry in entries if entry.name.endswith(".jsonl")]
            except FileNotFoundError:
                paths = []
            except OSError as error:
                raise refusal(self.folder, error) from error
            stats: dict[Path, os.stat_result] = {}
            for path in paths:
                with suppress(FileNotFoundError):  # removed since
                    stats[path] = path.stat()
            if any(
                path not in stats or stats[path].st_ino != file.identity or stats[path].st_size < file.offset
                for path, file in self._files.items()
            ):  # somebody removed or replaced a file: what was read of it no longer counts
                touched.update(self._lines)
                self._files, self._lines = {}, {}
            for path, stat in sorted(stats.items()):
                file = self._files.get(path)
                if file is None:
                    file = self._files[path] = _File(stat.st_ino)
                if stat.st_size > file.offset:
                    touched.update(self._read(path, file))
                else:
                    file.torn = False
            self._fold(touched)
            return touched

    def _read(self, path: Path, file: _File) -> set[str]:
        try:
            with path.open("rb") as stream:
                stream.seek(file.offset)
                data = stream.read()
        except OSError as error:
            raise refusal(path, error) from error
        whole = data[: data.rfind(b"\n") + 1]
        touched = set()
        for number, line in enumerate(whole.splitlines(keepends=True), file.lines + 1):
            if line.strip():
                try:
                    decision = _decision.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: not a decision ({error}): mend or remove the line") from error
                self._take(decision)
                touched.add(decision.sample)
            file.offset += len(line)
            file.lines = number
        file.torn = len(data) > len(whole)
        return touched

    def _take(self, decision: Decision) -> None:
        self._lines.setdefault(decision.sample, {})[decision.id] = decision

    def _fold(self, samples: Iterable[str]) -> None:
        changed = dict(self._current)
        for sample in samples:
            decided = fold_one(sample, self._lines.get(sample, {}).values())
            if decided is None:
                changed.pop(sample, None)
            else:
                changed[sample] = decided
        self._current = changed  # readers of the old one are not disturbed

    # -- writing -----------------------------------------------------------------------------------

    def decide(
        self,
        sample: str,
        verdict: DecisionVerdict | None = None,
        *,
        reason: str = "",
        mark: int | None = None,
        thought: str | None = None,
        note: str | None = None,
        tags: Iterable[str] | None = None,
        repair: Tail | None = None,
    ) -> Decision:
        """Say something about a sample; on disk when this returns. Raises `InputError`, `WorkFailed`."""
        return self.decide_all(
            [sample], verdict, reason=reason, mark=mark, thought=thought, note=note, tags=tags, repair=repair
        )[0]

    def decide_all(
        self,
        samples: Iterable[str],
        verdict: DecisionVerdict | None = None,
        *,
        reason: str = "",
        mark: int | None = None,
        thought: str | None = None,
        note: str | None = None,
        tags: Iterable[str] | None = None,
        repair: Tail | None = None,
    ) -> list[Decision]:
        """Say the same about several samples; one `undo` takes all of it back. Raises as `decide`."""
        if mark is not None and mark < 1:
            raise InputError(f"step {mark} can't be the first wrong step: steps are counted from 1")
        kept = None if tags is None else list(dict.fromkeys(_writable(tag).strip() for tag in tags if tag.strip()))
        with self._lock:
            batch = self._append(
                samples,
                lambda id, sample, time, first: Decision(
                    id=id,
                    sample=sample,
                    reviewer=self.reviewer,
                    time=time,
                    verdict=verdict,
                    reason=_writable(reason),
                    mark=mark,
                    thought=None if thought is None else _writable(thought),
                    note=None if note is None else _writable(note),
                    tags=kept,
                    repair=repair,
                    batch=first,
                ),
            )
            if batch:
                self._done.append(batch)
                self._undone.clear()
            return batch

    def recall(self) -> None:
        """Take up what this reviewer decided in earlier processes, so that `undo` and `redo` reach it."""
        with self._lock:
            mine = [line for lines in self._lines.values() for line in lines.values() if line.reviewer == self.reviewer]
            self._done, self._undone = remembered(mine)
            if mine:  # a clock that was set back must not put new lines before old ones
                last = datetime.fromisoformat(max(line.time for line in mine))
                self._last = max(self._last, last if last.tzinfo else last.replace(tzinfo=UTC))

    def undo(self) -> list[Decision]:
        """Take back the last decision of this process; returns what was taken back (none: nothing left)."""
        with self._lock:
            if not self._done:
                return []
            batch = self._done[-1]
            undoings = self._take_back(batch)
            self._undone.append((self._done.pop(), undoings))
            return batch

    def redo(self) -> list[Decision]:
        """Make the last undone decision again; returns it (none: nothing to redo)."""
        with self._lock:
            if not self._undone:
                return []
            batch, undoings = self._undone[-1]
            self._take_back(undoings)
            self._done.append(self._undone.pop()[0])
            return batch

    def _take_back(self, lines: list[Decision]) -> list[Decision]:
        targets = iter(lines)
        return self._append(
            [line.sample for line in lines],
            lambda id, sample, time, first: Decision(
                id=id, sample=sample, reviewer=self.reviewer, time=time, undo_of=next(targets).id, batch=first
            ),
        )

    def _append(self, samples: Iterable[str], make: Callable[[str, str, str, str], Decision]) -> list[Decision]:
        """Write lines, then believe them. `make` gets id, sample, time and, of several, the first one's id."""
        all = list(samples)
        ids = [secrets.token_hex(6) for _ in all]
        first = ids[0] if len(ids) > 1 else ""
        lines = [make(id, sample, self._time(), first) for id, sample in zip(ids, all, strict=True)]
        if not lines:
            return []
        data = b"".join(_encoder.encode(line) + b"\n" for line in lines)
        self._write(data)
        for line in lines:
            self._take(line)
        self._fold({line.sample for line in lines})
        return lines

    def _time(self) -> str:
        """Strictly rising within this process, also where the clock is set back."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return stamp(self._last)

    def _write(self, data: bytes) -> None:
        path = self._own
        try:
            if path is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                names = (_for_file_name(self.reviewer), _for_file_name(socket.gethostname()), str(os.getpid()))
                path = self.folder / f"{'-'.join(names)}-{secrets.token_hex(3)}.jsonl"
                path.open("xb").close()
                self._own = path
        except OSError as error:
            raise InputError(f"{self.folder}: decisions can't be written here ({error.strerror or error})") from error
        before = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab", buffering=0) as stream:
                if stream.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(stream.fileno())
        except OSError as error:
            _cut(path, before)
            raise WorkFailed(f"{path}: {error.strerror or error}: the decision was not kept") from error


def _cut(path: Path, size: int) -> None:
    """Take half a line off a file of our own, so that the next one starts on a line of its own."""
    with suppress(OSError), path.open("r+b") as stream:
        stream.truncate(size)
