"""The tree of a search as rows: only what is visible is rendered, whatever the size or depth of the tree.

The host folds events into the tree and then calls `grow`; the view reads the tree through a `TreeReader` and never
changes it. The cursor is a node, not a row: it and the view stay where they are when rows appear above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip

from agentr_tui.theme import glyphs, palette
from agentr_tui.widgets.tree_line import Columns, Painter, Told, columns, drawn_levels, labels, told
from agentr_tui.widgets.tree_overlay import Mark as Mark
from agentr_tui.widgets.tree_overlay import Overlay
from agentr_tui.widgets.tree_rows import TreeRows
from engine.tree import NO_PARENT, ROOT, TreeReader

SMALL = 2_000
"""Trees of fewer nodes open with everything unfolded."""

OPEN_DEPTH = 3
"""Larger ones show nodes down to this depth."""

NARROW = 100
"""Below this many columns of the screen the view is compact."""

LONGEST_CHAIN = 40
"""Of a longer chain of only children, these many steps are shown."""

_KEPT_STRIPS = 256


def _binding(keys: str, action: str, id: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, name, show=False, id=f"tree.{id}", tooltip=tooltip)


class TreeView(ScrollView, can_focus=True):
    """Shows a tree; the cursor chooses a node.

    `follow` keeps the newest node in view until the reader moves. `compact` (None: by the width of the screen)
    leaves out the bar and joins chains of only children into one row each.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TreeView { width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
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

    cursor_node: reactive[int] = reactive(ROOT, init=False)
    follow: reactive[bool] = reactive(False, init=False)
    compact: reactive[bool | None] = reactive(None, init=False)

    class NodeMessage(Message):
        """Something happened to a node of a tree view."""

        def __init__(self, tree_view: TreeView, node: int) -> None:
            super().__init__()
            self.tree_view = tree_view
            self.node = node

        @property
        def control(self) -> TreeView:
            """The sender."""
            return self.tree_view

    class NodeHighlighted(NodeMessage):
        """The cursor is on another node, or another tree is shown."""

    class NodeSelected(NodeMessage):
        """The node was chosen: by enter, or by a click on the row that has the cursor already."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: TreeRows | None = None
        self._score_range = (0.0, 1.0)
        self._glyphs = glyphs()
        self._overlay = Overlay()
        self._painter: Painter | None = None
        self._layout_now: Columns | None = None
        self._strips: LRUCache[Told, Strip] = LRUCache(_KEPT_STRIPS)
        self._window: tuple[tuple[int, int, int], list[int]] = ((-1, -1, -1), [])
        self._drawn: dict[int, Told] = {}  # line of the viewport → what it shows

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
        self.refresh()
        self.post_message(self.NodeHighlighted(self, ROOT))

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

    def refresh_statistics(self, ids: Iterable[int] = ()) -> None:
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

    @property
    def rows(self) -> TreeRows | None:
        """The rows, to read from."""
        return self._rows

    @property
    def is_compact(self) -> bool:
        """Whether the view leaves out what has no room."""
        return self.compact if self.compact is not None else self.app.size.width < NARROW

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

    def _refold(self, change: Callable[[], None]) -> None:
        """Change what is folded or filtered: the row of the cursor stays where it is on the screen."""
        rows = self._rows
        assert rows is not None
        row = rows.row_of(self.cursor_node)
        top = self.scroll_offset.y
        on_screen = row is not None and top <= row < top + self.size.height
        anchor, offset = (self.cursor_node, (row or 0) - top) if on_screen else self._anchor()
        change()
        self.cursor_node = rows.visible_ancestor(self.cursor_node)
        self._settle(anchor, offset)
        self._freshen()

    # -- cursor --------------------------------------------------------------------------------------

    def validate_cursor_node(self, id: int) -> int:
        """Only nodes that exist."""
        return max(ROOT, min(id, self._rows.nodes - 1 if self._rows is not None else ROOT))

    def watch_cursor_node(self, id: int) -> None:
        """Show it, and say so."""
        rows = self._rows
        if rows is None:
            return
        if not rows.is_visible(id):
            anchor, offset = self._anchor()
            rows.reveal(id)
            self._settle(anchor, offset)
        self._show_row(id)
        self._freshen()
        self.post_message(self.NodeHighlighted(self, id))

    def watch_follow(self, follow: bool) -> None:
        """Go where the tree grows."""
        if follow and self._rows is not None:
            self._show_row(self._rows.nodes - 1)

    def watch_compact(self) -> None:
        """Lay out anew."""
        self._fit()

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
                self._move(rows.reader.children(self.cursor_node)[0])
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

    # -- place ---------------------------------------------------------------------------------------

    def _visible(self) -> list[int]:
        """The nodes of the visible rows, top first."""
        if self._rows is None:
            return []
        key = (self._rows.generation, self.scroll_offset.y, self.size.height)
        if self._window[0] != key:
            self._window = (key, self._rows.window(key[1], key[2]))
        return self._window[1]

    def _anchor(self) -> tuple[int, int]:
        """What must stay where it is when rows come and go: the node of the top row, at line 0."""
        ids = self._visible()
        return (ids[0] if ids else ROOT), 0

    def _settle(self, anchor: int, offset: int) -> None:
        """The rows changed: tell the scrollbar how many there are, and put `anchor` on line `offset`."""
        rows = self._rows
        assert rows is not None
        if self.virtual_size.height != len(rows):
            self.virtual_size = Size(0, len(rows))  # forces a layout: once a flush
        row = rows.row_of(rows.visible_ancestor(anchor)) or 0
        self._scroll(row - offset)

    def _scroll(self, top: int) -> None:
        """Put row `top` on the first line, as far as the rows reach."""
        top = max(0, min(top, self.virtual_size.height - self.size.height))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)

    def _show_row(self, id: int) -> None:
        """Scroll as little as needed to see a node, or its nearest visible ancestor, and a little around it."""
        rows = self._rows
        if rows is None or not self.size.height:
            return
        row = rows.row_of(rows.visible_ancestor(id)) or 0
        top, height = self.scroll_offset.y, self.size.height
        around = min(2, (height - 1) // 2)
        if row < top + around:
            self._scroll(row - around)
        elif row >= top + height - around:
            self._scroll(row - height + 1 + around)

    # -- drawing -------------------------------------------------------------------------------------

    def _measured(self) -> Columns:
        """Where things have to stand now."""
        rows = self._rows
        assert rows is not None
        return columns(
            self.size.width,
            compact=self.is_compact,
            visits=rows.reader.visits(ROOT),
            deepest=rows.max_depth,
            cursor_level=rows.level(self.cursor_node),
        )

    def _columns(self) -> Columns:
        """Where things stand; where that has changed, everything is drawn anew."""
        now = self._measured()
        if now != self._layout_now:
            self._layout_now = now
            self._strips.clear()
            self._drawn.clear()
            self._caption(now)
            self.refresh()
        return now

    def _caption(self, now: Columns) -> None:
        """Name the columns in the lower border, where there is one."""
        if self.styles.border_bottom[0]:
            figures = "N".rjust(max(0, now.visits - 1)) + "Q".rjust(now.value) if now.value else ""
            rest = max(0, now.bar + now.word - 2)
            line = (self._glyphs.dash * (rest - 7) + " status").rjust(rest) if rest > 7 else ""
            self.border_subtitle = Content(f"{figures.strip()} {line}".strip())

    def _told(self, id: int, now: Columns) -> Told:
        """What the row of a node shows."""
        rows, overlay = self._rows, self._overlay
        assert rows is not None
        chain = tuple(rows.chain(id))
        level = rows.level(id)
        path, elbow = overlay.along(rows, chain[0], drawn_levels(level, now)[0])
        cursor = self.cursor_node if self.cursor_node in chain else NO_PARENT
        if len(chain) > LONGEST_CHAIN:
            place = chain.index(cursor) if cursor != NO_PARENT else 0
            chain = (*chain[place : place + LONGEST_CHAIN], id) if place + LONGEST_CHAIN < len(chain) else chain[place:]
        return told(
            rows.reader,
            chain,
            level,
            score_range=self._score_range,
            glyphs=self._glyphs,
            columns=now,
            foldable=rows.has_children(id),
            is_open=rows.is_open(id),
            cursor=cursor,
            path=path,
            elbow=elbow,
            on_path=overlay.on_path(id),
            mark=overlay.marks.get(id),
            side=overlay.sides.get(id),
        )

    def _freshen(self) -> None:
        """Draw those visible rows anew that show something else by now."""
        if self._rows is None or not self.size.width or not self.is_attached:
            return
        now, ids = self._columns(), self._visible()
        top = self.scroll_offset.y
        for line in range(max(len(ids), len(self._drawn))):
            shown = self._told(ids[line], now) if line < len(ids) else None
            if self._drawn.get(line) != shown:
                self.refresh_line(top + line)

    def render_line(self, y: int) -> Strip:
        """The strip of one line of the viewport."""
        width = self.size.width
        if self._painter is None:
            self._painter = Painter(
                palette(self.app.current_theme), self.rich_style, self._glyphs, focused=self.has_focus
            )
        ids = self._visible()
        if not width or y >= len(ids):
            self._drawn.pop(y, None)
            return self._painter.blank(width)
        now = self._layout_now
        if now is None or now.width != width:  # a frame before the resize was told
            now = self._measured()
            self._strips.clear()
        row = self._drawn[y] = self._told(ids[y], now)
        strip = self._strips.get(row)
        if strip is None:
            assert self._rows is not None
            strip = self._painter.strip(row, labels(self._rows.reader, row.chain, self._glyphs), now)
            self._strips[row] = strip
        return strip

    def _fit(self) -> None:
        """The room changed: join or part chains, lay out the columns."""
        if (rows := self._rows) is not None and self.is_attached:
            self._refold(lambda: rows.set_chains(self.is_compact))
            if self.size.width:
                self._columns()

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor in view."""
        self._fit()
        self._show_row(self.cursor_node)

    def on_mount(self) -> None:
        """Styles are prepared anew for every theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.notify_style_update())

    def notify_style_update(self) -> None:
        """Theme, ground or focus changed: all strips are stale."""
        super().notify_style_update()
        self._painter = None
        self._strips.clear()
        self._drawn.clear()

    def watch_has_focus(self, value: bool) -> None:
        """The cursor is brighter where the keys go."""
        super().watch_has_focus(value)
        self.notify_style_update()
        self.refresh()
