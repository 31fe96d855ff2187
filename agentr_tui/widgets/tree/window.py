"""Which rows of a tree a scrolling widget shows, and how they stay in place while rows come and go."""

from __future__ import annotations

from agentr_tui.widgets.partial_repaint import FrugalScroll
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import ROOT


class RowWindow:
    """The part of the rows that is on screen."""

    def __init__(self, widget: FrugalScroll) -> None:
        self._widget = widget
        self.rows: TreeRows | None = None
        self.settling = False  # the rows changed, and the cursor has not followed yet: nothing can be drawn
        self._nodes: tuple[tuple[int, int, int], list[int]] = ((-1, -1, -1), [])

    def take(self, rows: TreeRows) -> None:
        """Show other rows."""
        self.rows = rows
        self._nodes = ((-1, -1, -1), [])  # kept by the count of changes, which both may have in common

    def nodes(self) -> list[int]:
        """The nodes of the rows on screen, top first."""
        if self.rows is None:
            return []
        key = (self.rows.generation, self._widget.scroll_offset.y, self._widget.size.height)
        if self._nodes[0] != key:
            self._nodes = (key, self.rows.window(key[1], key[2]))
        return self._nodes[1]

    def anchor(self) -> tuple[int, int]:
        """What must stay in place when rows appear or disappear: the node of the top row, at line 0."""
        ids = self.nodes()
        return (ids[0] if ids else ROOT), 0

    def anchor_at(self, node: int) -> tuple[int, int]:
        """A node and its line, where it is on screen; else the node of the top row."""
        row = self.rows.row_of(node) if self.rows is not None else None
        top = self._widget.scroll_offset.y
        return (node, row - top) if row is not None and top <= row < top + self._widget.size.height else self.anchor()

    def nearest(self, node: int) -> int:
        """The node itself where its row is on screen, else one whose row is, and a little further in."""
        ids = self.nodes()
        row = self.rows.row_of(self.rows.row_node(node)) if self.rows is not None else None
        top = round(self._widget.scroll_offset.y)
        if row is None or not ids or top <= row < top + len(ids):
            return node
        around = min(2, (len(ids) - 1) // 2)
        return ids[around] if row < top else ids[-1 - around]

    def settle(self, anchor: int, line: int) -> None:
        """Take up that the rows changed: set the scrollbar to their number, and put `anchor` on a line.

        The caller draws."""
        rows = self.rows
        assert rows is not None
        self.settling = True
        try:
            self._widget.set_height(len(rows))
            row = rows.row_of(rows.visible_ancestor(anchor)) or 0
            self._scroll(row - line)
        finally:
            self.settling = False

    def _scroll(self, top: int) -> None:
        """Put row `top` on the first line, as far as the rows reach."""
        widget = self._widget
        top = max(0, min(top, widget.virtual_size.height - widget.size.height))
        if top != widget.scroll_offset.y:
            widget.scroll_to(y=top, animate=False, force=True)

    def see(self, node: int) -> None:
        """Scroll as little as needed to see a node, or its nearest visible ancestor, and a little around it."""
        rows, height = self.rows, self._widget.size.height
        if rows is None or not height:
            return
        row = rows.row_of(rows.visible_ancestor(node)) or 0
        top = self._widget.scroll_offset.y
        around = min(2, (height - 1) // 2)
        if row < top + around:
            self._scroll(row - around)
        elif row >= top + height - around:
            self._scroll(row - height + 1 + around)
