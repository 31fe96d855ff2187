"""The whole tree in a few lines: a cell a subtree, as wide as its share of the visits, coloured by its Q.

The first line is depth 1; every cell stands below its parent's. A click goes to the node. What is narrower than a
cell of the terminal is left out, so that drawing costs the room there is, however large the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from agentr_tui.terminal.safe_text import clip, pad
from agentr_tui.terminal.theme import (
    VALUE_ROLES,
    Glyphs,
    Palette,
    Role,
    format_count,
    format_value,
    glyphs,
    palette,
    value_role,
)
from agentr_tui.widgets.partial_repaint import Frugal
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader

UNVISITED = 0.25
"""A child that was never visited is as wide as this part of a visit."""

TINT = 0.3
"""How much of the colour of its Q the ground of a cell has."""

HEIGHTS, ASCII_HEIGHTS = "▁▂▄▆█", "._-=#"
"""Signs for `VALUE_ROLES`: a colour is never the only one."""

_FIGURE, _LABEL = 7, 14  # least cells in which the figure, and the action too, are written


class Cell(NamedTuple):
    """A subtree and where it is drawn."""

    id: int
    start: int  # cells from the left
    width: int


def layout(reader: TreeReader, width: int, levels: int) -> list[list[Cell]]:
    """Returns the cells of each depth from 1 on, each as wide as its share of its parent's visits; at least one cell
    wide. Reads the children of what is drawn, and nothing else.

    `reader`: the tree at a moment. `width`: cells of the terminal. `levels`: the greatest depth.
    """
    rows: list[list[Cell]] = []
    above = [Cell(ROOT, 0, width)] if len(reader) and width > 0 else []
    for _ in range(levels):
        row = [cell for parent in above for cell in _below(reader, parent)]
        rows.append(row)
        above = row
    return rows


def _below(reader: TreeReader, parent: Cell) -> list[Cell]:
    children = reader.children(parent.id)
    weights = [reader.visits(child) or UNVISITED for child in children]
    total, so_far, start = sum(weights), 0.0, parent.start
    cells = []
    for child, weight in zip(children, weights, strict=True):
        so_far += weight
        end = parent.start + round(parent.width * so_far / total)
        if end > start:
            cells.append(Cell(child, start, end - start))
        start = end
    return cells


class Overview(Frugal):
    """Draws the layout; the cells on the way to the cursor stand out."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Overview {
        display: none; height: 6; border: round $agentr-faint;
        border-title-color: $agentr-muted; border-subtitle-color: $agentr-muted;
    }
    """

    class NodeChosen(Message):
        """The reader pointed at a subtree."""

        def __init__(self, node: int) -> None:
            super().__init__()
            self.node = node

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.reader: TreeReader | None = None
        self.label: Named | None = None  # of a tree of attempts: what a step is called
        self._score_range = (0.0, 1.0)
        self._cursor = ROOT
        self._way: frozenset[int] = frozenset()
        self._rows: list[list[Cell]] | None = None
        self._strips: list[Strip] = []  # as they are drawn
        self._hovered = NO_PARENT

    def show(self, reader: TreeReader | None, score_range: tuple[float, float], cursor: int) -> None:
        """Show a tree, now or in its past.

        `reader`: the tree at a moment; None: no tree. `score_range`: least and greatest return. `cursor`: the node
        under the cursor.
        """
        if reader is not self.reader or reader is None or self._rows is None or self._key != reader.seq:
            self._rows = None
        elif cursor == self._cursor and score_range == self._score_range:
            return
        self.reader, self._score_range, self._cursor = reader, score_range, cursor
        self._key = -1 if reader is None else reader.seq
        self._way = _way(reader, cursor)
        self._caption()
        before, self._strips = self._strips, self._draw()
        self.refresh_changed(before, self._strips)

    _key = -1  # seq of the reader that _rows was made of

    def rows(self) -> list[list[Cell]]:
        """The cells as they are drawn."""
        if self._rows is None:
            self._rows = layout(self.reader, self.size.width, self.size.height) if self.reader is not None else []
        return self._rows

    def _caption(self) -> None:
        reader, signs = self.reader, glyphs()
        if reader is None or not ROOT < self._hovered < len(reader):
            colors = palette(self.app.current_theme)
            heights = ASCII_HEIGHTS if signs.guide.isascii() else HEIGHTS
            scale = [(height, colors[role]) for height, role in zip(heights, VALUE_ROLES, strict=True)]
            self.retitle(
                "overview",
                Content.assemble(
                    f"width {'visits' if self.label is None else 'attempts'} · height and colour Q ", *scale
                ),
            )
            return
        node = reader.node(self._hovered)
        told = f" · depth {node.depth} · N {format_count(reader.visits(node.id))} · Q "
        value = format_value(reader.q(node.id), *self._score_range, ascii=signs.guide.isascii())
        self.retitle(
            "overview",
            Content(
                f"{node.id} {clip((self.label or _action)(reader, node.id), max(8, self.size.width - 40))}{told}{value}"
            ),
        )

    # -- drawing -----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One depth; all are made at once."""
        if not self._strips:
            self._strips = self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> list[Strip]:
        reader, width, base, theme = self.reader, self.size.width, self.rich_style, self.app.current_theme
        if reader is None or not width:
            return []
        paint = CellPainter(palette(theme), base, theme.background, glyphs(), self._score_range, self.label or _action)
        strips = []
        for row in self.rows():
            segments: list[Segment] = []
            at = 0
            for cell in row:
                if cell.start > at:
                    segments.append(Segment(" " * (cell.start - at), base))
                segments += paint.segments(reader, cell, on_way=cell.id in self._way, here=cell.id == self._cursor)
                at = cell.start + cell.width
            strips.append(Strip(segments).adjust_cell_length(width, base))
        return strips

    def on_resize(self) -> None:
        """Lay out anew."""
        self._rows, self._strips = None, []
        self._caption()

    def on_mount(self) -> None:
        """The legend has the theme's colours."""
        self._caption()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._caption())

    def notify_style_update(self) -> None:
        """Theme or room changed: strips are stale."""
        super().notify_style_update()
        self._strips = []

    # -- mouse -------------------------------------------------------------------------------------

    def node_at(self, x: int, y: int) -> int | None:
        """The node of a cell; None where there is none."""
        rows = self.rows()
        if not 0 <= y < len(rows):
            return None
        return next((cell.id for cell in rows[y] if cell.start <= x < cell.start + cell.width), None)

    def on_click(self, event: events.Click) -> None:
        """Go there."""
        offset = event.get_content_offset(self)
        node = self.node_at(offset.x, offset.y) if offset is not None else None
        if node is not None:
            event.stop()
            self.post_message(self.NodeChosen(node))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Tell of the subtree under the mouse."""
        offset = event.get_content_offset(self)
        self._hover(None if offset is None else self.node_at(offset.x, offset.y))

    def on_leave(self) -> None:
        """The mouse is elsewhere."""
        self._hover(None)

    def _hover(self, node: int | None) -> None:
        hovered = NO_PARENT if node is None else node
        if hovered != self._hovered:
            self._hovered = hovered
            self._caption()


def _way(reader: TreeReader | None, cursor: int) -> frozenset[int]:
    way = []
    while reader is not None and ROOT <= cursor < len(reader):
        way.append(cursor)
        cursor = reader.node(cursor).parent
    return frozenset(way)


Named = Callable[[TreeReader, int], str]
"""What a step is called."""


def _action(reader: TreeReader, id: int) -> str:
    return reader.node(id).action


class CellPainter:
    """Draws cells in the styles of a palette over a ground."""

    def __init__(
        self,
        colors: Palette,
        base: Style,
        ground: str | None,
        signs: Glyphs,
        score_range: tuple[float, float],
        named: Named,
    ) -> None:
        self._named = named
        self._colors, self._base, self._signs, self._range = colors, base, signs, score_range
        self._ground = Color.parse(ground) if ground is not None and ground.startswith("#") else None
        self._ascii = signs.guide.isascii()

    def segments(self, reader: TreeReader, cell: Cell, *, on_way: bool, here: bool) -> Sequence[Segment]:
        """Returns a cell: the sign of its Q, its action and Q as far as there is room, a gap.

        `reader`: the tree at a moment. `cell`: node and place. `on_way`: whether it is on the path to the cursor.
        `here`: whether the cursor is on it.
        """
        q = reader.q(cell.id)
        role = value_role(q, *self._range)
        heights = ASCII_HEIGHTS if self._ascii else HEIGHTS
        sign = self._signs.unseen if q is None else heights[VALUE_ROLES.index(role)]
        ground = self._base + self._tint(role, on_way)
        edge = ground + Style.parse(self._colors[role])
        gap = cell.width > 2
        room = cell.width - 1 - gap
        text = self._label(reader, cell, q, room)
        words = ground + Style.parse(self._colors["strong" if on_way else "muted" if q is None else "text"])
        if here:
            words += Style(underline=True)
        segments = [Segment(sign, edge), Segment(text, words)]
        if gap:
            segments.append(Segment(" ", self._base))
        return segments

    def _tint(self, role: Role, on_way: bool) -> Style:
        color = self._colors[role]
        if self._ground is None or not color.startswith("#"):
            return Style.parse("reverse") if on_way and self._ground is None else Style()
        share = 0.12 if role == "muted" else TINT
        return Style(bgcolor=self._ground.blend(Color.parse(color), share + (0.2 if on_way else 0)).rich_color)

    def _label(self, reader: TreeReader, cell: Cell, q: float | None, room: int) -> str:
        """Action and Q in exactly that many cells, as far as they fit."""
        figure = format_value(q, *self._range, ascii=self._ascii) if cell.width >= _FIGURE and q is not None else ""
        if cell.width < _LABEL:
            return figure.rjust(room - 1).ljust(room) if figure else " " * room
        action = clip(self._named(reader, cell.id), room - len(figure) - 3, ellipsis=self._signs.ellipsis)
        return " " + pad(action, room - len(figure) - 2) + figure + " "
