"""Plots of a search: returns over iterations, visits by depth, branching, values, calls and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.message import Message
from textual_plotext import PlotextPlot

from agentr_tui.terminal.theme import Palette, Role, glyphs, palette, value_role
from engine.explain.series import BINS, Figures, Returns, Spent


@dataclass(frozen=True)
class Plotted:
    """What there is to plot: the search at one moment."""

    seq: int
    imported: bool  # made elsewhere: no history, no calls
    score_range: tuple[float, float]
    returns: Returns
    figures: Figures | None = None  # None: being counted
    spent: Spent | None = None  # None: the trace was not read yet


class Pen:
    """Draws on plotext in the roles of a palette; without colours the marks tell series apart."""

    def __init__(self, plot: Any, colors: Palette, ascii: bool, rows: int) -> None:
        """`rows`: lines of the plot above its horizontal axis."""
        self.plot, self._colors, self._ascii, self._rows = plot, colors, ascii, rows

    def color(self, role: Role) -> Any:
        """The colour as plotext takes it."""
        color = Style.parse(self._colors[role]).color
        if color is None or color.is_default:
            return "default"
        return tuple(color.triplet) if color.triplet is not None else color.number

    def line(self, xs: Sequence[float], ys: Sequence[float], role: Role, *, dots: bool = False) -> None:
        """Draw a line through points.

        `xs` and `ys`: one a point. `role`: its colour. `dots`: whether to draw it with dots, to set it apart from
        another.
        """
        marker = ("x", ".")[dots] if self._ascii else ("braille", "dot")[dots]
        self.plot.plot(list(xs), list(ys), marker=marker, color=self.color(role))

    def bars(self, xs: Sequence[int], heights: Sequence[float], roles: Sequence[Role], width: float = 0.6) -> None:
        """Draw bars at whole numbers.

        `xs`, `heights` and `roles` (colours): one a bar. `width`: the share of the distance between two bars that one
        takes.
        """
        marker = "#" if self._ascii else "hd"
        for role in dict.fromkeys(roles):
            own = [place for place, its in enumerate(roles) if its == role]
            self.plot.bar(
                [xs[place] for place in own], [heights[place] for place in own],
                width=width, color=self.color(role), marker=marker,
            )  # fmt: skip

    def up_to(self, most: float) -> None:
        """The vertical axis goes from 0 to `most`, a count, in whole steps."""
        top, ticks = count_ticks(max(most, 1), self._rows)
        self.plot.ylim(0, top)
        self.plot.yticks(ticks, [short(tick) for tick in ticks])

    def between(self, low: float, high: float) -> None:
        """The vertical axis goes from `low` to `high`, with ticks at equal parts."""
        top, ticks = share_ticks(low, high, self._rows)
        self.plot.ylim(low, top)
        self.plot.yticks(ticks, [f"{tick:.4g}" for tick in ticks])

    def seconds(self, xs: Sequence[float]) -> None:
        """Ticks of a horizontal axis of time."""
        last = max(xs, default=0.0)
        ticks = [last * part / 4 for part in range(5)]
        self.plot.xlim(0, last or 1)
        self.plot.xticks(ticks, [_seconds(tick, last) for tick in ticks])

    def across(self, numbers: Sequence[int]) -> None:
        """Ticks at some of these whole numbers."""
        step = max(1, -(-len(numbers) // 10))
        chosen = list(numbers)[::step]
        self.plot.xticks(chosen, [str(number) for number in chosen])


def _seconds(time: float, last: float) -> str:
    """A time in the unit that fits the last one."""
    if last < 1:
        return f"{1000 * time:.0f} ms"
    return f"{time:.1f} s" if last < 10 else f"{time:.0f} s" if last < 600 else f"{time / 60:.0f} min"


ROUND = (1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 100)
"""Steps between two ticks of counts, and these times powers of ten."""


def count_ticks(most: float, rows: int) -> tuple[float, list[int]]:
    """The end of an axis of counts over `rows` lines, and its ticks: whole numbers, as many lines apart everywhere.

    One line stays free above `most`: the highest bar is clear of the frame.
    """
    lines = max(2, rows - 1)
    least = min(2, lines - 1)
    power = 10 ** max(0, int(log10(most)) - 1)
    ways = [
        (step * power / apart, -apart, step * power)
        for apart in range(max(least, ceil(lines / 6)), max(least, lines // (2 if lines < 9 else 3)) + 1)
        for step in ROUND
        if step * power / apart * (lines - 1) >= most
    ]
    unit, _, step = min(ways)
    return unit * lines, list(range(0, int(unit * lines + 1e-9) + 1, step))


def share_ticks(low: float, high: float, rows: int) -> tuple[float, list[float]]:
    """The end of an axis that shows `low` to `high`, and ticks at quarters of it, halves or the ends: those that stand
    equally many lines apart. `rows`: lines of the axis."""
    lines = max(1, rows - 1)
    parts = next((parts for parts in (4, 2) if lines >= 2 * parts - 1 and lines % parts <= 1), 1)
    unit = (high - low) / (lines // parts * parts)
    return low + unit * lines, [low + (high - low) * part / parts for part in range(parts + 1)]


def short(number: float) -> str:
    """A count in few cells."""
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


# -- the plots -------------------------------------------------------------------------------------------

NOTHING_ENDED = "no trajectory has ended yet"
COUNTING = "counting …"

Draw = Callable[[Pen, Plotted], str]
"""Draws a plot, or returns why there is nothing to draw. Returns "" where it drew."""


def draw_returns(pen: Pen, of: Plotted) -> str:
    """Best and mean return after every iteration."""
    series = of.returns
    if not series.at:
        return "made elsewhere: no history" if of.imported else NOTHING_ENDED
    low, high = of.score_range
    most = max(high, max(series.best))
    pen.between(low, most)
    pen.line(series.at, series.mean, "middle", dots=True)
    pen.line(series.at, series.best, "good")
    if series.iterations:
        pen.across(range(1, series.at[-1] + 1))
    else:
        pen.plot.xlabel("events")
    return ""


MOST_BARS = 120


def draw_visits(pen: Pen, of: Plotted) -> str:
    """N at each depth."""
    visits = of.figures.visits[1:] if of.figures is not None else []
    if not visits:
        return NOTHING_ENDED if of.figures is not None else COUNTING
    step = -(-len(visits) // MOST_BARS)  # of a very deep tree every so many depths
    depths, visits = range(1, len(visits) + 1, step), visits[::step]
    pen.bars(depths, visits, ["focus"] * len(depths))
    pen.up_to(max(visits))
    pen.across(depths)
    return ""


def draw_branching(pen: Pen, of: Plotted) -> str:
    """Expanded nodes by their number of children."""
    counts = of.figures.children if of.figures is not None else []
    if not counts:
        return "nothing was expanded yet" if of.figures is not None else COUNTING
    pen.bars(range(len(counts)), counts, ["warn" if number == 0 else "focus" for number in range(len(counts))])
    pen.up_to(max(counts))
    pen.across(range(len(counts)))
    return ""


def draw_values(pen: Pen, of: Plotted) -> str:
    """Returns of the trajectories that ended."""
    counts = of.figures.returns if of.figures is not None else []
    if not any(counts):
        return NOTHING_ENDED if of.figures is not None else COUNTING
    low, high = of.score_range
    middles = [low + (place + 0.5) * (high - low) / BINS for place in range(BINS)]
    pen.bars(range(BINS), counts, [value_role(middle, low, high) for middle in middles], 0.8)
    pen.up_to(max(counts))
    shares = (0, 0.25, 0.5, 0.75, 1)
    pen.plot.xlim(-0.5, BINS - 0.5)
    pen.plot.xticks([share * BINS - 0.5 for share in shares], [f"{low + share * (high - low):g}" for share in shares])
    return ""


def draw_calls(pen: Pen, of: Plotted) -> str:
    """Calls over time."""
    spent = of.spent
    if spent is None or not spent.calls:
        return _unknown(of)
    pen.line(spent.seconds, spent.calls, "focus")
    pen.up_to(max(spent.calls))
    pen.seconds(spent.seconds)
    return ""


def draw_cost(pen: Pen, of: Plotted) -> str:
    """Cost over time, or tokens where no price is known."""
    spent = of.spent
    if spent is None or not spent.calls:
        return _unknown(of)
    if spent.cost:
        pen.line(spent.seconds, spent.cost, "person")
        pen.between(0, max(spent.cost) or 1)
    elif spent.tokens:
        pen.line(spent.seconds, spent.tokens, "person")
        pen.up_to(max(spent.tokens))
    else:
        return "the actor tells neither tokens nor a price"
    pen.seconds(spent.seconds)
    return ""


def _unknown(of: Plotted) -> str:
    if of.imported:
        return "made elsewhere: its calls are not known"
    return "reading the trace …" if of.spent is None else "no calls yet"


PLOTS: tuple[tuple[str, Draw], ...] = (
    ("best ── and mean •• return by iteration", draw_returns),
    ("returns of trajectories", draw_values),
    ("visits by depth", draw_visits),
    ("expanded nodes by children", draw_branching),
    ("calls by time", draw_calls),
    ("cost by time: dollars, or tokens", draw_cost),
)


class PlotPane(PlotextPlot):
    """One plot in the colours of the theme."""

    DEFAULT_CSS = """
    PlotPane { border: round $agentr-faint; border-title-color: $agentr-muted; content-align: center middle; }
    PlotPane:hover { border-title-color: $agentr-focus; }
    """

    class Chosen(Message):
        """A click: show this plot alone, or all again."""

        def __init__(self, pane: PlotPane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, name: str, draw: Draw, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.theme = "clear"  # plotext's own colours; ours are given with each series
        self.border_title = name
        self._draw = draw
        self._plotted: Plotted | None = None
        self._built: tuple[object, Text] = (None, Text(""))
        self.message = ""  # why nothing is drawn

    def show(self, plotted: Plotted) -> None:
        """Plot this."""
        self._plotted = plotted
        self.refresh()

    def render(self) -> RenderResult:
        """The plot, or why there is none."""
        width, height = self.size
        if self._plotted is None or width < 12 or height < 4:
            return Text("")
        key = (self._plotted, self.size, self.app.theme)
        if self._built[0] != key:
            self._built = (key, self._build(self._plotted))
        return self._built[1]

    def _build(self, plotted: Plotted) -> Text:
        colors, ascii = palette(self.app.current_theme), glyphs().guide.isascii()
        plot = self.plt
        plot.clear_figure()
        pen = Pen(plot, colors, ascii, self.size.height - (1 if ascii else 2))
        plot.theme("clear")
        plot.ticks_color(pen.color("muted"))
        self.message = self._draw(pen, plotted)
        if self.message:
            return Text(self.message, style=colors.muted)
        if ascii:
            plot.frame(False)
        else:
            plot.xaxes(True, False)
            plot.yaxes(True, False)
        plot.plotsize(*self.size)
        plot._set_size(*self.size)
        return Text.from_ansi(plot.build().rstrip("\n"), no_wrap=True, end="")

    def on_click(self, event: Click) -> None:
        """Enlarge, or back."""
        event.stop()
        self.post_message(self.Chosen(self))
