"""The index for whoever asks for many files at once: the same answers, and no file is read that did not change."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentr_tui.state import library_scan
from agentr_tui.state.library_scan import Known, look
from engine.search.job import new_job
from engine.trace.sources import find_sources
from engine.tree.events import SearchSettings
from engine.workspace.figures import MANY, cached_figures
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of a few more traces than are asked for one by one, its index filled as `stats` does."""
    workspace = Workspace.open(tmp_path_factory.mktemp("many") / "w", create=True)
    first = workspace.traces / "t-0.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=1, max_depth=2), first).run_blocking()
    for number in range(1, MANY + 5):
        shutil.copy(first, workspace.traces / f"t-{number}.trace.jsonl")
    cached_figures(workspace, find_sources([workspace.traces]))
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


def test_the_newest_traces_are_told_first_and_each_once(many: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_scan, "FIRST", 3)
    newest = [many.traces / f"t-{number}.trace.jsonl" for number in (5, 2, 9)]
    for age, path in enumerate(newest):
        os.utime(path, (2e9 - age, 2e9 - age))
    seen(many)  # those were changed
    told: list[list[Path]] = []
    look(many, [], {}, lambda items: told.append([item.row.path for item in items]))
    assert told[0] == newest
    assert sorted(path for portion in told for path in portion) == sorted(many.traces.glob("*.trace.jsonl"))


def test_a_folder_named_by_a_dot_is_read_once(many: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(many.traces)
    place, known = Workspace.open(tmp_path / "w", create=True), dict[Path, Known]()

    def report(items: Sequence[Known]) -> None:
        known.update({item.row.path: item for item in items})

    assert look(place, [Path()], known, report) == known.keys()
    assert len(known) == MANY + 5
    monkeypatch.setattr(library_scan, "_read", lambda workspace, items, *_: items and pytest.fail("read again"))
    assert look(place, [Path()], known, report) == known.keys()


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
