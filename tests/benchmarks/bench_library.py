"""A workspace of many traces: how long `stats` takes, how long the Library takes to open, sort and filter.

    python -m tests.benchmarks.bench_library [--traces 10000] [--folder KEEP]

The traces are copies of one small search with ids and tasks of their own. Told: the first `stats`, which builds the
index; `stats` again from the warm index; the Library over the warm index, from its start until all figures are shown;
then the time of the app's own work for each order and for filters.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import time
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.screens.library.rows import SORTS
from agentr_tui.screens.library.screen import LibraryScreen
from agentr_tui.state.session import Session
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace


def make(workspace: Workspace, count: int) -> None:
    """Copies of one search, a folder for each thousand."""
    first = workspace.path / "first.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=2, max_depth=4), first, overwrite=True).run_blocking()
    started, rest = first.read_bytes().split(b"\n", 1)
    told = json.loads(started)
    for number in range(count):
        path = workspace.traces / f"part-{number // 1000}" / f"textcraft-{number}-s0.trace.jsonl"
        path.parent.mkdir(exist_ok=True)
        told["trace"], told["task"] = f"{number:016x}", str(number)
        path.write_bytes(json.dumps(told).encode() + b"\n" + rest)
    first.unlink()


def now() -> tuple[float, float]:
    """Clock and CPU time: on a busy machine the second tells more."""
    return time.perf_counter(), time.process_time()


def timed(what: str, began: tuple[float, float]) -> None:
    """Print how long it took."""
    clock, cpu = now()
    print(f"{what:40} {clock - began[0]:8.3f} s {cpu - began[1]:8.3f} s CPU", flush=True)


def stats(workspace: Workspace) -> None:
    """What the command does."""
    with redirect_stdout(io.StringIO()):
        assert run(["stats", str(workspace.traces), "--json", "--workspace", str(workspace.path)]) == 0


async def library(workspace: Workspace) -> None:
    """The Library, as a person sees it."""
    began = now()
    app = AgentrApp(Session(workspace), "library")
    async with app.run_test(size=(120, 34)) as pilot:
        screen = app.screen
        assert isinstance(screen, LibraryScreen)
        while not screen.shown:
            await pilot.pause(0.01)
        timed("Library: the first rows", began)
        while not (screen.watched.looked_once and all(row.figures or row.error for row in screen.shown)):
            await pilot.pause(0.01)
        timed(f"Library: all figures of {len(screen.shown)}", began)
        for order in SORTS:
            began = now()
            screen._sort_by(order, False)
            await pilot.pause()
            timed(f"Library: by {order}", began)
        for wanted in ("99", "good>0 pairs>=1", "craft", "state=done nodes<3", "nothing"):
            began = now()
            screen._wanted = wanted
            screen.node_filter.take(wanted)
            screen._show()
            await pilot.pause()
            timed(f"Library: filter {wanted} ({len(screen.shown)})", began)
        screen._wanted = ""
        screen.node_filter.take("")
        began = now()
        await pilot.press("down", "down", "down")
        timed("Library: three keys", began)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="workspace that is kept and used again")
    given = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = given.folder or Path(place) / "w"
        known = folder.is_dir()
        workspace = Workspace.open(folder, create=True)
        if not known:
            began = now()
            make(workspace, given.traces)
            timed(f"{given.traces} traces written", began)
        for what in ("stats, the first time", "stats, warm", "stats, warm"):
            began = now()
            stats(workspace)
            timed(what, began)
        asyncio.run(library(workspace))


if __name__ == "__main__":
    main()
