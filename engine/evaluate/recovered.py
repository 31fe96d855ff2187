"""How well an actor recovers from given wrong steps, with the revision thought and without it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.base.intervals import Interval, mean_interval
from engine.recovery.continuation_figures import MarkFigures
from engine.samples.sample import Sample
from engine.tree.tree import SearchTree


class WrongStep(Struct, kw_only=True):
    """One wrong step, and what became of the continuations after it. Scores are on a scale of 0 to 1."""

    sample: str
    env: str
    task: str
    mark: int
    action: str
    continuations: int
    without: float | None  # mean score
    thought: float | None
    recovered_without: float | None  # share with a good end
    recovered_thought: float | None


class RecoveryScores(Struct, kw_only=True):
    """All wrong steps together. Intervals and differences are over wrong steps that were tried both ways."""

    steps: int
    tasks: int
    continuations: int
    without: Interval | None
    thought: Interval | None
    difference: Interval | None
    recovered_without: Interval | None
    recovered_thought: Interval | None
    recovered_difference: Interval | None
    revision_length: Interval | None  # steps up to the wrong one, which counts: where the revision begins


def wrong_step(tree: SearchTree, sample: Sample, figures: MarkFigures) -> WrongStep:
    """Returns the figures of a wrong step; scores are shares of the score range, 0 to 1.

    `tree`: the search. `sample`: whose wrong step it is. `figures`: of the continuations from it.
    """
    assert tree.started is not None
    low, high = tree.started.score_range

    def scaled(value: float | None) -> float | None:
        return None if value is None or high <= low else (value - low) / (high - low)

    return WrongStep(
        sample=sample.id,
        env=sample.environment,
        task=sample.task,
        mark=figures.mark,
        action=figures.action,
        continuations=figures.without.of + figures.thought.of,
        without=scaled(figures.without.mean),
        thought=scaled(figures.thought.mean),
        recovered_without=figures.without.rate,
        recovered_thought=figures.thought.rate,
    )


def recovery_scores(steps: Sequence[WrongStep]) -> RecoveryScores:
    """Means over wrong steps, and what the thought adds, step by step."""
    scores = [(row.without, row.thought) for row in steps if row.without is not None and row.thought is not None]
    shares = [
        (row.recovered_without, row.recovered_thought)
        for row in steps
        if row.recovered_without is not None and row.recovered_thought is not None
    ]
    return RecoveryScores(
        steps=len(shares),
        tasks=len({(row.env, row.task) for row in steps}),
        continuations=sum(row.continuations for row in steps),
        without=mean_interval([one for one, _ in scores]),
        thought=mean_interval([other for _, other in scores]),
        difference=mean_interval([other - one for one, other in scores]),
        recovered_without=mean_interval([one for one, _ in shares]),
        recovered_thought=mean_interval([other for _, other in shares]),
        recovered_difference=mean_interval([other - one for one, other in shares]),
        revision_length=mean_interval([row.mark for row in steps]),
    )
