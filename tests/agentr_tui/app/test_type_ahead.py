"""Keys that arrive in one read go to what the first of them opens: in a real terminal, beside a busy search."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual._xterm_parser import XTermParser
from textual.binding import Binding
from textual.events import Key, Paste
from textual.widgets import Input

from agentr_tui.app import type_ahead
from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.session import Session
from agentr_tui.terminal.escape_keys import escape_is_a_key
from agentr_tui.widgets.tree.view import TreeView
from engine.search.job import new_job
from engine.tree.events import AnyEvent, SearchSettings
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import opened, running, searched, until

BUSY = SearchSettings(iterations=100_000, error_rate=0.7)

SEQUENCES = (
    ("/good", "FindInput good"),
    (":best", "Input best"),
    ("vp", "PlotsScreen"),
    ("vc", "Menu compare"),
    ("vs", "StatesScreen"),
    ("mmhere", "Input here"),
    ("intold", "Input told"),
    ("ib", "Menu break at"),
    ("ibogood", "Input good"),
    ("is", "Input c=0.25"),
    ("y", "Menu copy"),
    ("?", "HelpScreen"),
    ("1/webshop", "Input webshop"),
    ("/n N.5 <6", "FindInput n N.5 <6"),
    ("3a5", "Input 0.55"),
    ("5", "DatasetScreen"),
    ("2:t 3\r", "TreeView past"),
    ("L/q>0\r", "TreeView now"),
)
"""What is written at once, and what the screen, the field with the focus and its text are then."""


class Watched(AgentrApp):
    """The app; what it shows is written to a file again and again, f12 goes back to the tree."""

    BINDINGS = [Binding("f12", "tree", priority=True)]

    def action_tree(self) -> None:
        """Close everything."""
        while not isinstance(self.screen, ModeScreen):
            self.pop_screen()
        self.switch_mode("search")
        if isinstance(self.screen, SearchScreen):
            self.screen.finder.close()

    def tell(self, file: Path) -> None:
        """The screen, the field with the focus, its text."""
        if not self.screen_stack:
            return
        screen, focused = self.screen, self.focused
        text = focused.value if isinstance(focused, Input) else screen.question if isinstance(screen, Menu) else ""
        moment = "now" if self.session.past is None else "past"
        shown = [f"{type(screen).__name__} {text}", f"{type(focused).__name__} {text or moment}"]
        file.with_suffix(".new").write_text(json.dumps([*shown, len(self.session.tree or ())]))
        os.replace(file.with_suffix(".new"), file)


def main(folder: Path) -> None:
    """Run the app with a search that never rests."""
    session = Session(Workspace.open(folder / "w", create=True))

    def make(listener: Callable[[AnyEvent], None]) -> Any:
        path = session.workspace.traces / "busy.trace.jsonl"
        return new_job("textcraft", "5", BUSY, path, listener=listener, delay=0.02)

    session.start(make)
    app = Watched(session, "search")
    app.call_later(lambda: app.set_interval(0.03, lambda: app.tell(folder / "shown.json")))
    app.run()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
def test_keys_of_one_write_go_to_what_they_open_beside_a_busy_search(tmp_path: Path) -> None:
    ours, its = os.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "110", "LINES": "32", "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import *; main(Path({str(tmp_path)!r}))"],
        stdin=its, stdout=its, stderr=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    os.close(its)
    shown = tmp_path / "shown.json"

    def wait(told: str, patience: float = 20.0) -> list[Any]:
        """What the app shows, once it is this, or when patience is over."""
        end, now = time.monotonic() + patience, list[Any]([""])
        while time.monotonic() < end and not any(str(each).startswith(told) for each in now):
            if select.select([ours], [], [], 0.02)[0]:
                os.read(ours, 1 << 16)
            now = json.loads(shown.read_text()) if shown.exists() else now
        return now

    went = []
    try:
        os.write(ours, b"/early")  # while it starts
        assert wait("FindInput early")[1:2] == ["FindInput early"]
        for keys, told in SEQUENCES:
            os.write(ours, b"\x1b[24~")
            wait("TreeView now")
            os.write(ours, keys.encode())
            now = wait(told)
            went.append((keys, next((each for each in now if str(each).startswith(told)), now)[: len(told)]))
        assert went == list(SEQUENCES)
        assert now[2] > 100, "the search went on all the time"
    finally:
        process.kill()
        process.wait()
        os.close(ours)


async def test_keys_in_revision_a_paste_and_many_moves_arrive_in_order(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace))
    async with running(session, "search") as (app, pilot):
        send = app.post_message
        send(Key("slash", "/"))
        send(Paste("good\n  or q>0.5\r\n\n"))
        await until(pilot, lambda: getattr(app.focused, "value", "") == "good or q>0.5")
        await pilot.press("escape")
        for _ in range(30):
            send(Key("j", "j"))
        tree = app.screen.query_one(TreeView)
        await until(pilot, lambda: tree.cursor_node > 0 and tree.rows and tree.rows.row_of(tree.cursor_node) == 30)
        send(Key("4", "4"))
        for key in "rta":  # a menu, its choice, then the next sample
            send(Key(key, key))
        await until(pilot, lambda: isinstance(app.screen, RevisionScreen) and _decided(app) == ["rejected", "accepted"])


def _decided(app: AgentrApp) -> list[str | None]:
    app.session.decisions.refresh()
    return [decided.verdict for decided in app.session.decisions.current().values()]


async def test_a_key_that_stops_long_work_is_not_held_until_the_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(opened(tmp_path / "w"))
    over = threading.Event()
    async with running(session, "library") as (app, pilot):
        await pilot.press("slash")
        await until(pilot, lambda: app._type_ahead._task is None)
        app.screen.run_worker(over.wait, thread=True, group="review")
        try:
            monkeypatch.setattr(type_ahead, "PATIENCE", 1000.0)
            app.post_message(Key("escape", "\x1b"))
            await until(pilot, lambda: not isinstance(app.focused, Input))
            monkeypatch.setattr(type_ahead, "PATIENCE", 0.0)  # long after the last key
            app.post_message(Key("4", "4"))
            await until(pilot, lambda: isinstance(app.screen, RevisionScreen))
        finally:
            over.set()


@pytest.mark.parametrize(
    ("read", "keys"),
    [("\x1b4", "escape 4"), ("\x1bj", "escape j"), ("\x1b/", "escape slash"), ("\x1b ", "escape space"),
     ("\x1bb", "ctrl+left"), ("\x1bG", "escape G"), ("\x1b\x1b", "escape escape"), ("\x1b", "escape"),
     ("\x1b[A", "up"), ("\x1bOP", "f1"), ("\x1b\t", "shift+tab"), ("4", "4"), ("j\x1b:j", "j escape colon j")],
)  # fmt: skip
def test_escape_and_a_key_in_one_read_are_two_keys(read: str, keys: str) -> None:
    with escape_is_a_key({}):
        assert _keys_of(read) == keys


def test_a_key_with_alt_in_the_users_settings_stays_one_key() -> None:
    with escape_is_a_key({"help": ("alt+h",)}):
        assert _keys_of("\x1bh") == "alt+h"


def _keys_of(read: str) -> str:
    """The names of the keys that Textual takes out of what a terminal sent."""
    parser = XTermParser()
    events = [*parser.feed(read), *parser.feed("")]
    return " ".join(event.key for event in events if isinstance(event, Key))
