"""The sample in front: loaded with its queue, shown, changed by decisions that are on disk before the next is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from textual.message import Message

from agentr_tui.screens.revision.sample_view import SampleView
from agentr_tui.screens.revision.services import NO_KEYS, RevisionServices
from agentr_tui.screens.shared.mode_screen import NOTHING_OPEN
from agentr_tui.state.review.load import load_review
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.samples.settings import ReviseSettings
from envs.base import EnvError, info_of

T = TypeVar("T")

OUT_OF_FILTER = {"query": "another query", "restore": "all samples"}
"""What leads on where no sample fits a query: actions, and a word for each."""

STOPS = {"restore": "stop"}
"""The same while samples are made."""

WHAT_NEXT = (
    BLANK,
    line(
        ("  1  ", "focus"), (" the library: enter opens a trace, and here its pairs become samples", "text"), indent=6
    ),
    line(("  3  ", "focus"), (" its pairs: a and b change alpha and beta", "text"), indent=6),
    BLANK,
    line(("On the command line:", "muted")),
    line(("  agentr revise PATH…  ", "text"), ("samples of many traces at once", "muted"), indent=23),
)
"""What can be done where there is no sample."""


TELL_EVERY = 0.5  # seconds, while samples are made or replayed


class StoppedByHand(AgentrError):
    """A person stopped the making of samples."""


class Loading:
    """The progress of making samples. A thread counts; the screen shows it."""

    def __init__(self, judges: bool, first: str = "") -> None:
        """`judges`: samples may have to be made; else they are read. `first`: what the first sample waits for."""
        self.judges = judges
        self._first = first
        self.stopped = False
        self._began = time.monotonic()
        self._made = self._of = 0

    def told(self, made: int, of: int) -> None:
        """Take up that `made` samples are made, of about `of`. Raises `StoppedByHand`."""
        self._made, self._of = made, of
        if self.stopped:
            raise StoppedByHand(f"Stopped after {many(made, 'sample')}: nothing was written. Press 4 to begin again.")

    @property
    def words(self) -> str:
        """The same for people."""
        if not self.judges:
            return "Reading the newest samples of each tree …"
        seconds = time.monotonic() - self._began
        if self.stopped:
            return "Stopping after this sample …"
        if not self._made:
            coming = f"about {many(self._of, 'sample')} to come · " if self._of else ""
            first = f"\n{self._first}" if self._first else ""
            return f"Pairing, judging and replaying … {coming}{seconds:.0f} s{first}\n\nesc stops it"
        of = f" of about {self._of}" if self._of > self._made else ""
        left = ""
        if self._of > self._made and seconds > 2:
            left = f" · about {seconds / self._made * (self._of - self._made):.0f} s to go"
        return f"Judging and replaying … {many(self._made, 'sample')}{of} · {seconds:.0f} s{left}\n\nesc stops it"


def starts_first(environment: str) -> str:
    """What the first sample waits for: an environment in a process of its own takes seconds to start. Else empty."""
    try:
        programs = [name for name, _ in info_of(environment).programs]
    except EnvError:
        return ""
    return f"{environment} starts first ({', '.join(programs)}), which takes some seconds." if programs else ""


class SampleInFront:
    """What all other parts of the screen act on."""

    class Judged(Message):
        """A thread learned more about the sample in front."""

    def __init__(self, services: RevisionServices, view: SampleView) -> None:
        self._services = services
        self._view = view
        self._review: Review | None = None
        self._changing = False  # a decision is being written
        self._of: tuple[object, ...] | None = None  # path, pair and thresholds that the review was made for
        self._size = 0  # nodes of the tree then
        self._loading: Loading | None = None  # samples are being made or read
        self._stop_telling: Callable[[], None] = lambda: None

    @property
    def review(self) -> Review | None:
        """The queue; None while it is loaded, and where it can't be."""
        return self._review

    @property
    def shown(self) -> Shown | None:
        """The sample as it is on screen; None where none is."""
        return self._view.shown

    @property
    def now(self) -> tuple[Review, Shown] | None:
        """The queue and the sample on screen; None where there is none to act on."""
        review, shown = self._review, self._view.shown
        return None if review is None or shown is None else (review, shown)

    @property
    def changing(self) -> bool:
        """Whether a decision is being written: until then no other is possible."""
        return self._changing

    # -- loading -----------------------------------------------------------------------------------

    def take_up(self) -> None:
        """Take up the tree and pair of the session; what was loaded stays while they are the same.

        Samples that were made while the search went on stay until it is over; then all of the tree is taken up.
        """
        session = self._services.session
        if session.tree is None and not session.workspace.has_runs():
            self._of = None
            self._view.clear([("no tree is open", "muted")], NOTHING_OPEN)
            return
        query = session.review_query  # None: the open tree
        size = len(session.tree) if session.tree is not None else 0
        path = session.path if size and query is None else None
        wanted = (path, session.chosen_pair() if query is None else None, session.alpha, session.beta, query is None)
        if self._of == wanted:
            review = self._review
            if review is None:
                return  # it is being loaded, or can't be: it says why
            if query is not None and review.query != query:
                self.change(lambda: review.set_query(query))
                return
            if size == self._size or review.query or (review.samples and session.control is not None):
                self.show_later()
                return
        self._size = size
        old, self._of = self._review, wanted
        self._review = None
        settings = ReviseSettings(alpha=session.alpha, beta=session.beta)
        loading = self._begin_loading(path is not None)

        def load() -> Review:
            if old is not None:
                old.close()
            review = load_review(session.workspace, session.decisions, path, settings, wanted[1], loading.told)
            if query:
                review.set_query(query)
            return review

        self._services.with_consent(load, self._loaded, "review", failed=self._failed)

    def _begin_loading(self, judges: bool) -> Loading:
        self._stop_telling()
        started = self._services.session.tree.started if self._services.session.tree is not None else None
        loading = self._loading = Loading(judges, starts_first(started.environment) if started and judges else "")
        self._tell_loading()
        self._stop_telling = self._services.every(TELL_EVERY, self._tell_loading)
        return loading

    def _tell_loading(self) -> None:
        loading = self._loading
        if loading is not None:
            self._message(loading.words, keys=STOPS if loading.judges and not loading.stopped else NO_KEYS)

    def _end_loading(self) -> None:
        self._loading = None
        self._stop_telling()
        self._stop_telling = lambda: None

    def stop_loading(self) -> bool:
        """Stop making samples; whether any were being made. Nothing is written then."""
        if self._loading is None or not self._loading.judges:
            return False
        self._loading.stopped = True
        self._tell_loading()
        return True

    def take_up_again(self) -> None:
        """Another tree: another review."""
        self._of = None
        self.take_up()

    def close(self) -> None:
        """Leave it: what it holds open is closed."""
        if self._review is not None:
            self._review.close()

    def _message(
        self, text: str, role: Role = "muted", more: Sequence[Line] = (), keys: Mapping[str, str] = NO_KEYS
    ) -> None:
        """A few words in place of a sample."""
        self._services.recovery.clear()
        self._view.clear([], [*(line((part, role)) for part in text.splitlines()), *more], keys)

    def _failed(self, message: str) -> None:
        """What can't be loaded or shown says why."""
        self._end_loading()
        if self._review is None:  # coming here again tries again
            self._of = None
        self._message(message, "bad", WHAT_NEXT)

    def _loaded(self, review: Review) -> None:
        self._end_loading()
        self._review = review
        for warning in review.warnings:
            self._services.say(warning, severity="warning")
        if not review.samples and not review.query:
            self._say_empty()
        else:
            self.show_later()

    def _say_empty(self) -> None:
        session = self._services.session
        if session.tree is not None and session.tree.state == "running":
            self._message("No pair yet: the search goes on. Press 4 again when it has good and bad leaves.", "warn")
        else:
            self._message("No pair here: no leaf is good enough, or none bad enough.", "warn", WHAT_NEXT)

    # -- showing -----------------------------------------------------------------------------------

    def show_later(self) -> None:
        """Show the sample in front as it is now."""
        review = self._review
        if review is None or self._changing:  # what is being decided shows what comes after it
            return
        sample = review.current
        if sample is None and not review.query:
            self._say_empty()
            return
        if sample is None:
            ways = "  /    another query\n  esc  all samples again"
            self._message(f"No sample fits {review.query!r}.\n\n{ways}", "warn", keys=OUT_OF_FILTER)
            return
        self._services.with_consent(
            lambda: review.show(sample),
            self._show,
            "review",
            failed=self._failed,
            after=partial(self._after, review),
        )

    def _show(self, shown: Shown) -> None:
        review = self._review
        if review is not None and review.current is not None and review.current.id == shown.sample.id:
            self._view.show(review, shown)

    def _after(self, review: Review) -> None:
        """In a thread, after a sample was shown: what takes longer about it, then what comes next."""
        front = review.current
        while front is not None and review.judge(front):
            self._services.post(self.Judged())
            front = review.current if review.current is not front else None  # another one came to the front meanwhile
        review.prefetch()

    # -- changing ----------------------------------------------------------------------------------

    def change(self, work: Callable[[], T], then: Callable[[T], object] = lambda _: None) -> None:
        """Write a decision, then show the sample that is in front after it.

        The decision is on disk before anything else is shown. Until then no further decision is possible: a key that
        came too early would decide about a sample that nobody saw.
        """
        review = self._review
        if review is None or self._changing:
            return
        self._changing = True
        written: list[T] = []
        self._stop_telling()
        began = time.monotonic()

        def tell() -> None:
            if time.monotonic() - began > 1:
                self._view.tell(f"replaying … {time.monotonic() - began:.0f} s")

        self._stop_telling = self._services.every(TELL_EVERY, tell)

        def change() -> Shown | None:
            if not written:  # once, also where a person has to be asked before it is shown
                written.append(work())
            return None if review.current is None else review.show(review.current)

        def changed(shown: Shown | None) -> None:
            self._changing = False
            self._end_loading()
            then(written[0])
            if shown is None:
                self.show_later()
            else:
                self._show(shown)

        def refused(message: str) -> None:
            self._changing = False
            self._end_loading()
            self._services.complain(message)

        self._services.with_consent(change, changed, "change", failed=refused, after=partial(self._after, review))
