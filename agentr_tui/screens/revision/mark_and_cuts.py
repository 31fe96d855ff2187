"""Where the splice begins and what it leaves out: the mark of the first wrong step, and the steps that were cut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.sample_lines import CUT_KEY
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import Shown

KEYS = "abcdefghijklmnopqrstuvwxyz"


class MarkAndCuts:
    """Moves the mark, takes cut steps back and out again."""

    def __init__(self, services: RevisionServices, front: SampleInFront) -> None:
        self._services = services
        self._front = front

    def step_chosen(self, key: int) -> None:
        """A line of the bad trajectory was chosen: a step, or one that was cut."""
        if not self.cut_chosen(key) and key > 0:
            self._move(lambda review, shown: review.put_mark(shown.sample, key))

    def cut_chosen(self, key: int) -> bool:
        """A line of the conversation was chosen; whether it is a step that was cut, which is taken back then."""
        if key <= CUT_KEY:
            self._take_back(CUT_KEY - key)
        return key <= CUT_KEY

    def move(self, by: int) -> None:
        """Move the mark along the bad trajectory."""
        self._move(lambda review, shown: review.move_mark(shown.sample, by))

    def _move(self, move: Callable[[Review, Shown], bool]) -> None:
        if self._front.now is None:
            return
        review, shown = self._front.now
        sample = shown.sample
        if sample.bad is None or sample.kind == "direct":
            what = "A direct revision has no mark." if sample.kind == "direct" else "A recovery is told by its mark."
            self._services.say(what, severity="warning")
            return

        def moved(done: bool) -> None:
            if not done:
                self._services.say(
                    f"The mark stays between step {sample.fork_depth + 1} (after the fork) and step"
                    f" {sample.bad_depth} (the end)."
                )

        self._front.change(lambda: move(review, shown), moved)

    def cuts_menu(self) -> None:
        """The menu of cut steps: each may be taken back, and taken out again."""
        if self._front.now is None or self._front.now[1].hidden:
            return
        review, shown = self._front.now
        cuts = review.cuts(shown.sample)
        if not cuts:
            self._services.say("No steps were left out of this sample.")
            return
        choices = [
            Choice(
                KEYS[at] if at < len(KEYS) else "",
                f"{'take out again' if back else 'take back'}: {shown.tree.nodes[cut.node].action}  ({cut.reason})",
                partial(self._take_back, cut.node),
            )
            for at, (cut, back) in enumerate(cuts)
        ]
        self._services.choose("steps that were cut", choices)

    def _take_back(self, node: int) -> None:
        if self._front.now is None:
            return
        review, shown = self._front.now
        self._front.change(
            lambda: review.take_back(shown.sample, node),
            lambda back: self._services.say("Taken back; replayed." if back else "Taken out again."),
        )
