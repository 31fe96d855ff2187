"""Writing a step by hand: the actor's answer in a text area."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from agentr_tui.screens.shared.dialogs import Dialog
from agentr_tui.terminal.safe_text import escape


class EditStep(Dialog[str]):
    """A response to edit; it has to hold an action."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel", id="edit.cancel", tooltip="Leave without a change"),
        Binding("ctrl+s,f2", "keep", "keep", id="edit.keep", priority=True, tooltip="Take this step"),
    ]
    DEFAULT_CSS = """
    EditStep .dialog { width: 90%; max-width: 110; height: 60%; }
    EditStep TextArea { height: 1fr; background: $background; }
    """

    def __init__(self, title: str, response: str, executed: str) -> None:
        """`executed`: a clause that says which part of the text is executed."""
        super().__init__()
        self._executed = executed
        self._title = title
        self._shown = escape(response, multiline=True)  # control characters are written out: they would be obeyed
        self._changed_by_us = self._shown != response

    def compose(self) -> ComposeResult:
        """A title, the text, what the keys do."""
        with Vertical(classes="dialog"):
            yield Static(escape(self._title), classes="dialog-title", markup=False)
            yield TextArea(self._shown, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True)
            hint = f"ctrl+s takes it · esc leaves it · {self._executed}"
            if self._changed_by_us:
                hint += " · control characters are written out"
            yield Static(hint, classes="dialog-hint", markup=False)

    def on_mount(self) -> None:
        """Begin at the end, where the action is."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_keep(self) -> None:
        """Take what is written."""
        self.dismiss(self.query_one(TextArea).text)
