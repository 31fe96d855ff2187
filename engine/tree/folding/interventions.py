"""What a person's interventions make of a tree: the part of the fold that is not the search's.

- *edited*: a child that a person wrote (`Node.draw` is `WRITTEN`); a node that was exhausted is open again.
- *pruned*: nothing at or below the node is selected any more; *restored* takes that back.
- *forced*: the draws of a node are made next, whatever selection says.
- *breakpoint*, *breakpoint removed*: where the search stands still (a query, `engine.query.nodes`); changes no node.

A pruned node counts as exhausted, and so does everything below it: selection needs to know nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.tree.events import Expanded, Intervened, Selected
from engine.tree.folding import expansions

if TYPE_CHECKING:
    from engine.tree.node import Node
    from engine.tree.state import TreeState

WRITTEN = -1
"""As the draw of a child: no draw, a person wrote it."""


def apply(tree: TreeState, event: Intervened) -> None:
    """Fold an intervention. Raises `ValueError` where it does not fit the tree."""
    fold = _FOLDS.get(event.what)
    if fold is not None:
        fold(tree, event, tree.nodes[event.node])


def _edited(tree: TreeState, event: Intervened, parent: Node) -> None:
    if event.child is None or event.child.response is None:
        raise ValueError("an edited step without its child")
    if not parent.expanded or parent.pruned:
        raise ValueError(f"node {parent.id} can have no written child: it is pruned, or was not expanded")
    child = expansions.add_child(tree, parent, event.child, None)
    tree.written_by[child.id] = event.who
    if parent.terminal == "dead_end":
        parent.terminal = None
    if child.terminal is None:
        expansions.reopen(tree, parent.id, event.seq)
    expansions.record_births(tree, event.seq)


def _forced(tree: TreeState, event: Intervened, node: Node) -> None:
    if not can_expand(tree, node):
        raise ValueError(f"node {node.id} can't be expanded")
    tree.forced.add(node.id)
    selected = Selected(seq=event.seq, path=[node.id], in_flight=list(tree.in_flight))
    tree.chronicle.expansion_started(event.seq, node.id, selected.in_flight)
    expansions.start_expansion(tree, node.id, selected)


def can_expand(tree: TreeState, node: Node) -> bool:
    """Whether draws of the node are still to be made."""
    made = node.expanded and node.id not in tree.partial
    return node.terminal is None and not made and not node.pruned and node.id not in tree.in_flight


def _pruned(tree: TreeState, event: Intervened, node: Node) -> None:
    if node.exhausted or node.parent < 0:
        raise ValueError(f"node {node.id} can't be pruned")
    for id in below(tree, node.id):
        inner = tree.nodes[id]
        inner.pruned = True
        if inner.terminal is None and inner is not node:
            if not inner.exhausted:
                tree.history.exhausted_since(id, event.seq)
            inner.open_children = 0
    node.open_children = 0
    expansions.exhaust(tree, node, event.seq)
    tree.history.prunings.append((event.seq, node.id, True))


def born_pruned(tree: TreeState, parent: Node, event: Expanded) -> None:
    """Prune the children of a node that was pruned while its expansion was in flight.

    `tree`: to change. `parent`: the node. `event`: its expansion.
    """
    parent.open_children = 0
    for id in parent.children[len(parent.children) - len(event.children) :]:
        child = tree.nodes[id]
        child.pruned = True
        if child.terminal is None:
            child.open_children = 0
            tree.history.exhausted_since(id, event.seq)


def _restored(tree: TreeState, event: Intervened, node: Node) -> None:
    if not node.pruned or tree.nodes[node.parent].pruned:
        raise ValueError(f"node {node.id} was not pruned")
    inside = below(tree, node.id)
    for id in reversed(inside):  # children before parents
        inner = tree.nodes[id]
        inner.pruned = False
        if inner.terminal is None:
            expansions.count_open(tree, inner)
            if not inner.exhausted:
                tree.history.open_since(id, event.seq)
    if not node.exhausted:
        expansions.reopen(tree, node.parent, event.seq)
    taken_back = {id for _, id, _ in tree.history.prunings} & set(inside)  # what was pruned one by one within it, too
    tree.history.prunings.extend((event.seq, id, False) for id in sorted(taken_back))


def _breakpoint(tree: TreeState, event: Intervened, node: Node) -> None:
    if event.detail not in tree.breakpoints:
        tree.breakpoints.append(event.detail)


def _breakpoint_removed(tree: TreeState, event: Intervened, node: Node) -> None:
    if event.detail in tree.breakpoints:
        tree.breakpoints.remove(event.detail)


_FOLDS: dict[str, Callable[[TreeState, Intervened, Node], None]] = {
    "edited": _edited,
    "forced": _forced,
    "pruned": _pruned,
    "restored": _restored,
    "breakpoint": _breakpoint,
    "breakpoint removed": _breakpoint_removed,
}


def below(tree: TreeState, id: int) -> list[int]:
    """The node and everything below it, parents before children."""
    found, place = [id], 0
    while place < len(found):
        found.extend(tree.nodes[found[place]].children)
        place += 1
    return found
