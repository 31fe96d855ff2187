"""Series and distributions of a search for plots: returns, visits by depth, branching, values, what it cost.

All take the moment they are asked for, so that a plot shows the past as well as now.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.explain.timeline import Timeline
from engine.tree.events import AnyEvent, Failed, Number, Sampled
from engine.tree.node import Node
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

BINS = 10

MOST_TOKENS = 1 << 62  # that an array of integers holds

MOST = 400
"""Points of a series; longer ones are thinned out evenly, the last point kept."""


class Returns(NamedTuple):
    """Best and mean return so far."""

    at: list[int]  # iterations, or events where none is over yet
    best: list[float]
    mean: list[float]
    iterations: bool  # whether `at` counts iterations


def returns(timeline: Timeline, seq: int) -> Returns:
    """Returns the best and the mean return after every iteration until `seq`; during the first iteration, after every
    event."""
    ended = timeline.tree.iteration_seqs
    count = bisect_right(ended, seq)
    numbers: Sequence[int] = range(1, count + 1) if count > 1 else range(seq + 1)
    series = Returns([], [], [], count > 1)
    for number in thinned(numbers):
        moment = ended[number - 1] if count > 1 else number
        best, mean = timeline.best_at(moment), timeline.mean_at(moment)
        if best is not None and mean is not None:
            series.at.append(number)
            series.best.append(best)
            series.mean.append(mean)
    return series


def thinned(points: Sequence[int], most: int = MOST) -> list[int]:
    """At most `most` of the points, evenly, the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[(place + 1) * len(points) // most - 1] for place in range(most)]


class Snapshot(NamedTuple):
    """What `figures` reads, taken in no time: the tree may grow meanwhile, and figures be made in another thread."""

    nodes: list[Node]
    backups: list[tuple[int, int, Number]]  # (seq, leaf, return)
    dead_ends: int  # nodes whose draws were made and gave no child
    imported: bool
    score_range: tuple[float, float]


class Figures(NamedTuple):
    """Distributions over a tree."""

    visits: list[int]  # N summed over the nodes of each depth, the root's first
    children: list[int]  # how many expanded nodes have 0, 1, 2, … children
    returns: list[int]  # how many trajectories ended in each of `BINS` equal parts of the score range


def snapshot(tree: SearchTree, reader: TreeReader, score_range: tuple[float, float]) -> Snapshot:
    """Returns the tree at the moment of `reader`.

    `tree`: the search. `reader`: the same tree at a moment. `score_range`: least and greatest return.
    """
    backups = tree.history.backups
    dead_ends = [node.id for node in tree.nodes[: len(reader)] if node.terminal == "dead_end"]
    return Snapshot(
        tree.nodes[: len(reader)],
        backups[: bisect_right(backups, reader.seq, key=lambda backup: backup[0])],
        sum(reader.exhausted(id) and not reader.children(id) for id in dead_ends),
        tree.imported_from is not None,
        score_range,
    )


def figures(of: Snapshot) -> Figures:
    """The distributions. O(nodes)."""
    children = Counter(Counter(node.parent for node in of.nodes[1:]).values())
    if of.dead_ends:
        children[0] = of.dead_ends
    if of.imported:
        ended = [float(node.q) for node in of.nodes if node.is_leaf and node.q is not None]
        visits: Counter[int] = Counter()
        for node in of.nodes:
            visits[node.depth] += node.visits
    else:
        ended = [float(value) for _, _, value in of.backups]
        visits = Counter(of.nodes[leaf].depth for _, leaf, _ in of.backups)
        for depth in range(max(visits, default=0) - 1, -1, -1):  # a back-up visits every depth above its leaf too
            visits[depth] += visits[depth + 1]
    return Figures(_dense(visits), _dense(children), histogram(ended, *of.score_range, BINS))


def _dense(counts: Counter[int]) -> list[int]:
    """Counts of 0, 1, 2, … up to the last that is not 0."""
    last = max((number for number, count in counts.items() if count), default=-1)
    return [counts[number] for number in range(last + 1)]


def histogram(values: Sequence[float], low: float, high: float, bins: int) -> list[int]:
    """Returns how many values lie in each of the equal parts of a range; a value outside counts in the first or last
    part.

    `values`: in any order. `low` and `high`: the range. `bins`: number of parts.
    """
    counts = [0] * bins
    for value in values:
        share = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0  # halves: no sum is infinite
        counts[int(max(0.0, min(1.0, share)) * bins) if share < 1 else bins - 1] += 1
    return counts


class Spent(NamedTuple):
    """Sums over time, one entry a time."""

    seconds: list[float]  # since the start
    calls: list[int]
    tokens: list[int]  # empty where the actor never told
    cost: list[float]  # US dollars; empty where the actor never told


class Spending:
    """Calls, tokens and cost over time. The tree keeps only sums: this is filled with the events of its trace."""

    def __init__(self) -> None:
        self.seqs = array("q")  # of each answer, and of each failed call with a price
        self.seconds = array("d")  # since the start
        self.calls = array("q")  # after it
        self.tokens = array("q")
        self.cost = array("d")  # US dollars
        self.knows_tokens = self.knows_cost = False  # False: the actor never told

    def extend(self, events: Iterable[AnyEvent]) -> None:
        """Take up further events, in their order."""
        calls = self.calls[-1] if self.calls else 0
        tokens = self.tokens[-1] if self.tokens else 0
        cost = self.cost[-1] if self.cost else 0.0
        for event in events:
            if not isinstance(event, Sampled | Failed):
                continue
            calls += isinstance(event, Sampled)
            usage = event.usage
            if usage is not None:
                self.knows_tokens |= usage.tokens_in is not None or usage.tokens_out is not None
                self.knows_cost |= usage.cost is not None
                tokens += (usage.tokens_in or 0) + (usage.tokens_out or 0)
                cost += usage.cost or 0.0
            self.seqs.append(event.seq)
            self.seconds.append(event.t)
            self.calls.append(calls)
            self.tokens.append(min(tokens, MOST_TOKENS))
            self.cost.append(cost)

    def until(self, seq: int) -> Spent:
        """What had been spent at times until then, thinned out."""
        places = thinned(range(bisect_right(self.seqs, seq)))
        return Spent(
            [self.seconds[place] for place in places],
            [self.calls[place] for place in places],
            [self.tokens[place] for place in places] if self.knows_tokens else [],
            [self.cost[place] for place in places] if self.knows_cost else [],
        )
