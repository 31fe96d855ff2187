"""The tree view of the Search screen: what is said of nodes beside the tree itself, and rows that stand back.

Both cost the rows that are visible: marks are asked for one by one, where a row is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agentr_tui.widgets.tree.line import Columns, Told
from agentr_tui.widgets.tree.overlay import Mark
from agentr_tui.widgets.tree.view import TreeView
from engine.tree.tree import TreeReader


class Said(NamedTuple):
    """What is said of a node. `weak`: only where the row has nothing else in its last column."""

    mark: Mark
    weak: bool = False


class MarkedTree(TreeView):
    """A tree view that asks what is said of a node, and dims rows that are not looked for."""

    describe: Callable[[int], Said | None] | None = None
    """What is said of a node at the moment that is shown. Marks that were set (`set_marks`) come first."""

    _lit: set[int] | None = None

    def set_tree(
        self, reader: TreeReader, score_range: tuple[float, float] = (0.0, 1.0), *, open_depth: int | None = None
    ) -> None:
        """Show another tree, from its root on (see `TreeView.set_tree`)."""
        self._window = ((-1, -1, -1), [])  # kept by the count of changes, which both trees may have in common
        self._lit = None
        super().set_tree(reader, score_range, open_depth=open_depth)

    def set_lit(self, ids: set[int] | None) -> None:
        """Let the rows of all other nodes stand back; None: of none."""
        if ids != self._lit:
            self._lit = ids
            self._freshen()

    def marks_changed(self) -> None:
        """What `describe` says is different by now."""
        self._freshen()

    def _told(self, id: int, now: Columns) -> Told:
        """What a row shows, with what is said of its nodes."""
        row = super()._told(id, now)
        if self.describe is not None and id not in self._overlay.marks:
            row = self._with_said(row)
        if self._lit is not None and self._lit.isdisjoint(row.chain):
            row = row._replace(glyph_role="faint", text_role="faint", value_role="faint", word_role="faint")
        return row

    def _with_said(self, row: Told) -> Told:
        assert self.describe is not None
        said = next((said for id in reversed(row.chain) if (said := self.describe(id)) is not None), None)
        if said is None:
            return row
        word, role, glyph = said.mark
        if glyph and not row.gutter:
            row = row._replace(gutter=glyph, gutter_role=role)
        if word and not (said.weak and row.word):
            row = row._replace(word=word, word_role=role)
        return row
