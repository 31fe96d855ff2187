"""A disk without room, at any line: one line that names the file, exit code 1, and what was written before is read."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from agentr_tui.cli.main import run
from engine.review.decisions import Decisions
from engine.trace.sources import load_any
from engine.trace.trace_file import NoEvents
from engine.workspace.workspace import Workspace
from tests.agentr_tui.cli.test_cli import agentr
from tests.engine.base.test_append_log import room
from tests.engine.imports import samples

SIZES = (50, 4_096)
"""Bytes past which no file can grow. (Others, packed traces, parquet, graphs and `recover` were tried by hand.)"""
NO_ROOM = ("File too large", "No space left", "not done")
REMEDIES = ("ulimit -f", "make room", "not done")
COMMANDS = {
    "search": ["search", "--task", "2", "--iterations", "8", "--out", "o/new.trace.jsonl"],
    "revise": ["revise", "t.trace.jsonl"],
    "export": ["export", "--all", "--out", "o/o.jsonl"],
    "shards": ["export", "--all", "--shards", "3", "--compress", "gzip", "--out", "o/s.jsonl"],
    "accept": ["review", "accept", "kind:revision"],
    "convert": ["convert", "t.trace.jsonl", "o/t.json"],
    "import": ["revise", "chat.jsonl", "--no-verify"],
    "collect": ["collect", "--tasks", "0-1", "--iterations", "6", "--workers", "1", "--out", "o/c"],
    "notes": ["notes", "--out", "o/notes.md"],
    "demo": ["demo", "--headless", "--workspace", "o/w"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trace, a run of `revise` over it, and rollouts."""
    folder = tmp_path_factory.mktemp("made")
    trace, workspace = str(folder / "t.trace.jsonl"), str(folder / "agentr-workspace")
    assert run(["search", "--task", "2", "--iterations", "6", "--error-rate", "0.5", "--out", trace]) == 0
    assert run(["revise", trace, "--workspace", workspace]) == 0
    rows = [
        {"task_id": f"t{n % 9}", "messages": samples.CHAT * (1 + n % 3), "reward": n % 2, "id": str(n)}
        for n in range(40)
    ]
    samples.write(folder, "chat", rows, "chat.jsonl")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_without_room_a_command_says_so_once_and_keeps_what_it_wrote(
    command: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0
    for size in SIZES if command != "collect" else SIZES[:1]:
        folder = tmp_path / str(size)
        shutil.copytree(made, folder)
        (folder / "o").mkdir()
        monkeypatch.chdir(folder)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with room(size):
            done = agentr(*COMMANDS[command])
        failed += done.code != 0
        assert done.code in (0, 1), (size, done.err)
        assert (done.code == 1) == any(word in done.err for word in NO_ROOM), (size, done.code, done.err)
        assert "unexpected" not in done.err, (size, done.err)
        assert done.code == 0 or any(word in done.err for word in REMEDIES), (size, done.err)
        assert sum(done.err.count(word) for word in NO_ROOM[:2]) <= 2, (size, done.err)
        for path, data in before.items():
            if path.suffix not in (".sqlite", ".sqlite-journal"):
                assert path.read_bytes()[: len(data)] == data, (size, path)
        for path in folder.rglob("*.trace.jsonl*"):
            with contextlib.suppress(NoEvents):
                load_any(path)
        place = Workspace(folder / "agentr-workspace")
        assert len(place.select().samples) > 5
        Decisions(place.decisions).current()
        assert not list(folder.rglob("*.part*")), size
        for each in (folder / "o").glob("*.jsonl"):
            if "trace" not in each.name:
                [json.loads(line) for line in each.read_bytes().splitlines()]
    assert failed, "the bound was met"
