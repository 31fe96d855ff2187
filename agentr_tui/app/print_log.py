"""What environments and libraries print while the app runs: into a log, not over the screen."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any, cast

from textual.app import App
from textual.events import Print
from textual.message import Message

from agentr_tui.terminal.own_output import copy_of


class Printed:
    """Writes what Python's `print` prints while an app of Textual's runs to a file descriptor: the app tells it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def post_message(self, message: Message) -> bool:
        """The app captured a text."""
        if isinstance(message, Print):
            with suppress(OSError):
                os.write(self._fd, message.text.encode(errors="replace"))
        return True


def log_prints(app: App[Any], fd: int) -> Printed:
    """Write what is printed while the app runs to a file descriptor, as long as the object that is returned lives."""
    printed = Printed(fd)
    app.begin_capture_print(cast(Any, printed))
    return printed


@contextmanager
def kept_off_screen(app: App[Any]) -> Iterator[list[str]]:
    """While an app draws on the terminal, what anything else prints goes to a temporary file. Afterwards the list holds
    a line that says where it is, unless it is empty.

    The app draws on `sys.__stderr__`, which goes on to be the terminal; file descriptors 1 and 2 are the log's.
    """
    before = sys.__stderr__
    if not isinstance(before, io.TextIOWrapper):
        yield []
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    told: list[str] = []
    try:
        log, path = tempfile.mkstemp(prefix="agentr-printed-", suffix=".log")
    except OSError:  # no room for it
        log, path = os.open(os.devnull, os.O_WRONLY), ""
    printed = log_prints(app, log)
    terminal = copy_of(2, before)
    kept = [(fd, os.dup(fd)) for fd in (1, 2)]
    for fd, _ in kept:
        os.dup2(log, fd)
    sys.__stderr__ = terminal  # type: ignore[misc]
    try:
        with redirect_stderr(terminal):
            yield told
    finally:
        sys.__stderr__ = before  # type: ignore[misc]
        for fd, kept_fd in kept:
            os.dup2(kept_fd, fd)
            os.close(kept_fd)
        with suppress(OSError):
            terminal.close()
        app.end_capture_print(cast(Any, printed))
        if size := os.fstat(log).st_size:
            told.append(f"environments or libraries printed {size} bytes meanwhile: {path}")
        elif path:
            os.unlink(path)
        os.close(log)
