"""Library: the traces of the workspace and those that were opened, the running ones first.

The screen lists the rows and passes keys on; what they do is in its parts (`trace_watch`, `node_filter`, `starting`,
`deletion`), plain objects that see the screen as a `Desk`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from agentr_tui.screens.library.beside import beside_lines
from agentr_tui.screens.library.deletion import TraceDeletion
from agentr_tui.screens.library.node_filter import NodeFilter
from agentr_tui.screens.library.rows import COLUMNS, EMPTY, SORTS, arranged, cells, facts, summary
from agentr_tui.screens.library.starting import SearchStarter
from agentr_tui.screens.library.trace_watch import LOOK_EVERY, TraceWatch
from agentr_tui.screens.shared.copying import Copyable, as_json
from agentr_tui.screens.shared.mode_screen import ModeScreen, key
from agentr_tui.screens.shared.screen_desk import ScreenDesk
from agentr_tui.state.places import shipped_folder
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.safe_text import clip
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import TextPane, line


class LibraryScreen(ModeScreen):
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

    def __init__(self) -> None:
        super().__init__()
        desk = ScreenDesk(self)
        self.watched = TraceWatch(desk)
        self.node_filter = NodeFilter(desk)
        self.starter = SearchStarter(desk)
        self.deletion = TraceDeletion(desk, self._deleted)
        self.shown: list[TraceRow] = []
        self.sort = SORTS[0]
        self._wanted = ""

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
        told = [line((text, "text")) for text in EMPTY.splitlines()]
        told += beside_lines(self.agentr.session.workspace.path)
        self.query_one("#library-empty", TextPane).set_lines(told)
        self.query_one("#library-empty").border_title = "library"
        self.table.focus()
        self.set_interval(LOOK_EVERY / 4, self.watched.look)

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

    def refresh_view(self) -> None:
        """Look now."""
        self.watched.look_now()
        self._show()

    def tree_grew(self, first_new: int) -> None:
        """The live row shows the running search."""
        self._show()

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self) -> None:
        rows = self.watched.rows()
        listed = arranged(rows, self.sort, "" if self.node_filter.asks_for_nodes else self._wanted)
        self.shown = shown = self.node_filter.holding(listed)
        was_empty, empty = self.has_class("-none"), not rows and self.watched.looked_once
        self.set_class(empty, "-none")
        self.key_bar.refresh()
        if was_empty != empty:  # what is hidden loses the focus
            self.call_after_refresh((self.query_one("#library-empty") if empty else self.table).focus)
        self.table.set_rows([row.path for row in shown], self._cells)
        title, subtitle = summary(shown, self.sort, self._wanted)
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
        return cells(self.shown[place], time.time(), self.agentr.session.path)

    @on(RowTable.Highlighted, "#traces")
    def _note(self) -> None:
        row = self.current
        parts = facts(row) if row is not None else []
        if self.node_filter.asks_for_nodes:
            parts = [*self.node_filter.told(row), *parts]
        elif row is None and self._wanted:
            parts = [("no trace contains these words", "warn")]
        self.query_one("#trace-note", TextPane).set_lines([line(*parts)] if parts else [])

    @property
    def current(self) -> TraceRow | None:
        """The row under the cursor."""
        place = self.table.cursor
        return self.shown[place] if place < len(self.shown) else None

    # -- opening, starting, deleting ---------------------------------------------------------------

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

    def action_new(self) -> None:
        """Ask how, then start."""
        self.starter.new(self.current)

    def action_resume(self) -> None:
        """Go on with a search that was stopped or killed."""
        self.starter.resume(self.current)

    def action_delete(self) -> None:
        """Delete a trace of the workspace, after a question that says what refers to it."""
        self.deletion.ask(self.current)

    def _deleted(self, path: Path) -> None:
        self.watched.forget(path)
        self._show()

    # -- what the threads say ----------------------------------------------------------------------

    @on(TraceWatch.Found)
    def _found(self, event: TraceWatch.Found) -> None:
        self.watched.found(event)
        self._show()

    @on(TraceWatch.Looked)
    def _looked(self, event: TraceWatch.Looked) -> None:
        if self.watched.looked(event):
            self._show()

    @on(NodeFilter.Counted)
    def _counted(self, event: NodeFilter.Counted) -> None:
        if self.node_filter.counted(event):
            self._show()

    # -- order and filter --------------------------------------------------------------------------

    def action_sort(self) -> None:
        """The next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
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
        self._wanted = " ".join(event.value.split())
        self.node_filter.take(self._wanted)
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
