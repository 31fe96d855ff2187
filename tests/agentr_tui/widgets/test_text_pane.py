"""The pane of lines: it scrolls where it has no room, is as high as its lines where it may, and wraps in the indent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.strip import Strip
from textual.visual import Visual, visualize

from agentr_tui.terminal.theme import app_options, install
from agentr_tui.widgets.text_pane import TextPane, _segments, _wrapped, line


class Panes(App[None]):
    """A pane that fills what is left beside one that is as high as its lines."""

    CSS = "#fills { height: 1fr; } #fits { height: auto; max-height: 50%; }"

    def __init__(self) -> None:
        super().__init__(**app_options())

    def compose(self) -> ComposeResult:
        """Both."""
        with Vertical():
            yield TextPane(id="fills")
            yield TextPane(id="fits")

    def on_mount(self) -> None:
        """The themes."""
        install(self)


async def test_more_lines_than_the_pane_has_scroll_though_the_screen_had_room_for_them() -> None:
    app = Panes()
    async with app.run_test(size=(40, 20)) as pilot:
        fills, fits = app.query_one("#fills", TextPane), app.query_one("#fits", TextPane)
        fits.set_lines([line((f"{n}", "text")) for n in range(8)])
        await pilot.pause()
        assert fits.size.height == 8
        fills.set_lines([line((f"line {n}", "text"), key=n) for n in range(15)])
        await pilot.pause()
        assert fills.size.height == 12
        assert fills.show_vertical_scrollbar
        fills.scroll_to_key(14)
        await pilot.pause()
        assert "line 14" in "".join(fills.render_line(y).text for y in range(fills.size.height))


async def test_a_pane_that_is_as_high_as_its_lines_shrinks_with_them() -> None:
    app = Panes()
    async with app.run_test(size=(40, 20)) as pilot:
        fits = app.query_one("#fits", TextPane)
        for count in (8, 3, 5):
            fits.set_lines([line((f"{n}", "text")) for n in range(count)])
            await pilot.pause()
            assert fits.size.height == count


async def test_wrapped_lines_begin_below_the_text_and_keep_the_gutter() -> None:
    app = Panes()
    async with app.run_test(size=(20, 20)) as pilot:
        pane = app.query_one("#fills", TextPane)
        pane.set_lines([line(("| agent ", "good"), ("take the red key", "text"), indent=8, gutter=("|", "good"))])
        await pilot.pause()
        assert pane.plain.splitlines() == ["| agent take the red", "|       key"]


async def test_lines_that_bring_a_scrollbar_are_laid_out_beside_it() -> None:
    app = Panes()
    async with app.run_test(size=(20, 12)) as pilot:
        shown = app.query_one("#fills", TextPane)
        shown.set_lines(lambda width: [line((f"{at}".rjust(width), "text")) for at in range(15)])
        await pilot.pause()
        assert shown.show_vertical_scrollbar
        assert [row.cell_len for row, _ in shown._rows] == [shown.scrollable_content_region.width] * 15
        shown.set_lines([line(("x" * 20, "text"))])
        await pilot.pause()
        assert not shown.show_vertical_scrollbar
        assert shown.plain == "x" * 20


async def test_lines_that_are_made_for_a_width_are_made_anew_where_a_style_comes_with_the_width() -> None:
    class Narrow(App[None]):
        HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (50, "-wide")]
        CSS = ".-narrow TextPane { color: red; } TextPane { height: auto; border: round white; }"

        def compose(self) -> ComposeResult:
            yield TextPane()

    app = Narrow()
    async with app.run_test(size=(80, 10)) as pilot:
        install(app, "agentr-dark")
        shown = app.query_one(TextPane)
        shown.set_lines(lambda width: [line((f"for {width}", "text"))])
        for width in (40, 70, 30):
            await pilot.resize_terminal(width, 10)
            await pilot.pause(0.05)
            assert shown.plain == f"for {width - 2}"


async def test_the_lines_of_a_scrollbar_are_those_that_textual_draws() -> None:
    app = Panes()
    async with app.run_test(size=(40, 20)) as pilot:
        pane = app.query_one("#fills", TextPane)
        pane.set_lines([line((f"{n}", "text")) for n in range(100)])
        await pilot.pause()
        bar = pane.vertical_scrollbar
        for top in (0, 1, 2, 35, 80):
            pane.scroll_to(y=top, animate=False)
            for over in (False, True):
                bar.mouse_over = over
                await pilot.pause()
                theirs = Visual.to_strips(bar, visualize(bar, bar.render()), *bar.size, bar.visual_style)
                assert [bar.render_line(y) for y in range(bar.size.height)] == theirs
                crop = bar.size.region
                kept = bar.render_lines(crop)
                bar.refresh(crop)
                assert kept == bar.render_lines(crop), "a line that looks different was not drawn anew"


@given(
    st.lists(st.tuples(st.text("ab \n│", max_size=12), st.sampled_from(["red", "bold", "on blue"])), max_size=6),
    st.integers(4, 20),
)
def test_a_row_is_drawn_as_rich_draws_it(parts: list[tuple[str, str]], width: int) -> None:
    text, base = Text(end=""), Style.parse("italic white on black")
    for part, style in parts:
        text.append(part, Style.parse(style))
    for row in _wrapped(text, width, 2, Text("|", end="")):
        rich = [Segment(piece.text, base + (piece.style or Style())) for piece in row.render(Console()) if piece.text]
        assert Strip(_segments(row, base)).simplify() == Strip(rich).simplify()
