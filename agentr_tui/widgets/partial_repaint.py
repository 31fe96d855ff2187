"""A widget that draws anew only what changed: over a slow line every byte counts, and a search changes all the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.widget import Widget

Title = str | Content


def _same(one: Title, other: Title | None) -> bool:
    """Whether two titles look the same; Content alone compares words, not colours."""
    if isinstance(one, Content) and isinstance(other, Content):
        return one.plain == other.plain and one.spans == other.spans
    return one == other


class Frugal(Widget):
    """Setting a title of Textual's draws the whole widget; `retitle` draws the border's lines, where they changed."""

    _titles: tuple[Title | None, Title | None] = (None, None)
    _border_lines: tuple[Region, ...] = ()  # while titles are set: what that draws anew

    def retitle(self, title: Title | None = None, subtitle: Title | None = None) -> None:
        """Put these in the border; None leaves what is there."""
        before = self._titles
        self._titles = title if title is not None else before[0], subtitle if subtitle is not None else before[1]
        size, above = self.outer_size, self.content_offset
        try:
            if title is not None and not _same(title, before[0]):
                self._border_lines = (Region(-above.x, -above.y, size.width, 1),)
                self.border_title = title
            if subtitle is not None and not _same(subtitle, before[1]):
                self._border_lines = (Region(-above.x, size.height - above.y - 1, size.width, 1),)
                self.border_subtitle = subtitle
        finally:
            self._border_lines = ()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw anew; see `Widget.refresh`."""
        return super().refresh(*(regions or self._border_lines), repaint=repaint, layout=layout, recompose=recompose)

    def refresh_changed(self, before: Sequence[object], after: Sequence[object]) -> None:
        """Draw those lines anew that differ; all where there were none before, or another number."""
        if len(before) != len(after) or not before:
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))


class FrugalScroll(Frugal, ScrollView):
    """The same with lines to scroll through."""

    # Textual takes styles from the first base only: ScrollView's own are not among them
    DEFAULT_CSS = "FrugalScroll { overflow-x: hidden; overflow-y: auto; }"

    def set_height(self, count: int) -> None:
        """Set the number of lines to scroll through, none wider than the widget.

        Assigning `virtual_size` lays out and draws the whole screen. That is needed only where the scrollbar appears or
        disappears, and where the widget is as high as its lines; else it is enough to update the scrollbar.
        """
        size, before, height = Size(0, count), self.virtual_size, self.container_size.height
        if size == before:
            return
        shown = self.show_vertical_scrollbar
        if shown and min(count, before.height) > height > 0:
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = count
        elif not shown and not self.styles.is_auto_height and max(count, before.height) <= self.size.height:
            self.set_reactive(Widget.virtual_size, size)
        else:
            self.virtual_size = size
