"""Sums of figures of which some are unknown: None is unknown, and never counts as 0."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

N = TypeVar("N", int, float)


def plus(total: N | None, more: N | None) -> N | None:
    """The sum of two figures; where one is unknown the other, None where both are."""
    if more is None:
        return total
    return more if total is None else total + more


def known_sum(values: Iterable[N | None]) -> N | None:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None
