"""Samples: what `revise` makes of the pairs of a tree, and the trajectory that a sample stands for.

A sample's id is a digest of its kind, trace and leaves: building it again loses no decision about it. Mark,
thought, judgements and replay verdict are properties of one run of `revise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.environment.replay import Replay, Replayer, Step, opener
from engine.pairs import ranking as choice
from engine.pairs.pairs import Pair, count_pairs
from engine.pairs.ranking import Rank, Taking, ranked
from engine.samples.duplicates import Duplicates
from engine.samples.splice import (
    BeforeFork,
    Splice,
    Tail,
    Turn,
    revision_turns,
    splice,
    steps_of,
    trajectory_turns,
)
from engine.samples.thoughts import SEEDED, ThoughtWriter, check_thought, make_writer, thought_for
from engine.tree.events import Number
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings, JudgeTotals, Verifier, first_wrong_step
from engine.verifiers.judging import Begins, first_pairs, looking_ahead
from engine.verifiers.registry import make_verifier

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool

Kind = Literal["revision", "direct", "good"]
NoWrongStep = Literal["skip", "whole"]
"""What becomes of a pair in which the verifier found nothing wrong: `skip` keeps the sample, but no export takes it
until a person sets a mark; `whole` takes the whole bad trajectory."""


class RepairSettings(Struct, kw_only=True, frozen=True):
    """How the search for a new tail is made. What is None is as in the tree's own search."""

    iterations: Annotated[int, Meta(ge=1)] = 8
    calls: Annotated[int, Meta(ge=1)] = 200  # of the actor, for one sample
    good: Annotated[int, Meta(ge=1)] = 3  # the search ends at so many good leaves; the best of them is taken
    actor: str | None = None
    model: str | None = None
    base_url: str | None = None
    seed: int | None = None


class ReviseSettings(Struct, kw_only=True):
    """How pairs become samples."""

    alpha: float | None = None  # None: the default, scaled to the environment's score range
    beta: float | None = None
    verifier: str = "progress"
    verify: bool = True  # False: direct revision, the whole bad trajectory comes first
    compat: bool = False  # line for line as the original
    before_fork: BeforeFork = "move"  # what to do with a mark that is not after the fork
    environment: str | None = None  # to replay in; None: the tree's own
    max_pairs: Annotated[int, Meta(ge=1)] | None = None  # a tree
    seed: int = 0
    judge: JudgeSettings = JudgeSettings()  # of the verifier `openai`
    prompts: str = ""  # folder whose files take the place of the shipped prompts and thoughts
    no_wrong_step: NoWrongStep = "skip"
    thought: str = SEEDED  # `seeded` by the sample, `model` (from the judgements), or a number of the list from 1 on
    rank: Rank = "return"  # the order in which pairs are taken
    per_tree: Annotated[int, Meta(ge=1)] | None = None  # samples
    per_fork: Annotated[int, Meta(ge=1)] | None = None  # samples
    diverse: bool = False  # every wrong step once a tree
    duplicates: Annotated[float, Meta(ge=0, le=1)] | None = None  # Jaccard similarity; None or 0: keep them all
    repair: RepairSettings | None = None  # None: diverged samples stay so


class Sample(Struct, omit_defaults=True, kw_only=True):
    """One line of a dataset to be, as references into a trace."""

    id: str
    kind: Kind
    trace: str  # trace id
    path: str  # where the trace was read from
    environment: str
    task: str
    good: int  # leaf
    return_good: Number
    bad: int | None = None  # leaf
    return_bad: Number = 0
    instruction: str = ""
    fork: int = 0  # node
    fork_depth: int = 0
    bad_depth: int = 0
    good_depth: int = 0
    mark: int | None = None  # first wrong step, counted from 1; None: the whole bad trajectory comes first
    found: int | None = None  # the mark as the verifier set it
    verifier: str = ""
    judgements: list[Judgement] = []
    thought: str = ""
    replay: Replay | None = None
    compat: bool = False
    whole: bool = False  # with no mark, the whole bad trajectory is meant
    thought_by: str = ""  # who wrote the thought, where it is not from the list
    tail: Tail | None = None  # of another search, in place of the good leaf's steps

    @property
    def expected_return(self) -> Number:
        """The return that the trajectory is to reach."""
        return self.return_good if self.tail is None else self.tail.score

    @property
    def before_fork(self) -> bool:
        """Whether the verifier flagged a step that the good trajectory shares."""
        return self.found is not None and self.found <= self.fork_depth

    @property
    def no_wrong_step(self) -> bool:
        """Whether a verifier looked and found nothing wrong, nobody set a mark since, and nobody asked for all."""
        return self.kind == "revision" and self.mark is None and not self.whole

    @property
    def verdict(self) -> str:
        """The replay verdict, or `not replayed`."""
        return self.replay.verdict if self.replay else "not replayed"


def sample_id(kind: Kind, trace: str, good: int, bad: int | None) -> str:
    """Digest of what makes a sample the one it is."""
    return blake2b(f"{kind}\n{trace}\n{good}\n{bad}".encode(), digest_size=6).hexdigest()


def splice_of(tree: SearchTree, sample: Sample) -> Splice:
    """The steps that a sample is made of, as far as they are in its tree: a tail of another search is not."""
    if sample.bad is None:
        return Splice([], tree.ancestors(sample.good)[1:])
    parts = splice(tree, sample.good, sample.bad, sample.fork, sample.mark, sample.compat)
    return parts if sample.tail is None else Splice(parts.bad, [])


def steps_to_replay(tree: SearchTree, sample: Sample) -> list[Step]:
    """All steps of a sample in the order in which they are executed."""
    tail = sample.tail.steps if sample.tail is not None else []
    return steps_of(tree, splice_of(tree, sample).steps) + [Step(step.action, step.observation) for step in tail]


def turns_of(tree: SearchTree, sample: Sample) -> list[Turn]:
    """The trajectory of a sample with its mask. True observations stand where only they differ, never in `compat`."""
    if sample.bad is None:
        return trajectory_turns(tree, sample.good)
    parts = splice_of(tree, sample)
    tail = sample.tail.steps if sample.tail is not None else []
    replay = sample.replay
    if replay is None or replay.verdict not in ("reobserved", "repaired") or sample.compat:
        return revision_turns(tree, parts, sample.thought, tail=tail)
    if replay.ended is not None:  # nothing follows the end of an episode
        left = replay.ended - len(parts.bad)
        parts, tail = Splice(parts.bad, parts.good[:left]), tail[:left]
    return revision_turns(tree, parts, sample.thought, replay.observations, tail)


def replay_sample(tree: SearchTree, sample: Sample, replayer: Replayer) -> Replay:
    """Replay a sample's steps. One with the tail of another search that holds is `repaired`."""
    steps = steps_to_replay(tree, sample)
    found = replayer.replay(steps, sample.expected_return, len(splice_of(tree, sample).bad))
    if sample.tail is not None and found.verdict in ("verified", "reobserved"):
        return replace(found, verdict="repaired")
    return found


def with_mark(tree: SearchTree, sample: Sample, mark: int | None, replayer: Replayer) -> Sample:
    """The sample with its mark moved, replayed again. A tail that was found after another mark goes."""
    tail = sample.tail if sample.tail is not None and sample.tail.mark == mark else None
    moved = replace(sample, mark=mark, replay=None, tail=tail)
    return replace(moved, replay=replay_sample(tree, moved, replayer))


def with_tail(tree: SearchTree, sample: Sample, tail: Tail, replayer: Replayer) -> Sample:
    """The sample with the tail of another search, replayed: `repaired` where it holds."""
    mended = replace(sample, tail=tail, replay=None)
    return replace(mended, replay=replay_sample(tree, mended, replayer))


class Repairs(Struct):
    """What repairing came to."""

    tried: int = 0
    repaired: int = 0
    calls: int = 0  # of the actor
    failed: dict[str, int] = {}  # why not → samples

    def add(self, other: Repairs) -> None:
        """Add what another came to."""
        self.tried += other.tried
        self.repaired += other.repaired
        self.calls += other.calls
        for reason, count in other.failed.items():
            self.failed[reason] = self.failed.get(reason, 0) + count


class Revised(Struct):
    """What came of the pairs of one tree."""

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

    def drop(self, reason: str, count: int = 1) -> None:
        """Count pairs that give no sample."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class Repairer(Protocol):
    """Searches a new tail for a sample that diverged."""

    def __call__(self, tree: SearchTree, sample: Sample, replayer: Replayer, figures: Repairs, /) -> Sample:
        """The sample with a tail that holds; as it was, where none was found."""
        ...


def revise(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    figures: Revised,
    marks: Callable[[str], int | None] = lambda sample: None,
    cache: Path | None = None,
    *,
    repair: Repairer | None = None,
    known: Duplicates | None = None,
    verifier: Verifier | None = None,
) -> Iterator[Sample]:
    """The samples of one tree; `figures` counts along.

    `marks` gives the marks that people set, by sample id (verifier `human`); `cache` is the folder of judgements
    (verifier `openai`, thoughts by a model). `repair` mends what diverged (`engine.recovery.repair.repairer`); `known`
    are the samples of other trees of the same run, for duplicates. `verifier` takes the place of the one that the
    settings name (it may have begun already); it is closed. What `settings` name is a person's. Raises `InputError`
    where the verifier can't work on this tree, `Stranger` where its environment may not be opened unasked
    (`engine.environment.trust`), `WorkFailed` where its model can't be reached.
    """
    started = tree.started
    assert started is not None
    check_thought(settings.thought, settings.prompts)
    thresholds = Thresholds.for_range(started.score_range, settings.alpha, settings.beta, settings.compat)
    open_environment = opener(tree, settings.environment, [{"env": settings.environment}])
    replayer = Replayer(tree, open_environment)
    kind: Kind = "revision" if settings.verify else "direct"
    if settings.verify and verifier is None:
        human = lambda pair: marks(sample_id("revision", started.trace, pair.good, pair.bad))  # noqa: E731
        verifier = make_verifier(
            settings.verifier,
            tree,
            thresholds,
            open_environment,
            human,
            judge=settings.judge,
            prompts=settings.prompts,
            cache=cache,
        )
    writer = make_writer(settings.thought, tree, settings.judge, settings.prompts, cache)
    if known is None and settings.duplicates and not settings.compat:
        known = Duplicates(settings.duplicates)
    count = count_pairs(tree, thresholds)
    figures.pairs += count
    taking = taking_of(tree, settings, count, figures.drop)
    all = looking_ahead(ranked(tree, thresholds, rank_of(settings)), verifier, taking)
    try:
        for pair in taking.of(all):
            sample = pair_sample(tree, path, settings, kind, pair, verifier, writer)
            figures.before_fork += sample.before_fork
            if sample.before_fork and settings.before_fork == "refuse" and not settings.compat:
                figures.refused += 1
                figures.drop(choice.REFUSED)
                continue
            if taking.repeats(pair.bad, sample.mark):
                continue
            sample.replay = replay_sample(tree, sample, replayer)
            if repair is not None and sample.verdict == "diverged" and not settings.compat:
                figures.repairs = figures.repairs or Repairs()
                sample = repair(tree, sample, replayer, figures.repairs)
            if known is not None:
                reason = known.reason(sample.environment, sample.task, turns_of(tree, sample))
                if reason is not None:
                    figures.drop(reason)
                    continue
            figures.no_wrong_step += sample.kind == "revision" and sample.found is None
            figures.samples += 1
            figures.by_verdict[sample.verdict] = figures.by_verdict.get(sample.verdict, 0) + 1
            taking.took(pair.fork, pair.bad, sample.mark)
            yield sample
        if settings.compat and tree.value_sum(0) <= 0:
            return
        for leaf in tree.leaves():
            if thresholds.good(leaf):
                figures.good += 1
                yield _good_sample(tree, path, leaf.id, replayer)
    finally:
        replayer.close()
        for paid in (verifier, writer):
            _add_judging(figures, paid)
            close = getattr(paid, "close", None)
            if close is not None:
                close()


def rank_of(settings: ReviseSettings) -> Rank:
    """The order in which pairs are taken."""
    return "return" if settings.compat else settings.rank


def taking_of(tree: SearchTree, settings: ReviseSettings, count: int, drop: Callable[[str, int], None]) -> Taking:
    """Which of a tree's `count` pairs are looked at; `drop` is told of the others."""
    return Taking(
        tree,
        count,
        drop,
        max_pairs=settings.max_pairs,
        per_tree=settings.per_tree,
        per_fork=settings.per_fork,
        diverse=settings.diverse and not settings.compat,
    )


def begun_verifier(tree: SearchTree, settings: ReviseSettings, cache: Path | None, pool: JudgePool) -> Verifier:
    """The verifier `openai` of one tree, which has begun with the pairs that `revise` will surely judge."""
    started = tree.started
    assert started is not None
    thresholds = Thresholds.for_range(started.score_range, settings.alpha, settings.beta, settings.compat)
    verifier = make_verifier(
        settings.verifier, tree, thresholds, opener(tree, settings.environment),
        judge=settings.judge, prompts=settings.prompts, cache=cache, pool=pool,
    )  # fmt: skip
    if isinstance(verifier, Begins):
        taking = taking_of(tree, settings, 0, lambda reason, count: None)
        verifier.begin(first_pairs(tree, thresholds, rank_of(settings), taking))
    return verifier


def _add_judging(figures: Revised, verifier: object) -> None:
    """What was paid for one tree, where a model judged or wrote."""
    totals = getattr(verifier, "totals", None)
    if isinstance(totals, JudgeTotals):
        figures.judging = figures.judging or JudgeTotals()
        figures.judging.add(totals)


def pair_sample(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    kind: Kind,
    pair: Pair,
    verifier: Verifier | None,
    writer: ThoughtWriter | None = None,
) -> Sample:
    """The sample of one pair: judged, marked by the rule for marks before the fork, with its thought; not replayed."""
    started = tree.started
    assert started is not None
    id = sample_id(kind, started.trace, pair.good, pair.bad)
    judgements = list(verifier.judge(pair)) if verifier is not None else []
    found = first_wrong_step(judgements)
    fork_depth = tree.nodes[pair.fork].depth
    mark = found
    if found is not None and found <= fork_depth and settings.before_fork == "move" and not settings.compat:
        mark = fork_depth + 1
    sample = Sample(
        id=id,
        kind=kind,
        trace=started.trace,
        path=path,
        environment=started.environment,
        task=started.task,
        instruction=started.instruction,
        good=pair.good,
        bad=pair.bad,
        return_good=tree.nodes[pair.good].reward,
        return_bad=tree.nodes[pair.bad].reward,
        fork=pair.fork,
        fork_depth=fork_depth,
        bad_depth=tree.nodes[pair.bad].depth,
        good_depth=tree.nodes[pair.good].depth,
        mark=mark,
        found=found,
        verifier=settings.verifier if verifier is not None else "",
        judgements=judgements,
        thought=thought_for(id, settings.thought, settings.seed, settings.prompts),
        compat=settings.compat,
        whole=found is None and kind == "revision" and settings.no_wrong_step == "whole",
    )
    if writer is not None and (written := writer.write(pair.bad, mark, judgements)):
        sample.thought, sample.thought_by = written, writer.name
    return sample


def _good_sample(tree: SearchTree, path: str, leaf: int, replayer: Replayer) -> Sample:
    started = tree.started
    assert started is not None
    node = tree.nodes[leaf]
    sample = Sample(
        id=sample_id("good", started.trace, leaf, None),
        kind="good",
        trace=started.trace,
        path=path,
        environment=started.environment,
        task=started.task,
        instruction=started.instruction,
        good=leaf,
        return_good=node.reward,
        good_depth=node.depth,
    )
    sample.replay = replay_sample(tree, sample, replayer)
    return sample
