"""A tree that grows on screen: what is drawn, what is kept, how a large one is opened."""

from __future__ import annotations

import gc
import inspect
import io
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.pilot import Pilot

from agentr_tui.app import app as app_module
from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.search.node_lines import FIRST_LINES, MOST_LINES, conversation_lines
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.state.session import KEPT_AFTER, Session
from agentr_tui.state.session import read_tree as really_read
from agentr_tui.widgets.text_pane import TextPane
from engine.search.job import new_job
from engine.trace.trace_file import TraceWriter, write_trace
from engine.tree.events import AnyEvent, SearchSettings
from engine.tree.node import ROOT
from tests.agentr_tui.apps import opened, until
from tests.agentr_tui.trees import Grower, random_tree
from tests.benchmarks.bench_tree_view import BytesDriver

SIZE = (120, 40)


def append(path: Path, events: list[AnyEvent]) -> None:
    """Write on, as another process does."""
    with TraceWriter(path, append_to=path.stat().st_size) as writer:
        for event in events:
            writer.write(event)


async def test_growth_and_keys_write_a_small_part_of_the_screen(tmp_path: Path) -> None:
    grower = random_tree(1_000, 1)  # as many figures before as after: the columns stay
    path = tmp_path / "t.trace.jsonl"
    write_trace(path, grower.events[:-40])
    session = Session(opened(tmp_path / "w"))
    session.open(path)
    app = AgentrApp(session, "search")
    app.driver_class = BytesDriver
    async with app.run_test(headless=False, size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted)
        await pilot.press("j", "j")
        await pilot.pause(0.2)

        async def written(press: str = "") -> int:
            BytesDriver.written = 0
            if press:
                await pilot.press(press)
            await pilot.pause(0.5)
            return BytesDriver.written

        app.screen.refresh()
        everything = await written()
        assert await written() == 0, "nothing happened and something was written"
        append(path, grower.events[-40:])
        await until(pilot, lambda: session.tree is not None and session.tree.seq == grower.events[-1].seq)
        assert 0 < await written() < everything / 2
        assert 0 < await written("j") < everything / 2


def test_trees_are_left_out_of_collections_of_garbage(tmp_path: Path) -> None:
    grower = random_tree(2 * KEPT_AFTER + 500, 1)
    events, path = grower.events, tmp_path / "t.trace.jsonl"
    write_trace(path, events[: len(events) // 2])
    session = Session(opened(tmp_path / "w"))
    gc.unfreeze()
    try:
        session.open(path)
        assert session.tree is not None
        before, nodes = gc.get_freeze_count(), len(session.tree)
        assert before > nodes
        append(path, events[len(events) // 2 :])
        while session.flush() is not None:
            pass
        assert len(session.tree) == len(grower.tree)
        assert gc.get_freeze_count() - before > KEPT_AFTER
        assert gc.isenabled()
    finally:
        gc.unfreeze()


class Circle:
    """Something that is found by a collection only."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.parametrize("how", ["another trace is opened", "a search is started"])
def test_garbage_among_what_was_kept_goes_when(how: str, tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    write_trace(path, random_tree(300, 1).events)
    session, circle = Session(opened(tmp_path / "w")), Circle()
    left = weakref.ref(circle)
    try:
        session.open(path)  # keeps the circle, too
        del circle
        gc.collect()
        assert left() is not None
        if how == "a search is started":
            out = tmp_path / "s.trace.jsonl"
            session.start(lambda listener: new_job("textcraft", "2", SearchSettings(), out, listener=listener))
        else:
            session.open(path)
        assert left() is None
    finally:
        gc.unfreeze()


@asynccontextmanager
async def shown(folder: Path, path: Path) -> AsyncIterator[tuple[AgentrApp, Pilot[Any]]]:
    """The app with a trace on the Search screen."""
    session = Session(opened(folder / "w"))
    session.open(path)
    app = AgentrApp(session, "search")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted)
        yield app, pilot


async def test_a_slow_terminal_gets_what_is_new_when_it_took_the_last_picture(tmp_path: Path) -> None:
    grower, path, waiting = random_tree(60, 1), tmp_path / "t.trace.jsonl", Queue[str]()
    write_trace(path, grower.events[:-20])
    async with shown(tmp_path, path) as (app, pilot):
        session = app.session
        app._driver._writer_thread = SimpleNamespace(_queue=waiting)  # type: ignore[union-attr]
        waiting.put("the last picture")
        append(path, grower.events[-20:])
        app.flush()
        await pilot.press("j")  # keys are served all the same
        assert session.tree is not None
        assert session.tree.seq == grower.events[-21].seq
        waiting.get()
        app.flush()
        assert session.tree.seq == grower.events[-1].seq


async def test_a_key_is_drawn_before_what_came_with_it_and_the_search_is_shown_while_keys_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "KEY_FRAME", 1000.0)  # the key's frame is not drawn yet
    monkeypatch.setattr(app_module, "FLUSH_AT_LEAST", 1000.0)
    grower, path = random_tree(60, 1), tmp_path / "t.trace.jsonl"
    write_trace(path, grower.events[:-20])
    async with shown(tmp_path, path) as (app, pilot):
        session = app.session
        assert session.tree is not None
        app.flush()
        await pilot.press("j")
        append(path, grower.events[-20:])
        app.flush()
        assert session.tree.seq == grower.events[-21].seq
        monkeypatch.setattr(app_module, "FLUSH_AT_LEAST", 0.0)  # long enough ago
        app.flush()
        assert session.tree.seq == grower.events[-1].seq


def test_a_frame_waits_for_the_one_before_it_8_milliseconds_at_most() -> None:
    program = "import agentr_tui.cli.running, agentr_tui.app.app, textual.screen; print(textual.screen.UPDATE_PERIOD)"
    environment = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60, env=environment)
    assert 2 * float(done.stdout) < 0.0084  # two steps of its timer


async def test_screens_are_left_out_of_collections_of_garbage_once_a_tree_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    write_trace(path, random_tree(60, 1).events)
    session = Session(opened(tmp_path / "w"))
    app = AgentrApp(session, "library")
    try:
        async with app.run_test(size=SIZE) as pilot:
            app.open_path(path)
            await until(pilot, lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted)
            tree = app.screen.query_one("#tree")
            await until(pilot, lambda: not any(each is tree for each in gc.get_objects()))
    finally:
        gc.unfreeze()


def test_textual_queues_writes_where_this_looks_for_them() -> None:
    assert WriterThread(io.StringIO())._queue.qsize() == 0
    assert "_writer_thread" in inspect.getsource(LinuxDriver)


async def test_a_large_trace_is_read_while_the_app_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, go_on = tmp_path / "large.trace.jsonl", threading.Event()
    write_trace(path, random_tree(3_000, 1).events)

    def read(path: Path, follow: bool, told: object) -> object:  # the same, and it stands still in between
        def telling(share: float) -> None:
            told(share)  # type: ignore[operator]
            if share > 0.2:
                go_on.wait(20)

        return really_read(path, follow, telling)

    monkeypatch.setattr(app_module, "read_tree", read)
    app = AgentrApp(Session(opened(tmp_path / "w")), "search", opening=(path, False))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted)
        said = app.screen.query_one(".nothing", TextPane)
        await until(pilot, lambda: "Reading large.trace.jsonl … " in said.plain)
        go_on.set()
        await until(pilot, lambda: app.session.tree is not None)
        await until(pilot, lambda: "3,000 nodes" in str(app.screen.query_one("#tree").border_title))


def test_a_very_deep_conversation_is_shown_from_both_ends() -> None:
    grower, at = Grower(), ROOT
    for step in range(MOST_LINES):
        (at,) = grower.expand(at, [f"get {step} oak log"], observation=f"Got {step}.")
    lines = ["".join(text for text, _ in line.parts) for line in conversation_lines(grower.tree, at)]
    assert len(lines) == MOST_LINES + 1
    assert "You are a helpful assistant." in lines[0]
    assert "y copies all" in lines[FIRST_LINES]
    assert f"Got {MOST_LINES - 1}." in lines[-1]


async def test_a_widget_that_was_removed_is_let_go_when_another_tree_is_opened(tmp_path: Path) -> None:
    """A day of plots and panes that came and went kept up to 1,024 of them a screen."""
    path = tmp_path / "t.trace.jsonl"
    write_trace(path, random_tree(20, 1).events)
    async with shown(tmp_path, path) as (app, pilot):
        pane = TextPane(id="passing")
        await app.screen.mount(pane)
        assert app.screen.query_one("#passing") is pane
        await pilot.pause()  # it is drawn
        await pane.remove()
        removed, lines = weakref.ref(pane), weakref.ref(pane._styles_cache)
        del pane
        assert app.screen.displayed_children  # kept by the screen's list until somebody asks again
        app.show_tree()
        await pilot.pause()
        gc.unfreeze()
        gc.collect()
        assert removed() is None
        assert lines() is None
