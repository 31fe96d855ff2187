"""Pairs: the leaves of the open tree, the pairs they make, both trajectories of a pair aligned at the fork."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import DescendantFocus, Resize
from textual.widgets import Input

from agentr_tui.screens.pairs.leaf_filter import LeafFilter
from agentr_tui.screens.pairs.rows import (
    FORK,
    LEAF_COLUMNS,
    RANK_LABELS,
    SUGGESTION_COLUMNS,
    PairFigures,
    chosen_words,
    leaf_cells,
    pair_figures,
    pair_of,
    path_lines,
    suggestion_cells,
    top_parts,
    why_no_pairs,
)
from agentr_tui.screens.pairs.thresholds import ask_threshold
from agentr_tui.screens.shared.copying import Copyable, of_node
from agentr_tui.screens.shared.dialogs import Choice, ask
from agentr_tui.screens.shared.mode_screen import NOTHING_OPEN, ModeScreen, key
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.row_table import Cell, RowTable
from agentr_tui.widgets.text_pane import TextPane, line
from engine.pairs.pairs import Pair, best_partner
from engine.pairs.ranking import Rank
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree

COUNT_EVERY = 0.5  # seconds, while the tree grows
REST = 10
"""After counting took t seconds, the next comes REST * t later, if that is later than usual."""

OF_PAIR = frozenset({"select"})
"""Actions that lead nowhere where the leaf under the cursor has no partner."""

OF_PAIRS = OF_PAIR | {"choose", "order"}
"""The same where the tree has no pair at all."""

SMALL = 1_000
"""In trees of so many nodes a leaf's best partner is found at once; in larger ones by a thread."""


class Counted(NamedTuple):
    """What figures were counted of."""

    tree: int  # Python's id of it: another tree may have as many events
    seq: int
    thresholds: Thresholds
    rank: Rank


class PairTable(RowTable):
    """A table from which `enter` leads to Revision."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "select",
            "revise",
            id="pairs.revise",
            key_display="enter",
            tooltip="Go to Revision with the pair that is shown",
        ),
    ]


class PairsScreen(ModeScreen):
    """Leaves, suggested pairs, and the trajectories of one pair."""

    MODE = "pairs"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("space", "choose", "choose", "pairs.choose", "Choose this leaf, or both of this pair; again: let go",
            show=True),
        key("a", "threshold('alpha')", "alpha", "pairs.alpha", "Set alpha: the Q of a good leaf must exceed it",
            show=True),
        key("b", "threshold('beta')", "beta", "pairs.beta", "Set beta: a bad leaf must be worse by more than it",
            show=True),
        key("slash", "find", "find", "pairs.find", "Only leaves whose trajectory holds words, or such a node: q>0.5",
            show=True, key_display="/"),
        key("o", "order", "order…", "pairs.order", "Which pairs are suggested first", show=True),
        key("tab", "next_pane", "next pane", "pairs.next_pane", "Next pane", show=True),
        key("enter", "revise", "revise", "pairs.revise_shown", "Go to Revision with the pair that is shown"),
        key("plus", "enlarge", "enlarge", "pairs.enlarge", "Enlarge the pane that has the focus"),
        key("underscore,escape", "restore", "restore", "pairs.restore", "Restore the enlarged pane; then all leaves",
            key_display="esc"),
    ]  # fmt: skip

    def copyable(self) -> list[Copyable]:
        """The leaf under the cursor."""
        leaf = self.leaves.cursor_key
        return of_node(self.agentr.session, leaf) if isinstance(leaf, int) else []

    def __init__(self) -> None:
        super().__init__()
        self.filter = LeafFilter(self._filtered)
        self._all: PairFigures | None = None  # as it was counted
        self.figures: PairFigures | None = None  # what is looked for of it
        self._counted: Counted | None = None
        self._wanted: Counted | None = None  # what is being counted
        self._next_count = 0.0
        self._pane = "leaves"
        self._rank: Rank = "fork"
        self._partner: tuple[int, Pair | None] | None = None  # of a leaf, found by a thread
        self.shown: Pair | None = None

    def compose_body(self) -> ComposeResult:
        """Leaves and suggestions above, trajectories below."""
        with Horizontal(id="pair-lists"):
            yield PairTable(LEAF_COLUMNS, id="leaves")
            yield PairTable(SUGGESTION_COLUMNS, id="suggestions")
        yield TextPane(id="paths")
        yield Input(placeholder="words · good · q>0.5 · depth<6", id="pair-filter", classes="filter", compact=True)

    @property
    def leaves(self) -> RowTable:
        """The table of leaves."""
        return self.query_one("#leaves", RowTable)

    @property
    def suggestions(self) -> RowTable:
        """The table of suggested pairs."""
        return self.query_one("#suggestions", RowTable)

    @property
    def paths(self) -> TextPane:
        """Both trajectories."""
        return self.query_one("#paths", TextPane)

    def on_mount(self) -> None:
        """The leaves have the focus."""
        self.leaves.border_title = "leaves"
        self.suggestions.border_title = "pairs"
        self.paths.border_title = "trajectories"
        self.leaves.focus()
        self.set_interval(COUNT_EVERY / 2, self._pulse)

    # -- counting ----------------------------------------------------------------------------------

    def refresh_view(self) -> None:
        """Show the open tree as it is now."""
        self._next_count = 0.0
        self._pulse()
        self._show()

    def tree_opened(self) -> None:
        """Another tree."""
        self.refresh_view()

    def _pulse(self) -> None:
        """Count again where the tree or the thresholds are other than those that were counted."""
        session = self.agentr.session
        tree = session.tree
        if not self.is_current or tree is None or not len(tree) or time.monotonic() < self._next_count:
            return
        wanted = Counted(id(tree), tree.seq, session.thresholds, self._rank)
        if self._wanted is None and wanted != self._counted:
            if self._counted is not None and self._counted.tree != wanted.tree:
                self._all = self.figures = self._partner = None
            self._wanted = wanted
            self.run_worker(partial(self._count, tree, wanted), thread=True, group="count")

    def _count(self, tree: SearchTree, wanted: Counted) -> None:
        """In a thread. The tree may grow meanwhile: then it is counted again."""
        began = time.monotonic()
        for figures in pair_figures(tree, wanted.thresholds, wanted.rank):
            self.from_thread(self._take, figures, wanted)
        self.from_thread(self._counted_all, time.monotonic() - began)

    def _take(self, figures: PairFigures, counted: Counted) -> None:
        self._all, self._counted, self._partner = figures, counted, None
        self._filtered()

    # -- finding -----------------------------------------------------------------------------------

    def _filtered(self) -> None:
        """Show what is looked for of what was counted."""
        tree, figures = self.agentr.session.tree, self._all
        if tree is None or figures is None:
            return
        leaves, pairs = self.filter.leaves(tree, figures.leaves), self.filter.pairs(tree, figures.suggestions)
        self.figures = replace(figures, leaves=leaves, suggestions=pairs)
        self._show()
        if self.filter.is_set:
            self.leaves.border_title = f"leaves  {len(leaves)} of {len(figures.leaves)} match · esc shows all"

    def action_find(self) -> None:
        """Write what to find."""
        box = self.query_one("#pair-filter", Input)
        box.add_class("-open")
        self.set_focus(box)

    @on(Input.Changed, "#pair-filter")
    def _find_typed(self, event: Input.Changed) -> None:
        session = self.agentr.session
        if self.filter.take(event.value) and session.tree is not None:
            work = self.filter.go_through(session.tree, session.thresholds.alpha)
            self.run_worker(work, group="find", exclusive=True)
        self.leaves.border_subtitle = plain_title(self.filter.error or chosen_words(self.agentr.session.chosen))

    @on(Input.Submitted, "#pair-filter")
    def _find_entered(self) -> None:
        self.leaves.focus()

    def _counted_all(self, took: float) -> None:
        counted, self._wanted = self._wanted, None
        self._next_count = time.monotonic() + max(COUNT_EVERY, REST * took)
        if counted is not None and (counted.thresholds, counted.rank) != (self.agentr.session.thresholds, self._rank):
            self.refresh_view()

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self) -> None:
        session, figures = self.agentr.session, self.figures
        tree = session.tree
        if tree is None or tree.started is None:
            self.top_bar.show([("no tree is open", "muted")])
            self.show_placeholder(NOTHING_OPEN)
            return
        self.show_placeholder(None)
        pairs = figures.pairs if figures is not None else None
        self.top_bar.show(top_parts(tree, session.thresholds, pairs))
        if figures is None:
            self._nothing("counting …")
            return
        bad = len(figures.leaves) - figures.good
        self.leaves.border_title = f"leaves  {len(figures.leaves):,} · {figures.good:,} good · {bad:,} bad"
        self.leaves.border_subtitle = chosen_words(self.agentr.session.chosen)
        shown = len(figures.suggestions)
        many = "…" if pairs is None else str(pairs)
        self.suggestions.border_title = f"pairs  the best {shown} of {many}" if shown != pairs else f"pairs  {pairs}"
        self.suggestions.border_subtitle = RANK_LABELS[self._rank]
        self.leaves.set_rows(figures.leaves, self._leaf_cells)
        self.suggestions.set_rows(figures.suggestions, self._suggestion_cells)
        self._show_paths()

    def _nothing(self, text: str, role: Role = "muted") -> None:
        """A line in place of trajectories, and empty lists."""
        self.shown = None
        self.leaves.set_rows([], lambda row: ())
        self.suggestions.set_rows([], lambda row: ())
        self.paths.set_lines([line((text, role))])

    def _leaf_cells(self, row: int) -> list[Cell]:
        session, figures = self.agentr.session, self.figures
        assert session.tree is not None
        assert figures is not None
        return leaf_cells(session.tree, figures.leaves[row], session.thresholds, session.score_range, session.chosen)

    def _suggestion_cells(self, row: int) -> list[Cell]:
        session, figures = self.agentr.session, self.figures
        assert session.tree is not None
        assert figures is not None
        return suggestion_cells(session.tree, figures.suggestions[row], session.score_range, session.chosen)

    def _show_paths(self) -> None:
        session, figures, pane = self.agentr.session, self.figures, self.paths
        tree = session.tree
        if tree is None or figures is None:
            return
        why = why_no_pairs(figures, session.thresholds, tree.q(figures.leaves[0]) if figures.leaves else None)
        pair = self.shown = None if why else self._pair_here(tree)
        self.key_bar.left_out = OF_PAIRS if why else OF_PAIR if pair is None else frozenset()
        if pair is None:
            pane.border_title = "trajectories"
            told = why or "No partner: no other leaf differs enough from this one. tab goes to the pairs there are."
            pane.set_lines([line((told, "warn" if why else "muted"))])
            return
        pane.border_title = f"trajectories · {pair.good} against {pair.bad} · gap {pair.gap:.3g}"
        pane.set_lines(lambda width: path_lines(tree, pair, width))  # also where the scrollbar takes a cell
        self.call_after_refresh(pane.scroll_to_key, FORK)

    def _pair_here(self, tree: SearchTree) -> Pair | None:
        """The pair under the cursor; among the leaves: the chosen one, else that of the leaf under the cursor."""
        session, figures = self.agentr.session, self.figures
        assert figures is not None
        if self._pane == "suggestions" and figures.suggestions:
            return figures.suggestions[self.suggestions.cursor]
        chosen = session.chosen_pair()
        if chosen is not None:
            return chosen
        if not figures.leaves:
            return None
        leaf = figures.leaves[self.leaves.cursor]
        single = next((id for id in session.chosen if id is not None), None)
        if single is not None and single != leaf:
            return pair_of(tree, single, leaf, session.thresholds)
        return self._partner_of(tree, leaf, figures)

    def _partner_of(self, tree: SearchTree, leaf: int, figures: PairFigures) -> Pair | None:
        """The best pair of a leaf. Where that takes long, None for now: a thread finds it."""
        known = next((pair for pair in figures.suggestions if leaf in (pair.good, pair.bad)), None)
        if known is not None:
            return known
        thresholds = self.agentr.session.thresholds
        if len(tree) <= SMALL:
            return best_partner(tree, leaf, thresholds)
        if self._partner is not None and self._partner[0] == leaf:
            return self._partner[1]

        def find() -> None:
            found = best_partner(tree, leaf, thresholds)
            self.from_thread(self._found, leaf, found)

        self.run_worker(find, thread=True, group="partner", exclusive=True)
        return None

    def _found(self, leaf: int, pair: Pair | None) -> None:
        self._partner = (leaf, pair)
        if self.leaves.cursor_key == leaf:
            self._show_paths()

    # -- what a person does ------------------------------------------------------------------------

    @on(RowTable.Highlighted)
    def _cursor_moved(self) -> None:
        self._show_paths()

    @on(DescendantFocus)
    def _pane_changed(self, event: DescendantFocus) -> None:
        if event.widget.id in ("leaves", "suggestions"):
            self._pane = event.widget.id
            self.set_class(self._pane == "suggestions", "-suggestions")
            self._show_paths()

    def on_resize(self, event: Resize) -> None:
        """The trajectories are set anew."""
        super().on_resize(event)
        self.call_after_refresh(self._show_paths)

    def action_next_pane(self) -> None:
        """Leaves, suggestions, trajectories, and around."""
        order = ["leaves", "suggestions", "paths"]
        now = self.focused.id if self.focused is not None and self.focused.id in order else "paths"
        new = order[(order.index(now or "paths") + 1) % len(order)]
        if new != "paths":
            self.set_class(new == "suggestions", "-suggestions")
        self.enlarging.restore()
        self.call_after_refresh(self.query_one(f"#{new}").focus)

    def action_choose(self) -> None:
        """Take what is under the cursor for the pair; again: let it go."""
        session, figures = self.agentr.session, self.figures
        if session.tree is None or figures is None:
            return
        if self._pane == "suggestions" and figures.suggestions:
            pair = figures.suggestions[self.suggestions.cursor]
            both = (pair.good, pair.bad)
            session.chosen = (None, None) if session.chosen == both else both
        elif figures.leaves:
            session.choose(figures.leaves[self.leaves.cursor])
        self.leaves.border_subtitle = chosen_words(self.agentr.session.chosen)
        self.leaves.refresh()
        self.suggestions.refresh()
        self._show_paths()

    @on(RowTable.Selected)
    def action_revise(self) -> None:
        """To Revision with the pair that is shown."""
        if self.shown is None:
            self.notify("There is no pair here: see the reason below the lists.", severity="warning")
            return
        self.agentr.session.chosen = (self.shown.good, self.shown.bad)
        self.app.switch_mode("revision")

    def action_order(self) -> None:
        """The menu of rankings."""
        choices = [Choice(rank[0], label, partial(self._set_rank, rank)) for rank, label in RANK_LABELS.items()]
        ask(self.app, "which pairs first", choices)

    def _set_rank(self, rank: Rank) -> None:
        self._rank = rank
        self.refresh_view()

    def action_threshold(self, name: Literal["alpha", "beta"]) -> None:
        """Ask for alpha or beta."""
        ask_threshold(self, name, self.refresh_view)

    def action_restore(self) -> None:
        """Back to all panes; where they are there, to all leaves."""
        box = self.query_one("#pair-filter", Input)
        if self.enlarging.pane is None and box.has_class("-open"):
            box.value = ""
            box.remove_class("-open")
            self.leaves.focus()
        self.enlarging.restore()
