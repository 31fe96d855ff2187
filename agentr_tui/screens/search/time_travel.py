"""Going back and forth in time on the Search screen, and marking what is different there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agentr_tui.screens.search.services import TreeServices
from agentr_tui.terminal.gc_pauses import keep
from agentr_tui.terminal.theme import glyphs
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.view import Mark
from engine.explain.timeline import Changes, changed_between
from engine.tree.tree import SearchTree

MARKED = 2_000
"""Where a step through time changed more nodes than this, they are not marked one by one."""


class Step(NamedTuple):
    """A step through time, and what is different after it."""

    before: int  # seqs
    after: int
    changes: Changes


class TimeTravel:
    """The moment on screen, and the marks on nodes that follow from it."""

    def __init__(self, services: TreeServices, moved: Callable[[], None]) -> None:
        """`moved` is called when another moment is shown."""
        self._services, self._moved = services, moved
        self._step: Step | None = None  # the last step through time
        self._layers: dict[str, Mapping[int, Mark]] = {}  # what is said of nodes, and by which part of the screen
        self._layers_of: SearchTree | None = None
        self._looked_back = False

    # -- moving ------------------------------------------------------------------------------------

    def look_at(self, seq: int) -> None:
        """Show the tree as it was after an event; after the last: as it is now."""
        session = self._services.session
        if session.tree is None:
            return
        before = session.tree.seq if session.past is None else session.past
        session.past = None if seq >= session.tree.seq else max(0, seq)
        reader = session.reader
        assert reader is not None
        self._services.tree_view.set_moment(reader)
        self.stepped(before, reader.seq)
        self._moved()

    def event(self, by: int) -> None:
        """An event back or forth."""
        session = self._services.session
        if session.tree is not None:
            self.look_at((session.tree.seq if session.past is None else session.past) + by)

    def iteration(self, by: int) -> None:
        """To the end of the iteration before, or of the next."""
        session = self._services.session
        if session.tree is None:
            return
        now = session.tree.seq if session.past is None else session.past
        ends = session.tree.iteration_seqs
        if by < 0:
            place = bisect_left(ends, now) - 1
            self.look_at(ends[place] if place >= 0 else 0)
        else:
            place = bisect_right(ends, now)
            self.look_at(ends[place] if place < len(ends) else session.tree.seq)

    def live(self) -> None:
        """Back to now; where that is already so, follow the newest node or stop following."""
        session, tree = self._services.session, self._services.tree_view
        if session.past is None:
            tree.follow = not tree.follow
            self._services.say("following the newest node" if tree.follow else "not following")
        elif session.tree is not None:
            self.look_at(session.tree.seq)

    # -- what is different there -------------------------------------------------------------------

    def stepped(self, before: int, after: int) -> None:
        """The reader went from one moment to another: mark what is different there."""
        tree = self._services.session.tree
        if tree is None:
            return
        self._step = Step(before, after, changed_between(tree, before, after, MARKED)) if before != after else None
        if not self._looked_back:  # the tree has its history now
            self._looked_back = True
            keep()
        self.lay("changes", {} if self._step is None else change_marks(tree, self._step))

    def check(self) -> None:
        """Remove marks that no longer hold: those of another tree, and changes at another moment."""
        session = self._services.session
        if self._layers_of is not session.tree:
            self._layers, self._step, self._layers_of = {}, None, session.tree
            self._looked_back = False
        elif self._step is not None and session.reader is not None and session.reader.seq != self._step.after:
            self._step = None
            self.lay("changes", {})

    def clear(self) -> bool:
        """Take away what a step through time, or a walk through a state, marked; whether there was anything."""
        there = bool(self._layers)
        self._layers, self._step = {}, None
        self._services.tree_view.set_marks({})
        return there

    def lay(self, layer: str, marks: Mapping[int, Mark]) -> None:
        """Set the marks of a layer in place of its earlier ones; later layers lie over earlier ones."""
        if marks:
            self._layers[layer] = marks
        else:
            self._layers.pop(layer, None)
        self._services.tree_view.set_marks({id: mark for layer in self._layers.values() for id, mark in layer.items()})

    def walk_through(self, nodes: Sequence[int]) -> None:
        """Mark nodes that are in one state, and go to the first of them, or to the one after the cursor."""
        word = f"seen {len(nodes)}×"
        self.lay("state", {id: Mark(word, "warn", glyphs().repeat) for id in nodes})
        cursor = self._services.tree_view.cursor_node
        self._services.go_to_node(next((id for id in nodes if id > cursor), nodes[0]))

    def show(self, strip: TimelineView) -> None:
        """Put the open tree and the moment that is looked at into a timeline."""
        session = self._services.session
        self.check()
        if session.tree is None or not len(session.tree):
            strip.clear()
        else:
            strip.show(
                session.tree,
                session.thresholds.alpha,
                session.past,
                live=session.running,
                score_range=session.score_range,
                changed=format_step(self._step),
            )


def change_marks(tree: SearchTree, step: Step) -> dict[int, Mark]:
    """A mark for each node that a step through time changed; none where there are too many to look at."""
    before, after, changes = step
    if len(changes) > MARKED:
        return {}
    earlier, later = tree.at(before), tree.at(after)
    new, visited = "#=" if glyphs().guide.isascii() else "◆◇"
    marks = {id: Mark("new", "focus", new) for id in changes.new} if after > before else {}
    for id in changes.visited:
        marks[id] = Mark(f"N {later.visits(id) - earlier.visits(id):+d}", "focus", visited)
    return marks


def format_step(step: Step | None) -> str:
    """What a step through time changed, in words."""
    if step is None:
        return ""
    parts = (
        [f"{len(step.changes.new)} {'new' if step.after > step.before else 'not there yet'}"]
        if step.changes.new
        else []
    )
    more = "" if step.changes.complete else "+"
    parts += [f"{len(step.changes.visited)}{more} visited"] if step.changes.visited else []
    return ", ".join(parts)
