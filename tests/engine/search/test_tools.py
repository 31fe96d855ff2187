"""Searches whose agent calls tools: the trees are those of the same search by text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.answers.written_calls import written_calls
from engine.base.errors import InputError
from engine.environment.opened import open_environment
from engine.environment.replay import replay_tree
from engine.search.interventions import Intervention, refused
from engine.search.job import SearchJob, branch_job, fork_job, new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import SearchSettings
from engine.tree.tree import SearchTree
from envs.call_text import calls_text, parse_calls

TOOLS = "textcraft:tools"


def search(environment: str, out: Path, task: str = "3", **settings: Any) -> SearchTree:
    """A search that was run to its end."""
    job = new_job(environment, task, SearchSettings(**{"iterations": 4, "max_depth": 8, **settings}), out)
    job.run_blocking()
    return job.tree


def states(tree: SearchTree) -> list[tuple[object, ...]]:
    """What a search came to, whatever its actions are called."""
    return [
        (node.parent, node.draw, node.state_key, node.reward, node.terminal, node.visits, node.value_sum)
        for node in tree.nodes
    ]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("textcraft", {}),
        ("textcraft", {"seed": 5, "algorithm": "uct", "parallel_nodes": 3}),
        ("textcraft", {"actor": "random", "iterations": 2}),
        ("webshop", {"iterations": 2}),
    ],
)
def test_the_tree_of_states_is_that_of_the_same_search_by_text(
    text: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    by_text = search(text, tmp_path / "text.trace.jsonl", **settings)
    by_calls = search(f"{text}:tools", tmp_path / "calls.trace.jsonl", **settings)
    assert states(by_calls) == states(by_text)
    assert by_calls.repeats == by_text.repeats
    assert by_calls.answers.refused == by_text.answers.refused
    assert sum(bool(node.calls) for node in by_calls.nodes) > 10


def test_each_call_is_executed_as_its_canonical_text_and_replays(tmp_path: Path) -> None:
    tree = search(TOOLS, tmp_path / "t.trace.jsonl")
    assert tree.started is not None
    assert [each["function"]["name"] for each in tree.started.tools] == ["get", "craft", "inventory"]
    for node in tree.nodes[1:]:
        if node.calls:
            assert node.action == calls_text([(call.name, call.arguments) for call in node.calls])
            assert [message.role for message in node.messages] == ["assistant", "tool"]
            assert "Action:" not in node.response
        else:
            assert parse_calls(node.action) is None
            assert [message.role for message in node.messages] == ["assistant", "user"]
    assert list(replay_tree(tree, open_environment(TOOLS, "3"))) == []


def test_a_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    search(TOOLS, tmp_path / "whole.trace.jsonl")
    search(TOOLS, tmp_path / "cut.trace.jsonl", iterations=2)
    job = resume_job(tmp_path / "cut.trace.jsonl", changes={"iterations": 4})
    job.run_blocking()
    whole, cut = load(tmp_path / "whole.trace.jsonl").tree, load(tmp_path / "cut.trace.jsonl").tree
    assert states(cut) == states(whole)
    assert [node.calls for node in cut.nodes] == [node.calls for node in whole.nodes]


def test_the_answers_of_a_trace_call_again(tmp_path: Path) -> None:
    first = tmp_path / "first.trace.jsonl"
    search(TOOLS, first)
    search(TOOLS, tmp_path / "again.trace.jsonl", actor=f"recorded:{first}")
    same = compare(read_events(first), read_events(tmp_path / "again.trace.jsonl"))
    assert [each for each in same if "actor" not in str(each)] == []


def test_a_search_from_a_node_begins_with_its_calls(tmp_path: Path) -> None:
    tree = search(TOOLS, tmp_path / "t.trace.jsonl")
    node = next(node for node in tree.nodes if node.depth == 3 and node.terminal is None and node.calls)
    job = branch_job(tmp_path / "t.trace.jsonl", node.id, tmp_path / "b.trace.jsonl")
    assert job.tree.started is not None
    assert [step.tool_calls for step in job.tree.started.prefix] == [
        tree.nodes[id].calls for id in tree.ancestors(node.id)[1:]
    ]
    said = [(message.role, message.content) for message in job.tree.conversation(0)]
    assert said == [(message.role, message.content) for message in tree.conversation(node.id)]
    job.run_blocking()
    assert job.tree.nodes[0].id == 0
    assert len(job.tree.nodes) > 1


TWO = 'get(count=2, item="warped stems")\ninventory()'
RESULTS = ["Got 2 warped stems", "Inventory: [warped stems] (2) "]


def written(job: SearchJob, detail: str) -> SearchTree:
    """The tree with a step that a person wrote below the root."""
    job.run_blocking()
    assert refused(job.tree, Intervention("edited", 0, detail)) is None
    events = list(read_events(job.path))
    out = job.path.with_name("forked.trace.jsonl")
    forked = fork_job(job.path, events[-1].seq, out, requests=[Intervention("edited", 0, detail)])
    forked.run_blocking()
    return load(out).tree


@pytest.mark.parametrize(
    "detail",
    [
        f"Both at once.\n{TWO}",
        f"Thought: Both at once.\nAction: {TWO}",
        'Both at once.\n[{"name": "get", "arguments": {"item": "warped stems", "count": 2}}, {"name": "inventory"}]',
        'Both at once.\n```json\n{"tool_calls": [{"function": {"name": "get", "arguments": "{\\"count\\": 2,'
        ' \\"item\\": \\"warped stems\\"}"}}, {"function": {"name": "inventory", "arguments": "{}"}}]}\n```',
    ],
)
def test_a_person_writes_calls_as_text_or_json(detail: str, tmp_path: Path) -> None:
    settings = SearchSettings(iterations=1, max_depth=3)
    tree = written(new_job(TOOLS, "3", settings, tmp_path / "t.trace.jsonl"), detail)
    (id,) = tree.written_by
    node = tree.nodes[id]
    assert (node.response, node.action) == ("Both at once.", TWO)
    assert node.observation == f"[1] {RESULTS[0]} [2] {RESULTS[1]}"
    assert [(message.role, message.content, message.name) for message in node.messages[1:]] == [
        ("tool", RESULTS[0], "get"),
        ("tool", RESULTS[1], "inventory"),
    ]
    assert [message.tool_call_id for message in node.messages[1:]] == [f"call_{id}_0", f"call_{id}_1"]
    assert list(replay_tree(tree, open_environment(TOOLS, "3"))) == []


def test_a_step_without_a_call_and_one_that_is_there_are_not_taken(tmp_path: Path) -> None:
    job = new_job(TOOLS, "3", SearchSettings(iterations=1, max_depth=3), tmp_path / "t.trace.jsonl")
    job.run_blocking()
    why = refused(job.tree, Intervention("edited", 0, "Action: get 2 warped stems"))
    assert why == "there is no call in it: end with a line such as `get(…)`, or with JSON that names the tool"
    node = job.tree.nodes[job.tree.nodes[0].children[0]]
    same = f"that is what node {node.id} says already"
    assert refused(job.tree, Intervention("edited", 0, node.said)) == same
    assert refused(job.tree, Intervention("edited", 0, f"Thought: {node.said}")) == same


def test_the_same_words_with_other_calls_are_no_repeat(tmp_path: Path) -> None:
    tree = search(TOOLS, tmp_path / "t.trace.jsonl", samples=8, error_rate=0.8)
    alike = 0
    for node in tree.nodes:
        said = [(tree.nodes[id].response, tree.nodes[id].action) for id in node.children]
        assert len(said) == len(set(said))
        alike += len({response for response, _ in said}) < len(said)
    assert alike > 10
    assert sum(tree.repeats.values()) > 10


def test_an_environment_that_has_no_tools_takes_no_required_calls(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--tools required: textcraft has no tools"):
        search("textcraft", tmp_path / "t.trace.jsonl", tools="required")


def test_with_tools_off_the_scripted_actor_writes_calls_as_text(tmp_path: Path) -> None:
    by_text = search("textcraft", tmp_path / "text.trace.jsonl")
    tree = search(TOOLS, tmp_path / "t.trace.jsonl", tools="off")
    assert states(tree) == states(by_text)
    assert tree.started is not None
    assert tree.started.tools == []
    assert "- craft(count: integer, ingredients: array of string, output: string)" in tree.started.header[1].content
    assert all(not node.calls for node in tree.nodes)
    assert 'Action: get(count=2, item="warped stems")' in {node.response.split("\n")[-1] for node in tree.nodes}


@pytest.mark.parametrize(
    ("text", "said", "calls"),
    [
        ("look()", "", [("look", "{}")]),
        ("Why.\n\nlook()", "Why.", [("look", "{}")]),
        ("Action: look()", "", [("look", "{}")]),
        ('Why.\nCalls: look()\nopen(door="red")', "Why.", [("look", "{}"), ("open", '{"door": "red"}')]),
        ('{"name": "look"}', "", [("look", "{}")]),
        ("Why.\nopen(door='red')", "Why.", [("open", '{"door": "red"}')]),
        ('Why {not}.\n{"name": "open", "parameters": {"door": "red"}}', "Why {not}.", [("open", '{"door": "red"}')]),
        ('{"function": {"name": "open", "arguments": "{bad"}}', "", [("open", "{bad")]),
        ("look (a lot)", "look (a lot)", []),
        ('[{"name": "look"}, {"no": "name"}]', '[{"name": "look"}, {"no": "name"}]', []),
        ("", "", []),
    ],
)
def test_calls_are_read_at_the_end_of_a_text(text: str, said: str, calls: list[tuple[str, str]]) -> None:
    found = written_calls(text)
    assert (found[0], [(call.name, call.arguments) for call in found[1]]) == (said, calls)
