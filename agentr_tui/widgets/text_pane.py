"""A scrolling pane of styled lines that wraps words. Every text in it is shown escaped, never as markup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from agentr_tui.terminal.safe_text import clip, escape
from agentr_tui.terminal.theme import Role, palette
from agentr_tui.widgets.partial_repaint import FrugalScroll

MAX_CHARACTERS = 20_000
"""Of one part of a line; what is longer is cut, and says so."""


MAX_LINES = 400
"""Of one text that has lines of its own; the rest is counted."""


def lines_of(text: str) -> list[str]:
    """The lines of a text, as far as they are shown; what is left out is counted in the last one.

    Only \n begins a line: whatever else would in a terminal is shown as a sign.
    """
    lines = text[: MAX_CHARACTERS + 1].split("\n", MAX_LINES)
    if len(text) <= MAX_CHARACTERS and len(lines) <= MAX_LINES:
        return lines
    shown = "\n".join(lines[:MAX_LINES])[:MAX_CHARACTERS]
    return [*shown.split("\n"), f"… ({len(text) - len(shown)} more characters)"]


class Line(NamedTuple):
    """One line before wrapping: parts of text with their roles."""

    parts: tuple[tuple[str, Role], ...]
    indent: int = 0  # cells by which wrapped lines are set in
    key: int | None = None  # what the line belongs to, for `scroll_to_key`
    highlight: bool = False
    gutter: tuple[str, Role] | None = None  # begins each wrapped line, within the indent


def cut_to(parts: Sequence[tuple[str, Role]], width: int) -> Line:
    """A line of what has room in `width` cells, so that no word of it is on a second one."""
    shown: list[tuple[str, Role]] = []
    for text, role in parts:
        shown.append((clip(text, width), role))
        width -= cell_len(shown[-1][0])
    return Line(tuple(shown))


def line(
    *parts: tuple[str, Role],
    indent: int = 0,
    key: int | None = None,
    highlight: bool = False,
    gutter: tuple[str, Role] | None = None,
) -> Line:
    """Returns a line of a text pane.

    `parts`: each a text and its role. `indent`: cells by which wrapped lines are set in. `key`: what the line stands
    for, to find it again; None: nothing. `highlight`: whether it stands out. `gutter`: a sign at the left of each
    wrapped line, within the indent, and its role.
    """
    return Line(parts, indent, key, highlight, gutter)


Lines = Sequence[Line] | Callable[[int], Sequence[Line]]

BLANK = line(("", "text"))

_CONSOLE = Console(width=200, color_system=None, legacy_windows=False)


class TextPane(FrugalScroll, can_focus=True):
    """Shows `Line`s. Only visible rows are turned into strips; wrapping is done once a width."""

    BINDINGS = [
        Binding("j,down", "scroll_down", "Down", show=False, id="pane.down", tooltip="Scroll down"),
        Binding("k,up", "scroll_up", "Up", show=False, id="pane.up", tooltip="Scroll up"),
        Binding("g,home", "scroll_home", "Top", show=False, id="pane.top", tooltip="Scroll to the top"),
        Binding("G,end", "scroll_end", "End", show=False, id="pane.end", tooltip="Scroll to the end"),
    ]

    class LineChosen(Message):
        """A line that belongs to something was clicked twice."""

        def __init__(self, pane: TextPane, key: int) -> None:
            super().__init__()
            self.pane, self.key = pane, key

        @property
        def control(self) -> TextPane:
            """The sender."""
            return self.pane

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._build: Callable[[int], Sequence[Line]] | None = None
        self._rows: list[tuple[Text, bool]] = []
        self._row_of_key: dict[int, int] = {}
        self._to_end = False  # as soon as the pane is shown
        self._wanted: tuple[int, int] | None = None  # key that was scrolled to, and where that was
        self._wrapped_at = 0
        self._ground: Style | None = None  # colours of the pane in the frame that is drawn

    def set_lines(self, lines: Lines, *, keep_scroll: bool = False) -> None:
        """Show these lines, or what a function makes of the width; to the top unless `keep_scroll`."""
        self._build = lines if callable(lines) else None
        new = list(lines(self._width()) if callable(lines) else lines)
        if new == self._lines and self._wrapped_at:
            return
        self._lines = new
        self._wanted = None
        before = self._in_sight()
        self._wrap()
        if not keep_scroll:
            self.scroll_to(y=0, animate=False)
        self.refresh_changed(before, self._in_sight())

    def _in_sight(self) -> list[tuple[Text, bool] | None]:
        """What each line of the pane shows."""
        top, height = round(self.scroll_offset.y), self.size.height
        rows: list[tuple[Text, bool] | None] = [*self._rows[top : top + height]]
        return rows + [None] * (height - len(rows))

    def _width(self) -> int:
        return self.scrollable_content_region.width or self.size.width

    @property
    def plain(self) -> str:
        """All text as shown, for copying and for tests."""
        return "\n".join(row.plain.rstrip() for row, _ in self._rows)

    def scroll_to_key(self, key: int) -> None:
        """Bring the first line of that key into view, and keep it there when the pane is shown or gets smaller."""
        top, height = round(self.scroll_offset.y), self.size.height
        row = self._row_of_key.get(key)
        if row is not None and height and not top <= row < top + height - 1:
            self.scroll_to(y=max(0, row - height // 3), animate=False)
            top = round(self.scroll_target_y)
        self._wanted = (key, top)

    def to_end(self) -> None:
        """Show the last lines, at the latest when the pane itself is shown."""
        self._to_end = not self.size.height
        if not self._to_end:
            self.scroll_end(animate=False)

    def on_click(self, event: events.Click) -> None:
        """The second click on a line chooses what it belongs to; the first one may only have meant the pane."""
        at = event.get_content_offset(self)
        if at is None or event.chain != 2:
            return
        row = at.y + round(self.scroll_offset.y)
        starts = [(start, key) for key, start in self._row_of_key.items() if start <= row < len(self._rows)]
        if starts:
            self.post_message(self.LineChosen(self, max(starts)[1]))

    def _wrap(self) -> None:
        self._wrapped_at = width = self._width()
        self._rows, self._row_of_key = [], {}
        if width <= 0:
            return
        colors = palette(self.app.current_theme)
        styles: dict[Role, Style] = {}
        for row in self._lines:
            text = Text(no_wrap=False, end="")
            for part, role in row.parts:
                style = styles.get(role)
                if style is None:
                    style = styles[role] = Style.parse(colors[role])
                cut = part if len(part) <= MAX_CHARACTERS else f"{part[:MAX_CHARACTERS]}… ({len(part)} characters)"
                text.append(escape(cut), style)
            if row.key is not None:
                self._row_of_key.setdefault(row.key, len(self._rows))
            sign, role = row.gutter or ("", "text")
            gutter = Text(end="").append(sign, Style.parse(colors[role]))  # not the style of what follows
            self._rows.extend((piece, row.highlight) for piece in _wrapped(text, width, row.indent, gutter))
        self.set_height(len(self._rows))

    def on_resize(self) -> None:
        """Wrap again where the width changed."""
        if self._width() != self._wrapped_at:
            self._wrap_anew()
            self.refresh()
        if self._to_end:
            self.to_end()
        if self._wanted is not None and self._wanted[1] == round(self.scroll_offset.y):  # nobody scrolled since
            self.call_after_refresh(self.scroll_to_key, self._wanted[0])

    def watch_show_vertical_scrollbar(self) -> None:
        """The scrollbar appeared or disappeared: that changes the width without a resize event."""
        if self._wrapped_at:
            self.on_resize()

    def notify_style_update(self) -> None:
        """A theme was put on: colours are part of the wrapped rows."""
        super().notify_style_update()
        if self.is_attached and self._wrapped_at:
            self._wrap_anew()

    def _wrap_anew(self) -> None:
        """Wrap the lines, or those that are made for another width."""
        width = self._width()
        if self._build is not None and width != self._wrapped_at:
            self._lines = list(self._build(width))
        self._wrap()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows that are drawn in one frame."""
        self._ground = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        row = y + round(self.scroll_offset.y)
        width = self.size.width
        if self._ground is None:
            self._ground = self.rich_style  # looks through all ancestors: once a frame, not once a row
        base = self._ground
        if row >= len(self._rows):
            return Strip.blank(width, base)
        text, highlight = self._rows[row]
        if highlight:
            base = base + Style.parse(palette(self.app.current_theme).cursor_blurred)
        return Strip(_segments(text, base)).adjust_cell_length(width, base)


def _segments(text: Text, base: Style) -> list[Segment]:
    """A row of a pane as `Text.render` draws it: its styles stand in order, none over another."""
    plain, at = text.plain, 0
    segments = []
    for start, end, style in text.spans:
        if start > at:
            segments.append(Segment(plain[at:start], base))
        if end > start:
            segments.append(
                Segment(plain[start:end], base + (style if isinstance(style, Style) else Style.parse(style)))
            )
        at = end
    if at < len(plain):
        segments.append(Segment(plain[at:], base))
    return segments


def _wrapped(text: Text, width: int, indent: int, gutter: Text) -> list[Text]:
    """The text in rows of at most `width` cells; rows after the first are set in by `indent`, with the gutter there."""
    if text.cell_len <= width:
        return [text]
    room = max(4, width - indent)
    rows = list(text.wrap(_CONSOLE, width))
    if not indent or len(rows) < 2:
        return rows
    rest = text[len(rows[0].plain) :]
    rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
    blank = gutter + Text(" " * (width - room - gutter.cell_len), end="")
    return [rows[0], *(blank + row for row in rest.wrap(_CONSOLE, room))]
