"""How the app ends when it is told to from outside: a signal, a terminal that was closed. No work is lost."""

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
"""Names the file that takes what the app of a browser says on standard error."""

PATIENCE = 5.0
"""Seconds after which a process without a terminal ends, whatever still waits for the terminal."""


@contextmanager
def ends_cleanly(app: AgentrApp) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP stop the search cleanly, keep the place and end the app with 130."""

    def told(number: int, frame: FrameType | None) -> None:
        if number != getattr(signal, "SIGHUP", None):
            app.leave_soon(INTERRUPTED)
            return
        # What is written to a terminal that is gone fails, and the screen would wait for it for ever.
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
    """End the process once the search is over and what can be kept is kept."""
    end = time.monotonic() + PATIENCE
    while (app.session.running or app.is_running) and time.monotonic() < end:
        time.sleep(0.05)
    while app.session.running:  # an answer that was paid for is written first
        time.sleep(0.05)
    time.sleep(0.5)
    if app.is_running:  # it waits for the terminal still, and did not come to this
        app.remember()
    os._exit(INTERRUPTED)
