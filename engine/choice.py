"""Which pairs become samples: ranked lazily, limited by fork and by tree, duplicates taken once.

A tree of a thousand good and a thousand bad leaves has a million pairs. None of the rankings here lists them all: the
first page costs the leaves, each further pair a step of a heap.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from importlib import import_module
from itertools import groupby
from math import isqrt
from typing import Any, Literal, NamedTuple

from engine.errors import InputError
from engine.pairs import Pair, Thresholds, pairs
from engine.revision import Turn
from engine.text import parse_action
from engine.tree import ROOT, Node, SearchTree

Rank = Literal["return", "fork", "gap", "tail", "mark"]
"""`return`: best good leaf first, its worst counterpart last. `fork`: latest fork first. `gap`: largest difference of
return first. `tail`: fewest steps from the fork to the good leaf first. `mark`: another wrong step each time, as long
as there are any."""

RANKS: tuple[Rank, ...] = ("return", "fork", "gap", "tail", "mark")

SMALL_CLASS = 10_000  # pairs of equal gap that are sorted as a list

PER_TREE = "more than asked for a tree"
PER_FORK = "more than asked for a fork"
MAX_PAIRS = "beyond the most pairs"
SAME_STEP = "the same wrong step"
EXACT = "exact duplicate"
NEAR = "near duplicate"
REFUSED = "mark before the fork"
"""Why pairs are dropped."""

SHINGLE = 3  # words
PERMUTATIONS = 64  # of MinHash: the estimate of a Jaccard similarity near 0.9 is right to about 0.04


# -- ranking -------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    place: int  # in depth-first order: leaves below a node are a range
    id: int
    depth: int
    q: float


class _Layout:
    """The leaves of a tree in depth-first order, and the range of them below each node."""

    def __init__(self, tree: SearchTree, thresholds: Thresholds) -> None:
        self.tree = tree
        self.beta = thresholds.beta
        self.start = [0] * len(tree)
        self.end = [0] * len(tree)
        self.leaves: list[_Leaf] = []
        self.goods: list[_Leaf] = []
        known = {leaf.id for leaf in tree.leaves()}
        pending = [ROOT] if len(tree) else []
        while pending:
            id = pending.pop()
            if id < 0:  # everything below ~id was visited
                self.end[~id] = len(self.leaves)
                continue
            node = tree.nodes[id]
            self.start[id] = len(self.leaves)
            if id in known:
                leaf = _Leaf(len(self.leaves), id, node.depth, node.value_sum / node.visits)
                self.leaves.append(leaf)
                if thresholds.good(node):
                    self.goods.append(leaf)
            pending.append(~id)
            pending.extend(reversed(node.children))

    def below(self, leaves: Sequence[_Leaf], id: int) -> Sequence[_Leaf]:
        """Those of some leaves (in depth-first order) that are the node or below it."""
        return leaves[bisect_left(leaves, self.start[id], key=_place) : bisect_left(leaves, self.end[id], key=_place)]

    def holds_good(self, id: int) -> bool:
        """Whether a good leaf is the node or below it."""
        at = bisect_left(self.goods, self.start[id], key=_place)
        return at < len(self.goods) and self.goods[at].place < self.end[id]

    def forks(self, good: Sequence[_Leaf], bad: Sequence[_Leaf]) -> list[Node]:
        """Nodes that may be the fork of some pair, deepest first."""
        nodes = self.tree.nodes
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


def _at_fork(layout: _Layout, fork: Node, goods: Iterable[_Leaf], bads: Sequence[_Leaf]) -> Iterator[Ranked]:
    """The pairs that fork at a node: largest gap first, then the shortest tail. All leaves given are below it."""
    nodes, beta = layout.tree.nodes, layout.beta
    worst = sorted(bads, key=_worst_first)
    large = isqrt(len(worst))
    of_child: dict[int, list[_Leaf]] = {}
    starts = [layout.start[child] for child in fork.children]
    for good in goods:
        place = bisect_left(starts, good.place + 1) - 1
        while layout.end[fork.children[place]] <= good.place:  # a child without leaves starts where its sibling does
            place -= 1
        of_child.setdefault(fork.children[place], []).append(good)
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
    for child, mine in of_child.items():
        mine.sort(key=_best_first)
        first, last = layout.start[child], layout.end[child]
        others: Sequence[_Leaf] = worst
        if last - first > large:  # skipping its own leaves row by row would cost too much
            others = [leaf for leaf in worst if not first <= leaf.place < last]
        groups.append((mine, others, child))
        next_in_row(len(groups) - 1, 0, 0)
    while heap:
        gap, tail, good_id, bad_id, at, group = heapq.heappop(heap)
        yield gap, tail, good_id, bad_id, Pair(good_id, bad_id, fork.id, -gap)
        _, row = rows[good_id]
        next_in_row(group, row, at + 1)
        if good_id not in begun:  # the first of a row: the next row's first can't be better
            begun.add(good_id)
            if row + 1 < len(groups[group][0]):
                next_in_row(group, row + 1, 0)


def _by_fork(layout: _Layout, goods: Sequence[_Leaf], bads: Sequence[_Leaf], tail: int | None = None) -> Iterator[Pair]:
    """Latest fork first, then the largest gap, then the shortest tail. `tail`: only tails of that many steps."""

    def wanted(fork: Node) -> Iterable[_Leaf]:
        below = layout.below(goods, fork.id)
        return below if tail is None else (leaf for leaf in below if leaf.depth - fork.depth == tail)

    for _, level in groupby(layout.forks(goods, bads), key=lambda node: node.depth):
        rows = (_at_fork(layout, fork, wanted(fork), layout.below(bads, fork.id)) for fork in level)
        for ranked in heapq.merge(*rows):
            yield ranked[4]


def _by_gap(layout: _Layout) -> Iterator[Pair]:
    """Largest gap first, then the latest fork. Leaves of equal return are taken together."""
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
    """Leaves by their Q, in depth-first order within."""
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
    """Shortest way from the fork to the good leaf first, then the latest fork, then the largest gap."""
    for length in range(1, max((leaf.depth for leaf in layout.goods), default=0) + 1):
        yield from _by_fork(layout, layout.goods, layout.leaves, length)


def _by_mark(layout: _Layout) -> Iterator[Pair]:
    """In turn a pair of each wrong step, deepest first: the best of each, then the second best of each, …

    The wrong step of a bad leaf is the first on its way below which no good leaf is: what is known without a verifier.
    """
    wrong: dict[int, list[_Leaf]] = {}
    for leaf in layout.leaves:
        at = leaf.id
        parent = layout.tree.nodes[at].parent
        while parent != ROOT and not layout.holds_good(parent):
            at, parent = parent, layout.tree.nodes[parent].parent
        wrong.setdefault(at, []).append(leaf)
    order = sorted(wrong, key=lambda id: (-layout.tree.nodes[id].depth, id))
    turns = [_above(layout, id, wrong[id]) for id in order]
    while turns:
        left = []
        for turn in turns:
            pair = next(turn, None)
            if pair is not None:
                yield pair
                left.append(turn)
        turns = left


def _above(layout: _Layout, id: int, bads: Sequence[_Leaf]) -> Iterator[Pair]:
    """Pairs of some bad leaves, all below one node, that fork above it: latest first."""
    nodes = layout.tree.nodes
    below, at = id, nodes[id].parent
    while at >= 0:
        first, last = layout.start[below], layout.end[below]
        goods = (leaf for leaf in layout.below(layout.goods, at) if not first <= leaf.place < last)
        for ranked in _at_fork(layout, nodes[at], goods, bads):
            yield ranked[4]
        below, at = at, nodes[at].parent


def ranked(tree: SearchTree, thresholds: Thresholds, rank: Rank = "fork") -> Iterator[Pair]:
    """All pairs of a tree, best first by `rank`; lazily. Raises `InputError` for an unknown rank."""
    if rank not in RANKS:
        raise InputError(f"unknown rank {rank!r}: one of {', '.join(RANKS)}")
    if rank == "return":
        yield from pairs(tree, thresholds)
        return
    if thresholds.compat and tree.value_sum(ROOT) <= 0:
        return
    layout = _Layout(tree, thresholds)
    if rank == "fork":
        yield from _by_fork(layout, layout.goods, layout.leaves)
    elif rank == "gap":
        yield from _by_gap(layout)
    elif rank == "tail":
        yield from _by_tail(layout)
    else:
        yield from _by_mark(layout)


# -- duplicates ----------------------------------------------------------------------------------------


def wrong_step(tree: SearchTree, bad: int, mark: int | None) -> tuple[str, str]:
    """What the wrong step is, for `--diverse`: where it was taken and what was done; equal states are one place."""
    path = tree.ancestors(bad)
    at = path[-1] if mark is None else path[mark]
    node = tree.nodes[at]
    parent = tree.nodes[node.parent]
    return parent.state_key or f"node {parent.id}", node.action


class Duplicates:
    """Samples that were taken already: two are one where the flagged action is the same and the trained parts agree.

    *Exact*: the same words in the trained part (the revision thought aside, which is drawn) and in the steps before
    it. *Near*: the sets of word 3-shingles of the trained parts have a Jaccard similarity of at least `threshold`, as
    MinHash estimates it. Samples of other tasks are never one.
    """

    def __init__(self, threshold: float) -> None:
        """Raises `InputError` for a threshold that is no share, or where the package is missing."""
        if not 0 < threshold <= 1:
            raise InputError(f"the threshold of near duplicates is a share above 0 and up to 1, not {threshold:g}")
        try:
            datasketch: Any = import_module("datasketch")  # brings SciPy: half a second
        except ImportError as error:
            raise InputError(
                "near duplicates need the package datasketch: pip install 'agentr-tui[review]', or --duplicates 0"
            ) from error
        self.threshold = threshold
        self._exact: set[bytes] = set()
        self._hash = datasketch.MinHash
        self._make = datasketch.MinHashLSH
        self._of_action: dict[str, Any] = {}  # flagged action → index of sketches
        self._kept: dict[bytes, Any] = {}  # sample → sketch
        self._sketches: dict[bytes, Any] = {}  # text → sketch

    def reason(self, environment: str, task: str, turns: Sequence[Turn]) -> str | None:
        """Why this trajectory is no new one (`EXACT`, `NEAR`); None where it is, and then it is remembered."""
        trained = [turn.content for turn in turns if turn.loss and turn.part != "thought"]
        before = [turn.content for turn in turns if turn.role == "assistant" and turn.loss is False]
        key = _digest([environment, task, *before, "", *trained])
        if key in self._exact:
            return EXACT
        action = "\0".join((environment, task, parse_action(before[-1]) if before else ""))
        text = _digest(trained)
        sketch = self._sketches.get(text)
        if sketch is None:
            sketch = self._sketches[text] = self._hash(num_perm=PERMUTATIONS, seed=1)
            sketch.update_batch([shingle.encode("utf-8", "replace") for shingle in shingles(trained)])
        index = self._of_action.get(action)
        if index is None:
            index = self._of_action[action] = self._make(threshold=min(self.threshold, 0.99), num_perm=PERMUTATIONS)
        for found in index.query(sketch):
            if self._kept[found].jaccard(sketch) >= self.threshold:
                return NEAR
        self._exact.add(key)
        self._kept[key] = sketch
        index.insert(key, sketch)
        return None


def shingles(texts: Iterable[str]) -> set[str]:
    """The word 3-shingles of some texts; a text of fewer words is one shingle."""
    found: set[str] = set()
    for text in texts:
        words = text.casefold().split()
        if len(words) < SHINGLE:
            found.add(" ".join(words))
        found.update(" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))
    return found


def _digest(texts: Iterable[str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "replace") + b"\0")
    return digest.digest()
