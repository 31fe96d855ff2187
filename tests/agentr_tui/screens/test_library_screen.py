"""The library lists what there is, whatever state it is in, and starts, resumes and deletes searches."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from textual.pilot import Pilot
from textual.widgets import Input, Static

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.screens.library.deletion import references
from agentr_tui.screens.library.families import Nested
from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.library.new_search_form import FIELDS, parse
from agentr_tui.screens.library.rows import SORTS, age, arranged, cells, duration
from agentr_tui.screens.library.screen import LibraryScreen
from agentr_tui.screens.search.overlays.compare import CompareScreen
from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.state import library_tail
from agentr_tui.state.library_scan import Known, look, look_at_running
from agentr_tui.state.session import Session
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.row_table import RowTable
from agentr_tui.widgets.text_pane import TextPane
from engine.base.errors import InputError
from engine.query.find import find_in
from engine.query.nodes import parse as parse_query
from engine.trace.diff import compare
from engine.trace.sources import Source, load_any
from engine.trace.trace_file import TraceWriter, read_events, write_trace
from engine.tree.events import Fork, SearchSettings, Started, event_encoder
from engine.workspace.figures import figures
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import NARROW, WIDE, notices, opened, pane, revised, running, searched, table_lines, until
from tests.agentr_tui.trees import yellow_bed


def library(app: AgentrApp) -> LibraryScreen:
    assert isinstance(app.screen, LibraryScreen)
    return app.screen


async def listed(app: AgentrApp, pilot: Pilot[Any], count: int) -> RowTable:
    """The table, when that many files were read."""
    screen = library(app)

    def there() -> bool:
        return len(screen.shown) == count and all(row.state != "reading" for row in screen.shown)

    await until(pilot, there)
    await pilot.pause()
    return screen.table


# -- rows ------------------------------------------------------------------------------------------------


def row(name: str, *, state: str = "done", task: str = "1", nodes: int = 5, modified: float = 0.0) -> TraceRow:
    """A row with real figures, changed where the test says so."""
    known = figures(Source(yellow_bed().tree, name, "trace"))
    known.state, known.task, known.nodes = state, task, nodes  # type: ignore[assignment]
    return TraceRow(Path(name), modified, known, "craft a bed")


@pytest.mark.parametrize("sort", SORTS)
def test_running_searches_come_first_however_it_is_sorted(sort: str) -> None:
    rows = [row("a", nodes=9, modified=3), row("b", state="running"), replace(row("c"), live=True), row("d", nodes=1)]
    assert [found.path.name for found in arranged(rows, sort, "")][:2] == ["c", "b"]


def test_tasks_are_sorted_by_their_number_and_the_unread_come_last() -> None:
    rows = [TraceRow(Path("x")), row("a", task="10"), row("b", task="9")]
    assert [found.path.name for found in arranged(rows, "task", "")] == ["b", "a", "x"]


def test_a_filter_takes_rows_that_hold_every_word_anywhere() -> None:
    rows = [row("a", task="9"), row("b", state="crashed"), replace(row("c"), goal="craft a boat")]
    names = {words: [found.path.name for found in arranged(rows, "newest", words)] for words in ("CRASHED bed", "boat")}
    assert names == {"CRASHED bed": ["b"], "boat": ["c"]}


@pytest.mark.parametrize("seconds", [0, 0.04, 9.96, 59.6, 99.99, 100, 119.7, 3_599.9, 7_199, 10**9])
def test_ages_and_durations_fit_their_columns(seconds: float) -> None:
    assert len(age(seconds)) <= 4
    assert len(duration(seconds)) <= 6
    assert "60" not in duration(seconds).partition("m")[2]


def test_what_is_unknown_is_blank_not_zero() -> None:
    unread = cells(Nested(TraceRow(Path("a.trace.jsonl"))), 0.0)
    assert all("0" not in text for part in unread[2:] for text, _ in part)


# -- looking ---------------------------------------------------------------------------------------------


def looked(workspace: Workspace, sources: list[Path], known: dict[Path, Known]) -> list[Known]:
    """One look; `known` is brought up to date."""
    told: list[Known] = []

    def report(items: Any) -> None:
        told.extend(items)
        known.update({item.row.path: item for item in items})

    for path in known.keys() - look(workspace, sources, dict(known), report):
        del known[path]
    return told


def looked_at_running(known: dict[Path, Known]) -> list[Known]:
    """A look at the running searches; `known` is brought up to date."""
    told: list[Known] = []
    look_at_running(dict(known), told.extend)
    known.update({item.row.path: item for item in told})
    return told


def await_rest(item: Known) -> None:
    """As if it had been left alone long enough."""
    if item.tail is not None:
        item.tail._rest_until = 0.0


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    known: dict[Path, Known] = {}
    first = looked(workspace, [], known)
    assert first[-1].row.figures == figures(load_any(path))
    assert first[-1].row.goal == "craft cut red sandstone"
    assert looked(workspace, [], known) == []
    events = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(events[: len(events) // 2]))
    known[path] = replace(known[path], rest_until=0.0)
    assert looked(workspace, [], known)[-1].row.state == "crashed"
    path.unlink()
    looked(workspace, [], known)
    assert known == {}


def test_a_search_elsewhere_is_running_while_it_holds_the_trace_and_crashed_when_it_is_gone(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    whole = list(read_events(searched(workspace)))
    path = workspace.traces / "elsewhere.trace.jsonl"
    known: dict[Path, Known] = {}
    with TraceWriter(path) as writer:
        for event in whole[:40]:
            writer.write(event)
        looked(workspace, [], known)
        assert known[path].row.state == "running"
        assert looked_at_running(known)[-1].tail is not None
        assert looked_at_running(known) == [], "nothing is read while nothing grows"
        for event in whole[40:80]:
            writer.write(event)
        assert looked(workspace, [], known) == []
        await_rest(known[path])
        looked_at_running(known)
        assert known[path].row.figures == figures(load_any(path)), "as if it were read from the start"
        assert known[path].row.state == "running"
    looked_at_running(known)
    assert known[path].row.state == "crashed"


def test_a_search_whose_lock_is_not_seen_is_running_while_its_trace_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = opened(tmp_path)
    lines = searched(workspace).read_bytes().splitlines(keepends=True)
    path = workspace.traces / "elsewhere.trace.jsonl"
    known: dict[Path, Known] = {}
    path.write_bytes(b"".join(lines[:40]))
    looked(workspace, [], known)
    assert known[path].row.state == "crashed", "nobody is seen to write it"
    for count in (80, 120):
        path.write_bytes(b"".join(lines[:count]))
        known[path] = replace(known[path], rest_until=0.0)
        await_rest(known[path])
        looked(workspace, [], known)
        looked_at_running(known)
        assert known[path].row.state == "running"
    monkeypatch.setattr(library_tail, "GONE_AFTER", -1.0)
    await_rest(known[path])
    looked_at_running(known)
    assert known[path].row.state == "crashed"


def test_a_large_file_that_grows_is_left_alone_for_a_while(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    known: dict[Path, Known] = {}
    looked(workspace, [], known)
    known[path] = replace(known[path], rest_until=float("inf"))
    with path.open("ab") as file:
        file.write(b"\n")
    assert looked(workspace, [], known) == []


def test_a_source_that_is_gone_is_a_row_that_says_so(tmp_path: Path) -> None:
    known: dict[Path, Known] = {}
    looked(opened(tmp_path / "w"), [tmp_path / "no-such.trace.jsonl"], known)
    (only,) = known.values()
    assert "no such file" in only.row.error


async def test_a_folder_that_is_followed_shows_new_and_growing_traces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    assert run(["open", str(folder), "--workspace", str(tmp_path / "w")]) == 2
    assert "no traces below" in capsys.readouterr().err
    assert run(["open", "--follow", str(folder), "--workspace", str(tmp_path / "w")]) == 2
    assert "needs a terminal" in capsys.readouterr().err, "an empty folder may be followed"
    whole = list(read_events(searched(opened(tmp_path / "other"))))
    async with running(Session(opened(tmp_path / "w"), sources=[folder])) as (app, pilot):
        with TraceWriter(folder / "sub" / "new.trace.jsonl") as writer:
            for event in whole[:40]:
                writer.write(event)
            table = await listed(app, pilot, 1)
            few = int(table.texts(0)[3])
            assert table.texts(0)[0].endswith("running")
            for event in whole[40:]:
                writer.write(event)
            await until(pilot, lambda: int(table.texts(0)[3]) > few)
        await until(pilot, lambda: table.texts(0)[0].endswith("done"))


# -- the screen ------------------------------------------------------------------------------------------


async def test_the_table_shows_the_figures_that_stats_gives(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    known = figures(load_any(path))
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 1)
        texts = table.texts(0)
        assert texts[:3] == ["✓ done", "textcraft 2", "craft cut red sandstone"]
        expected = [known.nodes, known.good, known.bad, "1.0", known.pairs, known.max_depth, known.calls]
        assert texts[3:10] == [str(value) for value in expected]
        assert texts[-1] == "2-s0", "the environment is named beside it"


async def test_a_broken_trace_is_a_row_that_says_what_is_wrong_and_everything_else_works(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    searched(workspace)
    (workspace.traces / "broken.trace.jsonl").write_text('{"type":"started"}\nnonsense\n{}\n')
    (workspace.traces / "empty.trace.jsonl").touch()
    (workspace.traces / "search_results_9.json").write_text("[1, 2")
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 4)
        text = "\n".join(table_lines(table))
        assert text.count("✗ broken") == 2
        assert text.count("crashed") == 1  # its search was killed before it wrote an event
        assert "line 1" in text
        assert "✓ done" in text
        table.go_to(workspace.traces / "broken.trace.jsonl")
        await pilot.press("enter", "r")
        await pilot.pause()
        assert app.current_mode == "library"
        assert "broken.trace.jsonl" in notices(app)


async def test_a_filter_may_be_a_query_on_nodes(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    good, never = searched(workspace), searched(workspace, "3", iterations=1, error_rate=1.0)
    assert len(find_in(never, parse_query("good")).nodes) == 0 < len(find_in(good, parse_query("good")).nodes)
    count = len(find_in(good, parse_query("return>0.9")).nodes)
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 2)
        note = app.screen.query_one("#trace-note", TextPane)
        await pilot.press("slash", *"return>")
        await until(pilot, lambda: "return" in note.plain and "number" in note.plain)
        await pilot.press(*"0.9")
        await until(pilot, lambda: f"{count} nodes match" in note.plain)
        assert (table.row_count, table.cursor_key) == (1, good)
        app.screen.query_one("#trace-filter", Input).value = "nodes disaster"
        await until(pilot, lambda: "no trace has such a node" in note.plain)
        app.screen.query_one("#trace-filter", Input).value = "s0"  # words
        await until(pilot, lambda: table.row_count == 2)


async def test_texts_of_a_trace_are_shown_not_obeyed(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    events = list(read_events(searched(workspace)))
    started = events[0]
    started.instruction = "[red]\x1b[2J[/nope] \u202e"  # type: ignore[union-attr]
    started.environment = "[bold]evil"  # type: ignore[union-attr]
    path = workspace.traces / "[red]hostile[bold].trace.jsonl"
    path.write_bytes(b"".join(event_encoder.encode(event) + b"\n" for event in events))
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 2)
        text = "\n".join(table_lines(table))
        assert "[red]␛[2J" in text
        assert "[bold]evil" in text
        table.go_to(path)
        await pilot.press("slash", *"[red]", "enter", "D")  # also in titles, filters and questions
        await until(pilot, lambda: isinstance(app.screen, Menu))
        assert "[red]hostile[bold]" in str(app.screen.query_one(".dialog-title", Static).content)


async def test_enter_opens_the_tree_on_the_search_screen(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    session = Session(workspace)
    async with running(session) as (app, pilot):
        await listed(app, pilot, 1)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "search")
        assert session.path == path
        assert session.tree is not None
        assert len(session.tree) == figures(load_any(path)).nodes


async def test_an_empty_library_says_what_to_do_and_shows_the_sample_trees_on_demand(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path)), size=NARROW) as (app, pilot):
        await until(pilot, lambda: "starts a search" in pane(app, "library-empty"))
        text = pane(app, "library-empty")
        assert library(app).has_class("-none")
        assert "agentr open --shipped" in text
        await pilot.press("t")
        await until(pilot, lambda: len(library(app).shown) >= 3)
        await until(pilot, lambda: not library(app).has_class("-none"))
        table = await listed(app, pilot, len(library(app).shown))
        assert "textcraft" in "\n".join(table_lines(table))
        await until(pilot, lambda: table.has_focus)
        await pilot.press("j", "D")
        await pilot.pause()
        assert "is outside the workspace" in notices(app)


async def test_the_filter_stays_until_escape_and_takes_digits_as_text(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    for task in ("2", "3", "11"):
        searched(workspace, task, iterations=1)
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 3)
        await pilot.press("slash", "s", "-", "1", "1")
        await until(pilot, lambda: table.row_count == 0)
        await pilot.press(*["backspace"] * 4, *"-11-")  # the folder's name may hold the number, too
        await until(pilot, lambda: table.row_count == 1)
        assert app.current_mode == "library"
        await pilot.press("enter")
        assert table.has_focus
        assert library(app).query_one("#trace-filter", Input).display
        assert table.row_count == 1
        await pilot.press("escape")
        await until(pilot, lambda: table.row_count == 3)


async def test_s_goes_through_the_orders(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    small, large = searched(workspace, "2", iterations=1), searched(workspace, "3", iterations=3)
    os.utime(large, (1, 1))
    async with running(Session(workspace)) as (app, pilot):
        table = await listed(app, pilot, 2)
        seen = {}
        for _ in SORTS:
            seen[library(app).sort] = [str(row.path) for row in library(app).shown]
            await pilot.press("s")
        assert seen["newest"] == [str(small), str(large)]
        assert seen["nodes"] == [str(large), str(small)]
        assert table.border_subtitle == "newest first"


@pytest.mark.parametrize("size", [WIDE, NARROW, (40, 12)])
async def test_every_line_fits_and_the_narrow_table_keeps_what_matters(tmp_path: Path, size: tuple[int, int]) -> None:
    workspace = opened(tmp_path)
    searched(workspace)
    async with running(Session(workspace), size=size) as (app, pilot):
        table = await listed(app, pilot, 1)
        assert "textcraft 2" in "\n".join(table_lines(table))
        assert "done" in "\n".join(table_lines(table))


# -- new search ------------------------------------------------------------------------------------------


async def filled(pilot: Pilot[Any], dialog: NewSearch, **values: str) -> None:
    for name, value in values.items():
        dialog.query_one(f"#{name}", Input).value = value
    await pilot.pause()


async def test_the_dialog_is_set_as_the_trace_under_the_cursor(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    searched(workspace, "7", iterations=3, error_rate=0.25, seed=5)
    async with running(Session(workspace)) as (app, pilot):
        await listed(app, pilot, 1)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, NewSearch))
        values = {box.id: box.value for box in app.screen.query(Input) if box.region.height}
        assert values == {
            "details": "", "task": "7", "iterations": "3", "max_depth": "10", "samples": "4", "parallel_nodes": "1",
            "c": "0.25", "seed": "5", "error_rate": "0.25", "delay": "0.25",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("iterations", "0", "at least 1"),
        ("iterations", "many", "not a whole number"),
        ("samples", "", "needs a whole number"),
        ("c", "-1", "at least 0"),
        ("c", "nan", "not a number"),
        ("error_rate", "1.5", "at most 1"),
        ("seed", "2.5", "not a whole number"),
        ("delay", "inf", "not a number"),
    ],
)
def test_a_wrong_number_is_refused_with_a_line(name: str, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse(next(field for field in FIELDS if field.name == name), text)


def test_every_number_of_the_form_is_a_setting_or_the_delay() -> None:
    assert {field.name for field in FIELDS} - {"delay"} <= set(SearchSettings.__struct_fields__)


async def test_a_wrong_field_says_so_below_it_and_nothing_starts(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    session = Session(workspace)
    async with running(session) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, NewSearch))
        dialog = app.screen
        assert isinstance(dialog, NewSearch)
        await filled(pilot, dialog, iterations="none")
        await pilot.press("enter")
        line = dialog.query_one("#iterations-error", Static)
        assert line.display
        assert "not a whole number" in str(line.content)
        await filled(pilot, dialog, iterations="2", task="no such task", details="more")
        await pilot.press("enter")
        await until(pilot, lambda: dialog.query_one("#task-error", Static).display)
        assert "textcraft takes no argument but tools, not 'more'" in str(
            dialog.query_one("#task-error", Static).content
        )
        await filled(pilot, dialog, details="", task="no such task")
        await pilot.press("enter")
        await until(pilot, lambda: dialog.query_one("#task-error", Static).display)
        assert "no such task" in str(dialog.query_one("#task-error", Static).content)
        assert app.screen is dialog
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not dialog)
        assert session.live is None
        assert list(workspace.traces.iterdir()) == []


async def test_start_runs_a_search_that_is_shown_live_and_lands_in_the_workspace(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    session = Session(workspace)
    async with running(session) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, NewSearch))
        dialog = app.screen
        assert isinstance(dialog, NewSearch)
        await filled(pilot, dialog, task="2", iterations="2", error_rate="0.5", delay="0.15")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "search")
        assert session.live is not None
        path = session.live.path
        await pilot.press("1")
        table = await listed(app, pilot, 1)
        assert table.texts(0)[0] == "● live"
        await pilot.press("o")
        await pilot.pause()
        assert "a search is running" in notices(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "search")
        await until(pilot, lambda: session.live is None)
        assert session.tree is not None
        assert session.tree.state == "done"
        assert path.parent == workspace.traces
        assert figures(load_any(path)).nodes == len(session.tree)


# -- resume ----------------------------------------------------------------------------------------------


async def test_resume_brings_a_killed_search_to_the_end_it_would_have_had(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace, iterations=2)
    whole = tmp_path / "whole.trace.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join(lines))
    path.write_bytes(b"".join(lines[:-8]) + b'{"type":"sampl')
    session = Session(workspace)
    async with running(session) as (app, pilot):
        table = await listed(app, pilot, 1)
        assert table.texts(0)[0] == "✗ crashed"
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "search")
        await until(pilot, lambda: session.live is None)
        assert session.tree is not None
        assert session.tree.state == "done"
    assert list(compare(read_events(whole), read_events(path))) == []


async def test_resuming_what_is_done_says_so(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    searched(workspace, iterations=1)
    session = Session(workspace)
    async with running(session) as (app, pilot):
        await listed(app, pilot, 1)
        await pilot.press("r")
        await until(pilot, lambda: "is done" in notices(app))
        assert session.live is None


# -- delete ----------------------------------------------------------------------------------------------


async def test_delete_asks_and_names_the_samples_that_refer_to_the_trace(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    revised(workspace, path)
    revised(workspace, path)  # the same samples once more
    expected = len({sample.id for sample in workspace.load_run().samples})
    assert references(workspace, path, "") == expected > 0
    async with running(Session(workspace)) as (app, pilot):
        await listed(app, pilot, 1)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        question = str(app.screen.query_one(".dialog-title", Static).content)
        assert "textcraft-2-s0" in question
        assert f"{expected} samples" in question
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Menu))
        assert path.exists()
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("y")
        await until(pilot, lambda: not path.exists())
        await until(pilot, lambda: library(app).table.row_count == 0)


def begun_in(parent: Path, place: Path, trace: str) -> Path:
    """A finished search that began at a node of another trace."""
    events = list(read_events(parent))
    first = events[0]
    assert isinstance(first, Started)
    place.parent.mkdir(exist_ok=True)
    write_trace(place, [structs.replace(first, trace=trace, forked_from=Fork(first.trace, 3)), *events[1:]])
    return place


async def test_enter_on_the_first_row_opens_the_search_not_its_repair_and_delete_tells_of_both(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    repair = begun_in(path, workspace.traces / "repairs" / "repair-x.trace.jsonl", "r1")
    fork = begun_in(path, workspace.traces / "branch.trace.jsonl", "f1")
    os.utime(path, (1_000, 1_000))  # both began later
    async with running(Session(workspace), size=(140, 32)) as (app, pilot):
        table = await listed(app, pilot, 3)
        assert [row.path for row in library(app).shown] == [path, fork, repair]
        assert [table.texts(row)[1] for row in range(3)] == ["textcraft 2", "├ fork", "╰ repair"]
        await pilot.press("space")
        assert "is marked without the 1 repair and 1 fork below it" in notices(app)
        await pilot.press("k", "space", "k", "enter")
        await until(pilot, lambda: app.current_mode == "search" and app.session.path == path)
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "library")
        library(app).table.go_to(path)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        assert "The 1 repair and 1 fork below it stay." in str(app.screen.query_one(".dialog-title", Static).content)
        await pilot.press("a")
        await until(pilot, lambda: library(app).table.row_count == 0)
    assert not [each for each in (path, fork, repair) if each.exists()]


async def test_a_trace_that_is_being_written_is_never_deleted(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    events = list(read_events(searched(workspace)))
    path = workspace.traces / "busy.trace.jsonl"
    with TraceWriter(path) as writer:
        for event in events[:40]:
            writer.write(event)
        async with running(Session(workspace)) as (app, pilot):
            table = await listed(app, pilot, 2)
            table.go_to(path)
            await pilot.press("D")
            await until(pilot, lambda: "is being written" in notices(app))
            assert not isinstance(app.screen, Menu)
    assert path.exists()


async def test_two_marked_traces_are_compared_from_the_library(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    paths = [searched(workspace, seed=1), searched(workspace, "3", seed=2)]
    async with running(Session(workspace), "library") as (app, pilot):
        await listed(app, pilot, 2)
        await pilot.press("equals_sign")
        assert "Mark two traces" in notices(app)
        await pilot.press("space", "equals_sign")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.document is not None)
        shown = pane(app, "compare")
        assert all(path.name.split(".")[0] in shown for path in paths)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "search" and app.session.beside is None)


async def test_where_there_is_nothing_only_keys_that_lead_on_are_told(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path)), "library", (110, 32)) as (app, pilot):

        def told() -> list[str]:
            keys = app.screen.query_one(KeyBar).keys()
            return [shown.word for shown in keys]

        await until(pilot, lambda: told() == ["new", "sample trees", "help"])
        await pilot.press("5")
        await until(pilot, lambda: app.current_mode == "dataset")
        await until(pilot, lambda: told() == ["library", "revision", "help"])


async def test_the_sample_trees_are_told_beside_any_trace_and_no_longer_once_they_are_listed(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    stopped = searched(workspace)
    lines = stopped.read_text().splitlines()
    stopped.write_text("\n".join(line for line in lines if '"type":"ended"' not in line) + "\n")
    async with running(Session(workspace), "library", (110, 32)) as (app, pilot):

        def told() -> list[str]:
            keys = app.screen.query_one(KeyBar).keys()
            return [shown.word for shown in keys]

        await until(pilot, lambda: "resume" in told())
        assert "sample trees" in told()
        await pilot.press("t")
        await until(pilot, lambda: "resume" not in told())
        assert "sample trees" not in told()
        assert "delete" in told()


@pytest.mark.parametrize(("rows", "height", "shown"), [(1, 30, True), (1, 29, False), (12, 30, False), (12, 36, True)])
async def test_the_preview_stands_below_a_short_table(tmp_path: Path, rows: int, height: int, shown: bool) -> None:
    workspace = opened(tmp_path)
    first = searched(workspace, iterations=1)
    for place in range(1, rows):
        shutil.copy(first, first.with_name(f"copy-{place}.trace.jsonl"))
    async with running(Session(workspace), size=(110, height)) as (app, pilot):
        await listed(app, pilot, rows)
        await until(pilot, lambda: library(app).has_class("-preview") == shown)
        assert bool(app.screen.query_one("#preview").display) == shown
