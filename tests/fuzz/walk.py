"""A walk through the app with random keys, over a workspace whose files were changed."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.app.keymap import bindings
from agentr_tui.state.error_log import FILE as ERRORS
from agentr_tui.state.session import Session
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import frame, opened, revised, running, searched, until
from tests.fuzz.mutations import GENTLE, changed
from tests.fuzz.outside import FORBIDDEN, call
from tests.fuzz.readers import read, seeds

SIZES = ((80, 24), (200, 60), (40, 12))
MODES = "12345"
LEFT_OUT = {"ctrl+q", "q", "ctrl+p", *MODES}
"""Keys that leave the app, open the palette (it writes pictures elsewhere), or change the screen."""

KEYS = sorted({key for bound in bindings().values() for key in bound.keys} - LEFT_OUT)
BESIDE = {"run": "runs", "decisions": "decisions", "planted": "planted", "recoveries": "recoveries"}
"""Folders of files beside the traces, by the reader that takes them."""

PATIENCE = 60.0  # seconds until what a key began is done


@cache
def reviewed() -> Path:
    """A workspace with a search, a run of `revise`, decisions, planted faults, recoveries and an export. For a
    thread without an event loop: commands make one."""
    folder = Path(tempfile.mkdtemp())
    workspace = opened(folder / "w")
    revised(workspace, searched(workspace))
    for words in (
        ["review", "accept", "mark>=1"],
        ["review", "reject", "mark<2", "--reason", "early"],
        ["review", "plant", "--share", "0.5"],
        ["recover", "verdict:verified", "--continuations", "1"],
        ["export", "--out", str(workspace.exports / "o.jsonl")],
    ):
        assert call([*words, "--workspace", str(workspace.path)], folder) == 0, words
    return workspace.path


def taken(kind: str, data: list[bytes], rng: random.Random, folder: Path) -> bytes:
    """Changed bytes that the reader takes; the good ones where forty changes were refused."""
    for _ in range(40):
        drawn = [(rng.choice(GENTLE), rng.randrange(1 << 30), rng.randrange(1 << 30)) for _ in range(rng.randint(1, 3))]
        found = changed(rng.choice(data), drawn)
        fresh = folder / f"{kind}-{rng.randrange(1 << 30)}"
        if found not in data and read(kind, found, fresh):
            return found
    return data[0]


def changed_workspace(number: int, folder: Path) -> Workspace:
    """A copy of the workspace in which half of the files beside the traces were changed."""
    rng = random.Random(number)
    shutil.copytree(reviewed(), folder / "w")
    for kind, name in BESIDE.items():
        for path in sorted((folder / "w" / name).glob("*.jsonl")):
            if rng.random() < 0.5:
                path.write_bytes(taken(kind, [path.read_bytes()], rng, folder))
    return Workspace.open(folder / "w")


def changed_tree(number: int, workspace: Workspace, folder: Path) -> Path:
    """A changed trace of the workspace's search, or another file that holds a tree, in the workspace."""
    rng = random.Random(number)
    (good,) = [path for path in reviewed().joinpath("traces").iterdir() if path.name.endswith(".trace.jsonl")]
    kind = rng.choice(("trace", "trace", "trace", "corpus", "tree", "rollouts", "eval"))
    if kind == "trace":
        path, data = workspace.traces / good.name, [good.read_bytes()]
    else:
        name = {"corpus": "t.trace.jsonl", "tree": "t.json", "rollouts": "r.json", "eval": "l.eval"}[kind]
        kind = "trace" if kind == "corpus" else kind
        path, data = workspace.traces / f"{number}-{name}", seeds(kind)
    path.write_bytes(taken(kind, data, rng, folder))
    return path


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until what a key began is done."""
    await pilot.pause()
    await until(pilot, lambda: not any(each.is_running for each in pilot.app.workers), PATIENCE)
    await pilot.pause()


def check(app: AgentrApp, told: object) -> None:
    """The frame holds no sign that a terminal obeys, and each line is as wide as the terminal."""
    for y, strip in enumerate(frame(app)):
        text = "".join(segment.text for segment in strip)
        wrong = [hex(ord(each)) for each in text if unicodedata.category(each) in FORBIDDEN]
        assert not wrong, (told, y, wrong, text)
        assert strip.cell_length == app.size.width, (told, y, text)


async def walk(number: int, folder: Path, trees: int = 1, keys: int = 8) -> None:
    """Open changed files in the app and press random keys on each of the five screens."""
    rng = random.Random(number)
    workspace = changed_workspace(number, folder)
    session = Session(workspace)
    size = SIZES[number % len(SIZES)]
    told: list[object] = [number, size]
    async with running(session, "library", size) as (app, pilot):
        app.guard.enabled = False  # the widgets alone have to do it
        for tree in range(trees):
            path = changed_tree(number * 1000 + tree, workspace, folder)
            told += [path.name]
            app.open_path(path)
            await settled(pilot)
            for mode in rng.sample(MODES, len(MODES)):
                for _ in range(3):
                    await pilot.press("escape")
                for key in (mode, *rng.choices(KEYS, k=keys)):
                    told.append(key)
                    await pilot.press(key)
                    await settled(pilot)
                    assert app.is_running, told
                    check(app, told)
        log = workspace.path / ERRORS
        assert not log.exists(), (told, log.read_text(encoding="utf-8"))
        told.append("end")
        await asyncio.sleep(0)
