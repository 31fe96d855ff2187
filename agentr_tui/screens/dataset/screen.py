"""Dataset: what runs of `revise` made, what people decided about it, and the export.

The screen shows what its parts know (`run_watch`, `shape_reader`, `exporter`), plain objects that know it by its
`Services`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Input

from agentr_tui.screens.dataset import lessons, past_exports
from agentr_tui.screens.dataset.accepting import ask_accept_all
from agentr_tui.screens.dataset.exporter import Exporter
from agentr_tui.screens.dataset.funnel import Funnel, funnel_lines
from agentr_tui.screens.dataset.lessons import WrongAction, lesson_cells, wrong_actions
from agentr_tui.screens.dataset.notes import NotesReader
from agentr_tui.screens.dataset.past_exports import export_cells
from agentr_tui.screens.dataset.rows import COLUMNS, trace_cells
from agentr_tui.screens.dataset.run import NO_RUN, Counted, settings_told
from agentr_tui.screens.dataset.run_watch import RunWatch
from agentr_tui.screens.dataset.shape_reader import ShapeReader
from agentr_tui.screens.dataset.tab_lines import tab_lines
from agentr_tui.screens.dataset.tabs import plot_lines
from agentr_tui.screens.shared.copying import Copyable
from agentr_tui.screens.shared.mode_screen import ModeScreen, key, tab_title
from agentr_tui.screens.shared.screen_services import ScreenServices
from agentr_tui.state.session import OpenTree, read_tree
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import Line, TextPane, line
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.review.curation import reviewable

LOOK_EVERY = 2.0  # seconds: other reviewers decide, other runs end

TABS = ("samples", "plots", "coverage", "review", "lessons", "notes")
BESIDE = ("plots", "lessons")
"""Tabs that stand in panes of their own where there is room."""

BIG_WIDTH, BIG_HEIGHT = 150, 44
MOST_TRACES = 10
"""Traces that have room beside the other panes of a big window; more scroll."""

OF_SAMPLES = frozenset({"export", "accept_all", "filter", "tab(1)", "run(1)", "next_pane"})
"""Actions that lead nowhere while there are no samples."""

TO_SAMPLES = frozenset({"mode('library')", "mode('revision')"})
"""Actions that lead to samples."""


class DatasetScreen(ModeScreen):
    """Counts, plots, traces and the export of one run."""

    MODE = "dataset"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("e", "export", "export", "dataset.export", "Write a dataset of this run", show=True),
        key("a", "accept_all", "accept all…", "dataset.accept_all",
            "Accept all that pass the replay and have no verdict; asks first", show=True),
        key("slash,f", "filter", "filter", "dataset.filter", "Count only samples of a kind, verdict, decision or task",
            show=True, key_display="/"),
        key("d", "disputed", "disputed", "dataset.disputed", "Review the samples on which reviewers differ"),
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
        services = self._services = ScreenServices(self)
        self.runs = RunWatch(services, lambda: self.exporter.forget())
        self.shapes = ShapeReader(services)
        self.exporter = Exporter(services, self.runs)
        self.notes = NotesReader(services)
        self._tab = 0
        self._wrong: list[WrongAction] = []

    def compose_body(self) -> ComposeResult:
        """What an export takes at the top; counts and lessons at the left; traces, plots and exports at the right."""
        yield TextPane(id="funnel")
        with Horizontal(id="dataset-body"):
            with Vertical(id="counts-side"):
                yield TextPane(id="counts")
                yield RowTable(lessons.COLUMNS, id="lessons")
            with Vertical(id="dataset-side"):
                yield RowTable(COLUMNS, id="of-traces")
                yield TextPane(id="dataset-plots")
                yield RowTable(past_exports.COLUMNS, id="exports")
                yield TextPane(id="export")
        told = "verified, undecided, good, a task …, or a query: gap>=0.5 mark<3 tag:later"
        yield Input(placeholder=told, id="sample-filter", classes="filter", compact=True)

    def on_mount(self) -> None:
        """Titles, focus, a look every other second."""
        self.query_one("#funnel").border_title = "from samples to lines"
        self.query_one("#counts").border_title = "samples"
        self.query_one("#of-traces").border_title = "traces"
        self.query_one("#dataset-plots").border_title = "forks and lengths"
        self.query_one("#exports").border_title = "exports"
        self.query_one("#export").border_title = "export"
        self.query_one("#counts").focus()
        self.set_interval(LOOK_EVERY, self.runs.look)
        self.set_interval(LOOK_EVERY, self.notes.look)

    def on_resize(self, event: Resize) -> None:
        """A big window has every pane at once."""
        super().on_resize(event)
        big = event.size.width >= BIG_WIDTH and event.size.height >= BIG_HEIGHT
        if big != self.has_class("-big"):
            self.set_class(big, "-big")
            if big and TABS[self._tab] in BESIDE:
                self._tab = 0
            self._show()

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

    @on(NotesReader.Read)
    def _notes_read(self, event: NotesReader.Read) -> None:
        if self.notes.was_read(event):
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
        if not self.runs.looked_once:
            return
        loaded, counted = self.runs.loaded, self.runs.counted
        if self.runs.error:
            self._show_nothing([line((self.runs.error, "bad"))])
            return
        if loaded is None or counted is None:
            self._show_nothing([line((text, "text"), indent=6 * text.startswith(" ")) for text in NO_RUN.splitlines()])
            return
        summary = counted.summary
        workspace, decided = self.agentr.session.workspace, summary.decided
        seen = summary.decided_or_open
        when = loaded.info.time[:16].replace("T", " ")
        self.top_bar.show(
            [
                (f"{loaded.title}  ", "strong"),
                (f"{when}  " if not loaded.info.sealed else "", "muted"),
                (f"{loaded.of - loaded.place} of {loaded.of}  " if loaded.run is not None else "", "muted"),
                ("" if loaded.info.sealed else "not finished  ", "warn"),
                (f"{decided.decided} of {seen} decided ", "text"),
            ],
            [(str(workspace.path), "muted")],
        )
        self._show_tab()
        traces = self.query_one("#of-traces", RowTable)
        traces.retitle(f"traces  {len(summary.traces)}")
        traces.set_rows([trace.path for trace in summary.traces], self._cells)
        traces.styles.max_height = min(len(summary.traces), MOST_TRACES) + 3 if self.has_class("-big") else None
        self._show_export()

    @property
    def _tabs(self) -> list[str]:
        """The tabs that there are: not those that stand beside."""
        return [name for name in TABS if not (self.has_class("-big") and name in BESIDE)]

    def _show_tab(self) -> None:
        loaded, counted = self.runs.loaded, self.runs.counted
        if loaded is None or counted is None:
            return
        pane, summary = self.query_one("#counts", TextPane), counted.summary
        mine = reviewable(loaded.samples)
        shown = f"{summary.samples} of {len(mine)}" if self.runs.words else str(summary.samples)
        tabs = self._tabs
        name = TABS[self._tab]
        title = tab_title([f"samples {shown}", *tabs[1:]], tabs.index(name))
        words = self.runs.words
        told = plain_title(f"filter: {words}" if words else settings_told(loaded.info), 40)
        of_lessons = self.query_one("#lessons", RowTable)
        for each in (pane, of_lessons):
            each.retitle(title, told)
        alone = name == "lessons"
        pane.display, of_lessons.display = not alone, alone or self.has_class("-big")
        self.shapes.read(loaded)
        shapes = self.shapes.shapes
        self._show_lessons(counted)
        self.notes.shown = name == "notes"
        self.notes.look()
        if not alone:
            pane.set_lines(tab_lines(name, loaded, counted, shapes, self.notes.lines), keep_scroll=True)
        if self.has_class("-big"):
            rows = max(3, (self.size.height - 21) // 4 - 3)  # four plots, one above the other
            self.query_one("#dataset-plots", TextPane).set_lines(
                lambda width: plot_lines(summary.left, shapes, width, mine, rows), keep_scroll=True
            )

    def _show_lessons(self, counted: Counted) -> None:
        """The wrong actions that the samples disown."""
        table = self.query_one("#lessons", RowTable)
        mine = reviewable(counted.summary.left)
        ready = all(sample.id in self.shapes.shapes for sample in mine)  # rows in motion can't be chosen
        self._wrong = wrong_actions(mine, counted.summary.current, self.shapes.shapes) if ready else []
        most = len(self._wrong[0].ids) if self._wrong else 0
        if self.has_class("-big"):
            told = many(len(self._wrong), "wrong action") if ready else "reading the traces …"
            table.retitle(f"what went wrong  {told}", "enter reviews these samples")
        table.set_rows([each.key for each in self._wrong], lambda row: lesson_cells(self._wrong[row], most))

    def action_tab(self, by: int) -> None:
        """Another tab."""
        tabs = self._tabs
        self._tab = TABS.index(tabs[(tabs.index(TABS[self._tab]) + by) % len(tabs)])
        self.query_one("#counts", TextPane).scroll_home(animate=False)
        self._show_tab()
        if self.focused is None or self.focused.id in ("counts", "lessons"):
            self.query_one("#lessons" if TABS[self._tab] == "lessons" else "#counts").focus()

    def _cells(self, row: int) -> list[Cell]:
        assert self.runs.counted is not None
        return trace_cells(self.runs.counted.summary.traces[row])

    def _show_export(self) -> None:
        counted, loaded = self.runs.counted, self.runs.loaded
        if counted is None or loaded is None:
            return
        _show_funnel(self.query_one("#funnel", TextPane), self.key_bar, counted.summary.funnel)
        lines = [*self.exporter.report]
        lines += [line((f"! {warning}", "warn")) for warning in loaded.warnings]
        pane = self.query_one("#export", TextPane)
        pane.display = bool(lines)
        pane.set_lines(lines)
        exports = self.runs.exports
        table, current, now = self.query_one("#exports", RowTable), counted.summary.current, time.time()
        title = f"exports  {len(exports)}" if exports else "exports: none yet, e writes one"
        table.retitle(title, "y copies the path or the command" if exports else "")
        table.set_rows([each.path for each in exports], lambda row: export_cells(exports[row], current, now))
        table.styles.max_height = min(max(1, len(exports)), MOST_TRACES) + 3 if self.has_class("-big") else None

    def _show_nothing(self, lines: list[Line]) -> None:
        self.top_bar.show([("no run of `revise` in this workspace", "muted")])
        self.query_one("#counts", TextPane).set_lines(lines)
        for table in self.query(RowTable):
            table.set_rows([], lambda row: ())
        for pane in ("#export", "#dataset-plots"):
            self.query_one(pane, TextPane).set_lines([])
        _show_funnel(self.query_one("#funnel", TextPane), self.key_bar, None)

    def copyable(self) -> list[Copyable]:
        """The export under the cursor."""
        key = self.query_one("#exports", RowTable).cursor_key
        export = next((each for each in self.runs.exports if each.path == key), None)
        if export is None:
            return []
        things = [Copyable("p", f"path of {Path(export.path).name}", lambda: export.path)]
        if export.command:
            things.append(Copyable("t", f"command: {export.command}", lambda: export.command))
        return things

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

    def action_accept_all(self) -> None:
        """Accept what waits for a verdict and passes the replay; asks first."""
        ask_accept_all(self._services, self.runs)

    def action_next_pane(self) -> None:
        """Go to the next pane; a narrow window shows only that one."""
        order = [each for each in ("counts", "lessons", "of-traces", "plots", "exports", "export") if self._there(each)]
        now = self.focused.id if self.focused is not None else None
        new = order[(order.index(now) + 1) % len(order) if now in order else 0]
        self.set_class(new in ("of-traces", "exports", "export"), "-side")
        self.query_one(f"#{new}").focus()

    def _there(self, id: str) -> bool:
        """Whether a pane has something to show."""
        if id == "plots":
            return self.has_class("-big")
        return bool(self.query_one(f"#{id}").display)

    @on(RowTable.Selected, "#lessons")
    def _lesson_chosen(self, event: RowTable.Selected) -> None:
        """Review the samples of that wrong action."""
        wrong = next((each for each in self._wrong if each.key == event.key), None)
        if wrong is not None:
            self.agentr.session.review_query = f"id:{','.join(wrong.ids)}"
            self.app.switch_mode("revision")

    def action_disputed(self) -> None:
        """Review the samples on which reviewers differ."""
        if self.runs.take_disputed():
            self.app.switch_mode("revision")

    @on(RowTable.Selected, "#exports")
    def _export_chosen(self) -> None:
        """What can be copied of an export."""
        self.app.run_action("app.copy")  # type: ignore[unused-coroutine]

    @on(RowTable.Selected, "#of-traces")
    def _trace_chosen(self, event: RowTable.Selected) -> None:
        """Review the samples of that trace."""
        path = Path(str(event.key))
        self._services.in_thread(lambda: read_tree(path), self._review, "open")

    def _review(self, opened: OpenTree) -> None:
        try:
            self.agentr.session.show(opened)
        except AgentrError as error:
            self.agentr.complain(str(error))
        else:
            self.app.switch_mode("revision")


def _show_funnel(pane: TextPane, bar: KeyBar, funnel: Funnel | None) -> None:
    """The way from pairs to lines; without samples there is none, nor are keys that act on them."""
    pane.display = funnel is not None
    bar.left_out, bar.also = (OF_SAMPLES, TO_SAMPLES) if funnel is None else (frozenset(), frozenset())
    if funnel is not None:
        pane.retitle(subtitle=f"e exports {many(funnel.lines, 'line')}")
        pane.set_lines(lambda width: funnel_lines(funnel, width))
