"""What the library tells without a screen: filters on columns, orders, repairs below their tree, the preview, marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from agentr_tui.screens.library.marked_traces import MarkedTraces
from agentr_tui.screens.library.preview import Preview, Seen, best_by_iteration, curve_lines, preview_lines
from agentr_tui.screens.library.row_filter import row_filter
from agentr_tui.screens.library.rows import arranged, cells, short_name, summary
from agentr_tui.state.trace_row import TraceRow
from engine.trace.sources import load_any
from engine.workspace.figures import TraceFigures, figures
from tests.agentr_tui.apps import searched
from tests.agentr_tui.desk import FakeDesk, FakePane
from tests.engine.imports.attempts import attempt, tree_of


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(tmp_path)


@pytest.fixture
def known(desk: FakeDesk) -> TraceFigures:
    return figures(load_any(searched(desk.session.workspace, iterations=2)))


def row(known: TraceFigures, name: str, *, age: float = 0.0, origin: str = "", **changes: object) -> TraceRow:
    found = structs.replace(known, trace=name, **changes)
    return TraceRow(Path(f"/w/{name}.trace.jsonl"), 1000 - age, found, f"goal of {name}", origin=origin)


def names(rows: list[TraceRow]) -> list[str]:
    return [each.name for each in rows]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ("good>5", ["b"]),
        ("GOOD>=5", ["a", "b"]),
        ("pairs<10 good>1", ["a"]),
        ("best=1", ["a", "b"]),
        ("state=stopped", ["c"]),
        ("state!=done goal~of", ["c"]),
        ("goal good<6", ["a", "c"]),
        ("b", ["b"]),
        ("calls>0 nothing", []),
    ],
)
def test_columns_filter_as_they_are_named(known: TraceFigures, wanted: str, left: list[str]) -> None:
    rows = [
        row(known, "a", good=5, pairs=3, best_return=1.0),
        row(known, "b", good=9, pairs=30, best_return=1.0),
        row(known, "c", good=0, pairs=0, best_return=None, state="stopped"),
    ]
    assert names(arranged(rows, "file", wanted)) == left


@pytest.mark.parametrize("text", ["q>0.9", "good>5 q>1", "!disaster", "(good or bad)", 'action~"a b"', "good>many"])
def test_what_names_no_column_asks_for_nodes(text: str) -> None:
    assert row_filter(text) is None


def test_an_order_is_reversed_and_what_is_unknown_stays_last(known: TraceFigures) -> None:
    rows = [row(known, "a", good=5), row(known, "b", good=9), TraceRow(Path("/w/x.trace.jsonl"))]
    assert names(arranged(rows, "good", "")) == ["b", "a", "x"]
    assert names(arranged(rows, "good", "", reverse=True)) == ["a", "b", "x"]


def test_the_search_of_a_repair_stands_below_the_tree_that_it_repairs(known: TraceFigures) -> None:
    rows = [
        row(known, "new", age=0),
        row(known, "fix", age=1, origin="old"),
        row(known, "old", age=5),
        row(known, "lost", age=9, origin="not there"),
    ]
    assert names(arranged(rows, "newest", "")) == ["new", "old", "fix", "lost"]
    nameless = replace(rows[0], figures=structs.replace(known, trace=""))  # a trace without events
    assert names(arranged([nameless, rows[2]], "newest", "")) == ["new", "old"]
    assert cells(arranged(rows, "newest", "")[2], 1000.0)[1][0][0] == "╰ repair"


def test_a_search_that_stands_still_is_paused_and_counted_so(known: TraceFigures) -> None:
    going = row(known, "a", state="running")
    paused = replace(going, paused=True)
    assert (going.state, paused.state) == ("running", "paused")
    assert paused.goes_on
    assert replace(paused, figures=known).state == known.state, "one that ended is not paused"
    assert summary([going, paused], "newest", "")[0] == "traces  2 · 1 running · 1 paused"


def test_names_keep_what_tells_them_apart(known: TraceFigures) -> None:
    assert short_name(row(known, "textcraft-no-good-leaf")) == "no-good-leaf"
    assert short_name(row(known, "textcraft")) == "textcraft"


def test_attempts_of_an_unknown_environment_are_told_apart_by_their_tasks(known: TraceFigures) -> None:
    def task(env: str, attempts: int) -> str:
        return "".join(text for text, _ in cells(row(known, "x", env=env, task="hello", attempts=attempts), 1000.0)[1])

    assert task("attempts:atif", 4) == "hello"
    assert task("textcraft", 4) == "textcraft hello"


def test_the_preview_of_attempts_tells_their_best_reward() -> None:
    tree = tree_of(attempt(0.25, "No."), attempt(0.5, "Perhaps."), attempt(None, "Who knows."))
    (title, *_) = curve_lines(tree, (0.0, 1.0), 60)
    assert "".join(text for text, _ in title.parts) == "best .50 · mean .38"


def test_the_preview_tells_goal_curve_and_what_to_do(desk: FakeDesk) -> None:
    path = searched(desk.session.workspace, iterations=4)
    tree = load_any(path).tree
    known, pane = figures(load_any(path)), FakePane()
    preview = Preview(desk, lambda: pane.as_pane)
    here = TraceRow(path, 1000.0, known, "craft cut red sandstone")
    preview.show(here, 1060.0)
    assert "craft cut red sandstone" in pane.text
    assert "iteration" not in pane.text, "the tree is not read yet"
    desk.work()
    assert "agent-r c 0.25 · 4 iterations × 4" in pane.text
    assert "iteration 1" in pane.text
    assert f"{known.good} good and {known.bad} bad leaves → {known.pairs} pairs" in pane.text
    assert "1m ago" in pane.text
    best = best_by_iteration(tree)
    assert len(best) == 4
    assert best[-1] == max(node.reward for node in tree.nodes if node.terminal not in (None, "dead_end"))
    told = [value for value in best if value is not None]
    assert told == sorted(told), "the best so far never falls"
    for width in (30, 60, 118):
        seen = Seen(tree, None)
        shown = preview_lines(here, seen, 1060.0, width)
        plots = [line for line in shown if line.parts and "█" in "".join(text for text, _ in line.parts)]
        assert plots
        assert all(sum(len(text) for text, _ in line.parts) <= width for line in plots), width


def test_marked_traces_are_revised_together_and_deleted_after_one_question(desk: FakeDesk) -> None:
    workspace = desk.session.workspace
    gone: list[Any] = []
    went: list[Any] = []
    paths = [searched(workspace, iterations=3), searched(workspace, "3", iterations=2)]
    rows = [TraceRow(path, 1.0, figures(load_any(path))) for path in paths]
    marked = MarkedTraces(desk, lambda: went.append("dataset"), gone.append)
    assert marked.of(rows, rows[1]) == [rows[1]], "none is marked: the one under the cursor"
    for each in rows:
        marked.toggle(each)
    assert marked.of(rows, None) == rows
    marked.toggle(rows[0])
    assert marked.of(rows, rows[0]) == [rows[1]]
    marked.toggle(rows[0])
    marked.export(rows)
    desk.work()
    assert went == ["dataset"]
    assert desk.said[-1].endswith("samples of 2 traces: e exports them")
    assert {path for run in workspace.runs() for path in run.paths} <= {str(path.resolve()) for path in paths}
    assert workspace.runs(), "runs were made"
    marked.ask_delete(rows)
    assert desk.menu[0].startswith("Delete 2 traces?")
    assert gone == []
    desk.press("y")
    assert gone == paths
    assert not marked.paths
