"""Two attempts beside each other, from where they part."""

from __future__ import annotations

from agentr_tui.screens.search.imports.attempts import Attempts, attempt_name
from agentr_tui.screens.search.overlays.compare import CompareScreen
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.shared.compare_lines import Side
from engine.tree.node import ROOT


def compare_attempt(services: TreeServices, attempts: Attempts) -> None:
    """The attempt under the cursor beside one that ended otherwise; { } takes others."""
    session = services.session
    tree, reader = session.tree, session.reader
    if tree is None or reader is None or not tree.attempts:
        services.say("This tree is no import: v c compares nodes and searches.", severity="warning")
        return
    found = attempts.rival(services.tree_view.cursor_node or ROOT)
    if found is None:
        only = "There is one attempt only" if len(tree.attempts) < 2 else "All attempts are the same, step by step"
        services.say(f"{only}: nothing to compare.")
        return
    own, other = found
    sides = [
        Side(attempt_name(place, attempt), tree, reader, attempt.leaf) for place, attempt in enumerate(tree.attempts)
    ]
    services.open(CompareScreen(services, sides[own], sides[other], sides))
