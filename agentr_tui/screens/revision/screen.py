"""Revision: judgements, the movable mark, the spliced conversation with its loss mask, whether it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from agentr_tui.screens.revision.model_judge import JudgesByModel
from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.revision.sample_lines import (
    BLIND,
    CUT_KEY,
    DIFFERENCE_KEY,
    MARK_KEY,
    NO_CUTS,
    THOUGHT_KEY,
    VERDICTS,
    Cuts,
    bad_lines,
    bad_path,
    columns_told,
    made_lines,
    replay_lines,
    replay_step_lines,
    spliced_lines,
    tail_judged,
    token_line,
    trajectory_lines,
    why_mark_lines,
)
from agentr_tui.screens.shared.copying import Copyable, of_sample
from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text
from agentr_tui.screens.shared.mode_screen import NOTHING_OPEN, key, tab_title
from agentr_tui.state.review.load import load_review
from agentr_tui.state.review.queue import Review, Shown
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from engine.datasets.formats import FORMATS
from engine.environment.replay import HOLDS
from engine.recovery.store import FOLDER as RECOVERIES
from engine.review.decisions import Decision, DecisionVerdict
from engine.samples.revise import ReviseSettings
from envs.base import title_of

TABS = ("spliced", "replay", "good", "bad", "line")
BLIND_SPLICE = (
    "Blind: mark the first wrong step with J and K; then the spliced conversation stands here."
    " b shows what the verifier and the replay said."
)
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
VERDICT_ROLES: dict[str, Role] = {"accepted": "good", "rejected": "bad", "skipped": "warn"}
DECIDED_SIGNS = {"accepted": "✓", "rejected": "✗", "skipped": "▸"}


class RevisionScreen(JudgesByModel):
    """One sample after the other."""

    MODE = "revision"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("a", "accept", "accept", "revision.accept", "Accept this sample, go to the next", show=True),
        key("r", "reject", "reject…", "revision.reject", "Reject with a reason, go to the next", show=True),
        key("s", "skip", "skip", "revision.skip", "Skip for now, go to the next", show=True),
        key("J", "mark(1)", "move mark", "revision.mark_down",
            "Mark a later step as the first wrong one; by mouse: click a step twice", show=True, key_display="J K"),
        key("K", "mark(-1)", "mark up", "revision.mark_up", "Mark an earlier step as the first wrong one"),
        key("t", "thought", "thought…", "revision.thought", "Another revision thought", show=True),
        key("R", "repair", "repair…", "revision.repair", "Replay again, or search a new tail from after the wrong step",
            show=True),
        key("w", "recover", "recover?", "revision.recover",
            "Would it recover? Let the actor go on from the wrong step, with the thought and without it", show=True),
        key("x", "cuts", "cuts", "revision.cuts", "Show what was cut, step by step; again: fold it", show=True),
        key("X", "take_back", "take back…", "revision.take_back", "Take back a step that was cut, or out again"),
        key("V", "judge", "judge…", "revision.judge", "Have a model judge the steps, one by one; again: stop it"),
        key("b", "blind", "blind", "revision.blind", "Hide the verifier's mark and the verdict until you decide"),
        key("o", "order", "order…", "revision.order", "Another order of the samples"),
        key("slash", "query", "only …", "revision.query", "Only the samples that a query names",
            key_display="/"),
        key("A", "decide_all", "decide all…", "revision.decide_all",
            "Decide about every sample of the queue at once; one undo takes it back"),
        key("T", "tags", "tags…", "revision.tags", "Put tags on this sample"),
        key("c", "comment", "comment", "revision.comment", "Write a comment on this sample", show=True),
        key("f", "format", "format", "revision.format", "Show the exact line of the next format", show=True),
        key("right_curly_bracket", "go(1)", "next", "revision.next", "Next sample", show=True, key_display="{ }"),
        key("left_curly_bracket", "go(-1)", "previous", "revision.previous", "Previous sample"),
        key("right_square_bracket", "tab(1)", "tabs", "revision.tab_next", "Next tab", show=True, key_display="[ ]"),
        key("left_square_bracket", "tab(-1)", "tab back", "revision.tab_back", "Previous tab"),
        key("u", "undo", "undo", "revision.undo", "Take back your last decision", show=True),
        key("U", "redo", "redo", "revision.redo", "Decide again what you took back"),
        key("tab", "next_pane", "next pane", "revision.next_pane", "Next pane; in a narrow window: the other side"),
        key("plus", "enlarge", "enlarge", "revision.enlarge", "Enlarge the pane that has the focus"),
        key("underscore,escape", "restore", "restore", "revision.restore", "Restore the enlarged pane"),
    ]  # fmt: skip

    def copyable(self) -> list[Copyable]:
        """The sample in front."""
        front = self.in_front()
        return [] if front is None else of_sample(*front)

    def __init__(self) -> None:
        super().__init__()
        self._tab = 0
        self._format = 0
        self._cuts_open = False
        self._of: tuple[object, ...] | None = None  # path, pair and thresholds that the review was made for

    def compose_body(self) -> ComposeResult:
        """Bad trajectory and why at the left; conversation and replay at the right."""
        with Horizontal(id="revision-body"):
            with Vertical(id="bad-side"):
                yield TextPane(id="bad")
                yield TextPane(id="why")
                yield RecoveryPane(id="recovery")
            with Vertical(id="spliced-side"):
                yield TextPane(id="spliced")
                yield TextPane(id="replay")

    def on_mount(self) -> None:
        """Titles and focus."""
        self.query_one("#bad").border_title = "bad trajectory"
        self.query_one("#why").border_title = "why"
        self.query_one("#replay").border_title = "replay"
        self.query_one("#spliced").focus()

    # -- loading -----------------------------------------------------------------------------------

    def refresh_view(self) -> None:
        """Take up the tree and pair of the session; what was loaded stays while they are the same."""
        session = self.agentr.session
        if session.tree is None and not session.workspace.has_runs():
            self._of = None
            self._shown = None
            self.top_bar.show([("no tree is open", "muted")])
            self.say_nothing(NOTHING_OPEN)
            return
        path = session.path if session.tree is not None and len(session.tree) else None
        wanted = (path, session.chosen_pair(), session.alpha, session.beta)
        if self._of == wanted:
            if self._review is not None:
                self._show_later()  # else it is being loaded, or can't be: it says why
            return
        old, self._of = self._review, wanted
        self._review = self._shown = None
        self._message("pairing, judging and replaying …" if path is not None else "reading the newest run …")
        settings = ReviseSettings(alpha=session.alpha, beta=session.beta)

        def load() -> Review:
            if old is not None:
                old.close()
            return load_review(session.workspace, session.decisions, path, settings, wanted[1])

        self._in_thread(load, self._loaded)

    def in_front(self) -> tuple[Shown, str] | None:
        """The sample in front and the format of its line; None where there is none."""
        if self._shown is None:
            return None
        return self._shown, list(FORMATS)[self._format % len(FORMATS)]

    def tree_opened(self) -> None:
        """Another tree: another review."""
        self._of = None
        self.refresh_view()

    def _message(self, text: str, role: Role = "muted", more: Sequence[Line] = ()) -> None:
        """A few words in place of a sample."""
        self._shown = None
        self.top_bar.show([])
        self.query_one(RecoveryPane).clear()
        self.say_nothing([*(line((part, role)) for part in text.splitlines()), *more])

    def _failed(self, message: str) -> None:
        """What can't be loaded or shown says why."""
        if self._review is None:  # coming here again tries again
            self._of = None
        self._message(message, "bad", WHAT_NEXT)

    def _loaded(self, review: Review) -> None:
        self._review = review
        for warning in review.warnings:
            self.notify(warning, severity="warning", markup=False)
        if not review.samples:
            self._message("No pair here: no leaf is good enough, or none bad enough.", "warn", WHAT_NEXT)
            return
        self._show_later()

    def _show_later(self) -> None:
        review = self._review
        if review is None or self._changing:  # what is being decided shows what comes after it
            return
        sample = review.current
        if sample is None:
            self._message(f"No sample fits {review.query!r}.\n\n  /    another query\n  esc  all samples again", "warn")
            return
        self._in_thread(lambda: review.show(sample), self._show, partial(self._after, review))

    # -- what is shown -----------------------------------------------------------------------------

    def _show(self, shown: Shown) -> None:
        review = self._review
        if review is None or review.current is None or review.current.id != shown.sample.id:
            return
        self._shown = shown
        self.say_nothing(None)
        sample = shown.sample
        self._show_top(review, shown)
        bad = self.query_one("#bad", TextPane)
        bad.border_title = f"bad trajectory · leaf {sample.bad} · return {sample.return_bad:g}"
        if sample.bad is None:
            bad.border_title = f"recovery · leaf {sample.good} · return {sample.return_good:g}"
        bad.border_subtitle = columns_told(shown)
        cuts = self._cuts(review, shown)
        bad.set_lines(bad_lines(shown, cuts), keep_scroll=True)
        at = sample.fork_depth + 1 if shown.veiled else MARK_KEY
        self.call_after_refresh(bad.scroll_to_key, at)  # rows have a place only then
        why = self.query_one("#why", TextPane)
        why.border_title = f"why step {sample.mark}" if sample.mark and not shown.hidden else "why"
        hidden = [line((BLIND, "muted"))]
        why.set_lines([*(hidden if shown.hidden else why_mark_lines(shown)), *_said_lines(shown)])
        if not self.repairing:
            replay = self.query_one("#replay", TextPane)
            replay.border_title = "replay"
            replay.set_lines(hidden if shown.hidden else [*replay_lines(sample), *made_lines(sample, cuts)])
        self.query_one(RecoveryPane).show(shown, review.workspace.path / RECOVERIES, self.agentr.session.alpha)
        self._show_tab()

    def _cuts(self, review: Review, shown: Shown) -> Cuts:
        return Cuts(review.cuts(shown.sample), self._cuts_open)

    def _show_top(self, review: Review, shown: Shown) -> None:
        sample, counts = shown.sample, shown.counts
        count, done, signs = len(review.samples), counts.done, glyphs()
        filled = round(8 * done / count)
        left: list[tuple[str, Role]] = [
            (f"{title_of(sample.environment, sample.task)}  ", "strong"),
            (f"sample {review.place + 1} of {count} ", "text"),
            ("█" * filled + "░" * (8 - filled) + "  ", "focus"),
        ]
        if self.has_class("-narrow") and not shown.hidden:  # the replay is on the other side
            text, role = VERDICTS[sample.verdict]
            left.append((f"{text}  ", role))
        left += [
            (f"leaf {sample.good} {signs.good} {sample.return_good:g}  ", "good"),
            ("vs  " if sample.bad is not None else "a recovery  ", "muted"),
            (f"leaf {sample.bad} {signs.bad} {sample.return_bad:g}  " if sample.bad is not None else "", "bad"),
            (sample.instruction, "muted"),
        ]
        right: list[tuple[str, Role]] = []
        if review.query:
            right.append((f"  / {review.query}", "focus"))
        if review.order != "run":
            right.append((f"  {review.order}", "muted"))
        right += [(f"  {counts.rejected} rejected", "muted"), (f"  {counts.accepted} accepted", "muted")]
        if review.blind:
            right.append(("  blind", "person"))
        verdict = shown.decided.verdict if shown.decided is not None else None
        if verdict is not None:
            right.append((f"  {DECIDED_SIGNS[verdict]} {verdict}", VERDICT_ROLES[verdict]))
        self.top_bar.show(left, right)

    def _show_tab(self) -> None:
        shown, review = self._shown, self._review
        if shown is None or review is None:
            return
        pane = self.query_one("#spliced", TextPane)
        format_name = list(FORMATS)[self._format % len(FORMATS)]
        titles = [f"line: {format_name}" if name == "line" else name for name in TABS]
        pane.border_title = tab_title(titles, self._tab)
        pane.border_subtitle = "" if shown.veiled else token_line(shown.turns)
        pane.set_lines(self._tab_lines(shown, format_name))
        at = {"spliced": THOUGHT_KEY, "replay": DIFFERENCE_KEY}.get(TABS[self._tab])
        if at is not None:
            self.call_after_refresh(pane.scroll_to_key, at)

    def _tab_lines(self, shown: Shown, format_name: str) -> list[Line]:
        sample, name = shown.sample, TABS[self._tab]
        if shown.veiled and name in ("spliced", "line"):
            return [line((BLIND_SPLICE, "person"), indent=4)]
        if name == "spliced":
            replay = sample.replay
            lost = replay is not None and replay.verdict == "diverged" and not shown.hidden
            got = replay.observations if replay is not None and lost else None
            assert self._review is not None
            cuts = self._cuts(self._review, shown) if not shown.hidden else NO_CUTS
            judged = tail_judged(shown.tree, sample) if not shown.hidden else {}
            return spliced_lines(shown.turns, got, shown.tree.human, shown.tree, cuts, judged)
        if name == "replay":
            return [line((BLIND, "muted"))] if shown.hidden else replay_step_lines(shown)
        if name == "good":
            return trajectory_lines(shown.tree, sample.good, sample.fork_depth)
        if name == "bad":
            return trajectory_lines(shown.tree, bad_path(shown.tree, sample)[-1], sample.fork_depth)
        record = FORMATS[format_name].render(shown.tree, sample, shown.turns)
        text = msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
        return [line((part, "text"), indent=4) for part in text.split("\n")]

    # -- what a person does ------------------------------------------------------------------------

    def _decide(self, verdict: DecisionVerdict, reason: str = "") -> None:
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return
        if verdict == "accepted" and shown.veiled:
            self.notify(
                "Blind mode: mark the first wrong step first (J, K), or reject, skip, or press b.", severity="warning"
            )
            return

        def decide() -> bool:
            self.agentr.session.decisions.decide(shown.sample.id, verdict, reason=reason)
            return review.go_to_next_undecided()

        def decided(more: object) -> None:
            if verdict == "accepted" and shown.sample.verdict not in HOLDS:
                self.notify(
                    f"accepted, but it does not replay in the environment ({shown.sample.verdict}): a default export"
                    " leaves it out",
                    severity="warning",
                )
            if not more:
                self.notify("Every sample is decided: press 5 for the dataset.")

        self._change(decide, decided)

    def action_accept(self) -> None:
        """Accept, next."""
        self._decide("accepted")

    def action_skip(self) -> None:
        """Skip, next."""
        self._decide("skipped")

    def action_reject(self) -> None:
        """Reject with a reason, next."""
        if self._shown is not None:
            self._ask_reason(partial(self._decide, "rejected"))

    @on(TextPane.LineChosen, "#bad")
    def _step_chosen(self, event: TextPane.LineChosen) -> None:
        if event.key <= CUT_KEY:
            self._take_back_cut(CUT_KEY - event.key)
        elif event.key > 0:
            self._move_mark(lambda review, shown: review.put_mark(shown.sample, event.key))

    @on(TextPane.LineChosen, "#spliced")
    def _cut_chosen(self, event: TextPane.LineChosen) -> None:
        if event.key <= CUT_KEY:
            self._take_back_cut(CUT_KEY - event.key)

    def action_cuts(self) -> None:
        """Show what was cut step by step, or fold it again."""
        self._cuts_open = not self._cuts_open
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return
        if not review.cuts(shown.sample):
            self.notify("No steps were left out of this sample.")
        self._show(shown)

    def action_take_back(self) -> None:
        """The menu of cut steps: each may be taken back, and taken out again."""
        review, shown = self._review, self._shown
        if review is None or shown is None or shown.hidden:
            return
        cuts = review.cuts(shown.sample)
        if not cuts:
            self.notify("No steps were left out of this sample.")
            return
        keys = "abcdefghijklmnopqrstuvwxyz"
        choices = [
            Choice(
                keys[at] if at < len(keys) else "",
                f"{'take out again' if back else 'take back'}: {shown.tree.nodes[cut.node].action}  ({cut.reason})",
                partial(self._take_back_cut, cut.node),
            )
            for at, (cut, back) in enumerate(cuts)
        ]
        ask(self.app, "steps that were cut", choices)

    def _take_back_cut(self, node: int) -> None:
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return

        def told(back: object) -> None:
            self.notify("Taken back; replayed." if back else "Taken out again.")

        self._change(lambda: review.take_back(shown.sample, node), told)

    def action_mark(self, by: int) -> None:
        """Move the mark along the bad trajectory."""
        self._move_mark(lambda review, shown: review.move_mark(shown.sample, by))

    def _move_mark(self, move: Callable[[Review, Shown], bool]) -> None:
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return
        if shown.sample.bad is None or shown.sample.kind == "direct":
            what = (
                "A direct revision has no mark." if shown.sample.kind == "direct" else "A recovery is told by its mark."
            )
            self.notify(what, severity="warning")
            return

        def moved(done: object) -> None:
            if not done:
                self.notify(
                    f"The mark stays between step {shown.sample.fork_depth + 1} (after the fork) and step"
                    f" {shown.sample.bad_depth} (the end)."
                )

        self._change(lambda: move(review, shown), moved)

    def action_recover(self) -> None:
        """Would it recover?"""
        self.query_one(RecoveryPane).ask()

    def action_comment(self) -> None:
        """Write a comment."""
        review, shown = self._review, self._shown
        if review is None or shown is None:
            return

        def keep(text: str) -> None:
            self._change(lambda: self.agentr.session.decisions.decide(shown.sample.id, note=text))

        ask_text(self.app, "comment", keep, review.note(shown.sample))

    def action_go(self, by: int) -> None:
        """Another sample."""
        if self._review is not None:
            self._review.go(by)
            self._show_later()

    def action_undo(self) -> None:
        """Take back the last decision and go to its sample."""
        self._take_back(self.agentr.session.decisions.undo, "nothing to undo")

    def action_redo(self) -> None:
        """Decide again."""
        self._take_back(self.agentr.session.decisions.redo, "nothing to redo")

    def _take_back(self, work: Callable[[], list[Decision]], nothing: str) -> None:
        review = self._review
        if review is None:
            return

        def take_back() -> int:
            lines = work()
            ids = {item.sample for item in lines}
            if review.current is None or review.current.id not in ids:
                review.find(lambda sample: sample.id in ids)
            return len(lines)

        def done(count: object) -> None:
            if not count:
                self.notify(nothing)
            elif isinstance(count, int) and count > 1:
                self.notify(f"{count} samples at once.")

        self._change(take_back, done)

    def action_tab(self, by: int) -> None:
        """Another tab."""
        self._tab = (self._tab + by) % len(TABS)
        self.set_class(True, "-detail")
        self._show_tab()

    def action_format(self) -> None:
        """The exact line of a format; again: of the next format."""
        if TABS[self._tab] == "line":
            self._format += 1
        self._tab = TABS.index("line")
        self.set_class(True, "-detail")
        self._show_tab()

    def action_next_pane(self) -> None:
        """The next pane; in a narrow window the other side."""
        if not self.has_class("-narrow"):
            self.focus_next()
            return
        self.toggle_class("-detail")
        self.query_one("#spliced" if self.has_class("-detail") else "#bad").focus()

    def action_enlarge(self) -> None:
        """Give the focused pane the whole screen."""
        if self.focused is not None:
            self.maximize(self.focused)

    def action_restore(self) -> None:
        """Back to all panes; then all samples again."""
        if self.maximized is None and self._review is not None and self._review.query:
            self._set_query("")
        self.minimize()


def _said_lines(shown: Shown) -> list[Line]:
    """What people said of the sample."""
    decided = shown.decided
    if decided is None:
        return []
    lines = []
    for who, verdict in sorted(decided.by_reviewer.items()):
        reason = f": {decided.reason}" if who == decided.reviewer and decided.reason else ""
        role = VERDICT_ROLES[verdict]
        lines.append(line((f"{DECIDED_SIGNS[verdict]} {verdict} by {who}", role), (reason, "text"), indent=2))
    if decided.note:
        lines.append(line(("✎ ", "person"), (decided.note, "person"), indent=2))
    if decided.tags:
        lines.append(line(("# ", "person"), ("  ".join(decided.tags), "person"), indent=2))
    return lines
