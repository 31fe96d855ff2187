"""Small things about files and times that several modules need."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from engine.base.errors import InputError, unusable, unwritten
from engine.base.untrusted_files import open_given, place_and_part

CLOCK_SKEW = timedelta(minutes=1)
"""Clocks of two machines may differ by so much without a word."""

LAST_BYTES = 1 << 16
"""Of a log, from which its last lines are taken."""


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


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log, at most `LAST_BYTES` of it; none where it can't be read."""
    with suppress(OSError, InputError):
        with open_given(log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LAST_BYTES))
            lines = file.read(LAST_BYTES).decode("utf-8", "replace").strip().splitlines()
        return [line.strip() for line in lines[-count:] if line.strip()]
    return []


def write_beside(out: Path, write: Callable[[BinaryIO], object], *, follow: bool = False) -> None:
    """Write a file under another name in the same folder, then move it into place: a reader sees all of it or none.

    Raises `InputError` where the folder can't be made or written, `WorkFailed` (a full disk), and any error of `write`.

    `out`: the file. `write`: writes its content. `follow`: whether a link there is followed; True for a name that a
    person gave.
    """
    place, part = place_and_part(out, follow=follow)
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
