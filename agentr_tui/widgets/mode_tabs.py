"""The five screens as tabs of the top bar: as many words as there is room for, and what waits on each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.cells import cell_len

MODES = ("library", "search", "pairs", "revision", "dataset")
"""The screens, in the order of their keys 1 to 5."""

Badges = Mapping[str, str]
"""What waits on a screen, in a word, by its mode."""


class Tab(NamedTuple):
    """One tab: its text, and what waits there."""

    mode: str
    text: str
    badge: str

    @property
    def cells(self) -> int:
        """How wide it is."""
        return cell_len(self.text) + cell_len(self.badge) + bool(self.badge)


GAP = 2
"""Cells between two tabs."""


def cells(tabs: list[Tab]) -> int:
    """How wide tabs are together."""
    return sum(tab.cells for tab in tabs) + GAP * (len(tabs) - 1)


def tabs(mode: str, badges: Badges, room: int, needed: int) -> list[Tab]:
    """Returns the tabs: names and badges where there is room, else names, else numbers and badges, else numbers, else
    the open one alone.

    `mode`: name of the open screen. `badges`: screen → what waits there. `room`: cells of the bar. `needed`: cells of
    its other parts.
    """
    number = MODES.index(mode) + 1 if mode in MODES else 0
    here = f" {number} {mode.capitalize()} " if number else f" {mode.capitalize()} "
    if not number:
        return [Tab(mode, here, "")]

    def made(names: bool, badged: bool) -> list[Tab]:
        return [
            Tab(
                each,
                here if each == mode else f"{at} {each.capitalize()}" if names else str(at),
                badges.get(each, "") if badged and (each != mode or names) else "",
            )
            for at, each in enumerate(MODES, 1)
        ]

    for names, badged in ((True, True), (True, False), (False, True), (False, False)):
        row = made(names, badged)
        if cells(row) + needed <= room:
            return row
    return [Tab(mode, here, "")]


def tab_at(row: list[Tab], x: int) -> str | None:
    """The mode of the tab at a cell; None beside them."""
    start = 0
    for tab in row:
        if start <= x < start + tab.cells:
            return tab.mode
        start += tab.cells + GAP
    return None
