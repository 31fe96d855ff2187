"""Marks that people put on nodes: good, bad, or a bookmark with a name. Kept in the workspace, append-only.

As with decisions (`engine.review.decisions`) each process writes a file of its own in `bookmarks/`, a mark a line, and
nobody rewrites one; taking a mark away appends a line. Knows no Textual.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, WorkFailed
from engine.base.files import refusal, stamp
from engine.review.decisions import reviewer_name

Kind = Literal["good", "bad", "bookmark"]
MAX_NAME = 200


class NodeMark(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """One line: what one person said of one node. A later one of the same trace, node and kind takes its place."""

    trace: str  # id
    node: int
    kind: Kind
    name: str = ""
    path: str = ""  # where the trace was then
    reviewer: str
    time: str  # ISO 8601, UTC
    removed: bool = False


_decoder = msgspec.json.Decoder(NodeMark)
_encoder = msgspec.json.Encoder()


class Bookmarks:
    """All marks of a workspace, and the pen of this process."""

    def __init__(self, folder: Path, reviewer: str | None = None) -> None:
        """Read what there is. Raises `InputError` for a line that can't be read, naming file and line."""
        self.folder = folder
        self.reviewer = reviewer or reviewer_name()
        self._own: Path | None = None  # made at the first mark
        self._marks: dict[tuple[str, int, Kind], NodeMark] = {}
        self._read: dict[Path, int] = {}  # file → bytes that were read
        self.refresh()

    # -- reading -----------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Read what was written since, by whomever; whether anything was. Raises `InputError`."""
        found: list[NodeMark] = []
        try:
            files = sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []
            for file in files:
                found += self._fresh(file)
        except OSError as error:
            raise refusal(self.folder, error) from error
        for mark in sorted(found, key=lambda mark: mark.time):
            self._take(mark)
        return bool(found)

    def _fresh(self, file: Path) -> list[NodeMark]:
        start = self._read.get(file, 0)
        if file.stat().st_size <= start:
            return []
        with file.open("rb") as stream:
            stream.seek(start)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]  # what follows is still being written
        self._read[file] = start + len(whole)
        marks = []
        for line in whole.splitlines():
            try:
                marks.append(_decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise InputError(f"{file}: a line is no mark ({error}): mend it or take the file away") from error
        return marks

    def _take(self, mark: NodeMark) -> None:
        key = (mark.trace, mark.node, mark.kind)
        known = self._marks.get(key)
        if known is None or known.time <= mark.time:
            self._marks[key] = mark

    def of_trace(self, trace: str) -> list[NodeMark]:
        """The marks on the nodes of one trace, by node."""
        return sorted(
            (mark for mark in self._marks.values() if mark.trace == trace and not mark.removed),
            key=lambda mark: (mark.node, mark.kind),
        )

    def all(self) -> list[NodeMark]:
        """All marks, the newest first."""
        return sorted((m for m in self._marks.values() if not m.removed), key=lambda mark: mark.time, reverse=True)

    # -- writing -----------------------------------------------------------------------------------

    def set(self, trace: str, node: int, kind: Kind, name: str = "", path: str = "") -> NodeMark:
        """Put a mark on a node. Good and bad take each other's place. Raises `InputError`, `WorkFailed`."""
        name = " ".join(name.encode("utf-8", "replace").decode().split())[:MAX_NAME]
        other: dict[Kind, Kind] = {"good": "bad", "bad": "good"}
        if kind in other:
            self.remove(trace, node, other[kind])
        return self._append(trace, node, kind, name, path, removed=False)

    def remove(self, trace: str, node: int, kind: Kind | None = None) -> int:
        """Take a mark of a kind, or all, off a node; how many there were. Raises `InputError`, `WorkFailed`."""
        there = [mark for mark in self.of_trace(trace) if mark.node == node and kind in (None, mark.kind)]
        for mark in there:
            self._append(trace, node, mark.kind, mark.name, mark.path, removed=True)
        return len(there)

    def _append(self, trace: str, node: int, kind: Kind, name: str, path: str, *, removed: bool) -> NodeMark:
        mark = NodeMark(
            trace=trace,
            node=node,
            kind=kind,
            name=name,
            path=path,
            reviewer=self.reviewer,
            time=stamp(datetime.now(UTC)),
            removed=removed,
        )
        data = _encoder.encode(mark) + b"\n"
        file = self._own or self._new_file()
        try:
            with file.open("ab", buffering=0) as stream:
                stream.write(data)
                os.fsync(stream.fileno())
        except OSError as error:
            raise WorkFailed(f"{file}: {error.strerror or error}: the mark was not kept") from error
        self._read[file] = self._read.get(file, 0) + len(data)
        self._take(mark)
        return mark

    def _new_file(self) -> Path:
        parts = (self.reviewer, socket.gethostname(), str(os.getpid()), secrets.token_hex(3))
        name = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part).strip("_.")[:40] or "unknown" for part in parts)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._own = self.folder / f"{name}.jsonl"
            self._own.touch(exist_ok=False)
        except OSError as error:
            raise InputError(f"{self.folder}: marks can't be written here ({error.strerror or error})") from error
        return self._own
