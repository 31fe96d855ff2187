"""The app in a real terminal: tmux, real keys, a real screen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.review.decisions import Decisions
from engine.trace.trace_file import is_being_written, load
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import opened, searched

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, folder: Path, width: int, height: int, **environment: str) -> None:
        self._socket = f"agentr-{uuid.uuid4().hex[:8]}"
        homes = {f"XDG_{name}_HOME": str(folder / name) for name in ("STATE", "CONFIG", "CACHE")}
        environment = homes | environment
        variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(folder), *variables, "sh")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def run(self, *words: str) -> None:
        """Type a command."""
        self._tmux("send-keys", " ".join(words), "Enter")

    def press(self, *keys: str) -> None:
        """Press keys."""
        self._tmux("send-keys", *keys)

    def mouse(self, column: int, row: int, *, button: int = 0, times: int = 1) -> None:
        """Press and let go at a cell, counted from 0; buttons 64 and 65 are the wheel."""
        place = f"{button};{column + 1};{row + 1}"
        once = f"\x1b[<{place}M" + (f"\x1b[<{place}m" if button < 64 else "")
        self._tmux("send-keys", "-l", once * times)  # at once: two clicks far apart are no double click

    def click(self, word: str, *, times: int = 1, screen: str | None = None) -> None:
        """Click on the first place where a word stands."""
        lines = (self.screen() if screen is None else screen).splitlines()
        row = next((row for row, line in enumerate(lines) if word in line), None)
        assert row is not None, f"{word!r} is not on the screen:\n" + "\n".join(lines)
        self.mouse(lines[row].index(word), row, times=times)

    def screen(self, *options: str) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p", *options)

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def until(self, holds: Callable[[str], object], what: str, seconds: float = 40) -> str:
        """Wait for something on the screen."""
        end = time.monotonic() + seconds
        while not holds(screen := self.screen()):
            assert time.monotonic() < end, f"never: {what}\n{screen}"
            time.sleep(0.1)
        return screen

    def close(self) -> None:
        """End the session."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals that are closed at the end."""
    opened: list[Terminal] = []

    def make(width: int, height: int, **environment: str) -> Terminal:
        opened.append(Terminal(tmp_path, width, height, **environment))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


AGENTR = ("env", "-u", "COLUMNS", "-u", "LINES", sys.executable, "-m", "agentr_tui")  # the size is the terminal's own


def until(holds: Callable[[], object], what: str, seconds: float = 40) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)


def holding(word: str) -> Callable[[str], object]:
    """Whether a word stands on the screen."""
    return lambda text: word in text


def nodes_of(screen: str) -> int:
    """The number of nodes in the tree's title."""
    found = re.search(r"tree\s+(\d+) nodes", screen)
    return int(found[1]) if found else 0


@needs_tmux
@pytest.mark.parametrize(("width", "height"), [(110, 32), (80, 24)])
def test_the_demo_shows_a_growing_tree_and_the_main_job_is_done_by_keys(
    terminal: Callable[..., Terminal], tmp_path: Path, width: int, height: int
) -> None:
    screen = terminal(width, height, PYTHONPATH=os.getcwd())
    screen.run(*AGENTR, "demo", "--delay", "0.05")
    few = nodes_of(screen.until(lambda text: nodes_of(text) > 3, "a tree"))
    more = nodes_of(screen.until(lambda text: nodes_of(text) > few + 10, "a growing tree"))
    assert more > few
    screen.until(lambda text: "done (it" in text, "the end of the search")
    screen.press("4")
    screen.until(lambda text: "4 Revision" in text and "sample 1 of" in text, "a sample")
    screen.press("a")
    screen.until(lambda text: "sample 2 of" in text, "the next sample")
    screen.press("ctrl+q".replace("ctrl+", "C-"))
    screen.until(lambda text: "Revision" not in text, "the shell again")
    decided = [json.loads(line) for file in tmp_path.glob("agentr-demo-1/decisions/*") for line in file.open()]
    assert [line["verdict"] for line in decided] == ["accepted"]


@needs_tmux
def test_a_terminal_that_is_too_small_says_so_and_recovers(terminal: Callable[..., Terminal]) -> None:
    screen = terminal(20, 5, PYTHONPATH=os.getcwd())
    screen.run(*AGENTR, "demo", "--delay", "0.05")
    screen.until(lambda text: "too small" in text, "a word why")
    screen.resize(100, 30)
    screen.until(lambda text: nodes_of(text) > 3, "the tree")


@needs_tmux
def test_no_color_sends_no_colour(terminal: Callable[..., Terminal]) -> None:
    screen = terminal(100, 30, PYTHONPATH=os.getcwd(), NO_COLOR="1")
    screen.run(*AGENTR, "demo", "--delay", "0.02")
    screen.until(lambda text: nodes_of(text) > 30, "a tree")
    sequences = re.findall(r"\x1b\[([0-9;]*)m", screen.screen("-e"))
    codes = {int(code) for sequence in sequences for code in sequence.split(";") if code}
    assert codes & {1, 2, 7}, "bold, dim or reverse tell things apart"
    assert not codes & {*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108)}


@needs_tmux
def test_a_terminal_that_is_closed_stops_the_search_cleanly(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    screen = terminal(100, 30, PYTHONPATH=os.getcwd())
    screen.run("exec", *AGENTR, "demo", "--delay", "0.05")
    screen.until(lambda text: nodes_of(text) > 20, "a tree")
    path = next(tmp_path.glob("agentr-demo-1/traces/*.trace.jsonl"))
    screen.close()  # the terminal is gone: SIGHUP
    until(lambda: not is_being_written(path), "the end of the search")
    tree = load(path).tree
    assert (tree.state, tree.end_reason) == ("stopped", "stopped"), "resumable, and no answer is lost"
    until(lambda: [*(tmp_path / "STATE").rglob("place-*.json")], "what is remembered")


@needs_tmux
def test_a_search_that_is_detached_goes_on_and_is_attached_to(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    screen = terminal(100, 30, PYTHONPATH=os.getcwd())
    screen.run(*AGENTR, "demo", "--delay", "0.2", "--iterations", "30")
    screen.until(lambda text: nodes_of(text) > 5, "a tree")
    screen.press("q")
    screen.until(lambda text: "1 Library" in text and "live" in text, "the library")
    screen.press("q")
    screen.until(lambda text: "detach" in text, "a question")
    screen.press("d")
    screen.until(lambda text: "watch and steer it" in text, "how to come back")
    path = next(tmp_path.glob("agentr-demo-1/traces/*.trace.jsonl"))
    assert is_being_written(path)
    screen.run(*AGENTR, "attach", str(path))
    few = nodes_of(screen.until(lambda text: "running" in text and nodes_of(text) > 5, "the same tree"))
    screen.until(lambda text: nodes_of(text) > few, "it grows")
    screen.press("S")
    screen.until(lambda text: "stopped" in text, "the end, asked for from here")
    until(lambda: not is_being_written(path), "the end of the search")


def insist(action: Callable[[], object], holds: Callable[[], object], what: str) -> None:
    """Do it again where nothing came of it: a person whose click met a screen on the move would."""
    for patience in (8, 8, 40):
        action()
        with suppress(AssertionError):
            until(holds, what, patience)
            return
    raise AssertionError(f"never: {what}")


@needs_tmux
def test_tree_mark_and_export_by_mouse(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    path = searched(opened(tmp_path / "w"))
    screen = terminal(140, 44, PYTHONPATH=os.getcwd())
    screen.run(*AGENTR, "open", str(path), "--workspace", "w")
    shown = screen.until(lambda text: nodes_of(text) > 100 and "why" in text, "the tree")
    rows = [line for line in shown.splitlines() if "▾" in line]
    screen.click("▾", screen=shown.replace("▾", " ", 1))  # the second row's glyph
    screen.until(lambda text: "▸" in text and rows[1] not in text, "it is folded")
    screen.click("▸")
    screen.until(lambda text: "▸" not in text, "it is unfolded")
    screen.mouse(10, 6)
    screen.until(lambda text: re.search(r"node \d+ · depth", text), "the node under the mouse is chosen")
    screen.mouse(10, 6, button=65, times=8)
    screen.until(lambda text: "▾ root" not in text, "the wheel scrolls")
    where = next(row for row, line in enumerate(screen.screen().splitlines()) if "nodes 137" in line)
    screen.mouse(40, where)
    screen.until(lambda text: re.search(r"event \d+ of 260(?! · now)", text), "a moment of the past")
    screen.click("2 Search")
    screen.until(lambda text: "go to" in text, "the menu of screens")
    screen.click("revision")
    screen.until(lambda text: "sample 1 of" in text and "first wrong step" in text, "a sample")
    time.sleep(0.5)  # it scrolls to the mark
    decided = tmp_path / "w" / "decisions"

    def click_the_step_behind_the_wrong_one() -> None:
        rows = screen.screen().splitlines()
        screen.mouse(12, next(row for row, line in enumerate(rows) if re.search(r"│· +\d+ .*left out", line)), times=2)

    insist(click_the_step_behind_the_wrong_one, lambda: [*decided.glob("*")], "the mark was moved")
    assert any(json.loads(line)["mark"] for file in decided.glob("*") for line in file.open())
    screen.click("4 Revision")
    screen.until(lambda text: "go to" in text, "the menu of screens")
    screen.click("dataset")
    screen.until(
        lambda text: "5 Dataset" in text and "pass the replay" in text and "export" in text.splitlines()[-1],
        "the dataset",
    )
    insist(
        lambda: screen.mouse(screen.screen().splitlines()[-1].index("export"), 43),
        lambda: "ctrl+s writes" in screen.screen(),
        "the dialog",
    )
    screen.click("Write at most")
    until(lambda: [*(tmp_path / "w" / "exports").glob("*.jsonl")], "the dataset is written")


OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""What Python makes of a locale that has ASCII only where it is not allowed to know better."""


@needs_tmux
def test_a_locale_with_ascii_only_shows_every_screen_in_ascii(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    path = searched(opened(tmp_path / "w"))
    screen = terminal(100, 30, PYTHONPATH=os.getcwd(), **OLD_LOCALE)
    screen.run("env", "-u", "COLORTERM", "TERM=xterm", *AGENTR, "open", str(path), "--workspace", "w")
    whole = screen.until(lambda text: nodes_of(text) > 100 and "event" in text, "the tree")
    for key, word in (("v", "columns"), ("Escape", "status"), ("4", "first wrong step"), ("1", "newest first")):
        screen.press(key)
        whole += screen.until(holding(word), word)
    assert whole.isascii()
    assert "\\u" not in whole, "no letter is written as an escape, which would take its place and five more"
    lines = whole.splitlines()
    assert any(line.startswith("+- tree") and line.endswith("+") for line in lines), "boxes stand where they did"
    codes = {int(code) for found in re.findall(r"\x1b\[([0-9;]+)m", screen.screen("-e")) for code in found.split(";")}
    assert codes & {*range(30, 38), *range(90, 98)}, "a terminal of 16 colours gets some"
    assert not codes & {38, 48}, "and no others"
    told = subprocess.run(
        [*AGENTR, "show", str(path)], capture_output=True, check=False, env={**os.environ, **OLD_LOCALE}
    )
    assert told.returncode == 0
    assert told.stdout.isascii()


@needs_tmux
def test_a_killed_app_leaves_a_trace_that_goes_on(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    screen = terminal(100, 30, PYTHONPATH=os.getcwd())
    screen.run("exec", *AGENTR, "demo", "--delay", "0.05")
    screen.until(lambda text: nodes_of(text) > 20, "a tree")
    screen.close()  # the terminal is gone: SIGHUP
    path = next(tmp_path.glob("agentr-demo-1/traces/*.trace.jsonl"))
    done = subprocess.run(
        [*AGENTR, "search", "--resume", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "iterations" in done.stdout


def showing(words: str) -> Callable[[str], bool]:
    """Whether some words stand on the screen."""
    return lambda text: words in text


@needs_tmux
def test_twenty_samples_are_reviewed_by_keys_alone_and_every_decision_is_in_the_files(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    path = searched(workspace, iterations=8)
    screen = terminal(110, 32, PYTHONPATH=os.getcwd(), AGENTR_REVIEWER="ann")
    screen.run(*AGENTR, "open", str(path), "--workspace", str(workspace.path))
    screen.until(lambda text: "2 Search" in text, "the tree")
    screen.press("4")
    wanted = []
    for place in range(20):
        screen.until(showing(f"sample {place + 1} of"), f"sample {place + 1}")
        verdict = "rejected" if place % 5 == 4 else "skipped" if place % 7 == 3 else "accepted"
        wanted.append(verdict)
        if verdict == "rejected":
            screen.press("r")
            screen.until(lambda text: "reject: why?" in text, "the reasons")
            screen.press("m")
        else:
            screen.press(verdict[0])
    screen.until(lambda text: "sample 21 of" in text, "the next sample")
    screen.press("u")
    screen.until(lambda text: "sample 20 of" in text, "the last sample again")
    decisions = Decisions(workspace.decisions)
    assert len(decisions.current()) == 19
    screen.press("U")
    screen.until(lambda text: "rejected by ann: the mark is wrong" in text, "the decision again")
    screen.press("C-q")
    screen.until(lambda text: "Revision" not in text, "the shell again")
    decisions.refresh()
    by_time = sorted(decisions.current().values(), key=lambda decided: decided.time)
    assert [decided.verdict for decided in by_time] == wanted
    assert decisions.current().keys() <= {sample.id for sample in workspace.load_run().samples}
    assert {decided.reviewer for decided in decisions.current().values()} == {"ann"}
    assert len(decisions.current()) == 20
