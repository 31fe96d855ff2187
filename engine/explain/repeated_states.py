"""States that more than one node of a tree reached, and trajectories that went round.

Two nodes with the same `state_key` left the environment in the same state: transpositions. Nodes without a key stand
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.tree.node import ROOT
from engine.tree.reader import TreeReader


def state_of(reader: TreeReader, id: int) -> str:
    """The name of a node's state: its key, or `node ID` where the environment gave none."""
    return reader.node(id).state_key or f"node {id}"


def states(reader: TreeReader) -> dict[str, list[int]]:
    """Every state and the nodes that reached it, both in order of creation."""
    found: dict[str, list[int]] = {}
    for id in range(len(reader)):
        found.setdefault(state_of(reader, id), []).append(id)
    return found


class Repeated(NamedTuple):
    """A state that more than one node reached."""

    key: str
    ids: list[int]  # in order of creation
    loops: list[tuple[int, int]]  # (ancestor, node): the trajectory came back to where it was


def repeated_states(reader: TreeReader) -> list[Repeated]:
    """States that were reached more than once, those with most nodes first."""
    groups = {key: ids for key, ids in states(reader).items() if len(ids) > 1}
    loops: dict[str, list[tuple[int, int]]] = {}
    for ancestor, id in _loops(reader):
        loops.setdefault(state_of(reader, id), []).append((ancestor, id))
    found = [Repeated(key, ids, sorted(loops.get(key, []), key=lambda pair: pair[1])) for key, ids in groups.items()]
    return sorted(found, key=lambda state: (-len(state.ids), state.ids[0]))


def _loops(reader: TreeReader) -> Iterator[tuple[int, int]]:
    """(nearest ancestor in the same state, node) of every node that has one."""
    last: dict[str, list[int]] = {}  # state → nodes in it on the way to where the walk stands
    pending = [ROOT] if len(reader) else []
    while pending:
        id = pending.pop()
        if id < 0:  # everything below ~id was seen
            last[state_of(reader, ~id)].pop()
            continue
        above = last.setdefault(state_of(reader, id), [])
        if above:
            yield above[-1], id
        above.append(id)
        pending.append(~id)
        pending.extend(reader.children(id))
