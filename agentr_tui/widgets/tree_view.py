"""The tree of a search as rows: only what is visible is rendered, whatever the size or depth of the tree.

The host folds events into the tree and then calls `grow`; the view reads the tree through a `TreeReader` and never
changes it. The cursor is a node, not a row: it and the view stay where they are when rows appear above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from agentr_tui.theme import Glyphs, glyphs
from agentr_tui.widgets.tree_line import Columns, Mark, Painter, Side, Told
from agentr_tui.widgets.tree_rows import TreeRows
from engine.tree import NO_PARENT, ROOT, TreeReader

SMALL = 2_000
"""Trees up to this many nodes open with everything unfolded."""

OPEN_DEPTH = 3
"""Larger ones show nodes down to this depth."""

NARROW = 100
"""Below this many columns of the screen the view is compact."""

LONGEST_CHAIN = 40
"""Of a longer chain of only children these many steps around the cursor are shown."""

_KEPT_STRIPS = 256


def _binding(keys: str, action: str, name: str, tooltip: str) -> Binding:
    return Binding(keys, action, name, show=False, id=f"tree.{action}", tooltip=tooltip)


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
        _binding("j,down", "cursor_down", "down", "Next row"),
        _binding("k,up", "cursor_up", "up", "Previous row"),
        _binding("g,home", "cursor_first", "first", "First row"),
        _binding("G,end", "cursor_last", "last", "Last row"),
        _binding("pagedown,ctrl+f", "page(1)", "page down", "A page down"),
        _binding("pageup,ctrl+b", "page(-1)", "page up", "A page up"),
        _binding("l,right", "unfold", "unfold", "Unfold; where that is done, go to the first child"),
        _binding("h,left", "fold", "fold", "Fold; where that is done, go to the parent"),
        _binding("z", "toggle_below", "fold below", "Fold, or unfold everything below"),
        _binding("right_parenthesis", "sibling(1)", "next sibling", "Next child of the same parent"),
        _binding("left_parenthesis", "sibling(-1)", "previous sibling", "Previous child of the same parent"),
        _binding("enter", "select", "open", "Open this node"),
    ]

    cursor_node: reactive[int] = reactive(ROOT)
    follow: reactive[bool] = reactive(False)
    compact: reactive[bool | None] = reactive(None)

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
        """The node was chosen: by enter, or by a click on the row that has the cursor."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: TreeRows | None = None
        self._score_range = (0.0, 1.0)
        self._glyphs: Glyphs = glyphs()
        self._path: list[int] = []
        self._path_places: dict[int, int] = {}  # node → its place on the path
        self._marks: dict[int, Mark] = {}
        self._pair: tuple[int | None, int | None] = (None, None)
        self._sides: dict[int, Side] = {}
        self._newest = ROOT
        self._painter: Painter | None = None
        self._columns: Columns | None = None
        self._strips: LRUCache[Told, Strip] = LRUCache(_KEPT_STRIPS)
        self._window: tuple[tuple[int, int, int], list[int]] = ((-1, -1, -1), [])
        self._drawn: dict[int, Told] = {}  # line of the viewport → what it shows

    # -- what is shown -------------------------------------------------------------------------------

    def set_tree(
        self, reader: TreeReader, score_range: tuple[float, float] = (0.0, 1.0), *, open_depth: int | None = None
    ) -> None:
        """Show another tree from its root on.

        `score_range`: least and greatest return. `open_depth`: nodes shallower than that are unfolded; by default
        all of a small tree, and those down to depth 3 of a large one.
        """
        if open_depth is None and len(reader) >= SMALL:
            open_depth = OPEN_DEPTH
        self._rows = TreeRows(reader, open_depth=open_depth, chains=self.is_compact)
        self._score_range = score_range
        self._path, self._path_places, self._marks = [], {}, {}
        self._pair, self._sides = (None, None), {}
        self._newest = len(reader) - 1
        self._strips.clear()
        self.set_reactive(TreeView.cursor_node, ROOT)
        self._settle(ROOT, 0)
        self.refresh()
        self.post_message(self.NodeHighlighted(self, ROOT))

    def set_moment(self, reader: TreeReader) -> None:
        """Show the same tree at another moment: folding and cursor stay, as far as the nodes were there."""
        if self._rows is None:
            self.set_tree(reader, self._score_range)
            return
        anchor, offset = self._anchor()
        cursor = self.cursor_node
        while cursor >= len(reader):
            cursor = self._rows.reader.node(cursor).parent
        while anchor >= len(reader):
            anchor = self._rows.reader.node(anchor).parent
        self._rows.follow(reader)
        self._settle(anchor, offset)
        self.cursor_node = cursor
        self._freshen()

    def grow(self, new_ids: Iterable[int] = ()) -> None:
        """Events were folded into the tree: take up new nodes, show figures that changed.

        Call it once a flush, not once an event. What isn't visible costs nothing beyond its count.
        """
        rows = self._rows
        if rows is None:
            return
        anchor, offset = self._anchor()
        born = rows.follow()
        self._newest = max(self._newest, born.stop - 1, *new_ids) if born else self._newest
        if born:
            self._settle(anchor, offset)
        if born and self.follow:
            self._show_newest()
        self._freshen()

    def refresh_statistics(self, ids: Iterable[int] = ()) -> None:
        """Figures changed; visible rows that show others are drawn anew (whichever `ids` say, it asks the rows)."""
        self._freshen()

    def set_path(self, ids: Iterable[int]) -> None:
        """The current search path, root first; empty for none."""
        path = list(ids)
        if path != self._path:
            self._path = path
            self._path_places = {id: place for place, id in enumerate(path)}
            self._freshen()

    def set_marks(self, marks: Mapping[int, Mark]) -> None:
        """What else is said of nodes: a word in the last column, a glyph left of the guides."""
        if marks != self._marks:
            self._marks = dict(marks)
            self._freshen()

    def set_pair(self, good: int | None, bad: int | None) -> None:
        """The leaves of the chosen pair; their trajectories after the fork are marked too."""
        if (good, bad) == self._pair or self._rows is None:
            return
        self._pair = (good, bad)
        signs, reader = self._glyphs, self._rows.reader
        ways = [self._way(reader, leaf) for leaf in (good, bad)]
        shared = set(ways[0]) & set(ways[1])
        self._sides = {}
        for way, leaf, leaf_glyph, step_glyph, role in (
            (ways[0], good, signs.good, signs.plus, "good"),
            (ways[1], bad, signs.bad, signs.minus, "bad"),
        ):
            for id in way:
                if id not in shared:
                    self._sides[id] = Side(leaf_glyph if id == leaf else step_glyph, role)  # type: ignore[arg-type]
        self._freshen()

    @staticmethod
    def _way(reader: TreeReader, leaf: int | None) -> list[int]:
        """The nodes from a leaf up to the root."""
        way, id = [], NO_PARENT if leaf is None or leaf >= len(reader) else leaf
        while id != NO_PARENT:
            way.append(id)
            id = reader.node(id).parent
        return way

    def set_visible(self, ids: Iterable[int] | None) -> None:
        """Show only these nodes with their ancestors; None shows all again."""
        if self._rows is not None:
            anchor, offset = self._anchor()
            self._rows.set_visible(ids)
            self._settle(anchor, offset)
            self.cursor_node = self._rows.visible_ancestor(self.cursor_node)
            self._show_row(self.cursor_node)
            self._freshen()

    def go_to(self, id: int) -> None:
        """Put the cursor on a node, unfolding what hides it. Raises `IndexError` where there is no such node."""
        if self._rows is None or not 0 <= id < self._rows.nodes:
            raise IndexError(f"there is no node {id}")
        self.follow = False
        self.cursor_node = id
        self._show_row(id)

    @property
    def rows(self) -> TreeRows | None:
        """The rows, for reading."""
        return self._rows

    @property
    def is_compact(self) -> bool:
        """Whether the view leaves out what has no room."""
        return self.compact if self.compact is not None else self.app.size.width < NARROW

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
        if follow:
            self._show_newest()

    def watch_compact(self) -> None:
        """Join or part chains."""
        self._fit()

    def _move(self, id: int | None) -> None:
        """The reader moved the cursor."""
        if id is not None and id != NO_PARENT:
            self.follow = False
            self.cursor_node = id

    def _row(self) -> tuple[TreeRows, int] | None:
        """The rows, and the node of the row under the cursor."""
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
        if not (at := self._row()):
            return
        rows, last = at
        if self.cursor_node != last:
            chain = rows.chain(last)
            self._move(chain[chain.index(self.cursor_node) + 1])
        elif not rows.is_open(last) and rows.has_children(last):
            self.toggle(last)
        elif rows.has_children(last):
            self._move(rows.following(last))

    def action_fold(self) -> None:
        """Fold; where that is done, go to the parent (in a chain: to the step before)."""
        if not (at := self._row()):
            return
        rows, last = at
        if self.cursor_node == last and rows.is_open(last) and rows.has_children(last):
            self.toggle(last)
        else:
            self._move(rows.reader.node(self.cursor_node).parent)

    def action_toggle_below(self) -> None:
        """Fold the row, or unfold everything below."""
        if not (at := self._row()):
            return
        rows, last = at
        if rows.is_open(last):
            self.toggle(last)
        else:
            self._refold(lambda: rows.unfold_below(last))

    def action_select(self) -> None:
        """Say that the node was chosen."""
        if self._rows is not None:
            self.post_message(self.NodeSelected(self, self.cursor_node))

    def toggle(self, id: int) -> None:
        """Fold or unfold a node."""
        if self._rows is not None:
            self._refold(lambda: self._rows.toggle(id))  # type: ignore[union-attr]
