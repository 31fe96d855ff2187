"""The Search screen as a desk: what its parts ask for, done by the screen and the app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from textual.notifications import SeverityLevel
from textual.screen import Screen

from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.screens.shared.palette import actions
from agentr_tui.screens.shared.start_search import Make, may_start, start_search
from agentr_tui.state.session import Session
from agentr_tui.widgets.tree.marked_view import MarkedTree
from engine.base.errors import AgentrError

T = TypeVar("T")


class ScreenDesk:
    """A `Desk` (`agentr_tui.screens.search.desk`) over a screen with a tree."""

    def __init__(self, screen: ModeScreen) -> None:
        self._screen = screen

    @property
    def session(self) -> Session:
        """The open tree, the moment that is looked at, the search that runs."""
        return self._screen.agentr.session

    @property
    def tree_view(self) -> MarkedTree:
        """The tree widget."""
        return self._screen.query_one("#tree", MarkedTree)

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

    def open_path(self, path: Path) -> None:
        """Read a trace, and show it here."""
        self._screen.agentr.open_path(path)

    def action_named(self, name: str) -> Callable[[], object] | None:
        """The action that a binding's id (or its last part) names; None where there is none now."""
        known = actions(self._screen.app, self._screen)
        action = next((each for each in known if name in (each.id, each.id.partition(".")[2])), None)
        return None if action is None else partial(self._screen.call_later, action.run)

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        """Run a coroutine on the UI thread, in place of the one of the same group."""
        self._screen.run_worker(work, group=group, exclusive=True)

    def cancel(self, group: str) -> None:
        """Stop what `run` started."""
        self._screen.workers.cancel_group(self._screen, group)

    def in_thread(self, work: Callable[[], T], done: Callable[[T], object], group: str) -> None:
        """Run `work` in a thread, then `done` on the UI thread; an `AgentrError` becomes a complaint."""

        def both() -> None:
            try:
                result = work()
            except AgentrError as error:
                self._screen.from_thread(self.complain, str(error))
            else:
                self._screen.from_thread(self._if_mounted, done, result)

        self._screen.run_worker(both, thread=True, group=group, exclusive=True, exit_on_error=False)

    def _if_mounted(self, done: Callable[[T], object], result: T) -> None:
        if self._screen.is_mounted:
            done(result)

    def later(self, call: Callable[[], object]) -> None:
        """Call after the next frame."""
        self._screen.call_after_refresh(call)

    def go_to_node(self, node: int) -> None:
        """Put the cursor on a node, where it is there at the moment that is looked at."""
        reader = self.session.reader
        if reader is None or node >= len(reader):
            self._screen.notify(f"Node {node} is not there at this moment.", severity="warning")
            return
        self.tree_view.go_to(node)
        self.tree_view.focus()

    def may_start(self) -> bool:
        """Whether no other search runs here; says so where one does."""
        return may_start(self._screen)

    def start(self, make: Make) -> None:
        """Start a search and show it."""
        start_search(self._screen, make)
