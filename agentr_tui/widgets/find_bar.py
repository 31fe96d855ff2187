"""The line in which a person writes what to find. It stays until it is closed; an error is shown below it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from agentr_tui.terminal.safe_text import escape


class FindInput(Input):
    """The input itself."""

    BINDINGS = [
        Binding("escape", "close", "close", show=False, id="find.close", tooltip="Find nothing: show all rows again"),
        Binding("down", "step(1)", "next", show=False, id="find.next", tooltip="Next match, and go on writing"),
        Binding("up", "step(-1)", "before", show=False, id="find.before", tooltip="Match before"),
        Binding("ctrl+t", "mode", "dim", show=False, id="find.mode", tooltip="Hide the other rows, or dim them"),
        Binding("tab", "leave", "to the tree", show=False, id="find.leave", tooltip="To the tree; the line stays"),
    ]  # fmt: skip

    def action_close(self) -> None:
        """End the search for matches."""
        self.post_message(FindBar.Closed())

    def action_step(self, by: int) -> None:
        """Another match."""
        self.post_message(FindBar.Stepped(by))

    def action_mode(self) -> None:
        """Filter or dim."""
        self.post_message(FindBar.ModeAsked())

    def action_leave(self) -> None:
        """To the tree."""
        self.post_message(FindBar.Left())


class FindBar(Vertical):
    """A line to write in and a line that answers."""

    DEFAULT_CSS = """
    FindBar { display: none; width: 1fr; height: auto; background: $panel; padding: 0 1; }
    FindBar.-open { display: block; }
    FindBar Horizontal { height: 1; width: 1fr; }
    FindBar .find-sign { width: 2; color: $agentr-focus; text-style: bold; }
    FindBar Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    FindBar #find-note { width: 1fr; height: auto; max-height: 3; color: $agentr-muted; }
    FindBar #find-note.-wrong { color: $agentr-warn; }
    """

    class Told(Message):
        """What a person does with the line."""

    class Typed(Told):
        """The text is another."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Entered(Told):
        """Enter: to the first match."""

    class Stepped(Told):
        """To another match."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    class ModeAsked(Told):
        """Hide what does not match, or dim it."""

    class Left(Told):
        """To the tree; the line stays."""

    class Closed(Told):
        """The line was closed: end the search for matches."""

    def compose(self) -> ComposeResult:
        """A sign, the input, the answer."""
        with Horizontal():
            yield Static("/", classes="find-sign", markup=False)
            yield FindInput(
                compact=True, select_on_focus=False, id="find-input", placeholder="q>0.5 disaster action~craft"
            )
        yield Static("", id="find-note", markup=False)

    @property
    def text(self) -> str:
        """What is written."""
        return self.query_one(FindInput).value

    def open(self, text: str | None = None) -> None:
        """Show the line and write in it."""
        self.add_class("-open")
        field = self.query_one(FindInput)
        if text is not None:
            field.value = text
            field.cursor_position = len(text)
        field.focus()

    def close(self) -> None:
        """Put the line away."""
        self.remove_class("-open")
        with self.prevent(Input.Changed):
            self.query_one(FindInput).value = ""

    @property
    def is_open(self) -> bool:
        """Whether the line is shown."""
        return self.has_class("-open")

    def say(self, text: str, wrong: bool = False) -> None:
        """Answer below the line."""
        note = self.query_one("#find-note", Static)
        note.set_class(wrong, "-wrong")
        note.update(escape(text))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered())
