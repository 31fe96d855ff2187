"""Repairs of the sample in front: replay again, or search a new tail from after the wrong step, beside the screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.sample_view import SampleView
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.environment.permission import NeedsConsent, check_search
from engine.recovery.repair import is_call
from engine.search.control import Control
from engine.tree.events import AnyEvent

COUNT_EVERY = 0.1  # seconds


class TailSearch:
    """A search for a new tail that runs in a thread."""

    def __init__(self, sample: str) -> None:
        self.sample = sample
        self.control = Control()
        self.calls = 0

    def heard(self, event: AnyEvent) -> None:
        """Count along; called in that thread."""
        self.calls += is_call(event)


class TailRepair:
    """Offers repairs, runs one, stops it."""

    def __init__(self, services: RevisionServices, front: SampleInFront, view: SampleView) -> None:
        self._services = services
        self._front = front
        self._view = view
        self._search: TailSearch | None = None
        self._stop_counting: Callable[[], None] = lambda: None

    @property
    def repairing(self) -> bool:
        """Whether a search for a new tail runs."""
        return self._search is not None

    def menu(self) -> None:
        """The menu of repairs, with what each costs; of a running one: stop it."""
        running = self._search
        if running is not None:
            stop = Choice("S", f"stop the search ({many(running.calls, 'call')} so far)", running.control.stop)
            go_on = Choice("escape", "let it go on", lambda: None)
            self._services.choose("A new tail is being searched.", [stop, go_on])
            return
        if self._front.now is None:
            return
        review, shown = self._front.now

        def offer(costs: tuple[str, str]) -> None:
            choices = [
                Choice("o", f"replay again: {costs[0]}", self._replay_again),
                Choice("s", f"search a new tail: {costs[1]}", self._search_again),
            ]
            self._services.choose("repair", choices)

        self._services.with_consent(lambda: review.costs(shown.sample), offer, "costs", failed=self._services.complain)

    def _replay_again(self) -> None:
        if self._front.now is not None:
            review, shown = self._front.now
            self._front.change(lambda: review.reobserve(shown.sample))

    def _search_again(self) -> None:
        if self._front.now is None or self._search is not None:
            return
        review, shown = self._front.now
        tree, own = shown.tree, list(self._services.session.own)
        try:
            settings = review.repair_search(shown.sample)
        except AgentrError as error:
            self._services.complain(str(error))
            return
        if tree.started is None:
            return
        check = partial(check_search, settings, tree.started, own, tree.source or shown.sample.path)
        if not self._services.trusted(check, self._search_again):
            return
        search = self._search = TailSearch(shown.sample.id)
        self._stop_counting = self._services.every(COUNT_EVERY, self._count_along)
        self._count_along()

        def run() -> str | NeedsConsent:
            try:
                return review.search_again(shown.sample, search.control, search.heard, own)
            except NeedsConsent as unasked:
                return unasked

        self._services.in_thread(run, self._over, "repair", failed=self._failed)

    def _count_along(self) -> None:
        if self._search is not None:
            self._view.tell_of_repair(self._search.sample, self._search.calls)

    def _over(self, came: str | NeedsConsent) -> None:
        """The search is over, or has to be asked for first."""
        self._end()
        if isinstance(came, NeedsConsent):
            self._services.ask_yes(came, self._search_again, self._front.show_later)
        else:
            self._services.say(came)
            self._front.show_later()

    def _failed(self, message: str) -> None:
        self._end()
        self._services.say(message, severity="error")
        self._front.show_later()

    def _end(self) -> None:
        self._search = None
        self._view.end_repair()
        self._stop_counting()

    def stop(self) -> None:
        """Leaving: a search that runs stops cleanly."""
        if self._search is not None:
            self._search.control.stop()
