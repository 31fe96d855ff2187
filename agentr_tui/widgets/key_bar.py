"""The line at the bottom: the keys that are used most here. A key without room is left out whole, `?` never.

A click does what the key does; the mouse over a key shows its meaning.
"""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import RenderResult
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from agentr_tui.terminal.theme import palette

GAP = 1
"""Cells between two keys."""

NOTHING_KEYS = ("mode('library')", "help")
"""Actions that are told where a screen has nothing to show."""


class ShownKey(NamedTuple):
    """A key, what it does in a word, and more of that."""

    key: str
    display: str
    word: str
    action: str
    tooltip: str

    @property
    def cells(self) -> int:
        """How wide it is: ` key  word `."""
        return cell_len(self.display) + cell_len(self.word) + 4


def fitting(keys: list[ShownKey], width: int, last: str = "help") -> list[ShownKey]:
    """Returns as many keys as fit, in their order, with one of them always at the end.

    `keys`: in order of use. `width`: cells. `last`: action of the key that is always there.
    """
    kept = [key for key in keys if key.action == last]
    room = width - sum(key.cells for key in kept)
    shown: list[ShownKey] = []
    for key in keys:
        if key.action != last:
            room -= key.cells + (GAP if shown or kept else 0)
            if room < 0:
                break
            shown.append(key)
    return shown + kept


class KeyBar(Widget):
    """Draws the bindings of the screen that are to be shown."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; background: $panel; }"

    left_out: reactive[frozenset[str]] = reactive(frozenset())
    """Actions that lead nowhere now: their keys give their room to others."""

    words: reactive[dict[str, str]] = reactive(dict)
    """What actions do in the state that is shown, where that is not what their bindings say."""

    also: reactive[frozenset[str]] = reactive(frozenset())
    """Actions that are told first now, though their bindings are not shown."""

    out_of_nothing: reactive[frozenset[str]] = reactive(frozenset())
    """Further actions that are told where the screen has nothing to show, because they change that."""

    def keys(self) -> list[ShownKey]:
        """What is shown at this width, from left to right."""
        nothing = self.screen.has_class("-nothing")
        lead_on = (*NOTHING_KEYS, *self.out_of_nothing)
        found: dict[str, ShownKey] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            name = binding.action.removeprefix("app.")
            told = binding.show or name in self.also
            here = name in lead_on if nothing else told and name not in self.left_out
            if here and active.enabled and active.node.display:  # what has the focus may be hidden
                display = self.app.get_key_display(binding)
                word = self.words.get(name, binding.description.lower())
                found.setdefault(name, ShownKey(binding.key, display, word, name, active.tooltip or ""))
        shown = sorted(found.values(), key=lambda key: key.action not in self.also)
        return fitting(shown, self.size.width)

    def render(self) -> RenderResult:
        """The line."""
        colors = palette(self.app.current_theme)
        sign, word = Style.parse(colors.focus) + Style(reverse=True, bold=True), Style.parse(colors.text)
        text = Text(end="", no_wrap=True)
        for place, key in enumerate(self.keys()):
            text.append(" " * GAP if place else "")
            text.append(f" {key.display} ", sign)
            text.append(f" {key.word} ", word)
        return text

    def _at(self, x: int) -> ShownKey | None:
        start = 0
        for key in self.keys():
            if start <= x < start + key.cells:
                return key
            start += key.cells + GAP
        return None

    def on_mount(self) -> None:
        """Bindings come and go with the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """As if the key were pressed."""
        key = self._at(event.x)
        if key is not None:
            event.stop()
            self.app.simulate_key(key.key)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Tell more of the key under the mouse."""
        key = self._at(event.x)
        self.tooltip = key.tooltip if key is not None else None
