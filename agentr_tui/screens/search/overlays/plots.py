"""Plots: six of them over the search, now or at the moment that is looked at; one at a time where room is short."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.worker import get_current_worker

from agentr_tui.screens.search.time_travel import TimeTravel
from agentr_tui.screens.shared.host import Host
from agentr_tui.screens.shared.loud_workers import LoudWorkers
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.plots import PLOTS, PlotPane, Plotted
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.top_bar import TopBar
from engine.base.errors import AgentrError
from engine.explain.series import Snapshot, Spending, figures, returns, snapshot
from engine.explain.timeline import Timeline
from engine.trace.follower import Follower
from envs.base import title_of

REFRESH = 0.5
"""Seconds between two looks at a search that goes on."""

LEAST_WIDTH, LEAST_HEIGHT = 40, 9
"""Cells of a plot below which fewer are shown at once."""


class PlotsScreen(LoudWorkers, Screen[None]):
    """Plots of the open tree. Time moves as on the Search screen."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    DEFAULT_CSS = """
    PlotsScreen #plots { layout: grid; grid-size: 1; height: 1fr; }
    PlotsScreen TimelineView { height: 1; }
    PlotsScreen.-tall TimelineView { height: 5; border: round $agentr-faint; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape,v", "dismiss(None)", "close", "plots.close", "Back to the tree", show=True),
        key("right_square_bracket", "next(1)", "next plot", "plots.next", "Next plot", show=True, key_display="[ ]"),
        key("left_square_bracket", "next(-1)", "previous", "plots.previous", "Previous plot"),
        key("plus,enter", "alone(True)", "enlarge", "plots.enlarge", "One plot alone", show=True),
        key("underscore", "alone(False)", "all", "plots.all", "As many plots as there is room for", show=True),
        key("comma", "event(-1)", "time", "plots.event_back", "An event back in time", show=True, key_display=", ."),
        key("full_stop", "event(1)", "later", "plots.event_forth", "An event forth"),
        key("less_than_sign", "iteration(-1)", "earlier", "plots.iteration_back", "An iteration back in time"),
        key("greater_than_sign", "iteration(1)", "later", "plots.iteration_forth", "An iteration forth"),
        key("L", "live", "live", "plots.live", "Back to how the search is now"),
    ]

    def __init__(self, time: TimeTravel) -> None:
        super().__init__()
        self._time = time
        self._alone = False
        self._first = 0  # the first plot that is shown
        self._timeline: Timeline | None = None
        self._spending = Spending()
        self._is_reading = self._has_read = False
        self._follower: Follower | None = None
        self._plotted: Plotted | None = None

    @property
    def agentr(self) -> Host:
        """The app, by its own type."""
        assert isinstance(self.app, Host)
        return self.app

    def compose(self) -> ComposeResult:
        """The plots above the timeline."""
        yield TopBar("search")
        with Container(id="plots"):
            for name, draw in PLOTS:
                yield PlotPane(name, draw)
        yield TimelineView(id="time")
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the price of calls; draw again while the search runs."""
        self._arrange()
        self.show_plots()
        self._read()
        self.set_interval(REFRESH, self._again)

    # -- what is shown -------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """As many as there is room for."""
        self._arrange()

    def _arrange(self) -> None:
        """Columns and rows of plots."""
        width, height = self.size.width, self.size.height - (7 if self.size.height >= 30 else 3)
        columns = max(1, min(3 if width >= 150 else 2, width // LEAST_WIDTH))
        rows = max(1, min(-(-len(PLOTS) // columns), height // LEAST_HEIGHT))
        if self._alone or columns * rows < 4:
            columns = rows = 1
        grid = self.query_one("#plots")
        grid.styles.grid_size_columns, grid.styles.grid_size_rows = columns, rows
        shown = columns * rows
        first = self._first if shown == 1 else self._first // shown * shown
        for place, pane in enumerate(self.query(PlotPane)):
            pane.display = first <= place < first + shown
        self._per_page = shown

    _per_page = 1

    def show_plots(self) -> None:
        """Everything as the session is now; what takes long is counted beside."""
        session = self.agentr.session
        tree, reader = session.tree, session.reader
        if tree is None or reader is None or tree.started is None:
            return
        alpha = session.thresholds.alpha
        if self._timeline is None or self._timeline.tree is not tree or self._timeline.alpha != alpha:
            self._timeline = Timeline(tree, alpha)
        self._timeline.extend()
        before = self._plotted
        self._plotted = Plotted(
            reader.seq,
            tree.imported_from is not None,
            session.score_range,
            returns(self._timeline, reader.seq),
            before.figures if before is not None else None,
            self._spending.until(reader.seq) if self._has_read else None,
        )
        self._put()
        self._count(snapshot(tree, reader, session.score_range))
        self._time.show(self.query_one(TimelineView))
        started = tree.started
        self.query_one(TopBar).show(
            [(f"{title_of(started.environment, started.task)} ", "strong"), (f" {started.instruction} ", "text"),
             (" plots", "focus")],
            [(f"{len(reader)} nodes ", "muted")],
        )  # fmt: skip

    def _put(self, **known: Any) -> None:
        """Something became known: plot it."""
        if self._plotted is not None and self.is_mounted:
            self._plotted = replace(self._plotted, **known)
            for pane in self.query(PlotPane):
                pane.show(self._plotted)

    @work(thread=True, exclusive=True, group="figures", exit_on_error=False)
    def _count(self, of: Snapshot) -> None:
        counted, worker = figures(of), get_current_worker()
        if not worker.is_cancelled:
            self.app.call_from_thread(self._put, figures=counted)

    def _again(self) -> None:
        session = self.agentr.session
        if session.reader is not None and self._plotted is not None and self._plotted.seq != session.reader.seq:
            self.show_plots()
            self._read()

    def _read(self) -> None:
        """Fill in calls and cost from the trace, which the tree does not keep."""
        session = self.agentr.session
        if session.path is None or session.tree is None or session.tree.imported_from is not None:
            return
        if self._follower is None:
            self._follower = Follower(session.path)
        if not self._is_reading:
            self._is_reading = True
            self._poll(self._follower)

    @work(thread=True, group="spending", exit_on_error=False)
    def _poll(self, follower: Follower) -> None:
        with suppress(AgentrError, OSError):  # the tree on screen is whole; only these plots miss what follows
            self._spending.extend(follower.poll())
        self.app.call_from_thread(self._was_read)

    def _was_read(self) -> None:
        self._is_reading, self._has_read = False, True
        if self._plotted is not None:
            self._put(spent=self._spending.until(self._plotted.seq))

    # -- what a person does --------------------------------------------------------------------------

    @on(TimelineView.MomentChosen)
    def _moment_chosen(self, event: TimelineView.MomentChosen) -> None:
        self._time.look_at(event.seq)
        self.show_plots()

    @on(PlotPane.Chosen)
    def _plot_chosen(self, event: PlotPane.Chosen) -> None:
        self._first = list(self.query(PlotPane)).index(event.pane)
        self.action_alone(not self._alone)

    def action_event(self, by: int) -> None:
        """An event back or forth."""
        self._time.event(by)
        self.show_plots()

    def action_iteration(self, by: int) -> None:
        """An iteration back or forth."""
        self._time.iteration(by)
        self.show_plots()

    def action_live(self) -> None:
        """Back to now."""
        if self.agentr.session.past is not None:
            self._time.live()
            self.show_plots()

    def action_next(self, by: int) -> None:
        """The next plots that fit, or the ones before."""
        self._first = (self._first + by * self._per_page) % len(PLOTS)
        self._arrange()

    def action_alone(self, alone: bool) -> None:
        """One plot, or as many as fit."""
        self._alone = alone
        self._arrange()
