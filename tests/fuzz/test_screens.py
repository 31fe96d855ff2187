"""What a reader took is opened on every screen, whatever was changed in it: traces, trees, rollouts, runs, decisions,
planted faults, recoveries. Random keys are pressed on each screen; nothing crashes, no frame breaks.

The suite walks through a few; `make fuzz` through many (`AGENTR_FUZZ` / 200 walks).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.walk import reviewed, walk

INPUTS = int(os.environ.get("AGENTR_FUZZ", "0"))
TREES, KEYS = (4, 8) if INPUTS else (1, 3)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written outside: by an editor that a key opens, or to the folder for pictures."""
    reviewed()  # before there is an event loop
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.setenv(name, "true")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(INPUTS // 200 or 2))
async def test_what_was_taken_is_shown_on_every_screen(number: int, tmp_path: Path) -> None:
    await walk(number, tmp_path, TREES, KEYS)
