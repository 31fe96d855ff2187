"""How far a review can be trusted: the defect rate that it shows, whether reviewers agree, whether they notice faults
that were planted.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from hashlib import blake2b
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.base.append_log import AppendLog, LogKind
from engine.base.errors import InputError
from engine.review.decisions import Decided, Decision, in_effect
from engine.samples.sample import Sample, splice_of
from engine.samples.tails.tail import Tail, tail_step
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

CONFIDENCE = 0.95


# -- acceptance sampling -------------------------------------------------------------------------------


class DefectRate(Struct, kw_only=True):
    """What the reviewed share shows about all samples. None: nothing was reviewed."""

    samples: int  # that the rate is about
    reviewed: int  # accepted or rejected
    defects: int  # rejected
    rate: float | None
    low: float | None  # of the confidence interval
    high: float | None
    confidence: float = CONFIDENCE

    @property
    def line(self) -> str:
        """In a few words."""
        if self.rate is None:
            return f"unknown: none of {self.samples} samples was reviewed"
        return (
            f"{self.rate:.1%} ({self.defects} of {self.reviewed} reviewed; {self.low:.1%} to {self.high:.1%} of"
            f" {self.samples} with {self.confidence:.0%} confidence)"
        )


def wilson(defects: int, reviewed: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the score interval of a share (Wilson 1927). Raises `ValueError` for counts that are no share.

    `defects`: of the reviewed. `reviewed`: how many; above 0. `confidence`: 0 to 1.
    """
    if not 0 <= defects <= reviewed or reviewed < 1:
        raise ValueError(f"{defects} of {reviewed}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = defects / reviewed
    middle = share + z * z / (2 * reviewed)
    spread = z * sqrt(share * (1 - share) / reviewed + z * z / (4 * reviewed * reviewed))
    scale = 1 + z * z / reviewed
    low = 0.0 if defects == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if defects == reviewed else min(1.0, (middle + spread) / scale)
    return low, high


def defect_rate(samples: Iterable[Sample], current: Mapping[str, Decided]) -> DefectRate:
    """The share of defects with its interval, from the samples that were accepted or rejected.

    It speaks for all samples only where those that were reviewed were drawn at random (the order `stratified`). Where
    everything was reviewed, it is known and the interval is a point.
    """
    verdicts = [decided.verdict if (decided := current.get(sample.id)) else None for sample in samples]
    defects, accepted = verdicts.count("rejected"), verdicts.count("accepted")
    reviewed = defects + accepted
    found = DefectRate(samples=len(verdicts), reviewed=reviewed, defects=defects, rate=None, low=None, high=None)
    if reviewed:
        found.rate = defects / reviewed
        complete = reviewed == len(verdicts)
        found.low, found.high = (found.rate, found.rate) if complete else wilson(defects, reviewed)
    return found


# -- agreement -----------------------------------------------------------------------------------------


class Agreement(Struct, kw_only=True):
    """How far reviewers agree on accepting and rejecting."""

    alpha: float | None  # Krippendorff's, nominal: 1 agree, 0 as chance would; None where it is not defined
    reviewers: list[str]
    both: int  # samples on which two or more decided
    same: int  # of these, on which all said the same


def agreement(samples: Iterable[Sample], current: Mapping[str, Decided]) -> Agreement:
    """Krippendorff's alpha over the latest verdict of each reviewer; skips say nothing.

    It is not defined where no sample has two verdicts, or where all verdicts are the same.
    """
    rows: list[dict[str, str]] = []
    for sample in samples:
        decided = current.get(sample.id)
        said = {who: what for who, what in decided.by_reviewer.items() if what != "skipped"} if decided else {}
        if said:
            rows.append(dict(said))
    reviewers = sorted({who for row in rows for who in row})
    shared = [row for row in rows if len(row) > 1]
    found = Agreement(
        alpha=None, reviewers=reviewers, both=len(shared), same=sum(len(set(row.values())) == 1 for row in shared)
    )
    if len({what for row in shared for what in row.values()}) > 1:
        found.alpha = round(nominal_alpha(row.values() for row in shared), 9)
    return found


def nominal_alpha(units: Iterable[Iterable[Hashable]]) -> float:
    """Krippendorff's alpha of nominal data: 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability").

    `units`: the values that each unit was given, by whomever and in any order; units with fewer than two say nothing.
    Raises `ValueError` where alpha is not defined: fewer than two different values can be paired.
    """
    observed = 0.0  # disagreeing pairs of values within a unit, each unit weighted by 1 / (m - 1)
    totals: Counter[Hashable] = Counter()  # value → how often it can be paired
    for unit in units:
        counts = Counter(unit)
        given = counts.total()
        if given < 2:
            continue
        totals += counts
        observed += (given * given - sum(count * count for count in counts.values())) / (given - 1)
    paired = totals.total()
    expected = paired * paired - sum(count * count for count in totals.values())  # times (n - 1)
    if not expected:
        raise ValueError("alpha is not defined: all values are the same")
    return 1 - (paired - 1) * observed / expected


# -- planted faults ------------------------------------------------------------------------------------

FaultKind = Literal["mark", "thought", "tail"]

WRONG_THOUGHTS = (
    "Everything is going as planned, so I simply carry on.",
    "That was the best step I could take; there is nothing to correct.",
    "The task is already done, I only need to confirm it.",
)


class Planted(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A sample with a fault that was put into it on purpose. Its id is in no run, so no export ever meets it."""

    id: str
    of: str  # the sound sample
    run: str
    fault: FaultKind
    sample: Sample  # as it is shown


def plant(tree: SearchTree, samples: Sequence[Sample], run: str, share: float, seed: int = 0) -> list[Planted]:
    """Returns faulty copies of a seeded share of the samples of one tree, for reviewers to find.

    The replay verdict stays that of the sound sample, so that a reviewer who reads only the verdict misses the fault. A
    mark is moved to a step that no verifier flagged, a thought is replaced by one that sees nothing wrong, or the first
    step of a tail is left out. Samples that no fault fits are left out. Raises `InputError` for a share outside 0 to 1.

    `tree`: that of the samples. `samples`: of the run. `run`: its id. `share`: 0 to 1. `seed`: of the choice.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share of planted faults lies between 0 and 1, not at {share:g}")
    found = []
    for sample in samples:
        rng = random.Random(f"{seed}/{sample.id}")
        if sample.bad is None or sample.compat or rng.random() >= share:
            continue
        kinds: list[FaultKind] = ["mark", "thought", "tail"]
        rng.shuffle(kinds)
        for kind in kinds:
            faulty = _FAULTS[kind](tree, sample, rng)
            if faulty is not None:
                id = blake2b(f"planted\n{run}\n{seed}\n{sample.id}".encode(), digest_size=6).hexdigest()
                shown = replace(faulty, id=id)
                found.append(Planted(id=id, of=sample.id, run=run, fault=kind, sample=shown))
                break
    return found


def _wrong_mark(tree: SearchTree, sample: Sample, rng: random.Random) -> Sample | None:
    flagged = {judgement.step for judgement in sample.judgements if judgement.word != "Good"} | {sample.mark}
    places = [step for step in range(sample.fork_depth + 1, sample.bad_depth + 1) if step not in flagged]
    if sample.mark is None or not places or _reobserved(sample):
        return None
    mark = rng.choice(places)
    reason = next((each.reason for each in sample.judgements if each.word == "Bad"), "")
    judged = [each for each in sample.judgements if each.step < mark and each.word != "Bad"]
    judged.append(Judgement(mark, "Bad", reason))  # a mark without a judgement would give it away
    return replace(sample, mark=mark, found=mark, judgements=judged, tail=None)


def _wrong_thought(tree: SearchTree, sample: Sample, rng: random.Random) -> Sample | None:
    return replace(sample, thought=rng.choice(WRONG_THOUGHTS))


def _reobserved(sample: Sample) -> bool:
    """Whether true observations stand at places that another splice would not have."""
    return sample.replay is not None and bool(sample.replay.observations)


def _wrong_tail(tree: SearchTree, sample: Sample, rng: random.Random) -> Sample | None:
    if _reobserved(sample):
        return None
    if sample.tail is not None:
        steps = list(sample.tail.steps)
    else:
        nodes = [tree.nodes[id] for id in splice_of(tree, sample).good]
        steps = [tail_step(node, own=False) for node in nodes]
    if len(steps) < 2:
        return None
    tail = Tail(mark=sample.mark, steps=steps[1:], score=sample.expected_return, trace="", path="", leaf=0)
    return replace(sample, tail=tail)


_FAULTS: dict[FaultKind, Callable[[SearchTree, Sample, random.Random], Sample | None]] = {
    "mark": _wrong_mark,
    "thought": _wrong_thought,
    "tail": _wrong_tail,
}


_KIND = LogKind(msgspec.json.Decoder(Planted).decode, "planted fault", "planted faults", strict=False)


def keep_planted(folder: Path, planted: Iterable[Planted]) -> None:
    """Remember what was planted, a line each, for the hit rate. Raises `InputError`, `WorkFailed`."""
    planted = list(planted)
    known = {each.id for each in read_planted(folder)} if planted else set()
    fresh = {each.id: each for each in planted if each.id not in known}
    if fresh:
        AppendLog(folder, _KIND, (next(iter(fresh.values())).run,)).append(fresh.values())


def read_planted(folder: Path, warnings: list[str] | None = None) -> list[Planted]:
    """All that was planted; `warnings` gets a line about each file of which something can't be read.

    Raises `InputError` where the folder or a file can't be opened.
    """
    log = AppendLog(folder, _KIND)
    found = log.refresh()
    if found.error is not None:
        raise found.error
    if warnings is not None:
        warnings += log.warnings
    return list({line.row.id: line.row for line in found.lines}.values())


class HitRate(Struct, kw_only=True):
    """How many planted faults a reviewer found."""

    reviewer: str
    shown: int  # that were accepted or rejected
    found: int  # rejected
    by_fault: dict[str, tuple[int, int]]  # kind → found, shown


def hit_rates(planted: Iterable[Planted], lines_of: Callable[[str], Iterable[Decision]]) -> list[HitRate]:
    """Returns the hit rate of every reviewer who saw a planted fault. `lines_of`: returns the decisions about an id."""
    rates: dict[str, HitRate] = {}
    for each in planted:
        said: dict[str, str] = {}
        for line in in_effect(lines_of(each.id)):
            if line.verdict in ("accepted", "rejected"):
                said[line.reviewer] = line.verdict
        for who, verdict in said.items():
            rate = rates.setdefault(who, HitRate(reviewer=who, shown=0, found=0, by_fault={}))
            hit = verdict == "rejected"
            found, shown = rate.by_fault.get(each.fault, (0, 0))
            rate.by_fault[each.fault] = (found + hit, shown + 1)
            rate.shown += 1
            rate.found += hit
    return sorted(rates.values(), key=lambda rate: rate.reviewer)
