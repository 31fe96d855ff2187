"""Tree files of the original, `search_results_{task}.json`: what follows from what in them, and writing them.

A tree file repeats in every node what follows from the path to it. The writer derives it; where a tree was imported
and the file said otherwise, `ImportedNode.raw` holds what it said, under the file's own field names. Two more keys
may be in `raw`:

- `recent_actions_as` (root): "text" or "pair", where the environment's name does not tell;
- `exact`: JSON text, in ASCII, of what a trace can't hold as it is (half surrogate pairs, NaN, numbers out of
  range): an object of `file`, fields of the file, and `node`, texts of the node.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from engine.base.errors import InputError
from engine.base.files import write_beside
from engine.tree.events import Number
from engine.tree.node import ROOT, Node
from engine.tree.tree import SearchTree

FORM, EXACT = "recent_actions_as", "exact"
"""Keys of `raw` that are no fields of the file."""

TEXTS = ("response", "action", "observation")
"""Texts of a node that `exact` may hold."""


def puct_value(visits: int, value: Number, parent_visits: int | None, c: float) -> Number | None:
    """Returns `puct_value` as the original saves it: Q + c * sqrt(ln N_parent / N); Q at the root; 0 where N = 0; None
    where it is not defined, since the parent has no visits.

    `visits` and `value`: N and W of the node. `parent_visits`: N of its parent; None at the root. `c`: the exploration
    constant.
    """
    if visits == 0:
        return 0
    q = value / visits
    if parent_visits is None:
        return q
    return q + c * math.sqrt(math.log(parent_visits) / visits) if parent_visits > 0 else None


def recent_form(environment: str) -> str:
    """How `recent_actions` holds a step: "text", `"(action, observation)"`, for ScienceWorld; else "pair", a list."""
    return "text" if environment.split(":", 1)[0] in ("scienceworld", "sciworld") else "pair"


def recent_step(form: str, action: str, observation: str) -> Any:
    """Returns a step as `recent_actions` holds it.

    `form`: `text` (ScienceWorld) or a list. `action` and `observation`: of the step.
    """
    return f"({action}, {observation})" if form == "text" else [action, observation]


def turns(response: str, observation: str) -> list[dict[str, str]]:
    """A step as `state` holds it."""
    return [{"role": "assistant", "content": response}, {"role": "user", "content": observation}]


def save_tree(tree: SearchTree, path: str | os.PathLike[str]) -> None:
    """Write a tree file, gzipped where the name ends in .gz; an existing file is replaced once all is written.

    Raises `InputError`, and `WorkFailed` for a full disk.
    """
    out = Path(path)

    def write(stream: BinaryIO) -> None:
        packed = gzip.GzipFile("", "wb", fileobj=stream, mtime=0) if out.suffix == ".gz" else nullcontext(stream)
        with packed as sink:
            text = io.TextIOWrapper(cast(BinaryIO, sink), encoding="ascii")
            write_tree(tree, text)
            text.detach()  # flushed; who opened the stream closes it

    write_beside(out, write, follow=True)


def write_tree(tree: SearchTree, out: IO[str]) -> None:
    """Write a tree in the original's format as JSON on one line, node by node, ASCII only.

    An imported tree gives what was read. Of a searched one `is_terminal` says that the node is exhausted, and
    `puct_value` is as of now. Raises `InputError` where `raw` does not hold what an import puts there.
    """
    if tree.started is None:
        raise InputError("there is no tree to write: the trace has no events")
    if any(node.calls for node in tree.nodes) or any(step.tool_calls for step in tree.started.prefix):
        raise InputError("the original's tree files have no place for calls of tools: keep the trace")
    root = tree.nodes[ROOT]
    form = (root.raw or {}).get(FORM) or recent_form(tree.started.environment)
    conversation = [{"role": turn.role, "content": turn.content} for turn in tree.conversation(ROOT)]
    text, lists = _node(tree, root, _Lists(json.dumps(conversation)[:-1], "["), form)
    out.write(text)
    open_nodes: list[tuple[Node, int, _Lists]] = [(root, 0, lists)]  # node, how many of its children were written
    while open_nodes:
        node, written, lists = open_nodes.pop()
        if written == len(node.children):
            out.write("]}")
            continue
        open_nodes.append((node, written + 1, lists))
        child = tree.nodes[node.children[written]]
        text, below = _node(tree, child, lists, form)
        out.write(f", {text}" if written else text)
        open_nodes.append((child, 0, below))


class _Lists:
    """The text of the lists that children continue, without the closing bracket."""

    __slots__ = ("recent", "state")

    def __init__(self, state: str, recent: str) -> None:
        self.state = state
        self.recent = recent


def _node(tree: SearchTree, node: Node, above: _Lists, form: str) -> tuple[str, _Lists]:
    """A node's text up to the opening bracket of its children, and its lists."""
    assert tree.started is not None
    texts, given = _overrides(node)
    response, action, observation = (texts.get(name, getattr(node, name)) for name in TEXTS)
    imported = tree.imported_from is not None
    parent_visits = tree.nodes[node.parent].visits if node.id != ROOT else None
    head = {
        "visits": node.visits,
        "value": node.value_sum if imported else float(node.value_sum),
        "prior": 1 if node.prior == 1 else node.prior,
        "puct_value": puct_value(node.visits, node.value_sum, parent_visits, tree.started.settings.c),
        "obs": observation,
        "llm_response": response,
        "depth": node.depth,
        "is_terminal": node.exhausted,
    }
    middle = {"action": action, "env_score": node.reward, "disaster": node.terminal == "disaster"}
    for fields in (head, middle):
        for name in fields.keys() & given.keys():
            fields[name] = given.pop(name)
    steps, state = above.recent, above.state
    if node.id != ROOT:
        steps = _longer(steps, [recent_step(form, middle["action"], head["obs"])])
        state = _longer(state, turns(response, observation))
    steps, all_steps = _list(steps, given, "recent_actions")
    state, all_state = _list(state, given, "state")
    extra = "".join(f", {json.dumps(name)}: {json.dumps(value)}" for name, value in given.items())
    text = (
        f'{json.dumps(head)[:-1]}, "recent_actions": {all_steps}, {json.dumps(middle)[1:-1]}, "state": {all_state}'
        f'{extra}, "children": ['
    )
    return text, _Lists(state, steps)


def _longer(text: str, items: list[Any]) -> str:
    return f"{text}{', ' if len(text) > 1 else ''}{json.dumps(items)[1:-1]}"


def _list(text: str, given: dict[str, Any], name: str) -> tuple[str, str]:
    """A growing list without its closing bracket, and as it is to be written."""
    if name not in given:
        return text, text + "]"
    value = given.pop(name)
    whole = json.dumps(value)
    return whole[:-1] if isinstance(value, list) else "[", whole


def _overrides(node: Node) -> tuple[dict[str, str], dict[str, Any]]:
    """Texts of the node, and fields of the file, that stand in for derived ones."""
    raw = node.raw
    if not raw:
        return {}, {}
    given = {name: value for name, value in raw.items() if name not in (FORM, EXACT)}
    if EXACT not in raw:
        return {}, given
    try:
        exact = json.loads(raw[EXACT])
        return dict(exact.get("node", {})), given | exact.get("file", {})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"node {node.id}: `raw.{EXACT}` is not what an import puts there: {error}") from error
