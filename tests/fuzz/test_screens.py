"""A trace that a reader took is opened on every screen, whatever was changed in it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from agentr_tui.app.app import AgentrApp
from agentr_tui.state.session import Session
from tests.agentr_tui.apps import opened
from tests.fuzz.mutations import KINDS, changed
from tests.fuzz.readers import read, seeds

TRACES = int(os.environ.get("AGENTR_FUZZ", "0")) // 200 or 2
KEYS = ("j", "enter", "p", "escape", "G", "5", "3", "4", "1", "2")


def taken(number: int, folder: Path) -> bytes:
    """A changed trace that the reader takes."""
    rng = random.Random(number)
    while True:
        data = rng.choice(before := seeds("trace"))
        data = changed(data, [(rng.choice(KINDS), rng.randrange(1 << 30), rng.randrange(1 << 30)) for _ in range(2)])
        if data not in before and read("trace", data, folder):
            return data


@pytest.mark.parametrize("number", range(TRACES))
async def test_a_changed_trace_that_is_taken_is_shown_on_every_screen(number: int, tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    trace = workspace.traces / "t.trace.jsonl"
    trace.write_bytes(taken(number, tmp_path / "x"))
    session = Session(workspace)
    session.open(trace)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        for key in KEYS:
            await pilot.press(key)
            await pilot.pause()
        assert app.is_running
    assert app.return_code in (None, 0)
