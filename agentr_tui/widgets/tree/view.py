"""The tree of a search as rows: only what is visible is rendered, whatever the size or depth of the tree.

The host folds events into the tree and then calls `grow`; the view reads the tree through a `TreeReader` and never
changes it. The cursor is a node, not a row: it and the view stay where they are when rows appear above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp

from agentr_tui.widgets.tree.canvas import TreeCanvas
from agentr_tui.widgets.tree.overlay import Mark as Mark
from agentr_tui.widgets.tree.overlay import Overlay
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.tree import NO_PARENT, ROOT, TreeReader

SMALL = 2_000
"""Trees of fewer nodes open with everything unfolded."""

OPEN_DEPTH = 3
"""Larger ones show nodes down to this depth."""


def _binding(keys: str, action: str, id: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, name, show=False, id=f"tree.{id}", tooltip=tooltip)


class TreeView(TreeCanvas, can_focus=True):
    """Shows a tree; the cursor chooses a node (hosts watch `cursor_node`, so that they draw in the same frame).

    `follow` keeps the newest node in view until the reader moves. `compact` (None: by the width of the screen)
    leaves out the bar and joins chains of only children into one row each.
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        _binding("j,down", "cursor_down", "down", "down", "Next row"),
        _binding("k,up", "cursor_up", "up", "up", "Previous row"),
        _binding("g,home", "cursor_first", "first", "first", "First row"),
        _binding("G,end", "cursor_last", "last", "last", "Last row"),
        _binding("pagedown,ctrl+f", "page(1)", "page_down", "page down", "A page down"),
        _binding("pageup,ctrl+b", "page(-1)", "page_up", "page up", "A page up"),
        _binding("l,right", "unfold", "unfold", "unfold", "Unfold; where that is done, go to the first child"),
        _binding("h,left", "fold", "fold", "fold", "Fold; where that is done, go to the parent"),
        _binding("z", "toggle_below", "below", "fold below", "Fold, or unfold everything below"),
        _binding("right_parenthesis", "sibling(1)", "next_sibling", "next sibling", "Next child of the same parent"),
        _binding("left_parenthesis", "sibling(-1)", "previous_sibling", "previous sibling", "Previous such child"),
        _binding("enter", "select", "open", "open", "Open this node"),
    ]

    follow: reactive[bool] = reactive(False, init=False, repaint=False)

    class NodeSelected(Message):
        """The node was chosen: by enter, or by a click on the row that has the cursor already."""

        def __init__(self, tree_view: TreeView, node: int) -> None:
            super().__init__()
            self.tree_view = tree_view
            self.node = node

        @property
        def control(self) -> TreeView:
            """The sender."""
            return self.tree_view

    # -- what is shown -------------------------------------------------------------------------------

    def set_tree(
        self, reader: TreeReader, score_range: tuple[float, float] = (0.0, 1.0), *, open_depth: int | None = None
    ) -> None:
        """Show another tree, from its root on.

        `score_range`: least and greatest return. `open_depth`: nodes shallower than that are unfolded; by default
        all of a small tree, and those down to depth 3 of a large one.
        """
        if open_depth is None and len(reader) >= SMALL:
            open_depth = OPEN_DEPTH
        self._rows = TreeRows(reader, open_depth=open_depth, chains=self.is_compact)
        self._score_range = score_range
        self._overlay = Overlay()
        self._strips.clear()
        self.set_reactive(TreeView.cursor_node, ROOT)
        self._settle(ROOT, 0)
        self._freshen()
        self.refresh()

    def set_moment(self, reader: TreeReader) -> None:
        """Show the same tree at another moment: folding and cursor stay, as far as the nodes were there."""
        rows = self._rows
        if rows is None:
            self.set_tree(reader, self._score_range)
            return
        (anchor, offset), cursor = self._anchor(), self.cursor_node
        while cursor >= len(reader):
            cursor = rows.reader.node(cursor).parent
        while anchor >= len(reader):
            anchor = rows.reader.node(anchor).parent
        rows.follow(reader)
        self._settle(anchor, offset)
        self.cursor_node = cursor
        self._freshen()

    def grow(self, new_ids: Iterable[int] = ()) -> None:
        """Events were folded into the tree: take up new nodes, show figures that changed.

        Call it once a flush, not once an event. `new_ids` is for the caller's ease: the tree is asked what is new.
        """
        rows = self._rows
        if rows is None:
            return
        anchor, offset = self._anchor()
        if rows.follow():
            self._settle(anchor, offset)
            if self.follow:
                self._show_row(rows.nodes - 1)
        self._freshen()

    def refresh_statistics(self) -> None:
        """Figures changed: visible rows that show others are drawn anew. Nothing else is looked at."""
        self._freshen()

    def set_path(self, ids: Iterable[int]) -> None:
        """The current search path, root first; empty for none."""
        if self._overlay.set_path(ids):
            self._freshen()

    def set_marks(self, marks: Mapping[int, Mark]) -> None:
        """What else is said of nodes: a word in the last column, a glyph left of the guides."""
        if self._overlay.set_marks(marks):
            self._freshen()

    def set_pair(self, good: int | None, bad: int | None) -> None:
        """The leaves of the chosen pair; their trajectories after the fork are marked too."""
        if self._rows is not None and self._overlay.set_pair(self._rows.reader, good, bad, self._glyphs):
            self._freshen()

    def set_visible(self, ids: Iterable[int] | None) -> None:
        """Show only these nodes with their ancestors; None shows all again."""
        if (rows := self._rows) is not None:
            self._refold(lambda: rows.set_visible(ids))

    def go_to(self, id: int) -> None:
        """Put the cursor on a node, unfolding what hides it. Raises `IndexError` where there is no such node."""
        if self._rows is None or not 0 <= id < self._rows.nodes:
            raise IndexError(f"there is no node {id}")
        self.follow = False
        self.cursor_node = id
        self._show_row(id)

    # -- folding -------------------------------------------------------------------------------------

    def toggle(self, id: int) -> None:
        """Fold or unfold a node."""
        if (rows := self._rows) is not None:
            self._refold(lambda: rows.toggle(id))

    def fold_to_depth(self, depth: int) -> None:
        """Show nodes down to a depth."""
        if (rows := self._rows) is not None:
            self._refold(lambda: rows.fold_to_depth(depth))

    def unfold_all(self) -> None:
        """Show every node."""
        if (rows := self._rows) is not None:
            self._refold(rows.unfold_all)

    def place(self) -> tuple[int, int, bool, list[int]]:
        """Node under the cursor, node of the first visible row, and what is folded (see `RowCounts.folds`)."""
        if self._rows is None:
            return ROOT, ROOT, True, []
        return self.cursor_node, self._anchor()[0], *self._rows.folds()

    def restore(self, cursor: int, top: int, shut: bool, folds: Iterable[int] | None) -> None:
        """Show the tree as `place` told that it was; `folds` None leaves them as they are."""
        rows = self._rows
        if rows is None:
            return
        if folds is not None:
            rows.set_folds(shut, folds)
        cursor, top = (min(max(ROOT, id), rows.nodes - 1) for id in (cursor, top))
        self._settle(top, 0)
        self.cursor_node = cursor
        self._freshen()

    # -- cursor --------------------------------------------------------------------------------------

    def watch_cursor_node(self, id: int) -> None:
        """Show it."""
        rows = self._rows
        if rows is None:
            return
        if not rows.is_visible(id):
            anchor, offset = self._anchor()
            rows.reveal(id)
            self._settle(anchor, offset)
            if not rows.is_visible(id):  # the filter hides it
                self.cursor_node = rows.visible_ancestor(id)
                return
        self._show_row(id)
        self._freshen()

    def watch_follow(self, follow: bool) -> None:
        """Go where the tree grows."""
        if follow and self._rows is not None:
            self._show_row(self._rows.nodes - 1)

    def _move(self, id: int | None) -> None:
        """The reader moved the cursor."""
        if id is not None and id != NO_PARENT:
            self.follow = False
            self.cursor_node = id

    def _row(self) -> tuple[TreeRows, int] | None:
        """The rows, and the node that the row under the cursor stands for."""
        return None if self._rows is None else (self._rows, self._rows.row_node(self.cursor_node))

    def action_cursor_down(self) -> None:
        """Next row."""
        if at := self._row():
            self._move(at[0].following(at[1]))

    def action_cursor_up(self) -> None:
        """Previous row."""
        if at := self._row():
            self._move(at[0].preceding(at[1]))

    def action_cursor_first(self) -> None:
        """First row."""
        self._move(ROOT)

    def action_cursor_last(self) -> None:
        """Last row."""
        if at := self._row():
            self._move(at[0].last())

    def action_page(self, pages: int) -> None:
        """Rows further by the height of the view."""
        if at := self._row():
            row = (at[0].row_of(at[1]) or 0) + pages * max(1, self.size.height - 1)
            self._move(at[0].at(max(0, min(row, len(at[0]) - 1))))

    def action_sibling(self, step: int) -> None:
        """Another child of the same parent."""
        if at := self._row():
            self._move(at[0].sibling(at[1], step))

    def action_unfold(self) -> None:
        """Unfold; where that is done, go to the first child (in a chain: to the next step)."""
        if at := self._row():
            rows, last = at
            if self.cursor_node != last:
                chain = rows.chain(last)
                self._move(chain[chain.index(self.cursor_node) + 1])
            elif rows.has_children(last):
                if rows.is_open(last):
                    self._move(rows.following(last))
                else:
                    self.toggle(last)

    def action_fold(self) -> None:
        """Fold; where that is done, go to the parent (in a chain: to the step before)."""
        if at := self._row():
            rows, last = at
            if self.cursor_node == last and rows.is_open(last) and rows.has_children(last):
                self.toggle(last)
            else:
                self._move(rows.reader.node(self.cursor_node).parent)

    def action_toggle_below(self) -> None:
        """Fold the row, or unfold everything below it."""
        if at := self._row():
            rows, last = at
            if rows.is_open(last):
                self.toggle(last)
            else:
                self._refold(lambda: rows.unfold_below(last))

    def action_select(self) -> None:
        """Say that the node was chosen."""
        if self._rows is not None:
            self.post_message(self.NodeSelected(self, self.cursor_node))

    # -- mouse ---------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Fold at the glyph; elsewhere take the row, and choose it where it was taken already."""
        at = event.get_content_offset(self)
        ids = self._visible()
        if at is None or self._rows is None or not 0 <= at.y < len(ids):
            return
        event.stop()
        id, shown = ids[at.y], self._drawn.get(at.y)
        if shown is not None and self._columns().glyph_cell(shown.level) == at.x and self._rows.has_children(id):
            self.toggle(id)
        elif self._rows.row_node(self.cursor_node) == id:
            self.action_select()
        else:
            self._move(id)

    def _reader_scrolled(self) -> None:
        self.follow = False

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The reader looks elsewhere: stop following."""
        self._reader_scrolled()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The reader looks elsewhere: stop following."""
        self._reader_scrolled()

    def on_scroll_to(self, event: ScrollTo) -> None:
        """The scrollbar was dragged."""
        self._reader_scrolled()

    def on_scroll_up(self, event: ScrollUp) -> None:
        """The scrollbar was clicked."""
        self._reader_scrolled()

    def on_scroll_down(self, event: ScrollDown) -> None:
        """The scrollbar was clicked."""
        self._reader_scrolled()
