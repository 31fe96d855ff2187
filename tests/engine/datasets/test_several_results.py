"""Several results of one step: whatever they say, each stays the answer of its own call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.base.step_kind import refused
from engine.base.text import clean, flatten
from engine.datasets.formats import FORMATS, FormatOptions, Item
from engine.environment.at_node import EnvironmentAtNode
from engine.environment.opened import Opened, open_environment
from engine.environment.permission import Permit
from engine.environment.replay import replay_tree
from engine.samples.sample import Sample
from engine.samples.splice import Splice, revision_turns, trajectory_turns
from engine.search.expansion import step_answers
from engine.search.started_event import started_event
from engine.tree.events import Sampled, SearchSettings, Selected, ToolCall
from engine.tree.messages import messages_of, observed
from engine.tree.tree import SearchTree
from envs.base import AnyText
from envs.call_text import arguments_of, parse_calls
from envs.tool_schemas import tool

MARKS = st.sampled_from(
    ["[1] ", "[2] ", "[3] ", "[2]", "\\[2] ", "\\\\[3]", "\n[2] ", " ", "\n", "\t", "", "a", "Got 1"]
)
RESULTS = st.lists(st.text(max_size=12) | st.lists(MARKS, max_size=6).map("".join), min_size=1, max_size=5)


class Echo(gymnasium.Env[str, str]):
    """Its tool gives back what it is called with; the episode ends when that is `over`."""

    action_space = observation_space = AnyText()

    def tools(self) -> list[dict[str, Any]]:
        """One."""
        return [tool("say", "Say it.", text={"type": "string"})]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start."""
        return "Goal: be heard.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One call."""
        text = (arguments_of((parse_calls(action) or [])[0].arguments) or {})["text"]
        return text, float(text == "over"), text == "over", False, {}


@pytest.fixture(scope="module", autouse=True)
def echo() -> Iterator[None]:
    """The environment is there."""
    gymnasium.register("Echo-v0", entry_point=lambda **more: Echo())
    yield
    del gymnasium.registry["Echo-v0"]


def at_start() -> Opened:
    """The environment at its start."""
    return open_environment(Permit("gym::Echo-v0", ""), "0")


def says(texts: list[str]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall("say", json.dumps({"text": text})) for text in texts)


def searched(results: list[str]) -> SearchTree:
    """Node 1 says them, node 2 below it ends the episode."""
    opened, options = at_start(), SearchSettings(samples=1)
    tree = SearchTree([started_event(opened, options, trace="t")])
    stand = EnvironmentAtNode(tree, opened, [])
    for parent, calls in enumerate((says(results), says(["over"]))):
        tree.apply(Selected(seq=tree.seq + 1, path=[parent]))
        tree.apply(Sampled(seq=tree.seq + 1, parent=parent, draw=0, response="So.", tool_calls=calls))
        event = step_answers(tree, stand, options, parent).event
        event.seq = tree.seq + 1
        tree.apply(event)
    stand.close()
    return tree


def results_in(name: str, record: dict[str, Any]) -> list[str]:
    """The results of the first step in a record, in its format's own place."""
    if name == "atif":
        step = next(step for step in record["steps"] if step["source"] == "agent" and step.get("tool_calls"))
        return [each["content"] for each in step["observation"]["results"]]
    if name == "sharegpt":
        (value,) = [row["value"] for row in record["conversations"] if row["from"] == "observation"]
        return str(value).split("\n</tool_response>\n<tool_response>\n")
    rows = record["messages"] if "messages" in record else record["prompt"] + record["completion"]
    return [row["content"] for row in rows if row["role"] == "tool"]


@settings(max_examples=100, deadline=None)
@given(results=RESULTS)
@example(results=["", ""])
@example(results=["[2] a", "[3] b", "c"])
@example(results=["[1] a [2] b", "[2] ", ""])
@example(results=["a [2]", "\\[2] b", "[1]"])
def test_any_results_of_a_step_are_those_of_its_messages_exports_and_replay(results: list[str]) -> None:
    expected = [clean(flatten(result)) for result in results]
    tree = searched(results)
    node = tree.nodes[1]
    assert [message.content for message in node.messages[1:]] == expected
    assert [message.tool_call_id for message in node.messages[1:]] == [f"call_1_{at}" for at in range(len(results))]
    assert list(replay_tree(tree, at_start())) == []
    again = messages_of(observed(node.as_prefix(), node.observation), "p1")
    assert [message.content for message in again[1:]] == expected
    true = revision_turns(tree, Splice([1], [2]), None, {0: node.observation})
    assert [turn.content for turn in true if turn.role == "tool"][: len(results)] == expected
    good = Sample(id="s", kind="good", trace="t", path="p", environment="e", task="0", good=2, return_good=1)
    item = Item(tree, good, trajectory_turns(tree, 2))
    for name in ("openai", "trl-sft", "axolotl", "sharegpt", "atif"):
        records = FORMATS[name].records(item, FormatOptions())
        assert [FORMATS[name].validate(record) for record in records] == [[]] * len(records), name
        assert results_in(name, records[-1])[: len(results)] == expected, name


def test_a_step_is_refused_where_each_of_its_results_says_so() -> None:
    action = 'get(count=1, item="x")\nget(count=1, item="y")'
    refusal = "Could not find x"
    assert refused("textcraft:tools", action, f"[1] {refusal} [2] {refusal}")
    assert not refused("textcraft:tools", action, f"[1] {refusal} [2] Got 1 y")
    assert not refused("textcraft:tools", action, f"{refusal} Got 1 y", [refusal, "Got 1 y"])
    assert not refused("textcraft:tools", action, "Got 1 x Could not find y", ["Got 1 x", "Could not find y"])
    assert refused("textcraft:tools", 'get(count=1, item="x")', f"{refusal} [2] Got 1 y")
