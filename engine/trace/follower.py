"""Following a trace while another process writes it."""

from __future__ import annotations

import os
from pathlib import Path

import zstandard

from engine.base.compression import GZIP, ZSTD, check_size, reading
from engine.base.errors import TraceError
from engine.base.untrusted_files import MAX_LINE, in_words, lines_of, open_given
from engine.trace.trace_file import decode_event
from engine.tree.events import AnyEvent, Started

AT_ONCE = 1 << 24
"""Bytes of a followed file that are read at once."""

UNPACKED_AT_ONCE = 1 << 10
"""Packed bytes that are unpacked at once: they may hold thirty thousand times as much."""


class Follower:
    """Gives the events of a trace as they are written, by whichever process.

    An incomplete last line is held back until the rest is there. A file that does not exist yet has no events. A
    file that was replaced (a packed trace is, when it is resumed) is read again, and events that were given are not
    given twice; one that holds another trace, became shorter, or is gone, is a `TraceError`, as is a broken line.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.count = 0  # events given
        self._trace: str | None = None
        self._stamp: tuple[int, int, int] | None = None  # inode, size, time of change: at the last look
        self._restart()

    def _restart(self) -> None:
        self._at = 0  # bytes of the file that were used
        self._lines = 0
        self._held = b""  # unpacked, of an incomplete line; only of a packed file
        self.incomplete = False  # whether the last look found a line without its end
        self.behind = False  # whether there was more than the last look took
        self._size = 0
        self._given = 0  # bytes that the unpacker gave
        self._unpacker: zstandard.ZstdDecompressionObj | None = None

    def poll(self, most: int = -1) -> list[AnyEvent]:
        """Events that were written since the last call, of about `most` bytes of the file (-1: all; see `behind`).

        Costs one `stat` where nothing was written. Raises `TraceError`.
        """
        if most >= 0:
            return self._poll(most)
        events = self._poll(AT_ONCE)
        while self.behind:
            events += self._poll(AT_ONCE)
        return events

    def _poll(self, most: int) -> list[AnyEvent]:
        """The same, of about `most` bytes of the file."""
        try:
            stat = os.stat(self.path)
        except FileNotFoundError:
            if self._stamp is None:
                return []
            raise TraceError(self.path, None, "was removed while it was followed") from None
        except OSError as error:
            raise TraceError(self.path, None, error.strerror or str(error)) from error
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if stamp == self._stamp:
            return []
        if self._stamp is not None and stat.st_ino != self._stamp[0]:
            self._restart()
        if stat.st_size < self._at:
            raise TraceError(self.path, None, "became shorter while it was followed: open it again")
        with reading(self.path):
            data = self._fresh(most)
        self._stamp, self._size = (stat.st_ino, -1, -1) if self.behind else stamp, stat.st_size
        return self._events(data)

    @property
    def share(self) -> float:
        """Which part of the file's bytes was used, at the last look."""
        return self._at / self._size if self._size else 0.0

    def _fresh(self, most: int) -> bytes:
        """Unpacked bytes after those that were used, whole lines only."""
        with open_given(self.path) as file:
            file.seek(self._at)
            data = file.read(most)
            if self._unpacker is None and not data.endswith(b"\n"):
                data += next(lines_of(file, self.path, self._lines + data.count(b"\n") + 1), b"")
            size = os.fstat(file.fileno()).st_size
            self.behind = most <= len(data) and file.tell() < size
        if self._at == 0 and data.startswith(GZIP):
            raise TraceError(self.path, None, "a .gz file can't be followed: open it without")
        if self._at == 0 and data[:4] == ZSTD:
            self._unpacker = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        if self._unpacker is None:
            self.incomplete = not data.endswith(b"\n")
            lines = data[: data.rfind(b"\n") + 1]  # a torn line is cut off by the next writer: read it again
            self._at += len(lines)
            return lines
        data = self._held + self._unpacked(data, size)
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        self.incomplete = bool(self._held)
        return data[:end]

    def _unpacked(self, data: bytes, packed: int) -> bytes:
        """What packed bytes hold, of the first of them where it is much. Raises `TraceError` where it is too much."""
        assert self._unpacker is not None
        parts, before = [], self._given
        for start in range(0, len(data), UNPACKED_AT_ONCE):
            if self._given - before > AT_ONCE:
                self.behind = True
                break
            part = self._unpacker.decompress(data[start : start + UNPACKED_AT_ONCE])
            self._at += len(data[start : start + UNPACKED_AT_ONCE])
            self._given += len(part)
            check_size(self.path, self._given, packed)
            parts.append(part)
        if len(self._held) + self._given - before > MAX_LINE and not any(b"\n" in part for part in parts):
            raise TraceError(self.path, None, f"a line is longer than {in_words(MAX_LINE)}")
        return b"".join(parts)

    def _events(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for line in data.splitlines(keepends=True):
            self._lines += 1
            event = decode_event(line, self.path, self._lines)
            if isinstance(event, Started):
                if self._trace not in (None, event.trace):
                    raise TraceError(self.path, 1, "contains a different trace now: open it again")
                self._trace = event.trace
            if self._lines > self.count:
                events.append(event)
        if self._lines < self.count and not self.behind:
            raise TraceError(self.path, None, "was replaced by a shorter one while it was followed: open it again")
        self.count = max(self.count, self._lines)
        return events
