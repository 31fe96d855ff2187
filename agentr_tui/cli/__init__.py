"""The command line."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run `agentr`. While its modules are loaded ctrl+c ends it without a word: nothing was begun yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agentr_tui.cli.interrupts import end_soon
    from agentr_tui.cli.main import main as run_program

    try:
        run_program()
    except SystemExit as ended:
        end_soon(ended.code if isinstance(ended.code, int) else 1)
        raise
