"""Library: the traces of the workspace and those that were opened, the running ones first.

The screen lists the rows and passes keys on; what they do is in its parts (`trace_watch`, `node_filter`,
`start_search`, `deletion`), plain objects that know the screen by its `Services`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Input

from agentr_tui.screens.library.deletion import TraceDeletion
from agentr_tui.screens.library.families import Nested, below, descendants, families
from agentr_tui.screens.library.marked_traces import MarkedTraces
from agentr_tui.screens.library.node_filter import NodeFilter
from agentr_tui.screens.library.other_workspaces import empty_lines
from agentr_tui.screens.library.preview import Preview
from agentr_tui.screens.library.rows import (
    COLUMNS,
    LEAST_FIRST,
    SORTS,
    arranged,
    cells,
    column_of,
    facts,
    order_of,
    summary,
)
from agentr_tui.screens.library.start_search import SearchStarter
from agentr_tui.screens.library.trace_watch import LOOK_EVERY, TraceWatch
from agentr_tui.screens.shared.copying import Copyable, as_json
from agentr_tui.screens.shared.mode_screen import MIN_WIDTH, ModeScreen, key
from agentr_tui.screens.shared.screen_services import ScreenServices
from agentr_tui.state.places import shipped_folder
from agentr_tui.state.session import Session
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import TextPane, cut_to
from engine.base.text import many
from engine.base.untrusted_files import real_path

SIDE_FROM, BELOW_FROM, BELOW_FEW_FROM = 150, 36, 30
"""Columns of the terminal from which the preview stands at the side, and rows from which it stands below: the second
where it takes no line from the table, because that is short."""

TABLE_SHARE, TABLE_FRAME = 0.55, 7
"""Share of the screen that the table has above the preview; lines around its rows: bars, note, border, names."""

OF_TRACES = frozenset({"resume", "mark", "export", "sort", "delete", "filter"})
"""Actions that lead nowhere while there is no trace."""

FIRST_SAMPLE = "textcraft-many-pairs.trace.jsonl"
"""The sample tree to begin with: it has pairs, and its environment needs nothing else."""

PREVIEW_AFTER = 0.15
"""Seconds for which the cursor rests on a trace before it is read for the preview."""


class LibraryScreen(ModeScreen):
    """All traces, with their figures."""

    MODE = "library"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("o", "new", "new", "library.new", "New search, set as the trace under the cursor", show=True),
        key("r", "resume", "resume", "library.resume", "Go on with the search under the cursor", show=True),
        key("space", "mark", "mark", "library.mark", "Mark this trace, for e and D; again: take the mark off",
            show=True),
        key("e", "export", "export", "library.export", "Make samples of the marked traces, then go to Dataset",
            show=True),
        key("equals_sign", "compare", "compare", "library.compare",
            "Compare the two marked traces, or the marked one with this one", key_display="="),
        key("s", "sort", "sort", "library.sort", "Sort by the next: newest, task, nodes, good, pairs, best", show=True),
        key("S", "reverse", "reverse", "library.reverse", "Reverse the order"),
        key("slash", "filter", "filter", "library.filter", "Only traces with words, figures (good>5) or nodes (q>0.9)",
            show=True, key_display="/"),
        key("t", "examples", "sample trees", "library.examples", "Show the sample trees of the package", show=True),
        key("D", "delete", "delete", "library.delete", "Delete the marked traces, or this one; asks first", show=True),
        key("escape", "unfilter", "show all", "library.unfilter", "Show all traces again", show=True),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        services = ScreenServices(self)
        self.watched = TraceWatch(services)
        self.node_filter = NodeFilter(services)
        self.starter = SearchStarter(services)
        self.deletion = TraceDeletion(services, self._deleted)
        self.marked = MarkedTraces(services, lambda: self.app.switch_mode("dataset"), self.deletion.delete)
        self.preview = Preview(services, lambda: self.query_one("#preview", TextPane))
        self.listed: list[Nested] = []
        self.sort = SORTS[0]
        self.reverse = False
        self._being_read = True  # until all files were read once
        self._to_source = False  # the cursor is to go to what was named on the command line
        self._wanted = ""

    def compose_body(self) -> ComposeResult:
        """The table, a line about the row under the cursor, the filter."""
        with Container(id="library-body"):
            yield RowTable(COLUMNS, id="traces")
            yield TextPane(id="preview")
        yield TextPane(id="library-empty", classes="empty")
        yield TextPane(id="trace-note", classes="note")
        yield Input(
            placeholder="words · columns: good>5 pairs>=10 state=done · nodes: q>0.9, nodes disaster",
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
        self.query_one("#library-empty", TextPane).set_lines(empty_lines(self.agentr.session.workspace.path))
        self.query_one("#library-empty").border_title = "library"
        self.table.focus()
        self._to_source = bool(self.agentr.session.sources)
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
        wanted = "" if self.node_filter.asks_for_nodes else self._wanted
        self.listed = families(self.node_filter.holding(arranged(rows, self.sort, wanted, self.reverse)))
        shown = self.shown
        was_empty, empty = self.has_class("-none"), not rows and self.watched.looked_once
        self.set_class(empty, "-none")
        if was_empty != empty:  # what is hidden loses the focus
            self.call_after_refresh((self.query_one("#library-empty") if empty else self.table).focus)
        self.table.set_rows([row.path for row in shown], self._cells, first_stays=self._being_read)
        self._being_read = self._being_read and not (self.watched.looked_once and all(map(_read, rows)))
        self._make_room(*self.size)
        if self._to_source and self.watched.looked_once:
            self._to_source = not self._go_to_source()
        self.marked.paths &= {row.path for row in rows}
        self.key_bar.words = {"export": f"export {len(self.marked.paths)} marked"} if self.marked.paths else {}
        self.key_bar.also = frozenset({"compare"} if self.marked.paths else ())
        self.table.sorted_by = (column_of(self.sort), (self.sort in LEAST_FIRST) != self.reverse)
        title, subtitle = summary(shown, self.sort, self._wanted, self.reverse, len(self.marked.paths))
        self.table.retitle(title, plain_title(subtitle, 60))
        figures = [row.figures for row in shown if row.figures is not None]
        nodes, pairs = sum(row.nodes for row in figures), sum(row.pairs for row in figures)
        self.top_bar.show(
            [("workspace ", "muted"), (str(self.agentr.session.workspace.path), "strong")],
            [(f"{many(nodes, 'node')}  {many(pairs, 'pair')}", "muted")] if figures else [],
        )
        self._note()

    def _cells(self, place: int) -> list[Cell]:
        nested = self.listed[place]
        return cells(nested, time.time(), self.agentr.session.path, nested.row.path in self.marked.paths)

    @property
    def shown(self) -> list[TraceRow]:
        """The traces of the list, from top to bottom."""
        return [each.row for each in self.listed]

    def _go_to_source(self) -> bool:
        """Put the cursor on the first trace of what was named; of the sample trees, on the one to begin with.

        Whether it is listed yet.
        """
        places = {real_path(source) for source in self.agentr.session.sources}
        named = [row.path for row in self.shown if places & {real_path(row.path), *real_path(row.path).parents}]
        begin = shipped_folder() / FIRST_SAMPLE
        if real_path(begin.parent) in places:
            named = [path for path in named if path.name == begin.name]
        if named:
            self.table.go_to(named[0])
        return bool(named)

    @on(RowTable.Highlighted, "#traces")
    def _note(self) -> None:
        row, parts = self.current, []
        if row is not None:
            parts = facts(self.listed[self.table.cursor], descendants(row.path, self.listed))
        self.key_bar.left_out = OF_TRACES if self.has_class("-none") else _leads_nowhere(row, self.agentr.session)
        if self.node_filter.asks_for_nodes:
            parts = [*self.node_filter.told(row), *parts]
        elif row is None and self._wanted:
            parts = [("no trace contains these words", "warn")]
        self.query_one("#trace-note", TextPane).set_lines(lambda width: [cut_to(parts, width)] if parts else [])
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = self.set_timer(PREVIEW_AFTER, self._show_preview)

    _preview_timer: Timer | None = None

    def _show_preview(self) -> None:
        if self.has_class("-preview") and self.is_current:
            self.preview.show(self.current, time.time())

    @property
    def rests(self) -> bool:
        """Whether the traces were counted, and the preview shows all of the one under the cursor."""
        return (
            self.watched.looked_once
            and all(map(_read, self.shown))
            and (not self.has_class("-preview") or self.preview.rests_on(self.current))
        )

    def on_resize(self, event: Resize) -> None:
        """Show the preview where there is room: at the side, or below."""
        self._make_room(*event.size)
        self._show_preview()

    def _make_room(self, width: int, height: int) -> None:
        few = len(self.watched.rows()) <= height * TABLE_SHARE - TABLE_FRAME
        below = width >= MIN_WIDTH and height >= (BELOW_FEW_FROM if few else BELOW_FROM)
        self.set_class(width >= SIDE_FROM, "-side")
        self.set_class(width >= SIDE_FROM or below, "-preview")

    @property
    def current(self) -> TraceRow | None:
        """The row under the cursor."""
        place = self.table.cursor
        return self.listed[place].row if place < len(self.listed) else None

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
        rows = self.marked.of(self.shown, self.current)
        if rows:
            ask = self.marked.ask_delete if len(rows) > 1 else self.deletion.ask
            ask(rows, below(rows, self.watched.rows()))

    def action_mark(self) -> None:
        """Mark the trace under the cursor, or take its mark away, and go to the next."""
        row = self.current
        if row is not None:
            self.marked.toggle(row, below([row], self.watched.rows()))
            self.table.cursor += 1
            self._show()

    def action_export(self) -> None:
        """Make samples of the marked traces, or of the one under the cursor, and go to Dataset."""
        self.marked.export(self.marked.of(self.shown, self.current))

    def action_compare(self) -> None:
        """Two searches beside each other: the marked ones, or the marked one and the one under the cursor."""
        two = self.marked.two(self.shown, self.current)
        if two is not None:
            self.agentr.open_path(two[0].path, beside=two[1].path)

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
        at = SORTS.index(self.sort) + 1 if self.sort in SORTS else 0
        self._sort_by(SORTS[at % len(SORTS)], False)

    def action_reverse(self) -> None:
        """The other end of the order first."""
        self._sort_by(self.sort, not self.reverse)

    @on(RowTable.ColumnChosen, "#traces")
    def _column_chosen(self, event: RowTable.ColumnChosen) -> None:
        order = order_of(event.column)
        self._sort_by(order, order == self.sort and not self.reverse)

    def _sort_by(self, order: str, reverse: bool) -> None:
        self.sort, self.reverse = order, reverse
        self._show()
        self.table.to_top()

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
        self._to_source = True
        self.refresh_view()


def _read(row: TraceRow) -> bool:
    return row.figures is not None or bool(row.error)


def _leads_nowhere(row: TraceRow | None, session: Session) -> frozenset[str]:
    """The actions that do nothing with a row, or were done."""
    goes_on = row is None or row.state in ("stopped", "crashed")
    leads_on = {"resume": goes_on, "examples": shipped_folder() not in session.sources}
    return frozenset(name for name, leads in leads_on.items() if not leads)
