"""What events change in a tree: add nodes, exhaust and reopen them, record draws.

Only for the fold (`engine.tree.folding.fold`, `engine.tree.folding.interventions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.base.step_kind import refused
from engine.tree.events import Child, Sampled, Selected
from engine.tree.messages import results_of
from engine.tree.node import NO_PARENT, UNEXPANDED, Node

if TYPE_CHECKING:
    from engine.tree.state import TreeState


def known(tree: TreeState, id: int) -> Node:
    """The node. Raises `ValueError` where there is none."""
    if not 0 <= id < len(tree.nodes):
        raise ValueError(f"node {id} does not exist yet")
    return tree.nodes[id]


def add_child(tree: TreeState, parent: Node, child: Child, answer: Sampled | None) -> Node:
    """Returns a new node, added to the tree. The caller counts the parent's open children.

    `tree`: to change. `parent`: of the node. `child`: as the event has it. `answer`: of the node's draw; None: a person
    wrote the step.
    """
    response = child.response
    if response is None:
        if answer is None:
            raise ValueError(f"draw {child.draw} of node {parent.id} was never sampled")
        response = answer.response
    id = len(tree.nodes)
    node = Node(
        id, parent.id, parent.depth + 1, response, child.action, child.observation, child.reward, child.terminal
    )
    tree.nodes.append(node)
    parent.children.append(id)
    count_action(tree, node)
    node.draw, node.state_key, node.prior = child.draw, child.state_key, child.prior
    calls = child.tool_calls if child.tool_calls is not None else answer.tool_calls if answer is not None else ()
    if calls:
        node.calls, node.answers = calls, results_of(calls, child.results)
    if child.state_key is not None:
        first = tree.first_in_state.setdefault(child.state_key, id)
        if first != id:
            of_state = tree.by_state.get(child.state_key)
            if of_state is None:
                tree.by_state[child.state_key] = [first, id]
            else:
                of_state.append(id)
    if answer is None:
        return node
    if answer.reasoning and tree.started is not None and tree.started.settings.send_reasoning:
        tree.reasoning[id] = answer.reasoning
    if answer.usage is not None or answer.latency is not None or answer.dropped:
        tree.usages[id] = (answer.usage, answer.latency, answer.dropped)
    return node


def settle(tree: TreeState, parent: int, draw: int) -> None:
    """Record that a draw was made, so that it is no longer owed.

    `tree`: to change. `parent`: the node. `draw`: which of its draws, from 0.
    """
    if (draws := tree.owed.get(parent)) is not None:
        draws.pop(draw, None)
        if not draws:
            del tree.owed[parent]
    if (unusable := tree.unusable.get(parent)) is not None:
        unusable.discard(draw)


def count_action(tree: TreeState, node: Node) -> None:
    """A step was executed."""
    assert tree.started is not None
    tree.answers.actions += 1
    if refused(tree.started.environment, node.action, node.observation, node.results if node.answers else ()):
        tree.answers.refused += 1
        if tree.first_refused is None:
            tree.first_refused = node.id


def record_births(tree: TreeState, seq: int) -> None:
    """Nodes were made by event `seq`."""
    tree.history.births.append((seq, len(tree.nodes)))


def start_expansion(tree: TreeState, id: int, event: Selected) -> None:
    """Record that the draws of a node are asked for.

    `tree`: to change. `id`: the node. `event`: the selection.
    """
    assert tree.started is not None
    tree.in_flight[id] = event
    tree.first_index[id] = tree.asked
    tree.draws_of[id] = event.draws or tree.started.settings.samples - tree.partial.get(id, 0)
    tree.asked += tree.draws_of[id]


def exhaust(tree: TreeState, node: Node, seq: int) -> None:
    """Record that a node became exhausted, and so perhaps its ancestors.

    `tree`: to change. `node`: the node. `seq`: number of the event.
    """
    while True:
        tree.history.exhausted_since(node.id, seq)
        if node.parent == NO_PARENT:
            return
        node = tree.nodes[node.parent]
        node.open_children -= 1
        if node.open_children > 0 or node.terminal is not None:
            return


def reopen(tree: TreeState, id: int, seq: int) -> None:
    """Record that one more child of a node is open: so is the node, and perhaps its ancestors again.

    `tree`: to change. `id`: the node. `seq`: number of the event.
    """
    while id != NO_PARENT:
        node = tree.nodes[id]
        was_exhausted = node.exhausted
        node.open_children = max(0, node.open_children) + 1
        if not was_exhausted:
            return
        tree.history.open_since(id, seq)
        id = node.parent


def count_open(tree: TreeState, node: Node) -> None:
    """Count anew which children are open."""
    partial = node.id in tree.partial
    opened = sum(not tree.nodes[child].exhausted for child in node.children) + partial
    node.open_children = opened if node.children or partial else UNEXPANDED
