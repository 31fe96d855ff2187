"""The record of a round may have been written by anybody."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rounds.record import COLUMNS, Round, Stage, cells_of, row_of


@pytest.mark.parametrize("odd", ["x", [-1], {}, True, 0.5, {"value": "x", "low": 0, "high": 1}, {"value": 1}])
def test_figures_of_another_kind_are_not_known_and_end_no_table(odd: Any) -> None:
    figures = {"calls": odd, "lessons": odd, "samples": odd, "lines": odd, "scores": {"score": odd, "success": odd},
               "difference": {"score": odd}}  # fmt: skip
    stages = [
        Stage(name=name, command=[name], began="2026-01-01T00:00:00Z", seconds=1.0, figures=figures)
        for name in ("collect", "revise", "export", "eval")
    ]
    cells = cells_of(row_of(Round(round=1, model="m", stages=stages)))
    assert cells == ["1", "m", *["–"] * 7, "4 s"]
    assert len(cells) == len(COLUMNS)


def test_an_interval_of_one_task_has_a_value_alone() -> None:
    figures = {"calls": 1200, "scores": {"score": {"value": 1, "low": None, "high": None}}}
    stages = [
        Stage(name=name, command=[name], began="2026-01-01T00:00:00Z", seconds=1.0, figures=figures)
        for name in ("collect", "eval")
    ]
    row = row_of(Round(round=1, model="m", stages=stages))
    assert (row.calls, row.score) == (1200, {"value": 1, "low": None, "high": None})
    assert cells_of(row)[2] == "1,200"
