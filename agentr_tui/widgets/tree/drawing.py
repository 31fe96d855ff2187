"""What the rows of a tree show, and their strips, kept as long as a row shows the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.cache import LRUCache
from textual.strip import Strip

from agentr_tui.terminal.theme import glyphs
from agentr_tui.widgets.tree.line import Columns, Painter, RowSummary, columns, drawn_levels, labels, summarise_row
from agentr_tui.widgets.tree.overlay import Overlay, Said
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader

LONGEST_CHAIN = 40
"""Of a longer chain of only children, these many steps are shown."""

UNSAID = frozenset({"all ended", "done"})
"""Words that tell nothing in a tree of attempts: all of them have ended."""

_KEPT_STRIPS = 256


class RowDrawing:
    """Draws the rows of one tree after the other; knows no widget."""

    def __init__(self) -> None:
        self.rows: TreeRows | None = None
        self.glyphs = glyphs()
        self.overlay = Overlay()
        self.describe: Callable[[int], Said | None] | None = None
        """What is said of a node at the moment that is shown. Marks of the overlay come first."""
        self.label: Callable[[TreeReader, int], str] | None = None
        """What a row calls a step of attempts that were made elsewhere; None: its action, as in a search."""
        self.lit: set[int] | None = None
        """The nodes whose rows do not stand back; None: no row does."""
        self.painter: Painter | None = None  # of the theme, the ground and the focus as they are now
        self.strips: LRUCache[RowSummary, Strip] = LRUCache(_KEPT_STRIPS)
        self._score_range = (0.0, 1.0)
        self._columns: Columns | None = None
        self._drawn: dict[int, RowSummary] = {}  # line of the viewport → what it shows

    def take(self, rows: TreeRows, score_range: tuple[float, float]) -> None:
        """Draw another tree, with nothing over it."""
        self.rows, self._score_range = rows, score_range
        self.overlay = Overlay()
        self.lit = None
        self.strips.clear()

    def forget(self) -> None:
        """Theme, ground or focus changed: all strips are stale."""
        self.painter = None
        self.strips.clear()
        self._drawn.clear()

    @property
    def score_range(self) -> tuple[float, float]:
        """Least and greatest return of the tree."""
        return self._score_range

    # -- columns -------------------------------------------------------------------------------------

    def measured(self, width: int, compact: bool, cursor: int) -> Columns:
        """Returns where the columns of the tree are now.

        `width`: cells. `compact`: without bars. `cursor`: the node under the cursor.
        """
        rows = self.rows
        assert rows is not None
        return columns(
            width,
            compact=compact,
            visits=rows.reader.visits(ROOT),
            deepest=rows.max_depth,
            cursor_level=rows.level(cursor),
        )

    def lay_out(self, now: Columns) -> bool:
        """Set the columns; returns whether they moved, so that everything has to be drawn anew."""
        if now == self._columns:
            return False
        self._columns = now
        self.strips.clear()
        self._drawn.clear()
        return True

    def caption(self, now: Columns) -> str:
        """The names of the columns, for the lower border."""
        if self.label is not None:
            return "N attempts · Q mean reward" if now.value else ""
        figures = "N".rjust(max(0, now.visits - 1)) + "Q".rjust(now.value) if now.value else ""
        rest = max(0, now.bar + now.word - 1)
        line = (self.glyphs.dash * (rest - 7) + " status").rjust(rest) if rest > 7 else ""
        return f"{figures.strip()} {line}".strip()

    # -- rows ----------------------------------------------------------------------------------------

    def row_of(self, id: int, now: Columns, cursor: int) -> RowSummary:
        """Returns what the row of a node shows, with the marks and paths that are laid over it.

        `id`: the last node of the row. `now`: the columns. `cursor`: the node under the cursor.
        """
        rows, overlay = self.rows, self.overlay
        assert rows is not None
        chain = tuple(rows.chain(id))
        level = rows.level(id)
        path, elbow = overlay.along(rows, chain[0], drawn_levels(level, now)[0])
        if cursor not in chain:
            cursor = NO_PARENT
        if len(chain) > LONGEST_CHAIN:
            place = chain.index(cursor) if cursor != NO_PARENT else 0
            chain = (*chain[place : place + LONGEST_CHAIN], id) if place + LONGEST_CHAIN < len(chain) else chain[place:]
        row = summarise_row(
            rows.reader,
            chain,
            level,
            score_range=self._score_range,
            glyphs=self.glyphs,
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
        if crowd := rows.crowding.members(id):
            row = row._replace(crowd=crowd)
        elif self.describe is not None and id not in overlay.marks:
            if self.label is not None and row.word in UNSAID:
                row = row._replace(word="")
            row = self._with_said(row, self.describe)
        if self.lit is not None and self.lit.isdisjoint(row.chain):
            row = row._replace(glyph_role="faint", text_role="faint", value_role="faint", word_role="faint")
        return row

    def _with_said(self, row: RowSummary, describe: Callable[[int], Said | None]) -> RowSummary:
        said = next((said for id in reversed(row.chain) if (said := describe(id)) is not None), None)
        if said is None:
            return row
        word, role, glyph = said.mark
        if glyph and not row.gutter:
            row = row._replace(gutter=glyph, gutter_role=role)
        if word and not (said.weak and row.word):
            row = row._replace(word=word, word_role=role)
        return row

    def _labels(self, row: RowSummary) -> list[str]:
        assert self.rows is not None
        return labels(self.rows.reader, row.chain, self.glyphs, row.crowd, self.label)

    def stale(self, ids: Sequence[int], now: Columns, cursor: int) -> list[int]:
        """Returns the lines of the viewport that show something else by now.

        `ids`: the nodes of its rows, one a line. `now`: the columns. `cursor`: the node under the cursor.
        """
        changed = []
        for line in range(max(len(ids), len(self._drawn))):
            shown = self.row_of(ids[line], now, cursor) if line < len(ids) else None
            if self._drawn.get(line) != shown:
                changed.append(line)
        return changed

    def level_at(self, line: int) -> int | None:
        """The level of the row that is drawn on a line of the viewport; None where there is none."""
        row = self._drawn.get(line)
        return None if row is None else row.level

    def blank(self, line: int, width: int) -> Strip:
        """A line below the last row."""
        assert self.painter is not None
        self._drawn.pop(line, None)
        return self.painter.blank(width)

    def strip(self, line: int, id: int, cursor: int, width: int, compact: bool) -> Strip:
        """The strip of a line that shows the row of a node.

        `line`: of the viewport, from 0; `id`: the node of its row. `cursor`: the node under the cursor.
        `width`: cells. `compact`: without bars.
        """
        assert self.painter is not None
        assert self.rows is not None
        now = self._columns
        if now is None or now.width != width:  # a frame before the resize was told: draw it, keep nothing
            now = self.measured(width, compact, cursor)
            self._columns = None
        row = self._drawn[line] = self.row_of(id, now, cursor)
        strip = self.strips.get(row) if self._columns is not None else None
        if strip is None:
            strip = self.painter.strip(row, self._labels(row), now)
            if self._columns is not None:
                self.strips[row] = strip
        return strip
