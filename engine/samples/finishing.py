"""How one sample is finished: context and tail are made, replayed and, where asked for, repaired; or its mark moves."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from engine.environment.replay import HOLDS, Replayer, opener
from engine.samples.drafts import good_sample
from engine.samples.sample import Sample, replay_sample
from engine.samples.settings import Context, Repairs, Revised, ReviseSettings
from engine.samples.tails.needed_steps import Ground
from engine.samples.tails.straighten_sample import (
    ENDED,
    NO_CLEAN_TAIL,
    NOTHING_LEFT,
    plan_left,
    straight_good,
    straightened,
    straightened_repair,
    with_context,
    with_lesson,
)
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Verifier
from engine.verifiers.registry import make_verifier


class Repairer(Protocol):
    """Searches a new tail for a sample that has none that holds."""

    def __call__(self, tree: SearchTree, sample: Sample, replayer: Replayer, figures: Repairs, /) -> Sample:
        """The sample with a tail that holds; as it was, where none was found."""
        ...


class Finisher:
    """Makes context and tail of drafted samples and replays them, as the settings of a run ask."""

    def __init__(
        self,
        ground: Ground,
        replayer: Replayer,
        settings: ReviseSettings,
        figures: Revised,
        repair: Repairer | None,
    ) -> None:
        """`figures` counts repairs and lessons that are left out; without `repair` nothing is repaired."""
        self.ground, self.replayer, self.settings, self.figures = ground, replayer, settings, figures
        self.tree = ground.tree
        self.compat = settings.compat
        self.straight = settings.tail != "as-found" and not settings.compat
        self.repair = None if settings.compat else repair
        started, attempts = self.tree.started, bool(self.tree.attempts)  # whose files may not name the tools
        self.calls_tools = started is not None and bool(
            started.tools or (attempts and any(node.calls for node in self.tree.nodes))
        )
        self.searched: set[str] = set()  # lessons for which a repair was searched

    def on_terms(self, sample: Sample) -> Sample:
        """The sample with what makes a return enough, and the lesson that it teaches."""
        if self.compat:
            return sample
        thresholds = self.ground.thresholds
        sample.alpha, sample.beta = thresholds.alpha, thresholds.beta
        sample.tails = self.settings.tail
        turn = self.settings.revision_turn
        sample.merged = turn == "merged" or (turn is None and self.calls_tools)
        return with_lesson(sample, self.ground)

    def finish(self, sample: Sample, *, mend: bool = True) -> Sample | None:
        """The sample with context and tail, replayed; None where it is left out, which is counted.

        `mend`: whether a tail is searched where there is no clean one.
        """
        return self._finish(sample, mend, self.settings.context)

    def good(self, path: str, leaf: int) -> Sample:
        """The sample of a good leaf, replayed. `path` is where the tree was read from."""
        sample = good_sample(self.tree, path, leaf)
        if not self.compat:
            thresholds = self.ground.thresholds
            sample.alpha, sample.beta, sample.tails = thresholds.alpha, thresholds.beta, self.settings.tail
        if self.straight:
            sample = straight_good(sample, self.ground)
        sample.replay = replay_sample(self.tree, sample, self.replayer)
        return sample

    def perfect(self, sample: Sample) -> bool:
        """Whether no other sample of the same lesson can be better than this finished one."""
        tail = sample.tail
        return (
            sure(sample)
            and tail is not None
            and (self.ground.timed or not masked_steps(sample))
            and (self.ground.timed or sample.plan_left is None or len(tail.steps) <= sample.plan_left)
        )

    def _finish(self, sample: Sample, mend: bool, context: Context) -> Sample | None:
        settings, figures = self.settings, self.figures
        known_bad = sample.mark is not None and sample.kind in ("revision", "recovery")
        if not self.straight or not known_bad:
            sample = replace(sample, replay=replay_sample(self.tree, sample, self.replayer))
            if mend and sample.verdict == "diverged":
                sample = self._repaired(sample)
            return sample
        if context == "straight":
            sample = with_context(sample, self.ground)
        else:
            bad = [each.step for each in sample.judgements if each.word == "Bad" and each.step < (sample.mark or 0)]
            sample = replace(sample, earlier=len(bad))
        made: Sample | str = NO_CLEAN_TAIL if settings.tail == "repaired" else straightened(sample, self.ground)
        if isinstance(made, Sample):
            made = replace(made, replay=replay_sample(self.tree, made, self.replayer))
            if made.verdict == "diverged" and any(each.part == "context" for each in made.cut):
                # the replay does not hold without the mistakes of its context
                return self._finish(replace(sample, cut=[], earlier=0), mend, "as-found")
            if made.verdict != "diverged":
                return replace(made, plan_left=plan_left(made, self.ground))
            made = NO_CLEAN_TAIL
        if mend and made not in (ENDED, NOTHING_LEFT):
            mended = self._repaired(sample)
            if mended.verdict in HOLDS:
                return replace(mended, plan_left=plan_left(mended, self.ground))
        if mend:
            figures.tails["left_out"] = figures.tails.get("left_out", 0) + 1
        figures.drop(made)
        return None

    def _repaired(self, sample: Sample) -> Sample:
        """The sample with a tail that a search found, where one is made and finds one; as it was else."""
        if self.repair is None or sample.mark is None:
            return sample
        if self.straight and self.settings.per_lesson and sample.lesson:
            if sample.lesson in self.searched:
                return sample
            self.searched.add(sample.lesson)
        self.figures.repairs = self.figures.repairs or Repairs()
        mended = self.repair(self.tree, replace(sample, tail=None), self.replayer, self.figures.repairs)
        if mended.tail is None or mended.verdict not in HOLDS or not self.straight:
            return mended
        return straightened_repair(mended, self.ground, self.replayer) or sample


def sure(sample: Sample) -> bool:
    """Whether no other sample of the same lesson can be much better."""
    return sample.verdict == "verified" and not sample.earlier


def quality(sample: Sample) -> tuple[int, int, int, int]:
    """Sort key of finished samples, best first: by verdict (of unreplayed ones those whose wrong step
    changed nothing), mistakes left in the context, length of the tail, masked steps in it."""
    order = ("verified", "reobserved", "repaired", "unreplayed")
    place = order.index(sample.verdict) if sample.verdict in order else len(order)
    length = len(sample.tail.steps) if sample.tail is not None else sample.good_depth - sample.fork_depth
    unsafe = sample.verdict == "unreplayed" and not sample.harmless
    return 2 * place + unsafe, sample.earlier, length, masked_steps(sample)


def masked_steps(sample: Sample) -> int:
    """Steps of the tail that are not trained."""
    return sum(not step.loss for step in sample.tail.steps) if sample.tail is not None else 0


def with_mark(tree: SearchTree, sample: Sample, mark: int | None, replayer: Replayer) -> Sample:
    """Returns the sample with its mark moved, replayed again. Its tail is made anew after the new mark, as the run made
    it.

    `tree`: the sample's. `sample`: the sample. `mark`: the first wrong step, counted from 1; None: none. `replayer`: of
    that tree.
    """
    tail = sample.tail if sample.tail is not None and sample.tail.mark == mark else None
    sample = replace(sample, seam=sample.seam if sample.mark == mark else None)
    if tail is not None or sample.tails == "as-found" or mark is None or sample.bad is None:
        moved = replace(sample, mark=mark, replay=None, tail=tail)
        return replace(moved, replay=replay_sample(tree, moved, replayer))
    moved = replace(sample, mark=mark, replay=None, tail=None, cut=[], earlier=0, tail_judgements=[], plan_left=None)
    ground = ground_of(tree, sample, replayer)
    moved = with_lesson(moved, ground)
    if replace(moved, found=mark).before_fork:
        return replace(moved, replay=replay_sample(tree, moved, replayer))
    made = straightened(with_context(moved, ground), ground)
    moved = made if isinstance(made, Sample) else moved
    moved = replace(moved, replay=replay_sample(tree, moved, replayer))
    return replace(moved, plan_left=plan_left(moved, ground))


def ground_of(tree: SearchTree, sample: Sample, replayer: Replayer) -> Ground:
    """Returns what is needed to make tails when a person changes a sample. The verifier of its run judges, where that
    costs nothing and it reads the environment's states.

    `tree`: the sample's. `sample`: the sample. `replayer`: of that tree.
    """
    assert tree.started is not None
    alpha = Thresholds.for_range(tree.started.score_range, sample.alpha, sample.beta or None)
    verifier: Verifier | None = None
    if sample.verifier.partition(":")[0] in ("progress", "noisy", "value"):
        verifier = make_verifier(sample.verifier, tree, alpha, opener(tree), states=replayer.states)
    return Ground(tree, replayer.states, verifier, alpha)
