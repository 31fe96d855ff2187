"""A model that calls tools: what each kind of answer becomes, and what is sent back to it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.actors.request_log import request_of
from engine.base.errors import InputError
from engine.models import client as llm
from engine.models.context_window import ESTIMATE, fit
from engine.models.tool_calls import refuses_tools
from engine.search.job import new_job, resume_job
from engine.trace.trace_file import load, read_events
from engine.tree.events import Message, Sampled, SearchSettings, ToolCall
from engine.tree.tree import SearchTree
from tests.servers.calling import always, calls, plays_with_tools
from tests.servers.llm_server import Call, LLMServer, Said

STEMS = '{"item": "warped stems", "count": 2}'
GOT = "Got 2 warped stems"
INVENTORY = "Inventory: You are not carrying anything."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)


def search(server: LLMServer, out: Path, environment: str = "textcraft:tools", **changes: Any) -> SearchTree:
    """The tree of a search by that server."""
    chosen = {"actor": "openai", "model": "m", "base_url": server.url, "iterations": 1, "samples": 1, "max_depth": 1}
    job = new_job(environment, "3", SearchSettings(**{**chosen, **changes}), out)
    job.run_blocking()
    return job.tree


class Becomes(NamedTuple):
    """What an answer becomes."""

    response: str
    calls: list[tuple[str, str]]
    action: str
    observation: str
    notes: list[str] = []
    results: list[str] = []


GOOD = ("get", STEMS)
GOOD_TEXT = 'get(count=2, item="warped stems")'
ANSWERS: dict[str, tuple[Said, Becomes]] = {
    "a good call": (calls(GOOD), Becomes("", [GOOD], GOOD_TEXT, GOT)),
    "words beside it": (
        calls(GOOD, text="I need stems.\n"),
        Becomes("I need stems.", [GOOD], GOOD_TEXT, GOT),
    ),
    "thinking in its text": (
        calls(GOOD, text="<think>hm</think>I need stems."),
        Becomes("I need stems.", [GOOD], GOOD_TEXT, GOT),
    ),
    "no arguments": (calls(("inventory", "")), Becomes("", [("inventory", "")], "inventory()", INVENTORY)),
    "bad JSON": (
        calls(("get", '{"item": "warped stems", count: 2}')),
        Becomes(
            "",
            [("get", '{"item": "warped stems", count: 2}')],
            'get("{\\"item\\": \\"warped stems\\", count: 2}")',
            'Invalid call: the arguments of get are no JSON object: {"item": "warped stems", count: 2}',
        ),
    ),
    "JSON that is no object": (
        calls(("get", "[2]")),
        Becomes("", [("get", "[2]")], 'get("[2]")', "Invalid call: the arguments of get are no JSON object: [2]"),
    ),
    "a wrong type": (
        calls(("get", '{"item": "warped stems", "count": "two"}')),
        Becomes(
            "",
            [("get", '{"item": "warped stems", "count": "two"}')],
            'get(count="two", item="warped stems")',
            'Invalid call: get: count has to be an integer, not "two".',
        ),
    ),
    "an argument too few": (
        calls(("get", '{"item": "warped stems"}')),
        Becomes(
            "",
            [("get", '{"item": "warped stems"}')],
            'get(item="warped stems")',
            "Invalid call: get: count is missing.",
        ),
    ),
    "an unknown tool": (
        calls(("fetch", STEMS)),
        Becomes(
            "",
            [("fetch", STEMS)],
            'fetch(count=2, item="warped stems")',
            "Invalid call: there is no tool fetch; call one of get, craft, inventory.",
        ),
    ),
    "two at once": (
        calls(GOOD, ("inventory", "{}")),
        Becomes(
            "",
            [GOOD, ("inventory", "{}")],
            f"{GOOD_TEXT}\ninventory()",
            f"[1] {GOT} [2] Inventory: [warped stems] (2) ",
            results=[GOT, "Inventory: [warped stems] (2) "],
        ),
    ),
    "a bad and a good one": (
        calls(("fetch", "{}"), GOOD),
        Becomes(
            "",
            [("fetch", "{}"), GOOD],
            f"fetch()\n{GOOD_TEXT}",
            f"[1] Invalid call: there is no tool fetch; call one of get, craft, inventory. [2] {GOT}",
            results=["Invalid call: there is no tool fetch; call one of get, craft, inventory.", GOT],
        ),
    ),
    "words alone": (
        "I have made it.\nGood bye.",
        Becomes(
            "I have made it.\nGood bye.",
            [],
            "I have made it.\nGood bye.",
            "No tool was called: call one of get, craft, inventory.",
            ["no call"],
        ),
    ),
    "calls that the server left in the text": (
        'I need stems.\n<tool_call>\n{"name": "get", "arguments": {"item": "warped stems", "count": 2}}\n</tool_call>',
        Becomes("I need stems.", [GOOD], GOOD_TEXT, GOT, ["mended call"]),
    ),
    "arguments that the server parsed": (
        {"content": None, "tool_calls": [{"function": {"name": "get", "arguments": json.loads(STEMS)}}]},
        Becomes("", [GOOD], GOOD_TEXT, GOT),
    ),
    "the older form": (
        {"content": None, "function_call": {"name": "get", "arguments": STEMS}},
        Becomes("", [GOOD], GOOD_TEXT, GOT),
    ),
}


STREAMED = ("words beside it", "bad JSON", "two at once", "words alone")


@pytest.mark.parametrize(
    ("kind", "stream"), [*((kind, False) for kind in ANSWERS), *((kind, True) for kind in STREAMED)]
)
def test_what_an_answer_becomes(kind: str, stream: bool, tmp_path: Path) -> None:
    said, expected = ANSWERS[kind]
    with LLMServer(always(said), stream=stream) as server:
        tree = search(server, tmp_path / "t.trace.jsonl")
    assert [failure.error for failure in tree.failures] == []
    node = tree.nodes[1]
    made = [(call.name, call.arguments) for call in node.calls]
    sampled = next(event for event in read_events(tmp_path / "t.trace.jsonl") if isinstance(event, Sampled))
    results = [answer.content for answer in node.answers]
    assert Becomes(node.response, made, node.action, node.observation, sampled.notes, results) == expected
    refused = expected.observation.startswith(("Invalid", "No tool"))
    assert tree.answers.actions == 2  # the same was said twice, one below the other
    assert (tree.answers.refused, tree.answers.no_call) == (2 * refused, 2 * ("no call" in expected.notes))
    assert (tree.nodes[1].state_key == tree.nodes[2].state_key) == (refused or expected.action == "inventory()")


@pytest.mark.parametrize(
    ("said", "finish", "kind", "words"),
    [
        ("", "stop", "empty", "the answer is empty"),
        (
            calls(("get", '{"item": "warped st')),
            "length",
            "cut off",
            "the answer was cut off after 500 tokens, before its call was whole",
        ),
        ("Let me think", "length", "cut off", "the answer was cut off after 500 tokens, before its call was whole"),
    ],
)
def test_an_answer_of_no_use_is_a_failed_draw(said: Said, finish: str, kind: str, words: str, tmp_path: Path) -> None:
    with LLMServer(always(said), finish=finish) as server:
        tree = search(server, tmp_path / "t.trace.jsonl", max_failures=1)
    assert (tree.failures[0].what, tree.failures[0].error[: len(words)]) == (kind, words)


REFUSED = [
    '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "registry.ollama.ai/library/gemma:2b does not support tools",
    "tools param requires --jinja flag",
    "No endpoints found that support tool use. To learn more about provider routing, visit: https://x",
    "`tools` is not supported in this model.",
    "This model does not support function calling",
    "Function calling is not enabled for models/gemma-3",
    "Tool calling is not supported with this model",
]


@pytest.mark.parametrize("words", REFUSED)
def test_refused_tools_are_named_with_the_remedy_at_the_first_call(words: str, tmp_path: Path) -> None:
    with LLMServer(refusal=words) as server:
        tree = search(server, tmp_path / "t.trace.jsonl", samples=4, concurrency=1)
        assert len(server.calls) == 1
    assert tree.failures[0].what == "no tools"
    assert tree.failures[0].error.startswith(f"400: {words}"[:80])
    assert tree.failures[0].error.endswith("or have calls written as text: --tools off")


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
        "tool_choice 'required' is not supported",
        "Invalid schema for function 'get': minimum is not permitted",
        "tools: at most 128 tools are supported, more than 128 are not supported",
        "the system role is not supported",
        "the maximum context length is 100 tokens",
    ],
)
def test_other_words_do_not_say_that_there_are_no_tools(words: str) -> None:
    assert not refuses_tools(words)


@pytest.mark.parametrize("name", ["tool_choice", "parallel_tool_calls"])
def test_what_a_server_will_not_have_beside_tools_is_left_out(name: str, tmp_path: Path) -> None:
    with LLMServer(always(calls(GOOD)), unsupported=name) as server:
        tree = search(server, tmp_path / "t.trace.jsonl")
        assert [name in call.body for call in server.calls] == [True, False, False]
    assert tree.nodes[1].observation == GOT


@pytest.mark.parametrize(
    ("changes", "choice", "parallel"),
    [({}, "auto", False), ({"tools": "required", "parallel_tool_calls": True}, "required", True)],
)
def test_tools_and_their_choice_are_sent(changes: dict[str, Any], choice: str, parallel: bool, tmp_path: Path) -> None:
    with LLMServer(always(calls(GOOD))) as server:
        tree = search(server, tmp_path / "t.trace.jsonl", **changes)
        body = server.calls[0].body
    assert tree.started is not None
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get", "craft", "inventory"]
    assert body["tools"] == tree.started.tools
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (choice, parallel)
    assert "stop" not in body
    assert "Action:" not in json.dumps(body["messages"])


def test_each_call_is_sent_back_with_its_result(tmp_path: Path) -> None:
    two = calls(GOOD, ("inventory", ""), text="First.")
    with LLMServer(lambda body: two if len(body["messages"]) == 4 else calls(GOOD)) as server:
        tree = search(server, tmp_path / "t.trace.jsonl", max_depth=2)
        sent = server.calls[1].body["messages"][4:]
    assert sent == [
        {
            "role": "assistant",
            "content": "First.",
            "tool_calls": [
                {"id": "call_1_0", "type": "function", "function": {"name": "get", "arguments": STEMS}},
                {"id": "call_1_1", "type": "function", "function": {"name": "inventory", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "content": GOT, "tool_call_id": "call_1_0", "name": "get"},
        {"role": "tool", "content": "Inventory: [warped stems] (2) ", "tool_call_id": "call_1_1", "name": "inventory"},
    ]
    logged = request_of(tree, 2)
    assert logged is not None
    assert {name: logged[name] for name in server.calls[1].body if name != "model"} == {
        name: value for name, value in server.calls[1].body.items() if name != "model"
    }


def parses_arguments(call: Call) -> str | None:
    """What a server does whose template parses the arguments of earlier calls."""
    made = [each["function"]["arguments"] for turn in call.body["messages"] for each in turn.get("tool_calls", ())]
    try:
        good = all(isinstance(json.loads(arguments), dict) for arguments in made)
    except ValueError:
        good = False
    return None if good else "bad request"


def test_bad_arguments_are_put_into_an_object_for_a_server_that_parses_them(tmp_path: Path) -> None:
    bad = "{item: warped stems}"
    with LLMServer(always(calls(("get", bad))), faults=parses_arguments) as server:
        tree = search(server, tmp_path / "t.trace.jsonl")
        sent = [call.body["messages"][-2].get("tool_calls") for call in server.calls[1:]]
    assert [each[0]["function"]["arguments"] for each in sent] == [bad, json.dumps({"arguments": bad})]
    assert [node.calls[0].arguments for node in tree.nodes[1:]] == [bad, bad]
    assert tree.failures[0].error.endswith("asked again with arguments that are no JSON object put into one")


def test_with_tools_off_calls_are_written_as_text(tmp_path: Path) -> None:
    said = 'Thought: I need stems.\nAction: get(count=2, item="warped stems")'
    with LLMServer(always(said)) as server:
        tree = search(server, tmp_path / "t.trace.jsonl", tools="off")
        body = server.calls[0].body
    assert tree.started is not None
    assert (tree.started.tools, "tools" in body) == ([], False)
    assert "- get(count: integer, item: string)" in body["messages"][1]["content"]
    assert (tree.nodes[1].calls, tree.nodes[1].observation) == ((), GOT)


def test_required_calls_of_nothing_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="textcraft has no tools: --env textcraft:tools"):
        new_job("textcraft", "3", SearchSettings(tools="required"), tmp_path / "t.trace.jsonl")
    assert not (tmp_path / "t.trace.jsonl").exists()


@pytest.mark.parametrize("changes", [{"structured": "json"}, {"example": True}])
def test_forms_of_text_are_refused_where_tools_are_called(changes: dict[str, Any], tmp_path: Path) -> None:
    settings = SearchSettings(actor="openai", model="m", base_url="http://127.0.0.1:1/v1", **changes)
    with pytest.raises(InputError, match="leave it out, or --tools off"):
        new_job("textcraft:tools", "3", settings, tmp_path / "t.trace.jsonl")


@pytest.mark.parametrize("field", ["", "reasoning_content", "reasoning"])
def test_reasoning_is_sent_again_where_a_setting_says_so(field: str, tmp_path: Path) -> None:
    with LLMServer(always(calls(GOOD)), reasoning="stems first") as server:
        out = tmp_path / "t.trace.jsonl"
        tree = search(server, out, max_depth=2, send_reasoning=field)
        said = server.calls[1].body["messages"][4]
    assert {name: said[name] for name in said if name.startswith("reasoning")} == (
        {field: "stems first"} if field else {}
    )
    logged = request_of(load(out).tree, 2)
    assert logged is not None
    assert logged["messages"][4] == said
    assert len(tree.nodes) == 4


def test_a_whole_search_by_calls_is_resumed_and_the_same_again(tmp_path: Path) -> None:
    """A server that plays by the interface's rules, and asserts them of each request."""
    chosen: dict[str, Any] = {"samples": 4, "iterations": 3, "max_depth": 6}
    with LLMServer(plays_with_tools) as server:
        whole = search(server, tmp_path / "whole.trace.jsonl", **chosen)
        cut = search(server, tmp_path / "cut.trace.jsonl", **{**chosen, "iterations": 1})
        assert len(cut.nodes) < len(whole.nodes)
        job = resume_job(tmp_path / "cut.trace.jsonl", changes={"iterations": 3})
        job.run_blocking()
        again = new_job(
            "textcraft:tools",
            "3",
            SearchSettings(actor=f"recorded:{tmp_path / 'whole.trace.jsonl'}", iterations=3, max_depth=6),
            tmp_path / "again.trace.jsonl",
        )
        again.run_blocking()
    assert not whole.failures
    said = [[(node.response, node.calls, node.observation) for node in tree.nodes] for tree in (whole, job.tree)]
    assert said[0] == said[1]
    assert [node.calls for node in again.tree.nodes] == [node.calls for node in whole.nodes]
    assert sum(bool(node.calls) for node in whole.nodes) > 20


def test_the_context_is_cut_by_whole_steps() -> None:
    step = [
        Message("assistant", "two", (ToolCall("get", STEMS, "a"), ToolCall("inventory", "", "b"))),
        Message("tool", "x" * 30, tool_call_id="a", name="get"),
        Message("tool", "y" * 30, tool_call_id="b", name="inventory"),
    ]
    header = [Message("system", "s"), Message("user", "rules"), Message("assistant", "Ok."), Message("user", "task")]
    messages = [*header, *step, *step, Message("assistant", "done"), Message("user", "No tool")]
    last = ESTIMATE.of(header) + ESTIMATE.of(messages[-2:])
    assert fit(messages, last, ESTIMATE) == (header + messages[-2:], 2)
    assert fit(messages, last + ESTIMATE.of(step) - 1, ESTIMATE) == (header + messages[-2:], 2)
    assert fit(messages, last + ESTIMATE.of(step), ESTIMATE) == (header + messages[7:], 1)
    assert fit(messages, None, ESTIMATE) == (messages, 0)
    roles = [message.role for message in fit(messages, last + ESTIMATE.of(step), ESTIMATE)[0]]
    assert all(before in ("assistant", "tool") for before, role in pairwise(roles) if role == "tool")


def test_the_arguments_of_calls_count_as_tokens() -> None:
    bare, calling = Message("assistant", "I get it."), Message("assistant", "I get it.", (ToolCall("get", STEMS),))
    assert ESTIMATE.of([calling]) - ESTIMATE.of([bare]) == 1 + -(-len(STEMS) // 3) + 4
