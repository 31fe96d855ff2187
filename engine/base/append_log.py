"""Append-only logs: a folder of JSONL files, of which each process writes one of its own and nobody rewrites any.

Two processes never write to the same file, so they never collide, also on a network file system. A process that is
killed may leave half a line at the end of its file: readers drop it and say so. A process that fails to write a line
(a full disk) takes the half of it back; where it can't, its next line goes to a new file. So half a line never stands
before another line.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from engine.base.errors import AgentrError, InputError, unusable, unwritten
from engine.base.untrusted_files import UNREADABLE, lines_of, open_given, refusal, refused

T = TypeVar("T")

SUFFIX = ".jsonl"


class Line(NamedTuple, Generic[T]):
    """A line that was read."""

    path: Path
    number: int  # counted from 1
    row: T


class Fresh(NamedTuple, Generic[T]):
    """What a look at a folder found."""

    lines: list[Line[T]]
    anew: bool = False  # a file that was read is gone or was replaced: these are all lines, and the old ones are void
    error: AgentrError | None = None  # why a file could not be read to its end; the next look tries again


class LogKind(NamedTuple, Generic[T]):
    """The kind of lines of a log."""

    decode: Callable[[bytes], T]  # raises `msgspec.MsgspecError`
    one: str  # for messages: "decision"
    many: str  # for messages: "decisions"
    strict: bool = True  # False: lines that can't be read are left out and said, and are no error
    sync: bool = False  # whether a line survives a power cut once `append` returns


class _File:
    """How far one file was read."""

    __slots__ = ("identity", "left_out", "lines", "offset", "torn")

    def __init__(self, identity: int) -> None:
        self.identity = identity  # inode
        self.offset = 0  # bytes, up to the end of the last whole line
        self.lines = 0
        self.torn = False  # something stands after the last whole line
        self.left_out: list[str] = []  # lines that can't be read, where that is no error


class AppendLog(Generic[T]):
    """The files of a folder whose names begin with `prefix`, and the file of this process.

    The name of this process's file is `prefix`, the parts of `name`, host, process id and a random number. May be used
    from several threads.
    """

    def __init__(self, folder: Path, kind: LogKind[T], name: Sequence[str] = (), prefix: str = "") -> None:
        self.folder = folder
        self.path: Path | None = None  # of this process's file; made with the first line
        self._kind = kind
        self._name = tuple(name)
        self._prefix = prefix
        self._process = os.getpid()
        self._files: dict[Path, _File] = {}
        self._lock = threading.RLock()

    # -- reading -----------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        """A line for each file whose last line is not whole (it may still be being written) or that holds garbage."""
        with self._lock:
            told = []
            for path, file in sorted(self._files.items()):
                if file.left_out:
                    more = f" and {len(file.left_out) - 1} more" if len(file.left_out) > 1 else ""
                    told.append(f"{file.left_out[0]}{more}: left out")
                if file.torn:
                    told.append(f"{path}: the last line is not whole and was left out")
            return told

    def refresh(self) -> Fresh[T]:
        """The lines that were written since the last look, by other processes; all lines at the first."""
        with self._lock:
            try:
                there = self._stats()
            except OSError as error:
                return Fresh([], error=refusal(self.folder, error))
            anew = any(
                path not in there or there[path].st_ino != file.identity or there[path].st_size < file.offset
                for path, file in self._files.items()
            )
            if anew:
                self._files = {}
            lines: list[Line[T]] = []
            failed: AgentrError | None = None
            for path, status in sorted(there.items()):
                file = self._files.setdefault(path, _File(status.st_ino))
                if status.st_size <= file.offset:
                    file.torn = False
                    continue
                try:
                    self._read(path, file, lines)
                except AgentrError as error:
                    failed = failed or error
            return Fresh(lines, anew, failed)

    def _stats(self) -> dict[Path, os.stat_result]:
        """The regular files of this log. Pipes and devices, which may never end, are none."""
        found: dict[Path, os.stat_result] = {}
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries]
        except FileNotFoundError:
            return found
        for name in names:
            if name.startswith(self._prefix) and name.endswith(SUFFIX):
                path = self.folder / name
                try:
                    status = path.stat()
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.ELOOP):  # removed since; a link that leads nowhere
                        continue
                    raise
                if stat.S_ISREG(status.st_mode):
                    found[path] = status
        return found

    def _read(self, path: Path, file: _File, lines: list[Line[T]]) -> None:
        """Read what is new in a file. Raises `InputError`; the lines before the bad one were read then."""
        with open_given(path) as stream, refused(path):
            stream.seek(file.offset)
            file.torn = False
            for line in lines_of(stream, path, file.lines + 1):
                if not line.endswith(b"\n"):
                    file.torn = True
                    return
                number = file.lines + 1
                if line.strip():
                    try:
                        lines.append(Line(path, number, self._kind.decode(line)))
                    except UNREADABLE as error:
                        told = f"{path}:{number}: not a {self._kind.one} ({error})"
                        if self._kind.strict:
                            raise InputError(f"{told}: fix or remove the line") from error
                        file.left_out.append(told)
                file.offset += len(line)
                file.lines = number

    # -- writing -----------------------------------------------------------------------------------

    def append(self, rows: Iterable[T]) -> None:
        """Write lines to the file of this process; they are in it when this returns.

        Raises `InputError` where no file can be made, `WorkFailed` where the lines could not be written (a full disk):
        then none of them is in the file.
        """
        rows = list(rows)
        data = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        with self._lock:
            path = self._own_file()
            before = 0
            try:
                with path.open("ab", buffering=0) as stream:
                    before = os.fstat(stream.fileno()).st_size
                    if stream.write(data) != len(data):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    if self._kind.sync:
                        os.fsync(stream.fileno())
                    identity = os.fstat(stream.fileno()).st_ino
            except OSError as error:
                self._take_back(path, before)
                raise unwritten(path, error, f"the {self._kind.one} was not kept") from error
            file = self._files.setdefault(path, _File(identity))
            if file.offset == before:  # they need not be read again
                file.offset += len(data)
                file.lines += len(rows)

    def _own_file(self) -> Path:
        """The file of this process, made where it is missing; another one after a fork."""
        if self.path is None or self._process != os.getpid():
            self._process = os.getpid()
            parts = [_for_file_name(part) for part in (*self._name, socket.gethostname(), str(self._process))]
            path = self.folder / f"{self._prefix}{'-'.join(parts)}-{secrets.token_hex(3)}{SUFFIX}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                path.open("xb").close()
            except OSError as error:
                raise unusable(self.folder, error, f"{self._kind.many} can't be written here") from error
            self.path = path
        return self.path

    def _take_back(self, path: Path, size: int) -> None:
        """Take half a line off the file of this process; where that fails, the next line goes to a new file."""
        try:
            with path.open("r+b") as stream:
                stream.truncate(size)
        except OSError:
            self.path = None


def _for_file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_.")[:40] or "unknown"


def read_log(path: Path, kind: LogKind[T]) -> list[T]:
    """The rows of one file of a log, less a last line that is not whole. Raises `InputError` naming file and line."""
    lines: list[Line[T]] = []
    AppendLog(path.parent, kind)._read(path, _File(0), lines)
    return [line.row for line in lines]
