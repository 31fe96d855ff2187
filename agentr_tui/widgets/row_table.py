"""A table whose cursor is a row. Only visible rows are made, so any number of rows costs the same.

Columns have fixed widths, some share what is left, and where there is no room the least important are left out.
Every text in it is shown escaped, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from agentr_tui.terminal.safe_text import ELLIPSIS, clip, escape
from agentr_tui.terminal.theme import Palette, Role, glyphs, palette
from agentr_tui.widgets.partial_repaint import FrugalScroll

Cell = tuple[tuple[str, Role], ...]
"""Parts of text with their roles. One without parts gives its room to the cell before it."""

GAP = 1
"""Cells between columns."""


def cell(text: str, role: Role = "text") -> Cell:
    """A cell of one part."""
    return ((text, role),)


@dataclass(frozen=True, slots=True)
class Column:
    """How a column is set."""

    name: str
    width: int  # cells; of a flexible column the least
    right: bool = False  # figures are set flush right
    flex: int = 0  # share of the cells that are left
    tail: bool = False  # of a text that is too long the end is shown
    drop: int = 0  # where there is no room the columns with the greatest are left out first; 0 always stays


def layout(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Place and width of every column that is shown, from left to right, for a table of `width` cells."""
    shown = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[place].width + GAP for place in shown) - GAP

    while needed() > width:
        least = max(shown, key=lambda place: columns[place].drop)
        if columns[least].drop == 0:
            break
        shown.remove(least)
    spare = max(0, width - needed())
    shares = sum(columns[place].flex for place in shown)
    widths = []
    for place in shown:
        flex = columns[place].flex
        more = spare * flex // shares if flex else 0
        if flex:
            spare, shares = spare - more, shares - flex
        widths.append((place, columns[place].width + more))
    return widths


class RowTable(FrugalScroll, can_focus=True):
    """Rows with a key each. The cursor stays on its key, and the view stays put, when rows appear above."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    RowTable { width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "down", show=False, id="rows.down", tooltip="Next row"),
        Binding("k,up", "move(-1)", "up", show=False, id="rows.up", tooltip="Previous row"),
        Binding("g,home", "first", "first", show=False, id="rows.first", tooltip="First row"),
        Binding("G,end", "last", "last", show=False, id="rows.last", tooltip="Last row"),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False, id="rows.page_down", tooltip="A page down"),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False, id="rows.page_up", tooltip="A page up"),
        Binding("enter", "select", "open", id="rows.select", tooltip="Open this row", key_display="enter"),
    ]

    cursor: reactive[int] = reactive(0)

    class RowMessage(Message):
        """Something happened to a row."""

        def __init__(self, table: RowTable, key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> RowTable:
            """The sender."""
            return self.table

    class Highlighted(RowMessage):
        """The cursor is on another row; `key` is None where there are no rows."""

    class Selected(RowMessage):
        """The row was chosen: by enter, or by a click on the row that has the cursor."""

    class ColumnChosen(Message):
        """The name of a column was clicked."""

        def __init__(self, table: RowTable, column: str) -> None:
            super().__init__()
            self.table = table
            self.column = column

        @property
        def control(self) -> RowTable:
            """The sender."""
            return self.table

    sorted_by: reactive[tuple[str, bool]] = reactive(("", False))
    """The column that rows are sorted by, and whether the least comes first; "" for none."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._keys: Sequence[Hashable] = ()
        self._cells: Callable[[int], Sequence[Cell]] = lambda row: ()
        self._told: Hashable = None  # the key of the last `Highlighted`
        self._set_out: tuple[int, list[tuple[int, int]]] = (-1, [])
        self._drawn: dict[int, tuple[Sequence[Cell], bool]] = {}  # by line of the widget

    # -- rows --------------------------------------------------------------------------------------

    def set_rows(
        self, keys: Sequence[Hashable], cells: Callable[[int], Sequence[Cell]], first_stays: bool = False
    ) -> None:
        """Show these rows.

        `keys`: what each row is known by, in order. `cells`: returns the cells of one row, one a column; called when
        the row becomes visible. `first_stays`: a cursor on the first row stays there, whatever row comes
        first: nobody chose it yet.
        """
        at, key = self.cursor, self.cursor_key
        if first_stays and at == 0:
            key = None
        top = round(self.scroll_offset.y)
        self._keys, self._cells = keys, cells
        place = self._place_of(key, at)
        self._resize_content()
        if place is not None and place != at:
            self.scroll_to(y=max(0, top + place - at), animate=False)
        self.set_reactive(RowTable.cursor, max(0, min(at if place is None else place, len(keys) - 1)))
        self.call_after_refresh(self._show_cursor)
        self._tell()
        self._refresh_changed()

    def _refresh_changed(self) -> None:
        """Draw those lines anew whose cells, or whose cursor, are not as they were drawn."""
        lines = range(self.size.height)
        self.refresh_changed([self._drawn.get(y) for y in lines], [self._line(y) for y in lines])

    def _place_of(self, key: Hashable, near: int) -> int | None:
        """Where a key is now; it mostly is where it was."""
        if key is None:
            return None
        if near < len(self._keys) and self._keys[near] == key:
            return near
        try:
            return self._keys.index(key)
        except ValueError:
            return None

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._keys)

    @property
    def cursor_key(self) -> Hashable:
        """The key of the row under the cursor; None where there are no rows."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    def go_to(self, key: Hashable) -> bool:
        """Put the cursor on the row of that key; False where there is none."""
        place = self._place_of(key, self.cursor)
        if place is None:
            return False
        self.cursor = place
        return True

    def texts(self, row: int) -> list[str]:
        """The text of every shown cell of a row, for tests and for copying."""
        cells = self._cells(row)
        return ["".join(text for text, _ in cells[place]) for place, _ in _merged(self._layout(), cells)]

    # -- cursor ------------------------------------------------------------------------------------

    def validate_cursor(self, row: int) -> int:
        """Only rows that exist."""
        return max(0, min(row, len(self._keys) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        """Show it, and say so."""
        for row in (old, new):
            self._refresh_row(row)
        self._show_cursor()
        self._tell()

    def _tell(self) -> None:
        key = self.cursor_key
        if key != self._told:
            self._told = key
            self.post_message(self.Highlighted(self, key))

    def _refresh_row(self, row: int) -> None:
        y = row + 1 - round(self.scroll_offset.y)
        if 0 < y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    @property
    def _page(self) -> int:
        """Rows that are visible at once."""
        return max(1, self.scrollable_content_region.height - 1)

    def _show_cursor(self) -> None:
        if self.size.height < 2:
            return
        top = round(self.scroll_offset.y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self._page:
            self.scroll_to(y=self.cursor - self._page + 1, animate=False)

    def action_move(self, rows: int) -> None:
        """Rows down."""
        self.cursor += rows

    def action_page(self, pages: int) -> None:
        """Pages down."""
        self.cursor += pages * self._page

    def action_first(self) -> None:
        """First row."""
        self.cursor = 0

    def action_last(self) -> None:
        """Last row."""
        self.cursor = len(self._keys) - 1

    def action_select(self) -> None:
        """Say that the row was chosen."""
        if self._keys:
            self.post_message(self.Selected(self, self.cursor_key))

    def on_click(self, event: events.Click) -> None:
        """Take the row; choose it where it was taken already."""
        at = event.get_content_offset(self)
        if at is not None and at.y == 0:
            self._click_name(at.x)
        row = -1 if at is None or at.y < 1 else at.y - 1 + round(self.scroll_offset.y)
        if not 0 <= row < len(self._keys):
            return
        event.stop()
        if row == self.cursor:
            self.action_select()
        else:
            self.cursor = row

    def _click_name(self, x: int) -> None:
        start = 0
        for place, width in self._layout():
            if start <= x < start + width:
                self.post_message(self.ColumnChosen(self, self._columns[place].name))
            start += width + GAP

    def to_top(self) -> None:
        """Put the cursor on the first row."""
        self.cursor = 0
        self.scroll_to(y=0, animate=False)

    # -- drawing -----------------------------------------------------------------------------------

    def _resize_content(self) -> None:
        size = Size(self.scrollable_content_region.width, len(self._keys) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self) -> None:
        """Set the columns out anew."""
        self._resize_content()
        self._show_cursor()
        self.refresh()

    def _layout(self) -> list[tuple[int, int]]:
        width = self.scrollable_content_region.width or self.size.width
        if self._set_out[0] != width:
            self._set_out = (width, layout(self._columns, width))
        return self._set_out[1]

    def _line(self, y: int) -> tuple[Sequence[Cell], bool]:
        """The cells of a line, and whether the cursor is on it; no cells below the last row."""
        if y == 0:
            return [self._heading(column) for column in self._columns], False
        row = y - 1 + round(self.scroll_offset.y)
        return (self._cells(row), row == self.cursor) if row < len(self._keys) else ((), False)

    def render_line(self, y: int) -> Strip:
        """The line of names, or one visible row."""
        width, base = self.scrollable_content_region.width, self.rich_style
        colors = palette(self.app.current_theme)
        cells, under_cursor = self._drawn[y] = self._line(y)
        if not cells:
            return Strip.blank(width, base)
        if under_cursor:
            base += Style.parse(colors.cursor if self.has_focus else colors.cursor_blurred)
        return self._strip(cells, base, colors, width)

    def _heading(self, column: Column) -> Cell:
        name, least_first = self.sorted_by
        if not name or column.name != name:
            return cell(column.name, "muted")
        arrows = "^v" if glyphs().guide.isascii() else "↑↓"
        sign = arrows[not least_first]
        return cell(f"{column.name[: column.width - 1]}{sign}", "focus")

    def _strip(self, cells: Sequence[Cell], base: Style, colors: Palette, width: int) -> Strip:
        segments: list[Segment] = []
        for place, room in _merged(self._layout(), cells):
            if segments:
                segments.append(Segment(" " * GAP, base))
            column, left = self._columns[place], room
            made: list[Segment] = []
            for text, role in cells[place]:
                shown = _clip_front(text, left) if column.tail else clip(text, left)
                left -= cell_len(shown)
                made.append(Segment(shown, base + Style.parse(colors[role])))
                if left <= 0:
                    break
            blank = Segment(" " * left, base)
            segments.extend([blank, *made] if column.right else [*made, blank])
        return Strip(segments).adjust_cell_length(width, base)


def _merged(places: Sequence[tuple[int, int]], cells: Sequence[Cell]) -> list[tuple[int, int]]:
    """The layout of one row: cells without parts give their room to the one before."""
    merged: list[tuple[int, int]] = []
    for place, room in places:
        if cells[place] or not merged:
            merged.append((place, room))
        else:
            before, width = merged.pop()
            merged.append((before, width + GAP + room))
    return merged


def _clip_front(text: str, width: int) -> str:
    """The end of a text in at most `width` cells, safe to show."""
    shown = escape(text[-4 * width :])
    if cell_len(shown) <= width:
        return shown
    while shown and cell_len(shown) >= width:
        shown = shown[1:]
    return ELLIPSIS + shown
