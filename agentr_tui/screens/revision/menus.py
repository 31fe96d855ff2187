"""What the Revision screen offers in menus: thoughts, repairs, tags, the order of the queue, blindness."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from textual.app import SuspendNotSupported
from textual.timer import Timer

from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text, ask_yes, trusted
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.review.queue import OTHER_REASON_KEY, Review, Shown, reason_keys
from agentr_tui.widgets.text_pane import TextPane, line
from engine.base.errors import AgentrError
from engine.environment.trust import NeedsConsent, check_search
from engine.recovery.repair import is_call
from engine.review.curation import ORDERS, Order
from engine.review.decisions import DecisionVerdict
from engine.samples.splice import revision_thoughts
from engine.search.control import Control
from engine.tree.events import AnyEvent, SearchSettings

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
        self._changing = False  # a decision is being written

    def _show_later(self) -> None:
        """Show the sample in front as it is now."""

    def _failed(self, message: str) -> None:
        """What can't be loaded or shown says why."""

    def _in_thread(
        self,
        work: Callable[[], object],
        then: Callable[..., None],
        after: Callable[[], object] = lambda: None,
        failed: Callable[[str], None] | None = None,
        group: str = "review",
    ) -> None:
        """Do work that may take a while beside the screen, and something more after it; errors become one line.

        Where a person has to be asked first, it is done again after a yes. Work of a group takes the place of what was
        asked for before and did not begin.
        """

        def run() -> None:
            try:
                result = work()
            except NeedsConsent as unasked:
                again = partial(self._in_thread, work, then, after, failed, group)
                # later: coming back from the question must not ask it again
                no = partial(self.call_after_refresh, failed or self._failed, str(unasked))
                self.from_thread(ask_yes, self.app, unasked, again, no)
                return
            except AgentrError as error:
                self.from_thread(failed or self._failed, str(error))
                return
            self.from_thread(then, result)
            with suppress(AgentrError):  # what it was about says so when it is shown
                after()

        self.run_worker(run, group=group, thread=True, exclusive=True)

    def _change(self, work: Callable[[], object], then: Callable[[object], None] = lambda _: None) -> None:
        """Write a decision, then show the sample that is in front after it.

        It is on disk before anything else is shown. Until then nothing more can be decided: a key that came too early
        would speak about a sample that nobody saw.
        """
        review = self._review
        if review is None or self._changing:
            return
        self._changing = True

        written: list[object] = []

        def change() -> tuple[object, Shown | None]:
            if not written:  # once, also where a person has to be asked before it is shown
                written.append(work())
            result = written[0]
            return result, None if review.current is None else review.show(review.current)

        def changed(found: tuple[object, Shown | None]) -> None:
            self._changing = False
            then(found[0])
            if found[1] is None:
                self._show_later()
            else:
                self._show(found[1])

        def refused(message: str) -> None:
            self._changing = False
            self.agentr.complain(message)

        self._in_thread(change, changed, partial(self._after, review), refused, "change")

    def _after(self, review: Review) -> None:
        """In a thread, after a sample was shown: what takes longer about it, then what comes next."""
        front = review.current
        while front is not None and review.judge(front):
            self.from_thread(self._show_later)
            front = review.current if review.current is not front else None  # another one came to the front meanwhile
        review.prefetch()

    def _show(self, shown: Shown) -> None:
        """Show a sample."""

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
            self.notify("A thought must not be empty: the old one is kept.", severity="warning")
            return
        sample = self._shown.sample.id
        self._change(lambda: self.agentr.session.decisions.decide(sample, thought=text))

    def _next_thought(self) -> None:
        review, shown = self._review, self._shown
        if review is not None and shown is not None:
            self._change(lambda: review.next_thought(shown.sample))

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
            except SuspendNotSupported:
                self.agentr.complain(f"{editor}: an editor needs a terminal, and here is none: w writes it here")
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

        def offer(costs: tuple[str, str]) -> None:
            choices = [
                Choice("o", f"replay again: {costs[0]}", self._reobserve),
                Choice("s", f"search a new tail: {costs[1]}", self._search_again),
            ]
            ask(self.app, "repair", choices)

        self._in_thread(lambda: review.costs(shown.sample), offer, failed=self.agentr.complain, group="costs")

    def _reobserve(self) -> None:
        review, shown = self._review, self._shown
        if review is not None and shown is not None:
            self._change(lambda: review.reobserve(shown.sample))

    def _search_again(self) -> None:
        review, shown = self._review, self._shown
        if review is None or shown is None or self._repair is not None:
            return
        settings = self._try(lambda: review.repair_search(shown.sample))
        own = list(self.agentr.session.own)
        tree = shown.tree
        if not isinstance(settings, SearchSettings) or tree.started is None:
            return
        check = partial(check_search, settings, tree.started, own, tree.source or shown.sample.path)
        if not trusted(self.app, check, self._search_again):
            return
        repair = self._repair = Repair(shown.sample.id)
        self._ticking = self.set_interval(0.1, self._count_along)
        self._count_along()

        def run() -> None:
            try:
                told, severity = review.search_again(shown.sample, repair.control, repair.heard, own), "information"
            except NeedsConsent as unasked:
                self.from_thread(self._unasked, unasked)
                return
            except AgentrError as error:
                told, severity = str(error), "error"
            if self.app.is_running:
                self.from_thread(self._repaired, told, severity)

        self.run_worker(run, group="repair", thread=True, exit_on_error=False)

    def _count_along(self) -> None:
        if self._repair is not None and self.is_mounted:
            pane = self.query_one("#replay", TextPane)
            pane.border_title = "replay · searching a new tail"
            told = f"{self._repair.calls} calls so far for sample {self._repair.sample} · R stops it"
            pane.set_lines([line(("● ", "focus"), (told, "text"), indent=2)])

    def _unasked(self, unasked: NeedsConsent) -> None:
        """The search has to be asked for first."""
        self._end_repair()
        ask_yes(self.app, unasked, self._search_again, self._show_later)

    def _end_repair(self) -> None:
        self._repair = None
        if self._ticking is not None:
            self._ticking.stop()

    def _repaired(self, told: str, severity: str) -> None:
        """The search is over."""
        self._end_repair()
        self.notify(told, severity="error" if severity == "error" else "information", markup=False)
        self._show_later()

    def on_unmount(self) -> None:
        """Leaving: a search that runs stops cleanly."""
        if self._repair is not None:
            self._repair.control.stop()
        if self._review is not None:
            self._review.close()

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
            self._change(lambda: review.set_order(order))

    def action_query(self) -> None:
        """Ask which samples are to be gone through."""
        if self._review is not None:
            told = "only samples like this · escape takes it off"
            ask_text(self.app, told, self._set_query, self._review.query, "verdict:diverged mark<3 gap>=0.5 !tag:later")

    def _set_query(self, query: str) -> None:
        review = self._review
        if review is not None:
            self._change(lambda: review.set_query(query.strip()))

    def _ask_reason(self, then: Callable[[str], object]) -> None:
        """Ask why something is rejected."""
        reasons = self._review.settings.all_reasons if self._review is not None else []
        choices = [Choice(key, text, partial(then, text)) for key, text in reason_keys(reasons)]
        other = Choice(OTHER_REASON_KEY, "another reason …", lambda: ask_text(self.app, "reject: why?", then))
        ask(self.app, "reject: why?", [*choices, other])

    def action_decide_all(self) -> None:
        """The menu of decisions about the whole queue."""
        review = self._review
        if review is None or not review.samples:
            return
        if review.blind:
            self.notify("Blind mode: decide one by one, or press b to leave it first.", severity="warning")
            return
        count = sum(sample.id not in review.planted for sample in review.samples)
        which = f"of the query {review.query}" if review.query else "of the whole queue (/ narrows it)"
        choices = [
            Choice("a", "accept all", partial(self._decide_all, "accepted")),
            Choice("r", "reject all …", lambda: self._ask_reason(partial(self._decide_all, "rejected"))),
            Choice("s", "skip all", partial(self._decide_all, "skipped")),
            Choice("escape", "nothing", lambda: None),
        ]
        ask(self.app, f"{count} samples {which}: one undo takes it back", choices)

    def _decide_all(self, verdict: DecisionVerdict, reason: str = "") -> None:
        review = self._review
        if review is not None:
            self._change(
                lambda: review.decide_all(verdict, reason),
                lambda count: self.notify(f"{count} samples {verdict}: press u to undo."),
            )

    def action_tags(self) -> None:
        """Write tags, with those that are in use at hand."""
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return

        def keep(text: str) -> None:
            self._change(lambda: self.agentr.session.decisions.decide(shown.sample.id, tags=text.split()))

        used = " ".join(review.all_tags()[:8])
        value = " ".join(review.tags(shown.sample))
        ask_text(self.app, "tags, with blanks between", keep, value, f"in use: {used}" if used else "")
