"""Files that may be packed (gzip, zstandard), and what goes wrong with files in the words of this program."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import zstandard

from engine.base.errors import InputError, TraceError
from engine.base.untrusted_files import in_words, open_given

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""What such files begin with."""

FREE = 32 << 20
"""Bytes that any packed file may unpack to."""

MAX_RATIO = 1000
"""A larger one may unpack to so many times its size: tree files, which repeat every conversation, reach 200."""

_BUFFER = 1 << 17  # bytes


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what goes wrong while a file is read or unpacked into a `TraceError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TraceError(path, None, f"the gzip file is damaged or cut off: {error}") from error
    except zstandard.ZstdError as error:
        raise TraceError(path, None, f"the zstandard file is damaged: {error}") from error
    except OSError as error:
        raise TraceError(path, None, error.strerror or str(error)) from error
    except TraceError:
        raise
    except InputError as error:  # it could not be opened
        raise TraceError(path, None, str(error).removeprefix(f"{os.fspath(path)}: ")) from error


def check_size(path: str | os.PathLike[str], unpacked: int, packed: int) -> None:
    """Raises `TraceError` where a packed file unpacks to more bytes than any trace or tree does.

    `path`: the file, for the message. `unpacked` and `packed`: bytes read so far, after and before unpacking.
    """
    most = max(FREE, MAX_RATIO * packed)
    if unpacked > most:
        told = f"{in_words(packed)} that unpack to more than {in_words(most)}"
        raise TraceError(path, None, f"{told}: no trace or tree does so; unpack it yourself, where that is right")


class _Bounded(io.RawIOBase):
    """What an unpacking stream gives, while it is not more than `check_size` allows."""

    def __init__(self, stream: Any, file: BinaryIO, path: str | os.PathLike[str]) -> None:
        self._stream, self._file, self._path = stream, file, path
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), _BUFFER))
        buffer[: len(data)] = data
        self._given += len(data)
        if self._given > FREE:
            check_size(self._path, self._given, os.fstat(self._file.fileno()).st_size)
        return len(data)


@contextmanager
def open_unpacked(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """A file's bytes, unpacked where it begins like gzip or zstandard; unfinished zstandard frames just end.

    Raises `InputError` for what is no regular file, `NoFile` where there is none, and while it is read where it unpacks
    to far more than it holds.
    """
    with open_given(path) as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(GZIP):
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                yield io.BufferedReader(_Bounded(unpacked, file, path), _BUFFER)
        elif start == ZSTD:
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
            yield io.BufferedReader(_Bounded(stream, file, path), _BUFFER)
        else:
            yield file
