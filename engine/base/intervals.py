"""Bootstrap intervals of figures over tasks: percentile bootstrap (Efron 1979), with a fixed seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TypeVar

from msgspec import Struct

RESAMPLES = 2000

T = TypeVar("T")


def three_digits(value: float) -> str:
    """A number as people read it: three digits, and whole above a hundred (`0.123`, `12.3`, `6,980`)."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 100 else f"{value:.3g}"


class Interval(Struct, frozen=True):
    """A figure and its 95 % interval. Of one task alone nothing is known about the spread: low and high are None."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        shown = three_digits(self.value)
        if self.low is None or self.high is None:
            return shown
        return f"{shown} [{three_digits(self.low)}, {three_digits(self.high)}]"


def bootstrap(
    rows: Sequence[T], figure: Callable[[Sequence[T]], float | None], seed: int = 0, resamples: int = RESAMPLES
) -> Interval | None:
    """Returns the figure of `rows` with its 95 % interval; None where the figure is unknown.

    Tasks are drawn with replacement. A draw for which `figure` returns None (nothing to divide by) is left out. With
    fewer than two rows there is no interval.

    `rows`: one a task. `figure`: computes the figure from rows. `seed`: of the drawing. `resamples`: how often to draw.
    """
    value = figure(rows)
    if value is None:
        return None
    if len(rows) < 2:
        return Interval(value, None, None)
    rng = random.Random(seed)
    drawn = (figure(rng.choices(rows, k=len(rows))) for _ in range(resamples))
    found = sorted(each for each in drawn if each is not None)
    if not found:
        return Interval(value, None, None)
    return Interval(value, found[int(0.025 * (len(found) - 1))], found[round(0.975 * (len(found) - 1))])


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval | None:
    """The mean of some values with its interval; None where there is none."""
    return bootstrap(values, fmean, seed) if values else None
