"""`revise`: which lessons and pairs of a tree become samples, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import InputError
from engine.environment.replay import NOT_REFUTED, Replayer, opener
from engine.pairs import limits
from engine.pairs.pairs import Pair, count_pairs, pairs
from engine.pairs.ranking import ranked
from engine.samples.drafts import draft_id, draft_sample, pair_sample
from engine.samples.duplicates import Duplicates
from engine.samples.finishing import Finisher, quality, sure
from engine.samples.lessons import Draft, Lesson, Lessons
from engine.samples.sample import (
    Kind,
    Sample,
    sample_id,
    steps_to_replay,
    turns_of,
)
from engine.samples.seams import with_seams
from engine.samples.settings import (
    Revised,
    ReviseSettings,
    limits_of,
    rank_of,
    thresholds_of,
)
from engine.samples.shared_by_trees import SharedByTrees
from engine.samples.tails.needed_steps import Ground
from engine.samples.tails.straighten_sample import NO_CLEAN_TAIL, judged_by_text
from engine.samples.thoughts.reasons import reasoned
from engine.samples.thoughts.writers import REASON, check_thought, make_writer
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeTotals, StepVerifier, Verifier, first_wrong_step
from engine.verifiers.parallel_judging import Begins, first_pairs, looking_ahead
from engine.verifiers.registry import make_seam_judge, make_verifier

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool

SAME_GOOD = "the same steps as another good trajectory"
"""Why a good trajectory gives no sample."""

MOST_PAIRS_TO_NAME = 200_000
"""Pairs of a tree among which those with a decision are looked for."""


def revise(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    figures: Revised,
    shared: SharedByTrees | None = None,
    *,
    verifier: Verifier | None = None,
) -> Iterator[Sample]:
    """Yields the samples of one tree.

    `tree`: the search. `path`: where it was read from. `settings`: of the run; what they name is trusted. `figures`:
    counts along. `shared`: what the trees of the run share; None: the run is of this tree alone. `verifier`: in place
    of the one that the settings name, such as one that has begun already; it is closed at the end.

    Raises `InputError` if the verifier can't work on this tree, `UntrustedTrace` if its environment needs permission
    (`engine.environment.permission`), `WorkFailed` if its model can't be reached.
    """
    making = _Making(tree, path, settings, figures, shared or SharedByTrees(), verifier)
    try:
        yield from with_seams(tree, making.all(), making.seams, settings.judge.concurrency, figures)
    finally:
        making.close()


class _Making:
    """Makes the samples of one tree."""

    def __init__(
        self,
        tree: SearchTree,
        path: str,
        settings: ReviseSettings,
        figures: Revised,
        shared: SharedByTrees,
        verifier: Verifier | None,
    ) -> None:
        started = tree.started
        assert started is not None
        check_thought(settings.thought, settings.prompts)
        self.tree, self.path, self.settings, self.figures = tree, path, settings, figures
        self.compat = settings.compat
        self.thresholds = thresholds_of(tree, settings)
        open_environment = opener(tree, settings.environment, [{"env": settings.environment}])
        self.replayer = Replayer(tree, open_environment)
        self.verifier = verifier
        if settings.verify and verifier is None:
            human = lambda pair: shared.marks(sample_id("revision", started.trace, pair.good, pair.bad))  # noqa: E731
            self.verifier = make_verifier(
                settings.verifier,
                tree,
                self.thresholds,
                open_environment,
                human,
                judge=settings.judge,
                prompts=settings.prompts,
                cache=shared.cache,
                states=self.replayer.states,
            )
        self.writer = make_writer(settings.thought, tree, settings.judge, settings.prompts, shared.cache)
        seam = "" if settings.compat else settings.seam
        self.seams = make_seam_judge(seam, tree, settings.judge, settings.prompts, shared.cache, shared.seam_pool)
        self.ground = Ground(tree, self.replayer.states, self.verifier, self.thresholds)
        if settings.unfinished and not self.ground.judges:
            raise InputError(
                f"--unfinished needs a verifier that looks into the environment, as progress does: {settings.verifier}"
                " does not know which wrong steps are unfinished"
            )
        self.finisher = Finisher(self.ground, self.replayer, settings, figures, shared.repair)
        self.known = shared.duplicates
        if self.known is None and settings.duplicates and not settings.compat:
            self.known = Duplicates(settings.duplicates)
        self.taught = shared.taught
        self.decided = shared.decided
        self.made: set[str] = set()  # ids
        count = count_pairs(tree, self.thresholds)
        figures.pairs += count
        self.limits = limits_of(tree, settings, count, figures.drop)

    def close(self) -> None:
        """Close the environments and connections."""
        self.figures.steps += self.replayer.steps
        self.replayer.close()
        for paid in (self.verifier, self.writer, self.seams):
            _add_judging(self.figures, paid)
            close = getattr(paid, "close", None)
            if close is not None:
                close()

    def all(self) -> Iterator[Sample]:
        """The samples: decided ones, then lessons or pairs by rank, then good trajectories."""
        settings = self.settings
        by_lesson = settings.rank == "lesson" and settings.before_fork == "recover" and not settings.compat
        if by_lesson and isinstance(self.verifier, StepVerifier):
            yield from self._decided()
            yield from self._by_lesson(self.verifier)
        else:
            yield from self._by_pair()
        if settings.compat and self.tree.value_sum(0) <= 0:
            return
        for leaf in self.tree.leaves():
            if self.thresholds.good(leaf):
                self.figures.good += 1
                sample = self.finisher.good(self.path, leaf.id)
                if not self._said_before(sample):
                    yield sample

    # -- over pairs ----------------------------------------------------------------------------------------

    def _by_pair(self) -> Iterator[Sample]:
        ordered = ranked(self.tree, self.thresholds, rank_of(self.settings))
        spare: dict[str, Sample] = {}
        for pair in self.limits.filter(looking_ahead(ordered, self.verifier, self.limits)):
            for sample in self._of_pair(pair):
                if sample.lesson and self._enough(sample):
                    self.figures.drop(limits.PER_LESSON)
                    continue
                done = self.finisher.finish(sample)
                if done is None:
                    continue
                if done.lesson and self.settings.per_lesson and not sure(done):
                    best = spare.get(done.lesson)
                    if best is None or quality(done) < quality(best):
                        spare[done.lesson] = done
                    continue
                spare.pop(done.lesson, None)
                kept = self._kept(done, pair.fork)
                if kept is not None:
                    yield kept
        for sample in spare.values():
            kept = self._kept(sample, sample.fork) if not self._enough(sample) else None
            if kept is not None:
                yield kept

    def _of_pair(self, pair: Pair) -> Iterator[Sample]:
        """The samples of one pair, not finished: how its good trajectory recovered, and the revision."""
        settings, figures = self.settings, self.figures
        kind: Kind = "revision" if settings.verify else "direct"
        if self.verifier is None or self.compat or settings.before_fork != "recover":
            sample = pair_sample(self.tree, self.path, settings, kind, pair, self.verifier, self.writer)
            figures.before_fork += sample.before_fork
            if sample.before_fork and settings.before_fork == "refuse" and not self.compat:
                figures.refused += 1
                figures.drop(limits.REFUSED)
                return
            if self.limits.is_repeat(pair.bad, sample.mark):
                return
            figures.no_wrong_step += sample.kind == "revision" and sample.found is None
            yield self.finisher.on_terms(sample)
            return
        fork = self.tree.nodes[pair.fork].depth
        judgements = list(self.verifier.judge(pair))
        found = first_wrong_step(judgements)
        shared = found is not None and found <= fork
        if found is not None and shared:
            figures.before_fork += 1
            wrong = self.tree.ancestors(pair.good)[found]
            draft = Draft("recovery", pair.good, None, self.tree.nodes[wrong].parent, wrong)
            if draft_id(self.tree, draft) not in self.made:
                self.made.add(draft_id(self.tree, draft))
                yield self._drafted(draft, judgements)
            behind = list(self.verifier.judge(pair, fork + 1))
            judgements += [each for each in behind if each.step > fork]
            found = first_wrong_step(behind)
        if found is None:
            figures.no_wrong_step += 1
            if shared and settings.per_lesson:
                figures.drop(limits.NONE_AFTER)
                return
        elif self.limits.is_repeat(pair.bad, found):
            return
        marked = self.tree.ancestors(pair.bad)[found or 0]  # the root where nothing is
        yield self._drafted(Draft("revision", pair.good, pair.bad, pair.fork, marked), judgements)

    # -- over lessons --------------------------------------------------------------------------------------

    def _decided(self) -> Iterator[Sample]:
        """The samples of pairs that somebody decided on already."""
        assert self.tree.started is not None
        if not self.decided or self.limits.pairs > MOST_PAIRS_TO_NAME:
            return
        for pair in pairs(self.tree, self.thresholds):
            id = sample_id("revision", self.tree.started.trace, pair.good, pair.bad)
            if id not in self.decided:
                continue
            for sample in self._of_pair(pair):
                done = self.finisher.finish(sample) if sample.id == id else None
                kept = self._kept(done, pair.fork) if done is not None else None
                if kept is not None:
                    yield kept

    def _by_lesson(self, verifier: StepVerifier) -> Iterator[Sample]:
        settings, figures = self.settings, self.figures
        lessons = Lessons(self.tree, self.thresholds, self.ground, verifier, settings.unfinished)
        found = lessons.all()
        figures.drop("a wrong step whose trajectory did not end", lessons.unended)
        for place, lesson in enumerate(found):
            for most, reached, reason in (
                (settings.max_pairs, place, limits.MAX_PAIRS),
                (settings.per_tree, self.limits.samples, limits.PER_TREE),
            ):
                if most is not None and reached >= most:
                    figures.drop(reason, len(found) - place)
                    return
            ids = {draft_id(self.tree, draft): draft for draft in lesson.drafts}
            decided = [draft for id, draft in ids.items() if id in self.decided and id not in self.made]
            room = settings.per_lesson - self.taught[lesson.id] if settings.per_lesson else len(lesson.drafts)
            if room <= 0 and not decided:
                figures.drop(limits.PER_LESSON)
                continue
            yield from self._of_lesson(lesson, verifier, decided, max(room, len(decided)))
        yield from self._without_mistake(lessons)

    def _of_lesson(self, lesson: Lesson, verifier: StepVerifier, decided: list[Draft], room: int) -> Iterator[Sample]:
        """The best samples of one lesson."""
        figures = self.figures
        finished: list[Sample] = []
        first: Sample | None = None
        before = figures.dropped.copy()
        for draft in decided + [draft for draft in lesson.drafts if draft not in decided]:
            id = draft_id(self.tree, draft)
            if id in self.made or not self.limits.allows(draft.fork):
                continue
            sample = self._drafted(draft, _judged_up_to(self.tree, draft.wrong, verifier))
            first = first or sample
            done = self.finisher.finish(sample, mend=False)
            if done is None:
                continue
            finished.append(done)
            if room == 1 and self.finisher.perfect(done):
                break
        figures.dropped = before  # of one lesson, not of each trajectory that might have taught it
        finished.sort(key=lambda sample: (sample.id not in self.decided, *quality(sample)))
        if not finished and first is not None:
            done = self.finisher.finish(first)
            finished = [done] if done is not None else []
        for sample in finished[:room]:
            self.made.add(sample.id)
            kept = self._kept(sample, sample.fork)
            if kept is not None:
                yield kept

    def _without_mistake(self, lessons: Lessons) -> Iterator[Sample]:
        """A sample without a mark for each bad leaf on whose way the verifier found nothing wrong: a person may."""
        for pair in lessons.without_mistake():
            if self.settings.per_tree is not None and self.limits.samples >= self.settings.per_tree:
                return
            self.figures.no_wrong_step += 1
            draft = Draft("revision", pair.good, pair.bad, pair.fork, 0)
            if draft_id(self.tree, draft) in self.made:
                continue
            done = self.finisher.finish(self._drafted(draft, _judged_up_to(self.tree, pair.bad, lessons.verifier)))
            kept = self._kept(done, pair.fork) if done is not None else None
            if kept is not None:
                yield kept

    # -- one sample ----------------------------------------------------------------------------------------

    def _drafted(self, draft: Draft, judgements: list[Judgement]) -> Sample:
        drafted = draft_sample(self.tree, self.path, self.settings, draft, judgements, self.writer)
        return self.finisher.on_terms(drafted)

    def _kept(self, sample: Sample, fork: int) -> Sample | None:
        """The sample, counted; None where it is a duplicate, or a judge of texts leaves nothing of its tail."""
        figures = self.figures
        if self.known is not None:
            reason = self.known.reason(sample.environment, sample.task, turns_of(self.tree, sample))
            if reason is not None:
                figures.drop(reason)
                return None
        if self.finisher.straight and sample.mark is not None and sample.verdict in NOT_REFUTED:
            judged = judged_by_text(sample, self.ground, self.replayer)
            if judged is None:
                figures.drop(NO_CLEAN_TAIL)
                figures.tails["left_out"] = figures.tails.get("left_out", 0) + 1
                return None
            sample = judged
        if self.settings.thought == REASON:
            sample = reasoned(self.tree, sample, self.replayer, self.settings.seed, self.settings.prompts)
        figures.samples += 1
        figures.by_verdict[sample.verdict] = figures.by_verdict.get(sample.verdict, 0) + 1
        made = sample.tail.made if sample.tail is not None else "as_found"
        figures.tails[made] = figures.tails.get(made, 0) + 1
        figures.before_fork += sample.kind == "recovery" and self.settings.rank == "lesson"
        if sample.lesson:
            figures.lessons += not self.taught[sample.lesson]
            self.taught[sample.lesson] += 1
        self.made.add(sample.id)
        if sample.bad is not None:
            self.limits.accept(fork, sample.bad, sample.mark)
        return sample

    def _enough(self, sample: Sample) -> bool:
        most = 0 if self.compat else self.settings.per_lesson
        return bool(most) and self.taught[sample.lesson] >= most and sample.id not in self.decided

    def _said_before(self, sample: Sample) -> bool:
        """Whether another good trajectory of the task has the same straight steps: one is enough."""
        if not self.finisher.straight or not self.settings.per_lesson:
            return False
        steps = "\n".join(step.action for step in steps_to_replay(self.tree, sample))
        key = f"good\n{sample.environment}\n{sample.task}\n{steps}"
        self.taught[key] += 1
        if self.taught[key] <= self.settings.per_lesson or sample.id in self.decided:
            return False
        self.figures.drop(SAME_GOOD)
        return True


def _judged_up_to(tree: SearchTree, node: int, verifier: StepVerifier) -> list[Judgement]:
    """What the verifier says of the steps up to a node, the one into it included."""
    return [Judgement(step, *verifier.step_into(id)) for step, id in enumerate(tree.ancestors(node)[1:], 1)]


def begun_verifier(tree: SearchTree, settings: ReviseSettings, cache: Path | None, pool: JudgePool) -> Verifier:
    """Returns the verifier `openai` of one tree, which has begun with the pairs that `revise` will surely judge.

    `tree`: the search. `settings`: of the run. `cache`: the folder of replies; None: keep none. `pool`: makes the calls
    that all trees share.
    """
    thresholds = thresholds_of(tree, settings)
    verifier = make_verifier(
        settings.verifier, tree, thresholds, opener(tree, settings.environment),
        judge=settings.judge, prompts=settings.prompts, cache=cache, pool=pool,
    )  # fmt: skip
    if isinstance(verifier, Begins):
        taken = limits_of(tree, settings, 0, lambda reason, count: None)
        verifier.begin(first_pairs(tree, thresholds, rank_of(settings), taken))
    return verifier


def _add_judging(figures: Revised, verifier: object) -> None:
    """What was paid for one tree, where a model judged or wrote."""
    totals = getattr(verifier, "totals", None)
    if isinstance(totals, JudgeTotals):
        figures.judging = figures.judging or JudgeTotals()
        figures.judging.add(totals)
