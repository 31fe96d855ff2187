"""Which samples an export takes, and how many: as far as that is known without reading a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import get_args

from msgspec import Struct

from engine.base.text import many
from engine.datasets.formats import DATA_TYPES, FORMATS, DataType, data_type_of
from engine.datasets.formats.base import NO_CALLS, UNKNOWN_CALLS
from engine.datasets.formats.rules import NOT_REPLAYED, TOO_LONG
from engine.datasets.options import Exported, ExportOptions, Which
from engine.environment.replay import HOLDS, NOT_REFUTED, Verdict
from engine.review.curation import moves_mark
from engine.review.decisions import Decided
from engine.review.variety import tail_length
from engine.samples.sample import Sample
from engine.workspace.workspace import Selection

NO_WRONG_STEP = "no wrong step found"
SAME_LESSON = "same lesson, a better one is kept"
UNDECIDED = "not decided"
VERDICTS = frozenset([*get_args(Verdict), NO_WRONG_STEP, NOT_REPLAYED])
"""Reasons that a replay, or the verifier before it, gives."""
WHICH_WORDS: dict[Which, str] = {
    "accepted": "accepted ones",
    "all that hold": "all that pass the replay",
    "all": "all",
}
"""The rules by which samples are chosen, for people."""

VERDICT_ORDER = {"verified": 0, "reobserved": 1, "repaired": 2, "unreplayed": 3}


class Expected(Struct, kw_only=True):
    """What an export takes of some samples."""

    which: Which
    samples: int  # of the data type
    lines: int  # samples that are taken; a format may make several lines of one, and the rules leave some out
    moved: int = 0  # of these, whose mark a person moved: they are replayed first
    dropped: dict[str, int] = {}


def which_of(all: bool, samples: Sequence[Sample], current: Mapping[str, Decided]) -> Which:
    """Returns the rule by which samples are chosen.

    `all`: whether the user asked for all of them. `samples`: those of the data type. `current`: the decisions in force,
    by sample id; one verdict on any of the samples makes the rule `accepted`.
    """
    if all:
        return "all"
    decided = (current.get(sample.id) for sample in samples)
    return "accepted" if any(each is not None and each.verdict for each in decided) else "all that hold"


def left_out(
    sample: Sample, decided: Decided | None, which: Which, only_verified: bool, spliced: bool = True
) -> str | None:
    """Returns why a sample is left out, as far as that is known without its tree; None where it is taken. What the
    replay says comes first.

    `sample`: the sample. `decided`: the decisions in force on it, if there are any. `which`: the rule, as `which_of`
    returns it. `only_verified`: whether only the verdict `verified` is taken. `spliced`: as in `does_not_hold`.
    """
    if not moves_mark(sample, decided):  # what was changed is replayed first
        reason = does_not_hold(sample, which, only_verified, spliced)
        if reason is not None:
            return reason
    if which == "accepted":
        verdict = decided.verdict if decided else None
        if verdict != "accepted":
            return verdict or UNDECIDED
    return None


def does_not_hold(sample: Sample, which: Which, only_verified: bool, spliced: bool = True) -> str | None:
    """Returns why a sample is left out for what the verifier or the replay said; None where neither speaks against it.

    `sample`: the sample. `which`: the rule, as `which_of` returns it. `only_verified`: whether only the verdict
    `verified` is taken. `spliced`: whether the format joins two trajectories (`Format.spliced`); if so, an unreplayed
    sample needs a person's acceptance.
    """
    if which != "all":
        if sample.no_wrong_step:
            return NO_WRONG_STEP
        if sample.verdict not in (NOT_REFUTED if which == "accepted" or not spliced else HOLDS):
            return sample.verdict
    if only_verified and sample.verdict != "verified":
        return sample.verdict
    return None


def kept_of_lessons(samples: Sequence[Sample], current: Mapping[str, Decided], most: int) -> set[str]:
    """Returns the ids of the samples that are kept: of each lesson the best ones, and every sample that somebody
    decided about, that has no lesson, or whose mark was moved.

    Better is a verified sample, then one with fewer earlier mistakes in its context, then one with a shorter tail.

    `samples`: in any order. `current`: the decisions in force, by sample id. `most`: samples of one lesson, those with
    a decision counted.
    """
    kept: set[str] = set()
    of_lesson: dict[str, list[Sample]] = {}
    for sample in samples:
        decided = current.get(sample.id)
        if not sample.lesson or moves_mark(sample, decided):
            kept.add(sample.id)
        else:
            of_lesson.setdefault(sample.lesson, []).append(sample)
    for same in of_lesson.values():
        decided_on = [each.id for each in same if (known := current.get(each.id)) is not None and known.verdict]
        kept.update(decided_on)
        others = [each for each in same if each.id not in kept]
        others.sort(key=lambda each: (VERDICT_ORDER.get(each.verdict, 9), each.earlier, tail_length(each), each.id))
        kept.update(each.id for each in others[: max(0, most - len(decided_on))])
    return kept


def expected(
    samples: Sequence[Sample],
    current: Mapping[str, Decided],
    data_type: DataType = "centric",
    all: bool = False,
    only_verified: bool = False,
    per_lesson: int = 1,
    spliced: bool = True,
) -> Expected:
    """Returns what an export of these samples takes.

    `samples`: those of the runs. `current`: the decisions in force, by sample id. `data_type`, `all`, `only_verified`:
    as `export` takes them. `per_lesson`: most samples of one lesson; 0: no limit. `spliced`: as in `does_not_hold`.
    """
    mine = [sample for sample in samples if data_type_of(sample) == data_type]
    which = which_of(all, mine, current)
    dropped: Counter[str] = Counter()
    taken = []
    for sample in mine:
        reason = left_out(sample, current.get(sample.id), which, only_verified, spliced)
        if reason is None:
            taken.append(sample)
        else:
            dropped[reason] += 1
    if which != "all" and per_lesson:
        kept = kept_of_lessons(taken, current, per_lesson)
        dropped[SAME_LESSON] += len(taken) - len(kept)
        taken = [sample for sample in taken if sample.id in kept]
    moved = sum(moves_mark(sample, current.get(sample.id)) for sample in taken)
    counts = {reason: count for reason, count in sorted(dropped.items()) if count}
    return Expected(which=which, samples=len(mine), lines=len(taken), moved=moved, dropped=counts)


def expected_line(
    chosen: Selection,
    current: Mapping[str, Decided],
    data_type: DataType,
    all: bool,
    only_verified: bool,
    options: ExportOptions,
    spliced: bool = True,
) -> str:
    """Returns one line: how many samples are about to be written.

    `chosen`: the runs and their samples. `current`: the decisions in force, by sample id. `data_type`, `all`,
    `only_verified` and `options`: as `export` takes them. `spliced`: as in `does_not_hold`.
    """
    found = expected(chosen.samples, current, data_type, all, only_verified, options.per_lesson, spliced)
    traces = len({sample.trace for sample in chosen.samples})
    return (
        f"writing up to {found.lines} of {many(found.samples, 'sample')} ({WHICH_WORDS[found.which]}),"
        f" of {many(traces, 'trace')} in {many(len(chosen.runs), 'run')}"
    )


def nothing_line(done: Exported) -> str:
    """Why an export wrote nothing, and what to do."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(done.dropped.items()))
    why = f"left out: {reasons}" if reasons else f"there is no {done.data_type} sample"
    left = f" {done.left} of an earlier export is left as it was." if done.left else ""
    why = f"{WHICH_WORDS[done.which]}; {why}"
    remedy = f" {done.remedy}" if done.remedy else ""
    return f"no line to export ({why}): no file was written.{left}{remedy}"


def remedy_of(
    dropped: Mapping[str, int], stuck: Collection[str], data_type: DataType, others: int, only_verified: bool
) -> str:
    """Returns what would give lines where an export wrote none; empty where nothing would.

    `dropped`: number of samples by the reason why they were left out. `stuck`: reasons that `--all` does not lift.
    `data_type`: the one asked for. `others`: number of samples of the other data type. `only_verified`: as `export`
    takes it.
    """
    if NO_CALLS in dropped:
        return f"formats that hold calls: {', '.join(sorted(name for name, each in FORMATS.items() if each.calls))}"
    if UNKNOWN_CALLS in dropped:
        own = ", ".join(sorted(name for name, each in FORMATS.items() if each.calls == "own"))
        return f"the chat template chatml, the default, writes them out; the formats {own} need none"
    if TOO_LONG in dropped:
        return "raise --max-length"
    judged = VERDICTS & dropped.keys() if only_verified else set()
    if dropped.keys() - set(stuck) - judged:
        return "--all takes whatever there is"
    if judged:
        held = HOLDS & judged
        return "leave --only-verified out" if held else "--all without --only-verified takes whatever there is"
    if not dropped:
        other = next(each for each in DATA_TYPES if each != data_type)
        return f"there are {other} ones: --data-type {other}" if others else "agentr revise makes samples"
    return ""
