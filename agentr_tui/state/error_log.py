"""Defects of our own that the app or a worker of it ran into: a line for the screen, where it happened for a file."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from engine.base.errors import AgentrError
from engine.base.untrusted_files import open_to_append

FILE = "errors.log"


def error_line(folder: Path, error: Exception) -> str:
    """Returns one line that says what went wrong. For an unexpected error, the place is appended to the folder's
    `errors.log`, without the error's own words: they may quote anything, even a key."""
    if isinstance(error, AgentrError):
        return str(error)
    line = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    try:
        with open_to_append(folder / FILE) as stream:
            stream.write(_places(error).encode("utf-8", "replace"))
    except (AgentrError, OSError):
        return line
    return f"{line}; {folder / FILE} says where"


def log_stacks(folder: Path, what: str) -> None:
    """Append to the folder's `errors.log` where each thread is. Never raises.

    `what`: what is wrong, in words.
    """
    told = [f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{what}\n"]
    for frame in sys._current_frames().values():
        told += ["a thread\n", *traceback.format_stack(frame)]
    try:
        with open_to_append(folder / FILE) as stream:
            stream.write("".join(told).encode("utf-8", "replace"))
    except (AgentrError, OSError):
        return


def _places(error: BaseException) -> str:
    """The type of an error and where it was raised, its causes first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = _places(cause) if cause is not None else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n"
    return f"{before}{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"
