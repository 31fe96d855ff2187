"""The parts of the Library screen: watch, node filter, deletion, starting; over a desk, without an app."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agentr_tui.screens.library.deletion import TraceDeletion
from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.library.node_filter import NodeFilter
from agentr_tui.screens.library.start_search import SearchStarter
from agentr_tui.screens.library.trace_watch import TraceWatch
from agentr_tui.state.trace_row import TraceRow
from engine.query.find import find_in
from engine.query.nodes import parse
from engine.trace.trace_file import TraceWriter, read_events
from tests.agentr_tui.apps import revised, searched
from tests.agentr_tui.desk import FakeDesk


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(tmp_path)


def taken_up(desk: FakeDesk, watch: TraceWatch) -> bool:
    """Let the threads look, and tell the watch what they saw; whether all files were looked at."""
    desk.work()
    for found in desk.told(TraceWatch.Found):
        watch.found(found)
    return any(watch.looked(event) for event in desk.told(TraceWatch.Looked))


def watched(desk: FakeDesk) -> list[TraceRow]:
    """The rows after one look."""
    watch = TraceWatch(desk)
    watch.look_now()
    taken_up(desk, watch)
    return watch.rows()


# -- watch ---------------------------------------------------------------------------------------------


def test_a_look_finds_what_is_there_and_forgets_what_went(desk: FakeDesk) -> None:
    path = searched(desk.session.workspace, iterations=1)
    watch = TraceWatch(desk)
    assert not watch.looked_once
    watch.look()
    assert taken_up(desk, watch)
    assert watch.looked_once
    assert [(row.path, row.state) for row in watch.rows()] == [(path, "done")]
    path.unlink()
    watch.look()  # its turn is not come yet
    assert desk.threads == []
    watch.look_now()
    taken_up(desk, watch)
    assert watch.rows() == []


def test_one_look_at_a_time_and_none_that_nobody_sees(desk: FakeDesk) -> None:
    watch = TraceWatch(desk)
    desk.front = False
    watch.look_now()
    assert desk.threads == []
    desk.front = True
    watch.look_now()
    watch.look_now()
    assert len(desk.threads) == 1


def test_a_search_elsewhere_is_looked_at_more_often_than_its_files(desk: FakeDesk) -> None:
    workspace = desk.session.workspace
    whole = list(read_events(searched(workspace, iterations=2)))
    watch = TraceWatch(desk)
    with TraceWriter(workspace.traces / "elsewhere.trace.jsonl") as writer:
        for event in whole[:20]:
            writer.write(event)
        watch.look_now()
        assert taken_up(desk, watch)
        watch.look()
        assert not taken_up(desk, watch), "only what runs was looked at"
        assert {row.state for row in watch.rows()} == {"done", "running"}


# -- filter --------------------------------------------------------------------------------------------


def counted(desk: FakeDesk, nodes: NodeFilter) -> list[bool]:
    """Let the threads count; whether each message was of the query that is asked now."""
    desk.work()
    return [nodes.counted(event) for event in desk.told(NodeFilter.Counted)]


def test_traces_without_a_matching_node_are_left_out_once_they_were_counted(desk: FakeDesk) -> None:
    good = searched(desk.session.workspace)
    searched(desk.session.workspace, "3", iterations=1, error_rate=1.0)
    rows, nodes = watched(desk), NodeFilter(desk)
    nodes.take("return>0.9")
    assert nodes.asks_for_nodes
    assert nodes.holding(rows) == []
    assert "looking through" in nodes.told(None)[0][0]
    assert all(counted(desk, nodes))
    (left,) = nodes.holding(rows)
    assert left.path == good
    assert f"{len(find_in(good, parse('return>0.9')).nodes)} nodes match" in nodes.told(left)[0][0]
    assert desk.threads == [], "each trace is gone through once"


def test_what_another_query_counted_is_dropped(desk: FakeDesk) -> None:
    searched(desk.session.workspace)
    rows, nodes = watched(desk), NodeFilter(desk)
    nodes.take("return>0.9")
    nodes.holding(rows)
    desk.work()
    nodes.take("nodes disaster")
    assert desk.cancelled == ["count", "count"]
    assert [nodes.counted(event) for event in desk.told(NodeFilter.Counted)] == [False, False]
    assert nodes.holding(rows) == []


def test_a_query_that_is_not_whole_says_what_is_missing_and_words_ask_for_no_nodes(desk: FakeDesk) -> None:
    nodes = NodeFilter(desk)
    nodes.take("q>")
    assert nodes.asks_for_nodes
    assert "number" in nodes.told(None)[0][0]
    nodes.take("craft bed")
    assert not nodes.asks_for_nodes


# -- deletion ------------------------------------------------------------------------------------------


def test_a_trace_is_deleted_after_a_yes_that_names_its_samples(desk: FakeDesk) -> None:
    workspace = desk.session.workspace
    path = searched(workspace)
    revised(workspace, path)
    gone: list[Path] = []
    deletion = TraceDeletion(desk, gone.append)
    (row,) = watched(desk)
    deletion.ask(row)
    desk.work()
    assert f"{len({sample.id for sample in workspace.load_run().samples})} samples" in desk.menu[0]
    desk.press("escape")
    assert path.exists()
    desk.press("y")
    assert (path.exists(), gone) == (False, [path])


def test_what_lies_elsewhere_or_is_being_written_is_not_asked_about(desk: FakeDesk, tmp_path: Path) -> None:
    workspace = desk.session.workspace
    path = searched(workspace, iterations=1)
    elsewhere = tmp_path / "elsewhere.trace.jsonl"
    shutil.copy(path, elsewhere)
    deletion = TraceDeletion(desk, lambda path: None)
    deletion.ask(TraceRow(elsewhere))
    with TraceWriter(workspace.traces / "busy.trace.jsonl") as writer:
        writer.write(next(iter(read_events(path))))
        deletion.ask(TraceRow(workspace.traces / "busy.trace.jsonl"))
    assert ["is outside the workspace" in desk.said[0], "is being written" in desk.said[1]] == [True, True]
    assert (desk.menu[1], desk.threads) == ([], [])


# -- starting ------------------------------------------------------------------------------------------


def test_a_new_search_is_set_as_the_trace_under_the_cursor(desk: FakeDesk) -> None:
    searched(desk.session.workspace, "7", iterations=3)
    (row,) = watched(desk)
    SearchStarter(desk).new(row)
    desk.work()
    assert desk.opened is not None
    assert isinstance(desk.opened[0], NewSearch)


def test_only_what_was_left_is_resumed(desk: FakeDesk) -> None:
    path = searched(desk.session.workspace, iterations=2)
    starter = SearchStarter(desk)
    starter.resume(watched(desk)[0])
    assert "is done" in desk.said[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-8]))
    (row,) = watched(desk)
    assert row.state == "crashed"
    assert desk.started == []
    starter.resume(row)
    assert len(desk.started) == 1
