"""The files of an export: records wait in a spool until their order is known; files appear whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from msgspec import Struct

from engine.base.errors import InputError, unusable, unwritten
from engine.base.text import clean
from engine.base.untrusted_files import place_and_part
from engine.trace.write_lock import alone

Packing = Literal["none", "gzip", "parquet"]
PACKINGS: tuple[Packing, ...] = ("none", "gzip", "parquet")
ROWS = 1000  # records of Parquet that are held at a time; one row group
PARQUET_EXTRA = "parquet"


class Written(Struct, kw_only=True):
    """One file of a dataset."""

    path: str
    part: str  # "" where the dataset is not split
    lines: int  # records
    size: int  # bytes
    checksum: str  # SHA-256


class Spool:
    """Records and their origins, on disk until their order is known. Its file is deleted afterwards."""

    def __init__(self, folder: Path) -> None:
        """Raises `InputError` where the folder can't be written."""
        try:
            self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `__exit__`
        except OSError as error:
            raise unusable(folder, error) from error
        self._folder = folder
        self._starts: array[int] = array("Q")
        self._ends: array[int] = array("Q")  # of the record; its origin follows, up to the next start
        self._at = 0
        self.of_part: array[int] = array("H")

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, record: bytes, origin: bytes, part: int) -> None:
        """Keep a record until it is written. Raises `WorkFailed` (a full disk).

        `record`: its line of JSON. `origin`: its line of provenance. `part`: index of its part of the dataset.
        """
        with self._said():
            self._file.write(record)
            self._file.write(origin)
        self._starts.append(self._at)
        self._ends.append(self._at + len(record))
        self._at += len(record) + len(origin)
        self.of_part.append(part)

    def read(self, index: int) -> tuple[bytes, bytes]:
        """A record and its origin. Raises `WorkFailed` (a full disk: what was added last is written only now)."""
        start, end = self._starts[index], self._ends[index]
        after = self._starts[index + 1] if index + 1 < len(self._starts) else self._at
        with self._said():
            self._file.seek(start)
            both = self._file.read(after - start)
        return both[: end - start], both[end - start :]

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritten(self._folder, error) from error

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk again, of what nobody needs any more
            self._file.close()


class Outputs:
    """Files that are written under other names beside their place and moved there together.

    A reader sees a file whole or not at all. Where anything fails before the move, every place is as it was.
    """

    def __init__(self) -> None:
        self._moves: list[tuple[bool, Path, Path]] = []

    @contextmanager
    def opened(self, place: Path, *, last: bool = False, follow: bool = False) -> Iterator[BinaryIO]:
        """A file to write. Raises `InputError` where it can't be made, `WorkFailed` where it can't be written.

        `place`: its path. `last`: it is moved after the others: where it is, the rest is. `follow`: whether a link
        there is followed; True for a name that a person gave.
        """
        place, part = place_and_part(place, follow=follow)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = part.open("xb")
        except OSError as error:
            raise unusable(place, error) from error
        self._moves.append((last, part, place))
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise unwritten(place, error) from error

    def text(self, place: Path, text: str) -> None:
        """Write a whole text."""
        with self.opened(place) as stream:
            stream.write(text.encode("utf-8", "replace"))

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._moves:
                self._move()
        finally:
            for _, part, _ in self._moves:
                with suppress(OSError):  # it was moved, or the disk is gone altogether
                    part.unlink()

    def _move(self) -> None:
        """All of them, with no other's in between: data and card are of the same export."""
        moves = sorted(self._moves, key=lambda move: move[0])
        with alone(moves[-1][2].parent / ".export.lock", "another export is being put into this folder"):
            for _, part, place in moves:
                try:
                    os.replace(part, place)
                except OSError as failed:
                    raise unwritten(place, failed) from failed


class _Hashing:
    """A stream that keeps the checksum and size of what passes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.sum, self.size = stream, sha256(), 0

    def write(self, data: Any) -> int:
        view = memoryview(data)
        self.sum.update(view)
        self.size += view.nbytes
        return self._stream.write(view)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def closed(self) -> bool:
        """For pyarrow."""
        return self._stream.closed

    def tell(self) -> int:
        """For pyarrow."""
        return self.size


def write_records(stream: BinaryIO, records: Iterable[bytes], packing: Packing, as_array: bool) -> tuple[int, str, int]:
    """Write records; returns their number, and the checksum and the size in bytes of what was written.

    `stream`: open for writing. `records`: a line of JSON each, without its end. `packing`: how to pack the file.
    `as_array`: whether the file is one JSON array instead of lines.
    """
    out = _Hashing(stream)
    if packing == "parquet":
        count = _write_parquet(out, records)
    elif packing == "gzip":
        # no name and no time inside: the same records give the same bytes
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=out, mtime=0) as packed:
            count = _write_json(packed.write, records, as_array)
    else:
        count = _write_json(out.write, records, as_array)
    return count, out.sum.hexdigest(), out.size


def _write_json(write: Callable[[bytes], int], records: Iterable[bytes], as_array: bool) -> int:
    count = 0
    for record in records:
        write((b",\n" if count else b"[\n") + record if as_array else record + b"\n")
        count += 1
    if as_array:
        write(b"\n]\n" if count else b"[]\n")
    return count


def need_parquet() -> None:
    """Raise `InputError` where pyarrow is missing."""
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(f"Parquet needs the package pyarrow: pip install 'agentr-tui[{PARQUET_EXTRA}]'") from error


def _write_parquet(out: _Hashing, records: Iterable[bytes]) -> int:
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")  # untyped
    count, writer = 0, None
    rest = iter(records)
    try:
        while rows := [_for_arrow(json.loads(record)) for record in islice(rest, ROWS)]:
            table = pa.Table.from_pylist(rows, schema=writer.schema if writer is not None else None)
            if writer is None:
                writer = pq.ParquetWriter(out, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(rows)
        if writer is None:
            writer = pq.ParquetWriter(out, pa.schema([]), compression="zstd")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"these records don't fit into the columns of Parquet: {error}") from error
    finally:
        if writer is not None:
            writer.close()
    return count


def _for_arrow(value: Any) -> Any:
    """The value with texts that UTF-8 can hold."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return value if value and isinstance(value[0], int) else [_for_arrow(each) for each in value]
    if isinstance(value, dict):
        return {key: _for_arrow(each) for key, each in value.items()}
    return value


def packing_of(out: Path, asked: Packing | None) -> Packing:
    """Returns how to pack a dataset: as the user asked, else as its name says."""
    if asked is not None:
        return asked
    return "gzip" if out.suffix == ".gz" else "parquet" if out.suffix == ".parquet" else "none"


def place_of(out: Path, packing: Packing, extension: str) -> tuple[Path, str]:
    """Returns where a packed dataset goes, and what the names of its files end with.

    `out`: the file that the user named. `packing`: how to pack it. `extension`: the format's own, with its dot.
    """
    if packing == "gzip":
        if out.suffix != ".gz":
            out = out.with_name(out.name + ".gz")
        inner = Path(out.stem).suffix
        return out, inner + ".gz"
    if packing == "parquet":
        if out.suffix != ".parquet":
            out = out.with_suffix(".parquet") if out.suffix == extension else out.with_name(out.name + ".parquet")
        return out, ".parquet"
    return out, out.suffix if out.suffix in (extension, ".json", ".jsonl") else ""


def other_shards(files: Sequence[Path], base: Path) -> list[str]:
    """Names of shards beside a dataset that are of another export, and would be taken for parts of this one."""
    names = {path.name for path in files}
    stem = base.name.split(".", 1)[0]
    return sorted(
        entry
        for entry in os.listdir(base.parent)
        if entry.startswith(stem) and entry not in names and _SHARD.search(entry.removeprefix(stem))
    )


_SHARD = re.compile(r"-\d{5}-of-\d{5}\.(jsonl?|jsonl?\.gz|parquet)$")
