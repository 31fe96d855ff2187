"""How many rows each node of a tree has below it: folding, filtering and growing change that. Knows no screen.

A tree of a million nodes is never laid out as a list. Each node keeps the number of rows below it, as if all
its ancestors were open: one node more costs a walk to the root. Nothing recurses, so a chain of any depth works.

Ids are dense in order of creation, parents before children, and the children of a node are in order of their ids
(`engine.tree.tree`): that is what makes the counts cheap.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from agentr_tui.widgets.tree import fenwick
from agentr_tui.widgets.tree.crowds import Crowding
from engine.query.nodes import tree_of
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader

WIDE = 64
"""Nodes with more children keep prefix sums over them (a Fenwick tree), built when they are first walked."""

MANY = 16
"""Where more than this part of the nodes comes or goes at once, counting anew is cheaper than counting them in."""


class RowCounts:
    """What of a tree is folded or filtered away, and how many rows are left. `TreeRows` finds them."""

    def __init__(
        self, reader: TreeReader, *, open_depth: int | None = None, chains: bool = False, crowded: bool = False
    ) -> None:
        self.reader, self.crowding = reader, Crowding(crowded)
        self.generation = 0  # rises with every change of the rows
        self.max_depth = 0  # of any node, shown or not
        self._open_depth = open_depth
        self._chains = chains
        self._up = array("i")  # parent of each node, also of those that were forgotten
        self._below = array("i")  # rows below each node, were its ancestors open
        self._folded = bytearray()
        self._shown: bytearray | None = None  # a filter: 1 for nodes that may be rows
        self._unfiltered = bytearray()  # what was folded before the filter
        self._sums: dict[int, list[int]] = {}  # wide open node → Fenwick tree over the rows of its children
        self._learn(len(reader))
        self.rebuild()

    def __len__(self) -> int:
        """How many rows there are; at least one."""
        return self._below[ROOT] + 1

    @property
    def nodes(self) -> int:
        """How many nodes are known."""
        return len(self._below)

    # -- counts ------------------------------------------------------------------------------------

    def _learn(self, count: int) -> None:
        """Take up the nodes that the reader has beyond those known."""
        node, limit = self.reader.node, self._open_depth
        up, folded = self._up, self._folded
        for id in range(len(up), count):  # those that went and come back are known already
            at = node(id)
            up.append(at.parent)
            if at.depth > self.max_depth:
                self.max_depth = at.depth
            if id >= len(folded):
                folded.append(limit is not None and at.depth >= limit)
        self._below.frombytes(bytes(self._below.itemsize * (count - len(self._below))))

    def rebuild(self) -> None:
        """All counts anew, children before parents."""
        self.generation += 1
        self._sums.clear()
        up, folded, count = self._up, self._folded, len(self._below)
        shown = self.crowding.take(self.reader, count, self._shown)
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
                    joined = self._chains and kids[parent] == 1 and self.crowding.may_join(parent)
                    below[parent] += below[id] + (not joined)
        self._below = below

    def children(self, id: int) -> Sequence[int]:
        """Children that may be rows."""
        children = self.reader.children(id)
        known, shown = len(self._below), self._shown
        if children and children[-1] >= known:  # the tree grew and nobody said so yet
            children = children[: bisect_left(children, known)]
        return self.crowding.shown(children) if shown is None else [child for child in children if shown[child]]

    def _joins(self, parent: int, kids: int) -> bool:
        """Whether an only child of `parent`, which has `kids` of them, shares its row."""
        return self._chains and kids == 1 and self.crowding.may_join(parent)

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
                fenwick.add(sums[parent], bisect_left(self.children(parent), id), delta)
            id = parent

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
            kids = self.children(id)
            self._change(id, sum(self._below[kid] for kid in kids) + len(kids) * self._own(id, kids))

    def toggle(self, id: int) -> None:
        """Fold what is open, unfold what is folded."""
        (self.unfold if self._folded[id] else self.fold)(id)

    def unfold_below(self, id: int) -> None:
        """Show everything below a node."""
        found, place = [id], 0
        while place < len(found):
            found.extend(self.children(found[place]))
            place += 1
        for at in found:
            self._folded[at] = 0
            self._sums.pop(at, None)
        before = self._below[id]
        for at in reversed(found):
            if kids := self.children(at):
                self._below[at] = sum(self._below[kid] for kid in kids) + len(kids) * self._own(at, kids)
        delta, self._below[id] = self._below[id] - before, before
        self.generation += 1
        self._change(id, delta)

    def unfold_all(self) -> None:
        """Show every node."""
        self._folded = bytearray(len(self._folded))
        self.rebuild()

    def fold_to_depth(self, depth: int) -> None:
        """Show nodes down to a depth; what is deeper is folded."""
        node = self.reader.node
        for id in range(len(self._below)):
            self._folded[id] = node(id).depth >= depth
        self.rebuild()

    def folds(self) -> tuple[bool, list[int]]:
        """What is folded, in few words: whether the ids are of folded nodes (else of open ones), and the ids."""
        folded = self._folded if self._shown is None else self._unfiltered
        nodes = tree_of(self.reader).nodes  # in the past, too, folds are of all nodes
        shut: list[int] = []
        open_: list[int] = []
        for id in range(len(folded)):
            if nodes[id].children:
                (shut if folded[id] else open_).append(id)
        return (True, shut) if len(shut) <= len(open_) else (False, open_)

    def set_folds(self, shut: bool, ids: Iterable[int]) -> None:
        """Fold as `folds` returned it; ids that do not exist are left out."""
        self._folded = bytearray((b"\0" if shut else b"\1") * len(self._folded))
        for id in ids:
            if 0 <= id < len(self._folded):
                self._folded[id] = shut
        self.rebuild()

    def reveal(self, id: int) -> None:
        """Unfold what hides a node. What the filter hides stays hidden."""
        if self.crowding.stands_behind(id):
            self.crowding.spread.add(self._up[id])
            self.rebuild()
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
            self.rebuild()

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
            shown = bytearray(len(self._below))
            shown[ROOT] = 1
            for id in ids:
                while not shown[id]:
                    shown[id] = 1
                    id = self._up[id]
            self._shown = shown
            self._folded = bytearray(len(self._folded))
        self.rebuild()

    # -- growing, and time ---------------------------------------------------------------------------

    def follow(self, reader: TreeReader | None = None) -> range:
        """Take up what changed in the tree, or show it at another moment; the ids that are new.

        `reader` must be the same tree (live, or a view of its past): what is folded stays so, also for nodes that
        go and come back.
        """
        if reader is not None:
            self.reader = reader
        known, count = len(self._below), len(self.reader)
        if count < known:
            self._forget(count)
        elif count > known:
            self.generation += 1
            self._learn(count)
            if self._shown is not None:
                self._shown.extend(bytes(count - known))
            elif self.crowding.finds(known) or count - known > known // MANY:
                self.rebuild()
            else:
                self._insert(range(known, count))
        elif self.crowding.is_other(self.reader, count):
            self.rebuild()
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
            kids = len(self.children(parent))
            self._change(parent, self._rows(parent, kids) - self._rows(parent, kids - fresh))

    def _rows(self, parent: int, kids: int) -> int:
        """Rows of their own that `kids` children of `parent` have."""
        return 0 if self._joins(parent, kids) else kids

    def _forget(self, count: int) -> None:
        """Drop the nodes from `count` on. What was folded among them is remembered."""
        gone: dict[int, list[int]] = {}
        for id in range(count, len(self._below)):
            if self._up[id] < count:
                gone.setdefault(self._up[id], []).append(self._below[id])
        many = self.crowding.finds(count) or len(self._below) - count > count // MANY
        del self._below[count:]
        if many or self._shown is not None:
            if self._shown is not None:
                del self._shown[count:]
            self.rebuild()
            return
        self.generation += 1
        for parent, sizes in gone.items():
            self._sums.pop(parent, None)
            if not self._folded[parent]:
                kids = len(self.children(parent))
                lost = self._rows(parent, kids + len(sizes)) - self._rows(parent, kids) + sum(sizes)
                self._change(parent, -lost)
