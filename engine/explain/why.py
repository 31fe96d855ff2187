"""Why a search went where it went, and why a node is what it is: at any moment, as the search saw it.

The scores are those of `engine.search.child_scores`, with the algorithm, the constants and the expansions in flight of
that moment; who was chosen and how many tied comes from the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.base.text import many
from engine.query.nodes import tree_of
from engine.search.child_scores import Score, scores
from engine.search.lessons_scores import promises
from engine.tree.choice_log import Choice
from engine.tree.events import SearchSettings
from engine.tree.node import NO_PARENT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree


class Row(NamedTuple):
    """A child as selection sees it."""

    child: int
    score: Score
    best: bool  # selectable, and no other scores higher
    in_flight: int  # expansions in flight at or below it


class Scored(NamedTuple):
    """The children of a node as selection saw them at one moment."""

    seq: int
    parent_visits: int
    settings: SearchSettings  # of that moment
    in_flight: int  # expansions in flight in the whole tree
    rows: list[Row]

    @property
    def best(self) -> list[int]:
        """The children between which chance decides; empty where none can be selected."""
        return [row.child for row in self.rows if row.best]


def scored(tree: SearchTree, parent: int, seq: int, *, in_flight: Sequence[int], c: float | None = None) -> Scored:
    """Returns the children of a node with their scores, as they were at a moment.

    `best-first` and `lessons` do not compare siblings but all open nodes: the rows of `best-first` have the score after
    the step as their total. A walk of `lessons` that has drawn a step goes on with it: it is the child without a step.

    `tree`: the search. `parent`: the node. `seq`: the event after which to look. `in_flight`: nodes whose expansions
    were not backed up yet, one entry an expansion. `c`: the exploration constant; None: the search's own.
    """
    settings = tree.settings_at(seq)
    reader = tree.at(seq)  # also of now: the tree may grow meanwhile
    low, high = tree.started.score_range if tree.started else (0.0, 1.0)
    passing = _passing(tree, in_flight)
    if settings.algorithm == "lessons":
        found = promises(reader, parent, low, high, passing)
    else:
        found = scores(
            reader,
            parent,
            settings.c if c is None else c,
            algorithm=settings.algorithm,
            low=low,
            in_flight=passing,
        )
    if settings.algorithm == "best-first":
        found = [(child, _by_reward(reader, child, score, passing.get(child, 0))) for child, score in found]
    greatest = max((score.total for _, score in found if score.selectable), default=None)
    rows = [
        Row(child, score, score.selectable and score.total == greatest, passing.get(child, 0)) for child, score in found
    ]
    return Scored(seq, reader.visits(parent), settings, len(in_flight), rows)


def _by_reward(reader: TreeReader, child: int, score: Score, below: int) -> Score:
    node = reader.node(child)
    selectable = score.selectable and not reader.expanded(child) and not below
    return Score(score.exploitation, 0.0, 0.0, float(node.reward), selectable, float(node.prior))


def _passing(tree: SearchTree, in_flight: Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for id in in_flight:
        while id != NO_PARENT:
            counts[id] = counts.get(id, 0) + 1
            id = tree.nodes[id].parent
    return counts


class Why(NamedTuple):
    """Why the search goes, or went, to one child of a node."""

    parent: int
    now: Scored  # at the moment that is looked at
    other: list[int]  # the best with another c; empty where none was asked for
    choice: Choice | None  # the last one here up to that moment
    then: Scored | None  # at that choice


def why(reader: TreeReader, id: int, c: float | None = None) -> Why:
    """Why the search goes to one of the siblings of `id` (of the children of the root) at the moment of `reader`.

    `c`: another exploration constant to compare with.
    """
    tree, seq = tree_of(reader), reader.seq
    node = tree.nodes[id]
    parent = id if node.parent == NO_PARENT else node.parent
    flying = list(tree.in_flight) if reader is tree else tree.in_flight_at(seq)
    now = scored(tree, parent, seq, in_flight=flying)
    other = [] if c is None else scored(tree, parent, seq, in_flight=flying, c=c).best
    choice = tree.choice(parent, seq)
    then = None if choice is None else scored(tree, parent, choice.seq, in_flight=choice.in_flight)
    return Why(parent, now, other, choice, then)


# -- what a node is ------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """Something to know of a node."""

    label: str  # one word
    text: str
    person: bool = False  # somebody did it


ENDS = {
    "done": "the environment ended the episode",
    "disaster": "disaster: the score fell below 0, the return counts as 0",
    "depth": "too deep: it lies below max_depth {max_depth}",
    "dead_end": "dead end: no answer of the actor was usable",
    "cut_off": "cut off: a limit or a failure outside of the agent ended the attempt",
    "unscored": "nobody knows the reward of the attempt",
}


def facts(reader: TreeReader, id: int) -> list[Fact]:
    """Why a node is terminal, exhausted, pruned, written, a repeat; what failed at it; what the actor did not see."""
    tree, seq = tree_of(reader), reader.seq
    node = tree.nodes[id]
    found: list[Fact] = []
    exhausted = reader.exhausted(id)
    if node.terminal is not None and exhausted:
        words = ENDS[node.terminal].format(max_depth=tree.settings_at(seq).max_depth)
        found.append(Fact("ended", f"{words} (event {tree.born_at(id)})"))
    elif reader.pruned(id):
        found.append(_pruned(tree, id, seq))
    elif exhausted:
        found.append(Fact("all ended", "every line below has ended: nothing there can be selected"))
    if id in tree.written_by:
        found.append(Fact("written", f"by {tree.written_by[id]} (event {tree.born_at(id)})", person=True))
    found += _said_of(tree, id, seq)
    if repeats := tree.repeats.get(id, 0):
        found.append(
            Fact(
                "repeated",
                f"{many(repeats, 'further answer was', 'further answers were')} the same: no node of their own",
            )
        )
    found += _same_state(reader, tree, id)
    failed = [event for event in tree.failures if event.parent == id and event.seq <= seq]
    if failed:
        found.append(
            Fact("failed", f"{len(failed)} answer{'s' * (len(failed) != 1)} failed, the last: {failed[-1].error}")
        )
    if reader is tree and (owed := len(tree.owed.get(id, ()))):
        found.append(Fact("owed", f"{_count(owed, 'answer')} met an outage: asked for again when the search goes on"))
    dropped = tree.usages.get(id, (None, None, 0))[2]
    if dropped:
        found.append(Fact("cut", f"the actor did not see the first {_count(dropped, 'step')}: no room in its context"))
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _pruned(tree: SearchTree, id: int, seq: int) -> Fact:
    inside = set(tree.ancestors(id))
    event = next(
        event
        for event in reversed(tree.interventions)
        if event.what == "pruned" and event.node in inside and event.seq <= seq
    )
    where = "" if event.node == id else f" with node {event.node}"
    return Fact("pruned", f"by {event.who}{where}: never selected any more (event {event.seq})", person=True)


_SAID = {"forced": "had it expanded", "restored": "took its pruning back", "note": "", "mark": "marked it"}


def _said_of(tree: SearchTree, id: int, seq: int) -> list[Fact]:
    found = []
    for event in tree.interventions:
        if event.node == id and event.seq <= seq and event.what in _SAID:
            words = ": ".join(part for part in (_SAID[event.what], event.detail) if part)
            found.append(Fact("note" if event.what == "note" else "person", f"{event.who} {words}", person=True))
        elif event.of == id and event.seq <= seq and event.child is not None:
            found.append(Fact("person", f"{event.who} wrote another step in its place", person=True))
    return found


def _same_state(reader: TreeReader, tree: SearchTree, id: int) -> list[Fact]:
    others = [other for other in tree.same_state(id) if other != id and other < len(reader)]
    if not others:
        return []
    shown = ", ".join(map(str, others[:5])) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
    inside = set(tree.ancestors(id))
    loop = ", a loop" if any(other in inside for other in others) else ""
    return [Fact("state", f"the same as at node{'s' * (len(others) > 1)} {shown}{loop}")]
