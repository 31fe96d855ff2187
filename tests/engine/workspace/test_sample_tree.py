"""The trace of a sample is found again in a workspace that was moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.workspace.sample_tree import find_trace
from engine.workspace.workspace import Workspace


@pytest.mark.parametrize(
    "name", ["x.trace.jsonl", "round-1/x.trace.jsonl", "round-2/x.trace.jsonl", "../collected/x.trace.jsonl"]
)
def test_a_trace_is_found_where_it_lies_in_the_moved_workspace(name: str, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    for each in ("x.trace.jsonl", "round-1/x.trace.jsonl", "round-2/x.trace.jsonl", "../collected/x.trace.jsonl"):
        path = workspace.traces / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    recorded = (workspace.traces / name).resolve()
    assert find_trace(workspace, recorded) == recorded
    workspace.path.rename(tmp_path / "moved")
    moved = Workspace.open(tmp_path / "moved")
    found = find_trace(moved, recorded)
    assert found is not None
    assert found.samefile(moved.traces / name)


def test_a_trace_that_is_nowhere_is_not_found(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    (workspace.traces / "x.trace.jsonl").mkdir()
    assert find_trace(workspace, Path("/a/x.trace.jsonl")) is None
    assert find_trace(workspace, Path()) is None
