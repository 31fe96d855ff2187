"""Search: the tree as it grows, the node under the cursor, why the search went where it went."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from agentr_tui.screens.search.command_line import SearchCommands, ask_line, do_line
from agentr_tui.screens.search.figures import search_figures
from agentr_tui.screens.search.interventions import Intervenes
from agentr_tui.screens.search.node_lines import Answered, conversation_lines, environment_lines, raw_lines, step_lines
from agentr_tui.screens.search.why_lines import log_lines, why_lines
from agentr_tui.screens.shared.copying import Copyable, of_node
from agentr_tui.screens.shared.mode_screen import NOTHING_OPEN, key, reading_lines, tab_title
from agentr_tui.state.last_place import View
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.find_bar import FindBar
from agentr_tui.widgets.overview import Overview
from agentr_tui.widgets.text_pane import Lines, TextPane
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.marked_view import MarkedTree
from agentr_tui.widgets.tree.view import TreeView
from engine.actors.request_log import answer_of, was_asked
from engine.base.errors import AgentrError
from engine.pairs.pairs import best_partner, count_pairs
from engine.search.control import Control
from engine.search.control_file import RemoteControl
from engine.search.interventions import Intervention, What
from engine.tree.tree import ROOT, SearchTree
from envs.base import title_of

TABS = ("why", "conversation", "environment", "raw", "log")
OTHER_CS = (0.0, 0.25, 1.0, 2.0)
"""Exploration constants that `c` compares the search's own with."""
COUNTED_LEAVES = 1_000
"""Up to so many leaves pairs are counted on every flush; the Pairs screen counts beyond."""
STEERING = frozenset({"pause", "step", "stop"})
"""Actions that need a search that goes on."""
STATE_ROLES: dict[str, Role] = {"running": "good", "paused": "warn", "stopped": "warn", "done": "muted"}


class SearchScreen(Intervenes):
    """The tree and one of its nodes."""

    MODE = "search"
    COMMANDS = {SearchCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        key("space", "pause", "pause", "search.pause", "Pause the search, or go on", show=True),
        key("s", "step", "step", "search.step", "One expansion, then stand still", show=True),
        key("comma", "event(-1)", "time", "search.event_back", "An event back in time", show=True, key_display=", ."),
        key("full_stop", "event(1)", "later", "search.event_forth", "An event forth"),
        key("less_than_sign", "iteration(-1)", "earlier", "search.iteration_back", "An iteration back in time"),
        key("greater_than_sign", "iteration(1)", "later", "search.iteration_forth", "An iteration forth"),
        key("L", "live", "live", "search.live", "Back to how the tree is now; then follow the newest node"),
        key("p", "pair", "pair", "search.pair", "Pair this leaf with its best partner", show=True),
        key("slash", "find", "find", "search.find", "Find nodes: q>0.5 disaster action~craft", show=True,
            key_display="/"),
        key("i", "intervene", "intervene…", "search.intervene", "Edit, expand, prune, breakpoints, settings",
            show=True),
        key("m", "mark", "mark…", "search.mark", "Mark this node: good, bad, a bookmark with a name", show=True),
        key("v", "view", "view…", "search.view", "Columns, overview, plots, compare, repeated states", show=True),
        key("right_square_bracket", "tab(1)", "tabs", "search.tab_next", "Next tab", show=True, key_display="[ ]"),
        key("left_square_bracket", "tab(-1)", "tabs", "search.tab_back", "Previous tab"),
        key("S", "stop", "stop", "search.stop", "Stop the search cleanly; it can be resumed", show=True),
        key("n", "find_next(1)", "next match", "search.find_next", "Next match", key_display="n N"),
        key("N", "find_next(-1)", "match before", "search.find_back", "Match before"),
        key("f", "find_mode", "filter or dim", "search.find_mode", "Hide the rows that do not match, or dim them"),
        key("apostrophe", "bookmarks", "marks", "search.bookmarks", "List all marks", key_display="'"),
        key("c", "other_c", "other c", "search.other_c", "What another exploration constant would choose"),
        key("tab", "app.focus_next", "next pane", "search.next_pane", "Next pane"),
        key("plus", "enlarge", "enlarge", "search.enlarge", "Enlarge the pane that has the focus"),
        key("underscore", "restore", "restore", "search.restore", "Restore the enlarged pane"),
        key("colon", "go_to", "command", "search.go_to", "Command line: 87, t 120, best, fold 3, break good …"),
        key("escape", "escape", "restore", "search.escape", "Restore the panes; then end finding; then unmark"),
    ]  # fmt: skip

    def copyable(self) -> list[Copyable]:
        """The node under the cursor."""
        return of_node(self.agentr.session, self.tree_view.cursor_node)

    def __init__(self) -> None:
        super().__init__()
        self._tab = 0
        self._c: float | None = None  # an exploration constant to compare with
        self._viewed: SearchTree | None = None  # the tree that this screen shows
        self._answer: tuple[tuple[SearchTree, int], Answered] | None = None  # of the raw tab

    def compose_body(self) -> ComposeResult:
        """Tree at the left, node and tabs at the right, time below."""
        with Horizontal(id="search-body"):
            with Vertical(id="tree-side"):
                yield MarkedTree(id="tree")
                yield FindBar()
                yield Overview(id="overview")
            with Vertical(id="node-side"):
                yield TextPane(id="node")
                yield TextPane(id="tabs")
        yield TimelineView(id="time")

    @property
    def tree_view(self) -> TreeView:
        """The tree widget."""
        return self.query_one("#tree", TreeView)

    def on_mount(self) -> None:
        """The tree has the focus."""
        self.query_one("#node").border_title = "node"
        self.agentr.session.view_now = self._view_now
        self.tree_view.focus()
        self.watch(self.tree_view, "cursor_node", self._cursor_moved, init=False)
        self.tree_opened()

    # -- what is shown -----------------------------------------------------------------------------

    def tree_opened(self) -> None:
        """Another tree: start at its root."""
        session = self.agentr.session
        if session.reader is None or session.tree is None or not len(session.tree):
            self.refresh_view()
            return
        self.tree_view.set_tree(session.reader, session.score_range)
        self._take_view()
        self.tree_view.follow = session.running
        self.take_marks()
        self.found_nothing_yet()
        self.refresh_view()

    def _view_now(self) -> View | None:
        """How the open tree is looked at; None where this screen has not shown it yet."""
        rows = self.tree_view.rows if self.is_mounted else None
        if rows is None or self._viewed is not self.agentr.session.tree:
            return None
        cursor, top, shut, folds = self.tree_view.place()
        return View(cursor, top, shut, folds, self._tab)

    def _take_view(self) -> None:
        """Look at the tree as it was looked at last."""
        session = self.agentr.session
        self._viewed = session.tree
        view = session.views.get(session.tree.started.trace) if session.tree and session.tree.started else None
        if view is not None and not session.running:
            self._tab = view.tab % len(TABS)
            self.tree_view.restore(view.cursor, view.top, view.shut, view.folds)
            self.call_after_refresh(self.tree_view.restore, view.cursor, view.top, view.shut, view.folds)

    def tree_grew(self, first_new: int) -> None:
        """Show what the last events changed; in the past nothing moves but the clock."""
        session = self.agentr.session
        if session.tree is None:
            return
        if first_new == 0:
            self.tree_opened()
        elif session.past is None:
            self.tree_view.grow(range(first_new, len(session.tree)))
        self._refresh_near()
        self.show_views_soon()

    def refresh_view(self) -> None:
        """Everything around the tree."""
        self._refresh_near()
        self.show_views()

    def _refresh_near(self) -> None:
        """What is told of the search and of the node under the cursor."""
        session = self.agentr.session
        tree = session.tree
        if tree is None or not len(tree):
            reading = session.reading
            self.top_bar.show([("no tree is open" if reading is None else "opening a trace", "muted")])
            self.say_nothing(NOTHING_OPEN if reading is None else reading_lines(*reading))
            return
        self.say_nothing(None)
        if session.past is not None:
            self.tree_view.set_path(tree.path_at(session.past))
        else:
            self.tree_view.set_path(tree.path if tree.state in ("running", "paused") else [])
        self.take_marks()
        good, bad = session.chosen
        self.tree_view.set_pair(good, bad)
        self._show_top()
        self._show_node()
        self.take_log()

    def _show_top(self) -> None:
        session = self.agentr.session
        tree = session.tree
        assert tree is not None
        started = tree.started
        assert started is not None
        left: list[tuple[str, Role]] = [
            (f"{title_of(started.environment, started.task)} ", "strong"),
            (f" {started.instruction} ", "text"),
        ]
        past = session.past
        if past is None:
            state = tree.state if tree.state != "running" or session.control is not None else "not finished"
            ended = f" ({tree.end_reason})" if tree.end_reason and tree.state in ("done", "stopped") else ""
            left.append((f" {glyphs().live} {state}{ended} ", STATE_ROLES.get(tree.state, "warn")))
            done = tree.iteration
        else:
            left.append((f" {glyphs().here} past: event {past} ", "warn"))
            done = bisect_right(tree.iteration_seqs, past)
        if tree.imported_from is None:
            of = started.settings.iterations
            filled = round(8 * min(1.0, done / of))
            over = past is None and tree.state in ("done", "stopped")
            left.append((f" iteration {done if over else min(done + 1, of)}/{of} ", "text"))
            full, empty = ("#", ".") if glyphs().guide.isascii() else ("█", "░")
            left.append((full * filled + empty * (8 - filled), "focus"))
        figures = search_figures(tree) if past is None else [f"{len(session.reader or tree)} nodes"]
        self.top_bar.show(left, [(f"  {part}", "muted") for part in figures])
        self.key_bar.left_out = STEERING if session.control is None else frozenset()

    def show_title(self) -> None:
        """How many nodes there are, and how many match what is looked for."""
        session = self.agentr.session
        tree = session.tree
        if tree is None or not len(tree):
            return
        told = [f"{len(tree)} nodes" if session.past is None else f"{len(session.reader or tree)} nodes of {len(tree)}"]
        found = self.found_words()
        told += [found] if found else []
        if session.past is None:
            good, bad = session.leaf_counts()
            told += [f"{good} good", f"{bad} bad"]
            if good + bad <= COUNTED_LEAVES:
                told.append(f"{count_pairs(tree, session.thresholds)} pairs")
        self.tree_view.retitle("tree  " + " · ".join(told))

    def _show_node(self) -> None:
        session = self.agentr.session
        tree, reader = session.tree, session.reader
        id = self.tree_view.cursor_node
        if tree is None or reader is None or id is None or id >= len(tree):
            return
        pane, tabs = self.query_one("#node", TextPane), self.query_one("#tabs", TextPane)
        pane.retitle(f"node {id} · depth {tree.nodes[id].depth}" if id != ROOT else "root · the task")
        pane.set_lines(step_lines(tree, reader, id, session.score_range), keep_scroll=True)
        tabs.retitle(tab_title(TABS, self._tab, tabs.outer_size.width or 200))
        tabs.set_lines(self._tab_lines(id), keep_scroll=True)

    def _tab_lines(self, id: int) -> Lines:
        session = self.agentr.session
        tree, reader = session.tree, session.reader
        assert tree is not None
        assert reader is not None
        name = TABS[self._tab]
        if name == "why":
            return lambda width: why_lines(reader, id, width, self._c)
        if name == "conversation":
            return conversation_lines(tree, id)
        if name == "environment":
            return environment_lines(tree, id)
        if name == "log":
            return log_lines(reader)
        return raw_lines(tree, reader, id, self._answer_to(tree, id))

    def _answer_to(self, tree: SearchTree, id: int) -> Answered:
        """The answer that a node came of, as it arrived: a thread reads it from the trace."""
        if self._answer is not None and self._answer[0] == (tree, id):
            return self._answer[1]
        path, node = self.agentr.session.path, tree.nodes[id]
        if path is None or not was_asked(tree, id):
            return "not known"
        self._answer = ((tree, id), "reading …")

        def read() -> None:
            try:
                found: Answered = answer_of(path, node.parent, node.draw) or "not in the trace yet"
            except AgentrError as error:
                found = str(error)
            self.app.call_from_thread(self._answered, tree, id, found)

        self.run_worker(read, thread=True, group="answer", exclusive=True)
        return "reading …"

    def _answered(self, tree: SearchTree, id: int, found: Answered) -> None:
        self._answer = ((tree, id), found)
        if self.agentr.session.tree is tree and self.tree_view.cursor_node == id and self.is_mounted:
            self._show_node()

    # -- what a person does ------------------------------------------------------------------------

    def _cursor_moved(self) -> None:
        self._show_node()
        self.show_overview()

    @on(TreeView.NodeSelected)
    def _node_opened(self) -> None:
        if self.has_class("-narrow"):
            self._show_detail()
            self.query_one("#tabs").focus()

    def _show_detail(self) -> None:
        """In a narrow window: the node in place of the tree."""
        self.set_class(True, "-detail")

    def _steer(self, ask: Callable[[Control | RemoteControl], None]) -> None:
        """Ask the search that is shown for something, here or in another process."""
        control = self.agentr.session.control
        if control is None:
            self.notify("No search is running here: r in the library resumes one.", severity="warning")
            return
        try:
            ask(control)
        except AgentrError as error:
            self.agentr.complain(str(error))

    def action_pause(self) -> None:
        """Pause, or go on."""
        tree = self.agentr.session.tree
        paused = tree is not None and tree.state == "paused"
        self._steer(lambda control: control.resume() if paused else control.pause())

    def action_step(self) -> None:
        """One more expansion."""
        self._steer(lambda control: control.step())

    def action_stop(self) -> None:
        """End the search; `r` in the library resumes it."""
        self._steer(lambda control: control.stop())

    def action_pair(self) -> None:
        """Pair the leaf under the cursor with its best partner and go to Revision."""
        session = self.agentr.session
        id = self.tree_view.cursor_node
        if session.tree is None or id is None:
            return
        pair = best_partner(session.tree, id, session.thresholds)
        if pair is None:
            self.notify("No partner: this is no finished leaf, or none differs enough from it.", severity="warning")
            return
        session.chosen = (pair.good, pair.bad)
        self.app.switch_mode("revision")

    def _look_at(self, seq: int) -> None:
        """Show the tree as it was after an event; after the last: as it is now."""
        session = self.agentr.session
        if session.tree is None:
            return
        before = session.tree.seq if session.past is None else session.past
        session.past = None if seq >= session.tree.seq else max(0, seq)
        reader = session.reader
        assert reader is not None
        self.tree_view.set_moment(reader)
        self.stepped(before, reader.seq)
        self.refresh_view()
        self.find_again()

    def action_event(self, by: int) -> None:
        """An event back or forth."""
        session = self.agentr.session
        if session.tree is not None:
            self._look_at((session.tree.seq if session.past is None else session.past) + by)

    def action_iteration(self, by: int) -> None:
        """To the end of the iteration before, or of the next."""
        session = self.agentr.session
        if session.tree is None:
            return
        now = session.tree.seq if session.past is None else session.past
        ends = session.tree.iteration_seqs
        if by < 0:
            place = bisect_left(ends, now) - 1
            self._look_at(ends[place] if place >= 0 else 0)
        else:
            place = bisect_right(ends, now)
            self._look_at(ends[place] if place < len(ends) else session.tree.seq)

    def action_live(self) -> None:
        """Back to now; where that is already so, follow the newest node or stop following."""
        session = self.agentr.session
        if session.past is None:
            self.tree_view.follow = not self.tree_view.follow
            self.notify("following the newest node" if self.tree_view.follow else "not following")
        elif session.tree is not None:
            self._look_at(session.tree.seq)

    def action_tab(self, by: int) -> None:
        """The next tab, or the one before."""
        self._tab = (self._tab + by) % len(TABS)
        self._show_node()
        self._show_detail()

    def action_enlarge(self) -> None:
        """Give the focused pane the whole screen."""
        if self.focused is not None:
            self.maximize(self.focused)

    def action_restore(self) -> None:
        """Back to all panes."""
        self.minimize()
        self.set_class(False, "-detail")
        self.tree_view.focus()

    def action_escape(self) -> None:
        """Back to all panes; where they are there, find nothing any more; then take away what was marked."""
        enlarged = self.maximized is not None or self.has_class("-detail")
        if not enlarged and (self.find_bar.is_open or self.matches):
            self.close_find()
            return
        if not enlarged and self.clear_marks():
            self.show_views()
        self.action_restore()

    # -- the command line ----------------------------------------------------------------------------

    def action_go_to(self) -> None:
        """Ask for a node, a time or a command."""
        ask_line(self)

    def _go_to(self, text: str) -> None:
        do_line(self, text)

    def look_at(self, seq: int) -> None:
        """Show the tree as it was after an event."""
        self._look_at(seq)

    def go_to_id(self, id: int) -> None:
        """Put the cursor on a node by its number."""
        self.go_to_node(id)

    def at_cursor(self, what: What, detail: str = "") -> None:
        """Do something to the node under the cursor."""
        self.ask_for(Intervention(what, self.tree_view.cursor_node, detail))

    def action_other_c(self) -> None:
        """Compare with the next other exploration constant; after the last with none."""
        tree = self.agentr.session.tree
        own = tree.settings_at(tree.seq).c if tree is not None and tree.started is not None else None
        others = [None, *(c for c in OTHER_CS if c != own)]
        self.compare_c(others[(others.index(self._c) + 1) % len(others)] if self._c in others else None)

    def compare_c(self, c: float | None) -> None:
        """Show in the tab `why` what another exploration constant would choose; None for none."""
        self._c = c
        self._tab = TABS.index("why")
        self._show_node()
