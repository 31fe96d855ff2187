"""The part of the tree view that places and draws rows: what is visible, and nothing else, is rendered."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip

from agentr_tui.terminal.theme import glyphs, palette
from agentr_tui.widgets.partial_repaint import FrugalScroll
from agentr_tui.widgets.tree.line import Columns, Painter, Told, columns, drawn_levels, labels, told
from agentr_tui.widgets.tree.overlay import Overlay
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.tree import NO_PARENT, ROOT

NARROW = 100
"""Below this many columns of the screen the view is compact."""

LONGEST_CHAIN = 40
"""Of a longer chain of only children, these many steps are shown."""

_KEPT_STRIPS = 256


class TreeCanvas(FrugalScroll):
    """Draws rows around a cursor. `TreeView` adds the tree, the keys and the mouse."""

    DEFAULT_CSS = """
    TreeCanvas { width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    cursor_node: reactive[int] = reactive(ROOT, init=False, repaint=False)
    compact: reactive[bool | None] = reactive(None, init=False, repaint=False)

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

    @property
    def rows(self) -> TreeRows | None:
        """The rows, to read from."""
        return self._rows

    @property
    def is_compact(self) -> bool:
        """Whether the view leaves out what has no room."""
        return self.compact if self.compact is not None else self.app.size.width < NARROW

    def validate_cursor_node(self, id: int) -> int:
        """Only nodes that exist."""
        return max(ROOT, min(id, self._rows.nodes - 1 if self._rows is not None else ROOT))

    def _refold(self, change: Callable[[], None]) -> None:
        """Change what is folded or filtered: the row of the cursor stays where it is on the screen."""
        rows = self._rows
        assert rows is not None
        row = rows.row_of(self.cursor_node)
        top = self.scroll_offset.y
        on_screen = row is not None and top <= row < top + self.size.height
        anchor, offset = (self.cursor_node, (row or 0) - top) if on_screen else self._anchor()
        change()
        self._settle(anchor, offset)
        self.cursor_node = rows.visible_ancestor(self.cursor_node)
        self._freshen()

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
        self.set_height(len(rows))
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
            rest = max(0, now.bar + now.word - 1)
            line = (self._glyphs.dash * (rest - 7) + " status").rjust(rest) if rest > 7 else ""
            self.retitle(subtitle=Content(f"{figures.strip()} {line}".strip()))

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
        now, ids, width = self._columns(), self._visible(), self.size.width
        changed = []
        for line in range(max(len(ids), len(self._drawn))):
            shown = self._told(ids[line], now) if line < len(ids) else None
            if self._drawn.get(line) != shown:
                changed.append(Region(0, line, width, 1))
        if changed:
            self.refresh(*changed)

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
        if now is None or now.width != width:  # a frame before the resize was told: draw it, keep nothing
            now = self._measured()
            self._layout_now = None
        row = self._drawn[y] = self._told(ids[y], now)
        strip = self._strips.get(row) if self._layout_now is not None else None
        if strip is None:
            assert self._rows is not None
            strip = self._painter.strip(row, labels(self._rows.reader, row.chain, self._glyphs), now)
            if self._layout_now is not None:
                self._strips[row] = strip
        return strip

    def watch_compact(self) -> None:
        """Lay out anew."""
        self._fit()

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
