"""Which nodes of a tree are rows, and in which order. Knows no screen.

Row k is found by walking down from the root past the counts of `RowCounts`, the row of a node by walking up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from agentr_tui.widgets.tree import fenwick
from agentr_tui.widgets.tree.row_counts import WIDE, RowCounts
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader


class TreeRows(RowCounts):
    """The rows of a tree: one a node whose ancestors are all open, in depth-first order.

    `open_depth`: nodes shallower than that are open at first, also those that are born later; None opens all.
    `chains`: an only child shares the row of its parent; the row then stands for the last of them. The root
    always has a row of its own. `crowded`: never-visited siblings share the row of the first of them.
    """

    def __init__(
        self, reader: TreeReader, *, open_depth: int | None = None, chains: bool = False, crowded: bool = False
    ) -> None:
        super().__init__(reader, open_depth=open_depth, chains=chains, crowded=crowded)
        self._levels = _ChainLevels(self)

    # -- rows and nodes ------------------------------------------------------------------------------

    def _wide(self, id: int, kids: Sequence[int]) -> list[int]:
        """Prefix sums over the rows of the many children of `id`."""
        sums = self._sums.get(id)
        if sums is None:
            below = self._below
            sums = self._sums[id] = fenwick.build([below[kid] + 1 for kid in kids])
        return sums

    def at(self, row: int) -> int:
        """The node of a row. Raises `IndexError` where there is no such row."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        id, below = ROOT, self._below
        while row:
            row -= 1  # now counted among the rows below `id`
            kids = self.children(id)
            own = self._own(id, kids)
            if len(kids) > WIDE:
                place, row = fenwick.find(self._wide(id, kids), row)
                id = kids[place]
            else:
                for kid in kids:
                    size = below[kid] + own
                    if row < size:
                        break
                    row -= size
                id = kid
            if not own:
                row += 1  # the child is part of the row just passed
        return self.row_node(id)

    def row_of(self, id: int) -> int | None:
        """The row of a node; None while an ancestor is folded or the filter hides it."""
        if not self.is_visible(id):
            return None
        row, below, up = 0, self._below, self._up
        while id != ROOT:
            parent = up[id]
            kids = self.children(parent)
            row += self._own(parent, kids)
            if len(kids) > WIDE:
                row += fenwick.prefix(self._wide(parent, kids), bisect_left(kids, id))
            elif len(kids) > 1:
                for kid in kids:
                    if kid == id:
                        break
                    row += below[kid] + 1
            id = parent
        return row

    def window(self, start: int, count: int) -> list[int]:
        """The nodes of up to `count` rows from row `start` on."""
        if count <= 0 or not 0 <= start < len(self):
            return []
        ids = [self.at(start)]
        while len(ids) < count and (following := self.following(ids[-1])) is not None:
            ids.append(following)
        return ids

    def row_node(self, id: int) -> int:
        """Returns the node whose figures the row of `id` shows: the last of its chain, else `id` itself."""
        while self._chains and id != ROOT and not self._folded[id]:
            kids = self.children(id)
            if not self._joins(id, len(kids)):
                break
            id = kids[0]
        return id

    def row_head(self, id: int) -> int:
        """The first node of the row of `id`: the head of its chain, else `id` itself."""
        if self._chains:
            while id != ROOT and self._joins(parent := self._up[id], len(self.children(parent))):
                id = parent
        return id

    def chain(self, id: int) -> list[int]:
        """The nodes that share the row of `id`, first to last."""
        last, head = self.row_node(id), self.row_head(id)
        ids = [last]
        while ids[-1] != head:
            ids.append(self._up[ids[-1]])
        return ids[::-1]

    def level(self, id: int) -> int:
        """Returns how many rows are above the row of `id` in the hierarchy: its depth, chains counted once."""
        return self._levels.of(id) if self._chains else self.reader.node(id).depth

    def is_visible(self, id: int) -> bool:
        """Whether the node has a row, or shares one."""
        if not 0 <= id < len(self._below) or (self._shown is not None and not self._shown[id]):
            return False
        up, folded = self._up, self._folded
        if self.crowding.stands_behind(id):
            return False
        while id != ROOT:
            id = up[id]
            if folded[id]:
                return False
        return True

    def visible_ancestor(self, id: int) -> int:
        """The node itself, or the one whose row it shares, or its nearest ancestor, that has a row."""
        id = self.crowding.leader(self.reader, id)
        up, folded, shown = self._up, self._folded, self._shown
        best = id
        while id != ROOT:
            parent = up[id]
            if folded[parent] or (shown is not None and not shown[id]):
                best = parent
            id = parent
        return best

    def parent(self, id: int) -> int:
        """The node of the row above in the hierarchy, `NO_PARENT` for the root."""
        return self._up[self.row_head(id)]

    def has_children(self, id: int) -> bool:
        """Whether there is something to fold."""
        return bool(self.children(id))

    def is_open(self, id: int) -> bool:
        """Whether the node isn't folded (it may have no children)."""
        return not self._folded[id]

    def following(self, id: int) -> int | None:
        """The node of the next row."""
        if not self._folded[id] and (kids := self.children(id)):
            return self.row_node(kids[0])
        while id != ROOT:
            parent = self._up[id]
            kids = self.children(parent)
            place = bisect_left(kids, id) + 1
            if place < len(kids):
                return self.row_node(kids[place])
            id = parent
        return None


class _ChainLevels:
    """The levels of rows where chains are joined; they are known until the rows change."""

    def __init__(self, rows: TreeRows) -> None:
        self._rows = rows
        self._known: dict[int, int] = {}
        self._generation = -1

    def of(self, id: int) -> int:
        """The level of the row of a node."""
        rows = self._rows
        if self._generation != rows.generation:
            self._known, self._generation = {ROOT: 0}, rows.generation
        known, way = self._known, []
        id = rows.row_head(id)
        while id not in known:
            way.append(id)
            id = rows.row_head(rows.parent(id))
        level = known[id]
        for head in reversed(way):
            level += 1
            known[head] = level
        return level
