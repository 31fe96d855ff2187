"""A widget that draws anew only what changed: over a slow line every byte counts, and a search changes all the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from agentr_tui.terminal.safe_text import clip

Title = str | Content
LONGEST_TITLE = 100
"""Cells of a text that is not ours in the border of a pane."""


def plain_title(text: str, width: int = LONGEST_TITLE) -> Content:
    """Returns a title for a border, as it is: Textual reads a string there as markup, which may fail, or be obeyed.

    `text`: may hold names of models, tasks, files, people. `width`: most cells.
    """
    return Content(clip(text, width))


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


class FrugalStatic(Static):
    """A text that changes rarely: putting up the same again costs nothing, where `update` lays the whole screen out."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__("", id=id, classes=classes, markup=False)
        self.told = ""

    def say(self, text: str) -> bool:
        """Put up a text; whether it is another."""
        if text == self.told:
            return False
        self.told = text
        self.update(text)
        return True


class FrugalScrollBar(ScrollBar):
    """A scrollbar that draws those of its lines anew that look different: a row of thousands seldom moves its thumb."""

    _drawn: list[Segment] | None = None  # one a line; None: to be made for the next frame

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Draw anew; see `Widget.refresh`."""
        before, self._drawn = self._drawn, None
        if regions or layout or recompose or not repaint or not self.size:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        self._drawn = now = self._lines()
        if before is None or len(before) != len(now):
            return super().refresh()
        changed = [Region(0, y, self.size.width, 1) for y, line in enumerate(now) if line != before[y]]
        return super().refresh(*changed) if changed else self

    def notify_style_update(self) -> None:
        """Theme or room changed: the lines are stale."""
        super().notify_style_update()
        self._drawn = None

    def render_line(self, y: int) -> Strip:
        """One line, as Textual draws all of them at once."""
        if self._drawn is None:
            self._drawn = self._lines()
        return Strip(self._drawn[y : y + 1])

    def _lines(self) -> list[Segment]:
        bar, ground = self.render(), self.visual_style.rich_style
        assert isinstance(bar, ScrollBarRender)
        style = bar.style if isinstance(bar.style, Style) else Style.parse(bar.style)
        drawn = bar.render_bar(
            self.size.height,
            bar.virtual_size,
            bar.window_size,
            bar.position,
            bar.thickness,
            back_color=style.bgcolor or Color.default(),
            bar_color=style.color or Color.default(),
        )
        return [Segment(text, ground + style) for text, style, _ in drawn.segments]


class FrugalScroll(Frugal, ScrollView):
    """The same with lines to scroll through."""

    # Textual takes styles from the first base only: ScrollView's own are not among them
    DEFAULT_CSS = "FrugalScroll { overflow-x: hidden; overflow-y: auto; }"

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """The scrollbar, made when it is first asked for."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = _scrollbar_of(self)
        return self._vertical_scrollbar

    def set_height(self, count: int) -> None:
        """Set the number of lines to scroll through, none wider than the widget."""
        if (size := Size(0, count)) != self.virtual_size:
            _set_lines(self, size)


def _set_lines(widget: FrugalScroll, size: Size) -> None:
    """Give a widget another virtual size.

    Assigning it lays the screen out: needed only where the scrollbar comes or goes, or the widget is as high as its
    lines.
    """
    count, before, height = size.height, widget.virtual_size.height, widget.container_size.height
    shown = widget.show_vertical_scrollbar
    if shown and min(count, before) > height > 0:
        widget.set_reactive(Widget.virtual_size, size)
        widget.vertical_scrollbar.window_virtual_size = count
    elif not shown and not widget.styles.is_auto_height and max(count, before) <= widget.size.height:
        widget.set_reactive(Widget.virtual_size, size)
    else:
        widget.virtual_size = size


def _scrollbar_of(widget: Widget) -> ScrollBar:
    bar = FrugalScrollBar(vertical=True, name="vertical", thickness=widget.scrollbar_size_vertical)
    bar.display = False
    widget.app._start_widget(widget, bar)
    return bar
