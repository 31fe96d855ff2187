"""Which nodes of a tree are rows, and in which order: folding, growing, filtering, moving. Knows no screen.

A tree of a million nodes is never laid out as a list. Each node keeps the number of rows below it, as if all
its ancestors were open; row k is found by walking down from the root, the row of a node by walking up. One node
more costs a walk to the root. Nothing recurses, so a chain of any depth works.

Ids are dense in order of creation, parents before children, and the children of a node are in order of their ids
(`engine.tree`): that is what makes the counts cheap.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from agentr_tui.widgets import fenwick
from engine.tree import NO_PARENT, ROOT, TreeReader

WIDE = 64
"""Nodes with more children keep prefix sums over them (a Fenwick tree), built when they are first walked."""

MANY = 16
"""Where more than this part of the nodes comes or goes at once, counting anew is cheaper than counting them in."""


class TreeRows:
    """The rows of a tree: one a node whose ancestors are all open, in depth-first order.

    `open_depth`: nodes shallower than that are open at first, also those that are born later; None opens all.
    `chains`: an only child shares the row of its parent; the row then stands for the last of them. The root
    always has a row of its own.
    """

    def __init__(self, reader: TreeReader, *, open_depth: int | None = None, chains: bool = False) -> None:
        self.reader = reader
        self.generation = 0  # rises with every change of the rows
        self.max_depth = 0  # of any node, shown or not
        self._open_depth = open_depth
        self._chains = chains
        self._up = array("i")  # parent of each node
        self._below = array("i")  # rows below each node, were its ancestors open
        self._folded = bytearray()
        self._shown: bytearray | None = None  # a filter: 1 for nodes that may be rows
        self._unfiltered = bytearray()  # what was folded before the filter
        self._levels: dict[int, int] = {}  # of rows, where chains are joined; known at one generation
        self._levels_of = -1
        self._sums: dict[int, list[int]] = {}  # wide open node → Fenwick tree over the rows of its children
        self._learn(len(reader))
        self._rebuild()

    # -- counts ------------------------------------------------------------------------------------

    def _learn(self, count: int) -> None:
        """Take up the nodes that the reader has beyond those known."""
        node, known, limit = self.reader.node, len(self._up), self._open_depth
        up, folded = self._up, self._folded
        for id in range(known, count):
            at = node(id)
            up.append(at.parent)
            if at.depth > self.max_depth:
                self.max_depth = at.depth
            if id >= len(folded):
                folded.append(limit is not None and at.depth >= limit)
        self._below.frombytes(bytes(self._below.itemsize * (count - known)))

    def _rebuild(self) -> None:
        """All counts anew, children before parents."""
        self.generation += 1
        self._sums.clear()
        up, folded, shown = self._up, self._folded, self._shown
        count = len(up)
        below = array("i", bytes(self._below.itemsize * count))
        if shown is None and not self._chains:
            for id in range(count - 1, ROOT, -1):
                parent = up[id]
                if not folded[parent]:
                    below[parent] += below[id] + 1
        else:
            kids = array("i", bytes(below.itemsize * count))
            for id in range(1, count):
                if shown is None or shown[id]:
                    kids[up[id]] += 1
            for id in range(count - 1, ROOT, -1):
                parent = up[id]
                if not folded[parent] and (shown is None or shown[id]):
                    joined = self._chains and parent != ROOT and kids[parent] == 1
                    below[parent] += below[id] + (not joined)
        self._below = below

    def _kids(self, id: int) -> Sequence[int]:
        """Children that may be rows."""
        children = self.reader.children(id)
        known, shown = len(self._up), self._shown
        if children and children[-1] >= known:  # the tree grew and nobody said so yet
            children = children[: bisect_left(children, known)]
        return children if shown is None else [child for child in children if shown[child]]

    def _joins(self, parent: int, kids: int) -> bool:
        """Whether an only child of `parent`, which has `kids` of them, shares its row."""
        return self._chains and kids == 1 and parent != ROOT

    def _own(self, parent: int, kids: Sequence[int]) -> int:
        """Rows of its own that each of these children has: 1, or 0 for an only child in a chain."""
        return 0 if self._joins(parent, len(kids)) else 1

    def _change(self, id: int, delta: int) -> None:
        """`delta` rows more below `id`, which is open: so there are below its ancestors, up to a folded one."""
        if not delta:
            return
        self.generation += 1
        up, below, folded, sums = self._up, self._below, self._folded, self._sums
        while True:
            below[id] += delta
            parent = up[id]
            if parent == NO_PARENT or folded[parent]:
                return
            if sums and parent in sums:
                fenwick.add(sums[parent], bisect_left(self._kids(parent), id), delta)
            id = parent

    def _wide(self, id: int, kids: Sequence[int]) -> list[int]:
        """Prefix sums over the rows of the many children of `id`."""
        sums = self._sums.get(id)
        if sums is None:
            below = self._below
            sums = self._sums[id] = fenwick.build([below[kid] + 1 for kid in kids])
        return sums

    # -- rows and nodes ------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many rows there are; at least one."""
        return self._below[ROOT] + 1

    @property
    def nodes(self) -> int:
        """How many nodes are known."""
        return len(self._up)

    def at(self, row: int) -> int:
        """The node of a row. Raises `IndexError` where there is no such row."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        id, below = ROOT, self._below
        while row:
            row -= 1  # now counted among the rows below `id`
            kids = self._kids(id)
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
            kids = self._kids(parent)
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
        """The node that the row of `id` stands for: the last of its chain, else `id` itself."""
        while self._chains and id != ROOT and not self._folded[id]:
            kids = self._kids(id)
            if len(kids) != 1:
                break
            id = kids[0]
        return id

    def row_head(self, id: int) -> int:
        """The first node of the row of `id`: the head of its chain, else `id` itself."""
        if self._chains:
            while id != ROOT and self._joins(parent := self._up[id], len(self._kids(parent))):
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
        """How many rows stand above the row of `id` in the hierarchy: its depth, chains counted once."""
        if not self._chains:
            return self.reader.node(id).depth
        if self._levels_of != self.generation:
            self._levels, self._levels_of = {ROOT: 0}, self.generation
        levels, way = self._levels, []
        id = self.row_head(id)
        while id not in levels:
            way.append(id)
            id = self.row_head(self._up[id])
        level = levels[id]
        for head in reversed(way):
            level += 1
            levels[head] = level
        return level

    def is_visible(self, id: int) -> bool:
        """Whether the node has a row, or shares one."""
        if not 0 <= id < len(self._up) or (self._shown is not None and not self._shown[id]):
            return False
        up, folded = self._up, self._folded
        while id != ROOT:
            id = up[id]
            if folded[id]:
                return False
        return True

    def visible_ancestor(self, id: int) -> int:
        """The node itself, or its nearest ancestor, that has a row."""
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
        return bool(self._kids(id))

    def is_open(self, id: int) -> bool:
        """Whether the node isn't folded (it may have no children)."""
        return not self._folded[id]

    # -- moving --------------------------------------------------------------------------------------

    def following(self, id: int) -> int | None:
        """The node of the next row."""
        if not self._folded[id] and (kids := self._kids(id)):
            return self.row_node(kids[0])
        while id != ROOT:
            parent = self._up[id]
            kids = self._kids(parent)
            place = bisect_left(kids, id) + 1
            if place < len(kids):
                return self.row_node(kids[place])
            id = parent
        return None

    def preceding(self, id: int) -> int | None:
        """The node of the row before."""
        id = self.row_head(id)
        if id == ROOT:
            return None
        parent = self._up[id]
        kids = self._kids(parent)
        place = bisect_left(kids, id) - 1
        return parent if place < 0 else self.last(kids[place])

    def last(self, id: int = ROOT) -> int:
        """The node of the last row at or below a node."""
        while not self._folded[id] and (kids := self._kids(id)):
            id = kids[-1]
        return id

    def sibling(self, id: int, step: int) -> int | None:
        """The node `step` rows further among its siblings; None where there is none."""
        id = self.row_head(id)
        if id == ROOT:
            return None
        kids = self._kids(self._up[id])
        place = bisect_left(kids, id) + step
        return self.row_node(kids[place]) if 0 <= place < len(kids) else None

    # -- folding -------------------------------------------------------------------------------------

    def fold(self, id: int) -> None:
        """Hide what is below a node."""
        if not self._folded[id]:
            self.generation += 1
            self._change(id, -self._below[id])
            self._folded[id] = 1
            self._sums.pop(id, None)

    def unfold(self, id: int) -> None:
        """Show what is below a node."""
        if self._folded[id]:
            self.generation += 1
            self._folded[id] = 0
            kids = self._kids(id)
            self._change(id, sum(self._below[kid] for kid in kids) + len(kids) * self._own(id, kids))

    def toggle(self, id: int) -> None:
        """Fold what is open, unfold what is folded."""
        (self.unfold if self._folded[id] else self.fold)(id)

    def unfold_below(self, id: int) -> None:
        """Show everything below a node."""
        found, place = [id], 0
        while place < len(found):
            found.extend(self._kids(found[place]))
            place += 1
        for at in found:
            self._folded[at] = 0
            self._sums.pop(at, None)
        before = self._below[id]
        for at in reversed(found):
            if kids := self._kids(at):
                self._below[at] = sum(self._below[kid] for kid in kids) + len(kids) * self._own(at, kids)
        delta, self._below[id] = self._below[id] - before, before
        self.generation += 1
        self._change(id, delta)

    def unfold_all(self) -> None:
        """Show every node."""
        self._folded = bytearray(len(self._folded))
        self._rebuild()

    def fold_to_depth(self, depth: int) -> None:
        """Show nodes down to a depth; what is deeper is folded."""
        node = self.reader.node
        for id in range(len(self._up)):
            self._folded[id] = node(id).depth >= depth
        self._rebuild()

    def fold_all(self) -> None:
        """Show the root and its children."""
        self._folded = bytearray(b"\1") * len(self._folded)
        self._folded[ROOT] = 0
        self._rebuild()

    def reveal(self, id: int) -> None:
        """Unfold what hides a node. What the filter hides stays hidden."""
        hidden = []
        while id != ROOT:
            id = self._up[id]
            if self._folded[id]:
                hidden.append(id)
        for id in reversed(hidden):
            self.unfold(id)

    def set_chains(self, chains: bool) -> None:
        """Join chains of only children into one row each, or part them."""
        if chains != self._chains:
            self._chains = chains
            self._rebuild()

    # -- filter --------------------------------------------------------------------------------------

    def set_visible(self, ids: Iterable[int] | None) -> None:
        """Show only these nodes and their ancestors, all unfolded; None shows all, folded as before.

        Nodes born later stay hidden until the filter is set again.
        """
        if self._shown is None:
            if ids is None:
                return
            self._unfiltered = self._folded
        if ids is None:
            self._shown = None
            fresh = self._folded[len(self._unfiltered) :]
            self._folded = self._unfiltered + fresh
        else:
            shown = bytearray(len(self._up))
            shown[ROOT] = 1
            for id in ids:
                while not shown[id]:
                    shown[id] = 1
                    id = self._up[id]
            self._shown = shown
            self._folded = bytearray(len(self._folded))
        self._rebuild()

    # -- growing, and time ---------------------------------------------------------------------------

    def follow(self, reader: TreeReader | None = None) -> range:
        """Take up what changed in the tree, or show it at another moment; the ids that are new.

        `reader` must be the same tree (live, or a view of its past): what is folded stays so, also for nodes that
        go and come back.
        """
        if reader is not None:
            self.reader = reader
        known, count = len(self._up), len(self.reader)
        if count < known:
            self._forget(count)
        elif count > known:
            self.generation += 1
            self._learn(count)
            if self._shown is not None:
                self._shown.extend(bytes(count - known))
            elif count - known > known // MANY:
                self._rebuild()
            else:
                self._insert(range(known, count))
        return range(known, count)

    def _insert(self, ids: range) -> None:
        """Count new nodes in, parents first: what is below a new node changes its place among its siblings."""
        born: dict[int, int] = {}
        for id in ids:
            born[self._up[id]] = born.get(self._up[id], 0) + 1
        for parent, fresh in sorted(born.items()):
            if self._folded[parent]:
                continue
            if (sums := self._sums.get(parent)) is not None:
                for _ in range(fresh):
                    fenwick.append(sums, 1)
            kids = len(self._kids(parent))
            self._change(parent, self._rows(parent, kids) - self._rows(parent, kids - fresh))

    def _rows(self, parent: int, kids: int) -> int:
        """Rows of their own that `kids` children of `parent` have."""
        return 0 if self._joins(parent, kids) else kids

    def _forget(self, count: int) -> None:
        """Drop the nodes from `count` on. What was folded among them is remembered."""
        gone: dict[int, list[int]] = {}
        for id in range(count, len(self._up)):
            if self._up[id] < count:
                gone.setdefault(self._up[id], []).append(self._below[id])
        many = len(self._up) - count > count // MANY
        del self._up[count:]
        del self._below[count:]
        if many or self._shown is not None:
            if self._shown is not None:
                del self._shown[count:]
            self._rebuild()
            return
        self.generation += 1
        for parent, sizes in gone.items():
            self._sums.pop(parent, None)
            if not self._folded[parent]:
                kids = len(self._kids(parent))
                lost = self._rows(parent, kids + len(sizes)) - self._rows(parent, kids) + sum(sizes)
                self._change(parent, -lost)
