"""The app over real workspaces, for tests of its screens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.strip import Strip

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.commands.config import own_readers
from agentr_tui.cli.revising import revise_paths
from agentr_tui.state.session import Session
from agentr_tui.widgets.row_table import RowTable
from agentr_tui.widgets.text_pane import TextPane
from engine.samples.settings import ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from tests.engine.made import AS_FOUND

WIDE, NARROW = (110, 32), (80, 24)
PATIENCE = 20.0  # seconds


def searched(
    workspace: Workspace, task: str = "2", *, iterations: int = 4, error_rate: float = 0.5, seed: int = 0
) -> Path:
    """The trace of a real TextCraft search. Task 2 with these settings has good and bad leaves."""
    path = workspace.traces / f"textcraft-{task}-s{seed}.trace.jsonl"
    settings = SearchSettings(iterations=iterations, error_rate=error_rate, seed=seed)
    job = new_job("textcraft", task, settings, path)
    with ThreadPoolExecutor(1) as thread:  # a test's own event loop runs in this one
        thread.submit(job.run_blocking).result()
    return path


def revised(workspace: Workspace, *paths: Path, max_pairs: int | None = None) -> str:
    """A real run of `revise`, over pairs as they are found; its id."""
    settings = ReviseSettings(**AS_FOUND, repair=None, max_pairs=max_pairs)
    return revise_paths(workspace, list(paths), settings, quiet=True)[0]


def opened(folder: Path) -> Workspace:
    """A new workspace."""
    return Workspace.open(folder, create=True)


def showing(folder: Path, iterations: int) -> Session:
    """A new workspace in which a search is open."""
    workspace = opened(folder)
    session = Session(workspace)
    session.open(searched(workspace, iterations=iterations))
    return session


@asynccontextmanager
async def running(
    session: Session, mode: str = "library", size: tuple[int, int] = WIDE
) -> AsyncIterator[tuple[AgentrApp, Pilot[Any]]]:
    """The app on one of its screens."""
    app = AgentrApp(session, mode, own=own_readers(session.workspace.path))
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.current_mode == mode and app.screen.is_mounted)
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[Any], condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for what a thread or the next flush does."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come"
        await pilot.pause(0.02)


def table_lines(table: RowTable) -> list[str]:
    """The lines of a table as they are drawn."""
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


def frame(app: App[Any]) -> list[Strip]:
    """The lines of the screen in front, as they go to the terminal."""
    return list(app.screen._compositor.render_strips())


def pane(app: AgentrApp, id: str) -> str:
    """The text of a pane, with wrapped words joined."""
    return " ".join(app.screen.query_one(f"#{id}", TextPane).plain.split())


def notices(app: AgentrApp) -> str:
    """What the app said in notifications."""
    return "\n".join(notification.message for notification in app._notifications)
