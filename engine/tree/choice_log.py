"""The log of a tree: choices, expansions in flight, earlier settings, and other events that change no node.

Part of the fold (`engine.tree.tree`); views of the past read it. Choices are kept in arrays, since a search of a
million nodes makes as many. Any thread may read while the tree grows, because the fold only appends.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from engine.tree.events import AnyEvent, SearchSettings, Selected
from engine.tree.node import Node


class Choice(NamedTuple):
    """One selection of a child."""

    seq: int  # of the `selected` event
    child: int
    ties: int  # how many children shared the best score, this one included
    in_flight: tuple[int, ...]  # nodes whose expansion had not been applied yet


class ChoiceLog:
    """Choices, expansions in flight and settings changes of one tree. Only the fold writes to it."""

    def __init__(self, nodes: list[Node]) -> None:
        """`nodes`: the tree's own list, which grows."""
        self._nodes = nodes
        self.log: list[AnyEvent] = []  # failures, interventions, changed settings, pauses, ends: oldest first
        self._choice_seqs = array("q")
        self._choice_children = array("i")
        self._choice_ties = array("i")
        self._flight_seqs = array("q")
        self._flight_nodes = array("i")  # node: its expansion started; ~node: its expansion was applied
        self._beside: dict[int, tuple[int, ...]] = {}  # seq of a selection → other nodes in flight
        self._before: list[tuple[int, dict[str, Any]]] = []  # seq of a settings change → the replaced values
        self._of_parent: dict[int, array[int]] = {}  # parent → indices of its choices

    # -- the fold ----------------------------------------------------------------------------------

    def selected(self, event: Selected) -> None:
        """Records a selection: every step of its path after the first is a choice."""
        seq, path, ties = event.seq, event.path, event.ties
        if len(ties) == len(path) - 1:
            for place, shared in enumerate(ties, 1):
                self._chose(seq, path[place], shared)
        else:  # one choice among all open nodes (best-first)
            self._chose(seq, path[-1], ties[-1] if ties else 1)
        self.expansion_started(seq, path[-1], event.in_flight)

    def _chose(self, seq: int, child: int, ties: int) -> None:
        place = len(self._choice_seqs)
        self._choice_seqs.append(seq)
        self._choice_children.append(child)
        self._choice_ties.append(ties)
        parent = self._nodes[child].parent
        places = self._of_parent.get(parent)
        if places is None:
            self._of_parent[parent] = array("i", (place,))
        else:
            places.append(place)

    def expansion_started(self, seq: int, node: int, beside: Sequence[int]) -> None:
        """Record that the expansion of a node started.

        `seq`: number of the event. `node`: the node. `beside`: the other nodes in flight at that time.
        """
        self._flight_seqs.append(seq)
        self._flight_nodes.append(node)
        if beside:
            self._beside[seq] = tuple(beside)

    def expanded(self, seq: int, node: int) -> None:
        """Records that the expansion of a node was applied."""
        self._flight_seqs.append(seq)
        self._flight_nodes.append(~node)

    def settings_changed(self, seq: int, before: dict[str, Any]) -> None:
        """Records the values of settings before a change."""
        self._before.append((seq, before))

    # -- reading -----------------------------------------------------------------------------------

    def choice(self, parent: int, seq: int) -> Choice | None:
        """Returns the last choice among the children of `parent` up to event `seq`, or None."""
        places = self._of_parent.get(parent, ())
        last = bisect_right(places, seq, key=self._choice_seqs.__getitem__) - 1
        if last < 0:
            return None
        place = places[last]
        at = self._choice_seqs[place]
        return Choice(at, self._choice_children[place], self._choice_ties[place], self._beside.get(at, ()))

    def in_flight(self, seq: int) -> list[int]:
        """Returns the nodes in flight right after event `seq`, oldest first."""
        applied = set()
        for place in range(bisect_right(self._flight_seqs, seq) - 1, -1, -1):
            node = self._flight_nodes[place]
            if node >= 0:
                then = [*self._beside.get(self._flight_seqs[place], ()), node]
                return [id for id in then if id not in applied]
            applied.add(~node)
        return []

    def expansions(self, node: int, seq: int) -> int:
        """Returns how many expansions of a node had been applied right after event `seq`."""
        return self._flight_nodes[: bisect_right(self._flight_seqs, seq)].count(~node)

    def stands_at(self, seq: int, iteration_seqs: Sequence[int]) -> int | None:
        """Returns the last node of the current walk right after event `seq`; None if no walk was in progress."""
        for place in range(bisect_right(self._flight_seqs, seq) - 1, -1, -1):
            if self._flight_nodes[place] >= 0:
                at = self._flight_seqs[place]
                over = bisect_right(iteration_seqs, seq) > bisect_right(iteration_seqs, at)
                return None if over else self._flight_nodes[place]
        return None

    def settings(self, now: SearchSettings, seq: int) -> SearchSettings:
        """Returns the settings in force right after event `seq`. `now`: the current settings."""
        now = replace(now)  # copy first: the fold records a change before it makes it
        values: dict[str, Any] = {}
        for changed, before in reversed(self._before):
            if changed <= seq:
                break
            values.update(before)
        return replace(now, **values) if values else now
