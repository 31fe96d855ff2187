"""The reading side of a tree, of now or of the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.tree.events import Number
from engine.tree.node import Node


class TreeReader(Protocol):
    """A tree of now or of the past, for reading. Screens and reports read through this."""

    @property
    def seq(self) -> int:
        """The number of the last event that is folded into it."""
        ...

    def __len__(self) -> int:
        """The number of nodes."""
        ...

    def node(self, id: int) -> Node:
        """The node of that id, for its texts and reward. Its own statistics are of now: the moment has those below."""
        ...

    def visits(self, id: int) -> int:
        """N: how often a return was backed up through the node."""
        ...

    def value_sum(self, id: int) -> Number:
        """W: the sum of those returns."""
        ...

    def q(self, id: int) -> float | None:
        """Q = W / N; None of a node without visits."""
        ...

    def children(self, id: int) -> Sequence[int]:
        """The children's ids, in order of creation."""
        ...

    def expanded(self, id: int) -> bool:
        """Whether draws were made at it."""
        ...

    def exhausted(self, id: int) -> bool:
        """Whether nothing below it can be selected."""
        ...

    def pruned(self, id: int) -> bool:
        """Whether a person ruled it, or a node above it, out."""
        ...

    def fully_drawn(self, id: int) -> bool:
        """Whether all its draws were made, or never will be, since it is pruned."""
        ...

    def same_state(self, id: int) -> Sequence[int]:
        """Returns all nodes in its state of the environment, itself included, oldest first; empty where states have no
        keys."""
        ...
