"""When things happened in a search: the data of a timeline, and what changed between two moments.

Built on first use from what the tree keeps, and extended as events are folded. Reading a column costs a few binary
searches, so a timeline of any length is drawn in the time of its width.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from engine.tree.events import Failed, Intervened, SettingsChanged
from engine.tree.node import NO_PARENT
from engine.tree.tree import SearchTree

Kind = Literal["intervened", "good", "disaster", "bad", "failed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What is marked, that which matters most first: of a column with several, the first is shown."""


class Column(NamedTuple):
    """What happened in one stretch of a timeline."""

    end: int  # its last event
    best: float | None  # best return so far, at its end; None before the first back-up
    mean: float | None  # mean return so far, at its end
    born: int  # nodes that were made in it
    iterations: int  # that ended in it
    mark: Kind | None  # the kind that matters most of what happened in it
    mark_seq: int  # the last event of that kind in it; `end` where there is none


class Timeline:
    """The moments of a tree's search. A leaf is good where its return exceeds `alpha`."""

    def __init__(self, tree: SearchTree, alpha: float) -> None:
        self.tree = tree
        self.alpha = alpha
        self.moments: dict[Kind, list[int]] = {kind: [] for kind in KINDS}  # seqs, rising
        self._best_seqs: list[int] = []  # where the best return rose
        self._best: list[float] = []
        self._back_seqs: list[int] = []
        self._sums: list[float] = []  # of returns, after each back-up
        self._birth_seqs: list[int] = []
        self._births: list[int] = []  # nodes there were after each expansion
        self._seen = 0  # entries of the log that were taken up
        self.extend()

    def extend(self) -> None:
        """Take up what was folded since the last call."""
        tree, moments = self.tree, self.moments
        best = self._best[-1] if self._best else None
        total = self._sums[-1] if self._sums else 0.0
        for seq, leaf, value in tree.history.backups[len(self._back_seqs) :]:
            total += value
            self._back_seqs.append(seq)
            self._sums.append(total)
            if best is None or value > best:
                best = float(value)
                self._best_seqs.append(seq)
                self._best.append(best)
            kind: Kind = "good" if value > self.alpha else "bad"
            moments["disaster" if tree.nodes[leaf].terminal == "disaster" else kind].append(seq)
        for seq, count in tree.history.births[len(self._births) :]:
            self._birth_seqs.append(seq)
            self._births.append(count)
        log = tree.chronicle.log
        for event in log[self._seen :]:
            if isinstance(event, Failed):
                moments["failed"].append(event.seq)
            elif isinstance(event, Intervened | SettingsChanged):
                moments["intervened"].append(event.seq)
        self._seen = len(log)

    # -- one moment --------------------------------------------------------------------------------

    def best_at(self, seq: int) -> float | None:
        """The best return that was backed up until then."""
        place = bisect_right(self._best_seqs, seq)
        return self._best[place - 1] if place else None

    def mean_at(self, seq: int) -> float | None:
        """The mean of all returns that were backed up until then."""
        place = bisect_right(self._back_seqs, seq)
        return self._sums[place - 1] / place if place else None

    def iteration_at(self, seq: int) -> int:
        """How many iterations were over."""
        return bisect_right(self.tree.iteration_seqs, seq)

    def nodes_at(self, seq: int) -> int:
        """How many nodes there were."""
        place = bisect_right(self._birth_seqs, seq)
        return self._births[place - 1] if place else 0

    def neighbour(self, kind: Kind, seq: int, step: int) -> int | None:
        """Returns the event number of the next moment of a kind; None where there is none.

        `kind`: of the moment. `seq`: the event to start from, which does not count. `step`: 1: after it; -1: before it.
        """
        seqs = self.moments[kind]
        place = bisect_right(seqs, seq) if step > 0 else bisect_left(seqs, seq) - 1
        return seqs[place] if 0 <= place < len(seqs) else None

    # -- a row of columns --------------------------------------------------------------------------

    def columns(self, width: int) -> list[Column]:
        """The search in `width` columns of equal length, from its first event to its last."""
        last = self.tree.seq
        columns: list[Column] = []
        start, nodes, ended = 0, 0, 0
        for place in range(width):
            end = last_of(place, width, last)
            kind, seq = self._mark(start, end)
            count, over = self.nodes_at(end), self.iteration_at(end)
            columns.append(Column(end, self.best_at(end), self.mean_at(end), count - nodes, over - ended, kind, seq))
            start, nodes, ended = end + 1, count, over
        return columns

    def _mark(self, start: int, end: int) -> tuple[Kind | None, int]:
        """What matters most of the events from `start` to `end`, and the last of that kind."""
        if start <= end:
            for kind in KINDS:
                seqs = self.moments[kind]
                place = bisect_right(seqs, end) - 1
                if place >= 0 and seqs[place] >= start:
                    return kind, seqs[place]
        return None, end


def column_of(seq: int, width: int, last: int) -> int:
    """Returns the column that an event falls in: 0 for the first event, `width` - 1 for the last one, rounded between.

    `seq`: number of the event. `width`: number of columns. `last`: number of the last event.
    """
    return 0 if last <= 0 or width < 2 else (2 * seq * (width - 1) + last) // (2 * last)


def last_of(column: int, width: int, last: int) -> int:
    """Returns the number of the last event that falls in a column or before it.

    `column`: from 0. `width`: number of columns. `last`: number of the last event of all.
    """
    if last <= 0 or width < 2 or column >= width - 1:
        return max(0, last)
    return (last * (2 * column + 1) - 1) // (2 * (width - 1))


# -- two moments -----------------------------------------------------------------------------------------


class Changes(NamedTuple):
    """What is different at the later of two moments."""

    new: Sequence[int]  # nodes that were made between them
    visited: set[int]  # older nodes whose N and W changed
    complete: bool = True  # whether these are all of them

    def __len__(self) -> int:
        return len(self.new) + len(self.visited)


def changed_between(tree: SearchTree, one: int, other: int, most: int | None = None) -> Changes:
    """Returns the nodes that are new, or have another N, at the later of two moments. Its time depends on what changed,
    not on the size of the tree.

    `tree`: the search. `one` and `other`: event numbers, in either order. `most`: stop after about so many nodes; None:
    find all.
    """
    earlier, later = min(one, other), max(one, other)
    first = tree.nodes_at(earlier)
    new = range(first, tree.nodes_at(later))
    backups, nodes = tree.history.backups, tree.nodes
    start = bisect_right(backups, earlier, key=_seq)
    stop = bisect_right(backups, later, key=_seq)
    visited: set[int] = set()
    passed: set[int] = set()  # new nodes, whose ancestors were taken up already
    for place in range(start, stop):
        if most is not None and len(visited) + len(passed) > most:
            return Changes(new, visited, False)
        id = backups[place][1]
        while id != NO_PARENT and id not in visited and id not in passed:
            (passed if id >= first else visited).add(id)
            id = nodes[id].parent
    return Changes(new, visited)


def _seq(backup: tuple[int, int, int | float]) -> int:
    return backup[0]
