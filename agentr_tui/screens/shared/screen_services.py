"""What the parts of a screen ask for, done by the screen and the app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import get_current_worker

from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text, ask_yes
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.screens.shared.services import Stopped
from agentr_tui.screens.shared.start_search import Make, may_start, run_ready, start_search
from agentr_tui.state.event_buffer import Ready
from agentr_tui.state.session import Session
from engine.environment.permission import NeedsConsent

T = TypeVar("T")


class ScreenServices:
    """A `Services` (`agentr_tui.screens.shared.services`) over one of the five screens."""

    def __init__(self, screen: ModeScreen) -> None:
        self._screen = screen

    @property
    def session(self) -> Session:
        """The open tree, the moment that is looked at, the search that runs."""
        return self._screen.agentr.session

    @property
    def in_front(self) -> bool:
        """Whether a person sees the screen now."""
        return self._screen.is_current

    def say(self, message: str, *, severity: SeverityLevel = "information", seconds: float | None = None) -> None:
        """Show a notice."""
        self._screen.notify(message, severity=severity, timeout=seconds, markup=False)

    def complain(self, message: str) -> None:
        """Show one line that says what went wrong."""
        self._screen.agentr.complain(message)

    def choose(self, title: str, choices: Sequence[Choice]) -> None:
        """Open a menu."""
        ask(self._screen.app, title, choices)

    def ask_text(self, title: str, done: Callable[[str], object], value: str = "", placeholder: str = "") -> None:
        """Ask for a line."""
        ask_text(self._screen.app, title, done, value=value, placeholder=placeholder)

    def open(self, screen: Screen[Any], done: Callable[[Any], None] | None = None) -> None:
        """Put another screen on top; `done` gets its result."""
        self._screen.app.push_screen(screen, done)

    def ask_yes(self, unasked: NeedsConsent, then: Callable[[], object], no: Callable[[], object]) -> None:
        """Ask for the yes that something needs, and do `then`; else do `no`."""
        ask_yes(self._screen.app, unasked, then, no)

    def open_path(self, path: Path) -> None:
        """Read a trace, and show it on the Search screen."""
        self._screen.agentr.open_path(path)

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        """Run a coroutine on the UI thread, in place of the one of the same group."""
        self._screen.run_worker(work, group=group, exclusive=True)

    def cancel(self, group: str) -> None:
        """Stop what runs in a group."""
        self._screen.workers.cancel_group(self._screen, group)

    def in_thread(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object] | None = None,
    ) -> None:
        """Run `work` in a thread, then `done` on the UI thread; an error is `failed`, or a complaint."""
        app = self._screen.agentr

        def both() -> None:
            try:
                result = work()
            except Exception as error:  # also one that nobody foresaw
                self._screen.from_thread(failed or self.complain, app.error_line(error))
            else:
                self._screen.from_thread(self._if_mounted, done, result)

        self._screen.run_worker(both, thread=True, group=group, exclusive=True, exit_on_error=False)

    def _if_mounted(self, done: Callable[[T], object], result: T) -> None:
        if self._screen.is_mounted:
            done(result)

    def beside(self, work: Callable[[Stopped], object], group: str) -> None:
        """Run `work` in a thread, in place of the one of the same group; it posts its results with `post`."""

        def run() -> None:
            worker = get_current_worker()
            work(lambda: worker.is_cancelled)

        self._screen.run_worker(run, thread=True, group=group, exclusive=True)

    def post(self, message: Message) -> None:
        """Send a message to the screen, from any thread."""
        self._screen.post_message(message)

    def later(self, call: Callable[[], object]) -> None:
        """Call after the next frame."""
        self._screen.call_after_refresh(call)

    def may_start(self) -> bool:
        """Whether no other search runs here; shows a notice where one does."""
        return may_start(self._screen)

    def start(self, make: Make) -> None:
        """Start a search and show it."""
        start_search(self._screen, make)

    def run_ready(self, ready: Ready) -> None:
        """Run a search that is ready, and show it."""
        run_ready(self._screen, ready)
