"""What the parts of the Revision screen ask for, done by the screen and the app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TypeVar

from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.revision.services import NO_KEYS
from agentr_tui.screens.shared.dialogs import trusted
from agentr_tui.screens.shared.screen_services import ScreenServices
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.text_pane import Line, TextPane
from engine.base.errors import AgentrError
from engine.environment.permission import NeedsConsent
from engine.verifiers.base import JudgeSettings

T = TypeVar("T")


class RevisionScreenServices(ScreenServices):
    """A `RevisionServices` (`agentr_tui.screens.revision.services`) over the screen."""

    def pane(self, name: str) -> TextPane:
        """One of the panes `bad`, `why`, `spliced`, `replay`."""
        return self._screen.query_one(f"#{name}", TextPane)

    @property
    def recovery(self) -> RecoveryPane:
        """What continuations say of the sample."""
        return self._screen.query_one(RecoveryPane)

    @property
    def narrow(self) -> bool:
        """Whether only one side has room."""
        return self._screen.has_class("-narrow")

    def show_top(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        """The line at the top."""
        self._screen.top_bar.show(left, right)

    def show_right_side(self) -> None:
        """In a narrow window: the conversation in place of the bad trajectory."""
        self._screen.set_class(True, "-detail")

    def show_placeholder(self, lines: Sequence[Line] | None, keys: Mapping[str, str] = NO_KEYS) -> None:
        """Replace the body by an explanation; None restores it. `keys`: actions that lead on from it, with a word
        each."""
        bar = self._screen.key_bar
        bar.out_of_nothing, bar.words = frozenset(keys), dict(keys)
        self._screen.show_placeholder(lines)

    def with_consent(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object],
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """As `in_thread`, and `after` in the same thread; where a person has to be asked first, again after a yes."""
        screen, app = self._screen, self._screen.agentr

        def run() -> None:
            try:
                result = work()
            except NeedsConsent as unasked:
                again = partial(self.with_consent, work, done, group, failed=failed, after=after)
                # later: coming back from the question must not ask it again
                screen.from_thread(self.ask_yes, unasked, again, partial(self.later, partial(failed, str(unasked))))
                return
            except Exception as error:  # also one that nobody foresaw
                screen.from_thread(failed, app.error_line(error))
                return
            screen.from_thread(done, result)
            with suppress(AgentrError):  # what it was about says so when it is shown
                after()

        screen.run_worker(run, group=group, thread=True, exclusive=True)

    def trusted(self, check: Callable[[], object], then: Callable[[], object]) -> bool:
        """Whether what a trace names may be used; where a person has to be asked first, calls `then` after a yes."""
        return trusted(self._screen.app, check, then)

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call again and again; what is returned ends that."""
        return self._screen.set_interval(seconds, call).stop

    def suspended(self) -> AbstractContextManager[None]:
        """The terminal is another program's meanwhile. Raises `SuspendNotSupported`."""
        return self._screen.app.suspend()

    def is_leaving(self) -> bool:
        """Whether a person or a signal said that the app is to end."""
        return self._screen.agentr.is_leaving

    def own_judge(self) -> JudgeSettings:
        """The verifier `openai` as the user's settings name it. Reads files: call it in a thread."""
        return self._screen.agentr.own_judge()
