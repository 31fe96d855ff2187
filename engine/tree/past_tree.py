"""A tree as it was right after an earlier event: a read-only view."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from engine.tree.events import Number
from engine.tree.node import Node
from engine.tree.state import TreeState


class PastTree:
    """A tree as it was right after one event. Costs what is looked at."""

    def __init__(self, tree: TreeState, seq: int) -> None:
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
        if self.tree.imported_from is not None:
            return self.node(id).q
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

    def fully_drawn(self, id: int) -> bool:
        """Whether all draws of the node had been made, or never would be (it was pruned)."""
        if self.pruned(id):
            return True
        made = self.tree.chronicle.expansions(id, self.seq)
        return bool(made) and id not in self.tree.partial and made == self.tree.chronicle.expansions(id, self.tree.seq)

    def same_state(self, id: int) -> Sequence[int]:
        """Returns the nodes in the node's state at that moment, oldest first; empty where states have no keys."""
        known = self.tree.same_state(id)
        return known[: bisect_left(known, self._count)]

    def exhausted(self, id: int) -> bool:
        """Whether nothing below the node could be selected at that moment."""
        node = self.node(id)
        if node.terminal is not None and node.terminal != "dead_end":
            return True
        return self.tree.history.exhausted_at(id, self.seq)

    def pruned(self, id: int) -> bool:
        """Whether a person had ruled the node or an ancestor out."""
        return self.tree.history.pruned_at(id, self.seq)
