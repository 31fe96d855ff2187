"""Compare: two trajectories from what they share, or two searches, with their differences word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.shared.compare_lines import BESIDE, Document, Side, trace_document, trajectory_document
from agentr_tui.screens.shared.dialogs import Dialog
from agentr_tui.screens.shared.loud_workers import LoudWorkers
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.state.library_scan import listed
from agentr_tui.state.session import Session
from agentr_tui.terminal.safe_text import clip
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.text_pane import Line, TextPane
from agentr_tui.widgets.top_bar import TopBar
from engine.base.errors import InputError
from engine.base.untrusted_files import holds_file, typed_path
from engine.trace.sources import Source, load_any
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from engine.workspace.figures import figures


class CompareScreen(LoudWorkers, Screen[None]):
    """Two sides in one pane, so that they scroll together."""

    DEFAULT_CSS = "CompareScreen TextPane { height: 1fr; scrollbar-gutter: stable; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape", "dismiss(None)", "close", "compare.close", "Back to the tree", show=True),
        key("n", "difference(1)", "difference", "compare.next", "Next difference", show=True, key_display="n N"),
        key("N", "difference(-1)", "before", "compare.previous", "Difference before"),
        key("u", "unified", "unified", "compare.unified", "One under the other, or side by side", show=True),
        key("right_curly_bracket", "other(1)", "attempt", "compare.other", "The next attempt beside it", show=True,
            key_display="{ }"),
        key("left_curly_bracket", "other(-1)", "attempt before", "compare.other_back", "The attempt before"),
        key("x", "swap", "swap", "compare.swap", "Swap the sides", show=True),
        key(
            "b",
            "best",
            "best leaves",
            "compare.best",
            "Of two searches: their best leaves step by step, and back",
            show=True,
        ),
        key(
            "enter",
            "open",
            "in the tree",
            "compare.open",
            "Show the node of this difference in the tree",
            show=True,
            key_display="enter",
        ),
    ]  # fmt: skip

    def __init__(self, services: TreeServices, one: Side, other: Side, others: Sequence[Side] = ()) -> None:
        """`others`: what may stand in the second's place, that one among them."""
        super().__init__()
        self._others = others
        self._services = services
        self._sides = (one, other)
        self._searches: tuple[Side, Side] | None = None  # while their best leaves are shown
        self._unified = False
        self._at = -1  # the difference that is looked at
        self._document: Document | None = None
        self._made_for = (0, False)  # width and form of the document

    @property
    def document(self) -> Document | None:
        """What is shown; None while it is being made."""
        return self._document

    def compose(self) -> ComposeResult:
        """One pane."""
        yield TopBar("search")
        yield TextPane(id="compare")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin at the first difference."""
        self.query_one(TextPane).focus()
        self._say()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.call_after_refresh(self._make)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Others are gone through where there are some."""
        return action != "other" or len(self._others) > 2

    # -- what is shown -------------------------------------------------------------------------------

    def _make(self) -> None:
        width = self.query_one(TextPane).scrollable_content_region.width
        if width > 0 and self._made_for != (width, self._unified):
            self._made_for = (width, self._unified)
            self._write(*self._sides, width, self._unified)

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def _write(self, one: Side, other: Side, width: int, unified: bool) -> None:
        """Large trees take a while: beside the screen, over trees at a moment that has passed."""
        worker = get_current_worker()
        if one.figures is not None:
            document = trace_document(one, other, width, unified=unified, cancelled=lambda: worker.is_cancelled)
        else:
            document = trajectory_document(one, other, width, unified=unified)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._written, document)

    def _written(self, document: Document) -> None:
        first = self._document is None
        self._document = document
        self._at = min(self._at, len(document.stops) - 1)
        self._show()
        if first and document.stops and one_tree(self._sides):
            self.action_difference(1)

    def _show(self) -> None:
        pane, document = self.query_one(TextPane), self._document
        if document is None:
            return
        pane.set_lines([self._highlighted(item) for item in document.lines], keep_scroll=True)
        pane.border_title = "differences"
        if document.stops:
            count = len(document.stops)
            pane.border_title = f"difference {self._at + 1} of {count}" if self._at >= 0 else f"{count} differences"
            if count == 1:
                pane.border_title = "1 difference"
        self._say()

    def _highlighted(self, item: Line) -> Line:
        return item._replace(highlight=True) if item.key is not None and item.key == self._at else item

    def _say(self) -> None:
        one, other = self._sides
        what = "trajectories" if one.figures is None else "searches"
        self.query_one(TopBar).show([(f"compare {what} ", "strong"), (f" {one.name} ", "poor"), ("and", "muted"),
                                     (f" {other.name}", "focus")])  # fmt: skip

    # -- what a person does --------------------------------------------------------------------------

    def action_difference(self, by: int) -> None:
        """The next difference, or the one before."""
        document = self._document
        if document is None or not document.stops:
            return
        self._at = max(0, min(self._at + by, len(document.stops) - 1))
        self._show()
        self.query_one(TextPane).scroll_to_key(self._at)

    def action_unified(self) -> None:
        """The other form."""
        if self.query_one(TextPane).size.width < BESIDE:
            self.notify(f"Side by side needs {BESIDE} columns.", severity="warning")
            return
        self._unified = not self._unified
        self._make()

    def action_swap(self) -> None:
        """The first side becomes the second."""
        self._sides = self._sides[1], self._sides[0]
        if self._searches is not None:
            self._searches = self._searches[1], self._searches[0]
        self._made_for = (0, False)
        self._make()

    def action_other(self, by: int) -> None:
        """The next of the others in the second's place."""
        one, other = self._sides
        leaves = [side.leaf for side in self._others]
        place = leaves.index(other.leaf)
        for _ in self._others:
            place = (place + by) % len(leaves)
            if leaves[place] not in (one.leaf, other.leaf):
                self._sides = one, self._others[place]
                self._document, self._at, self._made_for = None, -1, (0, False)
                self._make()
                return

    def action_best(self) -> None:
        """The best leaf of either search in the place of the searches, and back."""
        if self._searches is not None:
            self._sides, self._searches = self._searches, None
        elif self._sides[0].figures is None:
            self.notify("These are trajectories: v c t compares searches.", severity="warning")
            return
        else:
            leaves = [best_leaf(side.tree, ROOT) for side in self._sides]
            bare = [side.name for side, leaf in zip(self._sides, leaves, strict=True) if leaf is None]
            if bare:
                self.notify(f"No leaf in {bare[0]}.", severity="warning", markup=False)
                return
            self._searches = self._sides
            one, other = (
                replace(side, name=f"{side.name} node {leaf}", leaf=leaf or ROOT, figures=None)
                for side, leaf in zip(self._sides, leaves, strict=True)
            )
            self._sides = one, other
        self._document, self._at, self._made_for = None, -1, (0, False)
        self._make()

    def action_open(self) -> None:
        """Go to the node in the tree that is open."""
        document, session = self._document, self._services.session
        if document is None or self._at < 0:
            self.notify("Press n first, to go to a difference.", severity="warning")
            return
        nodes = zip(self._sides, document.nodes[self._at], strict=True)
        node = next((id for side, id in nodes if id is not None and side.tree is session.tree), None)
        if node is None:
            self.notify("That step is not in the tree that is open.", severity="warning")
            return
        self.dismiss(None)
        self._services.go_to_node(node)


def one_tree(sides: tuple[Side, Side]) -> bool:
    """Whether two trajectories of one tree are compared."""
    return sides[0].tree is sides[1].tree


# -- choosing what to compare with -------------------------------------------------------------------------


def trajectory_sides(session: Session, one: int, other: int) -> tuple[Side, Side]:
    """Returns two trajectories of the open tree. Raises `InputError` where they are the same.

    `session`: holds the tree. `one` and `other`: the last nodes of the two.
    """
    tree, reader = session.tree, session.reader
    assert tree is not None
    assert reader is not None
    if one == other:
        raise InputError(f"node {one} cannot be compared with itself: move the cursor to another node")
    return Side(f"node {one}", tree, reader, one), Side(f"node {other}", tree, reader, other)


def trace_sides(session: Session, path: Path) -> tuple[Side, Side]:
    """The open tree and another trace or tree file. Raises `InputError` where that can't be read."""
    tree, reader = session.tree, session.reader
    assert tree is not None
    assert reader is not None
    source = load_any(path)
    here = Source(tree, str(session.path), "trace")
    name = session.path.name if session.path is not None else "the open tree"
    return (
        Side(name, tree, reader, ROOT, figures(here)),
        Side(path.name, source.tree, source.tree, ROOT, figures(source)),
    )


def best_leaf(tree: SearchTree, but: int) -> int | None:
    """The leaf with the greatest Q, other than a node; the first of several; None where there is none."""
    others = (leaf for leaf in tree.leaves() if leaf.id != but)
    best = max(others, key=lambda leaf: leaf.q or 0.0, default=None)
    return best.id if best is not None else None


class TraceChooser(Dialog[Path]):
    """Choose a trace of the library, or type a path."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape", "dismiss(None)", "cancel", "chooser.cancel", "Leave without a choice"),
        key("down", "list", "list", "chooser.list", "To the list"),
    ]
    DEFAULT_CSS = """
    TraceChooser .dialog { width: 90; }
    TraceChooser Input { width: 1fr; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._paths: list[Path] = []

    def compose(self) -> ComposeResult:
        """An input over a list."""
        with Vertical(classes="dialog"):
            yield Static("compare with which trace?", classes="dialog-title", markup=False)
            yield Input(placeholder="part of a name, or a path")
            yield OptionList(compact=True)
            yield Static("enter takes the one shown · esc leaves it", classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        """List what the library lists, newest first."""
        here = self._session.path.absolute() if self._session.path is not None else None
        found = [path for path, error in listed(self._session.workspace, self._session.sources) if not error]
        self._paths = sorted((path for path in found if path.absolute() != here), key=_modified, reverse=True)
        self._list("")
        self.query_one(Input).focus()

    def _list(self, part: str) -> None:
        self._listed = [path for path in self._paths if part.lower() in str(path).lower()]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(
            Option(Content.assemble(clip(path.name, 60), ("  " + clip(str(path.parent), 80), "dim")))
            for path in self._listed
        )
        if self._listed:
            options.highlighted = 0

    _listed: list[Path] = []

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._list(event.value.strip())

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        given = typed_path(event.value.strip())
        if event.value.strip() and holds_file(given):
            self.dismiss(given)
        elif self._listed:
            self.dismiss(self._listed[self.query_one(OptionList).highlighted or 0])
        else:
            self.notify(f"There is no trace {event.value.strip()!r}.", severity="warning", markup=False)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._listed[event.option_index])

    def action_list(self) -> None:
        """From the input to the list."""
        self.query_one(OptionList).focus()


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def choose_trace(services: TreeServices, then: Callable[[Path], object]) -> None:
    """Ask for another trace."""

    def chosen(path: Path | None) -> None:
        if path is not None:
            then(path)

    services.open(TraceChooser(services.session), chosen)
