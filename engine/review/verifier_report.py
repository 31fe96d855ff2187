"""How well one verifier marks, measured against another or against people.

Both judge the same pairs. A *mark* is the first wrong step, as a sample would get it. A pair about which the one
measured against says nothing (nobody marked it) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from msgspec import Struct

from engine.environment.replay import opener
from engine.pairs.pairs import pairs
from engine.samples.revise import ReviseSettings, sample_id
from engine.samples.splice import BeforeFork
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeTotals, Verifier, first_wrong_step
from engine.verifiers.registry import make_verifier

NOT_JUDGED = "not judged"
"""In the confusion: the step comes after one's first Bad, where it says nothing any more."""

Marks = Callable[[str], int | None]


class VerifyReport(Struct, kw_only=True):
    """Marks and judgements of `verifier` measured against those of `against`. A share without a base is None."""

    verifier: str
    against: str
    before_fork: BeforeFork
    traces: int = 0
    pairs: int = 0  # that both judged
    bad_leaves: int = 0  # in how many trajectories: a bad leaf has a pair with every good one
    left_out: int = 0  # about which one of the two says nothing
    marked: int = 0  # by `verifier`
    marked_against: int = 0  # by `against`
    same: int = 0  # both marked, at the same step
    within_one: int = 0  # both marked, at most one step apart
    early: int = 0  # both marked, `verifier` before `against`
    late: int = 0
    neither: int = 0  # both found no wrong step
    apart: int = 0  # sum of the distances, in steps, where both marked
    refused: int = 0  # pairs left out because a mark is not after the fork (`before_fork` refuse)
    confusion: dict[str, dict[str, int]] = {}  # word of `against` → word of `verifier` → steps of all pairs
    judging: JudgeTotals | None = None  # what models came to
    precision: float | None = None  # share of the marks of `verifier` that are where `against` has its own
    recall: float | None = None  # share of the marks of `against` that `verifier` found
    exact: float | None = None  # share of pairs in which both say the same: the same mark, or none
    distance: float | None = None  # mean distance of the marks, in steps, where both marked


def measure(
    trees: Iterable[SearchTree],
    verifier: ReviseSettings,
    against: ReviseSettings,
    marks: Marks = lambda sample: None,
    cache: Path | None = None,
) -> VerifyReport:
    """The report over the pairs of these trees.

    Of the settings `verifier`, `judge` and `prompts` are each one's own; what else shapes the pairs is taken from
    those of `verifier`. `marks` gives a person's marks by sample id, `cache` is the folder of judgements. Raises
    `InputError` where a verifier can't work, `WorkFailed` where a model can't be reached.
    """
    report = VerifyReport(verifier=verifier.verifier, against=against.verifier, before_fork=verifier.before_fork)
    for tree in trees:
        report.traces += 1
        _measure_tree(report, tree, verifier, against, marks, cache)
    _shares(report)
    return report


def _measure_tree(
    report: VerifyReport,
    tree: SearchTree,
    settings: ReviseSettings,
    against: ReviseSettings,
    marks: Marks,
    cache: Path | None,
) -> None:
    started = tree.started
    assert started is not None
    thresholds = Thresholds.for_range(started.score_range, settings.alpha, settings.beta, settings.compat)
    environment = opener(tree, settings.environment, [{"env": settings.environment}])
    human = lambda pair: marks(sample_id("revision", started.trace, pair.good, pair.bad))  # noqa: E731
    judges: list[Verifier] = []
    try:
        for each in (settings, against):
            judges.append(
                make_verifier(
                    each.verifier,
                    tree,
                    thresholds,
                    environment,
                    human,
                    judge=each.judge,
                    prompts=each.prompts,
                    cache=cache,
                )
            )
        leaves: set[int] = set()
        for pair in islice(pairs(tree, thresholds), settings.max_pairs):
            reference = list(judges[1].judge(pair))
            if not reference:  # nobody marked it: the other need not be asked, which may cost
                report.left_out += 1
                continue
            judged = list(judges[0].judge(pair))
            if not judged:
                report.left_out += 1
                continue
            if _count(report, tree.nodes[pair.fork].depth, judged, reference):
                leaves.add(pair.bad)
        report.bad_leaves += len(leaves)
    finally:
        for verifier in judges:
            totals = getattr(verifier, "totals", None)
            if isinstance(totals, JudgeTotals):
                report.judging = report.judging or JudgeTotals()
                report.judging.add(totals)
            close = getattr(verifier, "close", None)
            if close is not None:
                close()


def _count(report: VerifyReport, fork: int, judged: list[Judgement], reference: list[Judgement]) -> bool:
    """Count one pair; False where it is left out."""
    mine, theirs = first_wrong_step(judged), first_wrong_step(reference)
    shared = [mark for mark in (mine, theirs) if mark is not None and mark <= fork]
    if shared and report.before_fork == "refuse":
        report.refused += 1
        return False
    if report.before_fork == "move":
        mine = None if mine is None else max(mine, fork + 1)
        theirs = None if theirs is None else max(theirs, fork + 1)
    report.pairs += 1
    report.marked += mine is not None
    report.marked_against += theirs is not None
    report.neither += mine is None and theirs is None
    if mine is not None and theirs is not None:
        report.same += mine == theirs
        report.within_one += abs(mine - theirs) <= 1
        report.early += mine < theirs
        report.late += mine > theirs
        report.apart += abs(mine - theirs)
    words = {judgement.step: judgement.word for judgement in judged}
    known = {judgement.step: judgement.word for judgement in reference}
    for step in words.keys() | known.keys():
        row = report.confusion.setdefault(known.get(step, NOT_JUDGED), {})
        word = words.get(step, NOT_JUDGED)
        row[word] = row.get(word, 0) + 1
    return True


def _shares(report: VerifyReport) -> None:
    both = report.same + report.early + report.late
    report.precision = report.same / report.marked if report.marked else None
    report.recall = report.same / report.marked_against if report.marked_against else None
    report.exact = (report.same + report.neither) / report.pairs if report.pairs else None
    report.distance = report.apart / both if both else None
