"""Which samples are gone through, in which order, and whether blind."""

from __future__ import annotations

from functools import partial

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from engine.review.curation import ORDERS, Order

ORDER_LABELS: dict[Order, tuple[str, str]] = {
    "varied": ("m", "another mistake each time, the most telling ones first"),
    "run": ("r", "as revise made them"),
    "unreviewed": ("u", "without a verdict first"),
    "stratified": ("s", "at random, in turn one of each replay verdict"),
    "disagreement": ("d", "where reviewers differ first"),
    "unsure": ("v", "where the verifier was unsure first"),
}


class SampleQueue:
    """Goes through the samples, and chooses among them."""

    def __init__(self, services: RevisionServices, front: SampleInFront) -> None:
        self._services = services
        self._front = front

    def go(self, by: int) -> None:
        """Another sample."""
        review = self._front.review
        if review is not None:
            review.go(by)
            self._front.show_later()

    def toggle_blind(self) -> None:
        """Hide the verifier's and the replay's results until a person decided, or show them again."""
        review = self._front.review
        if review is not None:
            review.blind = not review.blind
            self._front.show_later()

    def order_menu(self) -> None:
        """The menu of orders."""
        if self._front.review is not None:
            choices = [Choice(*ORDER_LABELS[order], partial(self._set_order, order)) for order in ORDERS]
            self._services.choose("order of the samples", choices)

    def _set_order(self, order: Order) -> None:
        review = self._front.review
        if review is not None:
            self._front.change(lambda: review.set_order(order))

    def ask_query(self) -> None:
        """Ask which samples are to be gone through."""
        review = self._front.review
        if review is not None:
            told = "only samples that hold a word, or fit a query · escape takes it off"
            self._services.ask_text(told, self._set_query, review.query, "verdict:diverged mark<3 gap>=0.5 !tag:later")

    def toggle_like(self) -> None:
        """Put the samples that teach the same as the one in front into the queue, or fold them again."""
        review = self._front.review
        if review is None:
            return
        if review.query:
            self._services.say("With a filter nothing is folded: esc takes it off.")
            return

        def told(count: int) -> None:
            if not count:
                self._services.say("No other sample teaches the same.")

        self._front.change(review.toggle_like, told)

    def show_all(self) -> None:
        """Go through all samples again, where a query narrows them."""
        review = self._front.review
        if review is not None and review.query:
            self._set_query("")

    def _set_query(self, query: str) -> None:
        review = self._front.review
        if review is not None:
            session = self._services.session
            if session.review_query is not None:
                session.review_query = query.strip()
            self._front.change(lambda: review.set_query(query.strip()))
