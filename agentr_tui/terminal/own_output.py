"""Standard output belongs to this program: what environments and their libraries print goes elsewhere.

A `print` of an environment, a library in C that writes to file descriptor 1, or a process that either of them starts
would stand between the lines of `--json`, or be drawn over the app.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from agentr_tui.terminal.glyphs import ERRORS

_own: TextIO | None = None


def own_output() -> TextIO:
    """The stream of this program's own output."""
    return sys.stdout if _own is None else _own


def claim_stdout() -> None:
    """Keep standard output for `own_output`; whatever else is printed goes to standard error from now on. For the
    start of a program: nothing takes it back."""
    global _own
    if not isinstance(sys.stdout, io.TextIOWrapper):  # closed before we began
        return
    sys.stdout.flush()
    _own = copy_of(1, sys.stdout, lasts=True)
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        to_nowhere(1)
    sys.stdout = copy_of(1, sys.stdout, lasts=True)  # another one: it holds that the old file can be sought in
    sys.stdout.reconfigure(line_buffering=True)
    sys.__stdout__ = _own  # type: ignore[misc]  # Textual draws a screen for a browser on it


@contextmanager
def output_to(stream: TextIO) -> Iterator[None]:
    """Within it, this program's own output goes to another stream."""
    global _own
    before, _own = _own, stream
    try:
        yield
    finally:
        _own = before


def drop_terminal() -> None:
    """Write nothing to the terminal any more, and read nothing from it: it was closed. Never raises: signals call it at
    any moment, also where no file can be opened any more."""
    for stream in (sys.__stdout__, sys.__stderr__):
        with suppress(OSError, ValueError, AttributeError):
            to_nowhere(stream.fileno())  # type: ignore[union-attr]
    for fd in (1, 2):
        with suppress(OSError):
            to_nowhere(fd)
    with suppress(OSError):
        silent, _keeps_it_open = os.pipe()  # a closed one is always ready, with nothing: a reader would go in circles
        os.dup2(silent, 0)


RESET = (
    "\x1b[<u\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?1049l\x1b[?25h"
)
"""Takes back what an app asks of a terminal: its own keys, the mouse, pastes, focus, sizes, the other screen."""


def attributes_of(fd: int | None) -> list[Any] | None:
    """How a terminal is set; None for none."""
    with suppress(ImportError, OSError, ValueError):
        import termios

        with suppress(termios.error):
            return None if fd is None else termios.tcgetattr(fd)
    return None


def give_back(fd: int, attributes: list[Any] | None) -> None:
    """Set a terminal as it was, for a program that ends at once: what the terminal does not take now it never gets."""
    if attributes is not None:
        import termios

        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
    with suppress(OSError):
        os.set_blocking(fd, False)
        try:
            os.write(fd, RESET.encode())
        finally:
            os.set_blocking(fd, True)  # whoever shares it expects that


def copy_of(fd: int, like: io.TextIOWrapper, *, lasts: bool = False) -> io.TextIOWrapper:
    """Returns a stream to what a file descriptor is open on now.

    `fd`: the file descriptor. `like`: a stream of the same encoding and buffering. `lasts`: whether it is open until
    the program ends, which is then no reason for a warning.
    """
    return io.TextIOWrapper(
        os.fdopen(os.dup(fd), "wb", closefd=not lasts),
        like.encoding,
        ERRORS,  # a locale that lacks a letter is no reason to fail
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )


def to_nowhere(fd: int) -> None:
    """Drop what is written to a file descriptor from now on. Raises `OSError` where it is none."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
