"""Where a key takes the cursor of a tree view: functions of the rows and the node under the cursor.

Each returns a node, or None where there is none to go to. The cursor may be on any node of a row; rows stand for the
last node of their chain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import ROOT


def opened(rows: TreeRows, id: int) -> None:
    """Fold what is open, unfold what is folded; give those that share the row of a node a row each."""
    if rows.crowding.members(id):
        rows.crowding.spread.add(rows.reader.node(id).parent)
        rows.rebuild()
    else:
        rows.toggle(id)


def opens(rows: TreeRows, id: int) -> bool:
    """Whether there is something to fold or unfold at the row of a node."""
    return rows.has_children(id) or bool(rows.crowding.members(id))


def down(rows: TreeRows, cursor: int) -> int | None:
    """The next row."""
    return rows.following(rows.row_node(cursor))


def up(rows: TreeRows, cursor: int) -> int | None:
    """The row before."""
    head = rows.row_head(cursor)
    if head == ROOT:
        return None
    above = rows.parent(head)
    siblings = rows.children(above)
    place = bisect_left(siblings, head) - 1
    return above if place < 0 else last(rows, siblings[place])


def last(rows: TreeRows, node: int) -> int:
    """The last row at or below a node."""
    while rows.is_open(node) and (children := rows.children(node)):
        node = children[-1]
    return node


def sibling(rows: TreeRows, cursor: int, step: int) -> int | None:
    """Returns the row of another child of the same parent; None where there is none.

    `rows`: of the view. `cursor`: the node under the cursor. `step`: how many children further; negative: before.
    """
    head = rows.row_head(cursor)
    if head == ROOT:
        return None
    siblings = rows.children(rows.parent(head))
    place = bisect_left(siblings, head) + step
    return rows.row_node(siblings[place]) if 0 <= place < len(siblings) else None


def further(rows: TreeRows, cursor: int, count: int) -> int:
    """Returns the node of a row further down or up; at the ends the last row, or the first.

    `rows`: of the view. `cursor`: the node under the cursor. `count`: rows; negative: up.
    """
    row = (rows.row_of(rows.row_node(cursor)) or 0) + count
    return rows.at(max(0, min(row, len(rows) - 1)))


def unfolding(rows: TreeRows, cursor: int) -> int | None:
    """To the next step of a chain, or the first child of an open row; None where there is none, or it is folded."""
    last = rows.row_node(cursor)
    if cursor != last:
        chain = rows.chain(last)
        return chain[chain.index(cursor) + 1]
    return rows.following(last) if rows.has_children(last) and rows.is_open(last) else None


def folding(rows: TreeRows, cursor: int) -> int | None:
    """To the step before in a chain, or the parent of a row with nothing to fold; None where it is to be folded."""
    last = rows.row_node(cursor)
    if cursor == last and rows.is_open(last) and rows.has_children(last):
        return None
    return rows.reader.node(cursor).parent


WAYS: dict[str, Callable[[TreeRows, int], int | None]] = {
    "down": down,
    "up": up,
    "first": lambda rows, cursor: ROOT,
    "last": lambda rows, cursor: last(rows, ROOT),
    "next": lambda rows, cursor: sibling(rows, cursor, 1),
    "before": lambda rows, cursor: sibling(rows, cursor, -1),
}
"""Moves that keys name; `next` and `before` are siblings."""
