"""What the parts of the Search screen may ask of the screen that holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agentr_tui.screens.shared.services import Services
from agentr_tui.widgets.tree.view import TreeView


class TreeServices(Services, Protocol):
    """The Search screen as its parts see it."""

    @property
    def tree_view(self) -> TreeView:
        """The tree widget."""
        ...

    def action_named(self, name: str) -> Callable[[], object] | None:
        """The action that a binding's id (or its last part) names; None where there is none now."""
        ...

    def go_to_node(self, node: int) -> None:
        """Put the cursor on a node, where it is there at the moment that is looked at."""
        ...
