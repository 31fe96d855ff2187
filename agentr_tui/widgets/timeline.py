"""The timeline of a search: best and mean return, what happened when, and the moment on screen.

Its height decides how much is drawn: one line, or three and more inside a border. A click or a drag goes to a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from agentr_tui.terminal.theme import Glyphs, Palette, Role, format_value, glyphs, palette, share, value_role
from agentr_tui.widgets.partial_repaint import Frugal
from engine.explain.timeline import Column, Kind, Timeline, column_of
from engine.tree.tree import SearchTree

LABEL = 10
"""Cells of the labels at the left, where there is a border."""

LEVELS, ASCII_LEVELS = "▁▂▃▄▅▆▇█", "._-=+*%#"

SHORT = 100
"""Below this width the moment is told in few words beside the only line."""

CUTS = 0.3
"""Ends of iterations are drawn where they take up to this share of the columns."""

Parts = list[tuple[str, Role]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the timeline shows, less how much room there is."""

    timeline: Timeline
    seq: int  # of the tree: its last event
    past: int | None  # the event that is looked at; None: as it is now
    live: bool  # whether a search is running
    score_range: tuple[float, float]
    changed: str  # what the last step through time changed, in words

    @property
    def now(self) -> int:
        """The event that is looked at."""
        return self.seq if self.past is None else self.past


class TimelineView(Frugal):
    """Draws a `Timeline`; the host sets the moment, the widget posts where the reader wants to go."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TimelineView { display: none; height: 1; border-title-color: $agentr-muted; border-subtitle-color: $agentr-muted; }
    TimelineView.-past { border-subtitle-color: $agentr-warn; }
    TimelineView.-live { border-subtitle-color: $agentr-good; }
    """

    class MomentChosen(Message):
        """The reader pointed at a moment."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shown: Shown | None = None
        self._columns: tuple[tuple[int, int, float], list[Column]] = ((-1, 0, 0.0), [])
        self._strips: list[Strip] = []
        self._told = -1  # the moment that a drag told last

    # -- what is shown -----------------------------------------------------------------------------

    def show(
        self,
        tree: SearchTree,
        alpha: float,
        past: int | None,
        *,
        live: bool = False,
        score_range: tuple[float, float] = (0.0, 1.0),
        changed: str = "",
    ) -> None:
        """Show a tree at a moment. Its time depends on the events since the last call, and on the width where that is
        drawn.

        `tree`: the search. `alpha`: a leaf above it is good. `past`: event number of the moment; None: now. `live`:
        whether the search runs. `score_range`: least and greatest return. `changed`: what the last step through time
        changed, in words.
        """
        timeline = self.shown.timeline if self.shown is not None else None
        if timeline is None or timeline.tree is not tree or timeline.alpha != alpha:
            timeline = Timeline(tree, alpha)
            self._columns = ((-1, 0, 0.0), [])
        now = Shown(timeline, tree.seq, past, live, score_range, changed)
        if now != self.shown:
            timeline.extend()
            self.shown, self.display = now, True
            self._redraw()

    def clear(self) -> None:
        """No tree is open."""
        self.shown, self.display = None, False

    def _redraw(self) -> None:
        before = self._strips
        if self.shown is not None and self.styles.border_bottom[0]:
            self.retitle("time", where(self.shown))
            self.set_class(self.shown.past is not None, "-past")
            self.set_class(self.shown.past is None and self.shown.live, "-live")
        self._strips = self._draw()
        self.refresh_changed(before, self._strips)

    def notify_style_update(self) -> None:
        """Theme or room changed: strips are stale."""
        super().notify_style_update()
        self._strips = []

    def on_mount(self) -> None:
        """Colours are part of the strips."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._redraw())

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._redraw()

    # -- drawing -----------------------------------------------------------------------------------

    def _room(self) -> tuple[int, int]:
        """Where the columns begin, and how many there are."""
        if self.size.height > 1:
            return LABEL, max(1, self.size.width - LABEL - 1)
        before, after = self._around()
        return len(before), max(1, self.size.width - len(before) - len(after))

    def _around(self) -> tuple[str, str]:
        """What stands left and right of the only line."""
        if self.shown is None:
            return " ", " "
        return " time ", f" {where(self.shown, short=self.size.width < SHORT)} "

    def columns(self) -> list[Column]:
        """The columns as they are drawn; computed where events or the width are new."""
        shown = self.shown
        if shown is None:
            return []
        key = (shown.seq, self._room()[1], shown.timeline.alpha)
        if self._columns[0] != key:
            self._columns = (key, shown.timeline.columns(key[1]))
        return self._columns[1]

    def render_line(self, y: int) -> Strip:
        """One of the lines; all are made at once."""
        if not self._strips:
            self._strips = self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> list[Strip]:
        shown, width = self.shown, self.size.width
        if shown is None or not width or not self.size.height:
            return []
        columns = self.columns()
        here = column_of(shown.now, len(columns), shown.seq)
        signs, (low, high) = glyphs(), shown.score_range
        axis = axis_parts(columns, here, signs)
        if self.size.height == 1:
            before, after = self._around()
            rows = [[(before, "muted"), *marked(columns, axis, here, signs), (after, _where_role(shown))]]
        else:
            best, mean = shown.timeline.best_at(shown.now), shown.timeline.mean_at(shown.now)
            rows = [_labelled("best", best, shown, bar_parts([c.best for c in columns], here, low, high, signs))]
            if self.size.height > 3:
                rows.append(
                    _labelled("mean", mean, shown, bar_parts([c.mean for c in columns], here, low, high, signs))
                )
            rows.append([("marks".ljust(LABEL), "muted"), *mark_parts(columns, here, signs)])
            nodes = str(shown.timeline.nodes_at(shown.now))
            rows.append([(f"nodes {nodes} ".ljust(LABEL)[:LABEL], "muted"), *axis])
        colors = palette(self.app.current_theme)
        return [_strip(row, self.rich_style, colors, width) for row in rows]

    # -- mouse -------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Go to the moment, and take the moments that the mouse passes until it is let go."""
        if event.button == 1 and self._go(event):
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Dragged."""
        if self.app.mouse_captured is self:
            self._go(event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go."""
        if self.app.mouse_captured is self:
            self.release_mouse()
        self._told = -1

    def _go(self, event: events.MouseEvent) -> bool:
        columns, (start, _) = self.columns(), self._room()
        if not columns:
            return False
        place = max(0, min(event.get_content_offset_capture(self).x - start, len(columns) - 1))
        column = columns[place]
        seq = column.mark_seq if column.mark is not None else column.end
        if seq != self._told:
            self._told = seq
            self.post_message(self.MomentChosen(seq))
        return True


def where(shown: Shown, short: bool = False) -> str:
    """Which moment is looked at, in words."""
    tree = shown.timeline.tree
    going_on = tree.state in ("running", "paused")  # an iteration that is not over
    if tree.imported_from is not None:
        return "made elsewhere: it has no history"
    if short:
        return f"{shown.now}/{shown.seq} · " + (
            "past, L" if shown.past is not None else "live" if shown.live else "now"
        )
    parts = [f"event {shown.now} of {shown.seq}"]
    if shown.past is not None:
        parts.append(f"iteration {min(tree.iteration + going_on, shown.timeline.iteration_at(shown.now) + 1)}")
    if shown.changed:
        parts.append(shown.changed)
    parts.append("past, L goes back" if shown.past is not None else "live" if shown.live else "now")
    return " · ".join(parts)


def _where_role(shown: Shown) -> Role:
    return "warn" if shown.past is not None else "good" if shown.live else "muted"


def _labelled(name: str, value: float | None, shown: Shown, parts: Parts) -> Parts:
    low, high = shown.score_range
    return [(f"{name} ", "muted"), (f"{format_value(value, low, high):<{LABEL - len(name) - 1}}", "text"), *parts]


def bar_parts(values: Sequence[float | None], here: int, low: float, high: float, signs: Glyphs) -> Parts:
    """A bar that is as high as the value in each column; what lies after the moment is faint.

    `values`: one a column; None: nothing yet. `here`: the column of the moment. `low` and `high`: least and
    greatest return. `signs`: those of the terminal.
    """
    levels = ASCII_LEVELS if signs.guide.isascii() else LEVELS
    parts: Parts = []
    for place, value in enumerate(values):
        if value is None:
            parts.append((" ", "faint"))
        else:
            level = levels[min(len(levels) - 1, int(share(value, low, high) * len(levels)))]
            parts.append((level, value_role(value, low, high) if place <= here else "faint"))
    return parts


def mark_glyph(kind: Kind, signs: Glyphs) -> tuple[str, Role]:
    """The sign of what happened."""
    return {
        "intervened": (signs.edited, "person"),
        "good": (signs.good, "good"),
        "disaster": (signs.disaster, "bad"),
        "bad": (signs.bad, "bad"),
        "failed": ("f" if signs.guide.isascii() else "!", "warn"),
    }[kind]  # type: ignore[return-value]


def mark_parts(columns: Sequence[Column], here: int, signs: Glyphs) -> Parts:
    """Returns what happened in each column; what lies after the moment is muted.

    `columns`: of the timeline. `here`: index of the column of the moment. `signs`: those of the terminal.
    """
    parts: Parts = []
    for place, column in enumerate(columns):
        glyph, role = mark_glyph(column.mark, signs) if column.mark is not None else (" ", "faint")
        parts.append((glyph, role if place <= here else "faint"))
    return parts


def axis_parts(columns: Sequence[Column], here: int, signs: Glyphs) -> Parts:
    """Returns the axis of time: as high as nodes were made, cut where iterations end, bright up to the moment.

    `columns`: of the timeline. `here`: index of the column of the moment. `signs`: those of the terminal.
    """
    levels = (ASCII_LEVELS if signs.guide.isascii() else LEVELS)[:4]
    cuts = sum(column.iterations > 0 for column in columns) <= len(columns) * CUTS
    most = max((column.born for column in columns), default=0) or 1
    parts: Parts = []
    for place, column in enumerate(columns):
        level = levels[-(-column.born * (len(levels) - 1) // most)]
        if place == here:
            parts.append((signs.live, "strong"))
        elif column.iterations and cuts:
            parts.append((signs.untrained, "muted" if place < here else "faint"))
        else:
            parts.append((level, "focus" if place < here else "faint"))
    return parts


def marked(columns: Sequence[Column], axis: Parts, here: int, signs: Glyphs) -> Parts:
    """Returns the axis of time with what happened on it, for a timeline of one line.

    `columns`: of the timeline. `axis`: as `axis_parts` returns it. `here`: index of the column of the moment. `signs`:
    those of the terminal.
    """
    parts = list(axis)
    for place, part in enumerate(mark_parts(columns, here, signs)):
        if place != here and columns[place].mark is not None:
            parts[place] = part
    return parts


def _strip(parts: Parts, base: Style, colors: Palette, width: int) -> Strip:
    """Neighbours in one style become one segment: fewer bytes for the terminal."""
    segments: list[Segment] = []
    text, last = "", parts[0][1]
    for part, role in parts:
        if role != last:
            segments.append(Segment(text, base + Style.parse(colors[last])))
            text, last = "", role
        text += part
    segments.append(Segment(text, base + Style.parse(colors[last])))
    return Strip(segments).adjust_cell_length(width, base)
