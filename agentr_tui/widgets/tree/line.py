"""One row of the tree view: its content, its columns, and the strip that shows it.

Pure functions over a reader, and a `Painter` that holds prepared styles; no widget.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from agentr_tui.terminal.safe_text import clip, fit, pad
from agentr_tui.terminal.theme import Glyphs, Palette, Role, bar, format_count, format_value, is_good, share, value_role
from agentr_tui.terminal.words import ENDED
from agentr_tui.widgets.tree.overlay import Mark, Side
from engine.tree.events import WITHOUT_RETURN
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader

LABEL_CELLS = 400
"""More than this of an action is never prepared for showing."""

INDENT_SHARE = 0.5
"""The part of the first column that guides may take; deeper levels are cut and counted."""

_END_ROLES: dict[str, Role] = {
    "done": "muted",
    "disaster": "bad",
    "depth": "muted",
    "dead_end": "warn",
    "cut_off": "warn",
    "unscored": "warn",
}

_UNDER_CURSOR: dict[Role, Role] = {"faint": "muted", "muted": "text", "text": "strong"}


class Columns(NamedTuple):
    """The places and widths of the columns, in cells; 0 for a column that isn't shown."""

    width: int
    text: int  # guides, glyph and action
    visits: int
    value: int
    bar: int
    word: int
    step: int  # cells a level
    levels: int  # most levels drawn
    margin: int  # cells left of the guides while levels are cut from all rows
    shift: int  # levels cut from all rows

    def glyph_cell(self, level: int) -> int:
        """The cell of the fold glyph of a row at that level of the hierarchy."""
        drawn, cut = drawn_levels(level, self)
        number = len(f"⋯{cut} ") if cut else 0
        return 1 + self.margin + self.step * max(drawn, ceil(max(0, number - self.margin) / self.step))


class RowSummary(NamedTuple):
    """All that a row shows except its action, and so the key under which its strip is kept."""

    chain: tuple[int, ...]  # the node, or all nodes where only children share a row
    level: int  # of the row in the hierarchy
    glyph: str
    glyph_role: Role
    text_role: Role
    visits: int
    value: str
    bar: int  # eighths of a cell
    value_role: Role
    word: str
    word_role: Role
    gutter: str
    gutter_role: Role
    cursor: int  # the node of the row that the cursor is on, NO_PARENT where it is elsewhere
    path: int  # bit k: the search path runs along the guide k levels left of the glyph
    elbow: bool  # the path turns into this row
    crowd: tuple[int, ...] = ()  # the never-visited siblings that share the row


def columns(width: int, *, compact: bool, visits: int, deepest: int, cursor_level: int) -> Columns:
    """Returns the columns of a view. Below 48 cells the word is left out, below 30 N, below 18 Q. A level is two cells
    wide where the deepest node allows, else one; where one is too many and the cursor is deep, levels above it are cut.

    `width`: cells. `compact`: without bars. `visits`: N of the root. `deepest`: the greatest depth of a row.
    `cursor_level`: the level of the row under the cursor.
    """
    word = 10 if width >= 48 else 0
    count = max(3, len(format_count(visits))) + 2 if width >= 30 else 0
    value = 5 if width >= 18 else 0
    bars = 0 if compact or width < 54 else 7 if width < 76 else 9
    text = max(0, width - word - count - value - bars - 1)
    limit = int(text * INDENT_SHARE)
    step = 2 if deepest * 2 <= limit else 1
    levels = max(1, limit // step)
    shift = margin = 0
    if cursor_level > levels - 2 and levels > 4:
        stride = levels // 2
        shift = ceil((cursor_level - levels + 2) / stride) * stride
        margin = len(f"⋯{shift} ")
        levels = max(3, levels - margin // step)
    return Columns(width, text, count, value, bars, word, step, levels, margin, shift)


def drawn_levels(level: int, columns: Columns) -> tuple[int, int]:
    """How many guides a row at `level` of the hierarchy has, and how many left of them are cut."""
    drawn = min(max(0, level - columns.shift), columns.levels)
    return drawn, level - drawn


def summarise_row(
    reader: TreeReader,
    chain: tuple[int, ...],
    level: int,
    *,
    score_range: tuple[float, float],
    glyphs: Glyphs,
    columns: Columns,
    foldable: bool,
    is_open: bool,
    cursor: int = NO_PARENT,
    path: int = 0,
    elbow: bool = False,
    on_path: bool = False,
    mark: Mark | None = None,
    side: Side | None = None,
) -> RowSummary:
    """What a row shows; the figures are those of the last node of its chain.

    `reader`: the tree at a moment. `chain`: the nodes that share the row. `level`: of the row in the hierarchy.
    `score_range`: least and greatest return. `glyphs`, `columns`: those of the view. `foldable`, `is_open`:
    whether rows hang below it, and are shown. `cursor`, `path`, `elbow`: as the fields of `RowSummary`. `on_path`:
    whether it is on the path to the cursor. `mark`: a person's word for it. `side`: good or bad trajectory of the
    pair.
    """
    id = chain[-1]
    node, visits, q = reader.node(id), reader.visits(id), reader.q(id)
    low, high = score_range
    exhausted = reader.exhausted(id)
    why = node.terminal if exhausted else None  # in the past, a dead end may not be one yet
    word, word_role = (ENDED[why], _END_ROLES[why]) if why is not None else ("", "muted")
    text_role: Role = "text" if visits or why else "muted"
    if foldable:
        glyph = glyphs.open if is_open else glyphs.folded
        glyph_role: Role = "focus" if on_path else "muted"
        if exhausted and why is None:
            word = "all ended"
    elif why == "disaster":
        glyph, glyph_role = glyphs.disaster, "bad"
    elif why in WITHOUT_RETURN:
        glyph, glyph_role, text_role = glyphs.dead_end, "warn", "muted"
    elif why is not None:
        good = is_good(q if q is not None else float(node.reward), low, high)
        glyph, glyph_role = (glyphs.good, "good") if good else (glyphs.bad, "bad")
    else:
        glyph, glyph_role = (glyphs.seen if visits else glyphs.unseen), "focus" if on_path else "muted"
    gutter, gutter_role = (side.glyph, side.role) if side is not None else ("", text_role)
    if side is not None:
        text_role = side.role
    if mark is not None:
        if mark.word:
            word, word_role = mark.word, mark.role
        if mark.glyph:
            gutter, gutter_role = mark.glyph, mark.role
    return RowSummary(
        chain=chain,
        level=level,
        glyph=glyph,
        glyph_role=glyph_role,
        text_role=text_role,
        visits=visits,
        value=format_value(q, low, high, ascii=glyphs.guide.isascii()),
        bar=0 if q is None else max(q > low, round(share(q, low, high) * 8 * max(0, columns.bar - 1))),
        value_role=value_role(q, low, high),
        word=word,
        word_role=word_role,
        gutter=gutter,
        gutter_role=gutter_role,
        cursor=cursor,
        path=path,
        elbow=elbow,
    )


def labels(
    reader: TreeReader,
    chain: tuple[int, ...],
    glyphs: Glyphs,
    crowd: tuple[int, ...] = (),
    label: Callable[[TreeReader, int], str] | None = None,
) -> list[str]:
    """Returns the actions of the nodes that share a row, safe to show.

    `reader`: the tree at a moment. `chain`: the nodes. `glyphs`: those of the terminal. `crowd`: the nodes of a crowd,
    which are counted and named in one text; empty: it is none. `label`: what to call a node; None: by its action.
    """
    if crowd:
        actions = dict.fromkeys(reader.node(id).action for id in crowd)
        return [clip(f"{len(crowd)} more: {', '.join(actions)}", LABEL_CELLS, ellipsis=glyphs.ellipsis)]
    named = label or _action
    return [clip(named(reader, id), LABEL_CELLS, ellipsis=glyphs.ellipsis) if id != ROOT else "root" for id in chain]


def _action(reader: TreeReader, id: int) -> str:
    return reader.node(id).action


class Painter:
    """Turns the summary of a row into a strip; holds the styles of a palette over a ground."""

    def __init__(self, palette: Palette, ground: Style, glyphs: Glyphs, *, focused: bool) -> None:
        self.glyphs = glyphs
        self.ground = ground
        self._palette = palette
        self._cursor = ground + Style.parse(palette.cursor if focused else palette.cursor_blurred)
        self._styles: dict[tuple[Role, bool], Style] = {}

    def style(self, role: Role, cursor: bool = False) -> Style:
        """The style of a role on the ground, or under the cursor, where nothing is faint."""
        style = self._styles.get((role, cursor))
        if style is None:
            if cursor:
                style = self._cursor + Style.parse(self._palette[_UNDER_CURSOR.get(role, role)])
            else:
                style = self.ground + Style.parse(self._palette[role])
            self._styles[role, cursor] = style
        return style

    def blank(self, width: int) -> Strip:
        """A row below the last."""
        return Strip([Segment(" " * width, self.ground)], width)

    def strip(self, row: RowSummary, actions: list[str], columns: Columns) -> Strip:
        """Returns the strip of a row, exactly `columns.width` cells.

        `row`: what it shows. `actions`: of its nodes. `columns`: where they are.
        """
        glyphs, cursor = self.glyphs, row.cursor != NO_PARENT
        parts: list[tuple[str, Role]] = [(fit(row.gutter, 1) or " ", row.gutter_role)]
        parts += self._guides(row, columns)
        parts.append((row.glyph + " ", row.glyph_role))
        room = columns.text - sum(len(part) for part, _ in parts)  # a sign is one cell
        parts += self._actions(row, actions, room)
        if columns.visits:
            parts.append((format_count(row.visits).rjust(columns.visits - 1) + " ", "muted"))
        if columns.value:
            parts.append((row.value.rjust(4) + " ", "text" if row.visits else "muted"))
        if columns.bar:
            cells = columns.bar - 1
            drawn = bar(row.bar / (8 * cells), cells, ascii=glyphs.guide.isascii())
            parts.append((drawn.ljust(columns.bar), row.value_role))
        if columns.word:
            parts.append((pad(fit(row.word, columns.word - 1, ellipsis=glyphs.ellipsis), columns.word), row.word_role))
        segments: list[Segment] = []
        text, last = "", parts[0][1]
        for part, role in parts:  # neighbours in one style become one segment: guides do
            if role != last:
                segments.append(Segment(text, self.style(last, cursor)))
                text, last = "", role
            text += part
        segments.append(Segment(text, self.style(last, cursor)))
        return Strip(segments).adjust_cell_length(columns.width, self.style("text", cursor))

    def _actions(self, row: RowSummary, actions: list[str], room: int) -> list[tuple[str, Role]]:
        """The actions, filled to `room` cells; of a chain under the cursor the step that it is on stands out."""
        joined, ellipsis = self.glyphs.joined, self.glyphs.ellipsis
        if len(actions) > 1 and row.cursor != NO_PARENT:
            place = row.chain.index(row.cursor)
            before, after = joined.join(actions[:place]), joined.join(actions[place + 1 :])
            before, after = before + joined if before else "", joined + after if after else ""
            spare = room - cell_len(actions[place])
            if cell_len(before) > spare:
                before = ellipsis + joined if spare > 8 else ""
            now = fit(actions[place], room - cell_len(before), ellipsis=ellipsis)
            rest = fit(after, room - cell_len(before) - cell_len(now), ellipsis=ellipsis)
            filled = room - cell_len(before) - cell_len(now) - cell_len(rest)
            return [(before, "muted"), (now, row.text_role), (rest + " " * filled, "muted")]
        text = fit(joined.join(actions), room, ellipsis=ellipsis)
        return [(text + " " * (room - cell_len(text)), row.text_role)]

    def _guides(self, row: RowSummary, columns: Columns) -> list[tuple[str, Role]]:
        """Guides of the levels above, the path among them, over which the number of cut levels is laid."""
        glyphs, step = self.glyphs, columns.step
        drawn, cut = drawn_levels(row.level, columns)
        plain = glyphs.guide.ljust(step)
        parts: list[tuple[str, Role]] = []
        for level in range(drawn):
            above = drawn - 1 - level
            if not row.path >> above & 1:
                parts.append((plain, "faint"))
            elif above == 0 and row.elbow:
                parts.append((glyphs.elbow + glyphs.dash * (step - 1), "focus"))
            else:
                parts.append((plain, "focus"))
        if not cut and not columns.margin:
            return parts
        number = f"{glyphs.cut}{cut} " if cut else ""
        covered = ceil(max(0, len(number) - columns.margin) / step)
        return [(number.ljust(columns.margin + covered * step), "muted"), *parts[covered:]]
