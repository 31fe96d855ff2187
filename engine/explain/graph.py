"""A tree as a graph (networkx): its nodes as they are, or merged where they reached the same state.

Two nodes with the same `state_key` left the environment in the same state: transpositions. Merged, they are one
vertex, and the tree becomes a graph with cycles wherever a trajectory went round. Nodes without a key stand alone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import networkx as nx

from engine.base.errors import InputError
from engine.base.files import write_beside
from engine.base.text import clean
from engine.explain.repeated_states import state_of, states
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

GraphKind = Literal["graphml", "dot", "node-link"]
KINDS: tuple[GraphKind, ...] = get_args(GraphKind)

_ENDINGS: dict[str, GraphKind] = {".graphml": "graphml", ".dot": "dot", ".gv": "dot", ".node-link.json": "node-link"}

LABEL = 48
"""Characters of an action that a drawn label shows; the attribute `action` holds all of it."""

_FILLS = ("#f4a6a0", "#f6c39a", "#f5e0a0", "#d3e6a3", "#a9dcae")
"""Of vertices in DOT, from the least to the greatest Q; those that were never visited are grey."""


# -- graphs --------------------------------------------------------------------------------------------


def tree_graph(reader: TreeReader) -> Any:
    """The tree as a `networkx.DiGraph`: a vertex a node (its id), an edge a step.

    Vertices: `action`, `depth`, `visits` (N), `value` (W), `q` and `best_q` (left out where N = 0), `reward`,
    `terminal`, `state`, `ids`. Edges: `action`, `count`.
    """
    graph = nx.DiGraph(**_facts(reader), merged=False)
    for id in range(len(reader)):
        graph.add_node(id, **_vertex(reader, [id]))
        parent = reader.node(id).parent
        if parent != NO_PARENT:
            graph.add_edge(parent, id, action=reader.node(id).action, count=1)
    return graph


def state_graph(reader: TreeReader) -> Any:
    """The tree with transpositions merged, as a `networkx.MultiDiGraph`: a vertex a state.

    A vertex is named by the state's key, or by `node ID` where the environment gave none. Its attributes are those
    of `tree_graph`: `visits` and `value` are sums over the nodes in `ids`, `best_q` is the greatest Q among them,
    `depth` the least depth, `terminal` the reasons that occur. There is an edge for every action (its key) that led
    from one state to another; `count` is how many nodes took it. An action that changed nothing is a loop.
    """
    graph = nx.MultiDiGraph(**_facts(reader), merged=True)
    for key, ids in states(reader).items():
        graph.add_node(key, **_vertex(reader, ids))
    for id in range(1, len(reader)):
        node = reader.node(id)
        source, target = state_of(reader, node.parent), state_of(reader, id)
        if graph.has_edge(source, target, key=node.action):
            graph.edges[source, target, node.action]["count"] += 1
        else:
            graph.add_edge(source, target, key=node.action, action=node.action, count=1)
    return graph


def _facts(reader: TreeReader) -> dict[str, Any]:
    tree = reader if isinstance(reader, SearchTree) else getattr(reader, "tree", None)
    started = tree.started if isinstance(tree, SearchTree) else None
    facts: dict[str, Any] = {"seq": reader.seq}
    if started is not None:
        low, high = map(float, started.score_range)
        facts |= {"trace": started.trace, "environment": started.environment, "task": started.task}
        facts |= {"score_low": low, "score_high": high}
    return facts


def _vertex(reader: TreeReader, ids: list[int]) -> dict[str, Any]:
    nodes = [reader.node(id) for id in ids]
    visits = sum(reader.visits(id) for id in ids)
    value = float(sum(reader.value_sum(id) for id in ids))
    ended = dict.fromkeys(
        node.terminal for node in nodes if node.terminal and (node.terminal != "dead_end" or reader.exhausted(node.id))
    )
    facts: dict[str, Any] = {
        "action": nodes[0].action,
        "depth": min(node.depth for node in nodes),
        "visits": visits,
        "value": value,
        "reward": float(max(node.reward for node in nodes)),
        "terminal": ",".join(ended),
        "state": nodes[0].state_key or "",
        "ids": ids,
    }
    scored = visits - sum(node.unscored for node in nodes)
    if scored:
        facts["q"] = value / scored
        facts["best_q"] = max(q for id in ids if (q := reader.q(id)) is not None)
    return facts


# -- files -----------------------------------------------------------------------------------------------


def kind_of(name: str) -> GraphKind | None:
    """Returns the kind of graph file by a file name; None where the name does not show it."""
    return next((kind for ending, kind in _ENDINGS.items() if name.lower().endswith(ending)), None)


def save_graph(reader: TreeReader, out: Path, kind: GraphKind, *, merge: bool = True) -> None:
    """Write the tree as a graph file: `merge`d by state, or node by node.

    GraphML for Gephi, yEd and networkx; DOT for Graphviz; node-link is the JSON of networkx and D3. Raises
    `InputError` where the file can't be written.

    `reader`: the tree, now or in its past. `out`: the file. `kind`: graphml, dot or node-link.
    """
    if not len(reader):
        raise InputError(f"{out}: the tree has no nodes")
    graph = state_graph(reader) if merge else tree_graph(reader)
    write = {"graphml": _write_graphml, "dot": _write_dot, "node-link": _write_node_link}[kind]
    write_beside(out, lambda stream: write(graph, stream), follow=True)


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _plain(text: str) -> str:
    """The text without what XML can't hold: each such character becomes U+FFFD."""
    return _NO_XML.sub("\ufffd", text)


def _write_graphml(graph: Any, stream: BinaryIO) -> None:
    """GraphML, in which an attribute is one text or number: ids are joined by spaces."""

    def flat(attributes: dict[str, Any]) -> dict[str, Any]:
        return {
            name: " ".join(map(str, value)) if isinstance(value, list) else _plain(value) if isinstance(value, str)
            else value for name, value in attributes.items()
        }  # fmt: skip

    plain = nx.DiGraph(**flat(graph.graph)) if not graph.is_multigraph() else nx.MultiDiGraph(**flat(graph.graph))
    names: dict[object, str] = {}
    for vertex in graph:
        name = _plain(str(vertex))
        names[vertex] = name if name not in plain else f"{name} {len(names)}"
        plain.add_node(names[vertex], **flat(graph.nodes[vertex]))
    edges = ((names[source], names[target], flat(attributes)) for source, target, attributes in graph.edges(data=True))
    if graph.is_multigraph():  # the reader takes an edge's id for its key: numbers, since an action may be anything
        plain.add_edges_from((*edge[:2], number, edge[2]) for number, edge in enumerate(edges))
    else:
        plain.add_edges_from(edges)
    nx.write_graphml(plain, stream)


def _write_node_link(graph: Any, stream: BinaryIO) -> None:
    stream.write(json.dumps(nx.node_link_data(graph, edges="edges"), indent=1).encode("ascii"))
    stream.write(b"\n")


def _write_dot(graph: Any, stream: BinaryIO) -> None:
    numbers = {vertex: number for number, vertex in enumerate(graph.nodes)}
    low, high = graph.graph.get("score_low", 0.0), graph.graph.get("score_high", 1.0)
    lines = [
        "digraph search {",
        *(f"  {name}={_quoted(value)};" for name, value in graph.graph.items()),
        '  node [shape=box, style="filled,rounded", fontname="sans-serif", fontsize=10];',
        '  edge [fontname="sans-serif", fontsize=8, color="#707070"];',
    ]
    for vertex, attributes in graph.nodes(data=True):
        told = {
            "label": _vertex_label(vertex, attributes),
            "fillcolor": _fill(attributes.get("q"), low, high),
            **{name: value for name, value in attributes.items() if name not in ("state", "ids")},
            "name": vertex,
            "ids": " ".join(map(str, attributes["ids"])),
        }
        lines.append(f"  n{numbers[vertex]} [{_attributes(told)}];")
    for source, target, attributes in graph.edges(data=True):
        many = f" ×{attributes['count']}" if attributes["count"] > 1 else ""
        told = {"label": _short(attributes["action"]) + many if graph.is_multigraph() else "", **attributes}
        lines.append(f"  n{numbers[source]} -> n{numbers[target]} [{_attributes(told)}];")
    stream.write(clean("\n".join([*lines, "}"]) + "\n").encode("utf-8"))


def _vertex_label(vertex: object, attributes: dict[str, Any]) -> str:
    q = f" · Q {attributes['q']:.2f}" if "q" in attributes else ""
    ended = f" · {attributes['terminal']}" if attributes["terminal"] else ""
    name = "root" if ROOT in attributes["ids"] else _short(attributes["action"])
    reached = f" · {len(attributes['ids'])} nodes" if len(attributes["ids"]) > 1 else ""
    return f"{name}\nN {attributes['visits']}{q}{reached}{ended}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"


def _fill(q: float | None, low: float, high: float) -> str:
    if q is None:
        return "#e4e4e4"
    share = (q - low) / (high - low) if high > low else 1.0
    return _FILLS[max(0, min(len(_FILLS) - 1, int(share * len(_FILLS))))]


def _attributes(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: object) -> str:
    """A DOT string. In labels a backslash escapes (`\\N` is the vertex's name), so it is doubled everywhere."""
    text = _plain(str(value)).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "").replace("\n", "\\n") + '"'
