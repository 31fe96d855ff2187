"""Marks that people put on nodes: good, bad, or a bookmark with a name. Kept in the workspace, append-only.

An append-only log in `bookmarks/` (`engine.base.append_log`), a mark a line; taking a mark away appends a line. Later
marks are told from earlier ones as decisions are (`engine.base.line_order`). Knows no Textual.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine.base.append_log import AppendLog, LogKind
from engine.base.line_order import FIRST, Count, next_orders, order_of
from engine.base.reviewer_name import reviewer_name

Kind = Literal["good", "bad", "bookmark"]
MAX_NAME = 200


class NodeMark(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """One line: one person's mark on one node. A later one of the same trace, node and kind replaces it."""

    trace: str  # id
    node: int
    kind: Kind
    name: str = ""
    path: str = ""  # where the trace was then
    reviewer: str
    time: str  # ISO 8601, UTC
    after: str = ""  # with `count` its place in the order of lines, where its own time would not tell it
    count: Count = 0
    removed: bool = False


_KIND = LogKind(msgspec.json.Decoder(NodeMark).decode, "mark", "marks", strict=False, sync=True)


class Bookmarks:
    """All marks of a workspace, and the writer of this process."""

    def __init__(self, folder: Path, reviewer: str | None = None) -> None:
        """Read what there is. Raises `InputError` where the folder can't be read."""
        self.folder = folder
        self.reviewer = reviewer or reviewer_name()
        self._log = AppendLog(folder, _KIND, (self.reviewer,))
        self._last = FIRST  # the order of the last of all lines
        self._marks: dict[tuple[str, int, Kind], NodeMark] = {}
        self.refresh()

    # -- reading -----------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        """A line for each file with lines that are no marks, or with an unfinished last line: they were left out."""
        return self._log.warnings

    def refresh(self) -> bool:
        """Read what was written since, by whomever; whether anything was. Raises `InputError`."""
        fresh = self._log.refresh()
        if fresh.anew:
            self._marks = {}
        for _, _, mark in fresh.lines:
            self._take(mark)
        if fresh.error is not None:
            raise fresh.error
        return fresh.anew or bool(fresh.lines)

    def _take(self, mark: NodeMark) -> None:
        key = (mark.trace, mark.node, mark.kind)
        known = self._marks.get(key)
        if known is None or order_of(known) <= order_of(mark):
            self._marks[key] = mark
        self._last = max(self._last, order_of(mark))

    def of_trace(self, trace: str) -> list[NodeMark]:
        """The marks on the nodes of one trace, by node."""
        return sorted(
            (mark for mark in self._marks.values() if mark.trace == trace and not mark.removed),
            key=lambda mark: (mark.node, mark.kind),
        )

    def all(self) -> list[NodeMark]:
        """All marks, the newest first."""
        return sorted((m for m in self._marks.values() if not m.removed), key=order_of, reverse=True)

    # -- writing -----------------------------------------------------------------------------------

    def set(self, trace: str, node: int, kind: Kind, name: str = "", path: str = "") -> NodeMark:
        """Put a mark on a node. Good and bad replace each other. Raises `InputError`, `WorkFailed`.

        `trace`: its id. `node`: the node. `kind`: bookmark, good or bad. `name`: a word of the person's. `path`: where
        the trace lies, to open it from the list.
        """
        self.refresh()
        name = " ".join(name.encode("utf-8", "replace").decode().split())[:MAX_NAME]
        other: dict[Kind, Kind] = {"good": "bad", "bad": "good"}
        if kind in other:
            self.remove(trace, node, other[kind])
        return self._append(trace, node, kind, name, path, removed=False)

    def remove(self, trace: str, node: int, kind: Kind | None = None) -> int:
        """Take marks off a node; returns how many there were. Raises `InputError`, `WorkFailed`.

        `trace`: its id. `node`: the node. `kind`: of the mark; None: marks of every kind.
        """
        self.refresh()
        there = [mark for mark in self.of_trace(trace) if mark.node == node and kind in (None, mark.kind)]
        for mark in there:
            self._append(trace, node, mark.kind, mark.name, mark.path, removed=True)
        return len(there)

    def _append(self, trace: str, node: int, kind: Kind, name: str, path: str, *, removed: bool) -> NodeMark:
        (order,) = next_orders(self._last, 1, self.folder)
        mark = NodeMark(
            trace=trace,
            node=node,
            kind=kind,
            name=name,
            path=path,
            reviewer=self.reviewer,
            time=order.time,
            after=order.after,
            count=order.number,
            removed=removed,
        )
        self._log.append([mark])
        self._take(mark)
        return mark
