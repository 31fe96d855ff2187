"""The index for whoever asks for many files at once: the same answers, and no file is read that did not change."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from agentr_tui.state import library_scan
from agentr_tui.state.library_scan import Known, look
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.workspace.figures import MANY, cached_figures
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of a few more traces than are asked for one by one, its index filled."""
    workspace = Workspace.open(tmp_path_factory.mktemp("many") / "w", create=True)
    first = workspace.traces / "t-0.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=1, max_depth=2), first).run_blocking()
    for number in range(1, MANY + 5):
        shutil.copy(first, workspace.traces / f"t-{number}.trace.jsonl")
    seen(workspace)
    return workspace


def seen(workspace: Workspace, known: dict[Path, Known] | None = None) -> dict[Path, Known]:
    """What a library that was just opened knows after its first look."""
    found: dict[Path, Known] = dict(known or {})

    def report(items: list[Known]) -> None:
        found.update({item.row.path: item for item in items})

    look(workspace, [], {}, report)  # type: ignore[arg-type]
    return found


def test_entries_read_at_once_are_those_read_one_by_one(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    with Index(tmp_path / "index.sqlite") as index:
        for file in files:
            file.write_text(file.name)
            index.put("kind", str(file), file.stat(), file.name.encode())
    files[1].write_text("longer")
    with Index(tmp_path / "index.sqlite") as index, Index(tmp_path / "index.sqlite") as loaded:
        loaded.load("kind")
        answers = [[each.get("kind", str(file), file.stat()) for file in files] for each in (index, loaded)]
        assert answers == [[b"a", None, b"c"]] * 2
        loaded.put("kind", str(files[1]), files[1].stat(), b"new")
        assert loaded.get("kind", str(files[1]), files[1].stat()) == b"new"


def test_a_library_over_a_warm_index_reads_no_trace(many: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        library_scan, "_read", lambda workspace, items, report, cancelled: items and pytest.fail("read")
    )
    found = seen(many)
    assert len(found) == MANY + 5
    slow = {row.path: row for row in cached_figures(many, [str(path) for path in found])}
    for path, known in found.items():
        assert known.row.figures == slow[str(path)]
        assert known.row.goal == "craft cut red sandstone"
        assert known.stamp is not None


def test_what_changed_since_is_read_again(many: Workspace) -> None:
    path = many.traces / "t-7.trace.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    told = json.loads(first)
    told["task"], told["instruction"] = "other", "something else"
    path.write_bytes(json.dumps(told).encode() + b"\n" + rest)
    (many.traces / "t-8.trace.jsonl").write_bytes(b"{}\n")
    found = seen(many)
    row = found[path].row
    assert row.figures is not None
    assert (row.figures.task, row.goal) == ("other", "something else")
    assert found[many.traces / "t-8.trace.jsonl"].row.error
    os.unlink(many.traces / "t-8.trace.jsonl")
