"""The tabs of the top bar: names and badges where there is room, numbers where there is little, a click leads there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.widgets.mode_tabs import GAP, MODES, cells, tab_at, tabs

BADGES = {"search": "●", "pairs": "266", "revision": "37 to go"}


def told(mode: str, room: int, needed: int = 0) -> str:
    return (" " * GAP).join(f"{tab.text} {tab.badge}".rstrip(" ") for tab in tabs(mode, BADGES, room, needed))


def test_what_has_no_room_goes_badges_first_then_names_then_all_but_the_open_one() -> None:
    assert told("library", 200) == " 1 Library  2 Search ●  3 Pairs 266  4 Revision 37 to go  5 Dataset"
    assert told("library", 65) == " 1 Library  2 Search  3 Pairs  4 Revision  5 Dataset"
    assert told("library", 50) == " 1 Library  2 ●  3 266  4 37 to go  5"
    assert told("search", 30) == "1   2 Search  3  4  5"
    assert told("search", 80, needed=75) == " 2 Search"
    assert told("compare", 200) == " Compare"


@given(st.sampled_from(MODES), st.integers(12, 200), st.integers(0, 150))
def test_they_fit_and_every_cell_of_one_leads_to_its_screen(mode: str, room: int, needed: int) -> None:
    row = tabs(mode, BADGES, room, needed)
    assert cells(row) + needed <= room or [tab.mode for tab in row] == [mode]
    start = 0
    for tab in row:
        assert {tab_at(row, x) for x in range(start, start + tab.cells)} == {tab.mode}
        assert tab_at(row, start + tab.cells) is None
        start += tab.cells + GAP


@pytest.mark.parametrize("mode", MODES)
def test_the_open_screen_is_always_named(mode: str) -> None:
    assert any(tab.mode == mode and mode.capitalize() in tab.text for tab in tabs(mode, BADGES, 20, 100))
