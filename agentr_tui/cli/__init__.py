"""The command line."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Run `agentr`. While its modules are loaded ctrl+c ends it without a word: nothing was begun yet."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agentr_tui.cli.main import main as run_program

    signal.signal(signal.SIGINT, before)
    run_program()
