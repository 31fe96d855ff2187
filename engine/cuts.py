"""What was cut out of a sample, and how a person takes it back, step by step."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from engine.replay import Replayer
from engine.revision import Tail, TailStep
from engine.sample import Sample, replay_sample, whole_splice
from engine.straight import JOINED, NOT_NEEDED
from engine.tree import SearchTree


def with_steps_back(tree: SearchTree, sample: Sample, nodes: Collection[int], replayer: Replayer) -> Sample:
    """The sample with some of its cut steps in their places again, replayed.

    A step that was cut for being wrong is masked where it stands in the tail: it is never trained.
    """
    back = [each for each in sample.cut if each.node in nodes]
    if not back:
        return sample
    cut = [each for each in sample.cut if each.node not in nodes]
    tail = sample.tail
    of_tail = [each for each in back if each.part == "tail"]
    if tail is not None and of_tail:
        steps: list[TailStep] = []
        for place in range(len(tail.steps) + 1):
            for each in of_tail:
                if each.place == place:
                    node = tree.nodes[each.node]
                    trained = each.reason in (NOT_NEEDED, JOINED)
                    steps.append(TailStep(node.response, node.action, node.observation, each.node, trained))
            steps += tail.steps[place : place + 1]
        tail = replace(tail, steps=steps)
    earlier = sample.earlier + _mistakes(tree, sample, {each.node for each in back if each.part == "context"})
    changed = replace(sample, cut=cut, tail=tail, earlier=earlier, replay=None)
    return replace(changed, replay=replay_sample(tree, changed, replayer))


def _mistakes(tree: SearchTree, sample: Sample, nodes: Collection[int]) -> int:
    """How many of some steps before the wrong one were judged Bad."""
    bad = {each.step for each in sample.judgements if each.word == "Bad"}
    path = whole_splice(tree, sample).bad
    return sum(step in bad and id in nodes for step, id in enumerate(path[:-1], 1))


def made_told(tail: Tail | None) -> str:
    """How a tail came about, in a word."""
    return {"straight": "straightened", "joined": "joined", "repaired": "repaired"}[tail.made] if tail else "as found"
