"""The zip of an inspect_ai log (`.eval`): its header and its samples, one at a time, without inspect_ai.

Entries are deflated, or zstandard (method 93), which Python's zipfile reads from 3.14 on only. A name in the zip is
never used as a path of this machine.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from engine.base.untrusted_files import in_words
from engine.imports.bounded_json import Malformed, decode
from envs.numbers import whole

MOST_ENTRY = 1 << 27  # bytes, unpacked; also of all pieces of a sample
FREE = 1 << 25
"""Bytes to which any entry may unpack; a larger one to `MOST_RATIO` times its size: 244 KB of `[],[],…` took 8 GB."""
MOST_RATIO = 100
MOST_MESSAGES = 100_000
"""Messages of a sample: ranges of a pool can name each of them again and again."""

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
    struct.error,
    NotImplementedError,  # another compression
    RuntimeError,  # encrypted
    OSError,
    EOFError,
    KeyError,
    ValueError,
)
_ZSTD = 93
_LOCAL_HEADER = 30  # bytes before the name
_SAMPLE = re.compile(r"samples/(?P<name>.+_epoch_\d+)(?:\.json|/sample\.json)")


class LogZip:
    """An open log."""

    def __init__(self, path: Path) -> None:
        """Raises `Malformed` for what is no zip, or one that was not finished."""
        try:
            self.archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Malformed(f"the zip is damaged, or the evaluation was killed while writing it: {error}") from None
        self.names = set(self.archive.namelist())
        self._pieces: dict[str, list[tuple[int, str]]] = {}  # by the folder in the zip that they are in, numbered
        for name in self.archive.namelist():
            folder, _, numbered = name.rpartition("/")
            if (number := whole(numbered.removesuffix(".json"))) is not None:
                self._pieces.setdefault(folder, []).append((number, name))

    def __enter__(self) -> LogZip:
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()

    @property
    def is_log(self) -> bool:
        """Whether the zip has the entries of a log."""
        return bool(self.names & {"header.json", "_journal/start.json"})

    def read(self, name: str) -> Any:
        """The JSON of an entry. Raises `Malformed`."""
        return decode(self._entry(name, MOST_ENTRY))

    def _entry(self, name: str, most: int) -> bytes:
        """The content of an entry, of at most `most` bytes. Raises `Malformed`."""
        try:
            entry = self.archive.getinfo(name)
            most = min(most, max(FREE, MOST_RATIO * entry.compress_size))
            data = self._bytes(entry, most)
        except Malformed:
            raise
        except _DAMAGE as error:
            raise Malformed(f"the entry {name} is damaged: {error}") from None
        if len(data) > most:
            raise Malformed(f"the entry {name} is larger than {in_words(most)}")
        return data

    def _bytes(self, entry: zipfile.ZipInfo, most: int) -> bytes:
        if entry.compress_type != _ZSTD:
            with self.archive.open(entry) as stream:
                return stream.read(most + 1)
        file = self.archive.fp
        if file is None:
            raise Malformed("the zip is closed")
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header where the directory says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        file.seek(name_length + extra_length, 1)
        packed = file.read(min(entry.compress_size, most))
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
            return stream.read(most + 1)

    def header(self) -> dict[str, Any]:
        """Returns the log's facts about the evaluation; of an unfinished one, those of its journal."""
        found = self.read("header.json" if "header.json" in self.names else "_journal/start.json")
        return found if isinstance(found, dict) else {}

    def samples(self, problem: Callable[[str, str], None]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each sample with the name of its entry; in pieces or whole. Damaged ones become problems."""
        for name in self.archive.namelist():
            if _SAMPLE.fullmatch(name) is None:
                continue
            try:
                sample = self.read(name)
                if not isinstance(sample, dict):
                    raise Malformed("the sample is no object")
                if name.endswith("/sample.json"):
                    sample = self._whole(name.removesuffix("sample.json"), sample)
            except Malformed as error:
                problem(name, str(error))
                continue
            yield name, sample

    def _whole(self, prefix: str, shell: dict[str, Any]) -> dict[str, Any]:
        """A sample that is stored in pieces: its messages are ranges of a pool, its attachments are numbered."""
        pool = self._sequence(f"{prefix}messages")
        refs = shell.get("message_refs")
        messages: list[Any] = []
        for ref in refs if isinstance(refs, list) else []:
            if isinstance(ref, list) and len(ref) == 2 and all(type(end) is int and end >= 0 for end in ref):
                messages += pool[ref[0] : ref[1]]
            elif type(ref) is int and 0 <= ref < len(pool):
                messages.append(pool[ref])
            if len(messages) > MOST_MESSAGES:
                raise Malformed(f"the sample has more than {MOST_MESSAGES:,} messages")
        attachments = dict(enumerate(self._sequence(f"{prefix}attachments")))
        shell["messages"] = messages
        shell["attachments"] = {str(index): text for index, text in attachments.items()}
        return shell

    def _sequence(self, folder: str) -> list[Any]:
        """The lists in the numbered pieces of a folder, one after the other. Raises `Malformed`."""
        found: list[Any] = []
        left = MOST_ENTRY
        for _, name in sorted(self._pieces.get(folder, ())):
            data = self._entry(name, left)
            left -= len(data)
            chunk = decode(data)
            found += chunk if isinstance(chunk, list) else []
        return found
