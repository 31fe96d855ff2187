"""The line after `:`, which completes names of commands and remembers what was written."""

from __future__ import annotations

from collections.abc import Sequence

from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.suggester import SuggestFromList
from textual.widgets import Input

from agentr_tui.screens.shared.dialogs import Prompt

KEPT = 50
"""Lines that are remembered."""


class CommandPrompt(Prompt):
    """A prompt with completion (`tab`) and history (`up`, `down`)."""

    BINDINGS = [
        Binding("tab", "complete", "complete", show=False, id="prompt.complete", tooltip="Complete the command"),
        Binding("up", "recall(1)", "before", show=False, id="prompt.before", tooltip="The line written before"),
        Binding("down", "recall(-1)", "later", show=False, id="prompt.later", tooltip="The line written after it"),
    ]

    def __init__(self, title: str, value: str, placeholder: str, names: Sequence[str], history: list[str]) -> None:
        """`names`: what is completed; `history`: lines that were written, the newest last; this one joins them."""
        super().__init__(title, value, placeholder)
        self._names, self._history = names, history
        self._back = 0  # how many lines back the input shows

    def on_mount(self) -> None:
        """Names are completed while they are written."""
        self.query_one(Input).suggester = SuggestFromList(self._names, case_sensitive=False)

    def action_complete(self) -> None:
        """Take the first name that begins so."""
        field = self.query_one(Input)
        name = next((name for name in self._names if field.value and name.startswith(field.value.lower())), None)
        if name is not None:
            field.value = name
            field.cursor_position = len(name)

    def action_recall(self, by: int) -> None:
        """An earlier line, or a later one."""
        self._back = max(0, min(len(self._history), self._back + by))
        field = self.query_one(Input)
        field.value = self._history[-self._back] if self._back else ""
        field.cursor_position = len(field.value)

    def dismiss(self, result: str | None = None) -> AwaitComplete:
        """End it; a line that was taken is remembered."""
        if result is not None and (written := result.strip()) and self.is_current:
            self._history[:] = [*(line for line in self._history if line != written), written][-KEPT:]
        return super().dismiss(result)
