"""The search tree: a fold over events, and what can be asked of it.

`SearchTree.apply` is the only way a tree changes. Live view, loading, following and resuming are the same code. One
thread folds; others may look back meanwhile (`at`, `choice`, …): nothing that they read of the past is changed or built
then.
Ids are dense in order of creation, so the structure at a moment is `id < n`; `SearchTree.at` gives a view of the past.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.tree.events import AnyEvent, Started
from engine.tree.folding.fold import fold
from engine.tree.past_tree import PastTree
from engine.tree.state import TreeState


class SearchTree(TreeState):
    """The tree that the events so far make."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        super().__init__()
        for event in events:
            self.apply(event)

    def apply(self, event: AnyEvent) -> None:
        """Apply the next event.

        Raises `ValueError` when it does not fit the tree: wrong order, unknown node, no `started`.
        """
        if event.seq != self.seq + 1:
            raise ValueError(f"event {event.seq} follows event {self.seq}")
        if (self.started is None) != isinstance(event, Started):
            raise ValueError("`started` is missing" if self.started is None else "a second `started`")
        fold(self, event)
        self.seq = event.seq
        self.t = max(self.t, event.t)

    def at(self, seq: int) -> PastTree:
        """The tree as it was right after event `seq`: a read-only view, valid as long as this tree."""
        return PastTree(self, min(seq, self.seq))
