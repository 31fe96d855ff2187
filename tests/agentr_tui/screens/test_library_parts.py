"""The parts of the Library screen: watch, node filter, deletion, starting; over services without an app."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest

from agentr_tui.screens.library.deletion import TraceDeletion
from agentr_tui.screens.library.families import Nested
from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.library.node_filter import NodeFilter
from agentr_tui.screens.library.preview import Preview
from agentr_tui.screens.library.start_search import SearchStarter
from agentr_tui.screens.library.trace_watch import TraceWatch
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.widgets.text_pane import TextPane
from engine.query.find import find_in
from engine.query.nodes import parse
from engine.trace.trace_file import TraceWriter, read_events
from tests.agentr_tui.apps import revised, searched
from tests.agentr_tui.services import FakeServices


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


def taken_up(services: FakeServices, watch: TraceWatch) -> bool:
    """Let the threads look, and tell the watch what they saw; whether all files were looked at."""
    services.work()
    for found in services.told(TraceWatch.Found):
        watch.found(found)
    return any(watch.looked(event) for event in services.told(TraceWatch.Looked))


def watched(services: FakeServices) -> list[TraceRow]:
    """The rows after one look."""
    watch = TraceWatch(services)
    watch.look_now()
    taken_up(services, watch)
    return watch.rows()


def test_samples_of_a_trace_that_lost_its_end_are_left_out_of_the_preview(services: FakeServices) -> None:
    """Their nodes are no more: the preview failed, with a line in the log of errors."""
    workspace = services.session.workspace
    trace = searched(workspace)
    revised(workspace, trace)
    (row,) = watched(services)
    preview = Preview(services, lambda: TextPane())
    before = preview._read(row)
    assert before.reviewed is not None
    assert before.reviewed.wrong
    trace.write_bytes(b"".join(trace.read_bytes().splitlines(keepends=True)[:4]))
    after = preview._read(row)
    assert after.reviewed is not None
    assert (after.reviewed.samples, after.reviewed.wrong) == (before.reviewed.samples, ())


# -- watch ---------------------------------------------------------------------------------------------


def test_rows_are_left_out_of_collections_of_garbage_once_all_are_read(services: FakeServices) -> None:
    searched(services.session.workspace, iterations=1)
    try:
        (row,) = watched(services)
        assert not any(each is row for each in gc.get_objects())
        assert not gc.is_tracked(Nested(row))
    finally:
        gc.unfreeze()


def test_a_look_finds_what_is_there_and_forgets_what_went(services: FakeServices) -> None:
    path = searched(services.session.workspace, iterations=1)
    watch = TraceWatch(services)
    assert not watch.looked_once
    watch.look()
    assert taken_up(services, watch)
    assert watch.looked_once
    assert [(row.path, row.state) for row in watch.rows()] == [(path, "done")]
    path.unlink()
    watch.look()  # its turn is not come yet
    assert services.threads == []
    watch.look_now()
    taken_up(services, watch)
    assert watch.rows() == []


def test_one_look_at_a_time_and_none_that_nobody_sees(services: FakeServices) -> None:
    watch = TraceWatch(services)
    services.front = False
    watch.look_now()
    assert services.threads == []
    services.front = True
    watch.look_now()
    watch.look_now()
    assert len(services.threads) == 1


def test_a_search_elsewhere_is_looked_at_more_often_than_its_files(services: FakeServices) -> None:
    workspace = services.session.workspace
    whole = list(read_events(searched(workspace, iterations=2)))
    watch = TraceWatch(services)
    with TraceWriter(workspace.traces / "elsewhere.trace.jsonl") as writer:
        for event in whole[:20]:
            writer.write(event)
        watch.look_now()
        assert taken_up(services, watch)
        watch.look()
        assert not taken_up(services, watch), "only what runs was looked at"
        assert {row.state for row in watch.rows()} == {"done", "running"}


# -- filter --------------------------------------------------------------------------------------------


def counted(services: FakeServices, nodes: NodeFilter) -> list[bool]:
    """Let the threads count; whether each message was of the query that is asked now."""
    services.work()
    return [nodes.counted(event) for event in services.told(NodeFilter.Counted)]


def test_traces_without_a_matching_node_are_left_out_once_they_were_counted(services: FakeServices) -> None:
    good = searched(services.session.workspace)
    searched(services.session.workspace, "3", iterations=1, error_rate=1.0)
    rows, nodes = watched(services), NodeFilter(services)
    nodes.take("return>0.9")
    assert nodes.asks_for_nodes
    assert nodes.holding(rows) == []
    assert "looking through" in nodes.told(None)[0][0]
    assert all(counted(services, nodes))
    (left,) = nodes.holding(rows)
    assert left.path == good
    assert f"{len(find_in(good, parse('return>0.9')).nodes)} nodes match" in nodes.told(left)[0][0]
    assert services.threads == [], "each trace is gone through once"


def test_what_another_query_counted_is_dropped(services: FakeServices) -> None:
    searched(services.session.workspace)
    rows, nodes = watched(services), NodeFilter(services)
    nodes.take("return>0.9")
    nodes.holding(rows)
    services.work()
    nodes.take("nodes disaster")
    assert services.cancelled == ["count", "count"]
    assert [nodes.counted(event) for event in services.told(NodeFilter.Counted)] == [False, False]
    assert nodes.holding(rows) == []


def test_a_query_that_is_not_whole_says_what_is_missing_and_words_ask_for_no_nodes(services: FakeServices) -> None:
    nodes = NodeFilter(services)
    nodes.take("q>")
    assert nodes.asks_for_nodes
    assert "number" in nodes.told(None)[0][0]
    nodes.take("craft bed")
    assert not nodes.asks_for_nodes


# -- deletion ------------------------------------------------------------------------------------------


def test_a_trace_is_deleted_after_a_yes_that_names_its_samples(services: FakeServices) -> None:
    workspace = services.session.workspace
    path = searched(workspace)
    revised(workspace, path)
    gone: list[Path] = []
    deletion = TraceDeletion(services, gone.append)
    (row,) = watched(services)
    deletion.ask([row])
    services.work()
    assert f"{len({sample.id for sample in workspace.load_run().samples})} samples" in services.menu[0]
    services.press("escape")
    assert path.exists()
    services.press("y")
    assert (path.exists(), gone) == (False, [path])


def test_what_lies_elsewhere_or_is_being_written_is_not_asked_about(services: FakeServices, tmp_path: Path) -> None:
    workspace = services.session.workspace
    path = searched(workspace, iterations=1)
    elsewhere = tmp_path / "elsewhere.trace.jsonl"
    shutil.copy(path, elsewhere)
    deletion = TraceDeletion(services, lambda path: None)
    deletion.ask([TraceRow(elsewhere)])
    with TraceWriter(workspace.traces / "busy.trace.jsonl") as writer:
        writer.write(next(iter(read_events(path))))
        deletion.ask([TraceRow(workspace.traces / "busy.trace.jsonl")])
    assert ["is outside the workspace" in services.said[0], "is being written" in services.said[1]] == [True, True]
    assert (services.menu[1], services.threads) == ([], [])


# -- starting ------------------------------------------------------------------------------------------


def test_a_new_search_is_set_as_the_trace_under_the_cursor(services: FakeServices) -> None:
    searched(services.session.workspace, "7", iterations=3)
    (row,) = watched(services)
    SearchStarter(services).new(row)
    services.work()
    assert services.opened is not None
    assert isinstance(services.opened[0], NewSearch)


def test_only_what_was_left_is_resumed(services: FakeServices) -> None:
    path = searched(services.session.workspace, iterations=2)
    starter = SearchStarter(services)
    starter.resume(watched(services)[0])
    assert "is done" in services.said[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-8]))
    (row,) = watched(services)
    assert row.state == "crashed"
    assert services.started == []
    starter.resume(row)
    assert len(services.started) == 1
