"""The overview: every cell is a subtree below its parent's, as wide as its visits; a click goes there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentr_tui.app.app import AgentrApp
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import MONO_THEME, THEME_VARIABLE_DEFAULTS
from agentr_tui.widgets.overview import UNVISITED, Overview, layout
from agentr_tui.widgets.tree.view import TreeView
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import running, showing
from tests.agentr_tui.trees import Grower, chain, imported_tree, random_tree, yellow_bed


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return showing(tmp_path / "w", iterations=6)


def overview_of(app: AgentrApp) -> Overview:
    return app.screen.query_one(Overview)


def lines(app: AgentrApp) -> list[str]:
    widget = overview_of(app)
    return [widget.render_line(y).text for y in range(widget.size.height)]


# -- layout ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 160), st.integers(1, 8))
def test_cells_lie_below_their_parents_in_order_and_never_overlap(seed: int, width: int, levels: int) -> None:
    tree = random_tree(80, seed).tree
    rows = layout(tree, width, levels)
    assert len(rows) == levels
    above = {ROOT: (0, width)}
    for depth, row in enumerate(rows, 1):
        end = 0
        for cell in row:
            node = tree.nodes[cell.id]
            start, parent_end = above[node.parent]
            assert node.depth == depth
            assert cell.width >= 1
            assert cell.start >= max(start, end)
            assert cell.start + cell.width <= parent_end
            end = cell.start + cell.width
        above = {cell.id: (cell.start, cell.start + cell.width) for cell in row}


def test_children_fill_their_parent_by_their_share_of_the_visits() -> None:
    tree = random_tree(300, 4).tree
    for width in (60, 200):
        rows = layout(tree, width, 3)
        wide = {cell.id: cell.width for row in rows for cell in row} | {ROOT: width}
        for id in wide:
            children = tree.children(id)
            if not children or tree.nodes[id].depth == 3:
                continue
            weights = {child: tree.visits(child) or UNVISITED for child in children}
            assert sum(wide.get(child, 0) for child in children) == wide[id]
            for child in children:
                assert wide.get(child, 0) == pytest.approx(wide[id] * weights[child] / sum(weights.values()), abs=1)


def test_no_tree_one_node_and_a_wall_of_children_are_laid_out() -> None:
    assert layout(SearchTree(), 50, 3) == [[], [], []]
    assert layout(Grower().tree, 50, 3) == [[], [], []]
    wall = imported_tree([0] * 10_000)
    (row,) = layout(wall, 50, 1)
    assert len(row) == 50
    assert [len(row) for row in layout(chain(5_000), 50, 6)] == [1] * 6


class Counting:
    """A reader that counts how often it is asked for figures."""

    def __init__(self, tree: SearchTree) -> None:
        self.tree, self.asked = tree, 0

    def __len__(self) -> int:
        return len(self.tree)

    def __getattr__(self, name: str) -> object:
        self.asked += 1
        return getattr(self.tree, name)


def test_what_is_asked_of_a_tree_depends_on_the_room_and_not_on_its_size() -> None:
    asked = {}
    for size in (2_000, 40_000):
        reader = Counting(random_tree(size, 1).tree)
        counted: TreeReader = reader  # type: ignore[assignment]
        layout(counted, 80, 5)
        asked[size] = reader.asked
    assert asked[40_000] < 80 * 5 * 6
    assert asked[40_000] < 3 * asked[2_000]


# -- on the screen -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "is_shown"), [((80, 24), False), ((120, 24), False), ((99, 50), False),
                                                ((120, 36), True), ((200, 60), True)])  # fmt: skip
async def test_it_is_folded_away_where_room_is_short(session: Session, size: tuple[int, int], is_shown: bool) -> None:
    async with running(session, "search", size) as (app, pilot):
        assert overview_of(app).display is is_shown
        await pilot.press("v", "o")
        assert overview_of(app).display is not is_shown
        await pilot.press("v", "o")
        assert overview_of(app).display is is_shown


async def test_it_comes_and_goes_with_the_size_of_the_window(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert not overview_of(app).display
        await pilot.resize_terminal(150, 45)
        await pilot.pause()
        assert overview_of(app).display
        assert overview_of(app).size.height == 6


async def test_a_click_on_a_cell_puts_the_cursor_on_its_node(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        widget, view = overview_of(app), app.screen.query_one("#tree", TreeView)
        for level in (0, 1, 3):
            cell = widget.rows()[level][-1]
            await pilot.click(widget, offset=(1 + cell.start, 1 + level))
            assert view.cursor_node == cell.id
        assert view.has_focus
        nothing = widget.rows()[0][-1].start + widget.rows()[0][-1].width
        assert widget.node_at(nothing, 0) is None


async def test_the_mouse_over_a_cell_tells_which_node_it_is(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        widget, tree = overview_of(app), session.tree
        assert tree is not None
        cell = widget.rows()[1][0]
        await pilot.hover(widget, offset=(1 + cell.start, 2))
        assert str(widget.border_subtitle).startswith(f"{cell.id} {tree.nodes[cell.id].action[:8]}")
        await pilot.hover("#tree")
        await pilot.pause()
        assert "width visits" in str(widget.border_subtitle)


async def test_it_shows_the_moment_that_is_looked_at(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        now = overview_of(app).rows()
        await pilot.press("colon", *"t 60", "enter")
        await pilot.pause()
        assert session.past == 60
        reader = session.reader
        assert reader is not None
        width, height = overview_of(app).size
        assert overview_of(app).rows() == layout(reader, width, height)
        assert overview_of(app).rows() != now
        await pilot.press("L")
        assert overview_of(app).rows() == now


async def test_the_way_to_the_cursor_stands_out_and_a_sign_tells_q_without_colours(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        widget = overview_of(app)
        before = [widget.render_line(y) for y in range(2)]
        await pilot.press("j")
        assert [widget.render_line(y) for y in range(2)] != before
        texts = lines(app)
        app.theme = MONO_THEME
        await pilot.pause()
        assert lines(app) == texts
        tree = session.tree
        assert tree is not None
        for cell in widget.rows()[0]:
            assert texts[0][cell.start] in "▁▂▄▆█◌"
        assert any(
            widget.render_line(0).crop(c.start, c.start + 1)._segments[0].style.reverse  # type: ignore[union-attr]
            for c in widget.rows()[0]
        )


async def test_hostile_actions_are_shown_escaped_and_in_their_cells() -> None:
    from textual.app import App, ComposeResult

    class Host(App[None]):
        def get_theme_variable_defaults(self) -> dict[str, str]:
            return {**super().get_theme_variable_defaults(), **THEME_VARIABLE_DEFAULTS}

        def compose(self) -> ComposeResult:
            yield Overview()

    grower = yellow_bed()
    for node in grower.tree.nodes[1:]:
        node.action = "[red]\x1b]52;c;AAAA\x07\u202e漢字漢字漢字漢字" * 3
    async with Host().run_test(size=(90, 12)) as pilot:
        widget = pilot.app.query_one(Overview)
        widget.display = True
        widget.show(grower.tree, (0.0, 1.0), ROOT)
        await pilot.pause()
        for y in range(widget.size.height):
            strip = widget.render_line(y)
            assert strip.cell_length == widget.size.width
            assert not {"\x1b", "\x07", "\u202e"} & set(strip.text)


async def test_drawing_costs_the_room_and_not_the_tree() -> None:
    spent = {}
    for size in (2_000, 60_000):
        tree = random_tree(size, 2).tree
        past = tree.at(tree.seq - 5)
        past.visits(0)  # the history is built on first use
        start = time.process_time()
        for _ in range(20):
            layout(past, 110, 6)
        spent[size] = (time.process_time() - start) / 20
    assert spent[60_000] < 0.03
    assert spent[60_000] < 5 * spent[2_000] + 0.005
