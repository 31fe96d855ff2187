"""Steering the search that is shown: pause, step, stop."""

from __future__ import annotations

from collections.abc import Callable

from agentr_tui.screens.search.services import TreeServices
from engine.base.errors import AgentrError
from engine.pairs.pairs import best_partner
from engine.search.control import Control
from engine.search.control_file import RemoteControl


class Steering:
    """Asks the search that is shown for something, here or in another process."""

    def __init__(self, services: TreeServices) -> None:
        self._services = services

    def _ask(self, request: Callable[[Control | RemoteControl], None]) -> None:
        control = self._services.session.control
        if control is None:
            self._services.say("No search is running here: press r in the library to resume one.", severity="warning")
            return
        try:
            request(control)
        except AgentrError as error:
            self._services.complain(str(error))

    def pause(self) -> None:
        """Pause, or go on."""
        tree = self._services.session.tree
        paused = tree is not None and tree.state == "paused"
        self._ask(lambda control: control.resume() if paused else control.pause())

    def step(self) -> None:
        """One more expansion."""
        self._ask(lambda control: control.step())

    def stop(self) -> None:
        """End the search; `r` in the library resumes it."""
        self._ask(lambda control: control.stop())

    def pair(self) -> bool:
        """Choose the leaf under the cursor and its best partner; False, and a notice, where there is none."""
        session = self._services.session
        if session.tree is None:
            return False
        pair = best_partner(session.tree, self._services.tree_view.cursor_node, session.thresholds)
        if pair is None:
            self._services.say(
                "No partner: this is not a finished leaf, or no other leaf differs enough from it.", severity="warning"
            )
            return False
        session.chosen = (pair.good, pair.bad)
        return True
