"""Revision: judgements, the movable mark, the spliced conversation with its loss mask, whether it holds.

The screen lays its panes out and passes keys on; what they do is in its parts (`sample_in_front`, `sample_view`,
`verdicts`, `mark_and_cuts`, `thoughts`, `tail_repair`, `model_judge`, `sample_queue`), plain objects that see the
screen as a `RevisionServices`.
"""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from agentr_tui.screens.revision.mark_and_cuts import MarkAndCuts
from agentr_tui.screens.revision.model_judge import ModelJudge
from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.revision.sample_in_front import SampleInFront
from agentr_tui.screens.revision.sample_queue import SampleQueue
from agentr_tui.screens.revision.sample_view import SampleView
from agentr_tui.screens.revision.screen_services import RevisionScreenServices
from agentr_tui.screens.revision.tail_repair import TailRepair
from agentr_tui.screens.revision.thoughts import Thoughts
from agentr_tui.screens.revision.verdicts import Verdicts
from agentr_tui.screens.shared.copying import Copyable, of_sample
from agentr_tui.screens.shared.mode_screen import ModeScreen, key
from agentr_tui.widgets.text_pane import TextPane


class RevisionScreen(ModeScreen):
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
        key("equals_sign", "like", "alike", "revision.like",
            "Show the samples that teach the same as this one, or fold them", key_display="="),
        key("i", "rules", "rules", "revision.rules", "What the agent was told: the rules and the task; again: back"),
        key("b", "blind", "blind", "revision.blind", "Hide the verifier's mark and the verdict until you decide"),
        key("o", "order", "order…", "revision.order", "Another order of the samples"),
        key("slash", "query", "only …", "revision.query", "Only the samples that hold a word, or that a query names",
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
        key("escape,underscore", "restore", "restore", "revision.restore", "Restore the enlarged pane"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        services = RevisionScreenServices(self)
        self.view = SampleView(services)
        front = self.front = SampleInFront(services, self.view)
        self.verdicts = Verdicts(services, front)
        self.mark_and_cuts = MarkAndCuts(services, front)
        self.thoughts = Thoughts(services, front)
        self.repair = TailRepair(services, front, self.view)
        self.judge = ModelJudge(services, front)
        self.queue = SampleQueue(services, front)

    def compose_body(self) -> ComposeResult:
        """The queue at the top; bad trajectory and task at the left; conversation, replay and decision at the right."""
        yield TextPane(id="queue", classes="bar-line")
        with Horizontal(id="revision-body"):
            with Vertical(id="bad-side"):
                yield TextPane(id="bad")
                yield TextPane(id="task")
                yield RecoveryPane(id="recovery")
            with Vertical(id="spliced-side"):
                yield TextPane(id="spliced")
                yield TextPane(id="replay")
        yield TextPane(id="verdict-line", classes="bar-line")

    def on_mount(self) -> None:
        """Titles and focus."""
        self.query_one("#bad").border_title = "bad trajectory"
        self.query_one("#task").border_title = "task"
        self.query_one("#task").border_subtitle = "i: rules"
        self.query_one("#replay").border_title = "replay and decision"
        for bar in self.query(".bar-line"):
            bar.can_focus = False
        self.query_one("#spliced").focus()

    def on_unmount(self) -> None:
        """Leaving: what runs stops cleanly."""
        self.judge.stop()
        self.repair.stop()
        self.front.close()

    def copyable(self) -> list[Copyable]:
        """The sample in front."""
        shown = self.view.shown
        return [] if shown is None else of_sample(shown, self.view.format)

    def refresh_view(self) -> None:
        """Take up the tree and pair of the session."""
        self.front.take_up()

    def tree_opened(self) -> None:
        """Another tree: another review."""
        self.front.take_up_again()

    # -- messages, passed on -----------------------------------------------------------------------

    @on(SampleInFront.Judged)
    def _judged(self) -> None:
        self.front.show_later()

    @on(TextPane.LineChosen, "#bad")
    def _step_chosen(self, event: TextPane.LineChosen) -> None:
        self.mark_and_cuts.step_chosen(event.key)

    @on(TextPane.LineChosen, "#spliced")
    def _cut_chosen(self, event: TextPane.LineChosen) -> None:
        self.mark_and_cuts.cut_chosen(event.key)

    # -- keys, passed on ---------------------------------------------------------------------------

    def action_accept(self) -> None:
        """Accept, next."""
        self.verdicts.decide("accepted")

    def action_reject(self) -> None:
        """Reject with a reason, next."""
        self.verdicts.reject()

    def action_skip(self) -> None:
        """Skip, next."""
        self.verdicts.decide("skipped")

    def action_decide_all(self) -> None:
        """The menu of decisions about the whole queue."""
        self.verdicts.all_menu()

    def action_comment(self) -> None:
        """Write a comment."""
        self.verdicts.comment()

    def action_tags(self) -> None:
        """Write tags."""
        self.verdicts.tags()

    def action_undo(self) -> None:
        """Take back the last decision and go to its sample."""
        self.verdicts.undo()

    def action_redo(self) -> None:
        """Decide again."""
        self.verdicts.redo()

    def action_mark(self, by: int) -> None:
        """Move the mark along the bad trajectory."""
        self.mark_and_cuts.move(by)

    def action_cuts(self) -> None:
        """Show what was cut step by step, or fold it again."""
        self.view.fold_cuts()

    def action_take_back(self) -> None:
        """The menu of cut steps."""
        self.mark_and_cuts.cuts_menu()

    def action_thought(self) -> None:
        """The menu of thoughts."""
        self.thoughts.menu()

    def action_repair(self) -> None:
        """The menu of repairs; of a running one: stop it."""
        self.repair.menu()

    def action_recover(self) -> None:
        """Would it recover?"""
        self.query_one(RecoveryPane).ask()

    def action_judge(self) -> None:
        """Ask which model judges; while one does: stop it."""
        self.judge.ask()

    def action_blind(self) -> None:
        """Hide the verifier's and the replay's results until a person decided, or show them again."""
        self.queue.toggle_blind()

    def action_like(self) -> None:
        """Show what teaches the same, or fold it."""
        self.queue.toggle_like()

    def action_rules(self) -> None:
        """The tab with rules and task, or back."""
        self.view.toggle_rules()

    def action_order(self) -> None:
        """The menu of orders."""
        self.queue.order_menu()

    def action_query(self) -> None:
        """Ask which samples are to be gone through."""
        self.queue.ask_query()

    def action_go(self, by: int) -> None:
        """Another sample."""
        self.queue.go(by)

    def action_tab(self, by: int) -> None:
        """Another tab."""
        self.view.next_tab(by)

    def action_format(self) -> None:
        """The exact line of a format; again: of the next format."""
        self.view.next_format()

    def action_next_pane(self) -> None:
        """The next pane; in a narrow window the other side."""
        if not self.has_class("-narrow"):
            self.focus_next()
            return
        self.toggle_class("-detail")
        self.query_one("#spliced" if self.has_class("-detail") else "#bad").focus()

    def action_restore(self) -> None:
        """Back to all panes; then all samples again. While samples are made: stop that."""
        if self.enlarging.pane is None and not self.front.stop_loading():
            self.queue.show_all()
        self.enlarging.restore()
