"""Plots: what they draw is what the tree holds at the moment that is looked at, in any theme and any room."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.search.overlays.plots import PlotsScreen
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import MONO_THEME, Palette, palette
from agentr_tui.widgets.plots import PLOTS, Pen, PlotPane, Plotted, count_ticks, share_ticks, short
from agentr_tui.widgets.timeline import TimelineView
from engine.explain.series import BINS, Figures, Returns, Spent
from tests.agentr_tui.apps import opened, running, showing, until
from tests.engine.made import honey_trace


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return showing(tmp_path / "w", iterations=6)


def plots(app: AgentrApp) -> PlotsScreen:
    assert isinstance(app.screen, PlotsScreen)
    return app.screen


def panes(app: AgentrApp) -> list[PlotPane]:
    return [pane for pane in plots(app).query(PlotPane) if pane.display]


def drawn(pane: PlotPane) -> str:
    text = pane.render()
    assert isinstance(text, Text)
    return text.plain


def everything(app: AgentrApp) -> Callable[[], bool]:
    """Whether all that is counted or read beside the screen is there."""

    def known() -> bool:
        plotted = plots(app)._plotted
        return plotted is not None and plotted.figures is not None and plotted.spent is not None

    return known


@pytest.mark.parametrize(("size", "count"), [((80, 24), 4), ((60, 16), 1), ((120, 36), 6), ((200, 60), 6)])
async def test_as_many_plots_as_there_is_room_for_and_each_fills_its_pane(
    session: Session, size: tuple[int, int], count: int
) -> None:
    async with running(session, "search", size) as (app, pilot):
        await pilot.press("v", "p")
        await until(pilot, everything(app))
        assert len(panes(app)) == count
        for pane in panes(app):
            lines = drawn(pane).split("\n")
            if not pane.message:
                assert len(lines) == pane.size.height
                assert {len(line) for line in lines} <= {pane.size.width}


async def test_the_keys_turn_the_pages_enlarge_one_and_close(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "p")
        await until(pilot, everything(app))
        await pilot.press("plus")
        seen = [panes(app)[0]]
        for _ in range(len(PLOTS) - 1):
            await pilot.press("right_square_bracket")
            seen += panes(app)
        assert seen == list(plots(app).query(PlotPane))
        await pilot.press("underscore")
        assert len(panes(app)) == 6
        await pilot.click(panes(app)[2])
        assert panes(app) == [seen[2]]
        await pilot.click(panes(app)[0])
        assert len(panes(app)) == 6
        await pilot.press("escape")
        assert not isinstance(app.screen, PlotsScreen)


async def test_plots_follow_the_moment_that_is_looked_at(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "p")
        await until(pilot, everything(app))
        now = {pane.border_title: drawn(pane) for pane in panes(app)}
        await pilot.press("less_than_sign", "less_than_sign")
        assert session.past is not None
        await until(pilot, lambda: (shown := plots(app)._plotted) is not None and shown.seq == session.past)
        await app.workers.wait_for_complete()
        await pilot.pause()
        plotted = plots(app)._plotted
        tree = session.tree
        assert plotted is not None
        assert plotted.figures is not None
        assert tree is not None
        assert plotted.returns.at[-1] == tree.iteration_seqs.index(session.past) + 1
        assert sum(plotted.figures.returns) == tree.at(session.past).visits(0)
        changed = [
            title for title, text in now.items() if text != {p.border_title: drawn(p) for p in panes(app)}[title]
        ]
        assert len(changed) >= 4
        await pilot.click(plots(app).query_one(TimelineView), offset=(20, 3))
        assert session.past < tree.seq // 4
        await pilot.press("L")
        assert session.past is None


async def test_a_search_that_goes_on_is_plotted_as_it_grows(tmp_path: Path) -> None:
    from engine.search.job import new_job
    from engine.tree.events import SearchSettings

    workspace = opened(tmp_path / "w")
    path = workspace.traces / "l.trace.jsonl"
    session = Session(workspace)
    settings = SearchSettings(iterations=2_000, error_rate=0.5)
    session.start(lambda listener: new_job("textcraft", "2", settings, path, listener=listener, delay=0.03))
    async with running(session, "search", (120, 36)) as (app, pilot):
        await until(pilot, lambda: session.tree is not None and session.tree.seq > 20)
        await pilot.press("v", "p")
        await until(pilot, everything(app))
        first = plots(app)._plotted
        assert first is not None
        await until(pilot, lambda: (shown := plots(app)._plotted) is not None and shown.seq > first.seq + 20)
        tree = session.tree
        assert tree is not None
        await until(
            pilot,
            lambda: (
                (shown := plots(app)._plotted) is not None
                and shown.spent is not None
                and first.spent is not None
                and shown.spent.calls[-1] > first.spent.calls[-1]
            ),
        )
        await pilot.press("escape", "S")
        await until(pilot, lambda: not session.running)


async def test_a_tree_that_was_made_elsewhere_says_what_is_not_known(tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    session.open(honey_trace(tmp_path / "honey.trace.jsonl"))
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "p")
        await app.workers.wait_for_complete()
        await pilot.pause()
        said = " ".join(drawn(pane) for pane in panes(app) if pane.message)
        assert "made elsewhere: no history" in said
        assert "made elsewhere: its calls are not known" in said
        assert sum(not pane.message for pane in panes(app)) == 3


async def test_without_colours_nothing_is_coloured_and_every_series_is_there(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("v", "p")
        await until(pilot, everything(app))
        texts = [drawn(pane) for pane in panes(app)]
        app.theme = MONO_THEME
        await pilot.pause()
        assert [drawn(pane) for pane in panes(app)] == texts
        for pane in panes(app):
            text = pane.render()
            assert isinstance(text, Text)
            assert all(getattr(span.style, "color", None) is None for span in text.spans)
        assert "•" in texts[0]
        assert any("⠀" < letter <= "⣿" for letter in texts[0]), "the best return has other marks than the mean"


@pytest.mark.parametrize("cost", [[], [0.1, 0.2]])
@pytest.mark.parametrize("tokens", [[], [10, 20]])
def test_cost_is_drawn_in_dollars_else_in_tokens_else_not(cost: list[float], tokens: list[int]) -> None:
    from textual_plotext import Plot

    plot = Plot()
    plot.theme("clear")
    plotted = Plotted(9, False, (0.0, 1.0), Returns([], [], [], False), None, Spent([1, 2], [1, 2], tokens, cost))
    said = PLOTS[5][1](Pen(plot, palette_of_mono(), False, 10), plotted)
    plot._set_size(60, 12)
    text = plot.build()
    if cost:
        assert "0.2" in text
    elif tokens:
        assert "20" in text
    else:
        assert said == "the actor tells neither tokens nor a price"


def palette_of_mono() -> Palette:
    from agentr_tui.terminal.theme import THEMES

    return palette(THEMES[-1])


def test_ascii_plots_are_ascii_and_tell_the_same() -> None:
    from textual_plotext import Plot

    figures = Figures([5, 5, 3], [1, 0, 4], [3] + [0] * (BINS - 2) + [2])
    plotted = Plotted(
        9, False, (0.0, 1.0), Returns([1, 2], [0.5, 1.0], [0.5, 0.7], True), figures, Spent([1, 2], [1, 2], [], [])
    )
    for _, draw in PLOTS[:5]:
        plot = Plot()
        plot.theme("clear")
        plot.frame(False)
        assert draw(Pen(plot, palette_of_mono(), True, 10), plotted) == ""
        plot._set_size(50, 12)
        assert plot.uncolorize(plot.build()).isascii()


def test_counts_are_short() -> None:
    assert [short(count) for count in (7, 9_999, 12_345, 2_500_000)] == ["7", "9999", "12k", "2.5M"]


@given(st.integers(1, 10**7), st.integers(3, 80))
def test_ticks_of_counts_are_whole_and_equally_many_lines_apart_and_the_highest_bar_has_a_line_above(
    most: int, rows: int
) -> None:
    top, ticks = count_ticks(most, rows)
    lines = rows - 1
    at = [tick * lines / top for tick in ticks]
    assert at == pytest.approx([round(place) for place in at]), "each on a line of its own"
    assert len({round(after - before) for before, after in pairwise(at)}) <= 1
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 7
    assert most * lines / top <= lines - 1 + 1e-9


@given(st.floats(-5, 5), st.floats(0.1, 9), st.integers(3, 80))
def test_ticks_of_returns_hold_both_ends(low: float, span: float, rows: int) -> None:
    top, ticks = share_ticks(low, low + span, rows)
    assert ticks[0] == low
    assert ticks[-1] == pytest.approx(low + span)
    at = [(tick - low) * (rows - 1) / (top - low) for tick in ticks]
    assert at == pytest.approx([round(place) for place in at], abs=1e-6)
    assert at[-1] >= rows - 2 - 1e-6, "at most a line is lost"
