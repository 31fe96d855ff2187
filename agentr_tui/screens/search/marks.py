"""Marks on nodes of the Search screen: good, bad, bookmarks with a name; kept in the workspace."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from agentr_tui.screens.search.node_marks import said_of
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.shared.dialogs import Choice, Popup
from agentr_tui.state.bookmarks import Bookmarks, Kind, NodeMark
from agentr_tui.state.last_place import View
from agentr_tui.terminal.safe_text import clip, pad
from agentr_tui.terminal.theme import glyphs
from agentr_tui.widgets.tree.overlay import Said
from engine.base.errors import AgentrError
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import find_trace

FOLDER = "bookmarks"
"""Of the workspace."""


class NodeMarks:
    """The marks on nodes, and the keys that set them."""

    def __init__(self, services: TreeServices) -> None:
        self._services = services
        self._bookmarks: Bookmarks | None = None
        self._marks: dict[int, list[NodeMark]] = {}  # of the trace that is shown
        self._marks_of: SearchTree | None = None
        self._environment = ""  # of that trace
        self._signs = glyphs()

    def describe(self, id: int) -> Said | None:
        """What is known of a node, for its row."""
        reader = self._services.session.reader
        return None if reader is None else said_of(reader, id, self._marks, self._environment, self._signs)

    @property
    def bookmarks(self) -> Bookmarks | None:
        """The marks of the workspace; None, and a word why, where they can't be read."""
        if self._bookmarks is None:
            try:
                self._bookmarks = Bookmarks(self._services.session.workspace.path / FOLDER)
            except AgentrError as error:
                self._services.complain(str(error))
            else:
                for warning in self._bookmarks.warnings:
                    self._services.complain(warning)
        return self._bookmarks

    def of(self, node: int) -> list[NodeMark]:
        """The marks of a node of the tree that is shown."""
        return self._marks.get(node, [])

    def take(self, *, again: bool = False) -> None:
        """The marks of the tree that is shown; `again` also where it is the same as before."""
        tree = self._services.session.tree
        if tree is None or tree.started is None or (tree is self._marks_of and not again):
            return
        self._marks_of, self._marks = tree, {}
        self._environment = tree.started.environment
        if self.bookmarks is not None:
            for mark in self.bookmarks.of_trace(tree.started.trace):
                self._marks.setdefault(mark.node, []).append(mark)
        self._services.tree_view.refresh_statistics()

    # -- marking -------------------------------------------------------------------------------------

    def menu(self) -> None:
        """Say something of the node under the cursor."""
        tree, id = self._services.session.tree, self._services.tree_view.cursor_node
        if tree is None or not len(tree):
            return
        self._services.choose(
            f"mark node {id}",
            [
                Choice("g", "good", lambda: self.mark(id, "good")),
                Choice("b", "bad", lambda: self.mark(id, "bad")),
                Choice("m", "bookmark with a name …", lambda: self.ask_name(id)),
                Choice("x", "take its marks away", lambda: self.unmark(id)),
                Choice("l", "list all marks", self.list_all),
            ],
        )

    def ask_name(self, id: int) -> None:
        """Ask for a name and put a bookmark on a node."""
        known = next((mark.name for mark in self.of(id) if mark.kind == "bookmark"), "")
        self._services.ask_text(f"bookmark of node {id}", partial(self.mark, id, "bookmark"), value=known)

    def mark(self, id: int, kind: Kind, name: str = "") -> None:
        """Put a mark on a node of this trace.

        `id`: the node. `kind`: bookmark, good or bad. `name`: of a bookmark; may be empty.
        """
        session = self._services.session
        if session.tree is None or session.tree.started is None or self.bookmarks is None:
            return
        try:
            self.bookmarks.set(session.tree.started.trace, id, kind, name, str(session.path or ""))
        except AgentrError as error:
            self._services.complain(str(error))
        self.take(again=True)

    def unmark(self, id: int) -> None:
        """Take all marks off a node."""
        session = self._services.session
        if session.tree is None or session.tree.started is None or self.bookmarks is None:
            return
        try:
            count = self.bookmarks.remove(session.tree.started.trace, id)
        except AgentrError as error:
            self._services.complain(str(error))
        else:
            self._services.say(f"{count} mark{'s' * (count != 1)} taken off node {id}", seconds=2)
        self.take(again=True)

    def list_all(self) -> None:
        """All marks of the workspace; enter goes to one."""
        session = self._services.session
        if self.bookmarks is None:
            return
        try:
            self.bookmarks.refresh()
        except AgentrError as error:
            self._services.complain(str(error))
        self.take(again=True)
        trace = session.tree.started.trace if session.tree is not None and session.tree.started is not None else ""
        marks = self.bookmarks.all()
        here = sorted((mark for mark in marks if mark.trace == trace), key=lambda mark: mark.node)
        elsewhere = [mark for mark in marks if mark.trace != trace]
        if not marks:
            self._services.say("No node is marked yet: press m to mark the one under the cursor.")
            return

        def chosen(mark: NodeMark | None) -> None:
            """Goes to the node of a mark, in another trace too; None: nothing was chosen."""
            if mark is None:
                return
            if mark.trace == trace:
                self._services.go_to_node(mark.node)
            elif mark.path and (found := find_trace(session.workspace, Path(mark.path))):
                known = session.views.get(mark.trace, View())
                session.views[mark.trace] = structs.replace(known, cursor=mark.node, top=mark.node)
                self._services.open_path(found)
            else:
                self._services.complain(
                    f"node {mark.node} of a trace that is not at {mark.path or 'a known place'} now"
                )

        self._services.open(MarkList(here, elsewhere), chosen)


class MarkList(Popup[NodeMark]):
    """Marks, those of the trace at hand first."""

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "close", id="marks.close", tooltip="Close the list"),
        Binding("j", "down", "down", show=False, id="marks.down", tooltip="Next mark"),
        Binding("k", "up", "up", show=False, id="marks.up", tooltip="Mark before"),
    ]
    DEFAULT_CSS = "MarkList .dialog { width: 80; } MarkList OptionList { width: 1fr; }"

    def __init__(self, here: list[NodeMark], elsewhere: list[NodeMark]) -> None:
        super().__init__()
        self._marks = [*here, *elsewhere]
        self._here = len(here)

    def compose(self) -> ComposeResult:
        """A line a mark."""
        with Vertical(classes="dialog"):
            yield Static("marks · enter goes there · esc closes", classes="dialog-title", markup=False)
            yield OptionList(*(Option(self._line(place)) for place in range(len(self._marks))), compact=True)

    def _line(self, place: int) -> Content:
        mark = self._marks[place]
        where = f"node {mark.node}" if place < self._here else f"node {mark.node} of {clip(mark.trace, 16)}"
        name = clip(mark.name, 40) if mark.kind == "bookmark" else mark.kind
        return Content(f"{glyphs().bookmark} {pad(name or 'marked', 24)} {where} · {clip(mark.reviewer, 20)}")

    def action_down(self) -> None:
        """Next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go there."""
        self.dismiss(self._marks[event.option_index])
