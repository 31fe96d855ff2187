"""Library: the traces of the workspace and those that were opened, the running ones first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input
from textual.worker import get_current_worker

from agentr_tui.screens.library.filter import LibraryFind
from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.library.new_search_form import request_of
from agentr_tui.screens.library.rows import COLUMNS, EMPTY, SORTS, arranged, cells, facts, summary, with_live
from agentr_tui.screens.shared.copying import Copyable, as_json
from agentr_tui.screens.shared.dialogs import Choice, ask
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.screens.shared.start_search import may_start, run_ready, start_search
from agentr_tui.state.event_buffer import Ready
from agentr_tui.state.library_scan import Known, first_event, look, look_at_running
from agentr_tui.state.places import DEFAULT_DELAY, SearchRequest, shipped_folder
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.safe_text import clip
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import TextPane, line
from engine.base.errors import AgentrError, InputError
from engine.environment.trust import digest_of
from engine.search.control import Control
from engine.search.job import SearchJob, resume_job
from engine.trace.sources import is_trace
from engine.trace.trace import is_being_written
from engine.tree.events import AnyEvent
from engine.workspace.workspace import Workspace, read_samples

LOOK_EVERY = 2.0  # seconds
IDLE_SHARE = 50
"""After a look that took t seconds the next comes t * IDLE_SHARE later, if that is later than usual."""


class LibraryScreen(LibraryFind):
    """All traces, with their figures."""

    MODE = "library"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("o", "new", "new", "library.new", "New search, set as the trace under the cursor", show=True),
        key("r", "resume", "resume", "library.resume", "Go on with the search under the cursor", show=True),
        key("s", "sort", "sort", "library.sort", "Sort by the next: newest, task, nodes, good, pairs, best", show=True),
        key("D", "delete", "delete", "library.delete", "Delete the trace under the cursor; asks first", show=True),
        key("slash", "filter", "filter", "library.filter", "Only traces that hold these words, or such nodes: q>0.9",
            show=True, key_display="/"),
        key("e", "examples", "samples", "library.examples", "Show the sample trees that ship with the package"),
        key("escape", "unfilter", "show all", "library.unfilter", "Show all traces again", show=True),
    ]  # fmt: skip

    class Found(Message):
        """A thread looked at some files."""

        def __init__(self, items: Sequence[Known]) -> None:
            super().__init__()
            self.items = items

    class Looked(Message):
        """A thread looked at all files, or only at running searches."""

        def __init__(self, there: set[Path], took: float, whole: bool) -> None:
            super().__init__()
            self.there = there
            self.took = took
            self.whole = whole

    def copyable(self) -> list[Copyable]:
        """The trace under the cursor."""
        row = self.current
        if row is None:
            return []
        path, figures = str(row.path.absolute()), row.figures
        things = [Copyable("p", path, lambda: path)]
        if figures is not None:
            things += [
                Copyable("i", f"trace id {figures.trace}", lambda: figures.trace),
                Copyable("j", "its figures as JSON", lambda: as_json(figures), "json"),
            ]
        return things

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Path, Known] = {}
        self._shown: list[TraceRow] = []
        self._sort = SORTS[0]
        self._filter = ""
        self._looking = False
        self._looked_once = False
        self._next_look = 0.0

    def compose_body(self) -> ComposeResult:
        """The table, a line about the row under the cursor, the filter."""
        yield RowTable(COLUMNS, id="traces")
        yield TextPane(id="library-empty", classes="empty")
        yield TextPane(id="trace-note", classes="note")
        yield Input(
            placeholder="words of state, task, goal or file · or nodes: q>0.9 depth<6, nodes disaster",
            id="trace-filter",
            classes="filter",
            compact=True,
        )

    @property
    def table(self) -> RowTable:
        """The table of traces."""
        return self.query_one("#traces", RowTable)

    def on_mount(self) -> None:
        """The first look, then one every other second."""
        self.query_one("#trace-note").can_focus = False
        self.query_one("#library-empty", TextPane).set_lines([line((text, "text")) for text in EMPTY.splitlines()])
        self.query_one("#library-empty").border_title = "library"
        self.table.focus()
        self.set_interval(LOOK_EVERY / 4, self._pulse)

    # -- looking -----------------------------------------------------------------------------------

    def refresh_view(self) -> None:
        """Look now."""
        self._next_look = 0.0
        self._pulse()
        self._show()

    def tree_grew(self, first_new: int) -> None:
        """The live row shows the running search."""
        self._show()

    def _pulse(self) -> None:
        due = time.monotonic() >= self._next_look
        if self._looking or not self.is_current or not (due or self._others_run()):
            return
        self._looking = True
        session = self.agentr.session
        workspace, sources, known = session.workspace, list(session.sources), dict(self._known)

        def work() -> None:
            worker, began, there = get_current_worker(), time.monotonic(), set(known)
            try:
                if due:
                    there = look(workspace, sources, known, self._report, lambda: worker.is_cancelled)
                look_at_running(known, self._report)
            finally:
                self.post_message(self.Looked(there, time.monotonic() - began, whole=due))

        self.run_worker(work, thread=True, group="look", exclusive=True)

    def _others_run(self) -> bool:
        return any(known.row.state == "running" for known in self._known.values())

    def _report(self, items: Sequence[Known]) -> None:
        self.post_message(self.Found(items))

    @on(Found)
    def _found(self, event: Found) -> None:
        for item in event.items:
            self._known[item.row.path] = item
        self._show()

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        self._looking, self._looked_once = False, True
        if not event.whole:
            return
        self._next_look = time.monotonic() + max(LOOK_EVERY, event.took * IDLE_SHARE)
        for path in self._known.keys() - event.there:
            del self._known[path]
        self._show()

    # -- what is shown -----------------------------------------------------------------------------

    def _rows(self) -> list[TraceRow]:
        session = self.agentr.session
        rows = {path: known.row for path, known in self._known.items()}
        live = session.live
        if live is not None and session.running:
            row = rows.get(live.path) or TraceRow(live.path, time.time())
            rows[live.path] = with_live(row, session.tree)
        return list(rows.values())

    def _show(self) -> None:
        rows = self._rows()
        listed = arranged(rows, self._sort, "" if self.asks_for_nodes else self._filter)
        self._shown = shown = self.holding(listed)
        was_empty, empty = self.has_class("-none"), not rows and self._looked_once
        self.set_class(empty, "-none")
        self.key_bar.refresh()
        if was_empty != empty:  # what is hidden loses the focus
            self.call_after_refresh((self.query_one("#library-empty") if empty else self.table).focus)
        self.table.set_rows([row.path for row in shown], self._cells)
        title, subtitle = summary(shown, self._sort, self._filter)
        self.table.border_title = title
        self.table.border_subtitle = clip(subtitle.replace("[", "("), 60)
        figures = [row.figures for row in shown if row.figures is not None]
        nodes, pairs = sum(row.nodes for row in figures), sum(row.pairs for row in figures)
        self.top_bar.show(
            [("workspace ", "muted"), (str(self.agentr.session.workspace.path), "strong")],
            [(f"{nodes} nodes  {pairs} pairs", "muted")] if figures else [],
        )
        self._note()

    def _cells(self, place: int) -> list[Cell]:
        return cells(self._shown[place], time.time(), self.agentr.session.path)

    @on(RowTable.Highlighted, "#traces")
    def _note(self) -> None:
        row = self.current
        parts = facts(row) if row is not None else []
        if self.asks_for_nodes:
            parts = [*self.said_of_query(row), *parts]
        elif row is None and self._filter:
            parts = [("no trace contains these words", "warn")]
        self.query_one("#trace-note", TextPane).set_lines([line(*parts)] if parts else [])

    @property
    def current(self) -> TraceRow | None:
        """The row under the cursor."""
        place = self.table.cursor
        return self._shown[place] if place < len(self._shown) else None

    # -- opening, starting, resuming ---------------------------------------------------------------

    @on(RowTable.Selected, "#traces")
    def _open(self) -> None:
        row = self.current
        if row is None:
            return
        if row.live:
            self.app.switch_mode("search")
        elif row.error:
            self.agentr.complain(f"{row.path}: {row.error}")
        else:
            self.agentr.open_path(row.path)

    def _in_thread(self, work: Callable[[], object], then: Callable[..., None]) -> None:
        """Work beside the screen; an error becomes a line."""

        def run() -> None:
            try:
                result = work()
            except AgentrError as error:
                self.app.call_from_thread(self.agentr.complain, str(error))
            else:
                self.app.call_from_thread(then, result)

        self.run_worker(run, thread=True, group="library", exclusive=True)

    def action_new(self) -> None:
        """Ask how, then start."""
        if not may_start(self):
            return
        row = self.current
        if row is None or row.error:
            self._ask_new(request_of(self.agentr.session.configured))
        else:
            self._in_thread(lambda: _request_like(row.path), self._ask_new)

    def _ask_new(self, request: SearchRequest) -> None:
        def made(ready: Ready | None) -> None:
            if ready is not None:
                run_ready(self, ready)

        session = self.agentr.session
        self.app.push_screen(NewSearch(session.workspace, request, session.own), made)

    def action_resume(self) -> None:
        """Go on with a search that was stopped or killed."""
        row = self.current
        if row is None or not may_start(self):
            return
        if row.error or row.figures is None:
            self.agentr.complain(f"{row.path}: {row.error or 'is still being read'}")
        elif row.state == "done":
            self.notify(f"{row.name} is done: press o to start a search like it.", severity="warning", markup=False)
        elif row.state == "running":
            self.notify(f"{row.name} runs elsewhere: press enter to watch it.", severity="warning", markup=False)
        else:
            self._resume(row.path)

    def _resume(self, path: Path) -> None:
        def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
            control, own = Control(waits_on_failures=True), self.agentr.session.own
            return resume_job(path, listener=listener, delay=DEFAULT_DELAY, control=control, own=own)

        start_search(self, make)

    # -- deleting ----------------------------------------------------------------------------------

    def action_delete(self) -> None:
        """Delete a trace of the workspace, after a question that says what refers to it."""
        row, workspace = self.current, self.agentr.session.workspace
        if row is None:
            return
        if not row.path.resolve().is_relative_to(workspace.traces.resolve()):
            self.notify(f"{row.name} is outside the workspace: it is not moved.", severity="warning", markup=False)
        elif row.live or is_being_written(row.path):
            self.notify(f"{row.name} is being written: stop that search first.", severity="warning", markup=False)
        else:
            trace = row.figures.trace if row.figures else ""
            self._in_thread(
                lambda: references(workspace, row.path, trace), lambda count: self._ask_delete(row.path, count)
            )

    def _ask_delete(self, path: Path, count: int) -> None:
        name = clip(path.name, 48)
        told = f"{count} samples of `revise` refer to it and can't be exported without it." if count else ""
        ask(
            self.app,
            f"Delete {name}? {told}".strip(),
            [
                Choice("escape", "keep it", lambda: None),
                Choice("y", "delete it from the disk", lambda: self._delete(path)),
            ],
        )

    def _delete(self, path: Path) -> None:
        session = self.agentr.session
        if is_being_written(path):
            self.notify(f"{path.name} is being written: stop that search first.", severity="warning", markup=False)
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.agentr.complain(f"{path}: can't be deleted ({error.strerror or error})")
            return
        with suppress(OSError):
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # left by a search that was killed
        if session.path == path:
            session.follower = None  # the open tree stays on screen
        self._known.pop(path, None)
        self._show()

    # -- order and filter --------------------------------------------------------------------------

    def action_sort(self) -> None:
        """The next order."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is filtered can be shown whole again."""
        return action != "unfilter" or (self.is_mounted and self.query_one("#trace-filter").has_class("-open"))

    def action_filter(self) -> None:
        """Type words; the line stays until escape."""
        box = self.query_one("#trace-filter", Input)
        box.set_class(True, "-open")
        self.set_focus(box)  # at once: the next key is part of the text
        self.refresh_bindings()

    @on(Input.Changed, "#trace-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self._filter = " ".join(event.value.split())
        self.take_query(self._filter)
        self._show()

    @on(Input.Submitted, "#trace-filter")
    def _filter_kept(self) -> None:
        self.table.focus()

    def action_unfilter(self) -> None:
        """All traces again."""
        box = self.query_one("#trace-filter", Input)
        box.value = ""
        box.set_class(False, "-open")
        self.refresh_bindings()
        self.table.focus()

    # -- sample trees ------------------------------------------------------------------------------

    def action_examples(self) -> None:
        """List the trees that ship with the package, too."""
        session, folder = self.agentr.session, shipped_folder()
        if folder in session.sources:
            self.notify("The sample trees are listed already.")
            return
        session.sources.append(folder)
        self.refresh_view()


def _request_like(path: Path) -> SearchRequest:
    """A new search set as that of a trace. Raises `InputError`."""
    started = first_event(path)
    request = SearchRequest(
        started.opened or started.environment, started.task, about=digest_of(started), source=str(path)
    )
    return replace(request, settings=started.settings) if is_trace(path.name) else request


def references(workspace: Workspace, path: Path, trace: str) -> int:
    """How many samples of the workspace's runs are made from a trace. Runs that can't be read are left out."""
    place = str(path.resolve())
    found: set[str] = set()
    try:
        runs = workspace.runs()
    except InputError:
        return 0
    for run in runs:
        with suppress(InputError):
            found.update(item.id for item in read_samples(run) if item.path == place or item.trace == trace)
    return len(found)
