"""Help for where you are: the bindings of the screen in front, from their own tooltips."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.events import Click
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from agentr_tui.screens.palette import rank
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line

GLYPHS = (
    ("✓ ✗", "good and bad leaf: the return of a finished trajectory"),
    ("◌", "never visited: the search goes there before it goes anywhere twice"),
    ("▸ ▾", "folded and open"),
    ("N Q", "visits and mean return of what lies below"),
)


class HelpScreen(ModalScreen[None]):
    """All keys that work on a screen, with what they do."""

    BINDINGS = [Binding("escape,q,question_mark", "dismiss(None)", "close", id="help.close", tooltip="Close the help")]

    def __init__(self, of: Screen[Any]) -> None:
        super().__init__()
        self._of = of

    def compose(self) -> ComposeResult:
        """The keys in a scrolling box."""
        with Vertical(classes="dialog help"):
            yield Static("keys here · esc closes", classes="dialog-title", markup=False)
            yield TextPane()

    def on_click(self, event: Click) -> None:
        """Beside the help: close it."""
        if event.widget is self:
            self.dismiss(None)

    def on_mount(self) -> None:
        """List the bindings that are active on the screen below."""
        self.query_one(TextPane).set_lines(help_lines(self._of))
        self.query_one(TextPane).focus()


def help_lines(screen: Screen[Any]) -> list[Line]:
    """One line a binding: keys, what they do. Bindings of the screen come first, then the app's, the widget's."""
    seen: dict[tuple[str, str], list[str]] = {}
    of_screen_first = sorted(screen.active_bindings.values(), key=lambda active: rank(active.node))
    for active in of_screen_first:
        binding = active.binding
        told = binding.tooltip or binding.description
        if told and not binding.system:
            shown = binding.key_display or screen.app.get_key_display(binding)
            seen.setdefault((binding.action, told), []).append(shown)
    lines = [
        line((f"{' '.join(dict.fromkeys(keys)):>14}  ", "focus"), (told, "text"), indent=16)
        for (_, told), keys in seen.items()
    ]
    lines.append(BLANK)
    lines += [line((f"{glyph:>14}  ", "muted"), (told, "text"), indent=16) for glyph, told in GLYPHS]
    return lines
