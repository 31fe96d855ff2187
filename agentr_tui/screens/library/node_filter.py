"""The library's filter where it is a query on nodes (`docs/query.md`): traces that hold nodes which match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from textual.message import Message

from agentr_tui.screens.library.row_filter import row_filter
from agentr_tui.screens.shared.finding import find_query
from agentr_tui.screens.shared.services import Services, Stopped
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.theme import Role
from engine.base.errors import InputError
from engine.query.find import find_in
from engine.query.nodes import Query, QueryError

Key = tuple[Path, float]
"""A trace at a time; one that still grows is gone through once."""


def node_query(wanted: str) -> Query | None:
    """The query on nodes that a filter is; None where it is words and columns. Raises `QueryError`."""
    asked = re.sub("^nodes? ", "", wanted)
    return find_query(asked) if asked != wanted or row_filter(wanted) is None else None


class NodeFilter:
    """Counts the nodes that match in each trace, in a thread that posts `Counted`."""

    class Counted(Message):
        """A trace was gone through; without one: all were."""

        def __init__(self, query: Query, key: Key | None = None, count: int = 0) -> None:
            super().__init__()
            self.query, self.key, self.count = query, key, count

    def __init__(self, services: Services) -> None:
        self._services = services
        self._query: Query | None = None
        self._error = ""  # of a query that is not whole yet
        self._counts: dict[Key, int] = {}  # of the query
        self._counting = False

    @property
    def asks_for_nodes(self) -> bool:
        """Whether the filter is a query, also one that is not whole yet."""
        return self._query is not None or bool(self._error)

    def take(self, wanted: str) -> None:
        """The filter is another."""
        try:
            query, self._error = node_query(wanted), ""
        except QueryError as error:
            query, self._error = None, str(error)
        if query != self._query:
            self._query, self._counts, self._counting = query, {}, False
            self._services.cancel("count")

    def holding(self, rows: Sequence[TraceRow]) -> list[TraceRow]:
        """Those of the traces that hold a match, as far as is known; those that are not are gone through."""
        query = self._query
        if query is None:
            return list(rows)
        missing = [key for row in rows if not row.error and (key := key_of(row)) not in self._counts]
        if missing and not self._counting:
            self._counting = True
            self._services.beside(lambda stopped: self._count(query, missing, stopped), "count")
        return [row for row in rows if self._counts.get(key_of(row))]

    def _count(self, query: Query, keys: Sequence[Key], stopped: Stopped) -> None:
        for key in keys:
            if stopped():
                return
            try:
                count = len(find_in(key[0], query).nodes)
            except InputError:  # its row says why
                count = 0
            self._services.post(self.Counted(query, key, count))
        self._services.post(self.Counted(query))

    def counted(self, event: Counted) -> bool:
        """Take up the thread's counts; returns whether they are of the present query."""
        if event.query != self._query:
            return False
        if event.key is None:
            self._counting = False
        else:
            self._counts[event.key] = event.count
        return True

    def told(self, row: TraceRow | None) -> list[tuple[str, Role]]:
        """How many nodes match in the trace under the cursor, or why there is none."""
        if self._error:
            return [(f"{self._error}  ", "warn")]
        if row is not None:
            count = self._counts.get(key_of(row), 0)
            return [(f"{count} node{'s' * (count != 1)} match{'es' * (count == 1)}  ", "focus")]
        return [("looking through the traces …" if self._counting else "no trace has such a node", "warn")]


def key_of(row: TraceRow) -> Key:
    """The trace as it is now."""
    return row.path, 0.0 if row.goes_on else row.modified
