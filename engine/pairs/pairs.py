"""Pairs of a good and a bad trajectory, enumerated lazily.

A pair is two leaves with `Q(good) - Q(bad) > beta` and `Q(good) > alpha`, both strict (Agent-R, section 3.1). The
original compares alpha with W; at a leaf that was backed up once, W equals Q.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.pairs.parting import action_group, is_decision, is_silent
from engine.tree.node import ROOT, Node
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree


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
    """Returns the deepest node on both root-to-node paths. O(depth).

    `tree`: the search. `a` and `b`: the two nodes, in either order.
    """
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
    return _count(leaves_by_q(tree), thresholds) - count_by_chance(tree, thresholds)


def _count(leaves: list[Node], thresholds: Thresholds) -> int:
    """The pairs of some leaves, sorted by falling Q, wherever they part."""
    return sum(len(leaves) - _first_bad(leaves, leaf, thresholds.beta) for leaf in leaves if thresholds.good(leaf))


def count_by_chance(tree: SearchTree, thresholds: Thresholds) -> int:
    """How many pairs there would be that part by no decision of the agent (`engine.pairs.parting`): they are none."""
    forks = [node for node in tree.nodes if _chancy(tree, node)] if tree.attempts else []
    if not forks:
        return 0
    order, start, end = _ranges(tree)
    by_q = {leaf.id: leaf for leaf in tree.leaves()}

    def among(children: list[int]) -> int:
        below = [by_q[id] for child in children for id in order[start[child] : end[child]] if id in by_q]
        return _count(sorted(below, key=lambda leaf: -return_of(leaf)), thresholds)

    found = 0
    for node in forks:
        groups: dict[int, list[int]] = {}
        silent = [child for child in node.children if is_silent(tree.nodes[child])]
        spoken = [child for child in node.children if child not in silent]
        for child in spoken:
            groups.setdefault(action_group(tree.nodes[child]), []).append(child)
        if silent:  # a pair with one of these, or within a group of outcomes
            found += among(list(node.children)) - among(spoken) - sum(among([child]) for child in silent)
        found += sum(
            among(group) - sum(among([child]) for child in group) for group in groups.values() if len(group) > 1
        )
    return found


def _chancy(tree: SearchTree, node: Node) -> bool:
    return len(node.children) > 1 and any(
        is_silent(child) or action_group(child) != child.id for child in map(tree.node, node.children)
    )


def _ranges(tree: SearchTree) -> tuple[list[int], list[int], list[int]]:
    """All nodes in depth-first order, and for each node the range of its subtree."""
    order: list[int] = []
    start, end = [0] * len(tree), [0] * len(tree)
    pending = [ROOT]
    while pending:
        id = pending.pop()
        if id < 0:
            end[~id] = len(order)
            continue
        start[id] = len(order)
        order.append(id)
        pending.append(~id)
        pending.extend(reversed(tree.nodes[id].children))
    return order, start, end


def pairs(tree: SearchTree, thresholds: Thresholds) -> Iterator[Pair]:
    """All pairs: best good leaf first, its worst counterpart last. Nothing is deduplicated; where chance parts two
    imported attempts they are no pair."""
    if thresholds.compat and tree.value_sum(ROOT) <= 0:
        return
    leaves = leaves_by_q(tree)
    for good in leaves:
        if not thresholds.good(good):
            continue
        best = return_of(good)
        for bad in leaves[_first_bad(leaves, good, thresholds.beta) :]:
            fork = fork_of(tree, good.id, bad.id)
            if is_decision(tree, fork, good.id, bad.id):
                yield Pair(good.id, bad.id, fork, best - return_of(bad))


def best_partner(tree: SearchTree, id: int, thresholds: Thresholds) -> Pair | None:
    """Returns the most instructive pair of a leaf: the latest fork, then the largest gap; None where there is no
    partner.

    `tree`: the search. `id`: the leaf. `thresholds`: which leaves are good, and how large a gap is enough.
    """
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
        if not is_decision(tree, fork, good.id, bad.id):
            continue
        rank = (tree.nodes[fork].depth, gap)
        if best is None or rank > best:
            best, found = rank, Pair(good.id, bad.id, fork, gap)
    return found
