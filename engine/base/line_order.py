"""The order of the lines of an append-only log that several people write, with clocks that may be wrong.

A hybrid logical clock (Kulkarni et al. 2014): a line's place is its time, unless its writer knew of a line that claims
to be as late or later; then it is the place of that line and one more. So a line comes after every line that its
writer knew of, also where one of them was written under a clock that runs ahead. Lines without `after` and `count`,
as older versions wrote them, have their time as their place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta

from engine.base.errors import InputError
from engine.base.files import stamp

MAX_COUNT = 2**53
"""The greatest integer that every reader of JSON keeps exactly."""

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class OrderedLine(Protocol):
    """A line that has a place in the order."""

    @property
    def time(self) -> str:
        """When it was written by its writer's clock: ISO 8601, UTC, microseconds."""
        ...

    @property
    def after(self) -> str:
        """The time of the latest line that its writer knew of, where its own time is not later; else empty."""
        ...

    @property
    def count(self) -> int:
        """Its number among the lines that have the same `after`."""
        ...


class Order(NamedTuple):
    """A place in the order; places compare as tuples do."""

    base: str  # a time, as `engine.base.files.stamp` gives it
    number: int
    time: str = ""  # when the line was written, by its writer's clock

    @property
    def after(self) -> str:
        """Returns the `after` of the line; empty where its place is its own time."""
        return "" if self.base == self.time else self.base


FIRST = Order("", 0)


def order_of(line: OrderedLine) -> Order:
    """The place of a line."""
    return Order(line.after or line.time, line.count, line.time)


def next_orders(last: Order, number: int, where: Path) -> list[Order]:
    """Returns the places of new lines, in order. Raises `InputError` that names `where`.

    `last`: the place of the last known line. `number`: how many new lines. `where`: the log file.
    """
    now = stamp(datetime.now(UTC))
    base, first = (now, 0) if now > last.base else (last.base, last.number + 1)
    if first + number > MAX_COUNT:
        raise InputError(f"{where}: a line has the `count` {last.number}, which none can follow: remove that line")
    return [Order(base, count, now) for count in range(first, first + number)]
