"""SIGINT and SIGTERM to a command: what it began is put away, and none is lost."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN = 0.02
"""Seconds after which an interrupt that was dropped comes again."""

PATIENCE = 10.0
"""Seconds that threads have to end after their command has: later the process exits. An environment of another package
may be in the middle of a step that takes an hour."""

LAST_PATIENCE = 2.0
"""Seconds after `PATIENCE` in which the process has to end by itself."""


@contextmanager
def heard() -> Iterator[None]:
    """Within it, an interrupt raises `KeyboardInterrupt` in the main thread; afterwards it ends the process without a
    word."""
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised where nobody can catch it (in `__del__`, in the callback of a weak reference:
        each import has one) and goes on. An interrupt comes again then."""
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        later = threading.Timer(AGAIN, _thread.interrupt_main)
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = before


def end_soon(code: int) -> None:
    """The process exits within `PATIENCE`, whatever its threads do; `LAST_PATIENCE` later a signal ends it, also where
    no thread gets to run any more (a library that hangs while the interpreter is taken down). `code`: its exit code."""

    def end() -> None:
        time.sleep(PATIENCE)
        os._exit(code)

    threading.Thread(target=end, name="end", daemon=True).start()
    if hasattr(signal, "setitimer"):  # not on every system
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE + LAST_PATIENCE)
