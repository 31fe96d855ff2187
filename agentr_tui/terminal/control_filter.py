"""The last thing before the terminal: whatever a widget draws, no control character gets out.

Widgets write them out (`safe_text`). What passes a widget of Textual's all the same (a pasted text in an input, a
name in a list) is taken out here: seen or not, it is never obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from agentr_tui.terminal.safe_text import without_controls


class Guard(LineFilter):
    """Leaves control, format and surrogate characters out of every line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, safe to send."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(without_controls(text), style, control) for text, style, control in segments]


class Chain(LineFilter):
    """Filters as one: Textual goes through all lines of the screen once a frame for each, and keeps a copy of each."""

    def __init__(self, filters: Sequence[LineFilter] = ()) -> None:
        """`filters`: the first gets a line first."""
        super().__init__()
        self._filters = tuple(filters)

    def of(self, filters: Sequence[LineFilter]) -> Chain:
        """Returns the chain of these filters: this one, where they are the same."""
        return self if self._filters == tuple(filters) else Chain(filters)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """What the last filter makes of the line."""
        for each in self._filters:
            segments = each.apply(segments, background)
        return segments
