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

from engine.imports.bounded_json import Malformed, decode
from envs.numbers import whole

MOST_ENTRY = 1 << 28  # bytes, unpacked

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
        try:
            data = self._bytes(self.archive.getinfo(name))
        except Malformed:
            raise
        except _DAMAGE as error:
            raise Malformed(f"the entry {name} is damaged: {error}") from None
        if len(data) > MOST_ENTRY:
            raise Malformed(f"the entry {name} is larger than {MOST_ENTRY >> 20} MiB")
        return decode(data)

    def _bytes(self, entry: zipfile.ZipInfo) -> bytes:
        if entry.compress_type != _ZSTD:
            with self.archive.open(entry) as stream:
                return stream.read(MOST_ENTRY + 1)
        file = self.archive.fp
        if file is None:
            raise Malformed("the zip is closed")
        file.seek(entry.header_offset)
        header = file.read(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header where the directory says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        file.seek(name_length + extra_length, 1)
        packed = file.read(min(entry.compress_size, MOST_ENTRY))
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
            return stream.read(MOST_ENTRY + 1)

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
        pool = self._sequence(f"{prefix}messages/")
        refs = shell.get("message_refs")
        messages = []
        for ref in refs if isinstance(refs, list) else []:
            if isinstance(ref, list) and len(ref) == 2 and all(type(end) is int and end >= 0 for end in ref):
                messages += pool[ref[0] : ref[1]]
            elif type(ref) is int and 0 <= ref < len(pool):
                messages.append(pool[ref])
        attachments = dict(enumerate(self._sequence(f"{prefix}attachments/")))
        shell["messages"] = messages
        shell["attachments"] = {str(index): text for index, text in attachments.items()}
        return shell

    def _sequence(self, prefix: str) -> list[Any]:
        chunks = [name for name in self.names if name.startswith(prefix) and whole(name[len(prefix) : -5]) is not None]
        found: list[Any] = []
        for name in sorted(chunks, key=lambda name: whole(name[len(prefix) : -5]) or 0):
            chunk = self.read(name)
            found += chunk if isinstance(chunk, list) else []
        return found
