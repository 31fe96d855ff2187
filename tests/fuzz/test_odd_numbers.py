"""Every place that may hold a number × every odd number: one line that says no, or a value that can be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.base.untrusted_files import UNREADABLE
from engine.collect.manifest import Ended
from engine.explain.series import histogram
from engine.recovery.continuation_store import Arm, ContinuedStep
from engine.review.agreement import Planted
from engine.review.decisions import Decision
from engine.samples.sample import Sample
from engine.search.control_file import Command
from engine.tree.events import AnyEvent
from engine.workspace.workspace import RunEnd, RunHeader
from tests.fuzz.odd_numbers import ODD, TYPES, least_of, lines_with_odd_numbers, with_numbers
from tests.fuzz.readers import read, seeds

PLACES = {"event of a trace": 100, "sample": 30, "head of a run": 30, "report of an export": 45}
"""Places that there are at least: fewer, and the test no longer finds them."""


@pytest.mark.parametrize("name", TYPES)
def test_an_odd_number_is_refused_or_kept_as_it_is(name: str) -> None:
    decoder, places = msgspec.json.Decoder(TYPES[name]), 0
    for value in least_of(TYPES[name]):
        for place, made in with_numbers(value, TYPES[name]):
            places += 1
            for odd, data in zip(ODD, made, strict=True):
                try:
                    found = decoder.decode(data)
                except UNREADABLE:
                    continue
                assert decoder.decode(msgspec.json.encode(found)) == found, (place, odd[:40])
    assert places >= PLACES.get(name, 0)


LINES: dict[str, Any] = {
    "trace": AnyEvent,
    "followed": AnyEvent,
    "decisions": Decision,
    "planted": Planted,
    "control": Command,
    "recoveries": Arm | ContinuedStep,
    "collection-log": Ended,
    "run": RunHeader | RunEnd,
    "run ": Sample,
}


@pytest.mark.parametrize("reader", LINES)
def test_a_reader_gives_a_result_or_one_line_for_an_odd_number(reader: str, tmp_path: Path) -> None:
    seen: set[str] = set()
    for data in seeds(reader.strip()):
        for number, (place, made) in enumerate(lines_with_odd_numbers(data, LINES[reader])):
            if place not in seen:
                seen.add(place)
                read(reader.strip(), made, tmp_path / f"{len(seen)}-{number}")
    assert len(seen) > 3


def test_returns_beyond_all_bounds_lie_in_the_outer_bars() -> None:
    assert histogram([1e308, -1e308, 0.0, 0.5, 1.0, -0.0], -1e308, 1e308, 4) == [1, 0, 4, 1]
    assert histogram([1e308, -1e308, 0.4], 0.0, 1.0, 2) == [2, 1]
