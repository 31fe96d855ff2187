"""What the parts of a screen may ask of the screen that holds them.

Each part is a plain object: it is given services, and those of a test will do in place of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen

from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.start_search import Make
from agentr_tui.state.event_buffer import Ready
from agentr_tui.state.session import Session
from engine.environment.permission import NeedsConsent

T = TypeVar("T")

Stopped = Callable[[], bool]
"""Whether what runs in a thread shall end."""


class Services(Protocol):
    """A screen as its parts see it."""

    @property
    def session(self) -> Session:
        """The open tree, the moment that is looked at, the search that runs."""
        ...

    @property
    def in_front(self) -> bool:
        """Whether a person sees the screen now."""
        ...

    def say(self, message: str, *, severity: SeverityLevel = "information", seconds: float | None = None) -> None:
        """Show a notice.

        `message`: one line. `severity`: Textual's. `seconds`: how long; None: as the app has it.
        """
        ...

    def complain(self, message: str) -> None:
        """Show one line that says what went wrong."""
        ...

    def choose(self, title: str, choices: Sequence[Choice]) -> None:
        """Open a menu."""
        ...

    def ask_text(self, title: str, done: Callable[[str], object], value: str = "", placeholder: str = "") -> None:
        """Ask for a line.

        `title`: the question. `done`: called with the text; not where a person gives up. `value`: stands there first.
        `placeholder`: shown while the line is empty.
        """
        ...

    def open(self, screen: Screen[Any], done: Callable[[Any], None] | None = None) -> None:
        """Put another screen on top; `done` gets its result."""
        ...

    def ask_yes(self, unasked: NeedsConsent, then: Callable[[], object], no: Callable[[], object]) -> None:
        """Ask for the yes that something needs.

        `unasked`: what needs it. `then`: called after a yes. `no`: called otherwise.
        """
        ...

    def open_path(self, path: Path) -> None:
        """Read a trace, and show it on the Search screen."""
        ...

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        """Run a coroutine on the UI thread, in place of the one of the same group."""
        ...

    def cancel(self, group: str) -> None:
        """Stop what runs in a group."""
        ...

    def in_thread(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object] | None = None,
    ) -> None:
        """Run work in a thread, in place of the work of the same group.

        `work`: returns a result. `done`: called with it on the UI thread. `group`: name of the group. `failed`: called
        with a line about the error; None: the line is shown as a complaint. An error that is not an `AgentrError` is
        also logged.
        """
        ...

    def beside(self, work: Callable[[Stopped], object], group: str) -> None:
        """Run `work` in a thread, in place of the one of the same group; it posts its results with `post`."""
        ...

    def post(self, message: Message) -> None:
        """Send a message to the screen, from any thread."""
        ...

    def later(self, call: Callable[[], object]) -> None:
        """Call after the next frame."""
        ...

    def may_start(self) -> bool:
        """Whether no other search runs here; shows a notice where one does."""
        ...

    def start(self, make: Make) -> None:
        """Start a search and show it."""
        ...

    def run_ready(self, ready: Ready) -> None:
        """Run a search that is ready, and show it."""
        ...
