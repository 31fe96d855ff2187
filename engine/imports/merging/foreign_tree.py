"""A search tree that another program grew, as it is: with its own N and W."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from engine.imports.attempt import ForeignTree, TreeNode
from engine.imports.merging.equal_messages import action_of
from engine.imports.merging.steps import Step, opening, plain, step_of
from engine.tree.events import FORMAT_VERSION, AnyEvent, Imported, ImportedNode, SearchSettings, Started
from engine.tree.node import NO_PARENT

_encode = msgspec.json.Encoder(order="deterministic").encode


def foreign_events(found: ForeignTree) -> list[AnyEvent]:
    """`started` and `imported`. A file with several roots gets one above them."""
    roots = [place for place, node in enumerate(found.nodes) if node.parent < 0]
    one = len(roots) == 1 and not found.nodes[roots[0]].messages
    offset = 0 if one else 1
    rows = [] if one else [_top(found, roots)]
    inner = {node.parent for node in found.nodes}
    for place, node in enumerate(found.nodes):
        parent = NO_PARENT if node.parent < 0 and one else node.parent + offset if node.parent >= 0 else 0
        rows.append(_row(node, parent, place not in inner))
    header = [plain(message) for message in found.header]
    scored = [node.reward for node in found.nodes if node.reward is not None]
    score_range = found.reward_range or (min([0.0, *scored]), max([1.0, *scored]))
    content = [found.task, found.agent, found.model, header, rows]
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace=blake2b(_encode(content), digest_size=8).hexdigest(),
        environment=f"attempts:{found.format}",
        task=found.task,
        header=header,
        settings=SearchSettings(algorithm=found.format, actor=found.agent or "unknown", model=found.model),
        instruction=found.instruction,
        score_range=score_range,
        tools=found.tools,
        code={"environment": found.environment} if found.environment else {},
    )
    return [started, Imported(seq=1, source=found.format, nodes=rows, notes=found.notes)]


def _top(found: ForeignTree, roots: list[int]) -> ImportedNode:
    tops = [found.nodes[place] for place in roots]
    return ImportedNode(visits=sum(node.visits for node in tops), value=sum(node.value for node in tops))


def _row(node: TreeNode, parent: int, is_leaf: bool) -> ImportedNode:
    said = next((place for place, message in enumerate(node.messages) if message.role == "assistant"), None)
    if said is None:
        step = opening(node.messages[0]) if node.messages else Step(silent=True)
    else:
        step = step_of(node.messages[said], node.messages[said + 1 :])
    action = "" if step.silent else action_of(step.response, step.calls)
    row = ImportedNode(parent, step.response, action or step.response, step.observation, node.reward or 0)
    row.visits, row.value = node.visits, node.value
    row.tool_calls, row.answers, row.reasoning = step.calls, step.answers, step.reasoning
    row.silent, row.unanswered, row.transcripts = step.silent, step.unanswered, step.transcripts
    if is_leaf and parent != NO_PARENT:
        row.terminal = "done" if node.terminal and node.visits else "unscored" if node.reward is None else "done"
    if node.explanation or node.raw:
        row.raw = {**node.raw, **({"explanation": node.explanation} if node.explanation else {})}
    return row
