"""What if, in the app: a running search goes on otherwise, the past starts a new trace; each says its price first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, TextArea

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.screens.search.command_line import do_line
from agentr_tui.screens.search.overlays.edit_step import EditStep
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.state.session import Session
from agentr_tui.widgets.text_pane import TextPane
from engine.search.control import Control
from engine.search.control_file import RemoteControl
from engine.search.interventions import Intervention
from engine.search.job import SearchJob, new_job
from engine.trace.trace_file import load
from engine.tree.events import AnyEvent, SearchSettings
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import notices, opened, running, searched, until
from tests.engine.made import honey_trace

TALL = (120, 40)


@pytest.fixture
def finished(tmp_path: Path) -> Session:
    """A session with a finished search open."""
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace))
    return session


@pytest.fixture
def live(tmp_path: Path) -> Session:
    """A session with a search that starts with the app, and stands still at once."""
    workspace = opened(tmp_path / "w")
    settings = SearchSettings(iterations=40, error_rate=0.5, max_depth=8)

    def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
        path = workspace.traces / "live.trace.jsonl"
        control = Control(paused=True)
        return new_job("textcraft", "2", settings, path, listener=listener, delay=0.002, control=control)

    session = Session(workspace)
    session.start(make)
    return session


@asynccontextmanager
async def watching(session: Session) -> AsyncIterator[tuple[AgentrApp, Pilot[Any]]]:
    """The Search screen; a search that still runs at the end is stopped."""
    async with running(session, "search", TALL) as (app, pilot):
        try:
            yield app, pilot
        finally:
            if session.live is not None:
                session.live.control.stop()
                await until(pilot, lambda: session.live is None or session.live.over)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A trace that another process writes, slowly."""
    path = tmp_path / "t.trace.jsonl"
    arguments = ["--task", "2", "--delay", "0.03", "--iterations", "40", "--error-rate", "0.5", "--out", str(path)]
    process = subprocess.Popen([sys.executable, "-m", "agentr_tui", "search", *arguments], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 40
        while not path.exists() or path.read_bytes().count(b"\n") < 12:
            assert time.monotonic() < end, "no trace"
            time.sleep(0.05)
        yield path
    finally:
        process.kill()
        process.wait()


def screen_of(app: AgentrApp) -> SearchScreen:
    assert isinstance(app.screen, SearchScreen)
    return app.screen


def tree_of(session: Session) -> SearchTree:
    assert session.tree is not None
    return session.tree


def menu(app: AgentrApp) -> str:
    """The title and lines of the menu in front."""
    assert isinstance(app.screen, Menu)
    options = app.screen.query_one(OptionList).options
    return "\n".join([app.screen.question, *(str(option.prompt) for option in options)])


async def chosen(pilot: Pilot[Any], app: AgentrApp, *keys: str) -> str:
    """Press keys, the last of which chooses in a menu; what the menu said."""
    *before, last = keys
    await pilot.press(*before)
    await until(pilot, lambda: isinstance(app.screen, Menu) and app.screen.query(OptionList))
    said = menu(app)
    await pilot.press(last)
    await pilot.pause()
    return said


async def paused(pilot: Pilot[Any], session: Session, app: AgentrApp, steps: int = 3) -> SearchTree:
    """The live search after some expansions, standing still."""
    tree = tree_of(session)
    for _ in range(steps):
        before = sum(node.expanded for node in tree.nodes)
        await pilot.press("s")
        await until(pilot, lambda before=before: sum(n.expanded for n in tree.nodes) > before)  # type: ignore[misc]
        await until(pilot, lambda: tree.state == "paused")
    return tree


def left_to_expand(tree: SearchTree) -> int:
    return next(n.id for n in tree.nodes if n.terminal is None and not n.expanded and n.id not in tree.in_flight)


# -- at the live end ---------------------------------------------------------------------------------------


async def test_a_step_is_edited_and_expanded_in_the_running_search(live: Session) -> None:
    async with watching(live) as (app, pilot):
        tree = await paused(pilot, live, app)
        screen = screen_of(app)
        sibling = tree.nodes[ROOT].children[0]
        screen.tree_view.go_to(sibling)
        said = await chosen(pilot, app, "i", "e")
        assert f"node {sibling} · in this search" in said
        assert "4 calls, tokens unknown" in said or "was expanded already" in said
        await until(pilot, lambda: isinstance(app.screen, EditStep))
        area = app.screen.query_one(TextArea)
        assert area.text == tree.nodes[sibling].response
        area.text = "Thought: mine.\nAction: inventory"
        said = await chosen(pilot, app, "ctrl+s", "x")
        assert "no calls" in said
        assert "4 calls, tokens unknown" in said
        await until(pilot, lambda: bool(tree.written_by))
        written = next(iter(tree.written_by))
        await until(pilot, lambda: bool(tree.nodes[written].children))
        assert tree.state == "paused" or tree.state == "running"
        assert screen_of(app).tree_view.cursor_node == written
        node = tree.nodes[written]
        assert (node.parent, node.action, node.draw) == (ROOT, "inventory", -1)
        assert screen.tree_view.row_of(written).gutter == "✎"
        assert "written" in app.screen.query_one("#node", TextPane).plain
        await pilot.press("left_square_bracket")
        log = " ".join(app.screen.query_one("#tabs", TextPane).plain.split())
        assert f"got a written step in place of node {sibling}: inventory" in log
        await pilot.press("space")
        await until(pilot, lambda: tree.iteration > 3)
    path = live.path
    assert path is not None
    assert load(path).tree.written_by == tree.written_by


async def test_expanding_pruning_and_restoring_by_keys(live: Session) -> None:
    async with watching(live) as (app, pilot):
        tree = await paused(pilot, live, app)
        node = left_to_expand(tree)
        screen_of(app).tree_view.go_to(node)
        said = await chosen(pilot, app, "i", "x")
        assert "expand it now: 4 calls, tokens unknown" in said
        await until(pilot, lambda: bool(tree.nodes[node].children))
        await until(pilot, lambda: tree.state == "paused")
        await chosen(pilot, app, "i", "d")
        await until(pilot, lambda: tree.pruned(node))
        screen = screen_of(app)
        assert screen.tree_view.row_of(node).word == "pruned"
        why = " ".join(app.screen.query_one("#tabs", TextPane).plain.split())
        assert "never selected any more" in why
        said = await chosen(pilot, app, "i", "d")
        assert "take it up again" in said
        await until(pilot, lambda: not tree.pruned(node))
        do_line(screen.parts, "prune")
        await until(pilot, lambda: tree.pruned(node))
        do_line(screen.parts, "prune")
        await until(pilot, lambda: "is pruned already" in notices(app))
        count = len(tree.interventions)
        do_line(screen.parts, "expand")
        await until(pilot, lambda: "That can't be done" in notices(app))
        assert len(tree.interventions) == count


async def test_a_breakpoint_holds_the_search_up_and_shows_the_node(live: Session) -> None:
    async with watching(live) as (app, pilot):
        tree = tree_of(live)
        await until(pilot, lambda: tree.state == "paused")
        do_line(screen_of(app).parts, "break depth>=3")
        await until(pilot, lambda: tree.breakpoints == ["depth>=3"])
        await pilot.press("space")
        await until(pilot, lambda: tree.state == "paused" and tree.seq > 10)
        first = next(node.id for node in tree.nodes if node.depth >= 3)
        await until(pilot, lambda: f"breakpoint: node {first} is depth>=3" in notices(app))
        assert screen_of(app).tree_view.cursor_node == first
        said = await chosen(pilot, app, "i", "b")
        assert "breakpoint" in said
        await until(pilot, lambda: isinstance(app.screen, Menu) and app.screen.query(OptionList))
        assert "remove: depth>=3" in menu(app)
        assert "disaster" in menu(app)
        await pilot.press("a")
        await until(pilot, lambda: not tree.breakpoints)


async def test_settings_of_a_running_search_are_changed_and_wrong_ones_refused(live: Session) -> None:
    async with watching(live) as (app, pilot):
        tree = await paused(pilot, live, app, 1)
        await chosen(pilot, app, "i", "s")
        await until(pilot, lambda: bool(app.screen.query(Input)))
        field = app.screen.query_one(Input)
        assert field.value.startswith("c=0.25 iterations=40")
        field.value = field.value.replace("c=0.25", "c=1.5").replace("samples=4", "samples=8")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Menu) and app.screen.query(OptionList))
        assert "c 0.25 → 1.5, samples 4 → 8" in menu(app)
        most = 40 * 4 * 9
        assert (
            f"at most {2 * most:,} calls, tokens unknown to the end; with those of now at most {most:,} calls"
            in menu(app)
        )
        await pilot.press("escape")
        await pilot.pause()
        assert tree.settings_at(tree.seq).c == 0.25
        screen_of(app).interventions.change_settings("c=1.5")
        assert "c 0.25 → 1.5" in await chosen(pilot, app, "y")
        await until(pilot, lambda: tree.settings_at(tree.seq).c == 1.5)
        changed = [event for event in tree.chronicle.log if hasattr(event, "changes")]
        assert [event.changes for event in changed] == [{"c": 1.5}]
        for wrong, said in (("c=x", "is not a number"), ("seed=2", "can't be changed"), ("c=1.5", "in force already")):
            screen_of(app).interventions.change_settings(wrong)
            await pilot.pause()
            assert said in notices(app)
        assert tree.settings_at(0).c == 0.25


def test_a_search_that_a_person_changed_is_killed_goes_on_and_replays_without_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.trace.jsonl"
    arguments = ["--task", "2", "--delay", "0.03", "--iterations", "6", "--error-rate", "0.5", "--out", str(path)]
    command = [sys.executable, "-m", "agentr_tui", "search", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        remote = RemoteControl(path)

        def written(what: bytes) -> None:
            end = time.monotonic() + 40
            while not path.exists() or what not in path.read_bytes():
                assert time.monotonic() < end, f"no {what!r}"
                time.sleep(0.02)

        written(b'"expanded"')
        for asked in (
            Intervention("edited", 0, "Thought: I look first.\nAction: inventory"),
            Intervention("note", 1, "odd"),
            Intervention("breakpoint", 0, "good"),
        ):
            remote.intervene(asked)
        remote.change({"c": 1.0})
        written(b'"settings_changed"')
        written(b'"breakpoint"')
        process.kill()
    killed = load(path).tree
    assert killed.end_reason is None
    assert run(["search", "--resume", str(path)]) == 0
    done = load(path).tree
    assert done.end_reason is not None
    assert [event.what for event in done.interventions] == ["edited", "note", "breakpoint"]
    assert done.settings_at(done.seq).c == 1.0
    assert [done.nodes[id].action for id in done.written_by] == ["inventory"]
    capsys.readouterr()
    assert run(["replay", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []


async def test_a_search_of_another_process_is_edited_and_says_what_it_refuses(elsewhere: Path, tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    session.open(elsewhere, follow=True)
    async with watching(session) as (app, pilot):
        tree = tree_of(session)
        screen_of(app).interventions.ask_for(Intervention("edited", ROOT, "Thought: mine.\nAction: inventory"))
        await until(pilot, lambda: bool(tree.written_by))
        screen_of(app).interventions.send(Intervention("pruned", ROOT))  # past the check of the app's own
        await until(pilot, lambda: "the root can't be pruned" in notices(app))


# -- the past ------------------------------------------------------------------------------------------------


async def test_an_edit_in_the_past_starts_a_new_trace_from_there(finished: Session) -> None:
    old, old_path = tree_of(finished), finished.path
    assert old_path is not None
    before = old_path.read_bytes()
    async with watching(finished) as (app, pilot):
        screen_of(app).time.look_at(old.iteration_seqs[0])
        seq = finished.past
        assert seq is not None
        child = old.nodes[ROOT].children[0]
        screen_of(app).tree_view.go_to(child)
        said = await chosen(pilot, app, "i", "e")
        assert f"a new trace starts from event {seq}" in said
        await until(pilot, lambda: isinstance(app.screen, EditStep))
        app.screen.query_one(TextArea).text = "Thought: mine.\nAction: inventory"
        await chosen(pilot, app, "ctrl+s", "x")
        await until(pilot, lambda: isinstance(app.screen, Menu) and app.screen.query(OptionList))
        said = menu(app)
        assert f"a new trace from event {seq} of {old.seq}" in said
        assert "3 iterations" in said
        assert "calls, tokens unknown" in said
        await pilot.press("y")
        await until(
            pilot, lambda: finished.tree is not old and finished.tree is not None and bool(finished.tree.written_by)
        )
        tree = tree_of(finished)
        await until(pilot, lambda: finished.live is None and tree.state == "done")
        assert tree.started is not None
        assert old.started is not None
        assert tree.started.forked_from is not None
        assert (tree.started.forked_from.trace, tree.started.forked_from.seq) == (old.started.trace, seq)
        written = next(iter(tree.written_by))
        assert written == old.nodes_at(seq)
        assert tree.nodes[written].expanded
        assert finished.path != old_path
    assert old_path.read_bytes() == before


async def test_a_search_that_is_over_goes_on_in_a_new_trace_and_escape_starts_nothing(finished: Session) -> None:
    old = tree_of(finished)
    async with watching(finished) as (app, pilot):
        node = left_to_expand(old)
        screen_of(app).tree_view.go_to(node)
        said = await chosen(pilot, app, "i", "x")
        assert "this search is over: a new trace starts from its end" in said
        assert "up to 4 iterations" in await chosen(pilot, app, "escape")
        await pilot.pause(0.2)
        assert finished.tree is old
        assert len(list(finished.workspace.traces.glob("*.jsonl"))) == 1
        await chosen(pilot, app, "i", "x")
        await chosen(pilot, app, "y")
        await until(pilot, lambda: finished.tree is not old and finished.live is None and bool(tree_of(finished).nodes))
        tree = tree_of(finished)
        assert tree.nodes[node].expanded
        assert tree.iteration == old.iteration + 4
        assert tree.interventions[0].what == "forced"


async def test_what_was_not_possible_then_is_refused_with_the_moment(finished: Session) -> None:
    old = tree_of(finished)
    async with watching(finished) as (app, pilot):
        screen_of(app).time.look_at(old.iteration_seqs[0])
        screen_of(app).interventions.ask_for(Intervention("forced", ROOT))
        await until(pilot, lambda: isinstance(app.screen, Menu) and app.screen.query(OptionList))
        await pilot.press("y")
        await until(pilot, lambda: f"event {finished.past}: node 0 was expanded already" in notices(app))
        assert finished.tree is old
        assert len(list(finished.workspace.traces.glob("*.jsonl"))) == 1


async def test_a_new_search_starts_from_a_node_also_of_a_tree_made_elsewhere(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(honey_trace(tmp_path / "honey.trace.jsonl"))
    old = tree_of(session)
    async with watching(session) as (app, pilot):
        screen_of(app).tree_view.go_to(3)
        said = await chosen(pilot, app, "i", "f")
        assert "made elsewhere" in said
        said = await chosen(pilot, app, "y")
        assert "the 2 steps to it as its prefix" in said
        assert "at most 176 calls" in said
        await until(pilot, lambda: session.tree is not old and session.live is None and len(tree_of(session)) > 1)
        started = tree_of(session).started
        assert started is not None
        assert len(started.prefix) == 2


async def test_control_characters_of_an_answer_are_written_out_in_the_editor(live: Session) -> None:
    async with watching(live) as (app, pilot):
        await paused(pilot, live, app, 1)
        app.push_screen(EditStep("x", "Thought: \x1b]52;c;AAAA\x07\nAction: a\u202eb", "x"))
        await pilot.pause()
        text = app.screen.query_one(TextArea).text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert text.splitlines()[1].startswith("Action: a")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, SearchScreen)


async def test_a_user_id_without_a_name_may_intervene(live: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENTR_REVIEWER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    async with watching(live) as (app, pilot):
        tree = await paused(pilot, live, app)
        screen_of(app).tree_view.go_to(left_to_expand(tree))
        await chosen(pilot, app, "i", "x")
        await until(pilot, lambda: tree.interventions)
        assert tree.interventions[-1].who == "user-54321"
