"""Clocks that jump and times that nobody's clock shows: files of them are read, and nothing ends for them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import engine.workspace.workspace as workspace_module
from agentr_tui.screens.dataset.past_exports import COLUMNS, PastExport, decided_since, export_cells
from engine.base.files import in_future, stamp
from engine.datasets.options import Exported
from engine.review.decisions import Decided, Decisions
from engine.samples.settings import ReviseSettings
from engine.workspace.workspace import Workspace

EXPORTED = Exported(
    out="o.jsonl",
    lines=1,
    dropped={},
    which="all",
    run="r",
    format="agent-r",
    data_type="centric",
    card="",
    provenance="",
)
ODD = ("", "0", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0001-01-01", "2026-13-45", "é", "\x00")


@pytest.mark.parametrize("time", ODD)
def test_a_time_that_is_none_is_not_in_the_future_and_after_no_export(time: str) -> None:
    assert in_future(time) is False
    export = PastExport("o.jsonl", 1e9, EXPORTED)
    assert decided_since(export, {"a": Decided(sample="a", verdict="accepted", time=time)}) in (0, 1)


@pytest.mark.parametrize("when", [-1e18, -62135596800.0, 0.0, 2.0**40, 1e18, float(2**63)])
def test_an_export_whose_file_is_of_no_year_is_listed(when: float) -> None:
    export = PastExport("o.jsonl", when, EXPORTED)
    assert len(export_cells(export, {}, 1e9)) == len(COLUMNS)


class Jumping(datetime):
    """A clock that goes back an hour whenever it is looked at."""

    hours = 20

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        cls.hours -= 1
        return datetime(2026, 11, 28, cls.hours, tzinfo=UTC)


def test_a_clock_that_goes_back_takes_no_decision_and_no_run_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.base.line_order.datetime", Jumping)
    monkeypatch.setattr(workspace_module, "datetime", Jumping)
    place = Workspace.open(tmp_path / "w", create=True)
    decisions = Decisions(place.decisions, "me")
    for verdict in ("accepted", "rejected", "skipped"):
        decisions.decide("s", verdict)
    assert Decisions(place.decisions, "me").current()["s"].verdict == "skipped"
    made = []
    for _ in range(3):
        with place.new_run(ReviseSettings(), []) as run:
            made.append(run.id)
    assert [info.id for info in place.runs()] == made[::-1], "the newest first"
    (place.runs_folder / "99991231-235959-999999aa.jsonl").write_bytes(b"")
    with place.new_run(ReviseSettings(), []) as run:
        assert run.id
    assert stamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
