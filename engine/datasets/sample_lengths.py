"""How long the samples of a run are, and which of them repeat another.

Each trace is read once, and results come one by one, since a run of ten thousand samples takes a while.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from engine.base.errors import InputError
from engine.environment.replay import Replayer, opener
from engine.models.context_window import estimate
from engine.samples.duplicates import THRESHOLD, Duplicates
from engine.samples.sample import Sample, turns_of
from engine.samples.splice import Turn
from engine.samples.trained import StateWalk, Trained, trained_of
from engine.tree.node import Node
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import check_same_trace, load_tree
from engine.workspace.workspace import Workspace


class Shape(NamedTuple):
    """The size of one sample, as the run has it. Tokens are estimated (`engine.models.context_window.estimate`)."""

    turns: int  # messages, the header's included
    tokens: int
    trained: int  # tokens of turns with loss
    faults: Trained = Trained()  # trained turns, and of these the steps that must not be
    duplicate: str = ""  # why it repeats an earlier sample (`engine.samples.duplicates`); "" where it does not
    wrong: str = ""  # action of the wrong step; "" where no step is marked
    answer: str = ""  # observation after the wrong step


def shape_of(turns: Sequence[Turn]) -> Shape:
    """The size of a trajectory."""
    counts = [(estimate(turn.content), bool(turn.loss)) for turn in turns]
    return Shape(len(turns), sum(count for count, _ in counts), sum(count for count, loss in counts if loss))


def shapes(
    workspace: Workspace,
    samples: Sequence[Sample],
    environment_of: Callable[[Sample], str | None] = lambda sample: None,
    threshold: float = THRESHOLD,
) -> Iterator[tuple[Sample, Shape | None]]:
    """Yields every revision sample with its shape, those of one trace together; None where its trace is missing.

    Duplicates are exact or near; without the package that finds near duplicates, no sample counts as a duplicate.

    `workspace`: holds the traces. `samples`: of the run. `environment_of`: returns the environment that a person named
    for a sample's run; None: the trace's own. `threshold`: similarity from which two samples are near duplicates, 0 to
    1.
    """
    try:
        known = Duplicates(threshold)
    except InputError:
        known = None
    for _, group in groupby(sorted(_revisions(samples), key=_path), _path):
        try:
            mine = list(group)
            environment = environment_of(mine[0])
            tree = load_tree(workspace, mine[0], environment)
            for sample in mine:
                check_same_trace(tree, sample)
        except InputError:
            yield from ((sample, None) for sample in mine)
            continue
        replayer = Replayer(tree, opener(tree, environment))
        walk = StateWalk(tree, replayer)
        try:
            for sample in mine:
                turns = turns_of(tree, sample)
                reason = known.reason(sample.environment, sample.task, turns) if known is not None else None
                faults = trained_of(tree, sample, turns, walk)
                wrong = wrong_step(tree, sample)
                yield (
                    sample,
                    shape_of(turns)._replace(
                        duplicate=reason or "",
                        faults=faults,
                        wrong=wrong.action if wrong is not None else "",
                        answer=wrong.observation if wrong is not None else "",
                    ),
                )
        finally:
            replayer.close()


def wrong_step(tree: SearchTree, sample: Sample) -> Node | None:
    """The node of the wrong step, as the run has it; None where no step is marked."""
    if sample.mark is None:
        return None
    path = tree.ancestors(sample.good if sample.bad is None else sample.bad)[1:]
    return tree.nodes[path[sample.mark - 1]] if 0 < sample.mark <= len(path) else None


_NUMBER = re.compile(r"\d+")


def wrong_key(environment: str, action: str) -> str:
    """What wrong actions have in common that are counted as one: the environment and the action, amounts aside."""
    return f"{environment}\n{_NUMBER.sub('#', ' '.join(action.split()))}"


def _revisions(samples: Sequence[Sample]) -> Iterator[Sample]:
    return (sample for sample in samples if sample.kind != "good")


def _path(sample: Sample) -> str:
    return sample.path
