"""A signal ends the app cleanly at any moment: before its first screen, while it runs, after it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextvars import Context
from pathlib import Path

import pytest
from textual.events import Key

from agentr_tui.app import signals
from agentr_tui.app.app import AgentrApp
from agentr_tui.app.signals import INTERRUPTED, ends_cleanly
from agentr_tui.state.last_place import LastPlace, View
from agentr_tui.state.session import Session
from engine.trace.trace_file import load
from tests.agentr_tui.app.test_app import starting
from tests.agentr_tui.apps import opened, until


async def test_a_signal_before_the_first_screen_ends_the_app_and_forgets_no_place(tmp_path: Path) -> None:
    memory = LastPlace(tmp_path, tmp_path / "state")
    memory.keep_place("pairs", tmp_path / "t.trace.jsonl", {})
    app = AgentrApp(Session(opened(tmp_path / "w")), memory=memory)
    with ends_cleanly(app):
        signal.raise_signal(signal.SIGTERM)
        async with app.run_test() as pilot:
            await until(pilot, lambda: not app.is_running)
    assert app.return_value == INTERRUPTED
    assert memory.place().mode in ("pairs", "library"), "a screen that there is"


async def test_a_signal_when_the_app_has_just_ended_is_no_error(tmp_path: Path) -> None:
    app = AgentrApp(Session(opened(tmp_path / "w")))
    with ends_cleanly(app):
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.current_mode == "library")
            signal.raise_signal(signal.SIGTERM)
            await until(pilot, lambda: not app.is_running)
        signal.raise_signal(signal.SIGTERM)
    assert app.return_value == INTERRUPTED


async def test_keys_that_wait_when_a_signal_comes_are_dropped(tmp_path: Path) -> None:
    app = AgentrApp(Session(opened(tmp_path / "w")))
    with ends_cleanly(app):
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.current_mode == "library")
            signal.raise_signal(signal.SIGTERM)
            for _ in range(500):
                app.post_message(Key("2", "2"))
            await until(pilot, lambda: not app.is_running)
            assert app.current_mode == "library"
    assert app.return_value == INTERRUPTED


async def test_a_signal_that_comes_while_anything_else_runs_ends_a_search_and_the_app(tmp_path: Path) -> None:
    """The handler runs in the context of whatever it interrupts, in which Textual may not know its app."""
    session = starting(tmp_path, delay=0.02, iterations=50)
    app = AgentrApp(session, "search")
    async with app.run_test() as pilot:
        await until(pilot, lambda: session.tree is not None and len(session.tree) > 4)
        Context().run(app.leave_soon, INTERRUPTED)
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == INTERRUPTED
    assert load(tmp_path / "w/traces/live.trace.jsonl").tree.state == "stopped"


async def test_a_terminal_that_is_closed_without_a_signal_ends_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stayed, and read nothing from it as fast as it could."""
    person, terminal = os.openpty()
    dropped: list[str] = []
    monkeypatch.setattr(signals, "drop_terminal", lambda: dropped.append("dropped"))  # it is pytest's here
    app = AgentrApp(Session(opened(tmp_path / "w")))
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with ends_cleanly(app):
            async with app.run_test() as pilot:
                await until(pilot, lambda: app.current_mode == "library")
                assert not dropped
                os.close(person)
                await until(pilot, lambda: not app.is_running)
    assert app.return_value == INTERRUPTED
    assert dropped == ["dropped"] * 2, "also what was redirected meanwhile"


BLOCKED = """
import os, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
from agentr_tui.app import signals

signals.PATIENCE = signals.SEARCH_PATIENCE = 0.1
def leave_soon(code):
    if not asked:
        asked.append(code)
        signal.raise_signal(signal.SIGTERM)  # another one, in the middle of the handler of the first
asked, stopped, remembered = [], [], Path(sys.argv[1]) / "remembered"
control = SimpleNamespace(stop_reason=None, stop=stopped.append)
session = SimpleNamespace(
    workspace=SimpleNamespace(path=Path(sys.argv[1])), running=True, live=SimpleNamespace(control=control)
)
app = SimpleNamespace(
    session=session, is_running=True, leave_soon=leave_soon, remember=lambda: remembered.write_text(str(stopped))
)
with signals.ends_cleanly(app):
    signal.raise_signal(getattr(signal, sys.argv[2]))
    while True:  # whatever holds up the app
        time.sleep(1)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_an_app_that_is_blocked_ends_anyway_and_says_where_it_was(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED, str(tmp_path), name], capture_output=True, text=True)
    assert done.returncode == INTERRUPTED, done.stderr
    assert (tmp_path / "remembered").read_text() == "['stopped']", "its search was told, too"
    assert done.stderr == ""
    log = (tmp_path / "errors.log").read_text()
    assert "did not end" in log
    assert 'File "<string>", line 23' in log, "where it is blocked"


def test_nothing_is_read_from_a_terminal_that_was_dropped() -> None:
    program = """
import os, select
from agentr_tui.terminal.own_output import drop_terminal
assert select.select([0], [], [], 0)[0], "nothing, and at once"
drop_terminal()
assert not select.select([0], [], [], 0)[0]
os._exit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 7, done.stderr


async def test_who_leaves_leaves_whatever_keeps_the_place_from_being_remembered(tmp_path: Path) -> None:
    app = AgentrApp(Session(opened(tmp_path / "w")), memory=_Forgetful(tmp_path, tmp_path / "state"))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.current_mode == "library")
        with pytest.raises(ZeroDivisionError):
            app.exit(3)
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 3


async def test_work_that_is_done_while_the_app_ends_opens_no_screen(tmp_path: Path) -> None:
    app = AgentrApp(Session(opened(tmp_path / "w")))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.current_mode == "library")
        app.exit(0)
        app.switch_mode("dataset")
        assert app.current_mode == "library"
        await until(pilot, lambda: not app.is_running)
    assert app.return_value == 0


def test_a_trace_below_a_folder_that_is_gone_is_not_remembered_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = LastPlace(tmp_path, tmp_path / "state")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    memory.keep_place("search", Path("t.trace.jsonl"), {})
    assert memory.place().mode == "library"


class _Forgetful(LastPlace):
    """A memory that fails."""

    def keep_place(self, mode: str, trace: Path | None, views: dict[str, View]) -> None:
        raise ZeroDivisionError
