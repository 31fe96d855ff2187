"""Menus of the app itself: where to go, and how to leave a running search."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from textual.app import App

from agentr_tui.screens.shared.dialogs import Choice, ask

Act = Callable[[], object]


def ask_screen(app: App[Any], modes: Iterable[str], go: Callable[[str], object], help: Act, back: Act) -> None:
    """Open the menu of screens, help, palette and the way back, for the mouse.

    `app`: shows it. `modes`: names of the screens, in the order of their numbers. `go`: opens one by name. `help` and
    `back`: do that.
    """
    screens = [Choice(str(number), mode, partial(go, mode)) for number, mode in enumerate(modes, 1)]
    more = [
        Choice("?", "help", help),
        Choice(":", "palette: every action", app.action_command_palette),
        Choice("q", "back", back),
    ]
    ask(app, "go to", [*screens, *more])


def ask_whether_to_leave(app: App[Any], paused: bool, detach: Act, stop: Act) -> None:
    """Ask what becomes of a search that is not over: it goes on without the app, stops, or the person stays.

    `app`: shows the question. `paused`: whether the search is paused. `detach`: leaves, and lets the search go on.
    `stop`: stops the search, and leaves.
    """
    goes_on = "the search goes on again" if paused else "the search goes on"
    ask(
        app,
        f"A search is {'paused' if paused else 'running'}.",
        [
            Choice("d", f"detach: leave, {goes_on} (agentr attach shows it)", detach),
            Choice("s", "stop it cleanly and leave (it can be resumed)", stop),
            Choice("escape", "stay", lambda: None),
        ],
    )
