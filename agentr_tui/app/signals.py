"""Handles signals and a closed terminal: stops the search cleanly and saves the session."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentr_tui.app.app import AgentrApp

INTERRUPTED = 130
LOG_VARIABLE = "AGENTR_SERVE_LOG"
"""Environment variable with the log file for standard error of an app in a browser."""

PATIENCE = 5.0
"""Seconds after which a process whose terminal was closed exits, even if a write to it still blocks."""


@contextmanager
def ends_cleanly(app: AgentrApp) -> Iterator[None]:
    """On SIGINT, SIGTERM or SIGHUP: stops the search cleanly, saves the last place and exits with code 130."""

    def told(number: int, frame: FrameType | None) -> None:
        """The handler: stops the search, and leaves; after a closed terminal nothing is written to it any more."""
        if number != getattr(signal, "SIGHUP", None):
            app.leave_soon(INTERRUPTED)
            return
        # Writes to a closed terminal fail, and the screen would block on them for ever.
        null = os.open(os.devnull, os.O_WRONLY)
        for fd in (1, 2):
            os.dup2(null, fd)
        live = app.session.live
        if live is not None:
            live.control.stop("stopped")
        threading.Thread(target=_end_anyway, args=(app,), daemon=True).start()
        app.leave_soon(INTERRUPTED)

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with suppress(AttributeError):  # not on every system
            number = getattr(signal, name)
            before[number] = signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
