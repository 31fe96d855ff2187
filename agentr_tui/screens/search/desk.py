"""What the parts of the Search screen may ask of the screen that holds them.

Each part is a plain object: it is given a desk, and a test's own desk will do in place of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from textual.notifications import SeverityLevel
from textual.screen import Screen

from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.start_search import Make
from agentr_tui.state.session import Session
from agentr_tui.widgets.tree.marked_view import MarkedTree

T = TypeVar("T")


class Desk(Protocol):
    """The Search screen as its parts see it."""

    @property
    def session(self) -> Session:
        """The open tree, the moment that is looked at, the search that runs."""
        ...

    @property
    def tree_view(self) -> MarkedTree:
        """The tree widget."""
        ...

    @property
    def in_front(self) -> bool:
        """Whether a person sees the screen now."""
        ...

    def say(self, message: str, *, severity: SeverityLevel = "information", seconds: float | None = None) -> None:
        """Show a notice."""
        ...

    def complain(self, message: str) -> None:
        """Show one line that says what went wrong."""
        ...

    def choose(self, title: str, choices: Sequence[Choice]) -> None:
        """Open a menu."""
        ...

    def ask_text(self, title: str, done: Callable[[str], object], value: str = "", placeholder: str = "") -> None:
        """Ask for a line."""
        ...

    def open(self, screen: Screen[Any], done: Callable[[Any], None] | None = None) -> None:
        """Put another screen on top; `done` gets its result."""
        ...

    def open_path(self, path: Path) -> None:
        """Read a trace, and show it here."""
        ...

    def action_named(self, name: str) -> Callable[[], object] | None:
        """The action that a binding's id (or its last part) names; None where there is none now."""
        ...

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        """Run a coroutine on the UI thread, in place of the one of the same group."""
        ...

    def cancel(self, group: str) -> None:
        """Stop what `run` started."""
        ...

    def in_thread(self, work: Callable[[], T], done: Callable[[T], object], group: str) -> None:
        """Run `work` in a thread, then `done` on the UI thread; an `AgentrError` becomes a complaint."""
        ...

    def later(self, call: Callable[[], object]) -> None:
        """Call after the next frame."""
        ...

    def go_to_node(self, node: int) -> None:
        """Put the cursor on a node, where it is there at the moment that is looked at."""
        ...

    def may_start(self) -> bool:
        """Whether no other search runs here; says so where one does."""
        ...

    def start(self, make: Make) -> None:
        """Start a search and show it."""
        ...
