"""Samples: what `revise` makes of the pairs of a tree, and the trajectory that a sample stands for.

A sample's id is a digest of its kind, trace and leaves: building it again loses no decision about it. Mark,
thought, judgements and replay verdict are properties of one run of `revise`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.events import Number
from engine.pairs import Pair, Thresholds, pairs
from engine.replay import Replay, Replayer, opener
from engine.revision import (
    BeforeFork,
    Splice,
    Turn,
    choose_thought,
    revision_turns,
    splice,
    steps_of,
    trajectory_turns,
)
from engine.tree import SearchTree
from engine.verifier import Judgement, Verifier, first_wrong_step, make_verifier

Kind = Literal["revision", "direct", "good"]


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

    @property
    def before_fork(self) -> bool:
        """Whether the verifier flagged a step that the good trajectory shares."""
        return self.found is not None and self.found <= self.fork_depth

    @property
    def no_wrong_step(self) -> bool:
        """Whether a verifier looked and found nothing wrong, and nobody set a mark since."""
        return self.kind == "revision" and self.mark is None

    @property
    def verdict(self) -> str:
        """The replay verdict, or `not replayed`."""
        return self.replay.verdict if self.replay else "not replayed"


def sample_id(kind: Kind, trace: str, good: int, bad: int | None) -> str:
    """Digest of what makes a sample the one it is."""
    return blake2b(f"{kind}\n{trace}\n{good}\n{bad}".encode(), digest_size=6).hexdigest()


def splice_of(tree: SearchTree, sample: Sample) -> Splice:
    """The steps that a sample is made of."""
    if sample.bad is None:
        return Splice([], tree.ancestors(sample.good)[1:])
    return splice(tree, sample.good, sample.bad, sample.fork, sample.mark, sample.compat)


def turns_of(tree: SearchTree, sample: Sample) -> list[Turn]:
    """The trajectory of a sample with its mask. True observations stand where only they differ, never in `compat`."""
    if sample.bad is None:
        return trajectory_turns(tree, sample.good)
    parts = splice_of(tree, sample)
    replay = sample.replay
    if replay is None or replay.verdict != "reobserved" or sample.compat:
        return revision_turns(tree, parts, sample.thought)
    if replay.ended is not None:  # nothing follows the end of an episode
        parts = Splice(parts.bad, parts.good[: replay.ended - len(parts.bad)])
    return revision_turns(tree, parts, sample.thought, replay.observations)


def replay_sample(tree: SearchTree, sample: Sample, replayer: Replayer) -> Replay:
    """Replay a sample's steps."""
    parts = splice_of(tree, sample)
    return replayer.replay(steps_of(tree, parts.steps), sample.return_good, len(parts.bad))


def with_mark(tree: SearchTree, sample: Sample, mark: int | None, replayer: Replayer) -> Sample:
    """The sample with its mark moved, replayed again."""
    moved = replace(sample, mark=mark, replay=None)
    return replace(moved, replay=replay_sample(tree, moved, replayer))


class Revised(Struct):
    """What came of the pairs of one tree."""

    pairs: int = 0
    samples: int = 0
    before_fork: int = 0
    no_wrong_step: int = 0
    refused: int = 0  # pairs left out because their mark is not after the fork
    good: int = 0  # good trajectories
    by_verdict: dict[str, int] = {}


def revise(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    figures: Revised,
    marks: Callable[[str], int | None] = lambda sample: None,
) -> Iterator[Sample]:
    """The samples of one tree; `figures` counts along.

    `marks` gives the marks that people set, by sample id (verifier `human`). Raises `InputError` where the
    verifier can't work on this tree.
    """
    started = tree.started
    assert started is not None
    thresholds = Thresholds.for_range(started.score_range, settings.alpha, settings.beta, settings.compat)
    open_environment = opener(tree, settings.environment)
    replayer = Replayer(tree, open_environment)
    kind: Kind = "revision" if settings.verify else "direct"
    verifier = None
    if settings.verify:
        human = lambda pair: marks(sample_id("revision", started.trace, pair.good, pair.bad))  # noqa: E731
        verifier = make_verifier(settings.verifier, tree, thresholds, open_environment, human)
    try:
        for pair in islice(pairs(tree, thresholds), settings.max_pairs):
            figures.pairs += 1
            sample = pair_sample(tree, path, settings, kind, pair, verifier)
            figures.before_fork += sample.before_fork
            figures.no_wrong_step += sample.no_wrong_step
            if sample.before_fork and settings.before_fork == "refuse" and not settings.compat:
                figures.refused += 1
                continue
            sample.replay = replay_sample(tree, sample, replayer)
            figures.samples += 1
            figures.by_verdict[sample.verdict] = figures.by_verdict.get(sample.verdict, 0) + 1
            yield sample
        if settings.compat and tree.value_sum(0) <= 0:
            return
        for leaf in tree.leaves():
            if thresholds.good(leaf):
                figures.good += 1
                yield _good_sample(tree, path, leaf.id, replayer)
    finally:
        replayer.close()
        close = getattr(verifier, "close", None)
        if close is not None:
            close()


def pair_sample(
    tree: SearchTree, path: str, settings: ReviseSettings, kind: Kind, pair: Pair, verifier: Verifier | None
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
    return Sample(
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
        thought=choose_thought(id, settings.seed),
        compat=settings.compat,
    )


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
