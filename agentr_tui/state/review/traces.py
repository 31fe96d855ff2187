"""The traces behind a queue of samples: each is read when a sample of it comes to the front; the last few stay open.

Knows no Textual. Everything here may take a while and is called from worker threads, one at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from engine.base.errors import AgentrError
from engine.environment.permission import UntrustedTrace
from engine.environment.replay import Replayer, opener
from engine.pairs.pairs import Pair
from engine.samples.sample import Sample
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement
from engine.verifiers.progress import ProgressVerifier
from engine.workspace.sample_tree import check_same_trace, load_tree
from engine.workspace.workspace import Workspace
from envs.base import EnvError

MOST_OPEN = 16
MOST_NODES = 200_000
"""Maximum traces and nodes in memory; the least recently shown trace is evicted."""

PROGRESS = "progress"


class ReviewedTrace:
    """A trace and the environment that replays its samples, opened on first use."""

    def __init__(self, tree: SearchTree, environment: str | None = None) -> None:
        self.tree = tree
        self._environment = environment
        self._open = opener(tree, environment)
        self.replayer = Replayer(tree, self._open)
        self._progress: ProgressVerifier | None = ProgressVerifier(tree, self._open)
        self._asking = Lock()  # the verifier stands in one environment
        self._closed = False
        self._judged: dict[int, list[Judgement]] = {}  # bad leaf → what `progress` says

    def fresh_replayer(self) -> Replayer:
        """Returns a copy with an environment of its own."""
        return Replayer(self.tree, self._open)

    def reopen(self) -> None:
        """Opens the environment again before the next replay."""
        self.replayer.close()
        self.replayer = self.fresh_replayer()

    def known_progress(self, sample: Sample) -> list[Judgement] | None:
        """Returns the cached judgements of the verifier `progress` on a bad trajectory; None if there are none."""
        if sample.verifier == PROGRESS:
            return sample.judgements
        return [] if sample.bad is None else self._judged.get(sample.bad)

    def by_progress(self, sample: Sample) -> list[Judgement]:
        """What the verifier `progress` says; nothing where the environment has no plan, or it is busy.

        May execute every step, in an environment of its own.
        """
        known = self.known_progress(sample)
        if known is not None or not self._asking.acquire(blocking=False):
            return known or []
        try:
            return self._ask(sample)
        finally:
            self._asking.release()
            if self._closed:
                self._close_progress()

    def _ask(self, sample: Sample) -> list[Judgement]:
        assert sample.bad is not None
        pair = Pair(sample.good, sample.bad, sample.fork, float(sample.return_good) - float(sample.return_bad))
        try:
            found = list(self._progress.judge(pair)) if self._progress is not None else []
        except UntrustedTrace:  # what comes to the front asks, where it has to be replayed
            return []
        except (AgentrError, EnvError):
            self._progress, found = None, []  # no plan, or the environment is not here
        self._judged[sample.bad] = found
        return found

    def close(self) -> None:
        """Closes the environments. One that is in use is closed by its user."""
        self._closed = True
        self.replayer.close()
        self._close_progress()

    def _close_progress(self) -> None:
        if self._progress is not None and self._asking.acquire(blocking=False):
            try:
                self._progress.close()
            finally:
                self._asking.release()


class Traces:
    """The traces of some samples, by file."""

    def __init__(self, workspace: Workspace, environment: Callable[[Sample], str | None] = lambda sample: None) -> None:
        """`environment`: replays the samples; None for the trace's own."""
        self._workspace, self._environment = workspace, environment
        self._open: OrderedDict[str, ReviewedTrace] = OrderedDict()

    def know(self, path: str, tree: SearchTree) -> None:
        """Adds a tree that was read already."""
        self._open[path] = ReviewedTrace(tree)

    def known(self, sample: Sample) -> SearchTree | None:
        """Returns the tree of a sample where it was read already."""
        trace = self._open.get(sample.path)
        return trace.tree if trace is not None else None

    def of(self, sample: Sample) -> ReviewedTrace:
        """Returns the trace of a sample. Raises `InputError` if its file is missing or contains a different trace."""
        trace = self._open.get(sample.path)
        if trace is None:
            environment = self._environment(sample)
            trace = ReviewedTrace(load_tree(self._workspace, sample, environment), environment)
            self._open[sample.path] = trace
        self._open.move_to_end(sample.path)
        check_same_trace(trace.tree, sample)
        while len(self._open) > 1 and (
            len(self._open) > MOST_OPEN or sum(len(each.tree) for each in self._open.values()) > MOST_NODES
        ):
            self._open.popitem(last=False)[1].close()
        return trace

    def close(self) -> None:
        """Closes all environments."""
        while self._open:
            self._open.popitem()[1].close()
