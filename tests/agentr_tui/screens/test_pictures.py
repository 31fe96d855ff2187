"""Pictures of every screen in the states that a person meets, at 80×24 and 120×40, in colour and in monochrome.

A picture is text: the screen, then a letter a cell for its style, then what the letters mean. `make snapshots` takes
them anew; look at the difference before it is committed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import pytest
from filelock import FileLock
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from agentr_tui.screens.library.screen import LibraryScreen
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import MONO_THEME
from engine.workspace.workspace import Workspace
from sample_trees import __file__ as samples
from tests.agentr_tui.apps import frame, running, until

FOLDER = Path("/tmp") / "agentr-pictures"
NEW = time.time() + 3_600
"""When the traces were written: their age is `now`, however long the pictures take."""
"""Where the pictured workspace lies: its name is on some screens, and as long everywhere."""

MANY, PLANT, SHOP, DEEP, NO_GOOD = (
    "textcraft-many-pairs", "scienceworld-find-plant", "webshop-synthetic", "textcraft-deep", "textcraft-no-good-leaf",
)  # fmt: skip
SIZES = ((120, 40), (80, 24))
NAMED = {",": "comma", "<": "less_than_sign", "/": "slash", "?": "question_mark", ":": "colon", "'": "apostrophe",
         "[": "left_square_bracket", "]": "right_square_bracket", ">": "greater_than_sign", "_": "underscore",
         ".": "full_stop", "=": "equals_sign", " ": "space", "~": "tilde"}  # fmt: skip


class Picture(SingleFileSnapshotExtension):
    """A text file a picture."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        """The picture's own name."""
        return str(index)


@dataclass(frozen=True)
class State:
    """Where a person is: a workspace, an open trace, a screen, and the keys that lead there."""

    mode: str
    trace: str = ""  # "" opens none
    keys: tuple[str, ...] = ()
    workspace: str = "samples"


def typed(text: str) -> tuple[str, ...]:
    """The keys of a text."""
    return tuple(NAMED.get(letter, letter) for letter in text)


STATES = {
    "library": State("library", keys=("j",)),
    "library-empty": State("library", workspace="empty"),
    "library-filtered": State("library", keys=(*typed("/webshop"), "enter")),
    "library-delete": State("library", keys=("D",)),
    "new-search": State("library", keys=("o",)),
    "search-empty": State("search", workspace="empty"),
    "search": State("search", MANY, ("j",) * 9),
    "search-task": State("search", SHOP),
    "search-disasters": State("search", PLANT, ("j",) * 12),
    "search-deep": State("search", DEEP, ("j",) * 40),
    "search-running": State("search", "running", ("j",) * 4),
    "search-paused": State("search", "paused", ("j",) * 4),
    "search-failed": State("search", "failed", ("j", "j", "[")),
    "search-past": State("search", MANY, ("<", "<", "<", ",", ",", "j", "j")),
    "search-filtered": State("search", MANY, (*typed("/q>0.5 visits>=2"), "enter")),
    "search-filter-wrong": State("search", MANY, typed("/q>>0.5")),
    "search-conversation": State("search", PLANT, ("j", "j", "j", "]")),
    "search-environment": State("search", PLANT, ("j", "j", "j", "]", "]")),
    "search-raw": State("search", PLANT, ("j", "j", "j", "]", "]", "]")),
    "search-huge": State("search", "huge", ("j",) * 3),
    "intervene": State("search", MANY, ("j", "j", "i")),
    "mark": State("search", MANY, ("j", "m")),
    "view": State("search", MANY, ("v",)),
    "plots": State("search", MANY, ("v", "p")),
    "repeated-states": State("search", MANY, ("v", "s")),
    "compare": State("search", MANY, (*("j",) * 9, "v", "c", "b")),
    "copy": State("search", MANY, ("j", "y")),
    "command": State("search", MANY, (":",)),
    "help": State("search", MANY, ("?",)),
    "pairs": State("pairs", MANY, ("j",)),
    "pairs-none": State("pairs", NO_GOOD),
    "revision": State("revision", MANY),
    "revision-line": State("revision", SHOP, ("f",)),
    "revision-thought": State("revision", SHOP, ("t",)),
    "revision-reject": State("revision", SHOP, ("r",)),
    "revision-none": State("revision", NO_GOOD),
    "revision-empty": State("revision", workspace="empty"),
    "dataset": State("dataset", MANY),
    "dataset-export": State("dataset", MANY, ("e",)),
    "dataset-empty": State("dataset", workspace="empty"),
}


def part_of(trace: Path, name: str, count: int, *more: dict[str, object]) -> None:
    """The first events of a trace, and others, as a trace of its own."""
    lines = trace.read_text().splitlines()[:count]
    lines += [json.dumps({**event, "seq": count + place, "t": 9.0}) for place, event in enumerate(more)]
    trace.with_name(f"{name}.trace.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def workspaces() -> Iterator[dict[str, Workspace]]:
    """One with the sample trees and searches that go on, stand still and failed; an empty one."""
    alone = FileLock(f"{FOLDER}.lock")  # of runs at the same time on one machine
    alone.acquire()
    shutil.rmtree(FOLDER, ignore_errors=True)
    full = Workspace.open(FOLDER / "samples", create=True)
    for place, name in enumerate((MANY, PLANT, SHOP, DEEP, NO_GOOD)):
        copied = shutil.copy(Path(samples).parent / f"{name}.trace.jsonl", full.traces)
        os.utime(copied, (NEW + place, NEW + place))
    parts = Workspace.open(FOLDER / "parts", create=True)
    many = parts.traces / "many.trace.jsonl"
    shutil.copy(full.traces / f"{MANY}.trace.jsonl", many)
    part_of(many, "running", 140)
    part_of(many, "paused", 140, {"type": "paused", "reason": "asked"})
    fault = {"type": "failed", "parent": 5, "draw": 1, "what": "timeout", "error": "the server said nothing for 60 s"}
    part_of(many, "failed", 140, *({**fault, "attempt": n} for n in (1, 2, 3)), {"type": "ended", "reason": "failures"})
    huge(parts.traces / "huge.trace.jsonl")
    locks = [FileLock(parts.traces / f"{name}.trace.jsonl.lock") for name in ("running", "paused")]
    for lock in locks:
        lock.acquire()
    yield {"samples": full, "parts": parts, "empty": Workspace.open(FOLDER / "empty", create=True)}
    for lock in locks:
        lock.release()
    shutil.rmtree(FOLDER, ignore_errors=True)
    alone.release()


def huge(path: Path) -> None:
    """A tree of 20,000 nodes, as a trace."""
    from engine.trace.trace_file import write_trace
    from tests.agentr_tui.trees import random_tree

    write_trace(path, random_tree(20_000, seed=1).events)


async def settled(pilot: Pilot[Any]) -> None:
    """Nothing is being read, counted or drawn any more."""
    await pilot.pause()
    screen = pilot.app.screen
    await until(pilot, lambda: not isinstance(screen, LibraryScreen) or screen.rests)
    await until(pilot, lambda: not any(worker.is_running for worker in pilot.app.workers))
    await pilot.pause(0.02)


def picture(app: App[Any]) -> str:
    """The screen as text, and its styles."""
    letters: dict[str, str] = {}
    names = iter(ascii_letters + digits + "!?#$%&*+-/=@^~<>|" * 4)
    text, styles = [], []
    for strip in frame(app):
        line = "".join(segment.text for segment in strip)
        cells: list[str] = []
        for segment in strip:
            style = str(segment.style)
            if style not in letters:
                letters[style] = next(names)
            cells.append(letters[style] * len(segment.text))
        runs = "".join(f"{letter}{len(list(run))} " for letter, run in groupby("".join(cells)))
        text.append(f"{line.rstrip()}")
        styles.append(runs.rstrip())
    legend = [f"{letter} {style}" for style, letter in letters.items()]
    shown = re.sub(r"\d{8}-\d{6}", "20260101-000000", "\n".join(text))
    return "\n".join([shown, "", *styles, "", *legend, ""])


async def settled_picture(pilot: Pilot[Any]) -> str:
    """The screen once it is the same three times in a row."""
    seen: list[str] = []
    while len(seen) < 3 or len(set(seen[-3:])) > 1:
        assert len(seen) < 200, "the screen never comes to rest"
        await settled(pilot)
        seen.append(picture(pilot.app))
    return seen[-1]


async def reviewed(inside: Workspace) -> None:
    """The runs that Revision makes when it is first opened on a trace: the pictures of Revision may not have been
    taken before."""
    for trace in (MANY, SHOP):
        session = Session(inside)
        session.open(inside.traces / f"{trace}.trace.jsonl")
        async with running(session, "revision", SIZES[0]) as (_, pilot):
            await settled(pilot)


@pytest.mark.parametrize("name", STATES)
async def test_picture(name: str, workspaces: dict[str, Workspace], snapshot: SnapshotAssertion) -> None:
    state = STATES[name]
    inside = workspaces["parts" if state.trace in ("running", "paused", "failed", "huge") else state.workspace]
    session = Session(inside)
    if state.trace:
        session.open(inside.traces / f"{state.trace}.trace.jsonl")
    if name in ("dataset", "dataset-export"):
        await reviewed(inside)
    taken = {}
    async with running(session, state.mode, SIZES[0]) as (app, pilot):
        await settled(pilot)
        for key in state.keys:
            await pilot.press(NAMED.get(key, key))
            if len(key) > 1 or key in "[]<:?vipsombcyeftrD":
                await settled(pilot)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            for theme in ("agentr-dark", MONO_THEME):
                app.theme = theme
                taken[f"{width}-{theme.removeprefix('agentr-')}"] = await settled_picture(pilot)
    for kind, shown in taken.items():
        assert shown == snapshot(extension_class=Picture, name=f"{name}-{kind}")
