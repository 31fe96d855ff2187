"""A sample as a reviewer is shown it, the progress of the queue, the keys of reasons to reject. Knows no Textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.review.curation import REJECT_REASONS
from engine.review.decisions import Decided, Decisions, in_effect
from engine.samples.sample import Sample
from engine.samples.splice import Turn
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

_REASON_KEYS = dict(zip("mtgdb", REJECT_REASONS, strict=True))
OTHER_REASON_KEY = "o"


def reason_keys(reasons: list[str]) -> list[tuple[str, str]]:
    """Returns a key for each reason to reject. Reasons beyond the alphabet have none; arrows reach them."""
    of_reason = {reason: key for key, reason in _REASON_KEYS.items()}
    free = iter(letter for letter in "aceijklnpqrsuvwxyz1234567890" if letter not in _REASON_KEYS)
    return [(of_reason.get(reason) or next(free, ""), reason) for reason in reasons]


@dataclass(frozen=True)
class Counts:
    """Progress of the queue."""

    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    undecided: int = 0

    @property
    def done(self) -> int:
        """Number of samples with any verdict."""
        return self.accepted + self.rejected + self.skipped


@dataclass(frozen=True)
class Shown:
    """A sample with the reviewer's mark and thought applied, its trajectory, and its judgements."""

    sample: Sample
    turns: list[Turn]
    tree: SearchTree
    hidden: bool = False  # blind: what the verifier and the replay said is not to be seen yet
    own_mark: bool = False  # whether the mark is a person's
    decided: Decided | None = None
    progress: Sequence[Judgement] = ()  # what the verifier `progress` says; nothing where there is no plan
    by_model: tuple[str, Sequence[Judgement]] | None = None  # a model that was asked here, and what it said so far
    people: Sequence[tuple[str, int]] = ()  # each reviewer's mark
    counts: Counts = Counts()
    faults: Sequence[str] = ()  # what it trains, for which a default export leaves it out
    like: tuple[int, bool] = (0, False)  # samples that teach the same, and whether they stand in the queue

    @property
    def veiled(self) -> bool:
        """Whether the splice would show a blind reviewer the position of the mark."""
        return self.hidden and not self.own_mark and self.sample.kind == "revision"


def people_marks(decisions: Decisions, sample: str) -> list[tuple[str, int]]:
    """Returns each reviewer's last mark, by name."""
    lines = (line for line in in_effect(decisions.lines_of(sample)) if line.repair is None)
    return sorted({line.reviewer: line.mark for line in lines if line.mark is not None}.items())
