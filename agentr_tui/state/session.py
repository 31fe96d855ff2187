"""What the screens share: the open tree, where its events come from, the pair and samples under review.

Knows no Textual: it can be tested without a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentr_tui.state.last_place import View
from agentr_tui.state.live_search import LiveSearch
from agentr_tui.terminal.gc_pauses import keep_grown, loading, look_through
from engine.base.errors import InputError
from engine.base.untrusted_files import is_file
from engine.environment.permission import NeedsConsent
from engine.pairs.pairs import Pair, count_pairs
from engine.review.decisions import Decisions
from engine.search.control import Control
from engine.search.control_file import RemoteControl
from engine.search.job import SearchJob
from engine.trace.follower import Follower
from engine.trace.sources import is_trace, load_any
from engine.trace.trace_file import is_being_written
from engine.tree.events import WITHOUT_RETURN, AnyEvent
from engine.tree.reader import TreeReader
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace

READ_AT_ONCE = 1 << 18
"""Bytes of a trace that are read at once when it is opened."""

FLUSHED_AT_ONCE = 1 << 17, 500
"""Bytes, or events of a live search, that are folded between two looks at the keys."""

KEPT_AFTER = 500
"""Nodes after which what was folded is left out of garbage collections."""


@dataclass(frozen=True)
class OpenTree:
    """A trace or tree file that was read, and its follower."""

    path: Path
    tree: SearchTree
    follower: Follower | None
    warnings: list[str]


def read_tree(path: Path, follow: bool = False, told: Callable[[float], object] = lambda share: None) -> OpenTree:
    """Read a trace or a tree file. May take a while, and may be called from a worker thread. Raises `InputError`.

    `path`: the file. `follow`: whether to take a trace that holds no event yet. `told`: called now and then with the
    share of a trace that was read, 0 to 1; an error that it raises ends the reading.
    """
    if not is_trace(str(path)) or path.suffix == ".gz":
        source = load_any(path)
        return OpenTree(path, source.tree, None, source.warnings)
    if not follow and not is_file(path):
        load_any(path)  # says what is wrong with it
    follower = Follower(path)
    try:
        with loading():
            tree = _folded(follower, told)
            tree.source = str(path)
    except ValueError as error:  # what the fold refuses; the loader names the line
        load_any(path)
        raise InputError(f"{path}: {error}") from error
    if tree.started is None:
        if not follow:
            load_any(path)
        raise InputError(f"{path}: no events yet")
    warnings = []
    if follower.incomplete and not is_being_written(path):
        warnings.append(f"{path}: the last line is torn (the search was killed): it is left out")
    return OpenTree(path, tree, follower, warnings)


def _folded(follower: Follower, told: Callable[[float], object]) -> SearchTree:
    """The tree that the events so far make, read part by part."""
    tree = SearchTree()
    while True:
        told(follower.share)
        for event in follower.poll(READ_AT_ONCE):
            tree.apply(event)
        if not follower.behind:
            return tree


@dataclass
class Session:
    """The state of the app, without what widgets keep for themselves."""

    workspace: Workspace
    sources: list[Path] = field(default_factory=list)  # what the library lists besides the workspace's traces
    tree: SearchTree | None = None
    path: Path | None = None
    live: LiveSearch | None = None
    follower: Follower | None = None
    past: int | None = None  # the event at which the tree is shown; None: as it is now
    alpha: float | None = None  # None: the default of the environment's scale
    beta: float | None = None
    chosen: tuple[int | None, int | None] = (None, None)  # good and bad leaf picked by hand
    review_query: str | None = None  # which samples of all trees are to be reviewed; None: those of the open tree
    warnings: list[str] = field(default_factory=list)
    beside: Path | None = None  # a trace that the one just opened is to be compared with
    views: dict[str, View] = field(default_factory=dict)  # by trace id: how its tree was looked at last
    view_now: Callable[[], View | None] = lambda: None  # the Search screen tells
    configured: Mapping[str, Any] = field(default_factory=dict)  # settings of a search in environment and file
    unasked: NeedsConsent | None = None  # settings of the workspace's file that hold after a yes
    own: list[Mapping[str, Any]] = field(default_factory=list)  # what a person named (`engine.environment.permission`)

    reading: tuple[Path, float] | None = None  # a trace that is being opened, and which part of it was read

    def __post_init__(self) -> None:
        """The decisions of the workspace, as far as they are written and can be read: a review tells of the rest."""
        self.own.append(self.configured)
        self.decisions = Decisions(self.workspace.decisions, strict=False)
        self._counted: tuple[SearchTree | None, float, int, int, int, int] = (None, 0.0, 0, 0, 0, 0)
        self._pairs: tuple[tuple[SearchTree, int, Thresholds], int] | None = None

    @property
    def thresholds(self) -> Thresholds:
        """Alpha and beta on the scale of the open tree."""
        started = self.tree.started if self.tree else None
        return Thresholds.for_range(started.score_range if started else (0.0, 1.0), self.alpha, self.beta)

    @property
    def score_range(self) -> tuple[float, float]:
        """Least and greatest return of the open tree's environment."""
        started = self.tree.started if self.tree else None
        return started.score_range if started else (0.0, 1.0)

    @property
    def reader(self) -> TreeReader | None:
        """The tree as it is shown: now, or at a moment of its past."""
        if self.tree is None or self.past is None:
            return self.tree
        return self.tree.at(self.past)

    @property
    def control(self) -> Control | RemoteControl | None:
        """Steers the search that is shown: one of this app, or one that another process runs."""
        if self.live is not None and not self.live.over:
            return self.live.control
        if self.follower is not None and self.path is not None and is_being_written(self.path):
            return RemoteControl(self.path)
        return None

    @property
    def running(self) -> bool:
        """Whether a search started here is not over."""
        return self.live is not None and not self.live.over

    def open(self, path: Path, follow: bool = False) -> None:
        """Read a trace or a tree file and show it. Raises `InputError`; the tree on screen stays then."""
        self.show(read_tree(path, follow))

    def show(self, opened: OpenTree) -> None:
        """Show what was read. Raises `InputError` while another search runs here."""
        if self.running and self.live is not None and self.live.path != opened.path:
            raise InputError("a search is running: stop it (S) before another tree is opened")
        self._show(opened.tree, opened.path, opened.warnings)
        self.follower = opened.follower

    def start(self, make_job: Callable[[Callable[[AnyEvent], None]], SearchJob]) -> LiveSearch:
        """A new live search in place of what is shown. Raises `InputError`."""
        if self.running:
            raise InputError("a search is running: stop it (S) before another is started")
        live = LiveSearch(make_job)
        self._show(SearchTree(), live.path, [])
        look_through()
        self.live = live
        return live

    def take_settings(self, configured: Mapping[str, Any]) -> None:
        """Other settings of the user's."""
        self.unasked, self.configured = None, configured
        self.own.append(configured)

    def keep_view(self) -> None:
        """Remember how the open tree is looked at."""
        view = self.view_now()
        if view is not None and self.tree is not None and self.tree.started is not None:
            self.views.pop(self.tree.started.trace, None)
            self.views[self.tree.started.trace] = view

    def _show(self, tree: SearchTree, path: Path, warnings: list[str]) -> None:
        self.keep_view()
        self.tree, self.path, self.warnings = tree, path, warnings
        self.live = self.follower = self.past = None
        self.chosen = (None, None)
        self.review_query = None

    def flush(self) -> int | None:
        """Fold the events since the last call; returns the first new node id, or None where there was no event."""
        if self.tree is None:
            return None
        size, count = FLUSHED_AT_ONCE
        events = self.live.take(count) if self.live else self.follower.poll(size) if self.follower else []
        if not events:
            return None
        first = len(self.tree)
        for event in events:
            if event.seq > self.tree.seq:
                self.tree.apply(event)
        if len(self.tree) // KEPT_AFTER > first // KEPT_AFTER:
            keep_grown()
        return first

    @property
    def behind(self) -> bool:
        """Whether more happened than the last flush folded."""
        return self.live.waiting if self.live else self.follower.behind if self.follower else False

    def leaf_counts(self) -> tuple[int, int]:
        """Good and bad leaves of the tree as it is now. Costs the nodes that are new since the last call."""
        tree, alpha = self.tree, self.thresholds.alpha
        if tree is None:
            return 0, 0
        counted_tree, counted_alpha, counted_seq, seen, good, bad = self._counted
        gone_on = bool(tree.attempts) and counted_seq != tree.seq  # its leaves may be none any more
        if counted_tree is not tree or counted_alpha != alpha or gone_on:
            seen = good = bad = 0
        for node in tree.nodes[seen:]:
            if node.terminal is not None and node.terminal not in WITHOUT_RETURN and not node.children:
                good += node.reward > alpha
                bad += node.reward <= alpha
        self._counted = (tree, alpha, tree.seq, len(tree.nodes), good, bad)
        return good, bad

    def pair_count(self) -> int:
        """The pairs of the tree as it is now, counted once until it or the thresholds change."""
        tree = self.tree
        if tree is None or not len(tree):
            return 0
        key = tree, tree.seq, self.thresholds
        if self._pairs is None or self._pairs[0] != key:
            self._pairs = key, count_pairs(tree, self.thresholds)
        return self._pairs[1]

    def choose(self, leaf: int) -> None:
        """Take a leaf as the good or the bad one of a pair, by its return; taking it again lets it go."""
        assert self.tree is not None
        good, bad = self.chosen
        if leaf in self.chosen:
            self.chosen = (None if good == leaf else good, None if bad == leaf else bad)
        elif self.thresholds.good(self.tree.nodes[leaf]):
            self.chosen = (leaf, bad)
        else:
            self.chosen = (good, leaf)

    def chosen_pair(self) -> Pair | None:
        """The pair that was picked by hand, where both leaves were."""
        from engine.pairs.pairs import fork_of

        good, bad = self.chosen
        if self.tree is None or good is None or bad is None:
            return None
        gap = (self.tree.q(good) or 0.0) - (self.tree.q(bad) or 0.0)
        return Pair(good, bad, fork_of(self.tree, good, bad), gap)
