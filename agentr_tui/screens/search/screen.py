"""Search: the tree as it grows, the node under the cursor, why the search went where it went.

The screen lays its widgets out and passes keys on; what they do is in its parts (`finder`, `marks`, `time_travel`,
`interventions`, `views`, `node_pane`, `steering`), plain objects that see the screen as a `TreeServices`.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize

from agentr_tui.screens.search.command_line import Parts, SearchCommands, ask_line
from agentr_tui.screens.search.figures import next_step, top_line, tree_title
from agentr_tui.screens.search.finder import AGAIN_AFTER, Finder
from agentr_tui.screens.search.imports.attempts import Step, not_of, reader_label, told_of
from agentr_tui.screens.search.interventions import Interventions
from agentr_tui.screens.search.keys import SEARCH_KEYS
from agentr_tui.screens.search.marks import NodeMarks
from agentr_tui.screens.search.node_pane import NodePane
from agentr_tui.screens.search.screen_services import SearchScreenServices
from agentr_tui.screens.search.steering import Steering
from agentr_tui.screens.search.time_travel import TimeTravel
from agentr_tui.screens.search.views import Views
from agentr_tui.screens.shared.copying import Copyable, of_node
from agentr_tui.screens.shared.mode_screen import NOTHING_OPEN, ModeScreen, reading_lines
from agentr_tui.state.last_place import View
from agentr_tui.state.session import Session
from agentr_tui.widgets.find_bar import FindBar
from agentr_tui.widgets.overview import Overview
from agentr_tui.widgets.partial_repaint import FrugalStatic
from agentr_tui.widgets.text_pane import TextPane
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.view import FollowChanged, TreeView
from engine.tree.tree import SearchTree

STEERING = frozenset({"pause", "step", "stop"})
"""Actions that need a search that goes on."""

KEY_WORDS = {"select": "node", "restore": "back"}
"""Words of keys that are told where panes stand in place of one another."""

VIEWS_EVERY = 0.3
"""Seconds between two drawings of what shows the whole search, while it grows."""

TALL, TALLER = 30, 44
"""Rows of the terminal from which the timeline has three lines and the overview is shown, and from which more."""


class SearchScreen(ModeScreen):
    """The tree and one of its nodes."""

    MODE = "search"
    COMMANDS = {SearchCommands}
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL, "-tall"), (TALLER, "-taller")]
    BINDINGS: ClassVar[list[BindingType]] = SEARCH_KEYS

    def __init__(self) -> None:
        super().__init__()
        services = self.services = SearchScreenServices(self)
        self.time = TimeTravel(services, self._moved)
        self.finder = Finder(services, lambda: self.query_one(FindBar), self.show_title)
        self.marks = NodeMarks(services)
        self.interventions = Interventions(services)
        self.views = Views(services, self.time, lambda: self.query_one(Overview))
        self.node = NodePane(services, lambda id: self.query_one(f"#{id}", TextPane))
        self.steering = Steering(services)
        self.parts = Parts(services, self.time, self.finder, self.marks, self.interventions, self.views, self.node, [])
        self._viewed: SearchTree | None = None  # the tree that this screen shows
        self._views_due = False  # the tree grew since what shows the whole search was drawn

    def compose_body(self) -> ComposeResult:
        """Tree at the left, node and tabs at the right, time below."""
        with Horizontal(id="search-body"):
            with Vertical(id="tree-side"):
                yield TreeView(id="tree")
                yield FindBar()
                yield Overview(id="overview")
                yield TextPane(id="forks")
            with Vertical(id="node-side"):
                yield TextPane(id="node")
                yield TextPane(id="tabs")
        yield TimelineView(id="time")
        yield FrugalStatic(id="next-step")

    def on_mount(self) -> None:
        """The tree has the focus."""
        self.query_one("#node").border_title = "node"
        self.session.view_now = self._view_now
        self.tree_view.crowded = True
        self.tree_view.drawing.describe = self.marks.describe
        self.tree_view.focus()
        self.watch(self.tree_view, "cursor_node", self._cursor_moved, init=False)
        self.set_interval(AGAIN_AFTER, self.finder.look_again)
        self.tree_opened()

    def copyable(self) -> list[Copyable]:
        """The node under the cursor."""
        return of_node(self.session, self.tree_view.cursor_node)

    # -- what is shown -----------------------------------------------------------------------------

    def tree_opened(self) -> None:
        """Another tree: start at its root."""
        session = self.session
        if session.reader is None or session.tree is None or not len(session.tree):
            self.refresh_view()
            return
        label = reader_label if session.tree.attempts else None
        self.tree_view.drawing.label = self.query_one(Overview).label = label
        self.tree_view.set_tree(session.reader, session.score_range)
        self._take_view()
        self.tree_view.follow = session.running
        self.marks.take()
        self.finder.found_nothing_yet()
        self.refresh_view()
        self.views.compare_beside()

    def _view_now(self) -> View | None:
        """How the open tree is looked at; None where this screen has not shown it yet."""
        rows = self.tree_view.rows if self.is_mounted else None
        if rows is None or self._viewed is not self.session.tree:
            return None
        cursor, top, shut, folds = self.tree_view.place()
        return View(cursor, top, shut, folds, self.node.tab)

    def _take_view(self) -> None:
        """Look at the tree as it was looked at last."""
        session = self.session
        self._viewed = session.tree
        view = session.views.get(session.tree.started.trace) if session.tree and session.tree.started else None
        if view is not None and not session.running:
            self.node.tab = view.tab
            self.tree_view.restore(view.cursor, view.top, view.shut, view.folds)
            self.call_after_refresh(self.tree_view.restore, view.cursor, view.top, view.shut, view.folds)

    def tree_grew(self, first_new: int) -> None:
        """Show what the last events changed; in the past nothing moves but the clock."""
        session = self.session
        if session.tree is None:
            return
        if first_new == 0:
            self.tree_opened()
        elif session.past is None:
            self.tree_view.grow(range(first_new, len(session.tree)))
        self._refresh_near()
        if not self._views_due:
            self._views_due = True
            self.set_timer(VIEWS_EVERY, lambda: self.show_views() if self._views_due else None)

    def on_screen_resume(self) -> None:
        """Take up what changed while another screen was in front."""
        session, rows = self.session, self.tree_view.rows
        if session.tree is None or not len(session.tree) or session.past is not None:
            return
        if rows is None or rows.reader is not session.tree:
            self.tree_opened()
        elif rows.nodes < len(session.tree):
            self.tree_view.grow()

    def refresh_view(self) -> None:
        """Everything around the tree."""
        self._refresh_near()
        self.show_views()

    def _moved(self) -> None:
        """Another moment is looked at."""
        self.refresh_view()
        self.finder.find_again()

    def _refresh_near(self) -> None:
        """What is told of the search and of the node under the cursor."""
        session = self.session
        tree = session.tree
        if tree is None or not len(tree):
            reading = session.reading
            self.top_bar.show([("no tree is open" if reading is None else "opening a trace", "muted")])
            self.show_placeholder(NOTHING_OPEN if reading is None else reading_lines(*reading))
            return
        self.show_placeholder(None)
        if session.past is not None:
            self.tree_view.set_path(tree.path_at(session.past))
        else:
            self.tree_view.set_path(tree.path if tree.state in ("running", "paused") else [])
        self.marks.take()
        self.tree_view.set_pair(*session.chosen)
        self.show_state()
        self.node.show()
        self.interventions.take_log()

    @on(FollowChanged)
    def show_state(self) -> None:
        """The state of the search: in the top bar, in the words of the keys, and what to do next."""
        session, tree = self.session, self.session.tree
        if tree is None or not len(tree):
            return
        self.top_bar.show(*top_line(session, self.tree_view.follow and session.control is not None))
        self.key_bar.left_out = (STEERING if session.control is None else frozenset()) | not_of(tree)
        self.key_bar.words = KEY_WORDS | ({"pause": "go on"} if tree.state == "paused" else {})
        if self.enlarging.pane is None:
            narrow = {"restore" if self.has_class("-detail") else "select"} if self.has_class("-narrow") else set()
            self.key_bar.also = frozenset(narrow) | told_of(tree, bool(narrow))
        step = self.query_one("#next-step", FrugalStatic)
        if step.say(next_step(session)):
            step.set_class(bool(step.told), "-told")

    def show_views(self) -> None:
        """Timeline, overview and figures of the session as it is now."""
        self._views_due = False
        if self.enlarging.pane is None:
            timeline = self.query_one(TimelineView)
            self.set_class(self.session.tree is not None and bool(self.session.tree.attempts), "-attempts")
            timeline.display = not self.has_class("-attempts")
            self.time.show(timeline)
        self.show_overview()
        self.show_title()

    def show_overview(self) -> None:
        """The overview, where it is not folded away."""
        tall = TALLER if self.session.tree is not None and self.session.tree.attempts else TALL
        room = self.size.width >= 100 and self.size.height >= tall
        self.views.show_overview(room and self.enlarging.pane is None)
        if self.enlarging.pane is None:
            self.node.show_forks(self.size.width >= 100 and self.size.height >= TALL)

    def on_resize(self, event: Resize) -> None:
        """Show the overview, and what the keys do in a narrow window, where there is room."""
        self.show_overview()
        self.call_after_refresh(self.show_state)

    def show_title(self) -> None:
        """How many nodes there are, and how many match what is looked for."""
        if self.session.tree is not None and len(self.session.tree):
            self.tree_view.retitle(tree_title(self.session, self.finder.found_words()))

    @property
    def session(self) -> Session:
        """The open tree, the moment that is looked at, the search that runs."""
        return self.agentr.session

    @property
    def tree_view(self) -> TreeView:
        """The tree widget."""
        return self.query_one("#tree", TreeView)

    # -- keys and messages, passed on --------------------------------------------------------------

    def _cursor_moved(self) -> None:
        self.node.show()
        self.show_overview()

    @on(TreeView.NodeSelected)
    def _node_opened(self) -> None:
        if self.has_class("-narrow"):
            self.add_class("-detail")  # the node in place of the tree
            self.query_one("#tabs").focus()
            self.show_state()

    @on(TimelineView.MomentChosen)
    def _moment_chosen(self, event: TimelineView.MomentChosen) -> None:
        self.time.look_at(event.seq)

    @on(Overview.NodeChosen)
    def _node_chosen(self, event: Overview.NodeChosen) -> None:
        self.services.go_to_node(event.node)

    @on(FindBar.Told)
    def _find_told(self, event: FindBar.Told) -> None:
        self.finder.told(event)

    def action_find_mode(self) -> None:
        """Dim the rows that do not match, or hide them."""
        self.finder.change_mode()

    def action_find(self) -> None:
        """Write what to find."""
        self.finder.open()

    def action_find_next(self, by: int) -> None:
        """To the next match, or the one before."""
        self.finder.next(by)

    def action_pause(self) -> None:
        """Pause, or go on."""
        self.steering.pause()

    def action_step(self) -> None:
        """One more expansion."""
        self.steering.step()

    def action_stop(self) -> None:
        """End the search; `r` in the library resumes it."""
        self.steering.stop()

    def action_pair(self) -> None:
        """Pair the leaf under the cursor with its best partner and go to Revision."""
        if self.steering.pair():
            self.app.switch_mode("revision")

    def action_event(self, by: int) -> None:
        """An event back or forth."""
        self.time.event(by)

    def action_iteration(self, by: int) -> None:
        """To the end of the iteration before, or of the next."""
        self.time.iteration(by)

    def action_live(self) -> None:
        """Back to now; where that is already so, follow the newest node or stop following."""
        self.time.live()

    def action_tab(self, by: int) -> None:
        """The next tab, or the one before."""
        self.node.next_tab(by)
        self.add_class("-detail")

    def action_attempt(self, what: Step) -> None:
        """The next attempt of an imported tree or the one before, the next fork, a comparison, texts in full."""
        self.node.go(what)

    @on(TextPane.LineChosen, "#forks, #tabs")
    def _line_chosen(self, event: TextPane.LineChosen) -> None:
        self.services.go_to_node(event.key)

    def action_other_c(self) -> None:
        """Compare with the next other exploration constant; after the last with none."""
        self.node.other_c()

    def action_intervene(self) -> None:
        """What may be done at the node under the cursor."""
        self.interventions.menu()

    def action_mark(self) -> None:
        """Say something of the node under the cursor."""
        self.marks.menu()

    def action_bookmarks(self) -> None:
        """All marks of the workspace."""
        self.marks.list_all()

    def action_view(self) -> None:
        """What else can be looked at."""
        self.views.menu()

    def action_go_to(self) -> None:
        """Ask for a node, a time or a command."""
        ask_line(self.parts)

    def action_restore(self) -> None:
        """Back to all panes."""
        self.enlarging.restore()
        self.show_overview()
        self.remove_class("-detail")
        self.show_state()
        self.tree_view.focus()

    def action_escape(self) -> None:
        """Go back to all panes; if they are shown, end the filter; then remove marks."""
        enlarged = self.enlarging.pane is not None or self.has_class("-detail")
        if not enlarged and (self.query_one(FindBar).is_open or self.finder.matches):
            self.finder.close()
            return
        if not enlarged and self.time.clear():
            self.show_views()
        self.action_restore()
