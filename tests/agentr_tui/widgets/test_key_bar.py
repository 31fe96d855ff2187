"""The key bar: whole keys only, help always, a click does what the key does."""

from __future__ import annotations

from pathlib import Path

from agentr_tui.screens.shared.mode_screen import tab_title
from agentr_tui.state.session import Session
from agentr_tui.widgets.key_bar import GAP, KeyBar, ShownKey, fitting
from agentr_tui.widgets.text_pane import TextPane
from tests.agentr_tui.apps import NARROW, opened, running, searched, until

KEYS = [ShownKey(name, name, word, word, "") for name, word in (("a", "accept"), ("r", "reject"), ("s", "skip"))]
HELP = ShownKey("?", "?", "help", "help", "")


def test_keys_are_left_out_whole_and_help_never() -> None:
    for width in range(8, 60):
        shown = fitting([*KEYS, HELP], width)
        assert shown[-1] == HELP
        assert shown[:-1] == KEYS[: len(shown) - 1]
        assert sum(key.cells for key in shown) + GAP * (len(shown) - 1) <= max(width, HELP.cells)
    assert fitting([*KEYS, HELP], 60) == [*KEYS, HELP]


async def test_the_bar_of_every_screen_ends_with_help_at_any_width(tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    session.open(searched(session.workspace))
    async with running(session, "search", NARROW) as (app, pilot):
        for mode in "12345":
            await pilot.press(mode)
            for width in (80, 47, 120):
                await pilot.resize_terminal(width, 24)
                bar = app.screen.query_one(KeyBar)
                text = bar.render_line(0).text.rstrip()
                assert text.endswith(" ?  help"), (mode, width, text)
                assert len(text) <= width


async def test_a_click_on_a_key_does_what_the_key_does(tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    session.open(searched(session.workspace))
    async with running(session, "search") as (app, pilot):
        bar = app.screen.query_one(KeyBar)
        text = bar.render_line(0).text
        assert "pause" not in text  # no search goes on: keys that steer one have no place
        await pilot.click(KeyBar, offset=(text.index("view") + 1, 0))
        await until(pilot, lambda: len(app.screen_stack) == 2)


async def test_a_screen_without_a_tree_says_what_to_do_and_shows_the_tree_when_there_is_one(tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    path = searched(session.workspace)
    async with running(session, "search") as (app, pilot):
        assert "enter opens the trace" in app.screen.query_one(".nothing", TextPane).plain
        app.open_path(path)
        await until(pilot, lambda: not app.screen.has_class("-nothing"))
        await until(pilot, lambda: app.focused is not None and app.focused.id == "tree")


def test_the_open_tab_is_named_in_full_and_others_are_cut_where_room_is_short() -> None:
    names = ("why", "conversation", "environment", "raw", "log")
    for width in (30, 40, 60):
        for active, name in enumerate(names):
            title = tab_title(names, active, width)
            assert f" {name} " in title
            assert "why" in title
            assert "log" in title
            assert width < 40 or len(title.replace("[reverse]", "").replace("[/]", "")) <= width - 4
