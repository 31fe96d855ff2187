"""What an import of attempts makes of a tree: its nodes, and N and W of the attempts that pass them.

Only for the fold (`engine.tree.folding.fold`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.tree.events import Imported, ImportedAttempt, ImportedNode, Message
from engine.tree.folding import expansions
from engine.tree.node import NO_PARENT, ROOT, Node
from envs.call_text import join_results

if TYPE_CHECKING:
    from engine.tree.state import TreeState


def attempts_of(tree: TreeState, event: Imported) -> None:
    """Fold attempts: all nodes, or those that are new."""
    rows = event.nodes
    tree.outcome_counts.clear()
    tree.wording_counts.clear()
    if not tree.first_through:
        tree.nodes[ROOT].imported, rows = rows[ROOT], rows[1:]
        tree.first_through = [0]
    for row in rows:
        _add(tree, row)
    for id, wordings in event.wordings.items():
        if (known := expansions.known(tree, id).imported) is not None:
            known.wordings += wordings
    if event.score_range is not None and tree.started is not None:
        tree.started.score_range = event.score_range
    tree.merged_by = event.merge or tree.merged_by
    tree.import_notes += event.notes
    counted = len(tree.attempts)
    if event.withdrawn or any(attempt.replaces >= 0 for attempt in event.attempts):
        _replace(tree, event)
        counted = 0
    else:
        tree.attempts += event.attempts
    for place in range(counted, len(tree.attempts)):
        _count(tree, place)
    _end_leaves(tree)
    for id in range(len(tree.nodes) - 1, -1, -1):
        node = tree.nodes[id]
        if node.children:
            node.open_children = sum(not tree.nodes[child].exhausted for child in node.children)
            if node.open_children == 0:
                tree.history.exhausted_since(id, event.seq)
    expansions.record_births(tree, event.seq)
    tree.state, tree.end_reason = "done", "imported"


def _add(tree: TreeState, row: ImportedNode) -> None:
    id = len(tree.nodes)
    if not 0 <= row.parent < id:
        raise ValueError(f"imported node {id} has parent {row.parent}")
    parent = tree.nodes[row.parent]
    action = row.action or row.response
    observation = row.observation or (observed(row.answers) if row.answers else "")
    node = Node(id, row.parent, parent.depth + 1, row.response, action, observation, row.reward)
    node.calls, node.answers, node.imported, node.raw = row.tool_calls, row.answers, row, row.raw
    tree.nodes.append(node)
    tree.first_through.append(-1)
    parent.children.append(id)
    if not row.silent:
        expansions.count_action(tree, node)


def observed(answers: tuple[Message, ...]) -> str:
    """All that answers a step, as one text."""
    results = [answer.content for answer in answers if answer.role == "tool"]
    rest = [answer.content for answer in answers if answer.role != "tool"]
    return "\n".join(([join_results(results)] if results else []) + rest)


def _replace(tree: TreeState, event: Imported) -> None:
    """Attempts went on, here or in another tree: their continuations take their places. N and W are counted anew."""
    attempts: list[ImportedAttempt | None] = list(tree.attempts)
    for attempt in event.attempts:
        if attempt.replaces < 0:
            attempts.append(attempt)
            continue
        if attempt.replaces >= len(tree.attempts) or tree.attempts[attempt.replaces] is not attempts[attempt.replaces]:
            raise ValueError(f"an attempt replaces attempt {attempt.replaces}, which is not there")
        attempts[attempt.replaces] = attempt
    for place in event.withdrawn:
        if not 0 <= place < len(tree.attempts) or attempts[place] is not tree.attempts[place]:
            raise ValueError(f"attempt {place} is withdrawn, and is not there")
        attempts[place] = None
    tree.attempts[:] = (attempt for attempt in attempts if attempt is not None)
    tree.first_through = [-1] * len(tree.nodes)
    for node in tree.nodes:
        node.visits, node.unscored, node.value_sum, node.terminal = 0, 0, 0.0, None
        node.reward = 0 if node.imported is None else node.imported.reward


def _count(tree: TreeState, place: int) -> None:
    """An attempt passes the nodes from its leaf to the root."""
    attempt = tree.attempts[place]
    node = expansions.known(tree, attempt.leaf)
    if node.children:  # others went on from here: it ends at the child that says so
        ends = [child for child in node.children if is_end(tree.nodes[child])]
        if not ends:
            raise ValueError(f"an attempt ends at node {node.id}, which has children and no end")
        attempt.leaf = ends[0]
    id = attempt.leaf
    while id != NO_PARENT:
        node = tree.nodes[id]
        node.visits += 1
        if attempt.reward is None:
            node.unscored += 1
        else:
            node.value_sum += attempt.reward
        if tree.first_through[id] < 0:
            tree.first_through[id] = place
        id = node.parent


def is_end(node: Node) -> bool:
    """Whether the node is no step, but the end of an attempt where others went on."""
    row = node.imported
    return row is not None and row.silent and not row.answers and node.parent != NO_PARENT


def _end_leaves(tree: TreeState) -> None:
    """Say why leaves ended, and what their return is."""
    of_leaf: dict[int, list[ImportedAttempt]] = {}
    for place, attempt in enumerate(tree.attempts):
        if tree.nodes[attempt.leaf].children:
            _move(tree, place)
        of_leaf.setdefault(attempt.leaf, []).append(attempt)
    for id, attempts in of_leaf.items():
        node = tree.nodes[id]
        if node.unscored == node.visits:
            node.terminal = "unscored"
        else:
            node.terminal = "cut_off" if all(attempt.cut_off for attempt in attempts) else "done"
            node.reward = node.q or 0
            if all(attempt.reward == attempts[0].reward for attempt in attempts) and attempts[0].reward is not None:
                node.reward = attempts[0].reward


def _move(tree: TreeState, place: int) -> None:
    """The attempt ended at a node at which others, which came later, went on."""
    attempt = tree.attempts[place]
    node = tree.nodes[attempt.leaf]
    ends = [tree.nodes[child] for child in node.children if is_end(tree.nodes[child])]
    if not ends:
        raise ValueError(f"an attempt ends at node {node.id}, which has children and no end")
    node.terminal, attempt.leaf = None, ends[0].id
    ends[0].visits += 1
    if attempt.reward is None:
        ends[0].unscored += 1
    else:
        ends[0].value_sum += attempt.reward
    if tree.first_through[ends[0].id] < 0:
        tree.first_through[ends[0].id] = place
