"""What the Search screen shows beside tree and node: overview, plots, comparison, repeated states."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from agentr_tui.screens.search.overlays.compare import (
    CompareScreen,
    best_leaf,
    choose_trace,
    trace_sides,
    trajectory_sides,
)
from agentr_tui.screens.search.overlays.plots import PlotsScreen
from agentr_tui.screens.search.overlays.repeated_states import StatesScreen
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.search.time_travel import TimeTravel
from agentr_tui.screens.shared.compare_lines import Side
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.widgets.overview import Overview
from engine.base.errors import InputError
from engine.pairs.pairs import best_partner
from engine.tree.node import ROOT
from envs.numbers import whole


class Views:
    """The menu `v`: columns, overview, comparison, states, plots."""

    def __init__(self, services: TreeServices, time: TimeTravel, overview: Callable[[], Overview]) -> None:
        self._services, self._time, self._overview = services, time, overview
        self.overview_wanted: bool | None = None  # None: where there is room

    def show_overview(self, has_room: bool) -> None:
        """The overview, where it is not folded away."""
        session, overview = self._services.session, self._overview()
        overview.display = self.overview_wanted if self.overview_wanted is not None else has_room
        if overview.display:
            overview.show(session.reader, session.score_range, self._services.tree_view.cursor_node)

    def menu(self) -> None:
        """What else can be looked at."""
        folded, crowded = not self._overview().display, self._services.tree_view.crowded
        self._services.choose(
            "view",
            [
                Choice("w", "columns: " + ("all" if self._services.tree_view.is_compact else "fewer"), self.columns),
                Choice("n", "never-visited siblings: " + ("a row each" if crowded else "one row"), self.crowds),
                Choice("o", "overview: " + ("show" if folded else "fold away"), self.fold_overview),
                Choice("c", "compare …", self.compare),
                Choice("s", "states that were reached more than once, and loops", self.states),
                Choice("p", "plots: returns, visits, branching, values, calls, cost", self.plots),
            ],
        )

    def columns(self) -> None:
        """Bars and figures in the tree, or more room for what was done."""
        tree = self._services.tree_view
        tree.compact = not tree.is_compact

    def crowds(self) -> None:
        """Never-visited siblings share a row, or have one each."""
        tree = self._services.tree_view
        tree.crowded = not tree.crowded

    def fold_overview(self) -> None:
        """Fold the overview away, or show it."""
        self.overview_wanted = not self._overview().display
        self.show_overview(True)

    def plots(self) -> None:
        """Plots of the search."""
        self._services.open(PlotsScreen(self._time))

    def states(self) -> None:
        """States that more than one node reached."""
        session = self._services.session
        if session.tree is not None and session.reader is not None and len(session.reader):
            then = session.tree.at(session.reader.seq)  # it stays as it is while it is looked through
            self._services.open(StatesScreen(self._time.walk_through, then, session.score_range))

    # -- comparing ---------------------------------------------------------------------------------

    def compare(self) -> None:
        """Compare the trajectory under the cursor with another, or this search with another."""
        session, tree = self._services.session, self._services.session.tree
        node = self._services.tree_view.cursor_node
        if tree is None or not len(tree):
            return
        choices = []
        best = best_leaf(tree, node)
        if best is not None and node != ROOT:
            label = f"node {node} with the best leaf, {best}"
            choices.append(Choice("b", label, partial(self._compare, node, best)))
        pair = best_partner(tree, node, session.thresholds)
        if pair is not None:
            other = pair.bad if pair.good == node else pair.good
            label = f"node {node} with its best partner, {other}"
            choices.append(Choice("o", label, partial(self._compare, node, other)))
        good, bad = session.chosen
        if good is not None and bad is not None:
            label = f"the chosen pair, {good} and {bad}"
            choices.append(Choice("p", label, partial(self._compare, good, bad)))
        if node != ROOT:
            choices.append(Choice("n", f"node {node} with another node …", partial(self._ask_other, node)))
        choices.append(Choice("t", "this search with another trace …", self._ask_trace))
        self._services.choose("compare", choices)

    def _compare(self, one: int, other: int) -> None:
        try:
            sides = trajectory_sides(self._services.session, one, other)
        except InputError as error:
            self._services.complain(str(error))
        else:
            self._show(sides)

    def _show(self, sides: tuple[Side, Side]) -> None:
        self._services.open(CompareScreen(self._services, *sides))

    def _ask_other(self, node: int) -> None:
        def typed(text: str) -> None:
            reader = self._services.session.reader
            other = whole(text.strip())
            if reader is None or other is None or other >= len(reader):
                self._services.say(f"There is no node {text[:40]!r} here.", severity="warning")
            else:
                self._compare(node, other)

        self._services.ask_text(f"compare node {node} with which node?", typed, placeholder="87")

    def _ask_trace(self) -> None:
        choose_trace(self._services, self.compare_with)

    def compare_beside(self) -> None:
        """The open search beside the trace that it was opened with, where it was."""
        session = self._services.session
        other, session.beside = session.beside, None
        if other is not None:
            self.compare_with(other)

    def compare_with(self, path: Path) -> None:
        """The open search beside another trace."""
        self._services.in_thread(lambda: trace_sides(self._services.session, path), self._show, "compare")
