"""Dataset: what runs of `revise` made, what people decided about it, and the export.

The screen shows what its parts know (`run_watch`, `shape_reader`, `exporter`), plain objects that see it as a `Desk`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from agentr_tui.screens.dataset.exporter import Exporter
from agentr_tui.screens.dataset.rows import COLUMNS, count_lines, preview_lines, trace_cells, trained_lines
from agentr_tui.screens.dataset.run import NO_RUN, settings_told
from agentr_tui.screens.dataset.run_watch import RunWatch
from agentr_tui.screens.dataset.shape_reader import ShapeReader
from agentr_tui.screens.dataset.tabs import coverage_lines, plot_lines, trust_lines
from agentr_tui.screens.shared.mode_screen import ModeScreen, key, tab_title
from agentr_tui.screens.shared.screen_desk import ScreenDesk
from agentr_tui.state.session import OpenTree, read_tree
from agentr_tui.terminal.safe_text import clip
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from engine.base.errors import AgentrError

LOOK_EVERY = 2.0  # seconds: other reviewers decide, other runs end

TABS = ("samples", "plots", "coverage", "review")


class DatasetScreen(ModeScreen):
    """Counts, plots, traces and the export of one run."""

    MODE = "dataset"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("e", "export", "export", "dataset.export", "Write a dataset of this run", show=True),
        key("f", "filter", "filter", "dataset.filter", "Count only samples of a kind, verdict, decision or task",
            show=True),
        key("right_square_bracket", "tab(1)", "tabs", "dataset.tab_next", "Plots, coverage, review", show=True,
            key_display="[ ]"),
        key("left_square_bracket", "tab(-1)", "tab back", "dataset.tab_back", "Previous tab"),
        key("left_curly_bracket", "run(1)", "runs", "dataset.earlier", "The run before", show=True,
            key_display="{ }"),
        key("right_curly_bracket", "run(-1)", "later run", "dataset.later", "The run after"),
        key("tab", "next_pane", "next pane", "dataset.next_pane", "Next pane", show=True),
        key("escape", "unfilter", "show all", "dataset.unfilter", "Count all samples again", show=True),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        desk = self._desk = ScreenDesk(self)
        self.runs = RunWatch(desk, lambda: self.exporter.forget())
        self.shapes = ShapeReader(desk)
        self.exporter = Exporter(desk, self.runs)
        self._tab = 0

    def compose_body(self) -> ComposeResult:
        """Counts at the left; traces and the export at the right."""
        with Horizontal(id="dataset-body"):
            yield TextPane(id="counts")
            with Vertical(id="dataset-side"):
                yield RowTable(COLUMNS, id="of-traces")
                yield TextPane(id="export")
        told = "verified, undecided, good, a task …, or a query: gap>=0.5 mark<3 tag:later"
        yield Input(placeholder=told, id="sample-filter", classes="filter", compact=True)

    def on_mount(self) -> None:
        """Titles, focus, a look every other second."""
        self.query_one("#counts").border_title = "samples"
        self.query_one("#of-traces").border_title = "traces"
        self.query_one("#export").border_title = "export"
        self.query_one("#counts").focus()
        self.set_interval(LOOK_EVERY, self.runs.look)

    def refresh_view(self) -> None:
        """Look now."""
        self.runs.look()

    # -- what the threads say ----------------------------------------------------------------------

    @on(RunWatch.Looked)
    def _looked(self, event: RunWatch.Looked) -> None:
        if self.runs.looked(event):
            self._show()

    @on(ShapeReader.Read)
    def _shapes_read(self, event: ShapeReader.Read) -> None:
        if self.shapes.was_read(event):
            self._show_tab()

    @on(Exporter.Progress)
    def _export_went_on(self, event: Exporter.Progress) -> None:
        self.exporter.went_on(event)
        self._show_export()

    @on(Exporter.Ended)
    def _export_ended(self, event: Exporter.Ended) -> None:
        self.exporter.ended(event)
        self._show_export()

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self) -> None:
        loaded, counted = self.runs.loaded, self.runs.counted
        if self.runs.error:
            self._show_nothing([line((self.runs.error, "bad"))])
            return
        if loaded is None or counted is None:
            self._show_nothing([line((text, "text")) for text in NO_RUN.splitlines()])
            return
        summary = counted.summary
        workspace, decided = self.agentr.session.workspace, summary.decided
        seen = decided.decided + decided.undecided
        when = loaded.info.time[:16].replace("T", " ")
        self.top_bar.show(
            [
                (f"{loaded.title}  ", "strong"),
                (f"{when}  " if not loaded.info.sealed else "", "muted"),
                (f"{loaded.of - loaded.place} of {loaded.of}  ", "muted"),
                ("" if loaded.info.sealed else "not finished  ", "warn"),
                (f"{summary.holds} hold  ", "good"),
                (f"{decided.decided} of {seen} decided ", "text"),
            ],
            [(str(workspace.path), "muted")],
        )
        self._show_tab()
        traces = self.query_one("#of-traces", RowTable)
        traces.border_title = f"traces  {len(summary.traces)}"
        traces.set_rows([trace.path for trace in summary.traces], self._cells)
        self._show_export()

    def _show_tab(self) -> None:
        loaded, counted = self.runs.loaded, self.runs.counted
        if loaded is None or counted is None:
            return
        pane, summary = self.query_one("#counts", TextPane), counted.summary
        many = f"{summary.samples} of {len(loaded.samples)}" if self.runs.words else str(summary.samples)
        pane.border_title = tab_title([f"samples {many}", *TABS[1:]], self._tab)
        words = self.runs.words
        pane.border_subtitle = _plain(f"filter: {words}" if words else settings_told(loaded.info))
        name = TABS[self._tab]
        wanted = [sample for sample in loaded.samples if sample.kind != "good"]
        self.shapes.read(loaded)
        shapes = self.shapes.shapes
        if name == "plots":
            pane.set_lines(lambda width: plot_lines(summary.left, shapes, width, wanted), keep_scroll=True)
        elif name == "coverage":
            pane.set_lines(
                lambda width: coverage_lines(summary.left, loaded.chosen.paths, shapes, width, wanted),
                keep_scroll=True,
            )
        elif name == "review":
            pane.set_lines(lambda width: trust_lines(counted.trust, width), keep_scroll=True)
        else:
            pane.set_lines(
                lambda width: [*count_lines(summary, width), *trained_lines(summary, shapes)], keep_scroll=True
            )

    def action_tab(self, by: int) -> None:
        """Another tab."""
        self._tab = (self._tab + by) % len(TABS)
        self.query_one("#counts", TextPane).scroll_home(animate=False)
        self._show_tab()

    def _cells(self, row: int) -> list[Cell]:
        assert self.runs.counted is not None
        return trace_cells(self.runs.counted.summary.traces[row])

    def _show_export(self) -> None:
        counted, loaded = self.runs.counted, self.runs.loaded
        if counted is None or loaded is None:
            return
        lines = preview_lines(counted.summary)
        if self.exporter.report:
            lines = [*self.exporter.report, BLANK, *lines]
        lines += [line((f"! {warning}", "warn")) for warning in loaded.warnings]
        self.query_one("#export", TextPane).set_lines(lines)

    def _show_nothing(self, lines: list[Line]) -> None:
        self.top_bar.show([("no run of `revise` in this workspace", "muted")])
        self.query_one("#counts", TextPane).set_lines(lines)
        self.query_one("#of-traces", RowTable).set_rows([], lambda row: ())
        self.query_one("#export", TextPane).set_lines([])

    # -- keys, passed on ---------------------------------------------------------------------------

    def action_export(self) -> None:
        """Ask what and where to, then write."""
        self.exporter.ask()

    def action_run(self, by: int) -> None:
        """An earlier run, or a later one."""
        self.runs.go(by)

    # -- filter, panes, traces ----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is filtered can be shown whole again."""
        return action != "unfilter" or (self.is_mounted and self.query_one("#sample-filter").has_class("-open"))

    def action_filter(self) -> None:
        """Type words; the line stays until escape."""
        box = self.query_one("#sample-filter", Input)
        box.set_class(True, "-open")
        self.set_focus(box)  # at once: the next key is part of the text
        self.refresh_bindings()

    @on(Input.Changed, "#sample-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.runs.filter(" ".join(event.value.split()))

    @on(Input.Submitted, "#sample-filter")
    def _filter_kept(self) -> None:
        self.query_one("#counts").focus()

    def action_unfilter(self) -> None:
        """All samples again."""
        box = self.query_one("#sample-filter", Input)
        box.value = ""
        box.set_class(False, "-open")
        self.refresh_bindings()
        self.query_one("#counts").focus()

    def action_next_pane(self) -> None:
        """Counts, traces, export, and around."""
        order = ["counts", "of-traces", "export"]
        now = self.focused.id if self.focused is not None and self.focused.id in order else "export"
        new = order[(order.index(now or "export") + 1) % len(order)]
        self.query_one(f"#{new}").focus()

    @on(RowTable.Selected, "#of-traces")
    def _trace_chosen(self, event: RowTable.Selected) -> None:
        """Review the samples of that trace."""
        path = Path(str(event.key))
        self._desk.in_thread(lambda: read_tree(path), self._review, "open")

    def _review(self, opened: OpenTree) -> None:
        try:
            self.agentr.session.show(opened)
        except AgentrError as error:
            self.agentr.complain(str(error))
        else:
            self.app.switch_mode("revision")


def _plain(text: str) -> str:
    """For a border's title, which Textual reads as markup."""
    return clip(text, 40).replace("[", "(")
