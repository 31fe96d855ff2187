"""Text of agents, environments, models and file names is shown, never obeyed: on every screen, in the bytes sent."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot
from textual.widgets import Input

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.shared import compare_lines
from agentr_tui.state.session import Session
from agentr_tui.terminal.ascii_fallback import Plain
from agentr_tui.terminal.control_filter import Chain, Guard
from agentr_tui.terminal.output import table
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.text_pane import MAX_CHARACTERS, MAX_LINES, TextPane, lines_of
from tests.agentr_tui.apps import frame, opened, revised, running, searched, until
from tests.agentr_tui.hostile import HOSTILE, MEGABYTE, hostile_trace
from tests.agentr_tui.terminal.test_safe_text import FORBIDDEN

TEXTCRAFT = {"environment": "textcraft", "task": "12"}

TOUR = (
    *("enter", "j", "j", "[", "[", "[", "[", "comma", "L", "i", "escape", "v", "s", "escape", "m", "escape"),
    *("y", "escape", "3", "tab", "enter", "]", "]", "]", "]", "t", "escape", "J"),
    *("5", "]", "e", "escape", "1", "o", "escape"),
)
NAMED = {"[": "left_square_bracket", "]": "right_square_bracket"}


async def idle(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    await until(pilot, lambda: not any(worker.is_running for worker in pilot.app.workers))
    await pilot.pause()


def check(app: AgentrApp, key: str, width: int) -> str:
    """The screen holds nothing that a terminal obeys, and every line is as wide as the terminal."""
    shown = []
    for y, strip in enumerate(frame(app)):
        text = "".join(segment.text for segment in strip)
        wrong = [hex(ord(each)) for each in text if unicodedata.category(each) in FORBIDDEN]
        assert not wrong, (key, y, wrong, text)
        assert strip.cell_length == width, (key, y, text)
        shown.append(text)
    return "\n".join(shown)


@pytest.mark.parametrize(
    ("size", "options"), [((120, 40), TEXTCRAFT), ((80, 24), {})], ids=["wide", "narrow-unknown-environment"]
)
async def test_every_screen_shows_hostile_text_written_out_and_stays_aligned(
    tmp_path: Path, size: tuple[int, int], options: dict[str, str]
) -> None:
    workspace = opened(tmp_path / "w")
    hostile_trace(workspace.traces, **options)
    async with running(Session(workspace), "library", size) as (app, pilot):
        app.guard.enabled = False  # the widgets alone have to do it
        await until(pilot, lambda: "h[red]o␛]0;" in check(app, "library", size[0]) or size[0] < 100)
        for key in TOUR if size[0] > 100 else TOUR[:14]:
            await pilot.press(NAMED.get(key, key))
            await idle(pilot)
            check(app, key, size[0])
        await pilot.press("2")
        await idle(pilot)
        assert "␛[2J␛[H" in check(app, "search", size[0])


NAME = "v [/] [@click=app.leave]x[/] \x1b[2J"


async def test_names_of_verifiers_and_models_of_a_strangers_run_are_no_markup(tmp_path: Path) -> None:
    """In the border of a pane `[/]` ended the app, and `[@click=app.leave]` waited for a click."""
    workspace = opened(tmp_path / "w")
    await asyncio.to_thread(lambda: revised(workspace, searched(workspace), max_pairs=2))
    (run,) = (workspace.path / "runs").iterdir()
    changed = run.read_bytes().replace(b'"verifier":"progress"', b'"verifier":' + msgspec.json.encode(NAME))
    run.write_bytes(changed)
    async with running(Session(workspace), "revision", (120, 40)) as (app, pilot):
        app.guard.enabled = False
        pane = app.screen.query_one("#bad", TextPane)
        await until(pilot, lambda: "[/] [@click=app.leave]x[/] ␛[2J" in str(pane._border_subtitle))
        check(app, "revision", 120)
        recovery = app.screen.query_one(RecoveryPane)
        recovery.border_title = plain_title(f"would it recover? · openai {NAME}")
        await idle(pilot)
        check(app, "recovery", 120)


async def test_an_error_that_quotes_hostile_text_is_a_harmless_notice(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path / "w"))) as (app, pilot):
        app.guard.enabled = False
        app.complain(f"the model said {HOSTILE}")
        app.screen.notify(HOSTILE, severity="warning")
        await until(pilot, lambda: "the model said ␛[2J" in check(app, "notice", app.size.width))


async def test_what_is_pasted_into_an_input_never_reaches_the_terminal(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path / "w"))) as (app, pilot):
        await pilot.press("slash")
        app.screen.query_one("#trace-filter", Input).value = HOSTILE
        await pilot.pause()
        for strip in frame(app):
            assert all(unicodedata.category(each) not in FORBIDDEN for segment in strip for each in segment.text)
    line = [Segment("a\x1b[2Jb\udfff\u202e"), Segment("fine")]
    assert [segment.text for segment in Guard().apply(line, Color(0, 0, 0))] == ["a[2Jb", "fine"]


def test_filters_are_one_each_after_the_other_as_long_as_they_are_the_same() -> None:
    guard, plain, black = Guard(), Plain("ascii"), Color(0, 0, 0)
    chain = Chain([guard, plain])
    assert [segment.text for segment in chain.apply([Segment("│\x1b"), Segment("✓")], black)] == ["|", "v"]
    assert chain.of([guard, plain]) is chain
    assert chain.of([plain]).apply([Segment("\x1b")], black) == [Segment("\x1b")]


async def test_a_megabyte_costs_what_can_be_read(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(hostile_trace(workspace.traces, long=MEGABYTE))
    async with running(session, "search", (120, 40)) as (app, pilot):
        await pilot.press("j", "j")  # the step with a megabyte of observation
        for _ in range(5):
            await pilot.press("right_square_bracket")
            await idle(pilot)
            for pane in app.screen.query(TextPane):
                assert len(pane._rows) < 10 * MAX_LINES
                assert len(pane.plain) < 10 * MAX_CHARACTERS
            check(app, "megabyte", 120)
    assert len(lines_of(MEGABYTE)) <= MAX_LINES + 1
    assert lines_of(MEGABYTE)[-1] == f"… ({len(MEGABYTE) - MAX_CHARACTERS} more characters)"
    assert lines_of("a\rb\x0bc\u2028d\ne") == ["a\rb\x0bc\u2028d", "e"]
    assert lines_of("") == [""]


def test_a_long_word_between_two_columns_is_wrapped_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row measured all of the rest: a trace of such words took five seconds to show on Pairs."""
    looked_at: list[int] = []

    def chopped(text: str, width: int) -> list[str]:
        looked_at.append(len(text))
        return chop_cells(text, width)

    monkeypatch.setattr(compare_lines, "chop_cells", chopped)
    for text in ("x" * 4000, "日" * 4000, "e\u0301" * 2000):
        rows = compare_lines._wrapped([(text, "text")], 40, 4)
        assert all(sum(cell_len(part) for part, _ in row) <= 40 for row in rows)
        assert "".join(part for row in rows for part, _ in row if part.strip()) == text
    assert max(looked_at) <= 4 * 40 + 16


def test_tables_of_commands_line_up_whatever_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    table(["name", "n"], [["日本\x1b[2J", "1"], ["plain", "22"]], right=[1])
    assert capsys.readouterr().out.splitlines() == ["name       n", "日本␛[2J   1", "plain     22"]


# -- the bytes that a terminal gets --------------------------------------------------------------------

SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


class Bytes:
    """The app on a pseudo terminal, and all that it sent there."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.sent = b""

    def press(self, keys: str) -> None:
        """Press keys and read until nothing more comes."""
        os.write(self._terminal, keys.encode())
        while select.select([self._terminal], [], [], 0.4)[0]:
            self.sent += os.read(self._terminal, 65536)

    def until(self, wanted: str, seconds: float = 30) -> None:
        """Read on until something was sent."""
        end = time.monotonic() + seconds
        while wanted.encode() not in self.sent:
            assert time.monotonic() < end, f"never: {wanted}"
            if select.select([self._terminal], [], [], 0.2)[0]:
                self.sent += os.read(self._terminal, 65536)


@contextmanager
def on_a_terminal(folder: Path, *words: str) -> Iterator[Bytes]:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "PYTHONPATH": os.getcwd()}
    environment |= {f"XDG_{name}_HOME": str(folder / name) for name in ("STATE", "CONFIG", "CACHE")}
    command = [sys.executable, "-m", "agentr_tui", *words]
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=folder, env=environment, start_new_session=True
    )
    os.close(its)
    try:
        yield Bytes(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_nothing_in_a_trace_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    trace = hostile_trace(tmp_path, **TEXTCRAFT)
    with on_a_terminal(tmp_path, "open", str(trace)) as app:
        app.until("␛[2J␛[H")
        os.write(app._terminal, b"\xe9\x1b[99999999;1u")  # no UTF-8, and no key: the app goes on
        for keys in ("j", "]", "]", "]", "]", "i", "e", "\x1b", "\x1b", "3", "4"):
            app.press(keys)
        for seen in ("3 Pairs", "4 Revision", "masked"):
            app.until(seen)
        sent = app.sent.decode()
    known = {"m", "H"}  # styles and places; what else Textual sends is the same in every run
    kinds = {found if found[-1] not in known else found[-1] for found in SEQUENCE.findall(sent)}
    assert len(kinds) < 40, kinds
    kinds.discard("\x1b]22;default\x07")  # the pointer's shape
    assert not kinds & {"\x1b[2J", "\x1b[?1049l"}
    assert not [found for found in kinds if found[1:2] in ("]", "P", "X", "^", "_")]
    left = SEQUENCE.sub("", sent).replace("\r\n", "").replace("\n", "")
    assert not {hex(ord(each)) for each in left if unicodedata.category(each) in FORBIDDEN}
