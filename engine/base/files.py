"""Small things about files and times that several modules need."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from engine.base.errors import unusable, unwritten
from engine.base.untrusted_files import place_and_part

CLOCK_SKEW = timedelta(minutes=1)
"""Clocks of two machines may differ by so much without a word."""


def stamp(time: datetime) -> str:
    """A time as ISO 8601 in UTC with microseconds: sorts as text."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def in_future(time: str) -> bool:
    """Whether a time as `stamp` returns it is later than this machine's clock by more than clocks usually differ."""
    if time <= (limit := stamp(datetime.now(UTC) + CLOCK_SKEW)):
        return False
    try:
        told = datetime.fromisoformat(time)
        return stamp(told if told.tzinfo else told.replace(tzinfo=UTC)) > limit
    except (ValueError, OverflowError):  # no time at all, or one past the last year that there is
        return False


def write_beside(out: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under another name in the same folder, then move it into place: a reader sees all of it or none.

    Raises `InputError` where the folder can't be made or written, `WorkFailed` (a full disk), and any error of `write`.
    """
    place, part = place_and_part(out)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        stream = part.open("xb")
    except OSError as error:
        raise unusable(out, error) from error
    try:
        with stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, place)
    except OSError as error:
        raise unwritten(out, error) from error
    finally:
        with suppress(OSError):  # the disk is gone altogether
            part.unlink()
