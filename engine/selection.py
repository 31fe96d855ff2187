"""Which child a search goes to, and why.

A score is a record of its terms, so that the search and the screen that explains it use the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.tree import SearchTree, TreeReader


@dataclass(frozen=True, slots=True)
class Score:
    """Why a child was, or was not, selected (UCT: Kocsis & Szepesvári 2006).

    All terms are in units of return. `total` is what selection compares; +inf for a child never visited.
    """

    exploitation: float | None  # Q = W / N of the child; None where N = 0
    exploration: float  # c * sqrt(ln N_parent / N)
    total: float
    selectable: bool  # False where the child is terminal or exhausted: never selected


def uct(value_sum: float, visits: int, parent_visits: int, c: float) -> tuple[float, float]:
    """Exploitation Q and exploration c * sqrt(ln N_parent / N) of a visited child (N, N_parent ≥ 1)."""
    return value_sum / visits, c * math.sqrt(math.log(parent_visits) / visits)


def score(tree: TreeReader, parent: int, child: int, c: float) -> Score:
    """The score of one child at the moment of `tree`."""
    visits = tree.visits(child)
    selectable = not tree.exhausted(child)
    if visits == 0:
        return Score(None, math.inf, math.inf, selectable)
    exploitation, exploration = uct(tree.value_sum(child), visits, tree.visits(parent), c)
    return Score(exploitation, exploration, exploitation + exploration, selectable)


def scores(tree: TreeReader, parent: int, c: float) -> list[tuple[int, Score]]:
    """The scores of all children of `parent`, in order of creation."""
    return [(child, score(tree, parent, child, c)) for child in tree.children(parent)]


def best_children(tree: SearchTree, parent: int, c: float) -> Sequence[int]:
    """The selectable children that share the greatest score; empty where there is none to select.

    The loop of every search: the same terms as `score`, without the records.
    """
    nodes = tree.nodes
    node = nodes[parent]
    log_parent = math.log(node.visits) if node.visits else 0.0
    best: list[int] = []
    greatest = -math.inf
    for id in node.children:
        child = nodes[id]
        if child.terminal is not None or child.open_children == 0:
            continue
        visits = child.visits
        total = child.value_sum / visits + c * math.sqrt(log_parent / visits) if visits else math.inf
        if total > greatest:
            greatest = total
            best = [id]
        elif total == greatest:
            best.append(id)
    return best
