"""Finding leaves on the Pairs screen: those whose trajectory holds a node that matches. Knows no Textual."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agentr_tui.screens.shared.finding import find_query
from engine.pairs.pairs import Pair
from engine.query.find import slices
from engine.query.nodes import Query, QueryError
from engine.tree.tree import SearchTree


class LeafFilter:
    """What is looked for among the leaves, and which nodes match."""

    def __init__(self, changed: Callable[[], object]) -> None:
        """`changed` is called when other leaves are found."""
        self._changed = changed
        self._query: Query | None = None
        self._found: set[int] = set()
        self.error = ""

    @property
    def is_set(self) -> bool:
        """Whether something is looked for."""
        return self._query is not None

    def take(self, text: str) -> bool:
        """Look for another text; whether the tree is to be gone through."""
        try:
            query, self.error = find_query(text) if text.strip() else None, ""
        except QueryError as error:
            self.error = str(error)
            return False
        self._query, self._found = query, set()
        self._changed()
        return query is not None

    async def go_through(self, tree: SearchTree, alpha: float) -> None:
        """Find the nodes that match, in between what else the screen does."""
        query, found = self._query, set[int]()
        if query is None:
            return
        for part in slices(query, tree, alpha=alpha):
            found.update(part)
            await asyncio.sleep(0)
        if query == self._query:
            self._found = found
            self._changed()

    def leaves(self, tree: SearchTree, leaves: Sequence[int]) -> list[int]:
        """The leaves on whose way a node matches; all where nothing is looked for."""
        if self._query is None:
            return list(leaves)
        return [leaf for leaf in leaves if not self._found.isdisjoint(tree.ancestors(leaf))]

    def pairs(self, tree: SearchTree, pairs: Sequence[Pair]) -> list[Pair]:
        """The pairs of which a leaf is found."""
        if self._query is None:
            return list(pairs)
        found = set(self.leaves(tree, [leaf for pair in pairs for leaf in (pair.good, pair.bad)]))
        return [pair for pair in pairs if pair.good in found or pair.bad in found]
