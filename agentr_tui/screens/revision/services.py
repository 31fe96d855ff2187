"""What the parts of the Revision screen may ask of the screen that holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Protocol, TypeVar

from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.shared.services import Services
from agentr_tui.terminal.theme import Role
from agentr_tui.widgets.text_pane import Line, TextPane
from engine.verifiers.base import JudgeSettings

T = TypeVar("T")

NO_KEYS: Mapping[str, str] = MappingProxyType({})
"""An explanation from which no key of its own leads on."""


class RevisionServices(Services, Protocol):
    """The Revision screen as its parts see it."""

    def pane(self, name: str) -> TextPane:
        """One of the panes `bad`, `why`, `spliced`, `replay`."""
        ...

    @property
    def recovery(self) -> RecoveryPane:
        """What continuations say of the sample."""
        ...

    @property
    def narrow(self) -> bool:
        """Whether only one side has room."""
        ...

    def show_top(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        """The line at the top."""
        ...

    def show_right_side(self) -> None:
        """In a narrow window: the conversation in place of the bad trajectory."""
        ...

    def show_placeholder(self, lines: Sequence[Line] | None, keys: Mapping[str, str] = NO_KEYS) -> None:
        """Replace the body by an explanation; None restores it. `keys`: actions that lead on from it, with a word
        each."""
        ...

    def with_consent(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object],
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Run `work` and `after` in a thread, `done` on the UI thread; where `work` needs a person's yes, ask, and run
        it again after the yes.

        `work`: returns a result. `done`: called with it. `group`: work of a group takes the place of work that was
        asked for before and did not begin. `failed`: called with the line that says what went wrong. `after`: called
        after `work`.
        """
        ...

    def trusted(self, check: Callable[[], object], then: Callable[[], object]) -> bool:
        """Whether what a trace names may be used; where a person has to be asked first, calls `then` after a yes."""
        ...

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Call again and again; what is returned ends that."""
        ...

    def suspended(self) -> AbstractContextManager[None]:
        """The terminal is another program's meanwhile. Raises `SuspendNotSupported`."""
        ...

    def is_leaving(self) -> bool:
        """Whether a person or a signal said that the app is to end."""
        ...

    def own_judge(self) -> JudgeSettings:
        """The verifier `openai` as the user's settings name it. Reads files: call it in a thread."""
        ...
