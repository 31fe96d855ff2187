"""The panes of the Revision screen: queue, bad trajectory, task, conversation, replay and decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agentr_tui.screens.revision.around_lines import (
    decision_lines,
    queue_line,
    rules_lines,
    task_lines,
    verdict_line,
)
from agentr_tui.screens.revision.replay_lines import DIFFERENCE_KEY, replay_lines, replay_step_lines
from agentr_tui.screens.revision.sample_lines import (
    BLIND,
    MARK_KEY,
    NO_CUTS,
    THOUGHT_KEY,
    Cuts,
    bad_lines,
    bad_path,
    columns_told,
    made_lines,
    spliced_lines,
    tail_judged,
    token_line,
    trajectory_lines,
)
from agentr_tui.screens.revision.services import NO_KEYS, RevisionServices
from agentr_tui.screens.shared.mode_screen import tab_title
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.text_pane import Line, line
from engine.base.text import many
from engine.datasets.formats import FORMATS
from engine.recovery.continuation_store import FOLDER as RECOVERIES
from engine.review.curation import ReviewSettings
from envs.base import title_of

TABS = ("spliced", "replay", "good", "bad", "task", "line")
BLIND_SPLICE = (
    "Blind: mark the first wrong step with J and K; then the spliced conversation stands here."
    " b shows what the verifier and the replay said."
)

DEFAULT_ORDER = ReviewSettings().order


class SampleView:
    """Shows one sample of a queue."""

    def __init__(self, services: RevisionServices) -> None:
        self._services = services
        self._now: tuple[Review, Shown] | None = None
        self._tab = 0
        self._format = 0
        self._cuts_open = False
        self._repairing = False  # the pane of the replay tells of a search

    @property
    def shown(self) -> Shown | None:
        """The sample in the panes."""
        return None if self._now is None else self._now[1]

    @property
    def format(self) -> str:
        """The name of the format whose line is shown."""
        return list(FORMATS)[self._format % len(FORMATS)]

    def tell(self, text: str) -> None:
        """A few words in place of the queue, while something takes its time."""
        self._services.pane("queue").set_lines([line((text, "focus"))])

    def clear(self, top: Sequence[tuple[str, Role]], lines: Sequence[Line], keys: Mapping[str, str] = NO_KEYS) -> None:
        """Show a few lines in place of the panes, since there is no sample.

        `top`: parts of the top bar. `lines`: in place of the panes. `keys`: actions that lead on, with a word each.
        """
        self._now = None
        self._services.show_top(top)
        self._services.show_placeholder(lines, keys)

    def show(self, review: Review, shown: Shown) -> None:
        """Put a sample into all panes."""
        self._now = review, shown
        self._services.show_placeholder(None)
        sample = shown.sample
        self._show_top(review, shown)
        bad = self._services.pane("bad")
        bad.border_title = f"bad trajectory · leaf {sample.bad} · return {sample.return_bad:g}"
        if sample.bad is None:
            bad.border_title = f"recovery · leaf {sample.good} · return {sample.return_good:g}"
        bad.border_subtitle = plain_title(columns_told(shown))
        cuts = self._cuts(review, shown)
        bad.set_lines(bad_lines(shown, cuts), keep_scroll=True)
        at = sample.fork_depth + 1 if shown.veiled else MARK_KEY
        self._services.later(lambda: bad.scroll_to_key(at))  # rows have a place only then
        hidden = [line((BLIND, "muted"))]
        self._services.pane("queue").set_lines(lambda width: [queue_line(review, shown, width)])
        self._services.pane("verdict-line").set_lines([verdict_line(shown)])
        self._services.pane("task").set_lines(task_lines(shown))
        if not self._repairing:
            replay = self._services.pane("replay")
            replay.border_title = "replay and decision"
            told = hidden if shown.hidden else [*replay_lines(sample), *made_lines(sample, cuts)]
            replay.set_lines([*told, *decision_lines(shown)])
        self._services.recovery.show(shown, review.workspace.path / RECOVERIES, self._services.session.alpha)
        self._show_tab()

    def _cuts(self, review: Review, shown: Shown) -> Cuts:
        return Cuts(review.cuts(shown.sample), self._cuts_open)

    def _show_top(self, review: Review, shown: Shown) -> None:
        sample, signs = shown.sample, glyphs()
        left: list[tuple[str, Role]] = [
            (f"{title_of(sample.environment, sample.task)}  ", "strong"),
            (f"sample {review.place + 1} of {len(review.samples)}  ", "text"),
        ]
        left += [
            (f"leaf {sample.good} {signs.good} {sample.return_good:g}  ", "good"),
            ("vs  " if sample.bad is not None else "a recovery  ", "muted"),
            (f"leaf {sample.bad} {signs.bad} {sample.return_bad:g}  " if sample.bad is not None else "", "bad"),
            (sample.instruction, "muted"),
        ]
        right: list[tuple[str, Role]] = []
        if review.order != DEFAULT_ORDER:
            right.append((f"  {review.order}", "muted"))
        self._services.show_top(left, right)

    # -- tabs --------------------------------------------------------------------------------------

    def next_tab(self, by: int) -> None:
        """Another tab."""
        self._tab = (self._tab + by) % len(TABS)
        self._services.show_right_side()
        self._show_tab()

    def toggle_rules(self) -> None:
        """The tab with the rules and the task; again: the spliced conversation."""
        self._tab = 0 if TABS[self._tab] == "task" else TABS.index("task")
        self._services.show_right_side()
        self._show_tab()

    def next_format(self) -> None:
        """The exact line of a format; again: of the next format."""
        if TABS[self._tab] == "line":
            self._format += 1
        self._tab = TABS.index("line")
        self._services.show_right_side()
        self._show_tab()

    def _show_tab(self) -> None:
        if self._now is None:
            return
        review, shown = self._now
        pane = self._services.pane("spliced")
        titles = [f"line: {self.format}" if name == "line" else name for name in TABS]
        pane.border_title = tab_title(titles, self._tab)
        pane.border_subtitle = "" if shown.veiled else token_line(shown.turns)
        pane.set_lines(self._tab_lines(review, shown))
        at = {"spliced": THOUGHT_KEY, "replay": DIFFERENCE_KEY}.get(TABS[self._tab])
        if at is not None:
            self._services.later(lambda: pane.scroll_to_key(at))

    def _tab_lines(self, review: Review, shown: Shown) -> list[Line]:
        sample, name = shown.sample, TABS[self._tab]
        if shown.veiled and name in ("spliced", "line"):
            return [line((BLIND_SPLICE, "person"), indent=4)]
        if name == "spliced":
            replay = sample.replay
            lost = replay is not None and replay.verdict == "diverged" and not shown.hidden
            got = replay.observations if replay is not None and lost else None
            cuts = self._cuts(review, shown) if not shown.hidden else NO_CUTS
            judged = tail_judged(shown.tree, sample) if not shown.hidden else {}
            return spliced_lines(shown.turns, got, shown.tree.written_by, shown.tree, cuts, judged)
        if name == "replay":
            return [line((BLIND, "muted"))] if shown.hidden else replay_step_lines(shown)
        if name == "task":
            return rules_lines(shown)
        if name == "good":
            return trajectory_lines(shown.tree, sample.good, sample.fork_depth)
        if name == "bad":
            return trajectory_lines(shown.tree, bad_path(shown.tree, sample)[-1], sample.fork_depth)
        record = FORMATS[self.format].render(shown.tree, sample, shown.turns)
        text = msgspec.json.format(msgspec.json.encode(record), indent=2).decode()
        return [line((part, "text"), indent=4) for part in text.split("\n")]

    # -- cuts and repairs --------------------------------------------------------------------------

    def fold_cuts(self) -> None:
        """Show what was cut step by step, or fold it again."""
        self._cuts_open = not self._cuts_open
        if self._now is None:
            return
        review, shown = self._now
        if not review.cuts(shown.sample):
            self._services.say("No steps were left out of this sample.")
        self.show(review, shown)

    def tell_of_repair(self, sample: str, calls: int) -> None:
        """Show the progress of a search for a new tail in the pane of the replay."""
        self._repairing = True
        pane = self._services.pane("replay")
        pane.border_title = "replay · searching a new tail"
        told = f"{many(calls, 'call')} so far for sample {sample} · R stops it"
        pane.set_lines([line(("● ", "focus"), (told, "text"), indent=2)])

    def end_repair(self) -> None:
        """The search is over; the next sample that is shown has its replay there."""
        self._repairing = False
