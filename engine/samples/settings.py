"""Settings of `revise`, what follows from them for a tree (thresholds, rank, limits), and the figures of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.pairs.limits import PairLimits
from engine.pairs.ranking import Rank
from engine.samples.splice import BeforeFork
from engine.samples.thoughts.writers import REASON
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import JudgeSettings, JudgeTotals

Kind = Literal["revision", "recovery", "direct", "good"]
NoWrongStep = Literal["skip", "whole"]
"""What becomes of a pair in which the verifier found nothing wrong: `skip` keeps the sample, but no export takes it
until a person sets a mark; `whole` takes the whole bad trajectory."""


Tails = Literal["straight", "as-found", "repaired"]
"""How the steps after the thought are made: `straight` keeps only what is needed, `as-found` all of the good leaf's
steps after the fork, `repaired` searches always."""

Context = Literal["straight", "as-found"]
"""Whether other mistakes that changed nothing are taken out of the steps before the wrong one."""


RevisionTurn = Literal["own", "merged"]
"""Where the revision thought stands: in a turn of its `own`, answered by `ok.`, or `merged` into the turn that takes
the next step."""


class RepairSettings(Struct, kw_only=True, frozen=True):
    """How the search for a new tail is made. What is None is as in the tree's own search."""

    iterations: Annotated[int, Meta(ge=1)] = 8
    calls: Annotated[int, Meta(ge=1)] = 200  # of the actor, for one sample
    good: Annotated[int, Meta(ge=1)] = 1  # the search ends at so many good leaves; the best of them is taken
    actor: str | None = None
    model: str | None = None
    base_url: str | None = None
    seed: int | None = None
    paid: bool = False  # also where a model has to be asked; else only where the actor costs nothing


class ReviseSettings(Struct, kw_only=True):
    """How pairs become samples."""

    alpha: float | None = None  # None: the default, scaled to the environment's score range
    beta: float | None = None
    verifier: str = "progress"
    verify: bool = True  # False: direct revision, the whole bad trajectory comes first
    compat: bool = False  # line for line as the original
    before_fork: BeforeFork = "recover"  # what to do with a wrong step that the good trajectory shares
    environment: str | None = None  # to replay in; None: the tree's own
    max_pairs: Annotated[int, Meta(ge=1)] | None = None  # a tree
    seed: int = 0
    judge: JudgeSettings = JudgeSettings()  # of the verifier `openai`
    prompts: str = ""  # folder whose files take the place of the shipped prompts and thoughts
    no_wrong_step: NoWrongStep = "skip"
    thought: str = REASON  # names the mistake; `list`: drawn; `model`: from the judgements; or a number of the list
    rank: Rank = "lesson"  # the order in which pairs are taken
    tail: Tails = "straight"
    context: Context = "straight"
    per_lesson: Annotated[int, Meta(ge=0)] = 1  # samples of one lesson in a run; 0 for all
    unfinished: bool = False  # also wrong steps whose end nobody saw
    per_tree: Annotated[int, Meta(ge=1)] | None = None  # samples
    per_fork: Annotated[int, Meta(ge=1)] | None = None  # samples
    diverse: bool = False  # every wrong step once a tree
    duplicates: Annotated[float, Meta(ge=0, le=1)] | None = None  # Jaccard similarity; None or 0: keep them all
    revision_turn: RevisionTurn | None = None  # None: merged where the agent calls tools, own for text
    repair: RepairSettings | None = RepairSettings()  # None: what has no clean tail stays without
    seam: str = ""  # the model that judges seams of unreplayed splices (`openai`, `openai:MODEL`); "": nobody does


class Repairs(Struct):
    """The figures of repairs."""

    tried: int = 0
    repaired: int = 0
    calls: int = 0  # of the actor
    failed: dict[str, int] = {}  # why not → samples

    def add(self, other: Repairs) -> None:
        """Add the figures of others."""
        self.tried += other.tried
        self.repaired += other.repaired
        self.calls += other.calls
        for reason, count in other.failed.items():
            self.failed[reason] = self.failed.get(reason, 0) + count


class Revised(Struct):
    """The figures of the pairs of one tree."""

    pairs: int = 0  # that there are
    samples: int = 0
    before_fork: int = 0
    no_wrong_step: int = 0
    refused: int = 0  # pairs left out because their mark is not after the fork
    good: int = 0  # good trajectories
    by_verdict: dict[str, int] = {}
    judging: JudgeTotals | None = None  # what a model that judged or wrote thoughts came to
    dropped: dict[str, int] = {}  # why → pairs that gave no sample
    repairs: Repairs | None = None
    lessons: int = 0  # different ones among the samples
    tails: dict[
        str, int
    ] = {}  # straight, joined, repaired, as_found → samples; left_out → lessons without a clean tail
    steps: int = 0  # in environments: to look ahead and to replay
    seams: dict[str, int] = {}  # what a model said of seams that nobody replayed → samples

    def drop(self, reason: str, count: int = 1) -> None:
        """Count pairs that give no sample."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


def thresholds_of(tree: SearchTree, settings: ReviseSettings) -> Thresholds:
    """Which leaves of a tree are good and which are bad, by these settings and the tree's score range."""
    assert tree.started is not None
    return Thresholds.for_range(tree.started.score_range, settings.alpha, settings.beta, settings.compat)


def rank_of(settings: ReviseSettings) -> Rank:
    """The order in which pairs are taken."""
    return "return" if settings.compat else settings.rank


def limits_of(tree: SearchTree, settings: ReviseSettings, count: int, drop: Callable[[str, int], None]) -> PairLimits:
    """Returns which of a tree's pairs are tried.

    `tree`: the search. `settings`: of the run. `count`: number of its pairs. `drop`: called with a reason and a count
    for pairs that are dropped.
    """
    return PairLimits(
        tree,
        count,
        drop,
        max_pairs=settings.max_pairs,
        per_tree=settings.per_tree,
        per_fork=settings.per_fork,
        diverse=settings.diverse and not settings.compat,
    )
