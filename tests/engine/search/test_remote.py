"""Steering a search that another process runs, through its control file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.base.errors import WorkFailed
from engine.search.control import Control
from engine.search.control_file import Inbox, RemoteControl, control_path, obey
from engine.trace.diff import compare
from engine.trace.follower import Follower
from engine.trace.trace_file import is_being_written, load, read_events
from engine.tree.events import Expanded, SearchSettings, SettingsChanged
from engine.tree.tree import SearchTree


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A trace that another process writes, slowly."""
    path = tmp_path / "t.trace.jsonl"
    arguments = ["--task", "2", "--delay", "0.03", "--iterations", "40", "--error-rate", "0.5", "--out", str(path)]
    process = subprocess.Popen([sys.executable, "-m", "agentr_tui", "search", *arguments], stdout=subprocess.DEVNULL)
    try:
        until(lambda: path.exists() and path.read_bytes().count(b"\n") > 8, "a trace")
        yield path
    finally:
        process.kill()
        process.wait()


def expansions(path: Path) -> int:
    """How many nodes were expanded so far."""
    return sum(isinstance(event, Expanded) for event in read_events(path))


def test_a_search_elsewhere_is_paused_stepped_changed_and_stopped(elsewhere: Path) -> None:
    control, follower, tree = RemoteControl(elsewhere), Follower(elsewhere), SearchTree()

    def state() -> str:
        for event in follower.poll():
            tree.apply(event)
        return tree.state

    control.pause()
    until(lambda: state() == "paused", "paused")
    before = expansions(elsewhere)
    time.sleep(0.5)
    assert expansions(elsewhere) == before
    control.step()
    until(lambda: expansions(elsewhere) == before + 1, "one step")
    time.sleep(0.5)
    assert expansions(elsewhere) == before + 1
    control.change({"c": 1.5})
    control.resume()
    until(lambda: expansions(elsewhere) > before + 2, "going on")
    control.stop()
    until(lambda: state() == "stopped", "stopped")
    until(lambda: not is_being_written(elsewhere), "closed")
    changed = [event for event in read_events(elsewhere) if isinstance(event, SettingsChanged)]
    assert [event.changes for event in changed] == [{"c": 1.5}]
    assert changed[0].who
    settings = load(elsewhere).tree.started
    assert settings is not None
    assert settings.settings.c == 1.5
    assert not control_path(elsewhere).exists()


def test_unusable_settings_and_lines_that_are_no_requests_are_passed_over(elsewhere: Path) -> None:
    RemoteControl(elsewhere).change({"iterations": "many"})
    RemoteControl(elsewhere).change({"speed": 9})
    with control_path(elsewhere).open("ab") as file:
        file.write(b'\x00\xff\n{"do":"explode"}\n[]\n{"do":"pa')
    before = expansions(elsewhere)
    until(lambda: expansions(elsewhere) > before + 3, "going on")
    assert not any(isinstance(event, SettingsChanged) for event in read_events(elsewhere))


def test_an_inbox_takes_each_whole_line_once_and_only_new_ones(tmp_path: Path) -> None:
    trace = tmp_path / "t.trace.jsonl"
    RemoteControl(trace).pause()
    inbox = Inbox(trace)
    assert inbox.take() == []
    RemoteControl(trace).step()
    RemoteControl(trace).resume()
    assert [command.do for command in inbox.take()] == ["step", "resume"]
    with control_path(trace).open("ab") as file:
        file.write(b'{"do":"stop","who":"x",')
        file.flush()
        assert inbox.take() == []
        file.write(b'"time":1}\n')
    assert [command.do for command in inbox.take()] == ["stop"]
    assert inbox.take() == []


def test_requests_reach_the_control(tmp_path: Path) -> None:
    trace, control = tmp_path / "t.trace.jsonl", Control()
    inbox, remote = Inbox(trace), RemoteControl(trace)
    remote.pause()
    remote.change({"c": 2.0})
    for command in inbox.take():
        obey(control, command)
    assert control.paused
    assert control.changes[0][1] == {"c": 2.0}
    remote.stop()
    for command in inbox.take():
        obey(control, command)
    assert control.stop_reason == "stopped"


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="cannot reach the search"):
        RemoteControl(tmp_path / "missing" / "t.trace.jsonl").pause()


def test_a_detached_search_outlives_its_starter_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    started = subprocess.run(
        [sys.executable, "-m", "agentr_tui", "search", "--task", "2", "--delay", "0.02", "--iterations", "6",
         "--error-rate", "0.5", "--detach", "--out", str(path)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert f"agentr attach {path}" in started.stdout
    pid = int(started.stdout.split("process ")[1].split(";")[0])
    assert os.getsid(pid) != os.getsid(0)
    until(lambda: expansions(path) > 3, "expansions")
    os.kill(pid, 15)
    until(lambda: not is_being_written(path), "ended")
    assert json.loads(path.read_bytes().splitlines()[-1])["type"] == "ended"
    again = subprocess.run(
        [sys.executable, "-m", "agentr_tui", "search", "--resume", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    whole = tmp_path / "whole.trace.jsonl"
    from engine.search.job import new_job

    new_job("textcraft", "2", SearchSettings(iterations=6, error_rate=0.5), whole).run_blocking()
    assert compare(read_events(path), read_events(whole)) == []


def test_a_detached_search_that_can_not_start_says_why(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agentr_tui", "search", "--task", "99999", "--detach",
         "--out", str(tmp_path / "t.trace.jsonl")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "418" in done.stderr
