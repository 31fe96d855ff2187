"""What the Search screen shows beside tree and node: timeline, overview, plots, comparison, repeated states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from textual import on, work
from textual.events import Resize

from agentr_tui.screens.search.compare import CompareScreen, best_leaf, choose_trace, trace_sides, trajectory_sides
from agentr_tui.screens.search.plots import PlotsScreen
from agentr_tui.screens.search.repeated_states import StatesScreen
from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.terminal.gc_pauses import keep
from agentr_tui.terminal.theme import glyphs
from agentr_tui.widgets.overview import Overview
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.view import Mark, TreeView
from engine.base.errors import AgentrError, InputError
from engine.explain.timeline import Changes, changed_between
from engine.pairs.pairs import best_partner
from engine.tree.tree import ROOT, SearchTree

MARKED = 2_000
"""Where a step through time changed more nodes than this, they are not marked one by one."""

VIEWS_EVERY = 0.3
"""Seconds between two drawings of what shows the whole search, while it grows."""

TALL, TALLER = 30, 44
"""Rows of the terminal from which the timeline has three lines and the overview is shown, and from which more."""


class SearchViews(ModeScreen):
    """The parts of the Search screen that show the whole search; `SearchScreen` adds tree, node and steering."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL, "-tall"), (TALLER, "-taller")]
    DEFAULT_CSS = """
    SearchViews.-tall TimelineView { height: 5; border: round $agentr-faint; }
    SearchViews.-taller TimelineView { height: 6; border: round $agentr-faint; }
    SearchViews.-taller Overview { height: 8; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._overview: bool | None = None  # None: where there is room
        self._step: Step | None = None  # the last step through time
        self._layers: dict[str, Mapping[int, Mark]] = {}  # what is said of nodes, and by which part of the screen
        self._layers_of: SearchTree | None = None
        self._looked_back = False
        self._views_due = False  # the tree grew since they were drawn

    @property
    def _tree(self) -> TreeView:
        return self.query_one("#tree", TreeView)

    # -- timeline and overview -----------------------------------------------------------------------

    def show_views(self) -> None:
        """Timeline, overview and figures of the session as it is now."""
        self._views_due = False
        self.show_time(self.query_one(TimelineView))
        self.show_overview()
        self.show_title()

    def show_views_soon(self) -> None:
        """The same, for a tree that grows: a few times a second is enough."""
        if not self._views_due:
            self._views_due = True
            self.set_timer(VIEWS_EVERY, self._show_due_views)

    def _show_due_views(self) -> None:
        if self._views_due:
            self.show_views()

    def show_title(self) -> None:
        """How many nodes there are, and how many match what is looked for."""
        raise NotImplementedError

    def show_time(self, strip: TimelineView) -> None:
        """Put the open tree and the moment that is looked at into a timeline."""
        session = self.agentr.session
        self._check_marks()
        if session.tree is None or not len(session.tree):
            strip.clear()
        else:
            strip.show(
                session.tree,
                session.thresholds.alpha,
                session.past,
                live=session.running,
                score_range=session.score_range,
                changed=told(self._step),
            )

    def show_overview(self) -> None:
        """The overview, where it is not folded away."""
        session = self.agentr.session
        overview = self.query_one(Overview)
        overview.display = self._overview if self._overview is not None else self._has_room()
        if overview.display:
            overview.show(session.reader, session.score_range, self._tree.cursor_node)

    def on_resize(self, event: Resize) -> None:
        """The overview comes and goes with the room there is."""
        if self._overview is None:
            self.show_overview()

    def _has_room(self) -> bool:
        return self.size.width >= 100 and self.size.height >= TALL

    def stepped(self, before: int, after: int) -> None:
        """The reader went from one moment to another: mark what is different there."""
        session = self.agentr.session
        if session.tree is None or session.reader is None:
            return
        self._step = (
            Step(before, after, changed_between(session.tree, before, after, MARKED)) if before != after else None
        )
        if not self._looked_back:  # the tree has its history now
            self._looked_back = True
            keep()
        self.lay_marks("changes", {} if self._step is None else change_marks(session.tree, self._step))

    def _check_marks(self) -> None:
        """What was marked does not hold for another tree; changes do not at another moment."""
        session = self.agentr.session
        if self._layers_of is not session.tree:
            self._layers, self._step, self._layers_of = {}, None, session.tree
            self._looked_back = False
        elif self._step is not None and session.reader is not None and session.reader.seq != self._step.after:
            self._step = None
            self.lay_marks("changes", {})

    def clear_marks(self) -> bool:
        """Take away what a step through time, or a walk through a state, marked; whether there was anything."""
        there = bool(self._layers)
        self._layers, self._step = {}, None
        self._tree.set_marks({})
        return there

    def lay_marks(self, layer: str, marks: Mapping[int, Mark]) -> None:
        """Say something of nodes, in place of what this layer said before; later layers lie over earlier ones."""
        if marks:
            self._layers[layer] = marks
        else:
            self._layers.pop(layer, None)
        self._tree.set_marks({id: mark for layer in self._layers.values() for id, mark in layer.items()})

    def on_screen_resume(self) -> None:
        """In front again: take up what grew meanwhile."""
        session, rows = self.agentr.session, self._tree.rows
        if session.tree is None or not len(session.tree) or session.past is not None:
            return
        if rows is None or rows.reader is not session.tree:
            self.tree_opened()
        elif rows.nodes < len(session.tree):
            self._tree.grow()

    @on(TimelineView.MomentChosen)
    def _moment_chosen(self, event: TimelineView.MomentChosen) -> None:
        self._look_at(event.seq)

    def _look_at(self, seq: int) -> None:
        """Show the tree as it was after an event."""
        raise NotImplementedError

    def action_event(self, by: int) -> None:
        """An event back or forth."""
        raise NotImplementedError

    def action_iteration(self, by: int) -> None:
        """An iteration back or forth."""
        raise NotImplementedError

    def action_live(self) -> None:
        """Back to now."""
        raise NotImplementedError

    @on(Overview.NodeChosen)
    def _node_chosen(self, event: Overview.NodeChosen) -> None:
        self.go_to_node(event.node)

    def go_to_node(self, node: int) -> None:
        """Put the cursor on a node, where it is there at the moment that is looked at."""
        reader = self.agentr.session.reader
        if reader is None or node >= len(reader):
            self.notify(f"Node {node} is not there at this moment.", severity="warning")
            return
        self._tree.go_to(node)
        self._tree.focus()

    def walk_through(self, nodes: Sequence[int]) -> None:
        """Mark nodes that are in one state, and go to the first of them, or to the one after the cursor."""
        word = f"seen {len(nodes)}×"
        self.lay_marks("state", {id: Mark(word, "warn", glyphs().repeat) for id in nodes})
        self.go_to_node(next((id for id in nodes if id > self._tree.cursor_node), nodes[0]))

    # -- the menu ------------------------------------------------------------------------------------

    def action_view(self) -> None:
        """What else can be looked at."""
        folded = not self.query_one(Overview).display
        ask(
            self.app,
            "view",
            [
                Choice("w", "columns: " + ("all" if self._tree.is_compact else "fewer"), self.action_columns),
                Choice("o", "overview: " + ("show" if folded else "fold away"), self.action_overview),
                Choice("c", "compare …", self.action_compare),
                Choice("s", "states that were reached more than once, and loops", self.action_states),
                Choice("p", "plots: returns, visits, branching, values, calls, cost", self.action_plots),
            ],
        )

    def action_plots(self) -> None:
        """Plots of the search."""
        self.app.push_screen(PlotsScreen(self))

    def action_compare(self) -> None:
        """Compare the trajectory under the cursor with another, or this search with another."""
        session, tree = self.agentr.session, self.agentr.session.tree
        node = self._tree.cursor_node
        if tree is None or not len(tree):
            return
        choices = []
        best = best_leaf(tree, node)
        if best is not None and node != ROOT:
            choices.append(Choice("b", f"node {node} with the best leaf, {best}", lambda: self._compare(node, best)))
        pair = best_partner(tree, node, session.thresholds)
        if pair is not None:
            other = pair.bad if pair.good == node else pair.good
            choices.append(
                Choice("o", f"node {node} with its best partner, {other}", lambda: self._compare(node, other))
            )
        good, bad = session.chosen
        if good is not None and bad is not None:
            choices.append(Choice("p", f"the chosen pair, {good} and {bad}", lambda: self._compare(good, bad)))
        if node != ROOT:
            with_number = Choice("n", f"node {node} with another node …", lambda: self._compare_asked(node))
            choices.append(with_number)
        choices.append(Choice("t", "this search with another trace …", self._compare_trace))
        ask(self.app, "compare", choices)

    def _compare(self, one: int, other: int) -> None:
        try:
            sides = trajectory_sides(self.agentr.session, one, other)
        except InputError as error:
            self.agentr.complain(str(error))
        else:
            self.app.push_screen(CompareScreen(self, *sides))

    def _compare_asked(self, node: int) -> None:
        def typed(text: str) -> None:
            reader = self.agentr.session.reader
            if reader is None or not text.strip().isdecimal() or int(text) >= len(reader):
                self.notify(f"There is no node {text!r} here.", severity="warning", markup=False)
            else:
                self._compare(node, int(text))

        ask_text(self.app, f"compare node {node} with which node?", typed, placeholder="87")

    def _compare_trace(self) -> None:
        choose_trace(self.app, self.agentr.session, self._read_trace)

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def _read_trace(self, path: Path) -> None:
        try:
            sides = trace_sides(self.agentr.session, path)
        except AgentrError as error:
            self.app.call_from_thread(self.agentr.complain, str(error))
        else:
            self.app.call_from_thread(self.app.push_screen, CompareScreen(self, *sides))

    def action_states(self) -> None:
        """States that more than one node reached."""
        session = self.agentr.session
        if session.tree is not None and session.reader is not None and len(session.reader):
            then = session.tree.at(session.reader.seq)  # it stays as it is while it is looked through
            self.app.push_screen(StatesScreen(self, then, session.score_range))

    def action_columns(self) -> None:
        """Bars and figures in the tree, or more room for what was done."""
        self._tree.compact = not self._tree.is_compact

    def action_overview(self) -> None:
        """Fold the overview away, or show it."""
        self._overview = not self.query_one(Overview).display
        self.show_overview()


class Step(NamedTuple):
    """A step through time, and what is different after it."""

    before: int  # seqs
    after: int
    changes: Changes


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


def told(step: Step | None) -> str:
    """What a step through time changed, in words."""
    if step is None:
        return ""
    parts = [f"{len(step.changes.new)} {'new' if step.after > step.before else 'gone'}"] if step.changes.new else []
    more = "" if step.changes.complete else "+"
    parts += [f"{len(step.changes.visited)}{more} visited"] if step.changes.visited else []
    return ", ".join(parts)
