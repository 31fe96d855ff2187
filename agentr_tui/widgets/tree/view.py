"""The tree of a search as rows: only what is visible is rendered, whatever the size or depth of the tree.

The host folds events into the tree and then calls `grow`; the view reads the tree through a `TreeReader` and never
changes it. The cursor is a node, not a row: it and the view stay where they are when rows appear above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip

from agentr_tui.terminal.theme import palette
from agentr_tui.widgets.partial_repaint import FrugalScroll
from agentr_tui.widgets.tree import moves
from agentr_tui.widgets.tree.drawing import RowDrawing
from agentr_tui.widgets.tree.line import Columns, Painter, RowSummary
from agentr_tui.widgets.tree.overlay import Mark as Mark
from agentr_tui.widgets.tree.rows import TreeRows
from agentr_tui.widgets.tree.window import RowWindow
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader

SMALL = 2_000
"""Trees of fewer nodes open with everything unfolded."""

OPEN_DEPTH = 3
"""Larger ones show nodes down to this depth."""

NARROW = 100
"""Below this many columns of the screen the view is compact."""


def _binding(keys: str, action: str, id: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, name, show=False, id=f"tree.{id}", tooltip=tooltip)


class FollowChanged(Message):
    """The view began or stopped following the newest node."""


class TreeView(FrugalScroll, can_focus=True):
    """Shows a tree; the cursor chooses a node (hosts watch `cursor_node`, so that they draw in the same frame).

    `follow` keeps the newest node in view until the reader moves. `compact` (None: by the width of the screen)
    leaves out the bar and joins chains of only children into one row each. Which rows are on screen is known by its
    `window`, what they show by its `drawing`.
    """

    DEFAULT_CSS = """
    TreeView { width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        _binding("j,down", "go('down')", "down", "down", "Next row"),
        _binding("k,up", "go('up')", "up", "up", "Previous row"),
        _binding("g,home", "go('first')", "first", "first", "First row"),
        _binding("G,end", "go('last')", "last", "last", "Last row"),
        _binding("pagedown,ctrl+f", "page(1)", "page_down", "page down", "A page down"),
        _binding("pageup,ctrl+b", "page(-1)", "page_up", "page up", "A page up"),
        _binding("l,right", "unfold", "unfold", "unfold", "Unfold; where that is done, go to the first child"),
        _binding("h,left", "fold", "fold", "fold", "Fold; where that is done, go to the parent"),
        _binding("z", "toggle_below", "below", "fold below", "Fold, or unfold everything below"),
        _binding("right_parenthesis", "go('next')", "next_sibling", "next sibling", "Next child of the same parent"),
        _binding("left_parenthesis", "go('before')", "previous_sibling", "previous sibling", "Previous such child"),
        Binding("enter", "select", "open", show=False, id="tree.open", tooltip="Open this node", key_display="enter"),
    ]

    cursor_node: reactive[int] = reactive(ROOT, init=False, repaint=False)
    crowded: reactive[bool] = reactive(False, init=False, repaint=False)
    compact: reactive[bool | None] = reactive(None, init=False, repaint=False)
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

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.window = RowWindow(self)
        self.drawing = RowDrawing()

    @property
    def rows(self) -> TreeRows | None:
        """The rows, to read from."""
        return self.window.rows

    @property
    def is_compact(self) -> bool:
        """Whether the view leaves out what has no room."""
        return self.compact if self.compact is not None else self.app.size.width < NARROW

    # -- what is shown -------------------------------------------------------------------------------

    def set_tree(
        self, reader: TreeReader, score_range: tuple[float, float] = (0.0, 1.0), *, open_depth: int | None = None
    ) -> None:
        """Show another tree, from its root on. `reader`: the tree at a moment. `score_range`: least and greatest
        return. `open_depth`: nodes above it are unfolded; None: all of a small tree, those above depth 3 of a large
        one."""
        if open_depth is None and len(reader) >= SMALL:
            open_depth = OPEN_DEPTH
        rows = TreeRows(reader, open_depth=open_depth, chains=self.is_compact, crowded=self.crowded)
        self.window.take(rows)
        self.drawing.take(rows, score_range)
        self.set_reactive(TreeView.cursor_node, ROOT)
        self.window.settle(ROOT, 0)
        self.refresh_statistics()
        self.refresh()

    def set_moment(self, reader: TreeReader) -> None:
        """Show the same tree at another moment: folding and cursor stay, as far as the nodes were there."""
        rows = self.rows
        if rows is None:
            self.set_tree(reader, self.drawing.score_range)
            return
        (anchor, offset), cursor = self.window.anchor(), self.cursor_node
        while cursor >= len(reader):
            cursor = rows.reader.node(cursor).parent
        while anchor >= len(reader):
            anchor = rows.reader.node(anchor).parent
        rows.follow(reader)
        self.window.settle(anchor, offset)
        self.cursor_node = rows.crowding.leader(reader, cursor)
        self.refresh_statistics()

    def grow(self, new_ids: Iterable[int] = ()) -> None:
        """Events were folded into the tree: take up new nodes, show figures that changed.

        Call it once a flush, not once an event. `new_ids` is for the caller's ease: the tree is asked what is new.
        """
        if (rows := self.rows) is None:
            return
        (anchor, offset), before = self.window.anchor(), rows.generation
        new = rows.follow()
        if rows.generation != before:
            self.window.settle(anchor, offset)
        if new and self.follow:
            self._to_newest()
        self.refresh_statistics()

    def _to_newest(self) -> None:
        """The cursor goes where the tree grows."""
        if (rows := self.rows) is not None:
            self.cursor_node = rows.crowding.leader(rows.reader, rows.nodes - 1)
            self.window.see(self.cursor_node)

    def set_lit(self, ids: set[int] | None) -> None:
        """Dim the rows of all other nodes; None: of none."""
        if ids != self.drawing.lit:
            self.drawing.lit = ids
            self.refresh_statistics()

    def set_path(self, ids: Iterable[int]) -> None:
        """The current search path, root first; empty for none."""
        if self.drawing.overlay.set_path(ids):
            self.refresh_statistics()

    def set_marks(self, marks: Mapping[int, Mark]) -> None:
        """Set the words about nodes: one in the last column, a glyph left of the guides."""
        if self.drawing.overlay.set_marks(marks):
            self.refresh_statistics()

    def set_pair(self, good: int | None, bad: int | None) -> None:
        """The leaves of the chosen pair; their trajectories after the fork are marked too."""
        drawing = self.drawing
        if (rows := self.rows) is not None and drawing.overlay.set_pair(rows.reader, good, bad, drawing.glyphs):
            self.refresh_statistics()

    def set_visible(self, ids: Iterable[int] | None) -> None:
        """Show only these nodes with their ancestors; None shows all again."""
        if (rows := self.rows) is not None:
            self._refold(lambda: rows.set_visible(ids))

    def go_to(self, id: int) -> None:
        """Put the cursor on a node, unfolding what hides it. Raises `IndexError` where there is no such node."""
        if (rows := self.rows) is None or not 0 <= id < rows.nodes:
            raise IndexError(f"there is no node {id}")
        self.follow = False
        self.cursor_node = id
        self.window.see(id)

    # -- folding -------------------------------------------------------------------------------------

    def toggle(self, id: int) -> None:
        """Fold or unfold a node."""
        if (rows := self.rows) is not None:
            self._refold(lambda: moves.opened(rows, id))

    def fold_to_depth(self, depth: int) -> None:
        """Show nodes down to a depth."""
        if (rows := self.rows) is not None:
            self._refold(lambda: rows.fold_to_depth(depth))

    def unfold_all(self) -> None:
        """Show every node."""
        self.crowded = False
        if (rows := self.rows) is not None:
            self._refold(rows.unfold_all)

    def place(self) -> tuple[int, int, bool, list[int]]:
        """Node under the cursor, node of the first visible row, and what is folded (see `RowCounts.folds`)."""
        if (rows := self.rows) is None:
            return ROOT, ROOT, True, []
        return self.cursor_node, self.window.anchor()[0], *rows.folds()

    def restore(self, cursor: int, top: int, shut: bool, folds: Iterable[int] | None) -> None:
        """Show the tree as `place` described it: `cursor` and `top` are the nodes under the cursor and of the first
        row, `shut` and `folds` what is folded (`RowCounts.folds`); `folds` None leaves that as it is."""
        if (rows := self.rows) is None:
            return
        if folds is not None:
            rows.set_folds(shut, folds)
        cursor, top = (min(max(ROOT, id), rows.nodes - 1) for id in (cursor, top))
        self.window.settle(top, 0)
        self.cursor_node = cursor
        self.refresh_statistics()

    def _refold(self, change: Callable[[], None]) -> None:
        """Change what is folded or filtered: the row of the cursor stays where it is on the screen."""
        rows = self.rows
        assert rows is not None
        anchor, line = self.window.anchor_at(self.cursor_node)
        change()
        self.window.settle(anchor, line)
        self.cursor_node = rows.visible_ancestor(self.cursor_node)
        self.refresh_statistics()

    # -- drawing -------------------------------------------------------------------------------------

    def row_of(self, id: int) -> RowSummary:
        """What the row of a node shows."""
        return self.drawing.row_of(id, self._columns(), self.cursor_node)

    def _columns(self) -> Columns:
        """Where things stand; where that has changed, everything is drawn anew."""
        now = self.drawing.measured(self.size.width, self.is_compact, self.cursor_node)
        if self.drawing.lay_out(now):
            if self.styles.border_bottom[0]:
                self.retitle(subtitle=Content(self.drawing.caption(now)))
            self.refresh()
        return now

    def refresh_statistics(self) -> None:
        """Figures, or what is said of nodes, changed: draw those visible rows anew that show others, no other."""
        width = self.size.width
        if self.rows is not None and width and self.is_attached:
            changed = self.drawing.stale(self.window.nodes(), self._columns(), self.cursor_node)
            if changed:
                self.refresh(*(Region(0, line, width, 1) for line in changed))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw the lines that show another row. Most show the same one where rows came above."""
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if not self.window.settling:
            self.refresh_statistics()

    def render_line(self, y: int) -> Strip:
        """The strip of one line of the viewport."""
        drawing, width = self.drawing, self.size.width
        if drawing.painter is None:
            colours = palette(self.app.current_theme)
            drawing.painter = Painter(colours, self.rich_style, drawing.glyphs, focused=self.has_focus)
        ids = self.window.nodes()
        if not width or y >= len(ids):
            return drawing.blank(y, width)
        return drawing.strip(y, ids[y], self.cursor_node, width, self.is_compact)

    def watch_compact(self) -> None:
        """Join or part chains, and lay out anew."""
        if (rows := self.rows) is not None and self.is_attached:
            self._refold(lambda: rows.set_chains(self.is_compact))
            if self.size.width:
                self._columns()

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor in view."""
        self.watch_compact()
        self.window.see(self.cursor_node)

    def on_mount(self) -> None:
        """Styles are prepared anew for every theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.notify_style_update())

    def notify_style_update(self) -> None:
        """Theme, ground or focus changed: all strips are stale."""
        super().notify_style_update()
        self.drawing.forget()

    def watch_has_focus(self, value: bool) -> None:
        """The cursor is brighter where the keys go."""
        super().watch_has_focus(value)
        self.notify_style_update()
        self.refresh()

    # -- cursor --------------------------------------------------------------------------------------

    def validate_cursor_node(self, id: int) -> int:
        """Only nodes that exist."""
        return max(ROOT, min(id, self.rows.nodes - 1 if self.rows is not None else ROOT))

    def watch_cursor_node(self, id: int) -> None:
        """Show it."""
        if (rows := self.rows) is None:
            return
        if not rows.is_visible(id):
            anchor, offset = self.window.anchor()
            rows.reveal(id)
            self.window.settle(anchor, offset)
            if not rows.is_visible(id):  # the filter hides it
                self.cursor_node = rows.visible_ancestor(id)
                return
        self.window.see(id)
        self.refresh_statistics()

    def watch_follow(self, follow: bool) -> None:
        """Go where the tree grows."""
        if follow:
            self._to_newest()
        self.post_message(FollowChanged())

    def watch_crowded(self, crowded: bool) -> None:
        """Let never-visited siblings share a row, or have one each."""
        if (rows := self.rows) is not None and self.is_attached:
            rows.crowding.on, rows.crowding.spread = crowded, set()
            self._refold(rows.rebuild)

    def _move(self, id: int | None) -> None:
        """The reader moved the cursor, also to where it is: then it is shown."""
        self.follow = False
        if id is not None and id != NO_PARENT:
            self.cursor_node = id
        self.window.see(self.cursor_node)

    def action_go(self, way: str) -> None:
        """Move the cursor; see `moves.WAYS`."""
        if rows := self.rows:
            self._move(moves.WAYS[way](rows, self.cursor_node))

    def action_page(self, pages: int) -> None:
        """Rows further by the height of the view."""
        if rows := self.rows:
            self._move(moves.further(rows, self.cursor_node, pages * max(1, self.size.height - 1)))

    def action_unfold(self) -> None:
        """Unfold; where that is done, go to the first child (in a chain: to the next step)."""
        if rows := self.rows:
            if (there := moves.unfolding(rows, self.cursor_node)) is not None:
                self._move(there)
            elif moves.opens(rows, last := rows.row_node(self.cursor_node)):
                self.toggle(last)

    def action_fold(self) -> None:
        """Fold; where that is done, go to the parent (in a chain: to the step before)."""
        if rows := self.rows:
            if (there := moves.folding(rows, self.cursor_node)) is not None:
                self._move(there)
            else:
                self.toggle(self.cursor_node)

    def action_toggle_below(self) -> None:
        """Fold the row, or unfold everything below it."""
        if rows := self.rows:
            last = rows.row_node(self.cursor_node)
            if rows.is_open(last):
                self.toggle(last)
            else:
                self._refold(lambda: rows.unfold_below(last))

    def action_select(self) -> None:
        """Say that the node was chosen."""
        if self.rows is not None:
            self.post_message(self.NodeSelected(self, self.cursor_node))

    # -- mouse ---------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Fold at the glyph; elsewhere take the row, and choose it where it was taken already."""
        at, rows, ids = event.get_content_offset(self), self.rows, self.window.nodes()
        if at is None or rows is None or not 0 <= at.y < len(ids):
            return
        event.stop()
        id, level = ids[at.y], self.drawing.level_at(at.y)
        if level is not None and self._columns().glyph_cell(level) == at.x and moves.opens(rows, id):
            self.toggle(id)
        elif rows.row_node(self.cursor_node) == id:
            self.action_select()
        else:
            self._move(id)

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    @on(ScrollTo)
    @on(ScrollUp)
    @on(ScrollDown)
    def _reader_scrolled(self) -> None:
        """The reader looks elsewhere: stop following; the cursor stays in sight."""
        self.follow = False
        self.call_after_refresh(self._cursor_into_sight)

    def _cursor_into_sight(self) -> None:
        self.cursor_node = self.window.nearest(self.cursor_node)
