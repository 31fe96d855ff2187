"""A few names side by side, one of them chosen: shows all choices and covers nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from agentr_tui.terminal.theme import palette

GAP = 1
"""Cells between two names."""


class Chips(Widget, can_focus=True):
    """Left and right take another name, a letter the next name that begins with it, a click the one below it."""

    DEFAULT_CSS = """
    Chips { width: 1fr; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "move(1)", "next", show=False, id="chips.next", tooltip="The next name"),
        Binding("left", "move(-1)", "previous", show=False, id="chips.previous", tooltip="The name before"),
    ]

    value: reactive[str] = reactive("")

    class Changed(Message):
        """Another name was taken."""

        def __init__(self, chips: Chips, value: str) -> None:
            super().__init__()
            self.chips, self.value = chips, value

        @property
        def control(self) -> Chips:
            """The sender."""
            return self.chips

    def __init__(self, names: Sequence[str], value: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = tuple(names)
        self.set_reactive(Chips.value, value)

    def watch_value(self, value: str) -> None:
        """Say so."""
        self.post_message(self.Changed(self, value))

    def _rows(self, width: int) -> list[list[str]]:
        """The names in rows of at most `width` cells."""
        rows: list[list[str]] = [[]]
        used = 0
        for name in self._names:
            cells = len(name) + 2
            if rows[-1] and used + GAP + cells > width:
                rows.append([])
                used = 0
            used += cells + (GAP if rows[-1] else 0)
            rows[-1].append(name)
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A line a row of names."""
        return len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        """One row of names: the one that is taken is reversed."""
        base, colors = self.rich_style, palette(self.app.current_theme)
        rows = self._rows(self.size.width)
        segments: list[Segment] = []
        for name in rows[y] if y < len(rows) else []:
            style = base + Style.parse(colors.text if self.has_focus else colors.muted)
            if name == self.value:
                style = base + Style.parse(colors.focus if self.has_focus else colors.strong) + Style(reverse=True)
            segments += [Segment(f" {name} ", style), Segment(" " * GAP, base)]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def action_move(self, by: int) -> None:
        """Another name; behind the last comes the first."""
        self.value = self._names[(self._names.index(self.value) + by) % len(self._names)]

    def on_key(self, event: events.Key) -> None:
        """A letter: the next name that begins with it."""
        at = self._names.index(self.value) + 1
        names = [name for name in (*self._names[at:], *self._names[:at]) if name[:1] == event.character]
        if names:
            event.stop()
            self.value = names[0]

    def on_click(self, event: events.Click) -> None:
        """The name below the mouse."""
        at = event.get_content_offset(self)
        rows = self._rows(self.size.width)
        if at is None or at.y >= len(rows):
            return
        left = 0
        for name in rows[at.y]:
            if left <= at.x < left + len(name) + 2:
                self.value = name
            left += len(name) + 2 + GAP
