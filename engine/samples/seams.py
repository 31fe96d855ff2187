"""What a model says of the seams of unreplayed samples, several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.samples.sample import Sample, splice_of, steps_to_replay
from engine.samples.settings import Revised
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.seam_judge import SeamJudge

Waits = Callable[[], Judgement]


def with_seams(
    tree: SearchTree, samples: Iterator[Sample], judge: SeamJudge | None, at_once: int, figures: Revised
) -> Iterator[Sample]:
    """Yields the `samples` of `tree` in their order; unreplayed ones hold the judgement of their seam.

    `judge`: the model; None: the samples stay as they are. `at_once`: how many seams it is asked about at once.
    `figures`: counts along. Raises as the judge does.
    """
    waiting: deque[tuple[Sample, Waits | None]] = deque()
    for sample in samples:
        waiting.append((sample, _begun(tree, sample, judge)))
        while waiting and (waiting[0][1] is None or len(waiting) >= at_once):
            yield _judged(*waiting.popleft(), figures)
    for each, judged in waiting:
        yield _judged(each, judged, figures)


def _begun(tree: SearchTree, sample: Sample, judge: SeamJudge | None) -> Waits | None:
    if judge is None or sample.verdict != "unreplayed" or sample.kind == "good":
        return None
    bad, steps = len(splice_of(tree, sample).bad), steps_to_replay(tree, sample)
    told = [(step.action, step.observation) for step in steps]
    return judge.begin_seam(told, bad) if 0 < bad < len(steps) else None


def _judged(sample: Sample, judged: Waits | None, figures: Revised) -> Sample:
    if judged is None:
        return sample
    judgement = judged()
    figures.seams[judgement.word] = figures.seams.get(judgement.word, 0) + 1
    return replace(sample, seam=judgement)
