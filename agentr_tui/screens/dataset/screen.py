"""Dataset: what runs of `revise` made, what people decided about it, and the export."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from agentr_tui.screens.dataset.export_dialog import ExportDialog, ExportRequest
from agentr_tui.screens.dataset.export_dialog import Which as ExportWhich
from agentr_tui.screens.dataset.rows import (
    COLUMNS,
    count_lines,
    preview_lines,
    progress_line,
    report_lines,
    trace_cells,
    trained_lines,
)
from agentr_tui.screens.dataset.run import NO_RUN, Counted, LoadedRun, count, load, settings_told
from agentr_tui.screens.dataset.tabs import coverage_lines, plot_lines, trust_lines
from agentr_tui.screens.shared.dialogs import ask_yes
from agentr_tui.screens.shared.mode_screen import ModeScreen, key, tab_title
from agentr_tui.state.session import OpenTree, read_tree
from agentr_tui.terminal.safe_text import clip
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from engine.base.errors import AgentrError
from engine.datasets.choice import expected, nothing_line
from engine.datasets.export import Exported, export
from engine.datasets.formats import DataType
from engine.datasets.sizes import Shape, shapes
from engine.environment.trust import NeedsConsent
from engine.review.decisions import Decisions
from engine.workspace.workspace import Workspace

LOOK_EVERY = 2.0  # seconds: other reviewers decide, other runs end
TELL_EVERY = 0.2  # seconds, while an export or a look into the traces goes on

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
        self._loaded: LoadedRun | None = None
        self._counted: Counted | None = None
        self._tab = 0
        self._shapes: dict[str, Shape | None] = {}  # of the samples of one run, as far as its traces were read
        self._shaping: str | None = None  # that run
        self._wanted: str | None = None  # id of the run that a person went to; None: the newest
        self._by = 0  # places from there that a person wants to go
        self._filter = ""
        self._looking = False
        self._again = False
        self._report: list[Line] = []
        self._exporting = False

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
        self.set_interval(LOOK_EVERY, self._look)

    # -- looking -----------------------------------------------------------------------------------

    def refresh_view(self) -> None:
        """Look now."""
        self._look()

    def _look(self) -> None:
        if not self.is_current:
            return
        if self._looking:
            self._again = True
            return
        self._looking, self._again = True, False
        session = self.agentr.session
        by, self._by = self._by, 0
        work = partial(self._work, session.workspace, session.decisions, self._wanted, by, self._filter)
        self.run_worker(work, thread=True, group="dataset")

    def _work(self, workspace: Workspace, decisions: Decisions, wanted: str | None, by: int, words: str) -> None:
        """In a thread: read the run and the decisions where they changed, and count."""
        try:
            loaded = load(workspace, wanted, by, self._loaded)
            decisions.refresh()
        except (AgentrError, OSError) as error:
            self.from_thread(self._failed, str(error))
            return
        if loaded is None:
            self.from_thread(self._take, None, None)
            return
        try:
            counted = count(workspace, loaded, decisions, words, self._counted)
        except AgentrError as error:
            self.from_thread(self._failed, str(error))
            return
        if counted is self._counted:
            self.from_thread(self._done)
        else:
            self.from_thread(self._take, loaded, counted)

    def _done(self) -> None:
        self._looking = False
        if self._again:
            self._look()

    def _failed(self, message: str) -> None:
        self._counted = None
        self._show_nothing([line((message, "bad"))])
        self._done()

    def _take(self, loaded: LoadedRun | None, counted: Counted | None) -> None:
        moved = self._loaded is not None and loaded is not None and loaded.chosen.name != self._loaded.chosen.name
        self._loaded, self._counted = loaded, counted
        if moved:
            self._report = []
        if loaded is not None:
            self._wanted = None if loaded.default else loaded.run or loaded.info.id
        self._show()
        self._done()

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self) -> None:
        loaded, counted = self._loaded, self._counted
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
        loaded, counted = self._loaded, self._counted
        if loaded is None or counted is None:
            return
        pane, summary = self.query_one("#counts", TextPane), counted.summary
        many = f"{summary.samples} of {len(loaded.samples)}" if self._filter else str(summary.samples)
        pane.border_title = tab_title([f"samples {many}", *TABS[1:]], self._tab)
        pane.border_subtitle = _plain(f"filter: {self._filter}") if self._filter else _plain(settings_told(loaded.info))
        name = TABS[self._tab]
        wanted = [sample for sample in loaded.samples if sample.kind != "good"]
        self._shape()
        if name == "plots":
            pane.set_lines(lambda width: plot_lines(summary.left, self._shapes, width, wanted), keep_scroll=True)
        elif name == "coverage":
            pane.set_lines(
                lambda width: coverage_lines(summary.left, loaded.chosen.paths, self._shapes, width, wanted),
                keep_scroll=True,
            )
        elif name == "review":
            pane.set_lines(lambda width: trust_lines(counted.trust, width), keep_scroll=True)
        else:
            shapes = self._shapes
            pane.set_lines(
                lambda width: [*count_lines(summary, width), *trained_lines(summary, shapes)], keep_scroll=True
            )

    def _shape(self) -> None:
        """Read the traces of the run, for what their texts say of its samples; once a run."""
        loaded = self._loaded
        if loaded is None or self._shaping == loaded.chosen.name:
            return
        run = self._shaping = loaded.chosen.name
        self._shapes = {}
        workspace, samples, environment = (
            self.agentr.session.workspace, loaded.samples, loaded.chosen.environment_of
        )  # fmt: skip

        def work() -> None:
            found: dict[str, Shape | None] = {}
            told = time.monotonic()
            for sample, shape in shapes(workspace, samples, environment):
                if self._shaping != run or not self.is_attached:
                    return
                found[sample.id] = shape
                if time.monotonic() - told > TELL_EVERY:
                    told = time.monotonic()
                    self.from_thread(self._shaped, run, dict(found))
            self.from_thread(self._shaped, run, found)

        self.run_worker(work, thread=True, group="shapes")

    def _shaped(self, run: str, found: dict[str, Shape | None]) -> None:
        if self._shaping == run:
            self._shapes = found
            self._show_tab()

    def action_tab(self, by: int) -> None:
        """Another tab."""
        self._tab = (self._tab + by) % len(TABS)
        self.query_one("#counts", TextPane).scroll_home(animate=False)
        self._show_tab()

    def _cells(self, row: int) -> list[Cell]:
        assert self._counted is not None
        return trace_cells(self._counted.summary.traces[row])

    def _show_export(self) -> None:
        counted, loaded = self._counted, self._loaded
        if counted is None or loaded is None:
            return
        lines = preview_lines(counted.summary)
        if self._report:
            lines = [*self._report, BLANK, *lines]
        lines += [line((f"! {warning}", "warn")) for warning in loaded.warnings]
        self.query_one("#export", TextPane).set_lines(lines)

    def _show_nothing(self, lines: list[Line]) -> None:
        self.top_bar.show([("no run of `revise` in this workspace", "muted")])
        self.query_one("#counts", TextPane).set_lines(lines)
        self.query_one("#of-traces", RowTable).set_rows([], lambda row: ())
        self.query_one("#export", TextPane).set_lines([])

    # -- export ------------------------------------------------------------------------------------

    def action_export(self) -> None:
        """Ask what and where to, then write."""
        loaded = self._loaded
        if loaded is None or self._counted is None:
            self.notify("There is no run to export: press 4 to make one from the open tree.", severity="warning")
        elif self._exporting:
            self.notify("An export is being written.", severity="warning")
        else:
            folder = self.agentr.session.workspace.exports
            stem = loaded.info.id[:15]
            samples, current = loaded.samples, self._counted.summary.current

            def many(data_type: DataType, which: ExportWhich, per_lesson: int) -> str:
                found = expected(samples, current, data_type, which == "all", which == "only verified", per_lesson)
                return f"up to {found.lines} of {found.samples} samples ({found.which})"

            self.app.push_screen(ExportDialog(folder, stem, loaded.title, many), partial(self._export, loaded.run))

    def _export(self, run: str | None, request: ExportRequest | None) -> None:
        if request is None:
            return
        self._exporting = True
        self._export_told(0, 0)
        told = time.monotonic()

        def progress(done: int, of: int) -> None:
            nonlocal told
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self.from_thread(self._export_told, done, of)

        workspace = self.agentr.session.workspace

        def work() -> None:
            try:
                done = export(
                    workspace,
                    run,
                    request.format,
                    request.out,
                    data_type=request.data_type,
                    all=request.which == "all",
                    only_verified=request.which == "only verified",
                    options=request.options,
                    progress=progress,
                )
            except NeedsConsent as unasked:
                self.from_thread(self._refused, str(unasked))
                self.from_thread(ask_yes, self.app, unasked, partial(self._export, run, request))
            except AgentrError as error:
                self.from_thread(self._refused, str(error))
            else:
                self.from_thread(self._exported, done)

        self.run_worker(work, thread=True, group="export")

    def _export_told(self, done: int, of: int) -> None:
        self._report = [progress_line(done, of)]
        self._show_export()

    def _refused(self, message: str) -> None:
        self._exporting = False
        self._report = [line((f"✗ {message}", "bad"), indent=2)]
        self._show_export()
        self.agentr.complain(message)

    def _exported(self, done: Exported) -> None:
        self._exporting = False
        self._report = report_lines(done)
        self._show_export()
        if done.files:
            self.notify(f"{done.lines} lines: {done.out}", markup=False)
        else:
            self.agentr.complain(nothing_line(done))

    # -- filter, runs, panes, traces -----------------------------------------------------------------------

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
        self._filter = " ".join(event.value.split())
        self._look()

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

    def action_run(self, by: int) -> None:
        """An earlier run, or a later one."""
        loaded = self._loaded
        if loaded is None:
            return
        if not 0 <= loaded.place + by < loaded.of:
            self.notify("There is no earlier run." if by > 0 else "This is the newest run.")
            return
        self._wanted, self._by = loaded.run, by
        self._look()

    def action_next_pane(self) -> None:
        """Counts, traces, export, and around."""
        order = ["counts", "of-traces", "export"]
        now = self.focused.id if self.focused is not None and self.focused.id in order else "export"
        new = order[(order.index(now or "export") + 1) % len(order)]
        self.query_one(f"#{new}").focus()

    @on(RowTable.Selected, "#of-traces")
    def _trace_chosen(self, event: RowTable.Selected) -> None:
        """Review the samples of that trace."""
        path, complain = Path(str(event.key)), self.agentr.complain

        def read() -> None:
            try:
                opened = read_tree(path)
            except AgentrError as error:
                self.from_thread(complain, str(error))
            else:
                self.from_thread(self._review, opened)

        self.run_worker(read, thread=True, group="open", exclusive=True)

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
