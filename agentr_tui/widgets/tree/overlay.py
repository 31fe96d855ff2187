"""What is drawn over the tree: the search path, the chosen pair, marks. Knows no screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agentr_tui.terminal.theme import Glyphs, Role
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader


class Mark(NamedTuple):
    """A word about a node, from a person or another part of the screen."""

    word: str = ""  # shown in the last column, in place of what the tree says
    role: Role = "person"
    glyph: str = ""  # one cell, left of the guides


class Said(NamedTuple):
    """The word that a row shows about a node. `weak`: only where the row has nothing else in its last column."""

    mark: Mark
    weak: bool = False


class Side(NamedTuple):
    """Which trajectory of the pair a row belongs to."""

    glyph: str
    role: Role


class Overlay:
    """Path, pair and marks of one tree. Each setter returns whether anything changed."""

    def __init__(self) -> None:
        self.marks: dict[int, Mark] = {}
        self.sides: dict[int, Side] = {}
        self._path: list[int] = []
        self._places: dict[int, int] = {}  # node → its place on the path
        self._pair: tuple[int | None, int | None] = (None, None)

    def set_path(self, ids: Iterable[int]) -> bool:
        """The search path, root first."""
        path = list(ids)
        if path == self._path:
            return False
        self._path = path
        self._places = {id: place for place, id in enumerate(path)}
        return True

    def set_marks(self, marks: Mapping[int, Mark]) -> bool:
        """Set the words about nodes."""
        if marks == self.marks:
            return False
        self.marks = dict(marks)
        return True

    def set_pair(self, reader: TreeReader, good: int | None, bad: int | None, glyphs: Glyphs) -> bool:
        """Set the leaves of the pair: they and the steps from the fork to them get a side. Returns whether anything
        changed.

        `reader`: the tree at a moment. `good` and `bad`: the leaves; None: not chosen. `glyphs`: those of the terminal.
        """
        if (good, bad) == self._pair:
            return False
        self._pair = (good, bad)
        good_way, bad_way = _way(reader, good), _way(reader, bad)
        shared = set(good_way) & set(bad_way)
        self.sides = {id: Side(glyphs.plus, "good") for id in good_way if id not in shared and id != ROOT}
        self.sides.update((id, Side(glyphs.minus, "bad")) for id in bad_way if id not in shared and id != ROOT)
        if good_way:
            self.sides[good_way[0]] = Side(glyphs.good, "good")
        if bad_way:
            self.sides[bad_way[0]] = Side(glyphs.bad, "bad")
        return True

    def on_path(self, id: int) -> bool:
        """Whether the search walked through the node."""
        return id in self._places

    def along(self, rows: TreeRows, head: int, guides: int) -> tuple[int, bool]:
        """Returns where the path runs past a row, and whether it turns into the row.

        Bit k of the first result: along the guide k levels left of the row's glyph. The path runs down from a node to
        the child it takes: past all that stands between.

        `rows`: of the view. `head`: the first node of the row. `guides`: number of guides.
        """
        path, places = self._path, self._places
        bits, elbow = 0, False
        if not path:
            return bits, elbow
        for level in range(guides):
            parent = rows.parent(head)
            if parent == NO_PARENT:
                break
            place = places.get(parent)
            taken = path[place + 1] if place is not None and place + 1 < len(path) else NO_PARENT
            if head < taken or (level == 0 and head == taken):
                bits |= 1 << level
                elbow = elbow or head == taken
            head = rows.row_head(parent)
        return bits, elbow


def _way(reader: TreeReader, leaf: int | None) -> list[int]:
    """The nodes from a leaf up to the root; empty where there is none."""
    way, id = [], NO_PARENT if leaf is None or leaf >= len(reader) else leaf
    while id != NO_PARENT:
        way.append(id)
        id = reader.node(id).parent
    return way
