"""Compare: every step of both sides is told, differences stand out word by word, and the keys lead through them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.search.overlays.compare import CompareScreen, TraceChooser, best_leaf
from agentr_tui.screens.search.overlays.repeated_states import StatesScreen, summary
from agentr_tui.screens.shared.compare_lines import (
    BESIDE,
    Document,
    Side,
    _wrapped,
    trace_document,
    trajectory_document,
)
from agentr_tui.state.session import Session
from agentr_tui.terminal.safe_text import escape
from agentr_tui.widgets.row_table import RowTable
from agentr_tui.widgets.text_pane import TextPane
from agentr_tui.widgets.tree.view import TreeView
from engine.explain.alignment import align
from engine.explain.repeated_states import repeated_states
from engine.trace.sources import Source, load_any
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from engine.workspace.figures import figures
from tests.agentr_tui.apps import notices, opened, running, searched, until
from tests.agentr_tui.trees import Grower, imported_tree

WIDTHS = (60, 84, 118, 196)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace, iterations=6))
    searched(workspace, iterations=3, seed=1)
    return session


def of_trace(path: Path) -> Side:
    source = load_any(path)
    return Side(path.name, source.tree, source.tree, ROOT, figures(source))


def texts(document: Document) -> list[str]:
    return ["".join(part for part, _ in line.parts) for line in document.lines]


def joined(document: Document) -> str:
    return " ".join(" ".join(texts(document)).split())


def two_leaves(tree: SearchTree) -> tuple[int, int]:
    leaves = sorted(tree.leaves(), key=lambda leaf: (leaf.q or 0.0, leaf.depth))
    return leaves[0].id, leaves[-1].id


# -- trajectories ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
def test_every_step_that_differs_is_told_on_its_side(session: Session, width: int) -> None:
    tree = session.tree
    assert tree is not None
    bad, good = two_leaves(tree)
    document = trajectory_document(Side("bad", tree, tree, bad), Side("good", tree, tree, good), width)
    _, steps = align(tree, bad, tree, good)
    assert document.nodes == [(step.one, step.other) for step in steps if not step.same]
    assert document.stops == list(range(len(document.nodes)))
    told = joined(document)
    for one, other in document.nodes:
        for id in (one, other):
            if id is not None and width > 118:  # in narrow columns the rows of both sides are mixed
                assert " ".join(tree.nodes[id].action.split()[:3]) in told
    assert max(map(cell_len, texts(document))) <= width or width < BESIDE


def test_words_that_differ_stand_out_on_both_sides_and_nothing_else() -> None:
    grower = Grower()
    a, b = grower.expand(ROOT, ["get 3 white wool", "get 3 yellow wool"])
    for width in (60, 120):
        document = trajectory_document(
            Side("a", grower.tree, grower.tree, a), Side("b", grower.tree, grower.tree, b), width
        )
        changed = {text.strip() for line in document.lines for text, role in line.parts if role == "warn"}
        assert changed == {"white", "yellow"}


def test_fields_that_are_the_same_are_said_once_where_the_sides_stand_under_each_other() -> None:
    grower = Grower()
    a, b = grower.expand(ROOT, ["get 3 white wool", "get 3 yellow wool"], observation="Same answer.")
    document = trajectory_document(Side("a", grower.tree, grower.tree, a), Side("b", grower.tree, grower.tree, b), 60)
    assert joined(document).count("Same answer.") == 1
    assert next(text for text in texts(document) if "Same answer." in text).startswith("=")


@pytest.mark.parametrize("width", [60, 120])
def test_results_of_several_lines_stand_in_as_many_rows(width: int) -> None:
    grower = Grower()
    (a,) = grower.expand(ROOT, ["list"], observation="one file\ntwo files\nred end")
    (b,) = grower.expand(ROOT, ["look"], observation="one file\ntwo files\nblue end")
    document = trajectory_document(
        Side("a", grower.tree, grower.tree, a), Side("b", grower.tree, grower.tree, b), width
    )
    shown = texts(document)
    assert not [row for row in shown if "⏎" in row]
    for said in ("one file", "two files", "red end", "blue end"):
        assert len([row for row in shown if said in row]) >= 1
        assert not [row for row in shown if said in row and "two files" in row and said != "two files"]


def test_trajectories_that_are_the_same_say_so_and_long_shared_ways_are_folded() -> None:
    tree = imported_tree(range(30))
    one, other = Side("a", tree, tree, 30), Side("b", tree, tree, 30)
    assert "26 steps are the same" in joined(trajectory_document(one, other, 100))
    assert "no difference" in joined(trajectory_document(one, other, 100))


@given(st.text(max_size=120), st.integers(14, 90), st.integers(0, 12))
def test_wrapped_rows_fit_and_lose_no_word(text: str, width: int, indent: int) -> None:
    rows = _wrapped([(text, "text")], width, indent)
    shown = ["".join(part for part, _ in row) for row in rows]
    assert all(cell_len(row) <= width for row in shown)
    assert "".join("".join(shown).split()) == "".join(escape(text, multiline=True).split())


def test_hostile_texts_are_escaped_and_stay_in_their_column() -> None:
    grower = Grower()
    evil = "\x1b]52;c;AAAA\x07[red]\u202e漢字 " * 20 + "x" * 300
    a, b = grower.expand(ROOT, [evil, "plain " + evil])
    for width in WIDTHS:
        document = trajectory_document(
            Side("a", grower.tree, grower.tree, a), Side("b", grower.tree, grower.tree, b), width
        )
        if width >= BESIDE:
            assert max(map(cell_len, texts(document))) <= width
            assert not {"\x1b", "\x07", "\u202e"} & set("".join(texts(document)))


# -- traces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
def test_two_searches_are_compared_by_settings_figures_and_every_place_where_their_trees_part(
    session: Session, width: int
) -> None:
    one, other = (of_trace(path) for path in sorted(session.workspace.traces.glob("*.jsonl")))
    document = trace_document(one, other, width)
    told = joined(document)
    assert "seed 0 1" in told
    assert "iterations 6 3" in told
    assert f"nodes {len(one.tree)} {len(other.tree)}" in told
    assert len(document.stops) >= 1
    assert "depth 0" in told


def test_a_search_compared_with_itself_is_the_same_step_for_step(session: Session) -> None:
    assert session.path is not None
    one, other = of_trace(session.path), of_trace(session.path)
    document = trace_document(one, other, 100)
    assert "the same, step for step" in joined(document)
    assert document.stops == []


def test_comparing_can_be_given_up(session: Session) -> None:
    one, other = (of_trace(path) for path in sorted(session.workspace.traces.glob("*.jsonl")))
    assert trace_document(one, other, 100, cancelled=lambda: True).stops == []


# -- the screen ----------------------------------------------------------------------------------------------


def compare_screen(app: AgentrApp) -> CompareScreen:
    assert isinstance(app.screen, CompareScreen)
    return app.screen


def ready(app: AgentrApp) -> Callable[[], bool]:
    return lambda: isinstance(app.screen, CompareScreen) and app.screen.document is not None


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_the_keys_lead_through_the_differences_and_back_into_the_tree(
    session: Session, size: tuple[int, int]
) -> None:
    tree = session.tree
    assert tree is not None
    bad, _ = two_leaves(tree)
    best = best_leaf(tree, bad)
    async with running(session, "search", size) as (app, pilot):
        await pilot.press("colon", *str(bad), "enter", "v", "c", "b")
        await until(pilot, ready(app))
        screen = compare_screen(app)
        pane, document = screen.query_one(TextPane), screen.document
        assert document is not None
        assert ("│" in document_text(document)) is (size[0] >= BESIDE)
        assert pane.border_title == f"difference 1 of {len(document.stops)}"
        await pilot.press("n", "n", "N")
        assert pane.border_title == f"difference 2 of {len(document.stops)}"
        assert [line.key for line in pane._lines if line.highlight] == [
            line.key for line in document.lines if line.key == 1
        ]
        await pilot.press("N", "N", "N", "enter")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen))
        assert app.screen.query_one("#tree", TreeView).cursor_node == document.nodes[0][0]
        assert best is not None


def shown(app: AgentrApp) -> str:
    """The text of the comparison, once it is made."""
    document = compare_screen(app).document
    return document_text(document) if document is not None else ""


def document_text(document: Document) -> str:
    return "\n".join(texts(document))


async def test_unified_and_swapped(session: Session) -> None:
    tree = session.tree
    assert tree is not None
    bad, good = two_leaves(tree)
    session.chosen = (good, bad)
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "c", "p")
        await until(pilot, ready(app))
        first = compare_screen(app).document
        await pilot.press("u")
        await until(pilot, lambda: compare_screen(app).document is not first)
        unified = compare_screen(app).document
        assert unified is not None
        assert "│" not in document_text(unified)
        await pilot.press("x")
        await until(pilot, lambda: compare_screen(app).document is not unified)
        swapped = compare_screen(app).document
        assert swapped is not None
        assert swapped.nodes[0] == tuple(reversed(unified.nodes[0]))
        await pilot.press("escape")
        assert app.screen.query_one("#tree")


async def test_a_number_that_is_no_node_and_a_node_with_itself_are_refused_in_words(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("j", "v", "c", "n", *"99999", "enter")
        await pilot.pause()
        assert "no node '99999'" in notices(app)
        node = app.screen.query_one("#tree", TreeView).cursor_node
        await pilot.press("v", "c", "n", *str(node), "enter")
        await pilot.pause()
        assert "compared with itself" in notices(app)


async def test_another_trace_is_chosen_from_the_library_or_by_its_path(session: Session, tmp_path: Path) -> None:
    far = tmp_path / "elsewhere"
    far.mkdir()
    path = searched(opened(far / "w"), "3", iterations=2)
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "c", "t")
        await until(pilot, lambda: isinstance(app.screen, TraceChooser))
        await pilot.press("enter")
        await until(pilot, ready(app))
        document = compare_screen(app).document
        assert document is not None
        assert "seed" in document_text(document)
        await pilot.press("b")  # step by step, from what the best leaves share
        await until(pilot, lambda: "fork" in shown(app))
        leaves = [side.leaf for side in compare_screen(app)._sides]
        assert [side.tree.nodes[leaf].q for side, leaf in zip(compare_screen(app)._sides, leaves, strict=True)] == [
            max(leaf.q or 0 for leaf in side.tree.leaves()) for side in compare_screen(app)._sides
        ]
        await pilot.press("b")
        await until(pilot, lambda: "seed" in shown(app))
        await pilot.press("escape", "v", "c", "t", *"nothing like it", "enter")
        await pilot.pause()
        assert isinstance(app.screen, TraceChooser)
        assert "There is no trace" in notices(app)
        from textual.widgets import Input

        app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await until(pilot, ready(app))
        other = compare_screen(app).document
        assert other is not None
        assert "task" in document_text(other)


async def test_a_broken_trace_is_one_line_and_the_screen_stays(session: Session) -> None:
    (session.workspace.traces / "broken.trace.jsonl").write_text("{nonsense\n")
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "c", "t")
        await until(pilot, lambda: isinstance(app.screen, TraceChooser))
        await pilot.press(*"broken", "enter")
        await until(pilot, lambda: "broken.trace.jsonl" in notices(app))
        assert app.screen.query_one("#tree")


def test_figures_of_a_tree_that_is_open_are_those_of_its_file(session: Session) -> None:
    assert session.tree is not None
    assert session.path is not None
    assert figures(Source(session.tree, str(session.path), "trace")).nodes == of_trace(session.path).tree.__len__()


# -- repeated states -------------------------------------------------------------------------------------------


def found(app: AgentrApp) -> Callable[[], bool]:
    return lambda: isinstance(app.screen, StatesScreen) and app.screen.states is not None


async def test_repeated_states_are_listed_and_enter_walks_through_their_nodes(session: Session) -> None:
    tree = session.tree
    assert tree is not None
    repeats = repeated_states(tree)
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "s")
        assert isinstance(app.screen, StatesScreen)
        await until(pilot, found(app))
        table = app.screen.query_one(RowTable)
        assert table.row_count == len(repeats)
        assert str(len(repeats[0].ids)) in table.texts(0)
        view = app.screen_stack[-2].query_one("#tree", TreeView)
        visited = []
        for _ in range(3):
            if not isinstance(app.screen, StatesScreen):
                await pilot.press("v", "s")
                await until(pilot, found(app))
            await pilot.press("enter")
            await pilot.pause()
            visited.append(view.cursor_node)
        assert visited == repeats[0].ids[:3]
        assert view.drawing.overlay.marks[visited[0]].word == f"seen {len(repeats[0].ids)}×"


def test_an_environment_without_states_is_said_to_tell_none() -> None:
    tree = imported_tree([0, 0])
    assert "does not tell its states" in summary(tree, repeated_states(tree))
