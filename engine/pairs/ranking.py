"""Ranks the pairs of a tree lazily.

A tree of a thousand good and a thousand bad leaves has a million pairs. No ranking lists them all: the first pair costs
one pass over the leaves, each further pair one heap operation.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from math import isqrt
from typing import Literal, NamedTuple

from engine.base.errors import InputError
from engine.pairs.pairs import Pair, pairs, return_of
from engine.pairs.parting import is_decision
from engine.tree.node import ROOT, Node
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree

Rank = Literal["lesson", "return", "fork", "gap", "tail", "mark"]
"""`lesson`: over wrong actions instead of pairs (`engine.samples.lessons`); a list of pairs is as for `fork`.
`return`: best good leaf first, its worst counterpart last. `fork`: latest fork first. `gap`: largest difference of
return first. `tail`: fewest steps from the fork to the good leaf first. `mark`: another wrong step each time, as long
as there are any."""

RANKS: tuple[Rank, ...] = ("lesson", "return", "fork", "gap", "tail", "mark")

SMALL_CLASS = 10_000  # maximum pairs of equal gap that are sorted as a list


class _Leaf(NamedTuple):
    place: int  # in depth-first order: leaves below a node are a range
    id: int
    depth: int
    q: float


class _Layout:
    """The leaves of a tree in depth-first order, and for each node the range of leaves below it.

    A snapshot: nodes that another thread adds later are ignored.
    """

    def __init__(self, tree: SearchTree, thresholds: Thresholds) -> None:
        self.tree = tree
        self.beta = thresholds.beta
        self.count = len(tree)
        self.start = [0] * self.count
        self.end = [0] * self.count
        self.holds_good = bytearray(self.count)  # 1 where a good leaf is the node or below it
        self.leaves: list[_Leaf] = []
        self.goods: list[_Leaf] = []
        known = {leaf.id for leaf in tree.leaves() if leaf.id < self.count}
        pending = [ROOT] if self.count else []
        while pending:
            id = pending.pop()
            if id < 0:  # all nodes below ~id were visited
                self.end[~id] = len(self.leaves)
                continue
            node = tree.nodes[id]
            self.start[id] = len(self.leaves)
            if id in known:
                leaf = _Leaf(len(self.leaves), id, node.depth, return_of(node))
                self.leaves.append(leaf)
                if thresholds.good(node):
                    self.goods.append(leaf)
                    self._good_above(id)
            pending.append(~id)
            pending.extend(reversed(self.children(node)))

    def children(self, node: Node) -> Sequence[int]:
        """Returns the children that a node had when this layout was made."""
        children = node.children
        if not children or children[-1] < self.count:
            return children
        return [child for child in children if child < self.count]

    def _good_above(self, id: int) -> None:
        while id >= 0 and not self.holds_good[id]:
            self.holds_good[id] = 1
            id = self.tree.nodes[id].parent

    def below(self, leaves: Sequence[_Leaf], id: int) -> Sequence[_Leaf]:
        """Returns those of `leaves` (in depth-first order) that are the node or below it."""
        return leaves[bisect_left(leaves, self.start[id], key=_place) : bisect_left(leaves, self.end[id], key=_place)]

    def forks(self, good: Sequence[_Leaf], bad: Sequence[_Leaf]) -> list[Node]:
        """Returns the nodes that can be the fork of a pair, deepest first."""
        nodes = islice(self.tree.nodes, self.count)
        many = (node for node in nodes if len(node.children) > 1 and self.end[node.id] - self.start[node.id] > 1)
        found = [node for node in many if self.below(good, node.id) and len(self.below(bad, node.id))]
        found.sort(key=lambda node: (-node.depth, node.id))
        return found


def _place(leaf: _Leaf) -> int:
    return leaf.place


def _best_first(leaf: _Leaf) -> tuple[float, int, int]:
    return -leaf.q, leaf.depth, leaf.id


def _worst_first(leaf: _Leaf) -> tuple[float, int]:
    return leaf.q, leaf.id


Ranked = tuple[float, int, int, int, Pair]  # minus gap, length of the tail, good, bad, the pair


OfChild = Sequence[tuple[int, list[_Leaf]]]  # the good leaves below each child, best first


def _by_child(layout: _Layout, fork: Node, goods: Iterable[_Leaf]) -> OfChild:
    """Returns the good leaves below a node, grouped by child."""
    children = layout.children(fork)
    starts = [layout.start[child] for child in children]
    of_child: dict[int, list[_Leaf]] = {}
    for good in goods:
        place = bisect_left(starts, good.place + 1) - 1
        while (
            layout.end[children[place]] <= good.place
        ):  # a child without leaves starts at the same place as its sibling
            place -= 1
        of_child.setdefault(children[place], []).append(good)
    for mine in of_child.values():
        mine.sort(key=_best_first)
    return list(of_child.items())


def _at_fork(layout: _Layout, fork: Node, of_child: OfChild, bads: Sequence[_Leaf]) -> Iterator[Ranked]:
    """Yields the pairs that fork at a node: largest gap first, then shortest tail. All given leaves are below it."""
    nodes, beta = layout.tree.nodes, layout.beta
    worst = sorted(bads, key=_worst_first)
    large = isqrt(len(worst))
    heap: list[tuple[float, int, int, int, int, int]] = []  # the pair's rank; place in the row, group
    groups: list[tuple[list[_Leaf], Sequence[_Leaf], int]] = []  # goods of a child, bad leaves, the child

    def next_in_row(group: int, row: int, at: int) -> None:
        mine, others, child = groups[group]
        good, first, last = mine[row], layout.start[child], layout.end[child]
        while at < len(others) and first <= others[at].place < last:
            at += 1
        if at < len(others) and good.q - others[at].q > beta:
            bad = others[at]
            rank = (bad.q - good.q, good.depth - nodes[fork.id].depth, good.id, bad.id)
            heapq.heappush(heap, (*rank, at, group))
            rows[good.id] = (group, row)

    rows: dict[int, tuple[int, int]] = {}
    begun: set[int] = set()
    for child, mine in of_child:
        first, last = layout.start[child], layout.end[child]
        others: Sequence[_Leaf] = worst
        if last - first > large:  # cheaper than skipping them row by row
            others = [leaf for leaf in worst if not first <= leaf.place < last]
        groups.append((mine, others, child))
        next_in_row(len(groups) - 1, 0, 0)
    while heap:
        gap, tail, good_id, bad_id, at, group = heapq.heappop(heap)
        yield gap, tail, good_id, bad_id, Pair(good_id, bad_id, fork.id, -gap)
        _, row = rows[good_id]
        next_in_row(group, row, at + 1)
        if good_id not in begun:  # the first pair of the next row cannot be better
            begun.add(good_id)
            if row + 1 < len(groups[group][0]):
                next_in_row(group, row + 1, 0)


def _by_fork(layout: _Layout, goods: Sequence[_Leaf], bads: Sequence[_Leaf], tail: int | None = None) -> Iterator[Pair]:
    """Yields pairs: latest fork first, then largest gap, then shortest tail. `tail`: only tails of this many steps."""

    def wanted(fork: Node) -> Iterable[_Leaf]:
        below = layout.below(goods, fork.id)
        return below if tail is None else (leaf for leaf in below if leaf.depth - fork.depth == tail)

    for _, level in groupby(layout.forks(goods, bads), key=lambda node: node.depth):
        rows = (
            _at_fork(layout, fork, _by_child(layout, fork, wanted(fork)), layout.below(bads, fork.id)) for fork in level
        )
        for ranked in heapq.merge(*rows):
            yield ranked[4]


def _by_gap(layout: _Layout) -> Iterator[Pair]:
    """Yields pairs: largest gap first, then latest fork. Leaves of equal return are one class."""
    goods, bads = _classes(layout.goods, best=True), _classes(layout.leaves, best=False)
    heap = [(bads[0][0] - goods[0][0], 0, 0)] if goods and bads else []
    while heap:
        gap, good, bad = heapq.heappop(heap)
        if -gap <= layout.beta:
            return
        yield from _of_classes(layout, goods[good][1], bads[bad][1])
        if bad + 1 < len(bads):
            heapq.heappush(heap, (bads[bad + 1][0] - goods[good][0], good, bad + 1))
        if bad == 0 and good + 1 < len(goods):
            heapq.heappush(heap, (bads[0][0] - goods[good + 1][0], good + 1, 0))


def _classes(leaves: Sequence[_Leaf], best: bool) -> list[tuple[float, list[_Leaf]]]:
    """Returns the leaves grouped by Q, each group in depth-first order."""
    by_q: dict[float, list[_Leaf]] = {}
    for leaf in leaves:
        by_q.setdefault(leaf.q, []).append(leaf)
    return sorted(by_q.items(), key=lambda item: -item[0] if best else item[0])


def _of_classes(layout: _Layout, goods: list[_Leaf], bads: list[_Leaf]) -> Iterator[Pair]:
    if len(goods) * len(bads) > SMALL_CLASS:
        yield from _by_fork(layout, goods, bads)
        return
    nodes = layout.tree.nodes
    found = []
    for good in goods:
        above = layout.tree.ancestors(good.id)
        for bad in bads:
            low, high = 0, min(good.depth, bad.depth)
            while low < high:  # the deepest node above the good leaf whose range holds the bad one
                middle = (low + high + 1) // 2
                if layout.start[above[middle]] <= bad.place < layout.end[above[middle]]:
                    low = middle
                else:
                    high = middle - 1
            fork = above[low]
            depth = nodes[fork].depth
            found.append((-depth, good.depth - depth, good.id, bad.id, Pair(good.id, bad.id, fork, good.q - bad.q)))
    found.sort()
    for ranked in found:
        yield ranked[4]


def _by_tail(layout: _Layout) -> Iterator[Pair]:
    """Yields pairs: shortest tail first, then latest fork, then largest gap."""
    for length in range(1, max((leaf.depth for leaf in layout.goods), default=0) + 1):
        yield from _by_fork(layout, layout.goods, layout.leaves, length)


def _by_mark(layout: _Layout) -> Iterator[Pair]:
    """Yields the best pair of each wrong step, deepest first; then the second best of each, and so on.

    The wrong step of a bad leaf is the first step of its path with no good leaf below: no verifier is needed for it.
    """
    wrong: dict[int, list[_Leaf]] = {}
    best = max((leaf.q for leaf in layout.goods), default=0.0)
    for leaf in layout.leaves:
        if best - leaf.q <= layout.beta:  # bad in no pair
            continue
        at = leaf.id
        parent = layout.tree.nodes[at].parent
        while parent != ROOT and not layout.holds_good[parent]:
            at, parent = parent, layout.tree.nodes[parent].parent
        wrong.setdefault(at, []).append(leaf)
    order = sorted(wrong, key=lambda id: (-layout.tree.nodes[id].depth, id))
    known: dict[int, OfChild] = {}
    turns = [_above(layout, id, wrong[id], known) for id in order]
    while turns:
        left = []
        for turn in turns:
            pair = next(turn, None)
            if pair is not None:
                yield pair
                left.append(turn)
        turns = left


def _above(layout: _Layout, id: int, bads: Sequence[_Leaf], known: dict[int, OfChild]) -> Iterator[Pair]:
    """Yields the pairs of bad leaves below node `id` that fork above it, the latest first. `known`: a cache, filled
    here."""
    nodes = layout.tree.nodes
    below, at = id, nodes[id].parent
    while at >= 0:
        if at not in known:
            known[at] = _by_child(layout, nodes[at], layout.below(layout.goods, at))
        others = [(child, mine) for child, mine in known[at] if child != below]
        for ranked in _at_fork(layout, nodes[at], others, bads):
            yield ranked[4]
        below, at = at, nodes[at].parent


def ranked(tree: SearchTree, thresholds: Thresholds, rank: Rank = "fork") -> Iterator[Pair]:
    """Yields all pairs of a tree lazily, best first. Raises `InputError` for an unknown rank.

    `tree`: the search. `thresholds`: which leaves are good, and how large a gap is enough. `rank`: what is best, see
    `Rank`.
    """
    for pair in _ranked(tree, thresholds, rank):
        if is_decision(tree, pair.fork, pair.good, pair.bad):
            yield pair


def _ranked(tree: SearchTree, thresholds: Thresholds, rank: Rank) -> Iterator[Pair]:
    if rank not in RANKS:
        raise InputError(f"unknown rank {rank!r}: one of {', '.join(RANKS)}")
    if rank == "return":
        yield from pairs(tree, thresholds)
        return
    if thresholds.compat and tree.value_sum(ROOT) <= 0:
        return
    layout = _Layout(tree, thresholds)
    if rank in ("fork", "lesson"):
        yield from _by_fork(layout, layout.goods, layout.leaves)
    elif rank == "gap":
        yield from _by_gap(layout)
    elif rank == "tail":
        yield from _by_tail(layout)
    else:
        yield from _by_mark(layout)
