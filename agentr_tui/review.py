"""A queue of samples under review: where one stands, what was decided, the mark and thought as they are now.

Knows no Textual. `load_review` and `Review.show` may take a while (they build and replay): they are called from a
worker thread, one at a time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from engine.curation import effective
from engine.decisions import Decisions, DecisionVerdict
from engine.errors import InputError
from engine.pairs import Pair
from engine.replay import Replayer, opener
from engine.revision import Turn, revision_thoughts
from engine.samples import ReviseSettings, Sample, revise, turns_of
from engine.stats import load_any
from engine.tree import SearchTree
from engine.workspace import RunInfo, Workspace, read_samples

MAX_PAIRS = 2_000
"""Pairs that the app makes samples of by itself; `agentr revise` takes all."""

REJECT_REASONS = (
    ("m", "the mark is wrong"),
    ("t", "the thought does not fit"),
    ("g", "the good part is poor"),
    ("d", "a duplicate"),
    ("b", "the task or environment is broken"),
)


@dataclass(frozen=True)
class Shown:
    """A sample as it is now, with the person's mark and thought, and its trajectory."""

    sample: Sample
    turns: list[Turn]


@dataclass
class Review:
    """The samples of one tree in one run, and the place in the queue."""

    tree: SearchTree
    run: str
    samples: list[Sample]
    decisions: Decisions
    place: int = 0
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The environment to replay in is opened when it is first needed."""
        self._replayer = Replayer(self.tree, opener(self.tree))
        self._replayed: dict[tuple[str, int | None], Sample] = {}

    @property
    def current(self) -> Sample | None:
        """The sample in front, as the run has it."""
        return self.samples[self.place] if self.samples else None

    def show(self, sample: Sample) -> Shown:
        """The sample with what people changed; a moved mark is replayed again. Raises `InputError`."""
        standing = self.decisions.current().get(sample.id)
        mark = standing.mark if standing is not None and standing.mark is not None else sample.mark
        known = self._replayed.get((sample.id, mark))
        if known is None:
            known = effective(sample, standing, self.tree, self._replayer)
            self._replayed[sample.id, mark] = known
        thought = standing.thought if standing is not None and standing.thought is not None else sample.thought
        known = replace(known, thought=thought)
        return Shown(known, turns_of(self.tree, known))

    def verdict(self, sample: Sample) -> DecisionVerdict | None:
        """What was decided about a sample."""
        standing = self.decisions.current().get(sample.id)
        return standing.verdict if standing else None

    def note(self, sample: Sample) -> str:
        """A person's comment on a sample."""
        standing = self.decisions.current().get(sample.id)
        return (standing.note or "") if standing else ""

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
        """Move the mark; it stays after the fork and on the bad trajectory. False where it can't go there."""
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
    info = _run_over(workspace, path)
    if info is not None:
        samples = [sample for sample in read_samples(info) if sample.trace == started.trace and sample.bad is not None]
        review = Review(source.tree, info.id, samples, decisions, warnings=source.warnings)
        if samples and (pair is None or review.find(pair)):
            return review
    settings = replace(settings, max_pairs=MAX_PAIRS)
    resolved = str(path.resolve())
    with workspace.new_run(settings, [resolved]) as run:
        samples = []
        for sample in revise(source.tree, resolved, settings, run.figures):
            run.add(sample)
            if sample.bad is not None:
                samples.append(sample)
    review = Review(source.tree, run.id, samples, decisions, warnings=source.warnings)
    if pair is not None and not review.find(pair):
        raise InputError("this pair is not among the samples: its leaves differ too little for alpha and beta")
    return review


def _run_over(workspace: Workspace, path: Path) -> RunInfo | None:
    """The newest finished run that read this file after it last changed."""
    resolved = str(path.resolve())
    changed = os.stat(path).st_mtime
    for info in workspace.runs():
        if info.sealed and any(str(Path(known).resolve()) == resolved for known in info.paths):
            return info if os.stat(info.file).st_mtime >= changed else None
    return None
