"""The one line at the top: which screen, which task, how the search stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

from agentr_tui.terminal.safe_text import escape, fit
from agentr_tui.terminal.theme import Role, palette

MODES = ("library", "search", "pairs", "revision", "dataset")
"""The screens, in the order of their keys 1 to 5."""

Parts = tuple[tuple[str, Role], ...]


class TopBar(Widget):
    """Mode badge at the left, then what the screen says, then figures at the right."""

    DEFAULT_CSS = "TopBar { height: 1; dock: top; background: $panel; }"

    left: reactive[Parts] = reactive(())
    right: reactive[Parts] = reactive(())

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def show(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        """Put these parts up."""
        self.left, self.right = tuple(left), tuple(right)

    def render(self) -> RenderResult:
        """The line. Where it does not fit, the longest part at the left is cut, bars go, then figures."""
        colors = palette(self.app.current_theme)
        number = f"{MODES.index(self.mode) + 1} " if self.mode in MODES else ""
        badge = f" {number}{self.mode.capitalize()} "
        width = self.size.width - len(badge) - 2
        left = [(escape(part), role) for part, role in self.left]
        figures = list(self.right)
        while figures and _cells(left) - _slack(left) + _cells(figures) + 1 > width:
            less = _without_bars(left)
            if less == left:
                figures.pop(0)
            left = less
        left = _shortened(left, width - _cells(figures) - bool(figures))
        text = Text(end="")
        text.append(badge, Style.parse(colors.focus) + Style(reverse=True))
        text.append(" ")
        for part, role in left:
            text.append(part, colors[role])
        text.append(" " * max(0, width - _cells(left) - _cells(figures)))
        for part, role in figures:
            text.append(part, colors[role])
        return text

    def on_click(self, event: Click) -> None:
        """A click on the badge opens the menu of screens."""
        if event.x < len(self.mode) + 4:
            self.run_worker(self.app.run_action("screens"))


BARS = frozenset("█░#.")
"""Signs of a bar; a part of nothing else is the first to go."""
LEAST = 20
"""Cells to which the longest part may be cut before figures go."""


def _cells(parts: Sequence[tuple[str, Role]]) -> int:
    return sum(cell_len(part) for part, _ in parts)


def _slack(parts: Sequence[tuple[str, Role]]) -> int:
    """Cells that cutting the longest part would give."""
    return max(0, max((cell_len(part) for part, _ in parts), default=0) - LEAST)


def _without_bars(parts: list[tuple[str, Role]]) -> list[tuple[str, Role]]:
    return [part for part in parts if not set(part[0].strip()) <= BARS]


def _shortened(parts: list[tuple[str, Role]], room: int) -> list[tuple[str, Role]]:
    """The parts in at most `room` cells: bars go, then the longest is cut, then what is still too much at the end."""
    if _cells(parts) - _slack(parts) > room:
        parts = _without_bars(parts)
    over = _cells(parts) - room
    if over > 0 and parts:
        longest = max(range(len(parts)), key=lambda at: cell_len(parts[at][0]))
        text, role = parts[longest]
        kept = max(LEAST, cell_len(text) - over)
        parts = [*parts[:longest], (fit(text.rstrip(), kept - 1) + " ", role), *parts[longest + 1 :]]
    shown = []
    for text, role in parts:
        text = fit(text, room)
        room -= cell_len(text)
        shown.append((text, role))
    return shown
