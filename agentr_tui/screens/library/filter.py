"""The library's filter where it is a query on nodes (`docs/query.md`): traces that hold nodes which match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.message import Message
from textual.worker import get_current_worker

from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.theme import Role
from engine.base.errors import InputError
from engine.query.find import find_in
from engine.query.nodes import Query, QueryError, parse

_ASKS = re.compile(r"""[<>=~!()"']|^nodes? """)
"""What words of a task or file rarely hold: then the filter asks for nodes."""

FILTERS = "words of state, task, goal or file; or nodes that a trace holds: q>0.9 depth<6, nodes disaster"

Key = tuple[Path, float]
"""A trace at a time; one that still grows is gone through once."""


def node_query(wanted: str) -> Query | None:
    """The query that a filter is; None where it is words. Raises `QueryError`."""
    return parse(re.sub("^nodes? ", "", wanted)) if _ASKS.search(wanted) else None


class LibraryFind(ModeScreen):
    """Counts the nodes that match in each trace, in a thread; `LibraryScreen` shows them."""

    class Counted(Message):
        """A trace was gone through; without one: all were."""

        def __init__(self, query: Query, key: Key | None = None, count: int = 0) -> None:
            super().__init__()
            self.query, self.key, self.count = query, key, count

    def __init__(self) -> None:
        super().__init__()
        self._query: Query | None = None
        self._query_error = ""
        self._counts: dict[Key, int] = {}  # of the query
        self._counting = False

    def take_query(self, wanted: str) -> None:
        """The filter is another."""
        try:
            query, self._query_error = node_query(wanted), ""
        except QueryError as error:
            query, self._query_error = None, str(error)
        if query != self._query:
            self._query, self._counts, self._counting = query, {}, False
            self.workers.cancel_group(self, "count")

    @property
    def asks_for_nodes(self) -> bool:
        """Whether the filter is a query, also one that is not whole yet."""
        return self._query is not None or bool(self._query_error)

    def holding(self, rows: Sequence[TraceRow]) -> list[TraceRow]:
        """Those of the traces that hold a match, as far as is known; those that are not are gone through."""
        query = self._query
        if query is None:
            return list(rows)
        missing = [key for row in rows if not row.error and (key := key_of(row)) not in self._counts]
        if missing and not self._counting:
            self._counting = True
            self.run_worker(lambda: self._count(query, missing), thread=True, group="count", exclusive=True)
        return [row for row in rows if self._counts.get(key_of(row))]

    def _count(self, query: Query, keys: Sequence[Key]) -> None:
        worker = get_current_worker()
        for key in keys:
            if worker.is_cancelled:
                return
            try:
                count = len(find_in(key[0], query).nodes)
            except InputError:  # its row says why
                count = 0
            self.post_message(self.Counted(query, key, count))
        self.post_message(self.Counted(query))

    @on(Counted)
    def _counted(self, event: Counted) -> None:
        if event.query != self._query:
            return
        if event.key is None:
            self._counting = False
        else:
            self._counts[event.key] = event.count
        self._show()

    def _show(self) -> None:
        """Show what is known by now."""
        raise NotImplementedError

    def said_of_query(self, row: TraceRow | None) -> list[tuple[str, Role]]:
        """How many nodes match in the trace under the cursor, or why there is none."""
        if self._query_error:
            return [(self._query_error, "warn")]
        if row is not None:
            count = self._counts.get(key_of(row), 0)
            return [(f"{count} node{'s' * (count != 1)} match{'es' * (count == 1)}  ", "focus")]
        return [("looking through the traces …" if self._counting else "no trace has such a node", "warn")]


def key_of(row: TraceRow) -> Key:
    """The trace as it is now."""
    return row.path, 0.0 if row.state in ("live", "running") else row.modified
