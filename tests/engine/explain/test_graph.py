"""A tree as a graph: transpositions merged, nothing lost, and files that others read."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from agentr_tui.cli.main import run
from engine.base.errors import InputError
from engine.explain.graph import KINDS, kind_of, save_graph, state_graph, tree_graph
from engine.explain.repeated_states import repeated_states, states
from engine.trace.trace_file import write_trace
from engine.tree.events import AnyEvent, BackedUp, Child, Expanded, Message, Sampled, SearchSettings, Selected, Started
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree
from tests.engine.searched import search, tree_until

HOSTILE = 'say "hi" \\N \\ \x00\x1b[31m </node> ]]> & \n} digraph { <\u202e\ufffe>'


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    return search(tmp_path_factory.mktemp("graph") / "t.trace.jsonl")


@pytest.fixture(scope="module")
def tree(events: list[AnyEvent]) -> SearchTree:
    return SearchTree(events)


def grown(*families: tuple[int, list[tuple[str, str | None]]]) -> SearchTree:
    """A tree of (parent, children as (action, state)); every second node is backed up with a return of 1."""
    events: list[AnyEvent] = [
        Started(seq=0, version=1, trace="t", environment="textcraft", task="1",
                header=[Message("user", "Goal")], settings=SearchSettings())
    ]  # fmt: skip
    count = 1
    for parent, children in families:
        events.append(Selected(seq=len(events), path=[parent]))
        for draw, (action, _) in enumerate(children):
            events.append(Sampled(seq=len(events), parent=parent, draw=draw, response=f"Action: {action}"))
        made = [
            Child(draw=draw, action=action, observation="", state_key=state)
            for draw, (action, state) in enumerate(children)
        ]
        events.append(Expanded(seq=len(events), parent=parent, children=made))
        events += [BackedUp(seq=len(events), leaf=count, value=1.0)] if count % 2 else []
        count += len(children)
    return SearchTree(events)


def test_states_of_a_real_search_are_merged_and_every_node_is_in_one(tree: SearchTree) -> None:
    graph = state_graph(tree)
    keys = {node.state_key for node in tree.nodes if node.state_key}
    assert len(keys) < len(tree) / 4, "this search repeats itself: it is a test only then"
    assert len(graph) == len(keys) + sum(node.state_key is None for node in tree.nodes)
    ids = [id for _, told in graph.nodes(data=True) for id in told["ids"]]
    assert sorted(ids) == list(range(len(tree)))
    for _, told in graph.nodes(data=True):
        nodes = [tree.nodes[id] for id in told["ids"]]
        assert len({node.state_key for node in nodes}) == 1
        assert told["visits"] == sum(node.visits for node in nodes)
        assert told["value"] == pytest.approx(sum(node.value_sum for node in nodes))
        assert told.get("best_q") == max((node.q for node in nodes if node.q is not None), default=None)


def test_every_step_is_counted_on_one_edge_with_its_action(tree: SearchTree) -> None:
    graph = state_graph(tree)
    steps = Counter(
        (tree.nodes[node.parent].state_key or f"node {node.parent}", node.state_key or f"node {node.id}", node.action)
        for node in tree.nodes[1:]
    )
    told = {(a, b, edge["action"]): edge["count"] for a, b, edge in graph.edges(data=True)}
    assert told == dict(steps)


def test_nodes_without_a_state_stand_alone() -> None:
    tree = grown((0, [("a", None), ("b", None), ("c", "s")]), (1, [("c", "s")]))
    assert {tuple(told["ids"]) for _, told in state_graph(tree).nodes(data=True)} == {(0,), (1,), (2,), (3, 4)}


def test_the_graph_of_a_past_moment_is_that_of_the_tree_then(events: list[AnyEvent], tree: SearchTree) -> None:
    for seq in (5, 60, tree.seq // 2):
        then = state_graph(tree_until(events, seq))
        looked_back = state_graph(tree.at(seq))
        assert dict(looked_back.nodes(data=True)) == dict(then.nodes(data=True))
        assert sorted(looked_back.edges(data="action")) == sorted(then.edges(data="action"))


def test_loops_are_the_nodes_whose_nearest_ancestor_in_the_same_state_is_named(tree: SearchTree) -> None:
    expected = {}
    for node in tree.nodes:
        above = node.parent
        while above != NO_PARENT and node.state_key is not None:
            if tree.nodes[above].state_key == node.state_key:
                expected[node.id] = above
                break
            above = tree.nodes[above].parent
    found = {id: ancestor for state in repeated_states(tree) for ancestor, id in state.loops}
    assert found == expected
    assert expected


def test_repeats_name_every_state_that_was_reached_again_most_often_first(tree: SearchTree) -> None:
    repeats = repeated_states(tree)
    assert {state.key: state.ids for state in repeats} == {k: ids for k, ids in states(tree).items() if len(ids) > 1}
    assert [len(state.ids) for state in repeats] == sorted((len(state.ids) for state in repeats), reverse=True)


@pytest.mark.parametrize("merge", [True, False])
def test_graphml_is_read_back_with_all_it_says(tree: SearchTree, merge: bool, tmp_path: Path) -> None:
    save_graph(tree, tmp_path / "g.graphml", "graphml", merge=merge)
    graph = nx.read_graphml(tmp_path / "g.graphml", force_multigraph=merge)
    made = state_graph(tree) if merge else tree_graph(tree)
    assert {name: (told["visits"], told["ids"]) for name, told in graph.nodes(data=True)} == {
        str(name): (told["visits"], " ".join(map(str, told["ids"]))) for name, told in made.nodes(data=True)
    }
    assert Counter((str(a), str(b), action) for a, b, action in graph.edges(data="action")) == Counter(
        (str(a), str(b), action) for a, b, action in made.edges(data="action")
    )
    assert graph.graph["task"] == "2"


@pytest.mark.parametrize("merge", [True, False])
def test_node_link_is_read_back_as_the_same_graph(tree: SearchTree, merge: bool, tmp_path: Path) -> None:
    save_graph(tree, tmp_path / "g.json", "node-link", merge=merge)
    graph = nx.node_link_graph(json.loads((tmp_path / "g.json").read_bytes()), edges="edges")
    made = state_graph(tree) if merge else tree_graph(tree)
    assert nx.utils.graphs_equal(graph, made)


def statements(dot: str) -> list[tuple[str, dict[str, str]]]:
    """The statements of a DOT file with their attributes, read by the rules of the language for quoted strings."""
    found = []
    quoted = r'"(?:[^"\\]|\\.)*"'
    body = dot[dot.index("{") + 1 : dot.rindex("}")]
    rest = re.sub(quoted, lambda match: match[0].replace(";", "\x01"), body, flags=re.S)
    for statement in rest.split(";"):
        head, _, attributes = statement.strip().partition(" [")
        pairs = re.findall(rf"(\w+)=({quoted})", attributes, flags=re.S)
        found.append(
            (head, {name: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value[1:-1].replace("\x01", ";"))
                    for name, value in pairs})
        )  # fmt: skip
    return found


def test_dot_has_a_statement_for_every_state_and_edge(tree: SearchTree, tmp_path: Path) -> None:
    save_graph(tree, tmp_path / "g.dot", "dot")
    graph = state_graph(tree)
    told = statements((tmp_path / "g.dot").read_text(encoding="utf-8"))
    vertices = [attributes for head, attributes in told if re.fullmatch(r"n\d+", head)]
    edges = [attributes for head, attributes in told if " -> " in head]
    assert [(each["name"], int(each["visits"])) for each in vertices] == list(graph.nodes(data="visits"))
    assert Counter(each["action"] for each in edges) == Counter(action for _, _, action in graph.edges(data="action"))
    assert vertices[0]["label"].startswith("root\nN ")


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_texts_stay_texts(kind: Any, tmp_path: Path) -> None:
    tree = grown((0, [(HOSTILE, "s"), ("b", HOSTILE)]), (1, [("b", HOSTILE)]))
    out = tmp_path / "g"
    save_graph(tree, out, kind)
    shown = "".join("\ufffd" if letter in "\x00\x1b\ufffe" else letter for letter in HOSTILE)
    if kind == "graphml":
        graph = nx.read_graphml(out)
        assert len(graph) == 3
        assert {action for _, _, action in graph.edges(data="action")} == {shown, "b"}
    elif kind == "node-link":
        graph = nx.node_link_graph(json.loads(out.read_bytes()), edges="edges")
        assert {action for _, _, action in graph.edges(data="action")} == {HOSTILE, "b"}
    else:
        told = statements(out.read_text(encoding="utf-8"))
        assert {attributes["action"] for head, attributes in told if " -> " in head} == {shown, "b"}
        assert sum(bool(re.fullmatch(r"n\d+", head)) for head, _ in told) == 3


def test_a_very_long_action_makes_a_short_label(tmp_path: Path) -> None:
    save_graph(grown((0, [("x" * 10_000, "s")])), tmp_path / "g.dot", "dot")
    told = statements((tmp_path / "g.dot").read_text(encoding="utf-8"))
    labels = [attributes["label"] for head, attributes in told if "label" in attributes]
    assert max(map(len, labels)) < 100


def test_names_say_which_kind_of_graph() -> None:
    named = {"a.graphml": "graphml", "a.GV": "dot", "a.dot": "dot", "a.node-link.json": "node-link", "a.json": None}
    assert {name: kind_of(name) for name in named} == named


def test_a_tree_without_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no nodes"):
        save_graph(SearchTree(), tmp_path / "g.dot", "dot")


def test_convert_writes_every_kind_and_says_which_there_are(
    events: list[AnyEvent], tree: SearchTree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "t.trace.jsonl"
    write_trace(source, events)
    for name in ("g.graphml", "g.dot", "g.node-link.json"):
        assert run(["convert", str(source), str(tmp_path / name)]) == 0
    assert run(["convert", str(source), str(tmp_path / "all"), "--to", "node-link", "--no-merge"]) == 0
    assert len(json.loads((tmp_path / "all").read_bytes())["nodes"]) == len(tree)
    assert run(["convert", str(source), str(tmp_path / "g.picture")]) == 2
    assert "--to tree, trace, graphml, dot or node-link" in capsys.readouterr().err
    assert run(["convert", str(source), str(tmp_path / "g.dot")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_root_is_a_state_of_its_own_and_reaches_all(tree: SearchTree) -> None:
    graph = state_graph(tree)
    root = next(name for name, told in graph.nodes(data=True) if ROOT in told["ids"])
    assert nx.descendants(graph, root) | {root} == set(graph)
