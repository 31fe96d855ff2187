"""The one line at the top: which screen, which task, how the search stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget

from agentr_tui.safe_text import clip
from agentr_tui.theme import Role, palette

MODES = ("library", "search", "pairs", "revision", "dataset")
"""The screens, in the order of their keys 1 to 5."""

Parts = tuple[tuple[str, Role], ...]


class TopBar(Widget):
    """Mode badge at the left, then what the screen says, then figures at the right."""

    DEFAULT_CSS = "TopBar { height: 1; dock: top; background: $panel; }"

    left: reactive[Parts] = reactive(())
    right: reactive[Parts] = reactive(())

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def show(self, left: Sequence[tuple[str, Role]], right: Sequence[tuple[str, Role]] = ()) -> None:
        """Put these parts up."""
        self.left, self.right = tuple(left), tuple(right)

    def render(self) -> RenderResult:
        """The line; what doesn't fit is cut from the middle."""
        colors = palette(self.app.current_theme)
        width = self.size.width
        number = MODES.index(self.mode) + 1
        text = Text(f" {number} {self.mode.capitalize()} ", Style.parse(colors.focus) + Style(reverse=True), end="")
        figures = Text(end="")
        for part, role in self.right:
            figures.append(part, colors[role])
        room = width - text.cell_len - figures.cell_len - 2
        if room < 12:
            figures, room = Text(end=""), width - text.cell_len - 1
        text.append(" ")
        for part, role in self.left:
            shown = clip(part, room)
            text.append(shown, colors[role])
            room -= Text(shown).cell_len
            if room <= 0:
                break
        gap = width - text.cell_len - figures.cell_len - 1
        text.append(" " * max(0, gap))
        text.append_text(figures)
        return text

    def on_click(self, event: Click) -> None:
        """A click on the badge opens the menu of screens."""
        if event.x < len(self.mode) + 4:
            self.app.action_command_palette()
