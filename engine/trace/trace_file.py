"""Reading and writing trace files: one event a line, appended and never edited (`docs/trace-format.md`).

A trace has one writer at a time, which holds a lock beside the file. A writer that is killed may leave a torn last
line; readers drop it and say so, and the next writer cuts it off. Any other line that is no event is an error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import zstandard
from filelock import BaseFileLock, Timeout

from engine.base.compression import open_unpacked, reading
from engine.base.errors import InputError, NameTaken, TraceError, WorkFailed, unusable
from engine.base.untrusted_files import (
    MAX_LINE,
    check_no_link,
    check_place,
    in_words,
    is_file,
    lines_of,
    place_and_part,
)
from engine.trace.write_lock import held, holder, is_held, let_go, lock_path
from engine.tree.events import FORMAT_VERSION, AnyEvent, Started, event_decoder, event_encoder
from engine.tree.tree import SearchTree

if sys.platform != "win32":
    pass


TraceState = Literal["running", "paused", "done", "stopped", "crashed"]

PARSE_SINCE = 2  # version of the format whose settings say how answers are read

_LOCK_PATIENCE = 0.25  # seconds; someone may be asking at this moment whether the trace is being written
_BINARY = getattr(os, "O_BINARY", 0)


# -- reading -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """A trace folded into a tree."""

    tree: SearchTree
    end: int  # bytes (of the unpacked text) up to the end of the last good line: where a writer goes on
    torn: bool  # whether a torn last line was dropped
    warnings: list[str]  # one line each, for a person


class _Head(msgspec.Struct):
    type: Literal["started"]
    version: int


class _Lines:
    """Iterates over (line number, event); `end` and `torn` tell how far it got."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.end = 0
        self.torn: int | None = None  # number of the torn line

    def __iter__(self) -> Iterator[tuple[int, AnyEvent]]:
        number = 0
        with reading(self.path), open_unpacked(self.path) as file:
            if file.peek(1)[:1] not in (b"", b"{"):  # before a line is read: it might be gigabytes
                raise TraceError(self.path, None, "not a trace: it does not begin with an event")
            for number, line in enumerate(lines_of(file, self.path), 1):
                if not line.endswith(b"\n"):
                    self.torn = number
                    break
                try:
                    event = decode_event(line, self.path, number)
                except _Torn as error:
                    if file.read(1):
                        raise TraceError(self.path, number, error.reason) from None
                    self.torn = number
                    break
                self.end += len(line)
                yield number, event
        if self.end == 0:
            raise NoEvents(self.path, None, "not a trace: " + ("no whole event in it" if number else "it is empty"))


class NoEvents(TraceError):
    """The file holds only the beginning of a first event: its search was killed before it wrote a whole one."""


class _Torn(TraceError):
    """Broken JSON: as the last line, a torn one."""


def decode_event(line: bytes, path: str | os.PathLike[str], number: int) -> AnyEvent:
    """Returns the event of one line. Raises `TraceError`, also for a first line that is not `started` or belongs to a
    newer version.

    `line`: the bytes of the line. `path`: the file, for messages. `number`: of the line, from 1.
    """
    try:
        event = event_decoder.decode(line)
    except RecursionError:
        raise TraceError(path, number, "JSON nested too deep") from None
    except msgspec.ValidationError as error:
        if number == 1:
            _refuse_newer(line, path)
            raise TraceError(path, number, f"not a trace: {error}") from None
        raise TraceError(path, number, f"not an event: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
        what = "not a trace" if number == 1 else "broken line"
        raise _Torn(path, number, f"{what}: {reason}") from None
    if number == 1 and not isinstance(event, Started):
        raise TraceError(path, number, "not a trace: the first event is not `started`")
    if isinstance(event, Started):
        if event.version > FORMAT_VERSION:
            _refuse_newer(line, path)
        if event.version < PARSE_SINCE:  # there was no other way to read an answer
            event.settings.parse = "agent-r"
    return event


def _refuse_newer(line: bytes, path: str | os.PathLike[str]) -> None:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        version = msgspec.json.decode(line, type=_Head).version
        if version > FORMAT_VERSION:
            reason = f"made by a newer version ({version}); this one reads up to {FORMAT_VERSION}: upgrade agentr-tui"
            raise TraceError(path, 1, reason)


def read_events(path: str | os.PathLike[str], warnings: list[str] | None = None) -> Iterator[AnyEvent]:
    """Yields the events of a trace, one by one; .zst and .gz are unpacked.

    A torn last line is left out, and reported in `warnings`. Raises `TraceError` that names the line.
    """
    lines = _Lines(path)
    for _, event in lines:
        yield event
    if warnings is not None:
        warnings.extend(_torn_warning(lines))


def _torn_warning(lines: _Lines) -> list[str]:
    return [f"{lines.path}:{lines.torn}: the last line is torn and was dropped"] if lines.torn is not None else []


def load(path: str | os.PathLike[str]) -> Loaded:
    """Read a trace into a tree. Raises `TraceError` naming the line that is broken or does not fit."""
    tree, lines = SearchTree(), _Lines(path)
    tree.source = os.fspath(path)
    for number, event in lines:
        try:
            tree.apply(event)
        except ValueError as error:
            raise TraceError(path, number, f"does not fit the events before: {error}") from error
    return Loaded(tree, lines.end, lines.torn is not None, _torn_warning(lines))


# -- writing -----------------------------------------------------------------------------------------


class TraceWriter:
    """Appends events to a trace; each is in the file when `write` returns.

    A new trace is made, with its folders, unless `append_to` says where the good lines of an existing one end (see
    `Loaded.end`): what follows is cut off. A name that ends in .zst is packed. Raises `InputError` where the file
    exists with content (and `overwrite` is false) or can't be written, `TraceError` where another process writes it
    or wrote to it since it was read, `WorkFailed` where the disk is full; after that the writer is closed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        append_to: int | None = None,
        overwrite: bool = False,
        whole: bool = False,
    ) -> None:
        """`whole`: a new trace is written beside its place, and only takes it with `put`."""
        self.path = Path(path)
        self._part: Path | None = None
        if self.path.suffix == ".gz":
            raise InputError(f"{path}: traces are not written as .gz: name it .jsonl or .jsonl.zst")
        self._fd: int | None = None
        self._packer: zstandard.ZstdCompressionObj | None = None
        self._lock: BaseFileLock | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = held(lock_path(path), _LOCK_PATIENCE)
            if whole and (is_file(path) or not os.path.lexists(path)):  # not for a device, which takes what comes
                self._part = place_and_part(self.path, follow=False)[1]
            self._size = self._open(append_to, overwrite)
        except Timeout:
            if not os.path.exists(lock_path(path)):  # not held: it could not be made
                raise InputError(f"{path}: no file can be made in that folder") from None
            told = f"another process is writing it{holder(path)}: attach to that search, or stop it"
            raise TraceError(path, None, told) from None
        except OSError as error:
            self.close()
            raise unusable(path, error) from error
        except BaseException:
            self.close()
            raise

    def _open(self, append_to: int | None, overwrite: bool) -> int:
        """Open the file; returns its size."""
        check_place(self.path, device=True)
        packed = self.path.suffix == ".zst"
        if append_to is None:
            check_no_link(self.path)
            if not overwrite and self.path.exists() and self.path.stat().st_size:
                raise NameTaken(f"{self.path}: exists already: choose another name, or resume it")
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | _BINARY
            self._fd = os.open(self._part or self.path, flags, 0o666)
        else:
            with reading(self.path), open_unpacked(self.path) as file:
                self._check_tail(file, append_to)
            if packed:
                _repack(self.path, append_to)
            self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | _BINARY)
            if not packed:
                os.ftruncate(self._fd, append_to)
        if packed:
            self._packer = zstandard.ZstdCompressor().compressobj()
        return os.lseek(self._fd, 0, os.SEEK_END)

    def _check_tail(self, file: io.BufferedReader, start: int) -> None:
        """Refuse to cut off events that were written since the trace was read."""
        while skip := min(start, 1 << 20):
            start -= skip
            if len(file.read(skip)) < skip:
                raise TraceError(self.path, None, "became shorter since it was read: read it again")
        line = file.readline(MAX_LINE)
        with suppress(TraceError):
            if line.endswith(b"\n"):
                decode_event(line, self.path, 2)
                raise InputError(f"{self.path}: another process wrote to it since it was read: read it again")

    def write(self, event: AnyEvent) -> None:
        """Append one event. Raises `WorkFailed`."""
        try:
            data = event_encoder.encode(event) + b"\n"
        except (UnicodeEncodeError, TypeError, RecursionError) as error:
            raise WorkFailed(f"{self.path}: event {event.seq} can't be written: {error}") from error
        if len(data) > MAX_LINE:  # no reader would take it
            raise WorkFailed(f"{self.path}: event {event.seq} is larger than {in_words(MAX_LINE)}: it can't be written")
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._fd is None:
            raise WorkFailed(f"{self.path}: this trace was closed: resume it")
        try:
            done = os.write(self._fd, data)
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            self._packer = None
            self.close()
            raise unusable(self.path, error) from error
        self._size += len(data)

    def put(self) -> None:
        """Put a `whole` trace in its place: readers see all of it, or what was there before. Raises `WorkFailed`."""
        self._finish()
        if self._part is not None:
            try:
                self._close_file()  # a network file system may tell only now that it had no room
                os.replace(self._part, self.path)
            except OSError as error:
                raise unusable(self.path, error) from error
            self._part = None

    def check(self) -> None:
        """Raises `WorkFailed` where the written file is no longer at the trace's path: somebody removed or replaced it
        or a folder above it, or cut it, which the system does not report when it is written."""
        if self._fd is None:
            return
        ours = os.fstat(self._fd)
        try:
            there = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            why = "was moved or removed while it was written"
        except OSError:  # a network file system that does not answer now
            return
        else:
            if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                why = "was replaced by another file while it was written"
            elif there.st_size < self._size:
                why = "became shorter while it was written"
            else:
                return
        raise WorkFailed(f"{self.path}: {why}: this search is not saved; put the file back or search again")

    def close(self) -> None:
        """Finish the file and give the lock back. Harmless when repeated. Raises `WorkFailed` where a part of the file
        was not kept after all."""
        try:
            self._finish()
            self._close_file()
        except OSError as error:
            raise unusable(self.path, error) from error
        finally:
            if self._part is not None:
                with suppress(OSError):
                    os.unlink(self._part)
            with suppress(OSError):
                self._close_file()
            if self._lock is not None and self._lock.is_locked:
                with suppress(OSError):
                    if sys.platform != "win32":  # while it is held, so that nobody else loses a lock of that name
                        os.unlink(self._lock.lock_file)
                let_go(self._lock)

    def _close_file(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _finish(self) -> None:
        if self._packer is not None and self._fd is not None:
            packer, self._packer = self._packer, None
            self._write(packer.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_trace(path: str | os.PathLike[str], events: Iterable[AnyEvent], *, overwrite: bool = False) -> None:
    """Write a whole trace: a reader, also after a kill, sees all of it or what was there before. Raises what
    `TraceWriter` raises.

    `path`: the file. `events`: `started` first. `overwrite`: whether a file of that name may be replaced.
    """
    with TraceWriter(path, overwrite=overwrite, whole=True) as writer:
        for event in events:
            writer.write(event)
        writer.put()


def _repack(path: Path, size: int) -> None:
    """Keep the first `size` unpacked bytes of a .zst file, in a frame that is finished."""
    place, part = place_and_part(path, follow=True)
    try:
        with open_unpacked(place) as old, part.open("xb") as new:
            packer = zstandard.ZstdCompressor().compressobj()
            while data := old.read(min(size, 1 << 20)):
                new.write(packer.compress(data))
                size -= len(data)
            new.write(packer.flush())
        os.replace(part, place)
    finally:
        with suppress(OSError):
            part.unlink()


def is_being_written(path: str | os.PathLike[str]) -> bool:
    """Whether a process holds the trace's lock. A lock file that no process holds is from a process that was killed."""
    return is_held(lock_path(path))


def trace_state(tree: SearchTree, path: str | os.PathLike[str]) -> TraceState:
    """Returns the state of a search by its last event; crashed where it did not end and no process writes it."""
    if tree.state == "done":
        return "done"
    if tree.state == "stopped":
        return "stopped"
    if not is_being_written(path):
        return "crashed"
    return "paused" if tree.state == "paused" else "running"
