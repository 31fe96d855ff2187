"""What a row shows about a node beside its figures: bookmarks, what people did, states seen before. Knows no
Textual."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from agentr_tui.screens.search.imports.attempts import row_mark
from agentr_tui.state.bookmarks import NodeMark
from agentr_tui.terminal.theme import Glyphs
from agentr_tui.widgets.tree.overlay import Mark, Said
from engine.base.step_kind import refused
from engine.query.nodes import tree_of
from engine.tree.node import NO_PARENT
from engine.tree.reader import TreeReader


def said_of(
    reader: TreeReader,
    id: int,
    marks: Mapping[int, Sequence[NodeMark]],
    environment: str,
    glyphs: Glyphs,
) -> Said | None:
    """Returns the first that holds: marked by somebody, written, pruned, being drawn, refused, in a state seen before;
    None where none does.

    `reader`: the tree at a moment. `id`: the node. `marks`: node → marks of people. `environment`: says which
    observations are refusals. `glyphs`: those of the terminal.
    """
    tree = tree_of(reader)
    if id >= len(reader):
        return None
    if id in marks:
        mark = marks[id][-1]
        word = mark.name if mark.kind == "bookmark" else mark.kind
        return Said(Mark(word or "marked", "person", glyphs.bookmark))
    if id in tree.written_by:
        return Said(Mark("written", "person", glyphs.edited), weak=True)
    if reader.pruned(id):
        parent = tree.nodes[id].parent
        top = parent == NO_PARENT or not reader.pruned(parent)
        return Said(Mark("pruned", "person" if top else "muted", glyphs.edited if top else ""))
    if reader is tree and id in tree.in_flight and tree.state == "running":
        return Said(Mark("asking", "focus"))
    node = tree.nodes[id]
    if node.parent == NO_PARENT:
        return None
    if node.terminal is None and refused(environment, node.action, node.observation, node.results):
        return Said(Mark("refused", "faint"), weak=True)
    if node.state_key is not None:
        times = bisect_left(tree.same_state(id), len(reader))
        if times > 1:
            return Said(Mark(f"seen {times}×" if times < 1000 else "seen", "faint", glyphs.repeat), weak=True)
    if tree.attempts and (shared := row_mark(tree, id)) is not None:
        return Said(shared, weak=True)
    return None
