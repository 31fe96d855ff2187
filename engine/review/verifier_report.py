"""How well one verifier marks, measured against another or against people.

Both judge the same pairs. A *mark* is the first wrong step, as a sample would get it. A pair without a judgement of the
reference (nobody marked it) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from engine.environment.replay import opener
from engine.pairs.pairs import Pair, pairs
from engine.samples.sample import sample_id
from engine.samples.settings import ReviseSettings
from engine.samples.splice import BeforeFork
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeTotals, Verifier, first_wrong_step
from engine.verifiers.parallel_judging import Begins, busy, fed, is_model
from engine.verifiers.registry import make_verifier

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool

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
    pool: JudgePool | None = None,
    counted: Callable[[VerifyReport], None] = lambda report: None,
) -> VerifyReport:
    """Returns the report over the pairs of these trees.

    `trees`: with the pairs to judge. `verifier`: settings of the verifier to measure; its settings of pairs count for
    both. `against`: settings of the reference, of which `verifier`, `judge` and `prompts` count. `marks`: returns a
    person's mark of a sample, by its id. `cache`: folder of judgements; None: keep none. `pool`: makes the calls of a
    judge; None: each tree has a pool of its own. `counted`: called with the report after each pair.

    Raises `InputError` where a verifier can't work, `WorkFailed` where a model can't be reached.
    """
    report = VerifyReport(verifier=verifier.verifier, against=against.verifier, before_fork=verifier.before_fork)
    work = _work(report, trees, verifier, against, marks, cache, pool)
    asked = next((each.judge for each in (verifier, against) if is_model(each.verifier)), None)
    if pool is not None and asked is not None:
        work = fed(work, busy(pool, asked))
    leaves: set[tuple[int, int]] = set()
    tree = None
    try:
        for pair in work:
            if pair.tree is not tree:
                if tree is not None:
                    tree.close(report)
                tree = pair.tree
            reference = list(tree.against.judge(pair.pair)) if pair.reference is None else pair.reference
            # nobody marked it: the other need not be asked, which may cost
            judged = list(tree.verifier.judge(pair.pair)) if reference else []
            if not judged:
                report.left_out += 1
            elif _count(report, tree.tree.nodes[pair.pair.fork].depth, judged, reference):
                leaves.add((tree.number, pair.pair.bad))
            counted(report)
    finally:
        if tree is not None:
            tree.close(report)
    report.bad_leaves = len(leaves)
    _shares(report)
    return report


class _Judged(NamedTuple):
    """A tree and who judges it."""

    number: int
    tree: SearchTree
    verifier: Verifier
    against: Verifier

    def close(self, report: VerifyReport) -> None:
        """Count what models came to."""
        for verifier in (self.verifier, self.against):
            totals = getattr(verifier, "totals", None)
            if isinstance(totals, JudgeTotals):
                report.judging = report.judging or JudgeTotals()
                report.judging.add(totals)
            close = getattr(verifier, "close", None)
            if close is not None:
                close()


class _Pair(NamedTuple):
    """A pair to be judged; `reference` is None where it is a model that is asked for it."""

    tree: _Judged
    pair: Pair
    reference: list[Judgement] | None


def _work(
    report: VerifyReport,
    trees: Iterable[SearchTree],
    settings: ReviseSettings,
    against: ReviseSettings,
    marks: Marks,
    cache: Path | None,
    pool: JudgePool | None,
) -> Iterator[_Pair]:
    """All pairs of all trees; models have begun with those that they will be asked about."""
    for number, tree in enumerate(trees):
        report.traces += 1
        judged = _judged(number, tree, settings, against, marks, cache, pool)
        thresholds = _thresholds(tree, settings)
        for pair in islice(pairs(tree, thresholds), settings.max_pairs):
            reference = None if isinstance(judged.against, Begins) else list(judged.against.judge(pair))
            if pool is not None and reference != []:
                for verifier in (judged.against, judged.verifier):
                    if isinstance(verifier, Begins):
                        verifier.begin([pair])
            yield _Pair(judged, pair, reference)


def _thresholds(tree: SearchTree, settings: ReviseSettings) -> Thresholds:
    assert tree.started is not None
    return Thresholds.for_range(tree.started.score_range, settings.alpha, settings.beta, settings.compat)


def _judged(
    number: int,
    tree: SearchTree,
    settings: ReviseSettings,
    against: ReviseSettings,
    marks: Marks,
    cache: Path | None,
    pool: JudgePool | None,
) -> _Judged:
    started = tree.started
    assert started is not None
    trace = started.trace
    human = lambda pair: marks(sample_id("revision", trace, pair.good, pair.bad))  # noqa: E731
    thresholds, environment = (
        _thresholds(tree, settings),
        opener(tree, settings.environment, [{"env": settings.environment}]),
    )
    judges = [
        make_verifier(
            each.verifier, tree, thresholds, environment, human,
            judge=each.judge, prompts=each.prompts, cache=cache, pool=pool,
        )
        for each in (settings, against)
    ]  # fmt: skip
    return _Judged(number, tree, *judges)


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
