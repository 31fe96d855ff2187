"""Help for where you are: the bindings of the screen in front, from their own tooltips."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Static

from agentr_tui.screens.shared.dialogs import Popup
from agentr_tui.screens.shared.glossary import WORDS
from agentr_tui.screens.shared.palette import rank
from agentr_tui.terminal.theme import glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line


def signs_on(mode: str) -> list[tuple[str, str]]:
    """What the signs of a screen mean."""
    signs = glyphs()
    ends = (f"{signs.good} {signs.bad}", "good and bad leaf: the return of a finished trajectory")
    if mode == "library":
        return [
            (signs.running, "running, here or in another process"),
            (signs.paused, "paused (space goes on), or stopped (r goes on)"),
            (signs.good, "done"),
            (signs.bad, "crashed (r goes on), or a file that can't be read"),
        ]
    if mode == "pairs":
        told = "steps of the good and of the bad trajectory, after the fork"
        return [ends, (f"{signs.plus} {signs.minus}", told)]
    if mode == "revision":
        return [
            ends,
            (signs.trained, "a turn that is trained"),
            (signs.untrained, "a turn that is not: masked from the loss"),
            (signs.edited, "what a person did or wrote"),
        ]
    if mode == "search":
        return [
            ends,
            (signs.disaster, "a disaster: the score fell below 0"),
            (signs.dead_end, "a dead end: no answer of the actor was usable"),
            (signs.unseen, "never visited: the search goes there before it goes anywhere twice"),
            (f"{signs.folded} {signs.open}", "folded and open"),
            (signs.repeat, "a state that was reached before"),
            (f"{signs.unseen} 3 more", "never-visited siblings in one row: l gives each a row, v n all"),
            (signs.bookmark, "a bookmark"),
            (signs.edited, "what a person did or wrote"),
            ("N Q", "visits and mean return of what lies below"),
        ]
    return []


class HelpScreen(Popup[None]):
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

    def on_mount(self) -> None:
        """List the bindings that are active on the screen below."""
        self.query_one(TextPane).set_lines(help_lines(self._of))
        self.query_one(TextPane).focus()


GROUPS = ("on this screen", "everywhere", "in this pane")
"""What bindings of rank 0, 1 and 2 are headed with."""


def help_lines(screen: Screen[Any]) -> list[Line]:
    """Returns one line a binding: keys, what they do. Bindings of the screen come first, then the app's, the pane's.

    A key that the display of another names as its second (`, .`) is in the line of that one.
    """
    groups: tuple[dict[str, list[str]], ...] = ({}, {}, {})  # keys as they are shown → what they do
    for active in screen.active_bindings.values():
        binding, rows = active.binding, groups[rank(active.node)]
        told = binding.tooltip
        if not told or binding.system or not binding.id:  # Textual's own have no id
            continue
        shown = screen.app.get_key_display(binding)
        same = next((keys for keys, said in rows.items() if said == [told]), None)
        pair = next((keys for keys in rows if shown in keys.split() and keys != shown), None)
        if pair is not None:
            rows[pair] = [*rows[pair], told[0].lower() + told[1:]]
        elif same is not None:
            rows[f"{same} {shown}"] = rows.pop(same)
        else:
            rows[shown] = [told]
    lines: list[Line] = []
    for heading, rows in zip(GROUPS, groups, strict=True):
        if rows:
            lines.append(line((heading, "muted")))
            lines += [
                line((f"{keys:>14}  ", "focus"), (" / ".join(told), "text"), indent=16) for keys, told in rows.items()
            ]
            lines.append(BLANK)
    words = WORDS.get(getattr(screen, "MODE", ""), ())
    if words:
        lines.append(line(("words", "muted")))
        lines += [line((f"{word:>14}  ", "focus"), (told, "text"), indent=16) for word, told in words]
        lines.append(BLANK)
    signs = signs_on(getattr(screen, "MODE", ""))
    if signs:
        lines.append(line(("signs", "muted")))
    lines += [line((f"{glyph:>14}  ", "muted"), (told, "text"), indent=16) for glyph, told in signs]
    return lines
