"""Decisions: people's verdicts on samples and changes to them, as append-only lines.

Each reviewer's process writes a file of its own (`REVIEWER-HOST-PID-RANDOM.jsonl`, see `engine.base.append_log`), a
decision a line: two people, or one person twice, never collide. The decisions in force are a fold over the lines of all
files in their order: of the verdicts on a sample the latest counts, likewise of marks, thoughts, notes, tags and
repairs. Undoing appends a line that names the one it takes back; redoing takes back the undoing.

A line comes after every line that its writer knew of, whatever the clocks of the machines show
(`engine.base.line_order`); lines that were written without knowledge of each other are ordered by time.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import msgspec
from msgspec import Struct

from engine.base.append_log import AppendLog, LogKind
from engine.base.errors import InputError
from engine.base.files import in_future
from engine.base.line_order import FIRST, Count, Order, next_orders, order_of
from engine.base.reviewer_name import reviewer_name
from engine.base.text import many
from engine.samples.tails.tail import Tail

DecisionVerdict = Literal["accepted", "rejected", "skipped"]


class Decision(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """One line: one person's decision on one sample. A field that is None changes nothing."""

    id: str  # random; an undoing names it
    sample: str
    reviewer: str
    time: str  # ISO 8601, UTC, microseconds
    after: str = ""  # with `count` its place in the order of lines, where its own time would not tell it
    count: Count = 0
    verdict: DecisionVerdict | None = None
    reason: str = ""  # of the verdict
    mark: int | None = None  # first wrong step, counted from 1
    thought: str | None = None  # text of the revision thought
    note: str | None = None
    tags: list[str] | None = None  # all of them; an empty list takes them off
    repair: Tail | None = None  # a tail that a search found on this person's behalf; holds with its mark
    uncut: list[int] | None = None  # nodes of steps that were cut and are taken back; all of them
    batch: str = ""  # id of the first of several lines that were said at once
    undo_of: str | None = None  # id of the line (of the same sample) that this one takes back


class Said(TypedDict, total=False):
    """What a person may say about a sample beside the verdict, as the fields of `Decision` have it."""

    reason: str
    mark: int | None
    thought: str | None
    note: str | None
    tags: Iterable[str] | None
    repair: Tail | None
    uncut: Iterable[int] | None


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
    uncut: list[int] = []  # nodes of steps that were cut and are taken back
    by_reviewer: dict[str, DecisionVerdict] = {}  # each reviewer's latest verdict


_KIND = LogKind(msgspec.json.Decoder(Decision).decode, "decision", "decisions", sync=True)


def fold(decisions: Iterable[Decision]) -> dict[str, Decided]:
    """Returns the decisions in force, by sample. The order of the lines does not matter; samples without a decision are
    left out."""
    by_sample: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_sample.setdefault(decision.sample, []).append(decision)
    folded = ((sample, fold_one(sample, lines)) for sample, lines in by_sample.items())
    return {sample: decided for sample, decided in folded if decided is not None}


def in_effect(lines: Iterable[Decision]) -> list[Decision]:
    """Returns the lines of one sample that were not taken back, in their order; without the lines that undo."""
    taken_back: set[str] = set()
    left: list[Decision] = []
    for line in sorted(lines, key=_in_order, reverse=True):  # an undoing is always later than what it undoes
        if line.id in taken_back:
            continue
        if line.undo_of is not None:
            taken_back.add(line.undo_of)
        else:
            left.append(line)
    left.reverse()
    return left


def _in_order(line: Decision) -> tuple[Order, str]:
    return order_of(line), line.id


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
        if line.mark is not None and line.repair is None:  # a repair says after which mark it holds, and sets none
            decided.mark, decided.marked_by = line.mark, line.reviewer
        if line.thought is not None:
            decided.thought, decided.thought_by = line.thought, line.reviewer
        if line.note is not None:
            decided.note = line.note
        if line.tags is not None:
            decided.tags = line.tags
        if line.repair is not None:
            decided.repair = line.repair
        if line.uncut is not None:
            decided.uncut = line.uncut
    return decided


Batch = list[Decision]


def remembered(lines: Iterable[Decision]) -> tuple[list[Batch], list[tuple[Batch, Batch]]]:
    """What one reviewer can undo, and what can be done again (with the lines that took it back); the last one last.

    Only takes back what was taken back in order, as `Decisions` does.
    """
    batches: dict[str, Batch] = {}
    for line in sorted(lines, key=_in_order):
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


def _writable(text: str) -> str:
    """Text without half surrogate pairs, which a terminal may hand over and UTF-8 can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


class Decisions:
    """All decisions of a workspace, and the writer of one reviewer's process. May be used from several threads."""

    def __init__(self, folder: Path, reviewer: str | None = None, *, strict: bool = True) -> None:
        """Read what there is. Raises `InputError` for a line that can't be read, naming file and line.

        `strict`: False leaves that to the next `refresh`; what could be read counts meanwhile.
        """
        self.folder = folder
        self.reviewer = reviewer or reviewer_name()
        self._log = AppendLog(folder, _KIND, (self.reviewer,))
        self._lines: dict[str, dict[str, Decision]] = {}  # sample → id → line
        self._last = FIRST  # the order of the last of all lines
        self._in_future: dict[Path, list[str]] = {}  # file → times of its lines that lay in the future when read
        self._current: dict[str, Decided] = {}
        self._done: list[list[Decision]] = []  # what can be undone, a batch each
        self._undone: list[tuple[list[Decision], list[Decision]]] = []  # a batch, and the lines that took it back
        self._lock = threading.RLock()
        if strict:
            self.refresh()
        else:
            self._look()

    # -- reading -----------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        """A line for each file with an unfinished last line, and for each with decisions from the future."""
        with self._lock:
            told = self._log.warnings
            for path, times in sorted(self._in_future.items()):
                still = [time for time in times if in_future(time)]
                if still:
                    told.append(
                        f"{path}: {many(len(still), 'decision is', 'decisions are')} from the future (up to"
                        f" {max(still)}): a clock was wrong, there or here; later decisions take effect all the same"
                    )
            return told

    def current(self) -> Mapping[str, Decided]:
        """What holds, by sample, as of the last `refresh`. Not to be changed."""
        return self._current

    def said_by(self, reviewer: str) -> Mapping[str, Decided]:
        """Returns the decisions in force, by sample, if there were only this reviewer's lines (for blind mode)."""
        with self._lock:
            return fold(line for lines in self._lines.values() for line in lines.values() if line.reviewer == reviewer)

    def lines_of(self, sample: str) -> list[Decision]:
        """Every line about a sample, in their order, undoings included."""
        with self._lock:
            return sorted(self._lines.get(sample, {}).values(), key=_in_order)

    def refresh(self) -> set[str]:
        """Read what other processes appended since; returns the samples it is about.

        Raises `InputError` for a line that can't be read, naming file and line; what could be read counts then.
        """
        touched, error = self._look()
        if error is not None:
            raise error
        return touched

    def _look(self) -> tuple[set[str], Exception | None]:
        with self._lock:
            fresh = self._log.refresh()
            touched: set[str] = set()
            if fresh.anew:
                touched.update(self._lines)
                self._lines, self._in_future = {}, {}
            for path, _, decision in fresh.lines:
                if in_future(decision.time):
                    self._in_future.setdefault(path, []).append(decision.time)
                self._take(decision)
                touched.add(decision.sample)
            if touched:  # who holds what `current` gave sees that nothing changed
                self._fold(touched)
            return touched, fresh.error

    def _take(self, decision: Decision) -> None:
        self._lines.setdefault(decision.sample, {})[decision.id] = decision
        self._last = max(self._last, order_of(decision))

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

    def decide(self, sample: str, verdict: DecisionVerdict | None = None, **said: Unpack[Said]) -> Decision:
        """Say something about a sample; on disk when this returns. Raises `InputError`, `WorkFailed`."""
        return self.decide_all([sample], verdict, **said)[0]

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
        uncut: Iterable[int] | None = None,
    ) -> list[Decision]:
        """Say the same about several samples; one `undo` takes all of it back. Raises as `decide`.

        `samples`: their ids. For all others None means: as it was. `verdict`: on each sample, with `reason` (empty:
        none). `mark`: the first wrong step, counted from 1. `thought`: text of the revision thought. `note`: text.
        `tags`: all tags; an empty list takes them off. `repair`: a tail that a search found. `uncut`: nodes of all
        steps that were cut and are taken back.
        """
        if mark is not None and mark < 1:
            raise InputError(f"step {mark} can't be the first wrong step: steps are counted from 1")
        kept = None if tags is None else list(dict.fromkeys(_writable(tag).strip() for tag in tags if tag.strip()))
        back = None if uncut is None else sorted(set(uncut))
        with self._lock:
            batch = self._append(
                samples,
                lambda id, sample, order, first: Decision(
                    id=id,
                    sample=sample,
                    reviewer=self.reviewer,
                    time=order.time,
                    after=order.after,
                    count=order.number,
                    verdict=verdict,
                    reason=_writable(reason),
                    mark=mark,
                    thought=None if thought is None else _writable(thought),
                    note=None if note is None else _writable(note),
                    tags=kept,
                    repair=repair,
                    uncut=back,
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
            lambda id, sample, order, first: Decision(
                id=id,
                sample=sample,
                reviewer=self.reviewer,
                time=order.time,
                after=order.after,
                count=order.number,
                undo_of=next(targets).id,
                batch=first,
            ),
        )

    def _append(self, samples: Iterable[str], make: Callable[[str, str, Order, str], Decision]) -> list[Decision]:
        """Append lines to the file, then fold them. `make` gets id, sample, order and, of several, the first one's id.

        Reads what others wrote first, so that these lines come after theirs.
        """
        all = list(samples)
        if not all:
            return []
        self._look()  # a line of somebody else's that can't be read keeps nobody from deciding: `refresh` tells of it
        ids = [secrets.token_hex(6) for _ in all]
        first = ids[0] if len(ids) > 1 else ""
        orders = next_orders(self._last, len(all), self.folder)
        lines = [make(id, sample, order, first) for id, sample, order in zip(ids, all, orders, strict=True)]
        self._log.append(lines)
        for line in lines:
            self._take(line)
        self._fold({line.sample for line in lines})
        return lines
