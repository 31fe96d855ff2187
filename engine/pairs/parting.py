"""Where two trajectories part: at a decision of the agent, or at something that nobody decided.

In imported attempts the same action may have several outcomes, a model that plays the user says something else each
time, and an attempt may end by a limit where others go on. A pair that parts there teaches nothing about good and bad
steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.tree.folding.attempts import is_end
from engine.tree.node import Node
from engine.tree.tree import SearchTree


def action_group(node: Node) -> int:
    """The first of the siblings that are outcomes of the same action: the node itself, where it is the only one."""
    row = node.imported
    return node.id if row is None or row.outcome_of < 0 else row.outcome_of


def is_silent(node: Node) -> bool:
    """Whether a node has no turn of the agent: the environment spoke, or an attempt ended."""
    return node.imported is not None and node.imported.silent


def by_chance(tree: SearchTree, a: int, b: int) -> bool:
    """Whether two siblings differ by no decision of the agent.

    `tree`: the search. `a` and `b`: the two nodes.
    """
    one, other = tree.nodes[a], tree.nodes[b]
    return is_silent(one) or is_silent(other) or action_group(one) == action_group(other)


def child_towards(tree: SearchTree, fork: int, leaf: int) -> int:
    """Returns the child of a node on the way to a leaf below it. O(depth).

    `tree`: the search. `fork`: the node. `leaf`: any node below it.
    """
    while tree.nodes[leaf].parent != fork:
        leaf = tree.nodes[leaf].parent
    return leaf


def is_decision(tree: SearchTree, fork: int, a: int, b: int) -> bool:
    """Whether the agent decided something where the ways to two leaves part.

    `tree`: the search. `fork`: the deepest node of both ways. `a` and `b`: the leaves.
    """
    return not tree.attempts or not by_chance(tree, child_towards(tree, fork, a), child_towards(tree, fork, b))


def outcomes(tree: SearchTree, id: int) -> int:
    """How many outcomes the action of a node had."""
    node = tree.nodes[id]
    if node.parent < 0 or is_silent(node):
        return 1
    counts = tree.outcome_counts.get(node.parent)
    if counts is None:
        counts = tree.outcome_counts[node.parent] = Counter(
            action_group(tree.nodes[child]) for child in tree.nodes[node.parent].children if tree.nodes[child].visits
        )
    return counts[action_group(node)]


def forks_by_chance(tree: SearchTree) -> list[int]:
    """Nodes below which attempts part by chance, as far as the same action had several outcomes."""
    if not tree.attempts:
        return []
    return [node.id for node in tree.nodes if _parts(tree, [id for id in node.children if tree.nodes[id].visits])]


def _parts(tree: SearchTree, children: Sequence[int]) -> bool:
    if len(children) < 2:
        return False
    groups = [action_group(tree.nodes[child]) for child in children]
    return len(set(groups)) < len(groups) or any(
        is_silent(tree.nodes[child]) and not is_end(tree.nodes[child]) for child in children
    )
