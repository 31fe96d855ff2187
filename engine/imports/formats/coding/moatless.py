"""moatless-tree-search: a real search tree, with visits and values; nested (`root`) or flat (`nodes`).

A node's `value` is the sum of the rewards backed up through it. Rewards are -100 to 100.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.base.text import many
from engine.imports.attempt import AttemptMessage, ForeignTree, TreeNode
from engine.imports.bounded_json import Malformed, compact, number, part, rows, text
from engine.imports.files import RolloutFile, small_json, value
from engine.imports.messages import shorten, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall

RANGE = (-100.0, 100.0)


_KEPT = ("node_id", "user_message")


def recognise(file: RolloutFile) -> bool:
    """A search with its root or nodes, or a list of nodes by themselves."""
    if file.has("root") or file.has("nodes"):
        return bool(file.keys & {"max_iterations", "max_expansions", "selector"}) or _has_nodes(file.peek("nodes"))
    return file.shape == "list" and file.has("node_id", "visits")


def _has_nodes(told: Any) -> bool:
    """Whether these are nodes without the search's settings, which moatless-tools keeps beside them (`flow.json`)."""
    first = told[0] if isinstance(told, list) and told else None
    return isinstance(first, dict) and "node_id" in first and bool(first.keys() & {"action_steps", "user_message"})


def read(file: RolloutFile, options: ReadOptions) -> Iterator[ForeignTree]:
    """One tree a file."""
    if file.shape == "list" and file.has("node_id"):
        yield _tree({"nodes": [value(item) for _, item in file.pieces()]}, file, "")
        return
    for place, document in file.rows():
        with file.reporting(place):
            yield _tree(document, file, place)


def _tree(document: dict[str, Any], file: RolloutFile, place: str) -> ForeignTree:
    ordered = _nested(document["root"]) if isinstance(document.get("root"), dict) else _flat(rows(document, "nodes"))
    nodes = [_node(raw, parent) for raw, parent in ordered]
    if not nodes:
        raise Malformed("the tree has no nodes")
    beside = {} if "agent" in document else small_json(file.path.parent, "flow.json")
    agent, root = part(beside or document, "agent"), ordered[0][0]
    header = [AttemptMessage(role="system", content=told)] if (told := text(agent, "system_prompt")) else []
    goal = text_of(root.get("user_message") or root.get("message"))
    if goal:
        header.append(AttemptMessage(role="user", content=goal))
    instance = text(part(document, "metadata"), "instance_id")
    notes = ["the search made no steps: only its root is there"] if len(nodes) == 1 else []
    if len(nodes) > 1 and not any(node.visits for node in nodes):
        _count_leaves(nodes)
        notes.append("the file counts no visits: N counts the leaves below a node, W sums their rewards")
    if fed := sum("user_message" in node.raw for node in nodes):
        notes.append(
            f"{many(fed, 'node was', 'nodes were')} given feedback before their step: it is kept beside them (raw)"
        )
    return ForeignTree(
        task=instance or (file.path.parent.name if file.stem == "trajectory" else file.stem),
        source=str(file.path),
        format="moatless",
        place=place,
        agent="moatless",
        model=text(part(agent, "completion"), "model"),
        instruction=shorten(goal),
        header=header,
        nodes=nodes,
        reward_range=RANGE,
        notes=notes,
        raw={key: document[key] for key in ("max_iterations", "max_expansions", "selector") if key in document},
    )


def _count_leaves(nodes: list[TreeNode]) -> None:
    inner = {node.parent for node in nodes}
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        if place not in inner:
            node.visits, node.value = 1, node.reward or 0.0
        if node.parent >= 0:
            nodes[node.parent].visits += node.visits
            nodes[node.parent].value += node.value


def _nested(root: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    """Nodes with their parents' places, parents first; without recursion, so that no depth is too deep."""
    ordered: list[tuple[dict[str, Any], int]] = []
    waiting = [(root, -1)]
    while waiting:
        node, parent = waiting.pop()
        ordered.append((node, parent))
        place = len(ordered) - 1
        waiting += [(child, place) for child in reversed(rows(node, "children"))]
    return ordered


def _flat(nodes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """As `_nested`, of a list whose nodes name their parent. Raises `Malformed` for a circle or a missing parent."""
    below: dict[Any, list[dict[str, Any]]] = {}
    for node in nodes:
        parent = node.get("parent_id", node.get("parent_node_id"))
        if not isinstance(parent, int | str | None):
            raise Malformed("a node's parent is no id")
        below.setdefault(parent, []).append(node)
    ordered: list[tuple[dict[str, Any], int]] = []
    waiting = [(node, -1) for node in reversed(below.pop(None, []))]
    while waiting:
        node, parent = waiting.pop()
        ordered.append((node, parent))
        place, identity = len(ordered) - 1, node.get("node_id")
        children = below.pop(identity, []) if isinstance(identity, int | str) else []
        waiting += [(child, place) for child in reversed(children)]
    if below:
        raise Malformed(f"{sum(map(len, below.values()))} nodes have no parent in the file, or are in a circle")
    return ordered


def _node(raw: dict[str, Any], parent: int) -> TreeNode:
    visits, worth = raw.get("visits"), number(raw.get("value"))
    reward = part(raw, "reward")
    return TreeNode(
        parent=parent,
        messages=tuple(_messages(raw)),
        visits=visits if type(visits) is int and visits >= 0 else 0,
        value=worth or 0.0,
        reward=number(reward.get("value", raw.get("reward"))),
        explanation=text(reward, "explanation"),
        terminal=raw.get("terminal") is True,
        duplicate=raw.get("is_duplicate") is True,
        raw={
            key: raw[key] for key in _KEPT if isinstance(raw.get(key), int | str) and (parent >= 0 or key == "node_id")
        },
    )


def _messages(raw: dict[str, Any]) -> Iterator[AttemptMessage]:
    """The step of a node: what the agent did, and what came of it."""
    steps = rows(raw, "action_steps")
    if not steps and isinstance(raw.get("action"), dict):
        steps = [{"action": raw["action"], "observation": raw.get("observation")}]
    said = text(raw, "assistant_message")
    calls, results, thoughts = [], [], list(filter(None, [text(part(raw, "thoughts"), "text")]))
    if not steps:
        if said:
            yield AttemptMessage(role="assistant", content=said, reasoning="\n".join(thoughts))
        return
    for index, step in enumerate(steps):
        action, observation = part(step, "action"), step.get("observation")
        if thought := text(action, "thoughts") or text(action, "scratch_pad"):
            thoughts.append(thought)
        name = (
            (text(action, "action_args_class") or text(action, "action_name")).rpartition(".")[2].removesuffix("Args")
        )
        own = {key: one for key, one in action.items() if key not in ("thoughts", "scratch_pad", "action_args_class")}
        identity = f"call_{index + 1}" if len(steps) > 1 else ""
        calls.append(ToolCall(name or "action", compact(own), identity))
        told = observation.get("message") if isinstance(observation, dict) else observation
        results.append(AttemptMessage(role="tool", content=text_of(told), tool_call_id=identity, name=name))
    yield AttemptMessage(
        role="assistant",
        content=said or "\n".join(thoughts),
        tool_calls=tuple(calls),
        reasoning="\n".join(thoughts) if said else "",
    )
    yield from results


READER = Reader("moatless", "moatless-tree-search trees", recognise, read)
