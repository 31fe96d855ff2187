"""Going through a whole tree: nodes that match a query, their order on screen, the best, the worst, the widest gap.

Everything that may take a while is an iterator that gives back control every few milliseconds (`seconds`), so that a
screen can go on in between; what it finds comes in parts. The tree may grow meanwhile: new nodes are taken along.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from engine.query.nodes import Query, View, compile_term, tree_of
from engine.trace.sources import load_any
from engine.tree.node import NO_PARENT, ROOT, Node
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

SLICE = 0.005
"""Seconds after which an iterator gives back control."""

_LOOK = 64  # nodes between two looks at the clock
_LOOK_IN_TEXTS = 4

T = TypeVar("T")


def find(query: Query, reader: TreeReader, alpha: float | None = None) -> list[int]:
    """All nodes that match at the moment of `reader`, in order of creation.

    `query`: parsed. `reader`: the tree at a moment. `alpha`: the threshold that `good` and `bad` go by; None: the
    default for the tree's returns.
    """
    return [id for part in slices(query, reader, alpha=alpha, seconds=3600.0) for id in part]


def slices(
    query: Query, reader: TreeReader, *, alpha: float | None = None, first: int = ROOT, seconds: float = SLICE
) -> Iterator[list[int]]:
    """The nodes from id `first` on that match, in order of creation, a part at a time; a part may be empty.

    `query`: parsed. `reader`: the tree at a moment. `alpha`: the threshold that `good` and `bad` go by; None: the
    default for the tree's returns. `seconds`: how long one part may take.
    """
    view = View(reader, alpha)
    if not view.now and query.names() & {"q", "visits", "w", "unseen"}:
        yield from ([] for _ in _take_statistics(view, seconds))
    test = compile_term(query.term, view)
    look = _LOOK_IN_TEXTS if query.reads_texts else _LOOK
    nodes, at, of_attempts = view.tree.nodes, first, bool(view.tree.attempts)  # a node without one is left over
    found: list[int] = []
    end = time.perf_counter() + seconds
    while at < len(reader):
        stop = min(at + look, len(reader))
        found += [node.id for node in nodes[at:stop] if test(node) and (node.visits or not of_attempts)]
        at = stop
        if time.perf_counter() >= end:
            yield found
            found, end = [], time.perf_counter() + seconds
    yield found


def _take_statistics(view: View, seconds: float) -> Iterator[None]:
    """Add up N and W of every node at the moment of a view, back-up by back-up as the search did."""
    tree, seq = view.tree, view.reader.seq
    count = len(view.reader)
    visits, sums = [0] * count, [0.0] * count
    nodes, end = tree.nodes, time.perf_counter() + seconds
    for place, (at, leaf, value) in enumerate(tree.history.backups):
        if at > seq:
            break
        id = leaf
        while id != NO_PARENT:
            visits[id] += 1
            sums[id] += value
            id = nodes[id].parent
        if place % 16 == 0 and time.perf_counter() >= end:
            yield
            end = time.perf_counter() + seconds
    view.statistics = visits, sums


def ranks(reader: TreeReader, seconds: float = SLICE) -> Iterator[list[int] | None]:
    """Yields None until the order is known, then once the place of each node among the rows of an unfolded tree, by
    id."""
    tree, count = tree_of(reader), len(reader)
    nodes = tree.nodes
    sizes = [1] * count
    end = time.perf_counter() + seconds
    for id in range(count - 1, ROOT, -1):
        sizes[nodes[id].parent] += sizes[id]
        if id % 512 == 0 and time.perf_counter() >= end:
            yield None
            end = time.perf_counter() + seconds
    rank, free = [0] * count, [1] * count
    for id in range(1, count):
        parent = nodes[id].parent
        rank[id] = free[parent]
        free[parent] += sizes[id]
        free[id] = rank[id] + 1
        if id % 512 == 0 and time.perf_counter() >= end:
            yield None
            end = time.perf_counter() + seconds
    yield rank


def in_display_order(
    reader: TreeReader, ids: list[int], seconds: float = SLICE
) -> Iterator[tuple[list[int], list[int]] | None]:
    """Yields None until the order of the rows is known, then once the rank of every node (by id), and the ids in `ids`
    by rank.

    `reader`: the tree at a moment. `ids`: the nodes to order. `seconds`: how long one part may take.
    """
    rank: list[int] = []
    for found in ranks(reader, seconds):
        if found is None:
            yield None
        else:
            rank = found
    at_rank = [-1] * len(rank)
    ordered: list[int] = []
    end = time.perf_counter() + seconds
    for place, id in enumerate(ids):
        if id < len(rank):
            at_rank[rank[id]] = id
        if place % 1024 == 0 and time.perf_counter() >= end:
            yield None
            end = time.perf_counter() + seconds
    for start in range(0, len(at_rank), 4096):
        ordered += [id for id in at_rank[start : start + 4096] if id >= 0]
        if time.perf_counter() >= end:
            yield None
            end = time.perf_counter() + seconds
    yield rank, ordered


# -- the one node that is most of something ---------------------------------------------------------------


def greatest(
    reader: TreeReader, key: Callable[[Node], float | None], seconds: float = SLICE
) -> Iterator[list[int] | None]:
    """Yields None until the search is over, then once the ids of all nodes that share the greatest key.

    `reader`: the tree at a moment. `key`: what to compare; None leaves a node out. `seconds`: how long one part may
    take.
    """
    nodes, at = tree_of(reader).nodes, 0
    best: float | None = None
    found: list[int] = []
    end = time.perf_counter() + seconds
    while at < len(reader):
        stop = min(at + _LOOK, len(reader))
        for node in nodes[at:stop]:
            value = key(node)
            if value is None or (best is not None and value < best):
                continue
            if value != best:
                best, found = value, []
            found.append(node.id)
        at = stop
        if time.perf_counter() >= end:
            yield None
            end = time.perf_counter() + seconds
    yield found


def return_of(reader: TreeReader, sign: int = 1) -> Callable[[Node], float | None]:
    """The return of a leaf, times `sign`; None elsewhere. A key for `greatest`."""
    view = View(reader)
    return lambda node: sign * float(node.reward) if view.is_leaf(node) else None


def gap_of(reader: TreeReader) -> Callable[[Node], float | None]:
    """How far the Q of a node's visited children lie apart; None below two of them. A key for `greatest`."""

    def gap(node: Node) -> float | None:
        if len(node.children) < 2:
            return None
        values = [q for child in reader.children(node.id) if (q := reader.q(child)) is not None]
        return max(values) - min(values) if len(values) > 1 else None

    return gap


def at_once(steps: Iterator[T | None]) -> T:
    """Returns the first value of an iterator that is not None."""
    return next(found for found in steps if found is not None)


# -- many traces ------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """What a query finds in one trace."""

    tree: SearchTree
    nodes: list[int]
    warnings: list[str]


def find_in(path: str | Path, query: Query) -> Found:
    """The nodes of a trace or tree file that match now. Raises `InputError` where it can't be read."""
    source = load_any(path)
    return Found(source.tree, find(query, source.tree), source.warnings)
