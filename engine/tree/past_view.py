"""What can be asked of a tree, of now or of the past, and a tree as it was at a moment of its past."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.tree.events import Number
from engine.tree.node import Node

if TYPE_CHECKING:
    from engine.tree.tree import SearchTree


class TreeReader(Protocol):
    """What can be asked of a tree, of now or of the past. Screens and reports read through this."""

    @property
    def seq(self) -> int: ...
    def __len__(self) -> int: ...
    def node(self, id: int) -> Node: ...
    def visits(self, id: int) -> int: ...
    def value_sum(self, id: int) -> Number: ...
    def q(self, id: int) -> float | None: ...
    def children(self, id: int) -> Sequence[int]: ...
    def expanded(self, id: int) -> bool: ...
    def exhausted(self, id: int) -> bool: ...
    def pruned(self, id: int) -> bool: ...


class PastTree:
    """A tree as it was right after one event. Costs what is looked at."""

    def __init__(self, tree: SearchTree, seq: int) -> None:
        self.tree = tree
        self.seq = seq
        self._count = tree.nodes_at(seq)

    def __len__(self) -> int:
        return self._count

    def node(self, id: int) -> Node:
        """The node: its texts and reward are of all times, its statistics are of now (ask `visits` and `q`)."""
        if not 0 <= id < self._count:
            raise IndexError(f"node {id} did not exist at event {self.seq}")
        return self.tree.nodes[id]

    def visits(self, id: int) -> int:
        """N at that moment."""
        node = self.node(id)
        if self.tree.imported_from is not None:
            return node.visits
        return bisect_right(self.tree.history.of(id)[0], self.seq)

    def value_sum(self, id: int) -> Number:
        """W at that moment."""
        node = self.node(id)
        if self.tree.imported_from is not None:
            return node.value_sum
        seqs, sums = self.tree.history.of(id)
        place = bisect_right(seqs, self.seq)
        return sums[place - 1] if place else 0.0

    def q(self, id: int) -> float | None:
        """Q at that moment, None where N = 0."""
        visits = self.visits(id)
        return self.value_sum(id) / visits if visits else None

    def children(self, id: int) -> Sequence[int]:
        """Children that existed at that moment."""
        children = self.node(id).children
        return (
            children if not children or children[-1] < self._count else children[: bisect_left(children, self._count)]
        )

    def expanded(self, id: int) -> bool:
        """Whether the node's draws had been made."""
        node = self.node(id)
        if node.children:
            return node.children[0] < self._count
        # a dead end, which is exhausted from its expansion on
        return node.expanded and not node.pruned and self.tree.history.exhausted_at(id, self.seq)

    def exhausted(self, id: int) -> bool:
        """Whether nothing below the node could be selected any more."""
        node = self.node(id)
        if node.terminal is not None and node.terminal != "dead_end":
            return True
        return self.tree.history.exhausted_at(id, self.seq)

    def pruned(self, id: int) -> bool:
        """Whether a person had ruled the node or an ancestor out."""
        return self.tree.history.pruned_at(id, self.seq)
