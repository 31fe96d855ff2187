"""Draws and resizes every widget that a layout moved: Textual forgets some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual._compositor import Compositor, CompositorMap, ReflowResult
from textual.geometry import Size

if TYPE_CHECKING:
    from textual.widget import Widget


class LastLayout(Compositor):
    """Compares each layout with the last one.

    After a scroll or a new widget, Textual arranges a screen anew as soon as anybody asks for the size of a widget, and
    compares the next layout with that arrangement. What moved in between is then neither drawn nor told its size: a
    notice left old lines above it, among them a verdict that blind mode hides.
    """

    _laid_out: CompositorMap | None = None

    def clear(self) -> None:
        """Remember no widget."""
        super().clear()
        self._laid_out = None

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out a screen; returns the widgets that are hidden, shown and of another size since the last layout."""
        if self._laid_out is not None:
            self._full_map = self._laid_out
        done = super().reflow(parent, size)
        self._laid_out = self._full_map
        return done
