"""The node under the cursor on the Search screen, and the tabs below it."""

from __future__ import annotations

from collections.abc import Callable

from agentr_tui.screens.search.imports.attempts import TABS as TABS_OF_ATTEMPTS
from agentr_tui.screens.search.imports.attempts import Attempts, Step, attempt_lines, fork_lines
from agentr_tui.screens.search.imports.comparing import compare_attempt
from agentr_tui.screens.search.imports.step_lines import attempt_conversation_lines, attempt_step_lines
from agentr_tui.screens.search.node_lines import (
    Answered,
    conversation_lines,
    environment_lines,
    raw_lines,
    shortened,
    step_lines,
)
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.search.why_lines import log_lines, why_lines
from agentr_tui.screens.shared.mode_screen import tab_title
from agentr_tui.widgets.text_pane import Lines, TextPane
from engine.actors.request_log import answer_of, was_asked
from engine.base.errors import AgentrError
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree

TABS = ("why", "conversation", "environment", "raw", "log")
OTHER_CS = (0.0, 0.25, 1.0, 2.0)
"""Exploration constants that `c` compares the search's own with."""


class NodePane:
    """What is known of one node."""

    def __init__(self, services: TreeServices, pane: Callable[[str], TextPane]) -> None:
        """`pane`: of the node, the tabs, or the forks of an imported tree, by its id."""
        self._services, self._pane = services, pane
        self.attempts = Attempts(services)
        self._forks_told: tuple[object, ...] = ()
        self._shown: tuple[SearchTree | None, int] = (None, 0)  # whose place in its text is kept
        self._told: tuple[SearchTree, int, str] | None = None  # what the tab tells, and of which node
        self._tab = 0
        self._c: float | None = None  # an exploration constant to compare with
        self._answer: tuple[tuple[SearchTree, int], Answered] | None = None  # of the raw tab

    @property
    def tab(self) -> int:
        """The tab that is open, counted from 0."""
        return self._tab

    @tab.setter
    def tab(self, tab: int) -> None:
        self._tab = tab % len(TABS)

    def show(self) -> None:
        """The node under the cursor as it is at the moment that is looked at."""
        session, id = self._services.session, self._services.tree_view.cursor_node
        tree, reader = session.tree, session.reader
        if tree is None or reader is None or id is None or id >= len(tree):
            return
        node, tabs, forks = self._pane("node"), self._pane("tabs"), self._pane("forks")
        node.retitle(f"node {id} · depth {tree.nodes[id].depth}" if id != ROOT else "root · the task")
        same = self._shown == (tree, id)
        self._shown = tree, id
        if tree.attempts:
            whole, share = self.attempts.whole, self.attempts.share(id)
            lines = attempt_step_lines(tree, id, share, session.score_range, whole)
            node.set_lines(shortened(lines), keep_scroll=same)
        else:
            node.set_lines(step_lines(tree, reader, id, session.score_range), keep_scroll=True)
        if forks.display:
            self._show_forks(tree, forks)
        names = self._names(tree)
        tabs.retitle(tab_title(names, self._tab % len(names), tabs.outer_size.width or 200))
        tabs.set_lines(self._tab_lines(id), keep_scroll=True)
        told = (tree, id, names[self._tab % len(names)])
        if told != self._told and told[2] == "conversation":  # what was said last; a screen of rules comes first
            tabs.to_end()
        self._told = told
        if tree.attempts and names[self._tab % len(names)] == "attempts" and id != ROOT:
            tabs.scroll_to_key(tree.attempts[tree.first_through[id]].leaf)

    def _show_forks(self, tree: SearchTree, forks: TextPane) -> None:
        """The pane below the tree of an import; all of it is told again where the key of a fork was pressed."""
        found, at = self.attempts.forks, self.attempts.fork
        told = (tree, tree.seq, id(found), at)
        if told == self._forks_told:  # the cursor moved: they are the same
            return
        self._forks_told = told
        forks.retitle("where failed attempts leave solved ones", f"D: {'the next one' if found else 'none'}")
        forks.set_lines(lambda width: fork_lines(found, at, tree, width), keep_scroll=True)
        if at is not None:
            forks.scroll_to_key(at)

    def _names(self, tree: SearchTree) -> tuple[str, ...]:
        return TABS_OF_ATTEMPTS if tree.attempts else TABS

    def _tab_lines(self, id: int) -> Lines:
        session = self._services.session
        tree, reader = session.tree, session.reader
        assert tree is not None
        assert reader is not None
        names = self._names(tree)
        name = names[self._tab % len(names)]
        if name == "attempts":
            return attempt_lines(session, tree, id, self.attempts.steps)
        if name == "forks":
            found, at = self.attempts.forks, self.attempts.fork
            return lambda width: fork_lines(found, at, tree, width)
        if name == "why":
            return lambda width: why_lines(reader, id, width, self._c)
        if name == "conversation" and tree.attempts:
            return shortened(attempt_conversation_lines(tree, id, self.attempts.whole))
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
        path, node = self._services.session.path, tree.nodes[id]
        if path is None or not was_asked(tree, id):
            return "not known"
        self._answer = ((tree, id), "reading …")

        def read() -> Answered:
            try:
                return answer_of(path, node.parent, node.draw) or "not in the trace yet"
            except AgentrError as error:
                return str(error)

        def found(answer: Answered) -> None:
            self._answer = ((tree, id), answer)
            if self._services.session.tree is tree and self._services.tree_view.cursor_node == id:
                self.show()

        self._services.in_thread(read, found, "answer")
        return "reading …"

    def go(self, what: Step) -> None:
        """What a key does in a tree of attempts: `whole` shows long texts in full, or folds them again."""
        tree = self._services.session.tree
        if what in ("next", "back"):
            self.attempts.next(1 if what == "next" else -1)
        elif what == "compare":
            compare_attempt(self._services, self.attempts)
        elif what == "fork":
            self.attempts.next_fork()
            if tree is not None and tree.attempts and not self._pane("forks").display:
                self._tab = TABS_OF_ATTEMPTS.index("forks")
            self.show()
        elif tree is None or not tree.attempts:
            self._services.say("Texts are folded in imported trees only: these are in full.")
        else:
            self.attempts.whole = not self.attempts.whole
            self.show()

    def show_forks(self, room: bool) -> None:
        """The pane of the forks, for a tree of attempts where there is room."""
        tree, forks = self._services.session.tree, self._pane("forks")
        wanted = room and tree is not None and bool(tree.attempts)
        if forks.display != wanted:
            forks.display = wanted
            self.show()

    def next_tab(self, by: int) -> None:
        """The next tab, or the one before."""
        self.tab = self._tab + by
        self.show()

    def other_c(self) -> None:
        """Compare with the next other exploration constant; after the last with none."""
        tree = self._services.session.tree
        own = tree.settings_at(tree.seq).c if tree is not None and tree.started is not None else None
        others = [None, *(c for c in OTHER_CS if c != own)]
        self.compare_c(others[(others.index(self._c) + 1) % len(others)] if self._c in others else None)

    def compare_c(self, c: float | None) -> None:
        """Show in the tab `why` what another exploration constant would choose; None for none."""
        self._c = c
        self._tab = TABS.index("why")
        self.show()
