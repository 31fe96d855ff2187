"""Curation: samples of a run together with what people decided about them; the order in which they are looked at."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import read_toml
from engine.environment.replay import Replayer
from engine.review.decisions import Decided
from engine.review.variety import varied
from engine.samples.finishing import with_mark
from engine.samples.sample import Sample, with_tail, with_uncut
from engine.samples.thoughts.reasons import reasoned
from engine.samples.thoughts.writers import DRAWN, REASON, thought_for
from engine.tree.tree import SearchTree


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


def reviewable(samples: Iterable[Sample]) -> list[Sample]:
    """The samples that teach a correction, recoveries too; good trajectories are no matter of a review."""
    return [sample for sample in samples if sample.kind != "good"]


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
    """Returns the marks that people set, by sample id, as `engine.samples.revise.revise` needs them (verifier
    `human`)."""

    def mark(sample: str) -> int | None:
        decided = current.get(sample)
        return decided.mark if decided else None

    return mark


def moves_mark(sample: Sample, decided: Decided | None) -> bool:
    """Whether a person moved the mark, had the sample repaired, or took a cut back: the run's replay verdict no longer
    counts then, and the sample must be replayed again."""
    if decided is None:
        return False
    if any(each.node in decided.uncut for each in sample.cut):
        return True
    if sample.bad is not None and decided.mark is not None and decided.mark != sample.mark:
        return True
    repair = decided.repair
    return sample.kind != "good" and repair is not None and repair.mark == sample.mark and repair != sample.tail


def effective(sample: Sample, decided: Decided | None, tree: SearchTree, replayer: Replayer) -> Sample:
    """Returns the sample as people left it: with their mark, thought and repair, and the cut steps that they took back;
    with a new replay verdict where other steps are executed now.

    A repair holds with the mark that it was made for. A recovery's mark does not move. Raises `InputError` where the
    mark is not on the bad trajectory.

    `sample`: as the run has it. `decided`: the decisions in force; None: there are none. `tree` and `replayer`: the
    sample's, to replay a mark that was moved.
    """
    if decided is None:
        return sample
    if moves_mark(sample, decided):
        moved = decided.mark if decided.mark is not None and sample.bad is not None else sample.mark
        if decided.repair is not None and decided.repair.mark == moved:
            sample = with_tail(tree, replace(sample, mark=moved), decided.repair, replayer)
        elif moved != sample.mark:
            sample = with_mark(tree, sample, moved, replayer)
        sample = with_uncut(tree, sample, decided.uncut, replayer)
        if sample.thought_by == REASON:  # what it says must be true of the step that is marked now
            drawn = replace(sample, thought=thought_for(sample.id, DRAWN, 0), thought_by="")
            sample = reasoned(tree, drawn, replayer)
    if decided.thought is not None and sample.kind != "good":
        sample = replace(sample, thought=decided.thought)
    return sample


# -- the order in which samples are looked at ----------------------------------------------------------

Order = Literal["run", "varied", "unreviewed", "stratified", "disagreement", "unsure"]
"""`run`: as `revise` made them. `varied`: another mistake each time, the most telling ones first
(`engine.review.variety`). `unreviewed`: those without a verdict first. `stratified`: at random, in turn one of each
replay verdict. `disagreement`: those first on which reviewers differ. `unsure`: those first of whose steps the verifier
called the greatest share Uncertain."""

ORDERS: tuple[Order, ...] = ("run", "varied", "unreviewed", "stratified", "disagreement", "unsure")


def ordered(
    samples: Sequence[Sample], current: Mapping[str, Decided], order: Order = "run", seed: int = 0
) -> list[Sample]:
    """Returns the samples in the order in which they are looked at. Raises `InputError` for an unknown order.

    `samples`: in the order of the run. `current`: the decisions in force, by sample id. `order`: one of `ORDERS`.
    `seed`: of the order `stratified`.
    """
    if order not in ORDERS:
        raise InputError(f"unknown order {order!r}: one of {', '.join(ORDERS)}")
    if order == "varied":
        return varied(samples)
    if order == "unreviewed":
        return sorted(samples, key=lambda sample: decision_of(sample.id, current) != UNDECIDED)
    if order == "disagreement":
        return sorted(samples, key=lambda sample: -_dissent(current.get(sample.id)))
    if order == "unsure":
        return sorted(samples, key=lambda sample: -uncertain_share(sample))
    if order == "stratified":
        return _in_turn(samples, seed)
    return list(samples)


UNDECIDED = "undecided"


def decision_of(sample: str, current: Mapping[str, Decided]) -> str:
    """The verdict that holds about a sample, or `undecided`."""
    return decision_in(current.get(sample))


def decision_in(decided: Decided | None) -> str:
    """The verdict of what was decided on a sample, or `undecided`."""
    return (decided.verdict if decided else None) or UNDECIDED


def uncertain_share(sample: Sample) -> float:
    """Which share of the judged steps the verifier called Uncertain; 1 where it judged and found no wrong step."""
    judged = sample.judgements
    if not judged:
        return 0.0
    if sample.found is None:
        return 1.0
    return sum(judgement.word == "Uncertain" for judgement in judged) / len(judged)


def _dissent(decided: Decided | None) -> float:
    """0 where all agree; towards 1 the more evenly reviewers are divided."""
    if decided is None:
        return 0.0
    said = [verdict for verdict in decided.by_reviewer.values() if verdict != "skipped"]
    if not said:
        return 0.0
    return 1 - max(said.count("accepted"), said.count("rejected")) / len(said)


def _in_turn(samples: Sequence[Sample], seed: int) -> list[Sample]:
    strata: dict[str, list[Sample]] = {}
    for sample in samples:
        strata.setdefault(sample.verdict, []).append(sample)
    for name, stratum in strata.items():
        random.Random(f"{seed}/{name}").shuffle(stratum)
    rows = [strata[name] for name in sorted(strata)]
    longest = max(map(len, rows), default=0)
    return [row[at] for at in range(longest) for row in rows if at < len(row)]


# -- settings of a review ------------------------------------------------------------------------------

REJECT_REASONS = (
    "the mark is wrong",
    "the thought does not fit",
    "the good part is poor",
    "a duplicate",
    "the task or environment is broken",
)


class ReviewSettings(Struct, kw_only=True, frozen=True):
    """How people review: the table `[review]` of `agentr.toml`."""

    reasons: list[str] = []  # to reject, besides `REJECT_REASONS`
    blind: bool = False  # the verifier's mark and verdict stay hidden until a person decided
    order: Order = "varied"
    fold: bool = True  # samples that teach the same are one place of the queue

    @property
    def all_reasons(self) -> list[str]:
        """Every reason to reject, each once, in one line."""
        return list(dict.fromkeys([*REJECT_REASONS, *(" ".join(reason.split()) for reason in self.reasons)]))


def review_settings(file: Path) -> ReviewSettings:
    """The review's settings of a workspace; a missing file sets nothing. Raises `InputError`."""
    try:
        return msgspec.convert(read_toml(file).get("review", {}), ReviewSettings)
    except NoFile:
        return ReviewSettings()
    except msgspec.ValidationError as error:
        raise InputError(f"{file}: [review] {error}") from error
