"""The command line."""

from agentr_tui.cli.main import main

__all__ = ["main"]
