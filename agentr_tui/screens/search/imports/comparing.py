"""Two attempts beside each other, from where they part."""

from __future__ import annotations

from agentr_tui.screens.search.desk import TreeDesk
from agentr_tui.screens.search.imports.attempts import Attempts, attempt_name
from agentr_tui.screens.search.overlays.compare import CompareScreen
from agentr_tui.screens.shared.compare_lines import Side
from engine.tree.node import ROOT


def compare_attempt(desk: TreeDesk, attempts: Attempts) -> None:
    """The attempt under the cursor beside one that ended otherwise; { } takes others."""
    session = desk.session
    tree, reader = session.tree, session.reader
    if tree is None or reader is None or not tree.attempts:
        desk.say("This tree is no import: v c compares nodes and searches.", severity="warning")
        return
    found = attempts.rival(desk.tree_view.cursor_node or ROOT)
    if found is None:
        only = "There is one attempt only" if len(tree.attempts) < 2 else "All attempts are the same, step by step"
        desk.say(f"{only}: nothing to compare.")
        return
    own, other = found
    sides = [
        Side(attempt_name(place, attempt), tree, reader, attempt.leaf) for place, attempt in enumerate(tree.attempts)
    ]
    desk.open(CompareScreen(desk, sides[own], sides[other], sides))
