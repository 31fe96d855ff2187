"""Dataset: what a run of `revise` made, what people decided about it, and the export."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Input

from agentr_tui.dataset_rows import (
    COLUMNS,
    RunSummary,
    count_lines,
    preview_lines,
    report_lines,
    summarise,
    trace_cells,
)
from agentr_tui.safe_text import clip
from agentr_tui.screens.base import ModeScreen, key
from agentr_tui.screens.export_dialog import ExportDialog, ExportRequest
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from engine.decisions import Decisions
from engine.errors import AgentrError
from engine.export import Exported, export
from engine.samples import Sample
from engine.workspace import RunInfo, Workspace, read_samples

LOOK_EVERY = 2.0  # seconds: other reviewers decide, other runs end

NO_RUN = """\
No samples here yet.

A run of `revise` pairs good and bad leaves, looks for the first wrong step, splices the two trajectories and
replays the result. Its samples are what a dataset is made of.

  4   Revision makes a run of the open tree and lets you accept or reject its samples
  1   the library opens a tree

On the command line: agentr revise PATH…
"""


@dataclass(frozen=True)
class LoadedRun:
    """A run with its samples, and where it stands among the runs."""

    info: RunInfo
    samples: list[Sample]
    place: int  # 0: the newest
    of: int
    stamp: int  # size of its file when it was read
    warnings: list[str]


def load(workspace: Workspace, wanted: str | None, by: int, known: LoadedRun | None) -> LoadedRun | None:
    """The run `by` places before the wanted one (None: the newest that is complete, else the newest).

    What is known and unchanged is not read again. None where there is no run. Raises `InputError`.
    """
    runs = workspace.runs()
    if not runs:
        return None
    sealed = next((place for place, run in enumerate(runs) if run.sealed), 0)
    place = next((place for place, run in enumerate(runs) if run.id == wanted), sealed)
    place = max(0, min(place + by, len(runs) - 1))
    info = runs[place]
    size = Path(info.file).stat().st_size
    if known is not None and known.info.id == info.id and known.stamp == size:
        return LoadedRun(info, known.samples, place, len(runs), size, known.warnings)
    warnings: list[str] = []
    samples = list(read_samples(info, warnings))
    return LoadedRun(info, samples, place, len(runs), size, warnings)


class DatasetScreen(ModeScreen):
    """Counts, plots, traces and the export of one run."""

    MODE = "dataset"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("e", "export", "export", "dataset.export", "Write a dataset of this run", show=True),
        key("f", "filter", "filter", "dataset.filter", "Count only samples of a kind, verdict, decision or task",
            show=True),
        key("left_square_bracket", "run(1)", "runs", "dataset.earlier", "The run before", show=True,
            key_display="[ ]"),
        key("right_square_bracket", "run(-1)", "later run", "dataset.later", "The run after"),
        key("tab", "next_pane", "next pane", "dataset.next_pane", "Next pane", show=True),
        key("escape", "unfilter", "show all", "dataset.unfilter", "Count all samples again", show=True),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._loaded: LoadedRun | None = None
        self._summary: RunSummary | None = None
        self._counted: object = None  # current, run and filter that were counted
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
        yield Input(placeholder="verified, diverged, accepted, undecided, good, a task …", id="sample-filter",
                    classes="filter", compact=True)  # fmt: skip

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
            self.app.call_from_thread(self._failed, str(error))
            return
        if loaded is None:
            self.app.call_from_thread(self._take, None, None, None)
            return
        current = decisions.current()
        counted = (loaded.info.id, loaded.stamp, loaded.of, words, current)
        if self._same(counted):
            self.app.call_from_thread(self._done)
            return
        summary = summarise(loaded.samples, current, words)
        self.app.call_from_thread(self._take, loaded, summary, counted)

    def _same(self, counted: tuple[object, ...]) -> bool:
        """Whether that is what is shown; decisions are another object whenever one changed."""
        old = self._counted
        return isinstance(old, tuple) and old[:-1] == counted[:-1] and old[-1] is counted[-1]

    def _done(self) -> None:
        self._looking = False
        if self._again:
            self._look()

    def _failed(self, message: str) -> None:
        self._summary = self._counted = None
        self._show_nothing([line((message, "bad"))])
        self._done()

    def _take(self, loaded: LoadedRun | None, summary: RunSummary | None, counted: object) -> None:
        moved = self._loaded is not None and loaded is not None and loaded.info.id != self._loaded.info.id
        self._loaded, self._summary, self._counted = loaded, summary, counted
        if moved:
            self._report = []
        if loaded is not None and self._wanted is not None:
            self._wanted = loaded.info.id if loaded.place else None
        self._show()
        self._done()

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self) -> None:
        loaded, summary = self._loaded, self._summary
        if loaded is None or summary is None:
            self._show_nothing([line((text, "text")) for text in NO_RUN.splitlines()])
            return
        workspace, decided = self.agentr.session.workspace, summary.decided
        seen = decided.decided + decided.undecided
        when = loaded.info.time[:16].replace("T", " ")
        self.top_bar.show(
            [
                (f"run {loaded.info.id[:15]}  ", "strong"),
                (f"{when}  " if not loaded.info.sealed else "", "muted"),
                (f"{loaded.of - loaded.place} of {loaded.of}  ", "muted"),
                ("" if loaded.info.sealed else "not finished  ", "warn"),
                (f"{summary.holds} hold  ", "good"),
                (f"{decided.decided} of {seen} decided ", "text"),
            ],
            [(str(workspace.path), "muted")],
        )
        counts = self.query_one("#counts", TextPane)
        counts.border_title = f"samples  {summary.samples}" + (f" of {len(loaded.samples)}" if self._filter else "")
        counts.border_subtitle = _plain(f"filter: {self._filter}") if self._filter else _plain(_settings(loaded.info))
        width = counts.scrollable_content_region.width
        if width:  # else it is laid out soon
            counts.set_lines(count_lines(summary, width), keep_scroll=True)
        traces = self.query_one("#of-traces", RowTable)
        traces.border_title = f"traces  {len(summary.traces)}"
        traces.set_rows([trace.path for trace in summary.traces], self._cells)
        self._show_export()

    def _cells(self, row: int) -> list[Cell]:
        assert self._summary is not None
        return trace_cells(self._summary.traces[row])

    def _show_export(self) -> None:
        summary, loaded = self._summary, self._loaded
        if summary is None or loaded is None:
            return
        lines = preview_lines(summary)
        if self._report:
            lines = [*self._report, BLANK, *lines]
        lines += [line((f"! {warning}", "warn")) for warning in loaded.warnings]
        self.query_one("#export", TextPane).set_lines(lines)

    def _show_nothing(self, lines: list[Line]) -> None:
        self.top_bar.show([("no run of `revise` in this workspace", "muted")])
        self.query_one("#counts", TextPane).set_lines(lines)
        self.query_one("#of-traces", RowTable).set_rows([], lambda row: ())
        self.query_one("#export", TextPane).set_lines([])

    def on_resize(self, event: Resize) -> None:
        """Bars are as long as there is room."""
        super().on_resize(event)
        self.call_after_refresh(self._show)

    # -- export ------------------------------------------------------------------------------------

    def action_export(self) -> None:
        """Ask what and where to, then write."""
        loaded = self._loaded
        if loaded is None or self._summary is None:
            self.notify("There is no run to export: 4 makes one of the open tree.", severity="warning")
        elif self._exporting:
            self.notify("An export is being written.", severity="warning")
        else:
            folder = self.agentr.session.workspace.exports
            stem = loaded.info.id[:15]
            self.app.push_screen(ExportDialog(folder, stem, f"run {stem}"), partial(self._export, loaded.info.id))

    def _export(self, run: str, request: ExportRequest | None) -> None:
        if request is None:
            return
        self._exporting = True
        self._report = [line(("exporting …", "focus"))]
        self._show_export()
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
                )
            except AgentrError as error:
                self.app.call_from_thread(self._refused, str(error))
            else:
                self.app.call_from_thread(self._exported, done)

        self.run_worker(work, thread=True, group="export")

    def _refused(self, message: str) -> None:
        self._exporting = False
        self._report = [line((f"✗ {message}", "bad"), indent=2)]
        self._show_export()
        self.agentr.complain(message)

    def _exported(self, done: Exported) -> None:
        self._exporting = False
        self._report = report_lines(done)
        self._show_export()
        self.notify(f"{done.lines} lines: {done.out}", markup=False)

    # -- filter, runs, panes -----------------------------------------------------------------------

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
        self._wanted, self._by = loaded.info.id, by
        self._look()

    def action_next_pane(self) -> None:
        """Counts, traces, export, and around."""
        order = ["counts", "of-traces", "export"]
        now = self.focused.id if self.focused is not None and self.focused.id in order else "export"
        new = order[(order.index(now or "export") + 1) % len(order)]
        self.query_one(f"#{new}").focus()


def _settings(info: RunInfo) -> str:
    settings = info.settings
    told = [f"verifier {settings.verifier}" if settings.verify else "direct revision"]
    if settings.alpha is not None:
        told.append(f"alpha {settings.alpha:g}")
    if settings.beta is not None:
        told.append(f"beta {settings.beta:g}")
    if settings.compat:
        told.append("compat")
    return " · ".join(told)


def _plain(text: str) -> str:
    """For a border's title, which Textual reads as markup."""
    return clip(text, 40).replace("[", "(")
