"""Hints: those for the first minute, over the keys of the screen in front, and a line about a key without a meaning."""

from __future__ import annotations

import time

from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input

from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.session import Session
from agentr_tui.state.tour import Facts, Tour
from agentr_tui.state.workspace_contents import contents
from agentr_tui.widgets.hint_line import HintLine

HINT_EVERY = 5.0
"""Seconds between two words about keys that mean nothing."""


class Hints:
    """The hints that the app shows by itself."""

    def __init__(self, tour: Tour | None) -> None:
        """`tour`: the hints of the first minute; None gives none."""
        self._tour = tour
        self._last = 0.0  # monotonic seconds of the last word about a key

    def show(self, screen: Screen[object], mode: str, session: Session) -> None:
        """Show the hint that fits what was done so far.

        `screen`: the one in front. `mode`: its name. `session`: holds decisions and workspace.
        """
        tour = self._tour
        if tour is None or not isinstance(screen, ModeScreen) or not screen.is_mounted:
            return
        if tour.hint:
            accepted = sum(each.verdict == "accepted" for each in session.decisions.current().values())
            found = contents(session.workspace)
            to_see = session.running or bool(session.tree) or session.workspace.has_runs()
            tour.go_on(Facts(mode, accepted, found.exports, to_see, bool(found.traces or session.sources)))
        line = next((each for each in screen.children if isinstance(each, HintLine)), None)
        if line is not None:
            line.show(tour.hint)
        elif tour.hint and screen.is_attached:  # an app that ends has taken its screens away
            screen.mount(HintLine(), before=screen.key_bar)

    def can_end(self, screen: Screen[object]) -> bool:
        """Whether escape ends the hints: one is shown, and escape means nothing else."""
        free = isinstance(screen, ModeScreen) and not isinstance(screen.focused, Input)
        return free and self._tour is not None and bool(self._tour.hint)

    def end(self) -> None:
        """Show no more hints, from now on."""
        if self._tour is not None:
            self._tour.end()

    def of_key(self, event: Key, screen: Screen[object]) -> str:
        """A line about a key that is not bound, at most once in `HINT_EVERY` seconds; else empty."""
        now = time.monotonic()
        bound = not isinstance(screen, ModeScreen) or event.key in screen.active_bindings
        if bound or not event.is_printable or now - self._last <= HINT_EVERY:
            return ""
        self._last = now
        return f"{(event.character or '').strip() or event.key} is not bound here; press ? for the keys"
