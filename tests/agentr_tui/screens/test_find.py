"""Finding nodes in the app: filter and dim, n and N, the command line, marks that last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.screens.search.command_line import COMMANDS, do_line
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.state.bookmarks import Bookmarks
from agentr_tui.state.session import Session
from agentr_tui.widgets.find_bar import FindBar, FindInput
from agentr_tui.widgets.text_pane import TextPane
from engine.base.errors import InputError
from engine.query.find import at_once, find, gap_of, greatest, ranks
from engine.query.nodes import parse
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import notices, opened, running, searched, until
from tests.engine.made import honey_trace

TALL = (120, 40)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session with a finished search open."""
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace))
    return session


def screen_of(app: AgentrApp) -> SearchScreen:
    assert isinstance(app.screen, SearchScreen)
    return app.screen


def tree_of(session: Session) -> SearchTree:
    assert session.tree is not None
    return session.tree


async def write(pilot: Pilot[Any], text: str) -> None:
    """Type a text."""
    for letter in text:
        await pilot.press({" ": "space"}.get(letter, letter))


async def looked_for(pilot: Pilot[Any], app: AgentrApp, text: str) -> list[int]:
    """Write a query after `/` and wait for what it finds."""
    screen = screen_of(app)
    await pilot.press("slash")
    app.screen.query_one(FindInput).value = text
    await until(pilot, lambda: screen.finder.query == text.strip() and screen.finder.complete)
    await until(pilot, lambda: screen.finder.in_order)
    return screen.finder.matches


def rows(screen: SearchScreen) -> list[int]:
    """The nodes that are rows."""
    found = screen.tree_view.rows
    assert found is not None
    return found.window(0, len(found))


async def test_a_filter_shows_matches_and_the_way_to_them_counts_them_and_stays(session: Session) -> None:
    tree = tree_of(session)
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        everything = len(rows(screen))
        await pilot.press("slash")
        await write(pilot, "disaster or return>=1")
        await until(pilot, lambda: screen.finder.in_order)
        expected = find(parse("disaster or return>=1"), tree)
        assert expected
        assert screen.finder.matches == expected
        wanted = {id for match in expected for id in tree.ancestors(match)}
        assert set(rows(screen)) == wanted
        assert f"{len(expected)} match" in str(screen.tree_view.border_title)
        await pilot.press("enter")
        assert screen.query_one(FindBar).is_open, "it dismissed itself"
        assert screen.tree_view.has_focus
        assert screen.tree_view.cursor_node in expected
        await pilot.press("escape")
        assert not screen.query_one(FindBar).is_open
        assert len(rows(screen)) == everything
        assert "match" not in str(screen.tree_view.border_title)


async def test_n_and_N_go_through_the_matches_in_the_order_of_the_rows_and_around_the_end(session: Session) -> None:
    tree = tree_of(session)
    rank = at_once(ranks(tree))
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        found = await looked_for(pilot, app, "action~craft depth>1 visits>1")
        order = sorted(found, key=rank.__getitem__)
        assert order != found, "the order of the rows is that of creation here: the test proves nothing"
        await pilot.press("enter")
        seen = [screen.tree_view.cursor_node]
        for _ in order[1:]:
            await pilot.press("n")
            seen.append(screen.tree_view.cursor_node)
        assert seen == order
        await pilot.press("n")
        assert screen.tree_view.cursor_node == order[0]
        await pilot.press("N")
        assert screen.tree_view.cursor_node == order[-1]
        await pilot.press("N")
        assert screen.tree_view.cursor_node == order[-2]


async def test_dimming_keeps_all_rows_and_lets_the_others_stand_back(session: Session) -> None:
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        everything = rows(screen)
        found = await looked_for(pilot, app, "good")
        assert len(rows(screen)) < len(everything)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert rows(screen) == everything
        roles = {id: screen.tree_view.row_of(id).text_role for id in everything}
        assert {id for id, role in roles.items() if role != "faint"} == set(found)
        await pilot.press("escape")
        assert all(screen.tree_view.row_of(id).text_role != "faint" for id in everything)


async def test_what_is_wrong_with_a_query_is_told_while_it_is_written(session: Session) -> None:
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        await pilot.press("slash")
        await write(pilot, "disater")
        note = app.screen.query_one("#find-note")
        await until(pilot, lambda: "did you mean disaster?" in str(note.render()))
        assert note.has_class("-wrong")
        assert screen.query_one(FindBar).is_open
        assert screen.finder.matches == []
        await pilot.press(*["backspace"] * 7)
        await write(pilot, "[red]x")
        await until(pilot, lambda: "is not a field or flag" in str(note.render()))


async def test_the_past_is_filtered_as_it_was(session: Session) -> None:
    tree = tree_of(session)
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        now = await looked_for(pilot, app, "visits>=1 depth>2")
        await pilot.press("enter", *["less_than_sign"] * 3)
        assert session.past is not None
        then = find(parse("visits>=1 depth>2"), tree.at(session.past))
        await until(pilot, lambda: screen.finder.complete and screen.finder.matches == then)
        assert then != now
        await pilot.press("L")
        await until(pilot, lambda: screen.finder.complete and screen.finder.matches == now)


async def test_the_command_line_goes_to_what_stands_out(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace, error_rate=0.6, iterations=8))
    tree = tree_of(session)
    returns = {leaf.id: leaf.reward for leaf in tree.leaves()}
    standing_out = {
        "best": {id for id, value in returns.items() if value == max(returns.values())},
        "worst": {id for id, value in returns.items() if value == min(returns.values())},
        "gap": set(at_once(greatest(tree, gap_of(tree)))),
        "disaster": set(find(parse("disaster"), tree)),
    }
    assert not standing_out["disaster"]
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        for command, expected in standing_out.items():
            for _ in range(min(2, len(expected)) or 1):
                others = expected - {screen.tree_view.cursor_node}
                await pilot.press("colon")
                await write(pilot, command)
                await pilot.press("enter")
                if expected:
                    await until(pilot, lambda others=others: screen.tree_view.cursor_node in others)  # type: ignore[misc]
                else:
                    await until(pilot, lambda: "No node matches disaster" in notices(app))


async def test_every_command_is_checked_before_it_is_done(session: Session) -> None:
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        for line, said in (
            ("nonsense", "neither a node nor a command"),
            ("fold", "needs an argument: fold DEPTH"),
            ("fold x", "not 'x'"),
            ("best now", "takes no argument"),
            ("c much", "c must be a number"),
            ("next q>", "query, column 3"),
            ("break q>", "query, column 3"),
            ("set seed=1", "can't be changed"),
            ("9999999", "is not there"),
            ("find [bold]", ""),
        ):
            do_line(screen.parts, line)
            await pilot.pause()
            assert said in notices(app), line
        assert app.is_running


async def test_fold_to_depth_and_unfold(session: Session) -> None:
    tree = tree_of(session)
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        screen.tree_view.crowded = False
        do_line(screen.parts, "fold 2")
        assert set(rows(screen)) == {node.id for node in tree.nodes if node.depth <= 2}
        do_line(screen.parts, "unfold")
        assert len(rows(screen)) == len(tree)
        await pilot.pause()


async def test_every_command_is_in_the_palette(session: Session) -> None:
    from agentr_tui.screens.search.command_line import SearchCommands

    async with running(session, "search", TALL) as (app, _):
        provider = SearchCommands(app.screen)
        hits = [hit async for hit in provider.discover()]
        assert [str(hit.prompt).split()[0] for hit in hits] == [command.name for command in COMMANDS]
        found = [hit async for hit in provider.search("widest gap")]
        assert found


async def test_c_shows_what_another_constant_would_choose(session: Session) -> None:
    async with running(session, "search", TALL) as (app, pilot):
        await pilot.press("j")
        tabs = app.screen.query_one("#tabs", TextPane)
        assert "with c" not in tabs.plain
        await pilot.press("c")
        assert "with c 0:" in tabs.plain
        await pilot.press("c")
        assert "with c 1:" in tabs.plain  # 0.25 is its own
        do_line(screen_of(app).parts, "c 7.5")
        assert "with c 7.5:" in tabs.plain


async def test_why_tells_who_was_chosen_and_what_a_node_is(session: Session) -> None:
    tree = tree_of(session)
    async with running(session, "search", TALL) as (app, pilot):
        screen, tabs = screen_of(app), app.screen.query_one("#tabs", TextPane)
        choice = tree.choice(0, tree.seq)
        assert choice is not None
        await pilot.press("j")
        assert f"event {choice.seq}" in " ".join(tabs.plain.split())
        leaf = next(tree.leaves())
        screen.tree_view.go_to(leaf.id)
        await pilot.pause()
        assert f"(event {tree.born_at(leaf.id)})" in " ".join(tabs.plain.split())
        await pilot.press("left_square_bracket")
        assert "ended" in tabs.plain
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: '"seed":' in tabs.plain and '"messages":' in tabs.plain)
        await until(pilot, lambda: '"draw":' in tabs.plain.split("request")[0].split("answer")[1])
        assert "key" not in tabs.plain.lower().replace("state_key", "")


# -- marks -----------------------------------------------------------------------------------------------


async def test_marks_last_and_are_listed(session: Session) -> None:
    tree = tree_of(session)
    path = session.path
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        screen.tree_view.go_to(5)
        await pilot.press("m", "m")
        await write(pilot, "odd one")
        await pilot.press("enter")
        await pilot.pause()
        screen.tree_view.go_to(7)
        await pilot.press("m", "g")
        await pilot.press("m", "b")
        await pilot.pause()
        assert screen.tree_view.row_of(5).word == "odd one"
        assert screen.tree_view.row_of(5).gutter == "★"
        assert screen.tree_view.row_of(7).word == "bad"
        await pilot.press("g", "apostrophe")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert screen_of(app).tree_view.cursor_node == 5
    again = Session(session.workspace)
    assert path is not None
    again.open(path)
    async with running(again, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        await until(pilot, lambda: screen.marks.of(5))
        assert screen.tree_view.row_of(5).word == "odd one"
        screen.tree_view.go_to(5)
        await pilot.press("m", "x")
        await pilot.pause()
        assert not screen.marks.of(5)
    assert tree.started is not None
    left = Bookmarks(session.workspace.path / "bookmarks").of_trace(tree.started.trace)
    assert [(mark.node, mark.kind) for mark in left] == [(7, "bad")]


def test_marks_of_two_processes_come_together_and_a_torn_line_waits(tmp_path: Path) -> None:
    one, other = Bookmarks(tmp_path, "anna"), Bookmarks(tmp_path, "bert")
    one.set("t", 1, "bookmark", " a\nname\ud800 ")
    assert other.refresh()
    assert [(mark.name, mark.reviewer) for mark in other.of_trace("t")] == [("a name?", "anna")]
    other.set("t", 1, "bookmark", "better")
    one.refresh()
    assert [mark.name for mark in one.of_trace("t")] == ["better"]
    (file,) = [file for file in tmp_path.iterdir() if file.name.startswith("anna")]
    with file.open("ab") as stream:
        stream.write(b'{"trace":"t","no')
    assert not other.refresh()
    with file.open("ab") as stream:
        stream.write(b'de":"x"}\n')
    other.refresh()
    assert other.warnings == [f"{file}:2: not a mark (Expected `int`, got `str` - at `$.node`): left out"], (
        "a line that is no mark takes the others nothing"
    )
    assert [mark.name for mark in other.of_trace("t")] == ["better"]


async def test_states_seen_before_and_refused_steps_are_marked(session: Session) -> None:
    tree = tree_of(session)
    async with running(session, "search", TALL) as (app, pilot):
        screen = screen_of(app)
        await pilot.pause()
        words = {node.id: screen.tree_view.row_of(node.id).word for node in tree.nodes}
        repeated = next(n for n in tree.nodes if n.terminal is None and len(tree.same_state(n.id)) > 1
                        and words[n.id] != "refused" and words[n.id] != "all ended")  # fmt: skip
        assert words[repeated.id] == f"seen {len(tree.same_state(repeated.id))}×"
        refused = [id for id, word in words.items() if word == "refused"]
        assert refused
        assert all("ould not" in tree.nodes[id].observation for id in refused)
        first = tree.same_state(repeated.id)[0]
        screen.time.look_at(tree.born_at(first))
        assert "seen" not in screen.tree_view.row_of(first).word


# -- many traces -------------------------------------------------------------------------------------------


def test_grep_finds_nodes_of_many_traces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from agentr_tui.cli.commands.grep import grep

    honey_trace(tmp_path / "a" / "honey.trace.jsonl")
    workspace = opened(tmp_path / "w")
    searched(workspace)
    assert grep("good", [tmp_path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("in 2 of 2 traces")
    assert sum("honey.trace.jsonl:" in line for line in lines) == 2
    assert grep("good", [tmp_path], limit=1, json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["matches"]) == 1
    assert told["total"] == len(lines) - 1
    assert told["matches"][0]["reward"] == 1
    assert grep("q>99", [tmp_path], json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "query": "q>99", "matches": [], "total": 0, "matching": 0, "traces": 2
    }  # fmt: skip
    with pytest.raises(InputError, match="column 1"):
        grep("goood", [tmp_path])
    broken = tmp_path / "broken.trace.jsonl"
    broken.write_text("no\n")
    assert grep("good", [tmp_path]) == 1  # told, and the others are looked through
    assert "broken.trace.jsonl" in capsys.readouterr().err
    with pytest.raises(InputError, match="broken"):
        grep("good", [broken])
    if "grep" in __import__("agentr_tui.cli.application", fromlist=["COMMANDS"]).COMMANDS:
        assert run(["grep", "good", str(tmp_path / "a")]) == 0
