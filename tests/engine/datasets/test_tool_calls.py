"""Calls of tools in every format: the messages, the mask, and the text that a chat template makes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.datasets.formats import FORMATS, FormatOptions, Item
from engine.datasets.formats.base import NO_CALLS
from engine.datasets.formats.masks import UNANSWERED
from engine.datasets.templates.markup import CHATML, LLAMA3, QWEN3, QWEN25, Markup
from engine.datasets.templates.tool_calls import as_texts, tools_text
from engine.datasets.trainer_configs.marked_template import marked_template
from engine.samples.sample import Sample, turns_of
from engine.samples.splice import Turn
from engine.tree.events import Child, Expanded, Message, Sampled, SearchSettings, Selected, Started, ToolCall
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement
from tests.engine.trainer_tokens import rendered

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "get", "description": "é", "parameters": {"type": "object"}}}
]
THOUGHT = "That was the wrong item."


def call(item: str) -> ToolCall:
    return ToolCall("get", json.dumps({"item": item}))


def tree() -> SearchTree:
    """Node 1: two calls at once, wrong; node 2: right, and good."""
    header = [Message("system", "You craft."), Message("user", "Goal: get a stick.")]
    return SearchTree(
        [
            Started(
                seq=0,
                version=2,
                trace="t",
                environment="none",
                task="1",
                header=header,
                settings=SearchSettings(samples=2),
                tools=TOOLS,
            ),
            Selected(seq=1, path=[0]),
            Sampled(seq=2, parent=0, draw=0, response="Both.", tool_calls=(call("mud"), call("clay"))),
            Sampled(seq=3, parent=0, draw=1, response="", tool_calls=(call("stick"),)),
            Expanded(
                seq=4,
                parent=0,
                children=[
                    Child(0, "a\nb", "[1] no [2] ", 0, "depth", results=("no", "")),
                    Child(1, "c", "Got it.", 1, "done"),
                ],
            ),
        ]
    )


def sample(merged: bool = True) -> Sample:
    return Sample(
        id="s",
        kind="revision",
        trace="t",
        path="p",
        environment="none",
        task="1",
        good=2,
        bad=1,
        return_good=1,
        bad_depth=1,
        good_depth=1,
        mark=1,
        found=1,
        judgements=[Judgement(1, "Bad")],
        thought=THOUGHT,
        merged=merged,
    )


def records(name: str, merged: bool = True, options: FormatOptions | None = None) -> list[dict[str, Any]]:
    """The records of the sample, each well-formed."""
    made, each = tree(), sample(merged)
    found = FORMATS[name].records(Item(made, each, turns_of(made, each), True), options or FormatOptions())
    assert [problem for record in found for problem in FORMATS[name].validate(record)] == []
    return found


def openai_call(id: str, item: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "get", "arguments": json.dumps({"item": item})}}


def test_a_merged_thought_is_said_by_the_turn_that_takes_the_next_right_step() -> None:
    turns = turns_of(tree(), sample())
    assert [(turn.role, turn.content, turn.loss) for turn in turns] == [
        ("system", "You craft.", None),
        ("user", "Goal: get a stick.", None),
        ("assistant", "Both.", False),
        ("tool", "no", None),
        ("tool", "", None),
        ("assistant", THOUGHT, True),
        ("tool", "Got it.", None),
    ]
    assert [call.id for turn in turns for call in turn.calls] == ["call_1_0", "call_1_1", "call_2_0"]
    own = turns_of(tree(), sample(merged=False))
    assert [turn.content for turn in own if turn.loss] == [f"Thought: {THOUGHT}\nAction: wait", ""]


def test_openai_messages_hold_calls_results_and_tools() -> None:
    assert records("openai") == [
        {
            "messages": [
                {"role": "system", "content": "You craft."},
                {"role": "user", "content": "Goal: get a stick."},
                {
                    "role": "assistant",
                    "content": "Both.",
                    "weight": 0,
                    "tool_calls": [openai_call("call_1_0", "mud"), openai_call("call_1_1", "clay")],
                },
                {"role": "tool", "content": "no", "tool_call_id": "call_1_0"},
                {"role": "tool", "content": "", "tool_call_id": "call_1_1"},
                {
                    "role": "assistant",
                    "content": THOUGHT,
                    "weight": 1,
                    "tool_calls": [openai_call("call_2_0", "stick")],
                },
            ],
            "tools": TOOLS,
            "parallel_tool_calls": True,
        }
    ]


def test_a_call_without_its_result_is_found() -> None:
    (record,) = records("openai")
    del record["messages"][4]
    assert UNANSWERED in FORMATS["openai"].validate(record)


@pytest.mark.parametrize("markup", [CHATML, QWEN25, QWEN3], ids=lambda each: each.name)
@pytest.mark.parametrize("merged", [True, False])
def test_the_template_beside_the_dataset_writes_calls_out_as_the_texts_that_are_measured(
    markup: Markup, merged: bool
) -> None:
    (record,) = records("trl-sft", merged)
    turns = as_texts(list(turns_of(tree(), sample(merged)))[:-1], TOOLS)
    rows = record["prompt"] + record["completion"]
    text, spans = rendered(marked_template(markup), rows, tools=json.loads(record["tools"]))
    assert text == markup.text(turns)
    trained = [markup.body(turn) for turn in turns if turn.loss]
    assert [text[begin:end] for begin, end in spans][-len(trained) :] == trained
    whole = f'{THOUGHT}\n<tool_call>\n{{"name": "get", "arguments": {{"item": "stick"}}}}\n</tool_call>{markup.after}'
    assert (trained == [whole]) is merged
    assert f"You craft.\n\n{tools_text(TOOLS)}<|im_end|>" in text
    assert "<tool_response>\nno\n</tool_response>\n<tool_response>\n\n</tool_response><|im_end|>" in text


def test_messages_of_one_conversation_have_the_same_keys() -> None:
    for name in ("trl-sft", "axolotl", "trl-dpo"):
        (record,) = records(name)
        rows = [row for value in record.values() if isinstance(value, list) for row in value]
        assert len({tuple(row) for row in rows}) == 1, name
        assert json.loads(record["tools"]) == TOOLS


def test_a_preference_is_between_calls_without_the_thought() -> None:
    (record,) = records("trl-dpo")
    assert [row["content"] for row in record["chosen"]] == [""]
    assert record["chosen"][0]["tool_calls"] == [openai_call("call_2_0", "stick")]
    assert [row["role"] for row in record["rejected"]] == ["assistant"]
    assert [row["role"] for row in record["prompt"]] == ["system", "user"]


def test_sharegpt_has_function_calls_and_observations() -> None:
    merged = records("sharegpt")
    assert [row["from"] for row in merged[-1]["conversations"]] == ["system", "human", "gpt", "observation", "gpt"]
    assert merged[-1]["conversations"][3]["value"] == "no\n</tool_response>\n<tool_response>\n"
    assert merged[-1]["conversations"][4]["value"].startswith(f"{THOUGHT}\n<tool_call>\n")
    own = records("sharegpt", merged=False)
    assert own[-1]["conversations"][-1] == {
        "from": "function_call",
        "value": '{"name": "get", "arguments": {"item": "stick"}}',
    }
    assert json.loads(own[-1]["tools"]) == TOOLS


@pytest.mark.parametrize("name", ["xtuner", "verl", "agent-r-rewrite"])
def test_formats_of_texts_hold_what_a_chat_template_makes_of_calls(name: str) -> None:
    (record,) = records(name)
    text = json.dumps(record)
    assert "tool_calls" not in text
    said = next(iter(record.values()))
    last = said[-1].get("content") or said[-1]["output"]
    assert last == f'{THOUGHT}\n<tool_call>\n{{"name": "get", "arguments": {{"item": "stick"}}}}\n</tool_call>'


def test_a_format_or_template_without_a_place_for_calls_gives_no_record_and_says_why() -> None:
    item = Item(tree(), sample(), turns_of(tree(), sample()), True)
    assert records("agent-r") == []
    assert FORMATS["agent-r"].why_no_record(item, FormatOptions()) == NO_CALLS
    llama = FormatOptions(markup=LLAMA3)
    assert records("trl-sft", options=llama) == []
    assert "chat template" in FORMATS["trl-sft"].why_no_record(item, llama)
    assert len(records("openai", options=llama)) == 1


def test_a_step_of_a_process_reward_model_shows_its_calls() -> None:
    (record,) = records("trl-stepwise")
    assert record["labels"] == [False]
    assert '<tool_call>\n{"name": "get", "arguments": {"item": "clay"}}' in record["completions"][0]
    assert tools_text(TOOLS) in record["prompt"]


def test_a_turn_tells_its_action_and_thought() -> None:
    turn = Turn("assistant", "Both.", True, "good", calls=(call("mud"), call("clay")))
    assert (turn.action, turn.thought) == ('get(item="mud")\nget(item="clay")', "Both.")
