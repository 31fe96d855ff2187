"""Files that anybody may have put there: regular ones, of a bounded size.

A device never ends, and whoever opens a pipe waits for somebody to write into it. `engine.base.untrusted_files` says
the same in the engine's errors.
"""

from __future__ import annotations

import gzip
import io
import os
import stat

from envs.errors import EnvError

MAX_BYTES = 128 << 20
"""Bytes of a file that is read whole, packed and unpacked; also of a line."""

_GZIP = b"\x1f\x8b"
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A regular file, open for reading. A pipe that nobody writes into is refused at once, too.

    Raises `EnvError` where it is a folder, a pipe, a device or a socket, or no name that a file can have; `OSError`.
    """
    try:
        about = os.stat(path)
        if stat.S_ISDIR(about.st_mode):
            os.scandir(path).close()  # where it can't be looked into, that is what is wrong
        if not stat.S_ISREG(about.st_mode):  # before it is opened: to open some devices does something
            raise EnvError(not_regular(path, about.st_mode))
        file = os.fdopen(os.open(path, _FLAGS), "rb")
    except ValueError as error:  # a zero byte, half a surrogate pair
        raise EnvError(f"{os.fspath(path)!a}: no name of a file ({error})") from error
    if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):  # replaced in between
        file.close()
        raise EnvError(not_regular(path, mode))
    return file


def not_regular(path: str | os.PathLike[str], mode: int) -> str:
    """The line about what is there and is no regular file."""
    what = "is a directory: name a file" if stat.S_ISDIR(mode) else "is not a regular file: name one"
    return f"{os.fspath(path)}: {what}"


def read_whole(path: str | os.PathLike[str], most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file, unpacked where it is gzip'd.

    Raises `EnvError` where it is no regular file or larger than `most` bytes, and what reading and unpacking raise:
    `OSError`, `EOFError`, `zlib.error`.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) <= most and data[:2] == _GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            data = unpacked.read(most + 1)
    if len(data) > most:
        size = f"{most >> 20} MB" if most >= 1 << 20 else f"{most >> 10} KB" if most >= 1 << 10 else f"{most} bytes"
        raise EnvError(f"{os.fspath(path)}: holds more than {size}, which no such file does: name another file")
    return data


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raises `EnvError` for what is there and is no regular file."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # the error comes when it is opened
        return
    if not stat.S_ISREG(mode):
        raise EnvError(not_regular(path, mode))
