"""Following a trace while another process writes it."""

from __future__ import annotations

import os
from pathlib import Path

import zstandard

from engine.base.compression import GZIP, ZSTD, reading
from engine.base.errors import TraceError
from engine.trace.trace_file import decode_event
from engine.tree.events import AnyEvent, Started


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
        self._unpacker: zstandard.ZstdDecompressionObj | None = None

    def poll(self, most: int = -1) -> list[AnyEvent]:
        """Events that were written since the last call, of about `most` bytes of the file (-1: all; see `behind`).

        Costs one `stat` where nothing was written. Raises `TraceError`.
        """
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
        with open(self.path, "rb") as file:
            file.seek(self._at)
            data = file.read(most)
            if self._unpacker is None:
                data += file.readline()
            self.behind = 0 <= most <= len(data) and file.tell() < os.fstat(file.fileno()).st_size
        if self._at == 0 and data.startswith(GZIP):
            raise TraceError(self.path, None, "a .gz file can't be followed: open it without")
        if self._at == 0 and data[:4] == ZSTD:
            self._unpacker = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)
        if self._unpacker is None:
            self.incomplete = not data.endswith(b"\n")
            lines = data[: data.rfind(b"\n") + 1]  # a torn line is cut off by the next writer: read it again
            self._at += len(lines)
            return lines
        self._at += len(data)
        data = self._held + self._unpacker.decompress(data)
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        self.incomplete = bool(self._held)
        return data[:end]

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
        self.count = max(self.count, self._lines)
        return events
