"""What one more draw at a node promises: the scores of the algorithm `lessons` (docs/scale.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from engine.search.child_scores import NOTHING, Score
from engine.tree.reader import TreeReader

StepsTaken = Callable[[int], int]
"""How many steps were taken from the state of a node, by all nodes in that state."""


def steps_by_state(tree: TreeReader) -> StepsTaken:
    """The steps taken from the state of each node. One pass over the tree."""
    counts: dict[str | int, int] = {}
    for id in range(len(tree)):
        if taken := len(tree.children(id)):
            key = tree.node(id).state_key or id
            counts[key] = counts.get(key, 0) + taken
    return lambda id: counts.get(tree.node(id).state_key or id, 0)


def promise(tree: TreeReader, id: int, steps: StepsTaken, low: float, high: float) -> float:
    """Returns what one more draw at a node promises, a share; infinite where no step was taken from it.

    The chance that a trajectory through the node ends well, (w + 1) / (N + 2) for N ended ones of total return w on a
    scale of 0 to 1 (Laplace's rule of succession), times the share of what is new, 1 / (1 + steps taken from its
    state).

    `tree`: at a moment. `id`: the node. `steps`: returns the steps taken from a node's state. `low` and `high`: least
    and greatest return.
    """
    return math.prod(_terms(tree, id, steps, low, high)) if tree.children(id) else math.inf


def _terms(tree: TreeReader, id: int, steps: StepsTaken, low: float, high: float) -> tuple[float, float]:
    visits = tree.visits(id)
    earned = (tree.value_sum(id) - visits * low) / (high - low) if high > low else 0.0
    return (earned + 1) / (visits + 2), 1 / (1 + steps(id))


def promises(
    tree: TreeReader, parent: int, low: float, high: float, in_flight: Mapping[int, int] = NOTHING
) -> list[tuple[int, Score]]:
    """Returns all children of a node with their scores: `exploitation` is the chance, `exploration` the share of what
    is new.

    `tree`: at a moment. `parent`: the node. `low` and `high`: least and greatest return. `in_flight`: node → expansions
    at or below it that were not backed up yet.
    """

    def steps(id: int) -> int:
        return sum(len(tree.children(each)) for each in tree.same_state(id) or (id,))

    found = []
    for child in tree.children(parent):
        drawn = in_flight.get(child, 0) > sum(in_flight.get(below, 0) for below in tree.children(child))
        ended = tree.node(child).terminal is not None and tree.exhausted(child)
        selectable = not (drawn or ended or tree.fully_drawn(child) or tree.pruned(child))
        if tree.children(child):
            chance, new = _terms(tree, child, steps, low, high)
            found.append((child, Score(chance, new, 0.0, chance * new, selectable)))
        else:
            found.append((child, Score(None, math.inf, 0.0, math.inf, selectable)))
    return found
