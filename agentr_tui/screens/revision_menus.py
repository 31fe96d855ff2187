"""What the Revision screen offers in menus: thoughts, repairs, tags, the order of the queue, blindness."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from textual.timer import Timer

from agentr_tui.review import Review, Shown
from agentr_tui.screens.base import ModeScreen
from agentr_tui.screens.dialogs import Choice, ask, ask_text
from agentr_tui.widgets.text_pane import TextPane, line
from engine.control import Control
from engine.curation import ORDERS, Order
from engine.errors import AgentrError
from engine.events import AnyEvent
from engine.repair import is_call
from engine.revision import revision_thoughts

ORDER_LABELS: dict[Order, tuple[str, str]] = {
    "run": ("r", "as revise made them"),
    "unreviewed": ("u", "without a verdict first"),
    "stratified": ("s", "at random, in turn one of each replay verdict"),
    "disagreement": ("d", "where reviewers differ first"),
    "unsure": ("v", "where the verifier was unsure first"),
}


class Repair:
    """A search for a new tail that runs in a thread."""

    def __init__(self, sample: str) -> None:
        self.sample = sample
        self.control = Control()
        self.calls = 0

    def heard(self, event: AnyEvent) -> None:
        """Count along; called in that thread."""
        self.calls += is_call(event)


class RevisionMenus(ModeScreen):
    """Acts on the sample in front."""

    def __init__(self) -> None:
        super().__init__()
        self._review: Review | None = None
        self._shown: Shown | None = None
        self._repair: Repair | None = None
        self._ticking: Timer | None = None

    def _show_later(self) -> None:
        """Show the sample in front as it is now."""

    def _failed(self, message: str) -> None:
        """One line in place of a sample."""

    def _in_thread(
        self,
        work: Callable[[], object],
        then: Callable[..., None],
        after: Callable[[], object] = lambda: None,
        group: str = "review",
    ) -> None:
        """Do work that may take a while beside the screen, and something more after it; errors become one line."""

        def run() -> None:
            try:
                result = work()
            except AgentrError as error:
                self.app.call_from_thread(self._failed, str(error))
                return
            self.app.call_from_thread(then, result)
            with suppress(AgentrError):  # what it was about says so when it is shown
                after()

        self.run_worker(run, group=group, thread=True, exclusive=True)

    def _try(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except AgentrError as error:
            self.agentr.complain(str(error))
            return None

    # -- thought -----------------------------------------------------------------------------------

    def action_thought(self) -> None:
        """The menu of thoughts."""
        if self._shown is None:
            return
        ask(
            self.app,
            "revision thought",
            [
                Choice("n", "the next of the list", self._next_thought),
                Choice("c", "choose from the list", self._choose_thought),
                Choice("w", "write it here", self._write_thought),
                Choice("e", "write it in $EDITOR", self._edit_thought),
            ],
        )

    def _set_thought(self, text: str) -> None:
        text = " ".join(text.split())
        if self._shown is None:
            return
        if not text:
            self.notify("An empty thought teaches nothing: the old one stays.", severity="warning")
            return
        sample = self._shown.sample.id
        self._try(lambda: self.agentr.session.decisions.decide(sample, thought=text))
        self._show_later()

    def _next_thought(self) -> None:
        review, shown = self._review, self._shown
        if review is not None and shown is not None:
            self._try(lambda: review.next_thought(shown.sample))
            self._show_later()

    def _choose_thought(self) -> None:
        keys = "abcdefghijklmnoprstuvwxyz"
        choices = [
            Choice(keys[at] if at < len(keys) else "", text, partial(self._set_thought, text))
            for at, text in enumerate(revision_thoughts())
        ]
        ask(self.app, "revision thought", choices)

    def _write_thought(self) -> None:
        if self._shown is not None:
            ask_text(self.app, "revision thought", self._set_thought, self._shown.sample.thought)

    def _edit_thought(self) -> None:
        if self._shown is None:
            return
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.NamedTemporaryFile("w+", suffix=".txt", encoding="utf-8") as file:
            file.write(self._shown.sample.thought + "\n")
            file.flush()
            try:
                with self.app.suspend():
                    subprocess.run([*shlex.split(editor), file.name], check=True)
                with open(file.name, encoding="utf-8") as edited:  # an editor may put a new file in its place
                    self._set_thought(edited.read())
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                self.agentr.complain(f"{editor}: {error}; the thought stays as it was")

    # -- repair ------------------------------------------------------------------------------------

    @property
    def repairing(self) -> bool:
        """Whether a search for a new tail runs."""
        return self._repair is not None

    def action_repair(self) -> None:
        """The menu of repairs, with what each costs; of a running one: stop it."""
        review, shown, running = self._review, self._shown, self._repair
        if running is not None:
            stop = Choice("S", f"stop the search ({running.calls} calls so far)", running.control.stop)
            ask(self.app, "A new tail is being searched.", [stop, Choice("escape", "let it go on", lambda: None)])
            return
        if review is None or shown is None:
            return
        costs = self._try(lambda: review.costs(shown.sample))
        if not isinstance(costs, tuple):
            return
        choices = [
            Choice("o", f"replay again: {costs[0]}", self._reobserve),
            Choice("s", f"search a new tail: {costs[1]}", self._search_again),
        ]
        ask(self.app, "repair", choices)

    def _reobserve(self) -> None:
        review, shown = self._review, self._shown
        if review is not None and shown is not None:
            self._in_thread(lambda: review.reobserve(shown.sample), lambda _: self._show_later())

    def _search_again(self) -> None:
        review, shown = self._review, self._shown
        if review is None or shown is None or self._repair is not None:
            return
        repair = self._repair = Repair(shown.sample.id)
        self._ticking = self.set_interval(0.1, self._count_along)
        self._count_along()

        def run() -> None:
            try:
                told, severity = review.search_again(shown.sample, repair.control, repair.heard), "information"
            except AgentrError as error:
                told, severity = str(error), "error"
            if self.app.is_running:
                self.app.call_from_thread(self._repaired, told, severity)

        self.run_worker(run, group="repair", thread=True, exit_on_error=False)

    def _count_along(self) -> None:
        if self._repair is not None and self.is_mounted:
            pane = self.query_one("#replay", TextPane)
            pane.border_title = "replay · searching a new tail"
            told = f"{self._repair.calls} calls so far for sample {self._repair.sample} · R stops it"
            pane.set_lines([line(("● ", "focus"), (told, "text"), indent=2)])

    def _repaired(self, told: str, severity: str) -> None:
        """The search is over."""
        self._repair = None
        if self._ticking is not None:
            self._ticking.stop()
        self.notify(told, severity="error" if severity == "error" else "information", markup=False)
        self._show_later()

    def on_unmount(self) -> None:
        """Leaving: a search that runs stops cleanly."""
        if self._repair is not None:
            self._repair.control.stop()

    # -- queue and tags ----------------------------------------------------------------------------

    def action_blind(self) -> None:
        """Hide what the verifier and the replay said until a person decided, or show it again."""
        if self._review is not None:
            self._review.blind = not self._review.blind
            self._show_later()

    def action_order(self) -> None:
        """The menu of orders."""
        if self._review is not None:
            choices = [Choice(*ORDER_LABELS[order], partial(self._set_order, order)) for order in ORDERS]
            ask(self.app, "order of the samples", choices)

    def _set_order(self, order: Order) -> None:
        review = self._review
        if review is not None:
            self._try(lambda: review.set_order(order))
            self._show_later()

    def action_tags(self) -> None:
        """Write tags, with those that are in use at hand."""
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return

        def keep(text: str) -> None:
            self._try(lambda: self.agentr.session.decisions.decide(shown.sample.id, tags=text.split()))
            self._show_later()

        used = " ".join(review.all_tags()[:8])
        value = " ".join(review.tags(shown.sample))
        ask_text(self.app, "tags, with blanks between", keep, value, f"in use: {used}" if used else "")
