"""Handles signals and a closed terminal: stops the search cleanly, saves the session, ends the process anyway."""

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

from agentr_tui.state.error_log import log_stacks
from agentr_tui.terminal.own_output import attributes_of, drop_terminal, give_back

if TYPE_CHECKING:
    from agentr_tui.app.app import AgentrApp

INTERRUPTED = 130
LOG_VARIABLE = "AGENTR_SERVE_LOG"
"""Environment variable with the log file for standard error of an app in a browser."""

PATIENCE = 5.0
"""Seconds in which the app has to end, after its search has: later the process exits, whatever it does."""

SEARCH_PATIENCE = 30.0
"""Seconds in which a search has to end."""

LOOK_EVERY = 0.05
"""Seconds between two looks at whether the app has ended."""

CLOSED, ASKED, OVER = b"c", b"a", b"o"
"""What the watching thread is told: the terminal was closed, the app is to end, the app has ended."""


@contextmanager
def ends_cleanly(app: AgentrApp) -> Iterator[None]:
    """On SIGINT, SIGTERM, SIGHUP or a closed terminal: stops the search cleanly, saves the last place and exits with
    code 130.

    If the app does not end then (its terminal takes nothing, something blocks its loop), the process exits after
    `PATIENCE`, and the workspace's `errors.log` says where it was.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    watch = _Watch(app, heard)

    def told(number: int, frame: FrameType | None) -> None:
        """The handler. It takes no lock: it may have interrupted whoever holds it, itself too."""
        app.leave_soon(INTERRUPTED)
        closed = number == getattr(signal, "SIGHUP", None)
        if closed:
            watch.terminal_is_closed()
        with suppress(OSError):  # it was told often enough
            os.write(tell, CLOSED if closed else ASKED)

    before = {}
    watch.start()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with suppress(AttributeError):  # not on every system
            number = getattr(signal, name)
            before[number] = signal.signal(number, told)
    try:
        yield
    finally:
        if watch.closed:
            drop_terminal()  # again: what was redirected while the app ran was given back
        for number, handler in before.items():
            signal.signal(number, handler)
        watch.over = True
        os.write(tell, OVER)
        watch.join()
        os.close(heard)
        os.close(tell)


class _Watch(threading.Thread):
    """Waits until something asks the app to end, and sees that it does."""

    def __init__(self, app: AgentrApp, heard: int) -> None:
        """`heard`: file descriptor that can be read once there is something to see to."""
        super().__init__(name="leaving", daemon=True)
        self._app, self._heard = app, heard
        self._terminal = sys.stdin.fileno() if sys.stdin.isatty() and hasattr(select, "poll") else None
        self._attributes = attributes_of(self._terminal)
        self.closed = False  # the terminal is
        self.over = False  # the app has ended

    def terminal_is_closed(self) -> None:
        """Reads nothing from the terminal and writes nothing to it any more.

        Writes to a closed terminal fail, and the screen would block on them for ever; reads return at once, again and
        again.
        """
        self.closed = True
        drop_terminal()

    def run(self) -> None:
        """See to it."""
        if self._is_closed():  # one that is not the controlling terminal sends no SIGHUP
            self.terminal_is_closed()
        if self.over:
            return
        app = self._app
        app.leave_soon(INTERRUPTED)
        live = app.session.live
        if live is not None and live.control.stop_reason is None:
            live.control.stop("stopped")  # also where the app is blocked
        began = time.monotonic()
        end = began + PATIENCE
        while not self.over:
            time.sleep(LOOK_EVERY)
            now = time.monotonic()
            if app.session.running and now < began + SEARCH_PATIENCE:
                end = now + PATIENCE
            elif now > end:
                self._end_at_once()

    def _is_closed(self) -> bool:
        """Waits until there is something to see to; returns whether it is that the terminal was closed."""
        if self._terminal is None:
            os.read(self._heard, 1)
            return False
        poll = select.poll()
        poll.register(self._heard, select.POLLIN)
        poll.register(self._terminal, 0)  # only what is reported unasked
        return any(fd == self._terminal for fd, _ in poll.poll())

    def _end_at_once(self) -> None:
        """Exits. Events and decisions are in their files; where the person was is saved."""
        app = self._app
        log_stacks(app.session.workspace.path, "the app did not end when it was asked to")
        try:
            if app.is_running:
                app.remember()
        finally:
            if self._terminal is not None and not self.closed:
                give_back(self._terminal, self._attributes)
            os._exit(INTERRUPTED)
