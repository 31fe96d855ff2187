"""Small dialogs over a screen: choose one of a few, type one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from textual import on
from textual.app import App, ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, Key
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from agentr_tui.terminal.safe_text import clip, escape
from agentr_tui.terminal.theme import palette
from agentr_tui.widgets.laid_out import LastLayout
from engine.environment.permission import NeedsConsent

LONGEST_QUESTION = 400
"""Cells of what a file names that a dialog shows."""


@dataclass(frozen=True)
class Choice:
    """One of the things that may follow."""

    key: str
    label: str
    action: Callable[[], object]
    why_not: str = ""  # why it can't be done now: it stands dimmed, the reason below it


Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A dialog that ends once, also where a second key or click was on its way when it ended."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = LastLayout()

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """End it with a result; where it has ended, nothing."""
        return super().dismiss(result) if self.is_current else AwaitComplete()


class Popup(Dialog[Result], Generic[Result]):
    """A dialog without text fields: a click beside it closes it."""

    def on_click(self, event: Click) -> None:
        """Beside the dialog: as escape."""
        if event.widget is self:
            self.dismiss(None)


class Menu(Popup[Choice]):
    """A few choices, each a key; arrows, enter and the mouse work too. Leader keys open one."""

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self.question = title
        self._choices = list(choices)

    def compose(self) -> ComposeResult:
        """A title and the choices."""
        wide = max((len(_shown(choice.key)) for choice in self._choices), default=1)
        colors = palette(self.app.current_theme)
        key, muted = f"bold {colors.focus}", colors.muted
        with Vertical(classes="dialog"):
            yield Static(escape(self.question), classes="dialog-title", markup=False)
            yield OptionList(
                *(Option(_line(choice, wide, key, muted)) for choice in self._choices),
                compact=True,
            )

    def on_key(self, event: Key) -> None:
        """A choice's own key."""
        for choice in self._choices:
            if event.key == choice.key or event.character == choice.key:
                event.stop()
                self.dismiss(choice)
                return
        if event.key in ("escape", "q"):
            event.stop()
            self.dismiss(None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        self.dismiss(self._choices[event.option_index])


def _line(choice: Choice, wide: int, key: str, muted: str) -> Content:
    """A choice as it is shown: its key and its label, or, dimmed, why it can't be done."""
    shown = f" {_shown(choice.key):<{wide}} "
    if not choice.why_not:
        return Content.assemble((shown, key), f" {escape(choice.label)}")
    return Content.assemble((f"{shown} {escape(choice.label)}\n{' ' * (wide + 5)}{escape(choice.why_not)}", muted))


def _shown(key: str) -> str:
    return {"escape": "esc"}.get(key, key)


class Prompt(Dialog[str]):
    """One line of text; escape leaves it."""

    BINDINGS = [Binding("escape", "dismiss(None)", "cancel", id="prompt.cancel", tooltip="Leave without a change")]

    def __init__(self, title: str, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self.question, self._value, self._placeholder = title, value, placeholder

    def compose(self) -> ComposeResult:
        """A title and an input."""
        with Vertical(classes="dialog prompt"):
            yield Static(escape(self.question), classes="dialog-title", markup=False)
            yield Input(escape(self._value), placeholder=self._placeholder, select_on_focus=False)
            yield Static(
                "[@click=screen.take]enter takes it[/] · [@click=screen.dismiss(None)]esc leaves[/]",
                classes="dialog-hint",
            )

    @on(Input.Submitted)
    def action_take(self) -> None:
        """Enter, or a click on the word."""
        self.dismiss(self.query_one(Input).value)


def ask(app: App[Any], title: str, choices: Sequence[Choice]) -> None:
    """Open a menu and do what is chosen.

    `app`: shows it. `title`: the question. `choices`: one a key.
    """

    def chosen(choice: Choice | None) -> None:
        if choice is not None:
            choice.action()

    app.push_screen(Menu(title, choices), chosen)


def ask_yes(
    app: App[Any], unasked: NeedsConsent, then: Callable[[], object], no: Callable[[], object] = lambda: None
) -> None:
    """Ask for the yes that something needs; after a yes, remember it on this machine.

    `app`: shows the question. `unasked`: what needs the yes. `then`: called after a yes. `no`: called otherwise.
    """

    def yes() -> None:
        unasked.allow()
        then()

    leave = Choice("escape", "leave it", no)

    def chosen(choice: Choice | None) -> None:
        (choice or leave).action()

    told = f"{clip(unasked.told, LONGEST_QUESTION)}. {unasked.whence}"
    app.push_screen(Menu(told, [leave, Choice("y", "that is right: go on, and remember it", yes)]), chosen)


def trusted(app: App[Any], check: Callable[[], object], then: Callable[[], object]) -> bool:
    """Returns whether what a trace names may be used; where a person has to be asked first, asks.

    `app`: shows the question. `check`: raises `NeedsConsent` where a person has to be asked. `then`: called after a
    yes.
    """
    try:
        check()
    except NeedsConsent as unasked:
        ask_yes(app, unasked, then)
        return False
    return True


def ask_text(app: App[Any], title: str, then: Callable[[str], object], value: str = "", placeholder: str = "") -> None:
    """Ask for one line of text.

    `app`: shows the question. `title`: the question. `then`: called with the text; not where a person gives up.
    `value`: stands there first. `placeholder`: shown while the line is empty.
    """

    def typed(text: str | None) -> None:
        if text is not None:
            then(text)

    app.push_screen(Prompt(title, value, placeholder), typed)
