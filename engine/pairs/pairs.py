"""Pairs of a good and a bad trajectory, enumerated lazily.

A pair is two leaves with `Q(good) - Q(bad) > beta` and `Q(good) > alpha`, both strict (Agent-R, section 3.1). The
original compares alpha with W; at a leaf that was backed up once, W equals Q.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.tree.thresholds import Thresholds
from engine.tree.tree import ROOT, Node, SearchTree


class Pair(NamedTuple):
    """A good and a bad leaf."""

    good: int
    bad: int
    fork: int  # the deepest node that both trajectories share
    gap: float  # Q(good) - Q(bad)


def return_of(leaf: Node) -> float:
    """Q of a leaf that has a return; of any other, 0."""
    return leaf.q or 0.0


def leaves_by_q(tree: SearchTree) -> list[Node]:
    """Leaves sorted by Q, falling; equal ones in order of creation."""
    return sorted(tree.leaves(), key=lambda leaf: -return_of(leaf))


def fork_of(tree: SearchTree, a: int, b: int) -> int:
    """The deepest node on both root-to-node paths. O(depth)."""
    nodes = tree.nodes
    while a != b:
        if nodes[a].depth >= nodes[b].depth:
            a = nodes[a].parent
        else:
            b = nodes[b].parent
    return a


def _first_bad(leaves: list[Node], good: Node, beta: float) -> int:
    """Where, in leaves by falling Q, those begin that are bad enough for `good`."""
    low, high, best = 0, len(leaves), return_of(good)
    while low < high:
        middle = (low + high) // 2
        leaf = leaves[middle]
        if best - return_of(leaf) > beta:
            high = middle
        else:
            low = middle + 1
    return low


def count_pairs(tree: SearchTree, thresholds: Thresholds) -> int:
    """How many pairs there are, without enumerating them: O(leaves * log leaves)."""
    if thresholds.compat and tree.value_sum(ROOT) <= 0:
        return 0
    leaves = leaves_by_q(tree)
    return sum(len(leaves) - _first_bad(leaves, leaf, thresholds.beta) for leaf in leaves if thresholds.good(leaf))


def pairs(tree: SearchTree, thresholds: Thresholds) -> Iterator[Pair]:
    """All pairs: best good leaf first, its worst counterpart last. Nothing is deduplicated."""
    if thresholds.compat and tree.value_sum(ROOT) <= 0:
        return
    leaves = leaves_by_q(tree)
    for good in leaves:
        if not thresholds.good(good):
            continue
        best = return_of(good)
        for bad in leaves[_first_bad(leaves, good, thresholds.beta) :]:
            yield Pair(good.id, bad.id, fork_of(tree, good.id, bad.id), best - return_of(bad))


def best_partner(tree: SearchTree, id: int, thresholds: Thresholds) -> Pair | None:
    """The pair of a leaf that tells most: the latest fork, then the largest gap; None where there is no partner."""
    node = tree.nodes[id]
    if not node.is_leaf or node.q is None:
        return None
    mine = thresholds.good(node)
    best: tuple[int, float] | None = None
    found: Pair | None = None
    for other in tree.leaves():
        good, bad = (node, other) if mine else (other, node)
        gap = return_of(good) - return_of(bad)
        if not thresholds.good(good) or gap <= thresholds.beta:
            continue
        fork = fork_of(tree, good.id, bad.id)
        rank = (tree.nodes[fork].depth, gap)
        if best is None or rank > best:
            best, found = rank, Pair(good.id, bad.id, fork, gap)
    return found
