"""The one line at the top: the screens, which task, the state of the search."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

from agentr_tui.terminal.safe_text import clip, fit
from agentr_tui.terminal.theme import Role, palette
from agentr_tui.widgets.mode_tabs import GAP, MODES, Tab, cells, tab_at, tabs

Parts = tuple[tuple[str, Role], ...]


class TopBar(Widget):
    """The screens as tabs, then the screen's own text, then figures at the right."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "TopBar { height: 1; dock: top; background: $panel; }"

    left: reactive[Parts] = reactive(())
    right: reactive[Parts] = reactive(())
    badges: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """What waits on the screens: mode and word."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def show(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        """Put these parts up."""
        self.left, self.right = tuple(left), tuple(right)

    def tabs(self) -> list[Tab]:
        """The tabs that have room beside the screen's own text."""
        left = [(clip(part, max(LEAST, self.size.width)), role) for part, role in self.left]
        needed = _cells(_without_bars(left)) - _slack(left) + 2
        return tabs(self.mode, dict(self.badges), self.size.width, needed + min(LEAST_FIGURES, _cells(self.right)))

    def render(self) -> RenderResult:
        """The line. Where it does not fit, the longest part at the left is cut, bars go, then figures."""
        colors = palette(self.app.current_theme)
        row = self.tabs()
        width = self.size.width - cells(row) - 2
        left = [(clip(part, max(LEAST, self.size.width)), role) for part, role in self.left]
        figures = list(self.right)
        while figures and _cells(left) - _slack(left) + _cells(figures) + 1 > width:
            less = _without_bars(left)
            if less == left:
                figures.pop(0)
            left = less
        left = shortened(left, width - _cells(figures) - bool(figures))
        text = Text(end="")
        for place, tab in enumerate(row):
            text.append(" " * GAP if place else "")
            here = tab.mode == self.mode
            text.append(tab.text, Style.parse(colors.focus) + Style(reverse=True) if here else colors["muted"])
            text.append(f" {tab.badge}" if tab.badge else "", colors["warn"])
        text.append(" " * (1 if len(row) == 1 else 2))
        for part, role in left:
            text.append(part, colors[role])
        text.append(" " * max(0, width - _cells(left) - _cells(figures)))
        for part, role in figures:
            text.append(part, colors[role])
        return text

    def on_click(self, event: Click) -> None:
        """A click on a tab goes there; on the open one it opens the menu of screens."""
        mode = tab_at(self.tabs(), event.x)
        if mode == self.mode:
            self.run_worker(self.app.run_action("screens"))
        elif mode in MODES:
            self.run_worker(self.app.run_action(f"mode('{mode}')"))


BARS = frozenset("█░#.")
"""Signs of a bar; a part of nothing else is the first to go."""
LEAST_FIGURES = 10
"""Cells of figures that tabs leave."""
LEAST = 20
"""Cells to which a long part may be cut before figures go."""


def _cells(parts: Sequence[tuple[str, Role]]) -> int:
    return sum(cell_len(part) for part, _ in parts)


def _slack(parts: Sequence[tuple[str, Role]]) -> int:
    """Cells that cutting long parts would give."""
    return sum(max(0, cell_len(part) - LEAST) for part, _ in parts)


def _without_bars(parts: list[tuple[str, Role]]) -> list[tuple[str, Role]]:
    return [part for part in parts if not set(part[0].strip()) <= BARS]


def shortened(parts: list[tuple[str, Role]], room: int) -> list[tuple[str, Role]]:
    """The parts in at most `room` cells: bars go, then the longest is cut, then the next one, then what is too much at
    the end."""
    if _cells(parts) - _slack(parts) > room:
        parts = _without_bars(parts)
    for _ in range(len(parts)):
        over = _cells(parts) - room
        if over <= 0:
            break
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
