"""What lies in a workspace is counted, told, and how one comes back to it is printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentr_tui.cli.main import command_first
from agentr_tui.screens.library.other_workspaces import beside_lines
from agentr_tui.state.workspace_contents import come_back_line, command_for, contents, workspaces_beside
from engine.review.decisions import Decisions
from engine.workspace.workspace import Workspace


def filled(folder: Path, traces: int, accepted: int = 0) -> Workspace:
    """A workspace with so much in it; only names and sizes are looked at."""
    workspace = Workspace.open(folder, create=True)
    for number in range(traces):
        (workspace.traces / f"{number}.trace.jsonl").write_text("{}\n")
    Decisions(workspace.decisions, "ann").decide_all([f"s{number}" for number in range(accepted)], "accepted")
    return workspace


def test_a_session_that_made_something_says_how_to_come_back_and_one_that_only_looked_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = Workspace.open("agentr-demo-1", create=True)
    before = contents(empty)
    assert come_back_line(empty, before) == ""
    filled(empty.path, 1, 16)
    told = "agentr --workspace agentr-demo-1   opens it again (1 trace, 16 accepted)"
    assert come_back_line(empty, before) == told
    assert come_back_line(empty, contents(empty)) == ""
    Decisions(empty.decisions, "ann").decide("s1", "rejected")
    assert "(1 trace, 15 accepted)" in come_back_line(empty, before)


def test_the_default_workspace_needs_no_name_unless_the_environment_names_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AGENTR_WORKSPACE", raising=False)
    assert command_for(Path("agentr-workspace")) == "agentr"
    assert command_for(Path("my trees")) == "agentr --workspace 'my trees'"
    monkeypatch.setenv("AGENTR_WORKSPACE", "other")
    assert command_for(Path("agentr-workspace")) == "agentr --workspace agentr-workspace"


def test_workspaces_beside_an_empty_one_are_named_the_newest_first(tmp_path: Path) -> None:
    own = filled(tmp_path / "agentr-workspace", 0)
    assert workspaces_beside(own.path) == []
    old, new = filled(tmp_path / "old", 2), filled(tmp_path / "new", 1, 3)
    os.utime(old.traces / "0.trace.jsonl", (1, 1))
    os.utime(old.traces / "1.trace.jsonl", (2, 2))
    (tmp_path / "src" / "traces").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("no folder")
    filled(tmp_path / "bare", 0)
    assert workspaces_beside(own.path) == [(new.path, "1 trace, 3 accepted"), (old.path, "2 traces")]
    told = ["".join(text for text, _ in each.parts) for each in beside_lines(own.path)]
    assert f"  agentr --workspace {new.path}  1 trace, 3 accepted" in told
    assert beside_lines(new.path) == [], "who has something is not sent elsewhere"


@pytest.mark.parametrize(
    ("given", "put"),
    [
        ("--workspace W open F", "open F --workspace W"),
        ("--workspace=W review list verdict:verified", "review list verdict:verified --workspace=W"),
        ("--workspace W open -- F", "open --workspace W -- F"),
        ("--workspace W", "--workspace W"),
        ("--workspace", "--workspace"),
        ("--workspace open F", "--workspace open F"),  # a workspace of that name, and no command
        ("open F --workspace W", "open F --workspace W"),
        ("--workspace W nothing F", "--workspace W nothing F"),
    ],
)
def test_a_workspace_may_be_named_before_the_command(given: str, put: str) -> None:
    assert command_first(given.split()) == put.split()
