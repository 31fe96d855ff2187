"""A trace that is gone while its search runs is an error: exit 1 and a line, never "done" with nothing on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.base.errors import WorkFailed
from engine.search.job import new_job
from engine.trace.trace_file import load
from engine.tree.events import SearchSettings

PATIENCE = 60.0


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    os.replace(copy, path)


def folder_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def cut(path: Path) -> None:
    os.truncate(path, 10)


HARM = {
    "removed": removed,
    "replaced": replaced,
    "moved or removed": folder_removed,
    "removed while": folder_moved,
    "shorter": cut,
}


@pytest.mark.parametrize("word", HARM)
def test_a_search_whose_trace_is_taken_away_stops_and_says_so(word: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "t.trace.jsonl"
    arguments = ["--task", "2", "--delay", "0.05", "--iterations", "100000", "--error-rate", "0.5", "--out", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "agentr_tui", "search", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + PATIENCE
        while not path.exists() or path.read_bytes().count(b"\n") < 8:
            assert time.monotonic() < end, "no trace"
            time.sleep(0.02)
        HARM[word](path)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1, (out, err)
    assert out == ""
    assert err.count("\n") == 1
    assert str(path) in err
    assert word.rstrip(":") in err


def test_a_trace_that_is_taken_away_at_the_very_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    job = new_job("textcraft", "2", SearchSettings(iterations=2, error_rate=0.5), path)
    removed(path)
    with pytest.raises(WorkFailed, match="was moved or removed"):
        job.run_blocking()


def test_a_paused_search_notices_too(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    job = new_job("textcraft", "2", SearchSettings(iterations=2, error_rate=0.5), path)
    job.control.pause()
    failed: list[WorkFailed] = []

    def run() -> None:
        try:
            job.run_blocking()
        except WorkFailed as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    removed(path)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "was moved or removed" in str(failed[0])


@pytest.mark.parametrize("name", ["t.trace.jsonl", "t.trace.jsonl.zst", "link/t.trace.jsonl"])
def test_a_trace_that_is_there_is_not_complained_about(name: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    path = tmp_path / name
    job = new_job("textcraft", "2", SearchSettings(iterations=2, error_rate=0.5), path)
    assert job.run_blocking() in ("iterations", "exhausted")
    assert load(path).tree.state == "done"
