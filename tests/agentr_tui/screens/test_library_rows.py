"""What the library tells without a screen: filters on columns, orders, repairs below their tree, the preview, marks."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agentr_tui.screens.library.families import Nested, descendants, families
from agentr_tui.screens.library.marked_traces import MarkedTraces
from agentr_tui.screens.library.preview import Preview, Seen, best_by_iteration, curve_lines, preview_lines
from agentr_tui.screens.library.row_filter import row_filter
from agentr_tui.screens.library.rows import arranged, cells, facts, short_name, summary
from agentr_tui.state.trace_row import Kind, TraceRow
from engine.base.text import many
from engine.trace.sources import Source, load_any
from engine.workspace.figures import TraceFigures, figures
from tests.agentr_tui.apps import revised, searched
from tests.agentr_tui.services import FakePane, FakeServices
from tests.agentr_tui.trees import yellow_bed
from tests.engine.imports.attempts import attempt, tree_of


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


@pytest.fixture
def known(services: FakeServices) -> TraceFigures:
    return figures(load_any(searched(services.session.workspace, iterations=2)))


def row(
    known: TraceFigures, name: str, *, age: float = 0.0, origin: str = "", kind: Kind = "search", **changes: object
) -> TraceRow:
    found = structs.replace(known, trace=name, **changes)
    return TraceRow(Path(f"/w/{name}.trace.jsonl"), 1000 - age, found, f"goal of {name}", origin=origin, kind=kind)


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
        ("good>", ["a", "b", "c"]),  # its value is still to come
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


def listed(rows: list[TraceRow], sort: str = "newest", wanted: str = "") -> list[tuple[str, str]]:
    return [(each.row.name, each.title) for each in families(arranged(rows, sort, wanted))]


def test_repairs_and_forks_stand_below_the_tree_that_they_began_in(known: TraceFigures) -> None:
    rows = [
        row(known, "fix", age=0, origin="old", kind="repair"),
        row(known, "new", age=1),
        row(known, "second fix", age=2, origin="old", kind="repair", good=9),
        row(known, "of the fork", age=3, origin="branch", kind="repair"),
        row(known, "branch", age=4, origin="old", kind="fork"),
        row(known, "old", age=5),
        row(known, "lost", age=-9, origin="not there", kind="repair"),
        row(known, "free", age=9, origin="not there either", kind="fork"),
    ]
    mine = "textcraft 2"
    assert listed(rows) == [
        ("new", mine),
        ("old", mine),
        ("fix", "├ repair"),
        ("second fix", "├ repair"),
        ("branch", "╰ fork"),
        ("of the fork", "  ╰ repair"),
        ("free", mine),
        ("lost", "repair"),
    ], "families in the order of their trees; a repair without its tree comes last"
    assert listed(rows, "file", "fix") == [("fix", "repair"), ("second fix", "repair")]
    assert [name for name, _ in listed(rows, "file", "fork")] == ["branch", "of the fork", "free"]
    assert [name for name, _ in listed(rows, "file", "kind=search")] == ["new", "old"]
    assert [name for name, _ in listed(rows, "file", "good>8")] == ["second fix"]
    everything = families(arranged(rows, "newest", ""))
    old = next(each for each in everything if each.row.name == "old")
    assert names(descendants(old.row.path, everything)) == ["fix", "second fix", "branch", "of the fork"]
    assert facts(old, descendants(old.row.path, everything))[0][0].startswith("3 repairs and 1 fork below it · /w/old")
    nameless = replace(rows[1], figures=structs.replace(known, trace=""))  # a trace without events
    assert [name for name, _ in listed([nameless, rows[5]])] == ["new", "old"]


def test_a_trace_without_an_event_has_its_files_name(known: TraceFigures) -> None:
    rows = arranged([row(known, "torn", env="", task="")], "newest", "")
    (nested,) = families([replace(rows[0], figures=structs.replace(known, trace="", env="", task=""))])
    told = ["".join(text for text, _ in part) for part in cells(nested, 1000.0)]
    assert told[1:3] == ["torn", "no event in it"]


def test_a_family_in_which_a_search_goes_on_stands_first(known: TraceFigures) -> None:
    rows = [
        row(known, "new", age=1),
        row(known, "old", age=5),
        row(known, "branch", age=0, origin="old", kind="fork", state="running"),
    ]
    assert [name for name, _ in listed(rows)] == ["old", "branch", "new"]


BED = figures(Source(yellow_bed().tree, "bed", "trace"))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8), st.sampled_from(["repair", "fork"])), max_size=9))
def test_every_trace_is_listed_once_whatever_the_files_say_of_each_other(made: list[tuple[int, int, Kind]]) -> None:
    """Copies, traces that name each other, themselves, or what is not there."""
    rows = [
        TraceRow(Path(f"/w/{place}"), place, structs.replace(BED, trace=f"t{id}"), origin=f"t{origin}", kind=kind)
        for place, (id, origin, kind) in enumerate(made)
    ]
    found = families(rows)
    assert sorted(each.row.path for each in found) == sorted(each.path for each in rows)
    for place, each in enumerate(found):
        assert each.level <= (found[place - 1].level + 1 if place else 0)


@pytest.mark.parametrize(
    ("kind", "good", "state"), [("repair", 1, "done"), ("repair", 0, "stopped"), ("search", 1, "stopped")]
)
def test_a_repair_that_found_its_good_leaf_is_done(known: TraceFigures, kind: Kind, good: int, state: str) -> None:
    assert row(known, "a", kind=kind, good=good, state="stopped").state == state


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
        return "".join(
            text for text, _ in cells(Nested(row(known, "x", env=env, task="hello", attempts=attempts)), 1000.0)[1]
        )

    assert task("attempts:atif", 4) == "hello"
    assert task("textcraft", 4) == "textcraft hello"


def test_the_preview_of_attempts_tells_their_best_reward() -> None:
    tree = tree_of(attempt(0.25, "No."), attempt(0.5, "Perhaps."), attempt(None, "Who knows."))
    (title, *_) = curve_lines(tree, (0.0, 1.0), 60)
    assert "".join(text for text, _ in title.parts) == "best .50 · mean .38"
    known = figures(Source(tree, "t.trace.jsonl", "rollouts"))
    told = preview_lines(TraceRow(Path("t.trace.jsonl"), 1.0, known, "Is it?"), Seen(tree, None), 1.0, 60)
    assert any("0 of 2 attempts solved" in "".join(text for text, _ in line.parts) for line in told)


def test_the_preview_tells_goal_curve_and_what_to_do(services: FakeServices) -> None:
    path = searched(services.session.workspace, iterations=4)
    tree = load_any(path).tree
    known, pane = figures(load_any(path)), FakePane()
    preview = Preview(services, lambda: pane.as_pane)
    here = TraceRow(path, 1000.0, known, "craft cut red sandstone")
    preview.show(here, 1060.0)
    assert "craft cut red sandstone" in pane.text
    assert "iteration" not in pane.text, "the tree is not read yet"
    services.work()
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


def test_the_preview_counts_the_samples_that_revision_has_and_no_good_trajectories(services: FakeServices) -> None:
    workspace, pane = services.session.workspace, FakePane()
    path = searched(workspace, iterations=4)
    revised(workspace, path)
    samples = [sample for sample in workspace.select().samples if sample.kind != "good"]
    assert 0 < len(samples) < len(workspace.select().samples)
    preview = Preview(services, lambda: pane.as_pane)
    preview.show(TraceRow(path, 1000.0, figures(load_any(path))), 1060.0)
    services.work()
    assert f"→ {many(len(samples), 'sample')} → 0 reviewed → 0 accepted" in pane.text
    assert f"({len(samples)} to go)" in pane.text
    tree = load_any(path).tree
    actions = [tree.nodes[tree.ancestors(each.bad or each.good)[each.mark or 0]].action for each in samples]
    wrong = Counter(re.sub(r"\d+", "#", action) for action in actions)  # amounts aside, as Dataset counts them
    told = [each.split(maxsplit=1) for each in pane.text.split("most often wrong")[1].splitlines()[1:4]]
    assert [int(count) for count, _ in told] == [count for _, count in wrong.most_common(3)]
    assert all(wrong[re.sub(r"\d+", "#", action)] == int(count) for count, action in told)


def test_marked_traces_are_revised_together_and_deleted_after_one_question(services: FakeServices) -> None:
    workspace = services.session.workspace
    gone: list[Any] = []
    went: list[Any] = []
    paths = [searched(workspace, iterations=3), searched(workspace, "3", iterations=2)]
    rows = [TraceRow(path, 1.0, figures(load_any(path))) for path in paths]
    marked = MarkedTraces(services, lambda: went.append("dataset"), gone.append)
    assert marked.of(rows, rows[1]) == [rows[1]], "none is marked: the one under the cursor"
    for each in rows:
        marked.toggle(each)
    assert marked.of(rows, None) == rows
    marked.toggle(rows[0])
    assert marked.of(rows, rows[0]) == [rows[1]]
    marked.toggle(rows[0])
    marked.export(rows)
    services.work()
    assert went == ["dataset"]
    assert services.said[-1].endswith("samples of 2 traces: e exports them")
    assert {path for run in workspace.runs() for path in run.paths} <= {str(path.resolve()) for path in paths}
    assert workspace.runs(), "runs were made"
    marked.ask_delete(rows)
    assert services.menu[0].startswith("Delete 2 traces?")
    assert gone == []
    services.press("y")
    assert gone == paths
    assert not marked.paths
