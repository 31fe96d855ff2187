"""Never-visited siblings, which share one row. Knows no screen."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from engine.tree.node import ROOT
from engine.tree.reader import TreeReader

MOST_NODES = 4_000
"""In a tree of more nodes each has a row: all crowds are found anew after every change."""


class Crowds(NamedTuple):
    """The crowds of a tree at a moment."""

    behind: bytes  # 1 for a node whose row is that of the first of its crowd
    members: dict[int, tuple[int, ...]]  # by the first: all of a crowd
    alone: frozenset[int]  # parents whose children are one crowd, all of them


NONE = Crowds(b"", {}, frozenset())


def crowds(reader: TreeReader, count: int, spread: Set[int] = frozenset()) -> Crowds:
    """Returns the crowds: two or more children of a node that were never visited, have nothing below and have not
    ended.

    `reader`: the tree at a moment. `count`: look at nodes with ids below it. `spread`: parents whose children have a
    row each.
    """
    behind, members, alone = bytearray(count), dict[int, tuple[int, ...]](), set[int]()
    for parent in range(count):
        kids = reader.children(parent)
        if len(kids) < 2 or parent in spread:
            continue
        crowd = tuple(
            kid
            for kid in kids
            if kid < count and not reader.visits(kid) and not reader.children(kid) and reader.node(kid).terminal is None
        )
        if len(crowd) > 1:
            members[crowd[0]] = crowd
            for kid in crowd[1:]:
                behind[kid] = 1
            if len(crowd) == len(kids):
                alone.add(parent)
    return Crowds(bytes(behind), members, frozenset(alone))


class Crowding:
    """Which nodes of a tree share a row as it is shown now."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self.spread: set[int] = set()  # parents whose never-visited children have a row each
        self._now = NONE
        self._at = -1  # the event at which they were found

    def finds(self, count: int) -> bool:
        """Whether crowds are looked for in a tree of `count` nodes."""
        return self.on and count <= MOST_NODES

    def _find(self, reader: TreeReader, count: int) -> Crowds:
        return crowds(reader, count, self.spread) if self.finds(count) else NONE

    def take(self, reader: TreeReader, count: int, shown: bytearray | None) -> bytearray | None:
        """Take up the crowds, unless a filter is on; returns which nodes are shown, one byte a node; None: all.

        `reader`: the tree at a moment. `count`: look at nodes with ids below it. `shown`: the nodes that a filter
        takes, one byte a node; None: there is no filter.
        """
        self._now, self._at = self._find(reader, count) if shown is None else NONE, reader.seq
        return bytearray(1 - behind for behind in self._now.behind) if self._now.behind else shown

    def is_other(self, reader: TreeReader, count: int) -> bool:
        """Whether other nodes share rows by now, where no node came or went."""
        if reader.seq == self._at:
            return False
        self._at = reader.seq
        return self._find(reader, count) != self._now

    def stands_behind(self, id: int) -> bool:
        """Whether a node has no row of its own."""
        return bool(self._now.behind) and id < len(self._now.behind) and bool(self._now.behind[id])

    def shown(self, children: Sequence[int]) -> Sequence[int]:
        """Those of the children that have a row of their own."""
        if not self._now.behind or len(children) < 2:
            return children
        return [child for child in children if not self._now.behind[child]]

    def may_join(self, parent: int) -> bool:
        """Whether an only row below a node may be joined with its own: a crowd is not."""
        return parent != ROOT and parent not in self._now.alone

    def members(self, id: int) -> tuple[int, ...]:
        """Returns the never-visited siblings that share the row of a node; empty where no other shares it."""
        return self._now.members.get(id, ())

    def leader(self, reader: TreeReader, id: int) -> int:
        """The node whose row a never-visited sibling shares; else the node itself."""
        if not self.stands_behind(id):
            return id
        return next(kid for kid in reader.children(reader.node(id).parent) if kid in self._now.members)
