"""Bootstrap intervals."""

from __future__ import annotations

import math
import random
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from engine.base.intervals import Interval, bootstrap, mean_interval, three_digits


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    rng = random.Random(1)
    values = [rng.gauss(5, 2) for _ in range(400)]
    found = mean_interval(values)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert abs((found.high - found.low) - 2 * 1.96 * 2 / math.sqrt(400)) < 0.05
    assert found.low < found.value < found.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
def test_an_interval_lies_between_the_least_and_the_greatest_and_is_the_same_again(values: list[float]) -> None:
    found = bootstrap(values, fmean, resamples=50)
    assert found == bootstrap(values, fmean, resamples=50)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    slack = 1e-6
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack


def test_what_is_unknown_has_no_interval() -> None:
    assert mean_interval([]) is None
    one = mean_interval([3.0])
    assert one is not None
    assert (one.value, one.low, one.high, str(one)) == (3.0, None, None, "3")
    assert bootstrap([0, 0], lambda rows: None) is None
    some = bootstrap([0, 2], lambda rows: 1 / sum(rows) if sum(rows) else None)
    assert some is not None
    assert (some.value, some.low, some.high) == (0.5, 0.25, 0.5)


def test_a_figure_is_written_as_people_read_it() -> None:
    written = {
        0.0: "0",
        0.12345: "0.123",
        12.345: "12.3",
        99.96: "100",
        100.4: "100",
        6978.2: "6,980",
        -1234.0: "-1,230",
    }
    assert {value: three_digits(value) for value in written} == written
    assert str(Interval(1234.5, 0.5, 20000.0)) == "1,230 [0.5, 20,000]"
