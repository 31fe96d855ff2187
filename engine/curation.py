"""Curation: samples of a run together with what people decided about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from engine.decisions import Decided
from engine.replay import Replayer
from engine.samples import Sample, with_mark
from engine.tree import SearchTree


class Tally(Struct):
    """How far the review of some samples got."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    undecided: int = 0
    disputed: int = 0  # reviewers whose latest verdicts differ, skips aside

    @property
    def decided(self) -> int:
        """Samples with a verdict of any kind."""
        return self.accepted + self.rejected + self.skipped


def tally(samples: Iterable[Sample], current: Mapping[str, Decided]) -> Tally:
    """Count the verdicts on these samples."""
    count = Tally()
    for sample in samples:
        decided = current.get(sample.id)
        verdict = decided.verdict if decided else None
        if verdict == "accepted":
            count.accepted += 1
        elif verdict == "rejected":
            count.rejected += 1
        elif verdict == "skipped":
            count.skipped += 1
        else:
            count.undecided += 1
        if decided and len(set(decided.by_reviewer.values()) - {"skipped"}) > 1:
            count.disputed += 1
    return count


def marks_of(current: Mapping[str, Decided]) -> Callable[[str], int | None]:
    """The marks that people set, by sample id, as `engine.samples.revise` asks for them (verifier `human`)."""

    def mark(sample: str) -> int | None:
        decided = current.get(sample)
        return decided.mark if decided else None

    return mark


def moves_mark(sample: Sample, decided: Decided | None) -> bool:
    """Whether a person put the mark elsewhere than the run has it: the sample must be replayed again."""
    if decided is None or decided.mark is None or sample.bad is None:
        return False
    return decided.mark != sample.mark


def effective(sample: Sample, decided: Decided | None, tree: SearchTree, replayer: Replayer) -> Sample:
    """The sample with a person's mark and thought; where the mark moved, with a new replay verdict.

    Raises `InputError` where the mark is not on the bad trajectory.
    """
    if decided is None:
        return sample
    if moves_mark(sample, decided):
        sample = with_mark(tree, sample, decided.mark, replayer)
    if decided.thought is not None and sample.bad is not None:
        sample = replace(sample, thought=decided.thought)
    return sample
