"""The first minute: hints lead from a search to an exported line, once, and escape ends them for ever."""

from __future__ import annotations

import re
from pathlib import Path

from textual.widgets import Input

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.dataset.export_dialog import ExportDialog
from agentr_tui.state.session import Session
from agentr_tui.state.tour import AWAY, ELSEWHERE, HINTS, NO_TRACE, NOT_OPENED, Facts, Tour, step_of
from agentr_tui.widgets.hint_line import HintLine
from tests.agentr_tui.apps import NARROW, opened, searched, until

WAY = [
    Facts("search"),
    Facts("pairs"),
    Facts("revision"),
    Facts("revision", accepted=1),
    Facts("dataset", accepted=1),
    Facts("dataset", accepted=1, exports=1),
]


def test_each_step_of_the_way_has_its_hint_and_going_back_takes_none_back(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    assert tour.first_start
    assert tour.hint == ""
    tour.begin()
    seen = []
    for facts in WAY:
        tour.go_on(facts)
        seen.append(tour.hint)
        tour.go_on(facts._replace(mode="search"))
        assert tour.hint.split("  ")[0] == seen[-1].split("  ")[0]
    assert [hint.split("  ")[0] for hint in seen] == [f"{number}/6" for number in range(1, 7)]
    tour.go_on(WAY[-1]._replace(mode="library"))
    assert tour.hint == seen[-1]
    tour.go_on(WAY[-1]._replace(mode="search"))
    assert tour.hint == "", "the last hint was read where it is about"
    assert not Tour(tmp_path).first_start
    assert Tour(tmp_path).hint == ""


def test_a_tour_that_was_left_goes_on_where_it_was_and_one_that_was_ended_never(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    tour.begin()
    tour.go_on(Facts("pairs"))
    assert Tour(tmp_path).hint == tour.hint == f"2/6  {HINTS[1]}"
    tour.end()
    again = Tour(tmp_path)
    assert (again.first_start, again.hint) == (False, "")


def test_who_was_here_before_there_were_hints_gets_none(tmp_path: Path) -> None:
    (tmp_path / "place-0.json").write_text("{}")
    tour = Tour(tmp_path)
    assert (tour.first_start, tour.hint) == (False, "")


def test_there_are_six_hints_that_name_the_key_that_comes_next_and_fit_two_lines() -> None:
    assert len(HINTS) == 6
    for hint in HINTS:
        assert len(hint) < 130
        assert re.search(r"[Pp]ress .\b", hint)


def test_every_jump_is_understood() -> None:
    assert step_of(Facts("dataset"), 0) == 4
    assert step_of(Facts("search", accepted=2), 0) == 3
    assert step_of(Facts("library"), 2) == 2


def test_a_hint_about_another_screen_names_the_key_that_leads_there(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    tour.begin()
    screens = {"library": "1", "search": "2", "pairs": "3", "revision": "4", "dataset": "5"}
    for facts in WAY:
        tour.go_on(facts)
        step = int(tour.hint[0]) - 1
        if step not in AWAY:
            continue
        assert tour.hint.endswith(HINTS[step])
        for mode in screens.keys() - {AWAY[step][0]}:
            if step_of(facts._replace(mode=mode), step) == step:
                tour.go_on(facts._replace(mode=mode))
                leads = screens[AWAY[step][0]] if step else "enter"  # in the library, on a trace
                assert f"Press {leads} " in tour.hint, (step, mode)
                assert len(tour.hint) < 130


def test_a_hint_speaks_of_a_tree_only_where_one_is_open(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    tour.begin()
    nothing = Facts("library", to_see=False)
    for facts, told in (
        (nothing._replace(traces=False), NO_TRACE),
        (nothing, NOT_OPENED),
        (nothing._replace(mode="pairs"), ELSEWHERE),
        (nothing._replace(mode="dataset"), ELSEWHERE),
    ):
        tour.go_on(facts)
        assert tour.hint == f"1/6  {told}"
    tour.go_on(Facts("search"))
    assert tour.hint == f"1/6  {HINTS[0]}", "and none was left out meanwhile"


async def test_the_first_hint_over_the_sample_trees_says_how_to_open_one(tmp_path: Path) -> None:
    session = Session(opened(tmp_path / "w"))
    tour = Tour(tmp_path / "state")
    tour.begin()
    app = AgentrApp(session, "library", tour=tour)
    async with app.run_test(size=NARROW) as pilot:
        await until(pilot, lambda: tour.hint == f"1/6  {NO_TRACE}")
        await pilot.press("t")
        await until(pilot, lambda: tour.hint == f"1/6  {NOT_OPENED}")
        await until(pilot, lambda: len(app.screen.shown) > 5)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: tour.hint == f"1/6  {HINTS[0]}")


async def test_the_way_is_walked_by_keys_from_a_tree_to_an_exported_line(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace, iterations=8))
    tour = Tour(tmp_path / "state")
    tour.begin()
    app = AgentrApp(session, "search", tour=tour)
    async with app.run_test(size=NARROW, notifications=True) as pilot:

        async def shows(number: int) -> None:
            await until(pilot, lambda: tour.hint.startswith(f"{number}/6"))
            await until(pilot, lambda: app.screen.query(HintLine) and app.screen.query_one(HintLine).display)

        await shows(1)
        await pilot.press("slash", "escape")  # the query's escape is the query's
        assert not isinstance(app.screen.focused, Input)
        await shows(1)
        await pilot.press("3")
        await shows(2)
        await pilot.press("4")
        await shows(3)
        await until(pilot, lambda: app.screen.front.shown is not None)  # type: ignore[attr-defined]
        await pilot.press("a")
        await shows(4)
        await pilot.press("5")
        await shows(5)
        await until(pilot, lambda: app.screen.runs.counted is not None)  # type: ignore[attr-defined]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("ctrl+s")
        await shows(6)
        (written,) = workspace.exports.glob("*.jsonl.report.json")
        assert written.name == "textcraft-agent-r.jsonl.report.json"
        await pilot.press("1", "escape")
        await until(pilot, lambda: not app.screen.query_one(HintLine).display)
        assert Tour(tmp_path / "state").hint == ""
