"""A queue of samples under review: where one stands, what was decided, the mark and thought as they are now.

Knows no Textual. `load_review` and `Review.show` may take a while (they build and replay): they are called from a
worker thread, one at a time.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from engine.agreement import read_planted
from engine.control import Control
from engine.curation import REJECT_REASONS, Order, ReviewSettings, effective, ordered, review_settings
from engine.decisions import Decided, Decisions, DecisionVerdict
from engine.errors import InputError
from engine.events import AnyEvent
from engine.pairs import Pair
from engine.repair import FOLDER as REPAIRS
from engine.repair import reobserve_cost, repair_cost, repair_sample
from engine.replay import Replayer, opener
from engine.revision import Turn, revision_thoughts
from engine.samples import Repairs, RepairSettings, ReviseSettings, Sample, replay_sample, revise, turns_of
from engine.stats import load_any
from engine.tree import SearchTree
from engine.workspace import RunInfo, Workspace, read_samples

MAX_PAIRS = 2_000
"""Pairs that the app makes samples of by itself; `agentr revise` takes all."""

_REASON_KEYS = dict(zip("mtgdb", REJECT_REASONS, strict=True))
OTHER_REASON_KEY = "o"
PLANTED = "planted"
"""Folder of a workspace that remembers what was planted among its samples."""


def reason_keys(reasons: list[str]) -> list[tuple[str, str]]:
    """A key for each reason to reject; those beyond the letters have none (arrows reach them)."""
    of_reason = {reason: key for key, reason in _REASON_KEYS.items()}
    free = iter(letter for letter in "aceijklnpqrsuvwxyz1234567890" if letter not in _REASON_KEYS)
    return [(of_reason.get(reason) or next(free, ""), reason) for reason in reasons]


@dataclass(frozen=True)
class Shown:
    """A sample as it is now, with the person's mark and thought, and its trajectory."""

    sample: Sample
    turns: list[Turn]
    hidden: bool = False  # blind: what the verifier and the replay said is not to be seen yet
    own_mark: bool = False  # whether the mark is a person's

    @property
    def veiled(self) -> bool:
        """Whether also the splice would tell what a blind reviewer may not see: where the mark is."""
        return self.hidden and not self.own_mark and self.sample.kind == "revision"


@dataclass
class Review:
    """The samples of one tree in one run, and the place in the queue."""

    tree: SearchTree
    run: str
    samples: list[Sample]
    decisions: Decisions
    place: int = 0
    warnings: list[str] = field(default_factory=list)
    settings: ReviewSettings = field(default_factory=ReviewSettings)
    repairs: Path = Path(REPAIRS)  # folder of the traces of repairs
    blind: bool = False
    order: Order = "run"

    def __post_init__(self) -> None:
        """The environment to replay in is opened when it is first needed."""
        self._replayer = Replayer(self.tree, opener(self.tree))
        self._replayed: dict[tuple[str, int | None, str], Sample] = {}
        self._lock = threading.Lock()  # of the replayer: a thread that was given up may still be at work
        self._in_run_order = list(self.samples)
        self.blind = self.blind or self.settings.blind
        if self.settings.order != "run":
            self.set_order(self.settings.order)

    @property
    def current(self) -> Sample | None:
        """The sample in front, as the run has it."""
        return self.samples[self.place] if self.samples else None

    def show(self, sample: Sample) -> Shown:
        """The sample with what people changed; a moved mark is replayed again. Raises `InputError`."""
        standing = self.decisions.current().get(sample.id)
        known = self._effective(sample, standing)
        if standing is not None and standing.thought is not None:
            known = replace(known, thought=standing.thought)
        own = standing is not None and standing.mark is not None
        return Shown(known, turns_of(self.tree, known), self.hidden(sample), own)

    def _effective(self, sample: Sample, standing: Decided | None) -> Sample:
        mark = standing.mark if standing is not None and standing.mark is not None else sample.mark
        repair = standing.repair.path if standing is not None and standing.repair is not None else ""
        with self._lock:
            known = self._replayed.get((sample.id, mark, repair))
            if known is None:
                known = effective(sample, standing, self.tree, self._replayer)
                self._replayed[sample.id, mark, repair] = known
        return replace(known, thought=sample.thought)

    def hidden(self, sample: Sample) -> bool:
        """Whether a blind reviewer may not see yet what the verifier and the replay said."""
        return self.blind and self.verdict(sample) is None

    def prefetch(self) -> None:
        """Make the next sample ready, so that it is there at once."""
        if self.place + 1 < len(self.samples):
            following = self.samples[self.place + 1]
            self._effective(following, self.decisions.current().get(following.id))

    def set_order(self, order: Order) -> None:
        """Another order of the queue; the sample in front stays there. Raises `InputError`."""
        front = self.current
        self.samples = ordered(self._in_run_order, self.decisions.current(), order)
        self.order = order
        if front is not None:
            self.place = next(place for place, sample in enumerate(self.samples) if sample.id == front.id)

    # -- repairing ---------------------------------------------------------------------------------

    def reobserve(self, sample: Sample) -> None:
        """Forget what the replay said of a sample: it is replayed again, in an environment that is opened anew."""
        with self._lock:
            for key in [key for key in self._replayed if key[0] == sample.id]:
                del self._replayed[key]
            self._replayer.close()
            self._replayer = Replayer(self.tree, opener(self.tree))
            stored = next(each for each in self._in_run_order if each.id == sample.id)
            again = replace(stored, replay=replay_sample(self.tree, stored, self._replayer))
            for samples in (self.samples, self._in_run_order):
                samples[next(place for place, each in enumerate(samples) if each.id == sample.id)] = again

    def costs(self, sample: Sample) -> tuple[str, str]:
        """What replaying again and searching again take, a line each. Raises `InputError`."""
        return reobserve_cost(self.tree, sample), repair_cost(self.tree, RepairSettings())

    def search_again(self, shown: Sample, control: Control, heard: Callable[[AnyEvent], None]) -> str:
        """Search a new tail from just after the wrong step; one that holds becomes a decision. What came, in a line.

        Raises `InputError`, `WorkFailed`.
        """
        figures = Repairs()
        replayer = Replayer(self.tree, opener(self.tree))
        try:
            mended = repair_sample(
                self.tree,
                replace(shown, tail=None),
                replayer,
                self.repairs,
                RepairSettings(),
                figures,
                control=control,
                listener=heard,
            )
        finally:
            replayer.close()
        if mended.tail is None:
            return f"not repaired: {', '.join(figures.failed)} ({figures.calls} calls)"
        self.decisions.decide(shown.id, mark=shown.mark, repair=mended.tail)
        return f"repaired: {len(mended.tail.steps)} steps to return {mended.tail.score:g} ({figures.calls} calls)"

    # -- what was decided --------------------------------------------------------------------------

    def verdict(self, sample: Sample) -> DecisionVerdict | None:
        """What was decided about a sample."""
        standing = self.decisions.current().get(sample.id)
        return standing.verdict if standing else None

    def note(self, sample: Sample) -> str:
        """A person's comment on a sample."""
        standing = self.decisions.current().get(sample.id)
        return (standing.note or "") if standing else ""

    def tags(self, sample: Sample) -> list[str]:
        """A person's tags on a sample."""
        standing = self.decisions.current().get(sample.id)
        return standing.tags if standing else []

    def all_tags(self) -> list[str]:
        """Every tag that is in use, sorted."""
        return sorted({tag for standing in self.decisions.current().values() for tag in standing.tags})

    def counts(self) -> tuple[int, int, int]:
        """Accepted, rejected, undecided."""
        verdicts = [self.verdict(sample) for sample in self.samples]
        accepted, rejected = verdicts.count("accepted"), verdicts.count("rejected")
        return accepted, rejected, verdicts.count(None)

    def go(self, by: int) -> None:
        """Forth or back in the queue, staying inside."""
        self.place = max(0, min(len(self.samples) - 1, self.place + by))

    def go_to_next_undecided(self) -> bool:
        """To the next sample without a verdict, around the end; False where there is none."""
        count = len(self.samples)
        for step in range(1, count + 1):
            place = (self.place + step) % count
            if self.verdict(self.samples[place]) is None:
                self.place = place
                return True
        return False

    def find(self, pair: Pair) -> bool:
        """To the sample of a pair; False where this run has none."""
        for place, sample in enumerate(self.samples):
            if (sample.good, sample.bad) == (pair.good, pair.bad):
                self.place = place
                return True
        return False

    def move_mark(self, shown: Sample, by: int) -> bool:
        """Move the mark; it stays after the fork and on the bad trajectory. False where it can't go there.

        Who is blind starts from either end, not from where the verifier put it.
        """
        standing = self.decisions.current().get(shown.id)
        unseen = self.hidden(shown) and (standing is None or standing.mark is None)
        if unseen:
            now = shown.bad_depth + 1 if by < 0 else shown.fork_depth
        else:
            now = shown.mark if shown.mark is not None else shown.bad_depth + (1 if by < 0 else 0)
        mark = now + by
        if not shown.fork_depth < mark <= shown.bad_depth:
            return False
        self.decisions.decide(shown.id, mark=mark)
        return True

    def next_thought(self, shown: Sample) -> None:
        """The next of the list takes the place of the thought."""
        known = revision_thoughts()
        place = known.index(shown.thought) if shown.thought in known else -1
        self.decisions.decide(shown.id, thought=known[(place + 1) % len(known)])


def load_review(
    workspace: Workspace, decisions: Decisions, path: Path, settings: ReviseSettings, pair: Pair | None
) -> Review:
    """The review of a tree: the newest run over it that is newer than it, else a new run. Raises `InputError`.

    The tree is read from its file: it is not the one on screen, which another thread changes.
    """
    source = load_any(path)
    started = source.tree.started
    assert started is not None
    decisions.refresh()
    review_as = review_settings(workspace.settings_file)
    repairs = workspace.traces / REPAIRS
    info = _run_over(workspace, path)
    if info is not None:
        samples = [sample for sample in read_samples(info) if sample.trace == started.trace and sample.bad is not None]
        samples = _with_planted(workspace, info.id, started.trace, samples)
        review = Review(
            source.tree,
            info.id,
            samples,
            decisions,
            warnings=source.warnings,
            settings=review_as,
            repairs=repairs,
        )
        if samples and (pair is None or review.find(pair)):
            return review
    settings = replace(settings, max_pairs=MAX_PAIRS, rank="fork")
    resolved = str(path.resolve())
    with workspace.new_run(settings, [resolved]) as run:
        samples = []
        for sample in revise(source.tree, resolved, settings, run.figures):
            run.add(sample)
            if sample.bad is not None:
                samples.append(sample)
    review = Review(
        source.tree, run.id, samples, decisions, warnings=source.warnings, settings=review_as, repairs=repairs
    )
    if pair is not None and not review.find(pair):
        raise InputError("this pair is not among the samples: its leaves differ too little for alpha and beta")
    return review


def _with_planted(workspace: Workspace, run: str, trace: str, samples: list[Sample]) -> list[Sample]:
    """The queue with the faulty copies that were planted in this run, wherever chance puts them."""
    queue = list(samples)
    for each in read_planted(workspace.path / PLANTED):
        if each.run == run and each.sample.trace == trace:
            queue.insert(random.Random(each.id).randint(0, len(queue)), each.sample)
    return queue


def _run_over(workspace: Workspace, path: Path) -> RunInfo | None:
    """The newest finished run that read this file after it last changed."""
    resolved = str(path.resolve())
    changed = os.stat(path).st_mtime
    for info in workspace.runs():
        if info.sealed and any(str(Path(known).resolve()) == resolved for known in info.paths):
            return info if os.stat(info.file).st_mtime >= changed else None
    return None
