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
from pathlib import Path

import pytest

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux session of its own server."""

    def __init__(self, folder: Path, width: int, height: int, **environment: str) -> None:
        self._socket = f"agentr-{uuid.uuid4().hex[:8]}"
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
