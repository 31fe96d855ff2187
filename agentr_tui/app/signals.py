"""Handles signals and a closed terminal: stops the search cleanly and saves the session."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from agentr_tui.terminal.own_output import drop_terminal

if TYPE_CHECKING:
    from agentr_tui.app.app import AgentrApp

INTERRUPTED = 130
LOG_VARIABLE = "AGENTR_SERVE_LOG"
"""Environment variable with the log file for standard error of an app in a browser."""

PATIENCE = 5.0
"""Seconds after which a process whose terminal was closed exits, even if a write to it still blocks."""


@contextmanager
def ends_cleanly(app: AgentrApp) -> Iterator[None]:
    """On SIGINT, SIGTERM, SIGHUP or a closed terminal: stops the search cleanly, saves the last place and exits with
    code 130."""
    closed = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        """The handler: stops the search, and leaves; after a closed terminal nothing is written to it any more."""
        if number != getattr(signal, "SIGHUP", None):
            app.leave_soon(INTERRUPTED)
            return
        closed.set()
        leave_closed_terminal(app)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with suppress(AttributeError):  # not on every system
            number = getattr(signal, name)
            before[number] = signal.signal(number, told)
    if sys.stdin.isatty() and hasattr(select, "poll"):
        threading.Thread(target=_watch_terminal, args=(app, sys.stdin.fileno(), closed), daemon=True).start()
    try:
        yield
    finally:
        if closed.is_set():
            drop_terminal()  # again: what was redirected while the app ran was given back
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_closed_terminal(app: AgentrApp) -> None:
    """Stops the search and leaves the app; nothing is read from the terminal or written to it any more.

    Writes to a closed terminal fail, and the screen would block on them for ever; reads return at once, again and
    again.
    """
    drop_terminal()
    live = app.session.live
    if live is not None:
        live.control.stop("stopped")
    threading.Thread(target=_end_anyway, args=(app,), daemon=True).start()
    app.leave_soon(INTERRUPTED)


def _watch_terminal(app: AgentrApp, fd: int, closed: threading.Event) -> None:
    """Waits until the terminal is closed: one that is not the controlling terminal sends no SIGHUP."""
    poll = select.poll()
    poll.register(fd, 0)  # only what is reported unasked
    events = poll.poll()
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in events):
        closed.set()
        leave_closed_terminal(app)


def _end_anyway(app: AgentrApp) -> None:
    """Exits the process after the search has stopped and the session is saved."""
    end = time.monotonic() + PATIENCE
    while (app.session.running or app.is_running) and time.monotonic() < end:
        time.sleep(0.05)
    while app.session.running:  # write a paid answer first
        time.sleep(0.05)
    time.sleep(0.5)
    try:
        if app.is_running:  # it still blocks on the terminal, so it has not saved yet
            app.remember()
    finally:
        os._exit(INTERRUPTED)
