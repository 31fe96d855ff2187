"""A file that may hold rollouts: what it looks like, and its rows or its document, read within bounds.

Rows are read one at a time. A document is read whole (its size is bounded), and its parts are decoded one at a time.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

import msgspec

from engine.base.compression import open_unpacked, reading
from engine.base.errors import InputError, TraceError
from engine.base.untrusted_files import what_is
from engine.imports.bounded_json import Malformed, decode

MOST_DOCUMENT = 1 << 29  # bytes, unpacked: it is held twice while it is read
MOST_LINE = 1 << 28  # bytes
MOST_BESIDE = 1 << 26  # bytes of a file beside the rollouts (a report, a result)
MOST_PROBLEMS = 20
"""Bad rows of one file that are told one by one."""

Shape = Literal["lines", "joined", "document", "list", "zip", "other"]

_BOM = b"\xef\xbb\xbf"
_LOOK_AHEAD = 20  # lines, to tell a bad first row from a document over several lines


@dataclass(frozen=True)
class Problem:
    """One line about something that was not read."""

    path: str
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}{f' ({self.place})' if self.place else ''}: {self.reason}"


@dataclass
class RolloutFile:
    """A file of JSON, looked at.

    `keys` are those of its object; of its first row, where it has rows (lines, a list, or objects one after the
    other). `reason` says why it is unusable as JSON, where it is.
    """

    path: Path
    shape: Shape
    head: bytes = b""  # its first bytes, unpacked
    keys: frozenset[str] = frozenset()
    reason: str = ""
    problems: list[Problem] = field(default_factory=list)
    bad_rows: int = 0
    _fields: dict[str, Any] = field(default_factory=dict)  # of the object or the first row, undecoded
    _items: list[Any] = field(default_factory=list)  # of a list, undecoded
    within: str = ""  # of a part of a file (`engine.imports.wrappers`): where in the file it is
    around: dict[str, Any] = field(default_factory=dict)  # and what stands beside it, for rows that do not tell it
    row_source: Callable[[], Iterator[tuple[str, dict[str, Any]]]] | None = None  # and its rows

    @property
    def stem(self) -> str:
        """The file's name without its endings (`.traj.json.gz`)."""
        name = self.path.name
        for ending in (".gz", ".zst", ".json", ".jsonl", ".traj", ".eval", ".trajectory"):
            name = name.removesuffix(ending)
        return name or self.path.name

    @property
    def is_broken(self) -> bool:
        """Whether it begins as JSON and is none: it was cut, or is damaged."""
        return self.shape == "other" and self.head.lstrip().startswith((b"{", b"["))

    def has(self, *keys: str) -> bool:
        """Whether the object, or the first row, has all these keys."""
        return self.keys.issuperset(keys)

    def peek(self, key: str) -> Any:
        """The value at a key of the object, or of the first row; None where there is none."""
        return value(self._fields.get(key))

    def problem(self, place: str, reason: str) -> None:
        """Record what can't be read; past `MOST_PROBLEMS` they are only counted."""
        self.bad_rows += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(str(self.path), place, reason))
        elif len(self.problems) == MOST_PROBLEMS:
            self.problems.append(Problem(str(self.path), "", "further rows can't be read, see above"))

    @contextmanager
    def reporting(self, place: str) -> Iterator[None]:
        """What is read within is at `place`; where it is `Malformed`, that is recorded, and the rest is read on."""
        try:
            yield
        except Malformed as error:
            self.problem(place, str(error))

    def document(self) -> dict[str, Any]:
        """The fields of the document, undecoded (`value` decodes one)."""
        return self._fields

    def whole(self) -> dict[str, Any]:
        """The document, decoded."""
        return {key: value(raw) for key, raw in self._fields.items()}

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each row with its place, one at a time; a document is one row. Bad rows become problems."""
        if self.row_source is not None:
            yield from self.row_source()
            return
        if self.shape == "document":
            yield self.within, {**self.around, **self.whole()}
            return
        for place, row in self.values():
            if isinstance(row, dict):
                yield place, {**self.around, **row} if self.around else row
            else:
                self.problem(place, "is no object")

    def values(self) -> Iterator[tuple[str, Any]]:
        """Each line, or item of a list, with its place, decoded; also what is no object."""
        for place, piece in self._lines() if self.shape == "lines" else self.pieces():
            try:
                row = value(piece) if isinstance(piece, msgspec.Raw) else piece
                row = decode(row) if isinstance(row, bytes) else row
            except Malformed as error:
                self.problem(place, str(error))
                continue
            yield place, row

    def pieces(self) -> Iterator[tuple[str, Any]]:
        """Each item of a list with its place, undecoded where that can be (`value` decodes one)."""
        before = f"{self.within}, " if self.within else ""
        for index, item in enumerate(self._items):
            yield f"{before}item {index + 1}", item

    def pieces_count(self) -> int:
        """Returns the number of items of a list."""
        return len(self._items)

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        with reading(self.path), open_unpacked(self.path) as stream:
            number = 0
            while line := stream.readline(MOST_LINE + 1):
                number += 1
                if len(line) > MOST_LINE:
                    raise TraceError(self.path, number, f"the line is longer than {MOST_LINE >> 20} MiB")
                if number == 1:
                    line = line.removeprefix(_BOM)
                if line.strip():
                    yield f"line {number}", line


def value(raw: Any) -> Any:
    """A field of a document, decoded. Raises `Malformed`."""
    return decode(bytes(raw)) if isinstance(raw, msgspec.Raw) else raw


def each(raw: Any, name: str) -> list[Any]:
    """The items of the list in a field of a document, undecoded where that can be (`value` decodes one).

    Raises `Malformed`, which names the field, where it holds no list.
    """
    if isinstance(raw, msgspec.Raw):
        try:
            return msgspec.json.decode(raw, type=list[msgspec.Raw])
        except (msgspec.DecodeError, RecursionError):
            raw = value(raw)
    if not isinstance(raw, list):
        raise Malformed(f"`{name}` is no list")
    return raw


FileState = tuple[int, int, int] | None
"""Of a file: time of change, length, inode; None where there is none."""

_consulted: ContextVar[dict[str, FileState] | None] = ContextVar("consulted", default=None)


@contextmanager
def consulting(states: dict[str, FileState]) -> Iterator[None]:
    """`states` gets each file that is looked at within, as it is then; also those that are missing."""
    token = _consulted.set(states)
    try:
        yield
    finally:
        _consulted.reset(token)


def consulted(path: Path) -> None:
    """Tell that what is read depends on a file or a folder. To be called before it is read."""
    states = _consulted.get()
    if states is not None:
        states.setdefault(os.fspath(path), file_state(path))


def file_state(path: str | os.PathLike[str]) -> FileState:
    """Returns what changes where a file does."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def inside(folder: Path, name: str) -> Path | None:
    """Returns the file of that name below the folder; None where it is missing, or outside of the folder (links
    followed)."""
    if not name or "\x00" in name or "://" in name or len(name) > 4096:
        return None
    consulted(folder / name)
    root = os.path.realpath(folder)
    place = os.path.realpath(os.path.join(root, name))
    if place != root and place.startswith(root.rstrip(os.sep) + os.sep) and os.path.isfile(place):
        return folder / name
    return None


def small_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in a file beside others, empty where there is none that can be read. Not to be changed."""
    place = inside(folder, name)
    if place is None:
        return {}
    try:
        stat = place.stat()
    except OSError:
        return {}
    return _small_json(place, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _small_json(place: Path, size: int, changed: int) -> dict[str, Any]:
    try:
        found = decode(place.read_bytes()) if size <= MOST_BESIDE else None
    except (OSError, Malformed):
        return {}
    return found if isinstance(found, dict) else {}


def look(path: str | os.PathLike[str]) -> RolloutFile:
    """Look at a file. Raises `InputError` where it can't be read at all."""
    place = Path(path)
    if what_is(place) is None:
        raise InputError(f"{path}: no such file or folder")
    with reading(place), open_unpacked(place) as stream:
        first = stream.readline(MOST_LINE + 1).removeprefix(_BOM)
        while first and not first.strip():
            first = stream.readline(MOST_LINE + 1)
        if first.startswith(b"PK\x03\x04"):
            return RolloutFile(place, "zip", first[:4096])
        if not first.lstrip().startswith((b"{", b"[")) and not _is_scalar(first):
            reason = "is empty" if not first else "is no JSON"
            return RolloutFile(place, "other", first[:4096] + stream.read(4096), reason=reason)
        try:
            return shaped(place, first, stream.peek(1) == b"")
        except Malformed as error:
            reason = str(error)
        if not first.lstrip().startswith(b"[") or first.rstrip().endswith(b"]"):  # a bad row, a header, or a null
            following = [b""] if len(first) > MOST_LINE else _next_lines(stream)
            for line in following:
                if line.startswith(b"{"):
                    try:
                        return shaped(place, line, False)
                    except Malformed:
                        continue
            if following[0].startswith(b"[") and _is_whole(first):  # a list a line
                return RolloutFile(place, "lines", first[:4096])
            if _is_scalar(first):  # numbers or words a line, however many
                return RolloutFile(place, "other", (first + b"".join(following))[:4096], reason="is no JSON")
            first += b"".join(following)
        large = os.path.getsize(place) > MOST_DOCUMENT  # packed or not: it need not be read
        data = first if large else first + stream.read(MOST_DOCUMENT + 1 - len(first))
    if large or len(data) > MOST_DOCUMENT:
        return RolloutFile(
            place, "other", data[:4096], reason=f"is one JSON value of more than {MOST_DOCUMENT >> 20} MiB"
        )
    try:
        return shaped(place, data, True)
    except Malformed as error:
        reason = str(error)
    return _joined(place, data) or RolloutFile(place, "other", data[:4096], reason=reason)


def _next_lines(stream: BufferedReader) -> list[bytes]:
    """The lines to look ahead to, at least one; none after one that is too long."""
    found = [stream.readline(MOST_LINE + 1)]
    while len(found) < _LOOK_AHEAD and len(found[-1]) <= MOST_LINE:
        found.append(stream.readline(MOST_LINE + 1))
    return found


def _is_whole(line: bytes) -> bool:
    try:
        decode(line)
    except Malformed:
        return False
    return True


def _is_scalar(line: bytes) -> bool:
    """Whether a line is a JSON value that is neither an object nor a list: `null` in place of a row."""
    try:
        return len(line) < 4096 and not isinstance(decode(line), dict | list)
    except Malformed:
        return False


def shaped(path: Path, data: bytes, all_of_it: bool) -> RolloutFile:
    """Returns the file whose first value is that. Raises `Malformed`.

    `path`: of the file. `data`: JSON, an object or a list. `all_of_it`: whether nothing follows.
    """
    head = data[:4096]
    if data.lstrip().startswith(b"{"):
        fields = decode(data, dict[str, msgspec.Raw])
        if not isinstance(fields, dict):
            raise Malformed("is no object")
        shape: Shape = "document" if all_of_it else "lines"
        return RolloutFile(path, shape, head, frozenset(fields), _fields=fields)
    if not all_of_it:
        raise Malformed("goes on after its list")
    items = decode(data, list[msgspec.Raw])
    if not isinstance(items, list):
        raise Malformed("is neither an object nor a list")
    first: dict[str, Any] = {}
    if items:
        first = decode(bytes(items[0]), dict[str, msgspec.Raw]) if isinstance(items[0], msgspec.Raw) else items[0]
    first = first if isinstance(first, dict) else {}
    return RolloutFile(path, "list", head, frozenset(first), _fields=first, _items=items)


def _joined(path: Path, data: bytes) -> RolloutFile | None:
    """Objects one after the other (`}{`), as repeated `json.dump` leaves them; None where it is no such file."""
    try:
        left = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    scanner, items, at = json.JSONDecoder(), [], 0
    while at < len(left):
        while at < len(left) and left[at].isspace():
            at += 1
        if at == len(left):
            break
        try:
            item, at = scanner.raw_decode(left, at)
        except (ValueError, RecursionError):
            break
        items.append(item)
    if not items or not isinstance(items[0], dict):
        return None
    found = RolloutFile(path, "joined", data[:4096], frozenset(items[0]), _fields=items[0], _items=items)
    if left[at:].strip():
        found.problem(f"after object {len(items)}", "what follows is no JSON")
    return found
