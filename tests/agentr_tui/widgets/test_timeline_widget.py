"""The timeline on the Search screen: what it shows, where the mouse leads, what a step through time marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.search.time_travel import MARKED, Step, change_marks, format_step
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import DEFAULT_THEME, MONO_THEME, glyphs
from agentr_tui.widgets.timeline import LABEL, TimelineView, axis_parts, bar_parts, mark_parts
from agentr_tui.widgets.tree.view import TreeView
from engine.explain.timeline import Column, changed_between, column_of
from tests.agentr_tui.apps import opened, running, searched, showing, until
from tests.agentr_tui.trees import random_tree


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return showing(tmp_path / "w", iterations=6)


def strip_of(app: AgentrApp) -> TimelineView:
    return app.screen.query_one(TimelineView)


def lines(app: AgentrApp) -> list[str]:
    strip = strip_of(app)
    return [strip.render_line(y).text for y in range(strip.size.height)]


def said(app: AgentrApp) -> str:
    """What the timeline says of the moment, wherever that stands."""
    strip = strip_of(app)
    return str(strip.border_subtitle) if strip.size.height > 1 else lines(app)[0]


@pytest.mark.parametrize(("size", "height"), [((80, 24), 1), ((120, 24), 1), ((120, 36), 3), ((200, 60), 4)])
async def test_as_many_lines_as_there_is_room_for(session: Session, size: tuple[int, int], height: int) -> None:
    async with running(session, "search", size) as (app, _):
        assert strip_of(app).size.height == height
        assert all(len(line) == strip_of(app).size.width for line in lines(app))
        assert "498" in said(app) or str(session.tree.seq if session.tree else "") in said(app)


async def test_the_position_stands_where_the_moment_is_and_the_future_is_faint(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        tree, strip = session.tree, strip_of(app)
        assert tree is not None
        await pilot.press("less_than_sign", "less_than_sign")
        past = session.past
        assert past is not None
        axis = lines(app)[-1]
        width = strip.size.width - LABEL - 1
        assert axis[LABEL:].index(glyphs().live) == column_of(past, width, tree.seq)
        assert f"event {past} of {tree.seq}" in said(app)
        assert "past" in said(app)
        faint = [segment.style for segment in strip.render_line(0)][-2]
        assert faint != next(iter(strip.render_line(0))).style


async def test_a_click_on_the_line_goes_to_that_moment_and_its_ends_are_the_first_and_the_last(
    session: Session,
) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        strip, tree = strip_of(app), session.tree
        assert tree is not None
        for column in (0, 40, 80):
            await pilot.click(strip, offset=(LABEL + 1 + column, 3))
            assert session.past == strip.columns()[column].end or session.past == strip.columns()[column].mark_seq
        await pilot.click(strip, offset=(strip.size.width - 1, 3))
        assert session.past is None


async def test_a_click_on_a_mark_goes_to_what_it_marks(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        strip = strip_of(app)
        place, column = next((at, each) for at, each in enumerate(strip.columns()) if each.mark == "good")
        await pilot.click(strip, offset=(LABEL + 1 + place, 2))
        assert session.past == column.mark_seq
        assert strip.shown is not None
        assert column.mark_seq in strip.shown.timeline.moments["good"]


async def test_dragging_passes_through_time_and_ends_where_the_button_is_let_go(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        strip = strip_of(app)
        seen = []
        await pilot.mouse_down(strip, offset=(LABEL + 5, 3))
        for column in (10, 30, 20):
            await pilot.hover(strip, offset=(LABEL + 1 + column, 3))
            seen.append(session.past)
        await pilot.mouse_up(strip, offset=(LABEL + 1 + 20, 3))
        assert len(set(seen)) == 3
        assert app.mouse_captured is None
        await pilot.hover(strip, offset=(LABEL + 60, 3))
        assert session.past == seen[-1]


async def test_a_step_through_time_marks_what_is_new_and_what_was_visited(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        tree = session.tree
        assert tree is not None
        for key in ("less_than_sign", "less_than_sign", "greater_than_sign"):
            await pilot.press(key)
        before, after = tree.iteration_seqs[-2], tree.iteration_seqs[-1]
        assert session.past == after
        changes = changed_between(tree, before, after)
        marks = app.screen.query_one("#tree", TreeView).drawing.overlay.marks
        assert set(marks) == {*changes.new, *changes.visited}
        assert marks[changes.new[0]].word == "new"
        assert marks[0].word == f"N +{tree.at(after).visits(0) - tree.at(before).visits(0)}"
        assert f"{len(changes.new)} new, {len(changes.visited)} visited" in said(app)


async def test_going_back_says_what_is_gone_and_by_how_much_figures_fell(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("less_than_sign", "less_than_sign")
        marks = app.screen.query_one("#tree", TreeView).drawing.overlay.marks
        assert marks
        assert all(mark.word.startswith("N -") for mark in marks.values())
        assert "not there yet" in said(app)


async def test_marks_go_when_the_moment_does_and_with_escape(session: Session, tmp_path: Path) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        await pilot.press("less_than_sign", "less_than_sign", "L")
        view = app.screen.query_one("#tree", TreeView)
        assert view.drawing.overlay.marks, "back to now is a step too"
        assert "visited" in said(app)
        await pilot.press("escape")
        assert not view.drawing.overlay.marks
        assert "visited" not in said(app)
        await pilot.press("less_than_sign", "less_than_sign", "L")
        assert view.drawing.overlay.marks
        other = searched(session.workspace, "3", iterations=2, seed=1)
        app.open_path(other)
        await until(pilot, lambda: session.path == other and not view.drawing.overlay.marks)
        assert "visited" not in said(app)


def test_too_many_changes_are_counted_and_not_marked() -> None:
    tree = random_tree(MARKED * 2, 1).tree
    step = Step(0, tree.seq, changed_between(tree, 0, tree.seq))
    assert change_marks(tree, step) == {}
    assert format_step(step).startswith(f"{len(tree) - 1} new")
    some = changed_between(tree, tree.seq // 2, tree.seq, 50)
    assert not some.complete
    assert len(some.visited) <= 50 + 30  # it stops after the trajectory that reached so many
    assert "+ visited" in format_step(Step(tree.seq // 2, tree.seq, some))


async def test_a_running_search_moves_on_while_the_past_is_looked_at(tmp_path: Path) -> None:
    from engine.search.job import new_job
    from engine.tree.events import SearchSettings

    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    settings = SearchSettings(iterations=2_000, error_rate=0.5)
    session.start(
        lambda listener: new_job("textcraft", "2", settings, workspace.traces / "l.trace.jsonl", listener=listener,
                                 delay=0.03)
    )  # fmt: skip
    async with running(session, "search", (120, 36)) as (app, pilot):
        await until(pilot, lambda: session.tree is not None and session.tree.seq > 40)
        assert session.tree is not None
        assert strip_of(app).has_class("-live")
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"t 20", "enter")
        await until(pilot, lambda: session.past == 20)
        seen = session.tree.seq
        shown = len(app.screen.query_one("#tree", TreeView).rows or ())
        await until(pilot, lambda: session.tree is not None and session.tree.seq > seen + 20)
        assert len(app.screen.query_one("#tree", TreeView).rows or ()) == shown
        assert said(app).startswith("event 20 of ")
        await until(pilot, lambda: int(said(app).split()[3]) > seen)
        await pilot.press("L")
        assert session.past is None
        await stopped(app, pilot)


async def stopped(app: AgentrApp, pilot: Pilot[Any]) -> None:
    await pilot.press("S")
    await until(pilot, lambda: not app.session.running)


async def test_an_event_that_is_folded_while_a_dialog_is_open_is_shown_when_it_closes(session: Session) -> None:
    """The flush tells only the screen in front."""
    tree = session.tree
    assert tree is not None
    async with running(session, "search", (120, 36)) as (app, pilot):
        view = app.screen.query_one("#tree", TreeView)
        await pilot.press("v")
        leaf = next(node for node in tree.nodes if not node.expanded and node.terminal is None)
        grower_events(session, leaf.id)
        await pilot.press("escape")
        await until(pilot, lambda: view.rows is not None and view.rows.nodes == len(tree))
        assert str(tree.seq) in said(app)


def grower_events(session: Session, parent: int) -> None:
    from engine.tree.events import Child, Expanded, Resumed, Sampled, Selected

    tree = session.tree
    assert tree is not None
    tree.apply(Resumed(seq=tree.seq + 1))
    tree.apply(Selected(seq=tree.seq + 1, path=tree.ancestors(parent)))
    tree.apply(Sampled(seq=tree.seq + 1, parent=parent, draw=0, response="Action: look"))
    tree.apply(Expanded(seq=tree.seq + 1, parent=parent, children=[Child(draw=0, action="look", observation="")]))


async def test_without_colours_every_sign_is_still_there(session: Session) -> None:
    async with running(session, "search", (120, 36)) as (app, pilot):
        assert app.theme == DEFAULT_THEME
        colourful = lines(app)
        app.theme = MONO_THEME
        await pilot.pause()
        assert lines(app) == colourful
        assert all(s.style is None or s.style.color is None or s.style.color.is_default
                   for y in range(3) for s in strip_of(app).render_line(y))  # fmt: skip


def test_ascii_signs_are_ascii() -> None:
    columns = [Column(5, 0.1, 0.1, 3, 1, "good", 4), Column(9, 1.0, 0.5, 0, 0, "failed", 7)]
    signs = glyphs(ascii=True)
    parts = [
        *bar_parts([0.1, None, 1.0], 1, 0.0, 1.0, signs),
        *mark_parts(columns, 1, signs),
        *axis_parts(columns, 0, signs),
    ]
    assert "".join(text for text, _ in parts).isascii()


async def test_a_tree_that_was_made_elsewhere_has_no_history(tmp_path: Path) -> None:
    from tests.engine.made import honey_trace

    session = Session(opened(tmp_path / "w"))
    session.open(honey_trace(tmp_path / "honey.trace.jsonl"))
    async with running(session, "search", (120, 36)) as (app, _):
        assert "no history" in said(app)


async def test_where_no_tree_is_open_there_is_no_timeline(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path / "w")), "search", (120, 36)) as (app, _):
        assert isinstance(app.screen, SearchScreen)
        assert not strip_of(app).display
