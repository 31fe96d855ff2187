"""When nodes were made, visited and exhausted: what a tree keeps for views of its past.

A part of the fold (`engine.tree.tree`), like `engine.tree.choice_log`. N and W at a moment come from each node's own
history of back-ups.

Threads that look back at a tree that grows need no lock: the fold only appends, and readers change nothing. What a
reader asks of a moment until `SearchTree.seq` stands there already.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from engine.tree.events import Number
from engine.tree.node import NO_PARENT, Node


class BackupHistory:
    """The moments of a tree's nodes. Only the tree's fold writes to it."""

    def __init__(self, nodes: list[Node]) -> None:
        """`nodes` are the tree's own, and grow with it."""
        self.births: list[tuple[int, int]] = []  # (seq, nodes there are after it)
        self.backups: list[tuple[int, int, Number]] = []  # (seq, leaf, return)
        self.prunings: list[tuple[int, int, bool]] = []  # (seq, node, pruned or restored)
        self._nodes = nodes
        self._exhausted: dict[int, int] = {}  # inner node → seq
        self._toggled: dict[int, list[int]] = {}  # nodes that were open again: seqs, exhausted first
        self._first: dict[int, tuple[int, float]] = {}  # node → seq of its first back-up, W after it
        self._of: dict[int, tuple[array[int], array[float]]] = {}  # node with several → seqs of all, W after each

    # -- the fold ----------------------------------------------------------------------------------

    def backed_up(self, seq: int, leaf: int, value: Number) -> None:
        """Count a return in N and W of a leaf and its ancestors.

        `seq`: number of the event. `leaf`: the node. `value`: its return.
        """
        nodes, first, of = self._nodes, self._first, self._of
        id = leaf
        while id != NO_PARENT:
            node = nodes[id]
            node.visits += 1
            node.value_sum = total = node.value_sum + value
            known = of.get(id)
            if known is not None:
                known[0].append(seq)
                known[1].append(total)
            elif id not in first:  # no arrays are made: a leaf has no other
                first[id] = seq, total
            else:
                before = first[id]
                of[id] = array("q", (before[0], seq)), array("d", (before[1], total))
            id = node.parent
        self.backups.append((seq, leaf, value))

    def exhausted_since(self, id: int, seq: int) -> None:
        """The inner node is exhausted from event `seq` on."""
        if id in self._toggled:
            self._toggled[id].append(seq)
        else:
            self._exhausted[id] = seq

    def open_since(self, id: int, seq: int) -> None:
        """The inner node, which was exhausted, is open again."""
        self._toggled.setdefault(id, [self._exhausted[id]]).append(seq)

    # -- reading -----------------------------------------------------------------------------------

    def nodes_at(self, seq: int) -> int:
        """How many nodes there were right after event `seq`."""
        place = bisect_right(self.births, seq, key=lambda birth: birth[0])
        return self.births[place - 1][1] if place else 0

    def born_at(self, id: int) -> int:
        """The event that made the node."""
        return self.births[bisect_right(self.births, id, key=lambda birth: birth[1])][0]

    def exhausted_at(self, id: int, seq: int) -> bool:
        """Whether the inner node was exhausted right after event `seq`."""
        toggled = self._toggled.get(id)
        if toggled is not None:
            return bisect_right(toggled, seq) % 2 == 1
        return self._exhausted.get(id, seq + 1) <= seq

    def pruned_at(self, id: int, seq: int) -> bool:
        """Whether the node or an ancestor was ruled out by a person right after event `seq`."""
        if not self.prunings:
            return False
        then = {node: pruned for at, node, pruned in self.prunings if at <= seq}
        while id != NO_PARENT:
            if then.get(id):
                return True
            id = self._nodes[id].parent
        return False

    def of(self, id: int) -> tuple[Sequence[int], Sequence[float]]:
        """The node's back-ups: their seqs (rising), and W after each."""
        if (known := self._of.get(id)) is not None:
            return known
        first = self._first.get(id)
        return ((), ()) if first is None else ((first[0],), (first[1],))
