"""A row table costs what is visible, keeps its cursor, and shows text as data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from agentr_tui.terminal.theme import THEME_VARIABLE_DEFAULTS, install
from agentr_tui.widgets.row_table import GAP, Cell, Column, RowTable, cell, layout

COLUMNS = (Column("name", 6, flex=1), Column("note", 8, flex=1, drop=1), Column("n", 4, right=True))


class Host(App[None]):
    """A screen that is one table."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.told: list[tuple[str, object]] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**super().get_theme_variable_defaults(), **THEME_VARIABLE_DEFAULTS}

    def compose(self) -> ComposeResult:
        yield RowTable(COLUMNS)

    def on_mount(self) -> None:
        install(self)

    def cells(self, row: int) -> Sequence[Cell]:
        self.asked.append(row)
        return [cell(f"row {row}"), cell("noted"), cell(str(row))]

    def on_row_table_highlighted(self, event: RowTable.Highlighted) -> None:
        self.told.append(("highlighted", event.key))

    def on_row_table_selected(self, event: RowTable.Selected) -> None:
        self.told.append(("selected", event.key))


@asynccontextmanager
async def shown(
    keys: Sequence[Any], size: tuple[int, int] = (40, 10)
) -> AsyncIterator[tuple[Host, Pilot[None], RowTable]]:
    app = Host()
    async with app.run_test(size=size) as pilot:
        table = app.query_one(RowTable)
        table.focus()
        table.set_rows(keys, app.cells)
        await pilot.pause()
        yield app, pilot, table


def lines(table: RowTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


async def test_only_visible_rows_are_made_whatever_their_number() -> None:
    async with shown(range(1_000_000)) as (app, pilot, table):
        assert set(app.asked) <= set(range(10))
        app.asked.clear()
        await pilot.press("G")
        assert table.cursor == 999_999
        assert set(app.asked) <= {0, *range(999_980, 1_000_000)}
        assert "row 999999" in lines(table)[-1]


async def test_the_cursor_stays_on_its_row_and_the_view_stays_put_when_rows_appear_above() -> None:
    async with shown([f"k{n}" for n in range(50)]) as (app, pilot, table):
        await pilot.press(*["j"] * 24, *["k"] * 4)  # in the middle of the view
        line_of_cursor = table.cursor - round(table.scroll_offset.y)
        table.set_rows([f"new{n}" for n in range(5)] + [f"k{n}" for n in range(50)], app.cells)
        await pilot.pause()
        assert table.cursor_key == "k20"
        assert table.cursor - round(table.scroll_offset.y) == line_of_cursor


async def test_a_row_that_is_gone_leaves_the_cursor_where_it_was() -> None:
    async with shown(["a", "b", "c", "d"]) as (app, pilot, table):
        await pilot.press("j", "j")
        seen = []
        for keys in (["a", "b", "d"], ["a"], []):
            table.set_rows(keys, app.cells)
            seen.append(table.cursor_key)
        assert seen == ["d", "a", None]
        await pilot.press("enter", "j")
        assert ("selected", None) not in app.told


async def test_keys_move_and_choose_and_every_move_is_told_once() -> None:
    async with shown(list("abcdefghijklmnop")) as (app, pilot, _):
        await pilot.press("j", "down", "k", "pagedown", "g", "enter")
        assert [key for what, key in app.told if what == "highlighted"] == ["a", "b", "c", "b", "k", "a"]
        assert app.told[-1] == ("selected", "a")


async def test_a_click_takes_a_row_and_a_second_click_chooses_it() -> None:
    async with shown(list("abc")) as (app, pilot, table):
        await pilot.click(RowTable, offset=(2, 3))
        assert table.cursor_key == "c"
        assert ("selected", "c") not in app.told
        await pilot.click(RowTable, offset=(2, 3))
        assert ("selected", "c") in app.told
        await pilot.click(RowTable, offset=(2, 0))  # the line of names
        assert table.cursor_key == "c"


async def test_every_line_is_exactly_as_wide_as_the_table_whatever_the_text() -> None:
    texts = ["[red]not markup[/]", "\x1b[2Jgone", "名前名前名前名前名前", "e\u0301" * 40, "a\nb\tc", "\u202eabc", ""]

    def cells(row: int) -> Sequence[Cell]:
        return [cell(texts[row]), cell(texts[row], "bad"), cell(texts[row][:3])]

    async with shown(range(len(texts))) as (_, pilot, table):
        table.set_rows(range(len(texts)), cells)
        await pilot.pause()
        for text in lines(table):
            assert cell_len(text) == 40
            assert "\x1b" not in text
            assert "\n" not in text
        assert any("[red]" in text for text in lines(table))
        assert any("␛[2J" in text for text in lines(table))


async def test_a_cell_without_parts_gives_its_room_to_the_one_before() -> None:
    def cells(row: int) -> Sequence[Cell]:
        return [cell("a long reason that fills the row"), (), ()]

    async with shown(["x"]) as (_, pilot, table):
        table.set_rows(["x"], cells)
        await pilot.pause()
        assert "a long reason that fills the row" in lines(table)[1]


async def test_the_end_of_a_file_name_is_shown_where_there_is_no_room() -> None:
    class Files(Host):
        def compose(self) -> ComposeResult:
            yield RowTable([Column("file", 10, tail=True)])

    app = Files()
    async with app.run_test(size=(10, 4)) as pilot:
        table = app.query_one(RowTable)
        table.set_rows(["x"], lambda row: [cell("textcraft-2-s0-killed")])
        await pilot.pause()
        assert lines(table)[1] == "…s0-killed"


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=8),
       st.integers(1, 160))  # fmt: skip
def test_columns_fill_the_width_and_give_way_least_important_first(
    shapes: list[tuple[int, int, int]], width: int
) -> None:
    columns = [Column("c", least, flex=flex, drop=drop) for least, flex, drop in shapes]
    places = layout(columns, width)
    kept = [place for place, _ in places]
    assert all(room >= columns[place].width for place, room in places)
    assert {place for place, column in enumerate(columns) if column.drop == 0} <= set(kept)
    used = sum(room + GAP for _, room in places) - GAP
    if any(columns[place].drop for place in kept):
        assert used <= width
    if any(columns[place].flex for place in kept) and used <= width:
        assert used == width
    for place in set(range(len(columns))) - set(kept):
        assert columns[place].drop >= max((columns[other].drop for other in kept), default=0)


async def test_rows_set_anew_draw_only_the_lines_that_look_different() -> None:
    async with shown(range(5)) as (_app, pilot, table):
        words = [f"row {row}" for row in range(5)]
        drawn: list[int] = []
        draw = table.render_line

        def noted(y: int) -> Strip:
            drawn.append(y)
            return draw(y)

        async def after(act: Callable[[], object]) -> list[int]:
            drawn.clear()
            act()
            await pilot.pause()
            await pilot.pause()
            return sorted({*drawn})

        def again() -> None:
            table.set_rows(range(5), lambda row: [cell(words[row]), cell(""), cell("")])

        table.render_line = noted  # type: ignore[method-assign]
        await after(again)
        assert await after(again) == []
        words[3] = "another"
        assert await after(again) == [4]  # below the names
        words[2] = "marked"
        assert 3 in await after(table.refresh)
        words[2] = "row 2"  # as when rows were last set, but not as they were last drawn
        assert await after(again) == [3]
        table.retitle("title", "subtitle")
        await pilot.pause()
        assert await after(lambda: table.retitle("title", "subtitle")) == []
