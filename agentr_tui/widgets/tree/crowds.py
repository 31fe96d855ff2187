"""Never-visited siblings, which share one row. Knows no screen."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from engine.tree.tree import TreeReader

MOST_NODES = 4_000
"""In a tree of more nodes each has a row: all crowds are found anew after every change."""


class Crowds(NamedTuple):
    """The crowds of a tree at a moment."""

    behind: bytearray  # 1 for a node whose row is that of the first of its crowd
    members: dict[int, tuple[int, ...]]  # by the first: all of a crowd
    alone: frozenset[int]  # parents whose children are one crowd, all of them


def crowds(reader: TreeReader, count: int, spread: Set[int]) -> Crowds:
    """The crowds among the first `count` nodes: two or more children of a node that were never visited, have nothing
    below and have not ended. `spread`: parents whose children have a row each."""
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
    return Crowds(behind, members, frozenset(alone))
