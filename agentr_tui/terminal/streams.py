"""What whoever started this program gave it: standard input, output and error, which may be closed or full, and the
size of the terminal."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TextIO

from agentr_tui.terminal.own_output import own_output, to_nowhere


def fill_in() -> None:
    """Put the null device in the place of each that was closed: else the next file that is opened takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


LEAST, MOST = 8, 10_000
"""Columns, or lines, of a terminal."""

NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What a write may fail with; our own files name themselves."""


def drop_odd_sizes() -> None:
    """Forget a size of the terminal in the environment that no terminal has (`COLUMNS=0`): help would be wrapped
    without an end."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name)
        if size is not None and not (size.isascii() and size.isdecimal() and LEAST <= int(size[:9]) <= MOST):
            del os.environ[name]


def failed(error: OSError | None = None) -> str:
    """A line for each of output and error that can't be written any more, which is given up; "" where both can.

    error: what a write raised that named no file: without a buffer it leaves no trace.
    """
    told = []
    for name, stream in (("standard output", own_output()), ("standard error", sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:  # the reader has had enough
            give_up(stream)
        except OSError as full:
            give_up(stream)
            told.append(_line(name, full))
    if not told and error is not None and error.errno in NOT_WRITTEN:
        told.append(_line("standard output", error))
    return "; ".join(told)


def _line(name: str, error: OSError) -> str:
    return f"{name}: {error.strerror}: what it got is not whole"


def give_up(stream: TextIO) -> None:
    """Drop what is written to it from now on, and what waits in its buffer: Python would try again at its end."""
    with suppress(OSError, ValueError):
        to_nowhere(stream.fileno())
