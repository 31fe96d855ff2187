"""Asking for alpha and beta on the Pairs screen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from agentr_tui.screens.shared.dialogs import ask_text
from agentr_tui.screens.shared.mode_screen import ModeScreen


def ask_threshold(screen: ModeScreen, name: Literal["alpha", "beta"], changed: Callable[[], object]) -> None:
    """Ask for alpha or beta.

    `screen`: shows the question. `name`: which of the two. `changed`: called when the value is another one.
    """
    session = screen.agentr.session
    if session.tree is None:
        screen.notify("No tree is open: press 1 for the library.", severity="warning")
        return
    low, high = session.score_range
    now = getattr(session.thresholds, name)
    told = {
        "alpha": f"alpha: the Q of a good leaf must exceed it (returns: {low:g} to {high:g})",
        "beta": "beta: a bad leaf's Q must be lower by more than it",
    }[name]

    def take(text: str) -> None:
        """Takes the number that was typed; anything else leaves the threshold as it is."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            told = f"{text[:40]!r} is not a number: {name} stays {now:g}."
            screen.notify(told, severity="warning", markup=False)
            return
        setattr(session, name, value)
        changed()

    ask_text(screen.app, told, take, f"{now:g}")
