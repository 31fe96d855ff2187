"""Starting a search from a screen: made ready in a thread, a question where a trace names a stranger, then live."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentr_tui.screens.shared.dialogs import ask_yes
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.event_buffer import Ready
from engine.base.errors import AgentrError
from engine.environment.permission import NeedsConsent
from engine.search.job import SearchJob
from engine.tree.events import AnyEvent

Make = Callable[[Callable[[AnyEvent], None]], SearchJob]
"""Makes a search whose events go to the listener. Before it runs, it may raise `InputError` and `NeedsConsent`."""


def may_start(screen: ModeScreen) -> bool:
    """Whether no other search runs here; shows a notice where one does."""
    if screen.agentr.session.running:
        screen.agentr.complain("a search is running: stop it (S on the Search screen) before another is started")
        return False
    return True


def start_search(screen: ModeScreen, make: Make) -> None:
    """Make the search ready beside the screen, then run and show it."""

    def prepare() -> None:
        try:
            ready = Ready(make)
        except NeedsConsent as unasked:
            screen.app.call_from_thread(ask_yes, screen.app, unasked, partial(start_search, screen, make))
        except AgentrError as error:
            screen.app.call_from_thread(screen.agentr.complain, str(error))
        else:
            screen.app.call_from_thread(run_ready, screen, ready)

    screen.run_worker(prepare, thread=True, group="prepare", exclusive=True)


def run_ready(screen: ModeScreen, ready: Ready) -> None:
    """Run a search that is ready, and show it."""
    try:
        live = screen.agentr.session.start(ready.hand_over)
    except AgentrError as error:
        ready.job.writer.close()
        screen.agentr.complain(str(error))
        return
    screen.agentr.run_live(live)
    screen.agentr.show_tree()
