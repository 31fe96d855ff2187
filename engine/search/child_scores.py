"""Which child a search goes to, and why.

A score is a record of its terms, so that the search and the screen that explains it use the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

NOTHING: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class Score:
    """Why a child was, or was not, selected. All terms are in units of return.

    `uct` (Kocsis & Szepesvári 2006, as in Agent-R): Q + c * sqrt(ln N_parent / N), +inf for a child never visited.
    `puct` (Silver et al. 2017): Q + c * P * sqrt(N_parent) / (1 + N), Q of an unvisited child is the least return.
    """

    exploitation: float | None  # Q = W / N of the child; None where N = 0
    exploration: float
    virtual_loss: float  # what expansions in flight below the child take off
    total: float  # what selection compares
    selectable: bool  # False where the child is terminal, exhausted or in flight: never selected
    prior: float | None = None  # P of the child among its siblings; None where selection does not use it


def uct(value_sum: float, visits: int, parent_visits: int, c: float) -> tuple[float, float]:
    """Exploitation Q and exploration c * sqrt(ln N_parent / N) of a visited child (N, N_parent ≥ 1).

    `value_sum`: W of the child. `visits`: N of the child. `parent_visits`: N of the parent. `c`: the exploration
    constant. Both results are in units of return.
    """
    return value_sum / visits, c * math.sqrt(math.log(parent_visits) / visits)


def puct(value_sum: float, visits: int, parent_visits: int, c: float, prior: float, low: float) -> tuple[float, float]:
    """Exploitation Q (the least return where N = 0) and exploration c * P * sqrt(N_parent) / (1 + N).

    `value_sum`, `visits`, `parent_visits`, `c`: as in `uct`. `prior`: P, the child's share of the prior among its
    siblings, 0 to 1. `low`: the least return.
    """
    return (value_sum / visits if visits else low), c * prior * math.sqrt(parent_visits) / (1 + visits)


def passing(tree: SearchTree) -> Mapping[int, int]:
    """How many expansions in flight lie at or below each node; nodes with none are left out."""
    counts: dict[int, int] = {}
    for id in tree.in_flight:
        while id >= 0:
            counts[id] = counts.get(id, 0) + 1
            id = tree.nodes[id].parent
    return counts


def priors(tree: TreeReader, parent: int) -> dict[int, float]:
    """The children's priors, scaled to a sum of 1; equal where none is known."""
    children = tree.children(parent)
    given = {child: max(0.0, float(tree.node(child).prior)) for child in children}
    total = sum(given.values())
    if not total:
        return dict.fromkeys(children, 1 / len(children)) if children else {}
    return {child: value / total for child, value in given.items()}


def scores(
    tree: TreeReader,
    parent: int,
    c: float,
    *,
    algorithm: str = "agent-r",
    low: float = 0.0,
    in_flight: Mapping[int, int] = NOTHING,
) -> list[tuple[int, Score]]:
    """Returns the children of a node with their scores, in order of creation.

    Virtual loss (Chaslot, Winands & van den Herik 2008): every expansion in flight at or below a child counts as a
    visit that returned `low`.

    `tree`: at a moment. `parent`: the node. `c`: the exploration constant. `algorithm`: `puct` scores with priors, any
    other by UCT. `low`: the least return. `in_flight`: node → expansions at or below it that were not backed up yet.
    """
    weights = priors(tree, parent) if algorithm == "puct" else {}
    parent_visits = tree.visits(parent) + in_flight.get(parent, 0)
    found = []
    for child in tree.children(parent):
        visits, value_sum, below = tree.visits(child), tree.value_sum(child), in_flight.get(child, 0)
        selectable = not tree.exhausted(child) and not (below and not tree.expanded(child))
        seen, losing = visits + below, value_sum + below * low
        q = value_sum / visits if visits else None
        if algorithm == "puct":
            prior: float | None = weights[child]
            exploitation, exploration = puct(losing, seen, parent_visits, c, weights[child], low)
        elif not seen:
            found.append((child, Score(None, math.inf, 0.0, math.inf, selectable)))
            continue
        else:
            prior = None
            exploitation, exploration = uct(losing, seen, max(1, parent_visits), c)
        loss = (q if q is not None else low) - exploitation if below else 0.0
        found.append((child, Score(q, exploration, loss, exploitation + exploration, selectable, prior)))
    return found


def best_children(
    tree: SearchTree,
    parent: int,
    c: float,
    *,
    algorithm: str = "agent-r",
    low: float = 0.0,
    in_flight: Mapping[int, int] = NOTHING,
) -> Sequence[int]:
    """The selectable children that share the greatest score; empty where there is none to select.

    `tree`, `parent`, `c`, `algorithm`, `low` and `in_flight` (node → expansions at or below it that were not
    backed up yet): as in `scores`.
    """
    if in_flight or algorithm == "puct":
        rows = scores(tree, parent, c, algorithm=algorithm, low=low, in_flight=in_flight)
        greatest = max((score.total for _, score in rows if score.selectable), default=None)
        return [child for child, score in rows if score.selectable and score.total == greatest]
    return _best_by_uct(tree, parent, c)


def _best_by_uct(tree: SearchTree, parent: int, c: float) -> list[int]:
    """The loop of most searches: the same terms as `scores`, without the records."""
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
