"""What a screen may ask of the app that shows it; the app (`agentr_tui.app.app`) provides it."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from textual.app import App

from agentr_tui.state.live_search import LiveSearch
from agentr_tui.state.session import Session
from engine.verifiers.base import JudgeSettings


class Host(App[int]):
    """The app as its screens see it."""

    session: Session

    @property
    @abstractmethod
    def is_leaving(self) -> bool:
        """Whether a person or a signal said that the app is to end."""

    @abstractmethod
    def complain(self, message: str) -> None:
        """Show one line that says what went wrong."""

    @abstractmethod
    def error_line(self, error: Exception) -> str:
        """One line about an error, from any thread; a defect of ours is logged, too."""

    @abstractmethod
    def open_path(self, path: Path, follow: bool = False, mode: str = "search", beside: Path | None = None) -> None:
        """Read a trace or tree file in a worker, and show it on a screen.

        `path`: the file. `follow`: whether to wait for a trace that holds no event yet. `mode`: name of the screen.
        `beside`: another trace to compare it with; None: none.
        """

    @abstractmethod
    def show_tree(self, mode: str = "search") -> None:
        """Go to a screen that shows the session's tree."""

    @abstractmethod
    def run_live(self, live: LiveSearch) -> None:
        """Run a search in a thread worker."""

    @abstractmethod
    def own_judge(self) -> JudgeSettings:
        """The verifier `openai` as the user's settings name it. Reads files: call it in a worker."""
