"""What the parts of the Search screen ask for, done by the screen and the app."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agentr_tui.screens.shared.palette import actions
from agentr_tui.screens.shared.screen_services import ScreenServices
from agentr_tui.widgets.tree.view import TreeView


class SearchScreenServices(ScreenServices):
    """A `TreeServices` (`agentr_tui.screens.search.services`) over a screen with a tree."""

    @property
    def tree_view(self) -> TreeView:
        """The tree widget."""
        return self._screen.query_one("#tree", TreeView)

    def action_named(self, name: str) -> Callable[[], object] | None:
        """The action that a binding's id (or its last part) names; None where there is none now."""
        known = actions(self._screen.app, self._screen)
        action = next((each for each in known if name in (each.id, each.id.partition(".")[2])), None)
        return None if action is None else partial(self._screen.call_later, action.run)

    def go_to_node(self, node: int) -> None:
        """Put the cursor on a node, where it is there at the moment that is looked at."""
        reader = self.session.reader
        if reader is None or node >= len(reader):
            self._screen.notify(f"Node {node} is not there at this moment.", severity="warning")
            return
        self.tree_view.go_to(node)
        self.tree_view.focus()
