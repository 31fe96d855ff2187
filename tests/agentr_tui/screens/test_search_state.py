"""What the Search screen says of the search's state: why it stands, what is next; one way to find; enlarged panes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Input

from agentr_tui.screens.search.figures import next_step, pause_reason, top_line
from agentr_tui.screens.search.overlays.command_prompt import CommandPrompt
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.dialogs import Choice, Menu
from agentr_tui.screens.shared.finding import find_query
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.top_bar import TopBar, shortened
from engine.pairs.pairs import count_pairs
from engine.query.nodes import QueryError, parse
from engine.trace.trace_file import TraceWriter, write_trace
from engine.tree.events import Ended, Intervened, Paused, Resumed
from tests.agentr_tui.apps import frame, opened, running, searched, until
from tests.agentr_tui.services import FakeServices
from tests.agentr_tui.trees import random_tree, yellow_bed


def test_a_stop_tells_why_until_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services, grower = FakeServices(tmp_path), yellow_bed()
    services.show(grower.tree)
    monkeypatch.setattr(Session, "control", property(lambda session: object()))
    grower.apply(Intervened(seq=0, who="ada", what="breakpoint", node=0, detail="good depth<6"))
    grower.apply(Paused(seq=0, reason="breakpoint: node 7 is good", kind="breakpoint", node=7, query="good"))
    for _ in range(3):
        said = "".join(text for text, _ in top_line(services.session)[0])
        assert "◦ stopped at good · node 7" in said
        assert next_step(services.session) == "stopped at good · node 7 · space goes on"
        assert "break at good depth<6" in said
    grower.apply(Resumed(seq=0))
    said = "".join(text for text, _ in top_line(services.session, following=True)[0])
    assert "stopped" not in said
    assert "● running" in said
    assert " following " in said
    grower.apply(Paused(seq=0))
    assert pause_reason(grower.tree) == "paused"
    assert next_step(services.session) == ""


def test_an_ended_search_says_what_is_next(tmp_path: Path) -> None:
    services, grower = FakeServices(tmp_path), yellow_bed()
    services.show(grower.tree)
    grower.apply(Ended(seq=0, reason="stopped"))
    pairs = count_pairs(grower.tree, services.session.thresholds)
    assert pairs > 1
    assert next_step(services.session).startswith(f"4 reviews its {pairs} pairs")
    assert "(stopped)" not in "".join(text for text, _ in top_line(services.session)[0])
    grower.apply(Ended(seq=0, reason="exhausted"))
    assert "(nothing left to select)" in "".join(text for text, _ in top_line(services.session)[0])
    services.session.alpha = 2.0
    assert "no leaf is good" in next_step(services.session)
    services.session.past = 3
    assert next_step(services.session) == ""


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("sandstne", 'text~"sandstne"'),
        ("cut red", 'cut text~"red"'),
        ("good yellow", 'good text~"yellow"'),
        ("depth<6 wool", 'depth<6 text~"wool"'),
        ("q>0.5 visits>=2", "q>0.5 visits>=2"),
    ],
)
def test_a_word_is_looked_for_in_the_texts_and_a_query_stays_one(text: str, query: str) -> None:
    assert find_query(text).term == parse(query).term


def test_a_wrong_query_says_what_is_wrong() -> None:
    with pytest.raises(QueryError, match="compared with a number"):
        find_query("q>>0.5")


async def test_bars_stay_round_an_enlarged_pane_and_the_line_of_commands_completes(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    session = Session(workspace)
    session.open(searched(workspace, iterations=2))
    async with running(session, "search") as (app, pilot):
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        before = screen.tree_view.outer_size
        await pilot.press("plus")
        await until(pilot, lambda: screen.tree_view.outer_size.width == screen.size.width)
        assert screen.query_one(TopBar).display
        assert screen.query_one(KeyBar).keys()[0].action == "restore"
        assert not screen.query_one("#node-side").display
        await pilot.press("underscore")
        await until(pilot, lambda: screen.tree_view.outer_size == before)
        await pilot.press("colon", *"fol", "tab", "2", "enter")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("colon", "up")
        prompt = app.screen
        assert isinstance(prompt, CommandPrompt)
        await until(pilot, lambda: prompt.query_one(Input).value == "fold 2")
        await pilot.press("escape")
        app.push_screen(Menu("what?", [Choice("a", "do it", lambda: None, "not now: it is over")]))
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.pause()
        shown = "\n".join(strip.text for strip in frame(app))
        label, reason = (
            next(at for at, each in enumerate(shown.splitlines()) if words in each)
            for words in ("do it", "not now: it is over")
        )
        assert reason == label + 1


async def test_a_narrow_window_names_the_keys_to_a_node_and_back_from_its_first_moment_on(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace, "5", iterations=1))
    async with running(session, "search", (80, 24)) as (app, pilot):
        bar = app.screen.query_one(KeyBar)
        await until(pilot, lambda: frame(app)[-1].text.startswith(" enter  node "))
        await pilot.press("enter")
        await until(pilot, lambda: frame(app)[-1].text.startswith(" esc  back "))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: all(shown.word not in ("node", "back") for shown in KeyBar.keys(bar)))


async def test_a_tree_that_grows_lays_the_screen_out_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layout draws every widget: ten a second would make each key wait."""
    grower, path = random_tree(400, 1), tmp_path / "growing.trace.jsonl"
    write_trace(path, grower.events)
    session = Session(opened(tmp_path / "workspace"))
    session.open(path, follow=True)
    laid_out: list[Screen[object]] = []
    lay_out = Screen._refresh_layout
    async with running(session, "search", (120, 40)) as (app, pilot):
        await until(pilot, lambda: not app.workers and app.screen.query_one("#tree").size.height)
        await pilot.pause()

        def counted(screen: Screen[object], size: Size | None = None, scroll: bool = False) -> None:
            laid_out.append(screen)
            lay_out(screen, size, scroll)

        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        for count in range(4):
            written = len(grower.events)
            at = next(node.id for node in reversed(grower.tree.nodes) if node.terminal is None and not node.expanded)
            grower.expand(at, [f"look {count}", f"wait {count}"])
            with TraceWriter(path, append_to=path.stat().st_size) as writer:
                for event in grower.events[written:]:
                    writer.write(event)
            await until(pilot, lambda: session.tree is not None and len(session.tree) == len(grower.tree))
            await pilot.pause()
        assert laid_out == []


def test_a_long_task_and_a_long_goal_leave_room_for_the_state() -> None:
    parts: list[tuple[str, Role]] = [(f"textcraft {'t' * 300} ", "strong"), (f" {'very ' * 99} ", "text")]
    shown = "".join(text for text, _ in shortened([*parts, (" ● done (iterations) ", "muted")], 70))
    assert shown.endswith(" ● done (iterations) ")
    assert len(shown) <= 70
