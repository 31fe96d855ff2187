"""`agentr review`: what is counted is what was decided about, recoveries and good trajectories too."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from agentr_tui.cli.main import run
from agentr_tui.cli.revising import revise_paths
from agentr_tui.screens.dataset.tabs import trust
from engine.review.decisions import Decisions
from engine.samples.settings import ReviseSettings
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import opened, searched


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose run holds revisions, recoveries and good trajectories."""
    workspace = opened(tmp_path_factory.mktemp("made"))
    revise_paths(workspace, [searched(workspace)], ReviseSettings(repair=None), quiet=True)
    return workspace


def told(capsys: pytest.CaptureFixture[str], workspace: Workspace, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["review", *words, "--json", "--workspace", str(workspace.path)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_stats_count_each_sample_that_list_shows_and_the_screen_agrees(
    made: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told(capsys, made, "list")["samples"]
    kinds = Counter(row["kind"] for row in rows)
    assert min(kinds["revision"], kinds["recovery"], kinds["good"]) > 0, kinds
    accepted = told(capsys, made, "accept", "kind:revision,good")["samples"]
    rejected = told(capsys, made, "reject", "kind:recovery", "--reason", "poor")["samples"]
    assert len(accepted) + len(rejected) == len(rows)
    stats = told(capsys, made, "stats")
    assert stats["samples"] == kinds["revision"] + kinds["recovery"]
    assert (stats["tally"]["accepted"], stats["tally"]["rejected"]) == (kinds["revision"], kinds["recovery"])
    assert (stats["good"]["accepted"], stats["good"]["undecided"]) == (kinds["good"], 0)
    assert stats["reasons"] == {"poor": kinds["recovery"]}
    rate = stats["defect_rate"]
    assert (rate["defects"], rate["reviewed"]) == (kinds["recovery"], kinds["revision"] + kinds["recovery"])
    screen = trust(made, made.select().ids, made.select().samples, Decisions(made.decisions)).rate
    assert (screen.samples, screen.reviewed, screen.defects) == (rate["samples"], rate["reviewed"], rate["defects"])
    assert told(capsys, made, "next")["sample"] is None
    told(capsys, made, "undo")


def test_next_comes_to_recoveries_and_shows_a_blind_reviewer_steps_without_the_mark(
    made: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["review", "next", "kind:recovery", "--blind", "--workspace", str(made.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "kind recovery" in lines[0]
    assert "mark –" in lines[0]
    assert not [line for line in lines if line.startswith(("trained", "masked"))]
    assert [line for line in lines[2:] if line.lstrip().startswith("1 ")]
