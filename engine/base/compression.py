"""Files that may be packed (gzip, zstandard), and what goes wrong with files in the words of this program."""

from __future__ import annotations

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import zstandard

from engine.base.errors import AgentrError, InputError, TraceError, WorkFailed

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""What such files begin with."""

_BUFFER = 1 << 17  # bytes
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def unusable(path: str | os.PathLike[str], error: OSError) -> AgentrError:
    """The error for a file that can't be written: `WorkFailed` where room ran out, else `InputError`."""
    why = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return WorkFailed(f"{path}: {why}: make room and go on from there")
    return InputError(f"{path}: {why}: choose another place or fix its permissions")


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


@contextmanager
def open_unpacked(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """A file's bytes, unpacked where it begins like gzip or zstandard; unfinished zstandard frames just end.

    Raises `InputError` for a pipe or a device, which might never end.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(f"{path}: is not a regular file: name one")
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        if start.startswith(GZIP):
            with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
                yield io.BufferedReader(unpacked, _BUFFER)
        elif start == ZSTD:
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
            yield io.BufferedReader(stream, _BUFFER)
        else:
            yield file
