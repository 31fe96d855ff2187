"""States that were reached more than once: transpositions, and trajectories that went in a circle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from agentr_tui.screens.shared.dialogs import Popup
from agentr_tui.screens.shared.loud_workers import LoudWorkers
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.terminal.theme import format_value, glyphs, value_role
from agentr_tui.widgets.row_table import Cell, Column, RowTable, cell
from engine.base.text import many
from engine.explain.repeated_states import Repeated, repeated_states
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader

COLUMNS = (
    Column("nodes", 6, right=True),
    Column("loops", 6, right=True),
    Column("N", 5, right=True, drop=1),
    Column("best Q", 6, right=True, drop=2),
    Column("node", 6, right=True),
    Column("action that led there first", 20, flex=1),
)


class StatesScreen(LoudWorkers, Popup[None]):
    """A table of states; enter goes to the nodes of one in turn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape,v", "dismiss(None)", "close", "states.close", "Back to the tree"),
        key("question_mark", "app.help", "help", "states.help", "What the keys do here", show=True, key_display="?"),
    ]
    DEFAULT_CSS = """
    StatesScreen .dialog { width: 96; height: 80%; }
    """

    def __init__(
        self, walk_through: Callable[[Sequence[int]], None], reader: TreeReader, score_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self._walk_through, self._reader, self._range = walk_through, reader, score_range
        self.states: list[Repeated] | None = None  # None: being looked for

    def compose(self) -> ComposeResult:
        """A title, the table, a word."""
        with Vertical(classes="dialog states"):
            yield Static("looking for repeated states …", classes="dialog-title", markup=False)
            yield RowTable(COLUMNS)
            yield Static(
                "enter: to its first node, and then to the next · esc closes", classes="dialog-hint", markup=False
            )

    def on_mount(self) -> None:
        """Look for them beside the screen: a large tree takes a while."""
        self.query_one(RowTable).focus()
        self._look()

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        states = repeated_states(self._reader)
        self.app.call_from_thread(self._found, states, summary(self._reader, states))

    def _found(self, states: list[Repeated], told: str) -> None:
        if self.is_mounted:
            self.states = states
            self.query_one(".dialog-title", Static).update(told)
            self.query_one(RowTable).set_rows([state.key for state in states], lambda row: self._cells(states[row]))

    def _cells(self, state: Repeated) -> list[Cell]:
        reader, signs = self._reader, glyphs()
        best = max((q for id in state.ids if (q := reader.q(id)) is not None), default=None)
        role = value_role(best, *self._range)
        loops = f"{signs.repeat} {len(state.loops)}" if state.loops else ""
        return [
            cell(str(len(state.ids)), "strong"),
            cell(loops, "warn"),
            cell(str(sum(reader.visits(id) for id in state.ids)), "muted"),
            cell(format_value(best, *self._range), role),
            cell(str(state.ids[0]), "focus"),
            cell(reader.node(state.ids[0]).action if state.ids[0] != ROOT else "root"),
        ]

    @on(RowTable.Selected)
    def _chosen(self, event: RowTable.Selected) -> None:
        state = next(state for state in self.states or [] if state.key == event.key)
        self.dismiss(None)
        self._walk_through(state.ids)


def summary(reader: TreeReader, states: list[Repeated]) -> str:
    """How much of the tree is repetition, in words."""
    if not any(reader.node(id).state_key for id in range(1, len(reader))):
        return "the environment does not tell its states: no repeats can be found"
    again = sum(len(state.ids) - 1 for state in states)
    loops = sum(len(state.loops) for state in states)
    share = again / max(1, len(reader) - 1)
    reached = many(len(states), "state was", "states were")
    return f"{reached} reached again · {many(again, 'node')} ({share:.0%}) · {many(loops, 'loop')}"
