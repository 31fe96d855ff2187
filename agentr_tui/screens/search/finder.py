"""Finding nodes on the Search screen: `/` and its matches, the best and worst leaf, the widest gap, disasters."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.shared.finding import find_query
from agentr_tui.widgets.find_bar import FindBar
from engine.query.find import gap_of, greatest, in_display_order, return_of, slices
from engine.query.nodes import Query, QueryError, tree_of
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

AGAIN_AFTER = 0.5
"""Seconds after which a growing tree is gone through again."""

EXAMPLES = 'words of a text · figures q>0.5 depth<6 · flags good disaster human … · texts action~craft obs~"not found"'

TOLD_EVERY = 0.15
"""Seconds between two counts of matches while they stream in."""


class Finder:
    """What is looked for in the tree that is shown, and where it was found."""

    def __init__(self, services: TreeServices, bar: Callable[[], FindBar], retitle: Callable[[], None]) -> None:
        """`bar` is the line to write in; `retitle` is called when the number of matches is another."""
        self._services, self._bar, self._retitle = services, bar, retitle
        self._query: Query | None = None
        self._matches: list[int] = []  # in order of creation
        self._complete = True  # whether the whole tree was gone through
        self._order: tuple[list[int], list[int]] | None = None  # rank of every node, matches by rank
        self._found_in: tuple[SearchTree, int] | None = None  # tree and moment of the matches
        self._dim = False  # rows that do not match are dimmed; else hidden

    # -- what is looked for --------------------------------------------------------------------------

    def open(self) -> None:
        """Write what to find."""
        self._bar().open()
        self._say_found()

    def find(self, text: str) -> None:
        """Look for a query; the line shows it."""
        self._bar().open(text)

    def typed(self, text: str) -> None:
        """The line holds another text."""
        if not text.strip():
            self._forget()
            self._say_found()
            return
        try:
            query = find_query(text)
        except QueryError as error:
            self._bar().say(str(error), wrong=True)
            return
        if self._query is None or query.term != self._query.term:
            self._query = query
            self.find_again()
        else:
            self._say_found()

    def find_again(self) -> None:
        """Go through the tree that is shown, at the moment that is shown."""
        reader = self._services.session.reader
        if self._query is None or reader is None or not len(reader):
            return
        self._complete = False
        self._services.run(self._go_through(self._query, reader), "find")

    async def _go_through(self, query: Query, reader: TreeReader) -> None:
        """Collect matches in between what else the screen does; then show them, then learn their order."""
        matches: list[int] = []
        told, first = time.monotonic(), self._found_in is None
        for part in slices(query, reader, alpha=self._services.session.thresholds.alpha):
            matches += part
            if first and time.monotonic() - told > TOLD_EVERY:
                self._matches, self._order, told = matches, None, time.monotonic()
                self._say_found()
            await asyncio.sleep(0)
        same = matches == self._matches and self._found_in is not None
        self._matches, self._complete = matches, True
        self._found_in = (tree_of(reader), reader.seq)
        if not same or not first:
            self._show_found()
        self._say_found()
        self._order = None
        for order in in_display_order(reader, matches):
            if order is not None:
                self._order = order
            await asyncio.sleep(0)

    def look_again(self) -> None:
        """The tree grew since it was gone through, or another is shown: go through it again."""
        reader = self._services.session.reader
        if self._query is None or not self._complete or reader is None or not self._services.in_front:
            return
        if self._found_in != (tree_of(reader), reader.seq):
            self.find_again()

    # -- what was found ------------------------------------------------------------------------------

    @property
    def query(self) -> str:
        """The query; empty where there is none."""
        return self._query.text if self._query is not None else ""

    @property
    def complete(self) -> bool:
        """Whether the whole tree was gone through."""
        return self._complete

    @property
    def in_order(self) -> bool:
        """Whether the order of the matches on screen is known."""
        return self._order is not None

    @property
    def matches(self) -> list[int]:
        """The nodes that match, in order of creation."""
        return self._matches if self._query is not None else []

    def found_words(self) -> str:
        """The number of matches, for the title of the tree; empty without a query."""
        if self._query is None:
            return ""
        more = "" if self._complete else "…"
        return f"{len(self._matches)}{more} match"

    def _show_found(self) -> None:
        tree = self._services.tree_view
        if self._query is None:
            tree.set_visible(None)
            tree.set_lit(None)
        elif self._dim:
            tree.set_visible(None)
            tree.set_lit(set(self._matches))
        else:
            tree.set_lit(None)
            tree.set_visible(self._matches)

    def _say_found(self) -> None:
        self._retitle()
        if not self._bar().is_open:
            return
        if self._query is None:
            self._bar().say(EXAMPLES)
            return
        of = len(self._services.session.reader or ())
        how = "hides" if self._dim else "dims"
        more = "" if self._complete else " so far"
        self._bar().say(f"{len(self._matches)} of {of} match{more} · n N next, before · ctrl+t {how} the others")

    def _forget(self) -> None:
        """Nothing is looked for any more."""
        if self._query is None:
            return
        self._query, self._matches, self._order, self._found_in = None, [], None, None
        self._complete = True
        self._services.cancel("find")
        self._show_found()

    def found_nothing_yet(self) -> None:
        """Another tree is shown: what is looked for is looked for in it."""
        self._matches, self._order, self._found_in = [], None, None
        self.find_again()

    def close(self) -> None:
        """Show all rows again."""
        self._bar().close()
        self._forget()
        self._retitle()
        self._services.tree_view.focus()

    def leave(self) -> None:
        """Back to the tree; what was found stays."""
        self._services.tree_view.focus()

    def change_mode(self) -> None:
        """Dim the rows that do not match, or hide them."""
        self._dim = not self._dim
        self._show_found()
        self._say_found()

    def show_only(self, dim: bool) -> None:
        """Dim the rows that do not match, or hide them."""
        if self._query is None:
            self.open()
        if dim != self._dim:
            self.change_mode()

    def told(self, event: FindBar.Told) -> None:
        """A person did something with the line."""
        if isinstance(event, FindBar.Typed):
            self.typed(event.text)
        elif isinstance(event, FindBar.Stepped):
            self.next(event.by)
        elif isinstance(event, FindBar.Entered):
            self.to_first()
        elif isinstance(event, FindBar.ModeAsked):
            self.change_mode()
        elif isinstance(event, FindBar.Left):
            self.leave()
        else:
            self.close()

    # -- going there ---------------------------------------------------------------------------------

    def to_first(self) -> None:
        """Back to the tree, on a match."""
        self._services.tree_view.focus()
        if self._matches and self._services.tree_view.cursor_node not in self._matches:
            self.next(1)

    def next(self, by: int) -> None:
        """To the next match below the cursor, or the one before; from the end to the beginning."""
        if self._query is None:
            self._services.say("There is no search query: press / to write one.")
            return
        if not self._matches:
            self._services.say(f"No node matches {self._query.text}.", severity="warning")
            return
        ordered, at = self._matches, self._services.tree_view.cursor_node
        key: list[int] | None = None
        if self._order is not None and at < len(self._order[0]):
            key, ordered = self._order
        place = neighbour(ordered, at, by, key)
        first = ordered[0]
        wrapped = (first <= at) if key is None else (key[first] <= key[at])
        if by > 0 and place == 0 and wrapped and len(ordered) > 1:
            self._services.say("from the top again", seconds=2)
        self._services.tree_view.go_to(ordered[place])

    def seek(self, steps: Iterator[list[int] | None], nothing: str) -> None:
        """Go to the node that these steps find; of several to the one after the cursor."""
        self._services.run(self._seek(steps, nothing), "seek")

    async def _seek(self, steps: Iterator[list[int] | None], nothing: str) -> None:
        found: list[int] | None = None
        for found in steps:
            if found is not None:
                break
            await asyncio.sleep(0)
        reader = self._services.session.reader
        if not found or reader is None or found[-1] >= len(reader):
            self._services.say(nothing, severity="warning")
            return
        self._services.tree_view.go_to(found[neighbour(found, self._services.tree_view.cursor_node, 1)])
        if len(found) > 1:
            self._services.say(f"one of {len(found)}: the same again, : ↑ enter, goes to the next", seconds=2)

    def go_best(self, sign: int = 1) -> None:
        """To the leaf of the greatest return, or of the least (-1)."""
        if (reader := self._services.session.reader) is not None:
            self.seek(greatest(reader, return_of(reader, sign)), "No leaf has a return yet.")

    def go_widest_gap(self) -> None:
        """To the node whose children's Q lie furthest apart."""
        if (reader := self._services.session.reader) is not None:
            self.seek(greatest(reader, gap_of(reader)), "No node has two children that were visited yet.")

    def go_next(self, text: str) -> None:
        """To the next node that matches a query, in the order of creation. Raises `QueryError`."""
        if (reader := self._services.session.reader) is not None:
            query = find_query(text)
            self.seek(_all_at_the_end(slices(query, reader)), f"No node matches {query.text}.")


def _all_at_the_end(parts: Iterator[list[int]]) -> Iterator[list[int] | None]:
    found: list[int] = []
    for part in parts:
        found += part
        yield None
    yield found


def neighbour(ordered: list[int], at: int, by: int, ranks: list[int] | None = None) -> int:
    """The place of the next of `ordered` after `at` (`by` 1) or before it (-1), around the end.

    `ordered` rises, or its ranks do where `ranks` gives one for every node.
    """
    key = None if ranks is None else ranks.__getitem__
    here = at if ranks is None else ranks[at]
    if by > 0:
        return bisect_right(ordered, here, key=key) % len(ordered)
    return (bisect_left(ordered, here, key=key) - 1) % len(ordered)
