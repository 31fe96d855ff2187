"""What a person decides about the sample in front, or about all: verdicts, tags, comments; and taking that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.services import RevisionServices
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.state.review.shown_sample import OTHER_REASON_KEY, reason_keys
from engine.base.text import many
from engine.environment.replay import HOLDS
from engine.review.decisions import Decision, DecisionVerdict


class Verdicts:
    """Writes decisions."""

    def __init__(self, services: RevisionServices, front: SampleInFront) -> None:
        self._services = services
        self._front = front

    def decide(self, verdict: DecisionVerdict, reason: str = "") -> None:
        """Decide about the sample in front, and go to the next."""
        if self._front.now is None:
            return
        review, shown = self._front.now
        if verdict == "accepted" and shown.veiled:
            self._services.say(
                "Blind mode: mark the first wrong step first (J, K), or reject, skip, or press b.", severity="warning"
            )
            return

        def decide() -> bool:
            """Writes the verdict; returns whether another sample waits for one."""
            self._services.session.decisions.decide(shown.sample.id, verdict, reason=reason)
            return review.go_to_next_undecided()

        def decided(more: bool) -> None:
            """Says what the verdict means for an export, and that the queue is done once it is."""
            if verdict == "accepted" and shown.sample.verdict == "unreplayed":
                self._services.say(
                    "accepted, unreplayed: no environment was asked, your word counts, and the card says so"
                )
            elif verdict == "accepted" and shown.sample.verdict not in HOLDS:
                self._services.say(
                    f"accepted, but it does not replay in the environment ({shown.sample.verdict}): a default export"
                    " leaves it out",
                    severity="warning",
                )
            elif verdict == "accepted" and shown.faults:
                self._services.say(
                    f"accepted, but it {shown.faults[0]}: a default export leaves it out", severity="warning"
                )
            if not more:
                left = f" {review.folded} that teach the same are folded (= shows them)." if review.folded else ""
                self._services.say(f"Every sample is decided: press 5 for the dataset.{left}")

        self._front.change(decide, decided)

    def reject(self) -> None:
        """Ask why, then reject."""
        if self._front.shown is not None:
            self._ask_reason(partial(self.decide, "rejected"))

    def _ask_reason(self, then: Callable[[str], object]) -> None:
        """Ask why something is rejected."""
        review = self._front.review
        reasons = review.settings.all_reasons if review is not None else []
        choices = [Choice(key, text, partial(then, text)) for key, text in reason_keys(reasons)]
        other = Choice(OTHER_REASON_KEY, "another reason …", lambda: self._services.ask_text("reject: why?", then))
        self._services.choose("reject: why?", [*choices, other])

    # -- all samples -------------------------------------------------------------------------------

    def all_menu(self) -> None:
        """The menu of decisions about the whole queue."""
        review = self._front.review
        if review is None or not review.samples:
            return
        if review.blind:
            self._services.say("Blind mode: decide one by one, or press b to leave it first.", severity="warning")
            return
        count = sum(sample.id not in review.planted for sample in review.samples)
        which = f"of the query {review.query}" if review.query else "of the whole queue (/ narrows it)"
        choices = [
            Choice("a", "accept all", partial(self._decide_all, "accepted")),
            Choice("r", "reject all …", lambda: self._ask_reason(partial(self._decide_all, "rejected"))),
            Choice("s", "skip all", partial(self._decide_all, "skipped")),
            Choice("escape", "nothing", lambda: None),
        ]
        self._services.choose(f"{many(count, 'sample')} {which}: one undo takes it back", choices)

    def _decide_all(self, verdict: DecisionVerdict, reason: str = "") -> None:
        review = self._front.review
        if review is not None:
            self._front.change(
                lambda: review.decide_all(verdict, reason),
                lambda count: self._services.say(f"{many(count, 'sample')} {verdict}: press u to undo."),
            )

    # -- words -------------------------------------------------------------------------------------

    def comment(self) -> None:
        """Write a comment."""
        if self._front.now is None:
            return
        review, shown = self._front.now

        def keep(text: str) -> None:
            self._front.change(lambda: self._services.session.decisions.decide(shown.sample.id, note=text))

        self._services.ask_text("comment", keep, review.note(shown.sample))

    def tags(self) -> None:
        """Write tags, with those that are in use at hand."""
        if self._front.now is None:
            return
        review, shown = self._front.now

        def keep(text: str) -> None:
            self._front.change(lambda: self._services.session.decisions.decide(shown.sample.id, tags=text.split()))

        used = " ".join(review.all_tags()[:8])
        value = " ".join(review.tags(shown.sample))
        self._services.ask_text("tags (words, separated by spaces)", keep, value, f"in use: {used}" if used else "")

    # -- taking back -------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last decision and go to its sample."""
        self._take_back(self._services.session.decisions.undo, "took back", "There is nothing to undo.")

    def redo(self) -> None:
        """Decide again what was taken back."""
        self._take_back(self._services.session.decisions.redo, "decided again", "There is nothing to redo.")

    def _take_back(self, work: Callable[[], list[Decision]], did: str, nothing: str) -> None:
        review = self._front.review
        if review is None:
            return
        decisions = self._services.session.decisions

        def take_back() -> str:
            """Takes back, or makes again; returns what that was, and goes to its sample."""
            lines = work()
            if not lines:
                return nothing
            ids = {item.sample for item in lines}
            if review.current is None or review.current.id not in ids:
                review.find(lambda sample: sample.id in ids)
            what = _words_of(lines, [line for id in ids for line in decisions.lines_of(id)])
            if len(ids) > 1:
                return f"{did}: {what}, {len(ids)} samples at once"
            return f"{did}: {what}, sample {review.place + 1} of {len(review.samples)}"

        self._front.change(take_back, self._services.say)


def _words_of(lines: Sequence[Decision], known: Sequence[Decision]) -> str:
    """What lines said that were taken back, or decided again: `accepted`, `mark 3`, `comment`."""
    by_id = {each.id: each for each in known}
    said = lines[0]
    while said.undo_of is not None and said.undo_of in by_id:
        said = by_id[said.undo_of]
    if said.verdict is not None:
        return said.verdict
    parts = {
        f"mark {said.mark}": said.mark is not None,
        "thought": said.thought is not None,
        "comment": said.note is not None,
        "tags": said.tags is not None,
        "another tail": said.repair is not None,
        "steps taken back": said.uncut is not None,
    }
    return next((word for word, there in parts.items() if there), "a decision")
