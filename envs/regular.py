"""Files that are read whole: regular ones, of a bounded size.

A device never ends, and whoever opens a pipe waits for somebody to write into it.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
from pathlib import Path

from envs.base import EnvError

MAX_BYTES = 128 << 20
"""Bytes of such a file, packed and unpacked."""

_GZIP = b"\x1f\x8b"


def read_whole(path: str | os.PathLike[str], most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file, unpacked where it is gzip'd.

    Raises `EnvError` where it is no regular file or larger than `most` bytes, and what reading and unpacking raise:
    `OSError`, `EOFError`, `zlib.error`.
    """
    # A pipe that nobody writes into is opened at once, too.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise EnvError(f"{path}: is not a regular file: name one")
        data = file.read(most + 1)
    if len(data) <= most and data[:2] == _GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            data = unpacked.read(most + 1)
    if len(data) > most:
        raise EnvError(f"{path}: holds more than {most >> 20} MB, which no recording does: name another file")
    return data


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raises `EnvError` for what is there and is no regular file."""
    place = Path(path)
    if place.exists() and not place.is_file():
        raise EnvError(f"{path}: is not a regular file: name one")
