"""What whoever started this program gave it: standard input, output and error, which may be closed or full, and the
size of the terminal."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


LEGIBLE = 40
"""Columns for which help is laid out in a terminal that has fewer: below three the library wraps it without an end."""


@contextmanager
def legible_help() -> Iterator[None]:
    """Within it, help is laid out for `LEGIBLE` columns at least; a narrower terminal wraps the lines itself."""
    before = os.environ.get("COLUMNS")
    if _columns() < LEGIBLE:
        os.environ["COLUMNS"] = str(LEGIBLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = before


def _columns() -> int:
    """Returns the columns that help would be laid out for: as the library finds them, which asks each stream."""
    if told := os.environ.get("COLUMNS"):
        return int(told)  # odd ones were dropped
    for fd in (0, 1, 2):
        with suppress(OSError):
            return os.get_terminal_size(fd).columns or LEGIBLE
    return LEGIBLE


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
