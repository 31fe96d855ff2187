"""What waits on the other screens, for the tabs of the top bar."""

from __future__ import annotations

from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import glyphs

COUNTED_LEAVES = 400
"""Up to so many leaves pairs are counted for the tab."""


def badges(session: Session, to_review: int | None = None) -> dict[str, str]:
    """Returns a word for each screen that has something to do: a running search, pairs, undecided samples."""
    found = {}
    tree = session.tree
    if session.running and tree is not None:
        found["search"] = glyphs().paused if tree.state == "paused" else glyphs().running
    countable = tree is not None and len(tree) > 0 and sum(session.leaf_counts()) <= COUNTED_LEAVES
    if countable and (pairs := session.pair_count()):
        found["pairs"] = str(pairs)
    if to_review:
        found["revision"] = f"{to_review} to go"
    return found
