"""Copying, the palette, notices, what is remembered, leaving: on the real app."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets._toast import Toast

from agentr_tui.app.app import AgentrApp
from agentr_tui.app.keymap import bindings
from agentr_tui.app.preferences import Preferences
from agentr_tui.screens.search.command_line import do_line
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.dialogs import Choice, Menu, Prompt, ask
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.screens.shared.palette import actions
from agentr_tui.state.last_place import LastPlace, Place, View
from agentr_tui.state.session import Session
from agentr_tui.terminal.clipboard import copied_file, copy, tools
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.tree.view import TreeView
from engine.search.job import new_job
from engine.trace.trace_file import load
from engine.tree.events import SearchSettings
from tests.agentr_tui.apps import NARROW, WIDE, notices, opened, running, searched, until


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests."""
    for name in ("CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    workspace = opened(tmp_path / "w")
    found = Session(workspace)
    found.open(searched(workspace))
    return found


def search(app: AgentrApp) -> SearchScreen:
    assert isinstance(app.screen, SearchScreen)
    return app.screen


# -- copying -------------------------------------------------------------------------------------------------


async def copied(app: AgentrApp, pilot: Pilot[Any], key: str) -> str:
    """What `y` and a key copied, by its file; the app named that file."""
    before = notices(app)
    await pilot.press("y")
    await until(pilot, lambda: isinstance(app.screen, Menu))
    await pilot.press(key)
    await until(pilot, lambda: notices(app) != before)
    file = copied_file({"c": "md", "j": "json"}.get(key, "txt"))
    assert str(file) in notices(app)
    return file.read_text(encoding="utf-8")


async def test_y_copies_id_path_action_conversation_and_json_and_names_the_file(session: Session) -> None:
    async with running(session, "search") as (app, pilot):
        assert session.tree is not None
        session.tree.nodes[3].action = "get\x1b[31m 1 \u202eplank"
        search(app).services.go_to_node(3)
        assert await copied(app, pilot, "i") == "3"
        assert await copied(app, pilot, "p") == f"{session.path}:3"
        assert await copied(app, pilot, "a") == "get␛[31m 1 ⟨U+202E⟩plank", "what is pasted steers no terminal"
        told = await copied(app, pilot, "c")
        assert told.count("\n### ") + 1 == len(session.tree.conversation(3))
        assert "\n    Thought: " in told
        facts = json.loads(await copied(app, pilot, "j"))
        assert (facts["id"], facts["action"]) == (3, "get\x1b[31m 1 \u202eplank")
        assert app.clipboard, "the terminal was asked, too"


async def test_every_screen_but_dataset_has_something_to_copy(session: Session) -> None:
    async with running(session, "library") as (app, pilot):
        for key, mode, wanted in (("1", "library", "p"), ("3", "pairs", "i"), ("4", "revision", "j")):
            await pilot.press(key)
            await until(pilot, partial(at, app, mode))
            await until(pilot, lambda: ready(app))
            assert await copied(app, pilot, wanted)


def at(app: AgentrApp, mode: str) -> bool:
    return app.current_mode == mode


def ready(app: AgentrApp) -> bool:

    return isinstance(app.screen, ModeScreen) and len(app.screen.copyable()) > 1


def test_a_clipboard_tool_comes_before_the_terminal_and_a_file_always(tmp_path: Path) -> None:
    asked: list[str] = []
    catch = ["sh", "-c", f"cat > {tmp_path / 'board'}"]
    told = copy("some ⇄ text", "txt", asked.append, [["false"], ["nothing-of-that-name"], catch])
    assert (tmp_path / "board").read_text(encoding="utf-8") == "some ⇄ text"
    assert asked == []
    assert str(copied_file("txt")) in told
    told = copy("x" * 100_000, "txt", asked.append, [["false"]])
    assert asked == [], "a terminal drops so long a sequence"
    assert copied_file("txt").stat().st_size == 100_000
    copy("short", "txt", asked.append, [])
    assert asked == ["short"]


def test_clipboard_tools_are_chosen_by_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wl-copy", "xclip", "tmux", "pbcopy"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools({}, "linux") == []
    assert [tool[0] for tool in tools({"DISPLAY": ":0", "TMUX": "x"}, "linux")] == ["xclip", "tmux"]
    assert [tool[0] for tool in tools({"WAYLAND_DISPLAY": "w"}, "linux")] == ["wl-copy"]
    assert [tool[0] for tool in tools({}, "darwin")] == ["pbcopy"]


async def test_keys_that_come_too_fast_do_a_thing_once(session: Session) -> None:
    done: list[str] = []
    async with running(session, "search") as (app, pilot):
        ask(
            app,
            "which?",
            [Choice("a", "this", lambda: done.append("a")), Choice("b", "that", lambda: done.append("b"))],
        )
        await until(pilot, lambda: isinstance(app.screen, Menu))
        menu = app.screen
        for key in "abba":  # all before the first is looked at
            menu.post_message(Key(key, key))
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))
        await pilot.pause()
        assert done == ["a"]


async def test_dialogs_open_and_close_by_mouse(session: Session) -> None:
    async with running(session, "search") as (app, pilot):
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.click(offset=(1, 1))
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))
        search(app).marks.ask_name(3)
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press(*"here")
        await pilot.click(".dialog-hint", offset=(2, 0))
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))
        kept = search(app).marks.bookmarks
        assert kept is not None
        assert [mark.name for mark in kept.all()] == ["here"]


# -- palette and notices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["library", "search", "pairs", "revision", "dataset"])
async def test_the_palette_holds_every_action_of_a_screen_and_of_the_app(session: Session, mode: str) -> None:
    async with running(session, mode) as (app, _):
        offered = {action.name for action in actions(app, app.screen)}
        here = [bound for id, bound in bindings().items() if id.startswith((f"{mode}.", "mode.")) or "." not in id]
        can = {bound.told for bound in here if app._check_action_state(bound.action, app.screen)}
        # `:` of the Search screen lies over that of the app, `escape` of the find bar over that of the screen
        assert can - {bindings()["command"].told, bindings()["search.escape"].told} <= offered


async def test_a_key_that_means_nothing_gets_one_word_and_ctrl_c_says_how_to_quit(session: Session) -> None:
    async with running(session, "library") as (app, pilot):
        await pilot.press("Z", "Z", "j", "x")
        await pilot.pause()
        assert notices(app).splitlines() == ["Z is not bound here; press ? for the keys"]
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "ctrl+q quits" in notices(app)
        await pilot.press("slash", "Z", "x")
        await pilot.pause()
        assert len(notices(app).splitlines()) == 2, "what is typed is typed"


async def test_the_command_line_knows_every_action_by_its_name(session: Session) -> None:
    async with running(session, "search") as (app, pilot):
        do_line(search(app).parts, "good")
        kept = search(app).marks.bookmarks
        assert kept is not None
        assert [mark.kind for mark in kept.all()] == ["good"]
        do_line(search(app).parts, "event_back")
        await until(pilot, lambda: session.past is not None)
        do_line(search(app).parts, "mode.pairs")
        await until(pilot, lambda: app.current_mode == "pairs")


async def test_the_palette_does_what_is_chosen(session: Session) -> None:
    async with running(session, "search") as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press(*"mode.pairs")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "pairs")


async def test_when_a_notice_is_over_the_screen_is_as_it_was(session: Session) -> None:
    async with running(session, "search") as (app, pilot):
        shown = list(app.screen.query(TreeView))
        before = [widget.region for widget in shown]
        app.notify("over soon", timeout=0.3)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        await until(pilot, lambda: not app.screen.query(Toast))
        await until(pilot, lambda: before == [widget.region for widget in shown])


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_a_notice_hides_nothing(session: Session, size: tuple[int, int]) -> None:
    async with running(session, "search", size) as (app, pilot):
        tree = search(app).tree_view
        await pilot.press("G")
        cursor = tree.cursor_node
        app.complain("something went wrong [not markup] " * 3)
        await until(pilot, lambda: app.screen.query(Toast))
        await pilot.pause(0.1)
        notice = app.screen.query_one(Toast).region
        assert notice.height
        assert notice.bottom == app.size.height
        racks = app.screen.query(".-textual-system, .-textual-system *").nodes
        ours = [widget for widget in app.screen.walk_children(Widget) if widget.is_on_screen and widget not in racks]
        assert app.screen.query_one(KeyBar) in ours
        for widget in ours:
            assert not widget.region.overlaps(notice), widget
        row = tree.rows.row_of(cursor) if tree.rows else None
        assert row is not None
        assert 0 <= row - tree.scroll_offset.y < tree.size.height, "the cursor is still in view"


# -- what is remembered ------------------------------------------------------------------------------------------


async def test_the_session_comes_back_with_screen_trace_cursor_folds_and_tab(session: Session, tmp_path: Path) -> None:
    memory = LastPlace(session.workspace.path)
    app = AgentrApp(session, "search", memory=memory)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.current_mode == "search" and app.screen.is_mounted)
        tree = search(app).tree_view
        tree.fold_to_depth(2)
        search(app).services.go_to_node(2)
        tree.toggle(2)
        await pilot.press("right_square_bracket")
        before = tree.place()
        await pilot.press("ctrl+q")
    place = memory.place()
    assert (place.mode, place.trace) == ("search", str(session.path))
    again = Session(session.workspace, views=place.views)
    app = AgentrApp(again, "library", memory=memory, place=place)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.current_mode == "search" and app.screen.is_mounted)
        await pilot.pause(0.2)
        assert search(app).tree_view.place() == before
        assert "conversation" in str(app.screen.query_one("#tabs").border_title)
        assert search(app).node.tab == 1
        await pilot.press("2", "g", "1")
        other = searched(again.workspace, seed=1)
        app.open_path(other)
        await until(pilot, lambda: again.path == other and app.current_mode == "search")
        assert search(app).tree_view.cursor_node == 0
        assert session.path is not None
        app.open_path(session.path)
        await until(pilot, lambda: again.path == session.path)
        await pilot.pause(0.2)
        assert search(app).tree_view.place()[2:] == before[2:], "folds of each trace are kept"


def test_what_is_remembered_is_never_in_the_way(tmp_path: Path) -> None:
    memory = LastPlace(tmp_path, tmp_path / "state")
    assert memory.place() == Place()
    memory.keep_place("pairs", tmp_path / "a", {str(n): View(cursor=n) for n in range(50)})
    assert [*memory.place().views] == [str(n) for n in range(30, 50)]
    for file in (tmp_path / "state").iterdir():
        file.write_bytes(b"{broken")
    assert memory.place() == Place()
    (tmp_path / "file").touch()
    LastPlace(tmp_path, tmp_path / "file").keep_place("pairs", None, {})


async def test_a_theme_chosen_in_the_app_holds_until_the_settings_say_another(session: Session) -> None:
    memory = LastPlace(session.workspace.path)
    app = AgentrApp(session, "library", memory=memory)
    async with app.run_test(size=WIDE) as pilot:
        app.theme = "agentr-okabe-ito"
        await pilot.pause(0.1)
    app = AgentrApp(session, "library", memory=memory)
    async with app.run_test(size=WIDE):
        assert app.theme == "agentr-okabe-ito"
    app = AgentrApp(session, "library", Preferences(theme="agentr-light"), memory)
    async with app.run_test(size=WIDE):
        assert app.theme == "agentr-light"


async def test_a_bookmark_in_another_trace_leads_there(session: Session) -> None:
    other = searched(session.workspace, seed=1)
    async with running(session, "search") as (app, pilot):
        search(app).marks.mark(7, "bookmark", "here")
        first = session.path
        app.open_path(other)
        await until(pilot, lambda: session.path == other)
        await pilot.press("apostrophe")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press("enter")
        await until(pilot, lambda: session.path == first and isinstance(app.screen, SearchScreen))
        await pilot.pause(0.1)
        assert search(app).tree_view.cursor_node == 7


# -- places are kept -----------------------------------------------------------------------------------------------


async def test_sizes_themes_and_screens_come_and_go_and_the_place_stays(session: Session) -> None:
    async with running(session, "search", (120, 40)) as (app, pilot):
        screen = search(app)
        tree = screen.tree_view
        tree.go_to(100)
        shut = next(id for id in range(20, 90) if tree.rows and tree.rows.has_children(id) and tree.rows.is_visible(id))
        tree.toggle(shut)
        await pilot.pause()
        cursor, _, *folds = tree.place()
        for width, height in ((80, 24), (300, 100), (20, 5), (120, 40)):
            await pilot.resize_terminal(width, height)
            await pilot.pause(0.05)
            assert [tree.cursor_node, *tree.place()[2:]] == [cursor, *folds], (width, height)
            if height >= 12:
                row = tree.rows.row_of(tree.rows.row_node(cursor)) if tree.rows else None
                assert row is not None
                assert 0 <= row - tree.scroll_offset.y < tree.size.height, (width, height)
        before = tree.place()
        for theme in ("agentr-light", "agentr-mono", "agentr-dark"):
            app.theme = theme
            await pilot.pause(0.05)
            assert tree.place() == before, theme
        for key in "14":
            await pilot.press(key)
            await pilot.pause(0.1)
            await pilot.press("2")
            await until(pilot, lambda: app.current_mode == "search")
            await pilot.pause(0.05)
            assert tree.place() == before, key


# -- leaving -------------------------------------------------------------------------------------------------------


async def test_q_with_a_running_search_offers_to_detach_stop_or_stay(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    path = workspace.traces / "live.trace.jsonl"
    session = Session(workspace)
    settings = SearchSettings(iterations=1_000, error_rate=0.5)
    session.start(lambda listener: new_job("textcraft", "2", settings, path, listener=listener, delay=0.02))
    async with running(session, "library") as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("escape")
        assert session.running
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("d")
        await until(pilot, lambda: not session.running)
        await pilot.pause(0.1)
        assert app.to_detach == path
    assert load(path).tree.state == "stopped", "whole, and ready to go on in another process"


def test_a_name_that_is_not_utf_8_is_copied_as_far_as_it_can_be_sent() -> None:
    sent: list[str] = []
    told = copy(b"t-\xff.trace.jsonl".decode("utf-8", "surrogateescape"), "txt", sent.append, commands=[])
    assert sent == ["t-?.trace.jsonl"]
    assert told.startswith("15 characters")
