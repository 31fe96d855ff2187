"""Calls that a server left in the text, or handed on with what is not theirs: in which forms they are found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.openai import read_calls
from engine.answers.left_calls import LONGEST, calls_in_text, made_right
from engine.models.reply import read_reply
from engine.tree.events import SearchSettings
from envs.call_text import Call, calls_text, canonical

TOOLS = {"get", "craft", "inventory"}
GET = 'get(count=2, item="white wool")'
ARGUMENTS = '{"item": "white wool", "count": 2}'
OBJECT = f'{{"name": "get", "arguments": {ARGUMENTS}}}'
TWO = f"{GET}\ninventory()"

LEFT = {
    "Qwen": (f"First wool.\n<tool_call>\n{OBJECT}\n</tool_call>", "First wool.", GET),
    "Qwen, twice": (f'<tool_call>{OBJECT}</tool_call>\n<tool_call>{{"name": "inventory"}}</tool_call>', "", TWO),
    "Qwen, no end": (f"<tool_call>{OBJECT}", "", GET),
    "Qwen's coder": (
        "Wool.\n<tool_call>\n<function=get>\n<parameter=item>\nwhite wool\n</parameter>\n<parameter=count>\n2\n"
        "</parameter>\n</function>\n</tool_call>", "Wool.", GET,
    ),
    "GLM": (
        "<tool_call>get\n<arg_key>item</arg_key>\n<arg_value>white wool</arg_value>\n<arg_key>count</arg_key>\n"
        "<arg_value>2</arg_value>\n</tool_call>", "", GET,
    ),
    "Llama 3.1": (f'<|python_tag|>{{"name": "get", "parameters": {ARGUMENTS}}}<|eom_id|>', "", GET),
    "Llama 3.1, twice": (f'<|python_tag|>{OBJECT}; {{"name": "inventory", "parameters": {{}}}}', "", TWO),
    "Llama 3.1, bare": (f'{{"type": "function", "name": "get", "parameters": {ARGUMENTS}}}', "", GET),
    "Llama's functions": (f"So.\n<function=get>{ARGUMENTS}</function>", "So.", GET),
    "Llama 3.2": ('[get(item="white wool", count=2), inventory()]', "", TWO),
    "Llama 4": ('<|python_tag|>get(item="white wool", count=2)', "", GET),
    "Mistral": (f"[TOOL_CALLS][{OBJECT}]</s>", "", GET),
    "Mistral, newer": (f"Wool.[TOOL_CALLS]get[ARGS]{ARGUMENTS}[TOOL_CALLS]inventory[ARGS]{{}}", "Wool.", TWO),
    "gpt-oss": (
        "<|channel|>analysis<|message|>Wool first.<|end|><|start|>assistant<|channel|>commentary "
        f"to=functions.get <|constrain|>json<|message|>{ARGUMENTS}<|call|>", "Wool first.", GET,
    ),
    "DeepSeek R1": (
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{ARGUMENTS}\n```"
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "", GET,
    ),
    "DeepSeek V3.1": (f"<｜tool▁call▁begin｜>get<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜>", "", GET),
    "Kimi": (
        f"<|tool_calls_section_begin|><|tool_call_begin|>functions.get:0<|tool_call_argument_begin|>{ARGUMENTS}"
        "<|tool_call_end|><|tool_calls_section_end|>", "", GET,
    ),
    "Phi": (f"functools[{OBJECT}]", "", GET),
    "a fence": (f"I need wool:\n```json\n{OBJECT}\n```", "I need wool:", GET),
    "a fence of code": ('```tool_code\nget(item="white wool", count=2)\n```', "", GET),
    "as text": ('Thought: I need wool.\nAction: get(item="white wool", count=2)', "I need wool.", GET),
}  # fmt: skip


def action(calls: list[Call]) -> str:
    return calls_text([(call.name, call.arguments) for call in calls])


@pytest.mark.parametrize("kind", LEFT)
def test_calls_in_the_text_are_found_in_the_form_of_each_model(kind: str) -> None:
    text, words, expected = LEFT[kind]
    said, calls = calls_in_text(text, TOOLS)
    assert (said, action(made_right(calls, TOOLS))) == (words, expected)


@pytest.mark.parametrize(
    "text",
    [
        "I am done: the wool is white.",
        'Here is an example:\n```json\n{"name": "wool", "arguments": {}}\n```',  # no tool of that name
        '{"name": "wool", "arguments": {}}',
        "print(count=2)",
        "```python\nx = 3\n```",
        "<tool_call>not a call</tool_call>",
        "x" * LONGEST + f"<tool_call>{OBJECT}</tool_call>",
    ],
)
def test_other_texts_are_words(text: str) -> None:
    assert calls_in_text(text, TOOLS) == (text, [])


@given(st.text(alphabet="<>[]{}|/=:\"'`\n ,getTOLCAS_function▁｜toolcalparm", max_size=200))
def test_no_text_at_all_is_an_error(text: str) -> None:
    said, calls = calls_in_text(text, TOOLS)
    assert (said == text) or calls
    made_right(calls, TOOLS)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("functions.get", ARGUMENTS), GET),
        (("functions.get:0", ARGUMENTS), GET),
        (("default_api.get", ARGUMENTS), GET),
        (("get<|channel|>json", ARGUMENTS), GET),
        ((" get ", ARGUMENTS), GET),
        (("get", json.dumps(ARGUMENTS)), GET),
        (("get", f"```json\n{ARGUMENTS}\n```"), GET),
        (("get", f"{ARGUMENTS} and so on"), canonical("get", {})[:-1] + json.dumps(f"{ARGUMENTS} and so on") + ")"),
        (("get", '"two"'), 'get("\\"two\\"")'),
        (("functions.sell", "{}"), "functions.sell()"),
        (("get", "null"), 'get("null")'),
    ],
)
def test_names_and_arguments_are_made_right_where_it_is_plain_what_was_meant(
    call: tuple[str, str], expected: str
) -> None:
    assert action(made_right([Call(*call)], TOOLS)) == expected


def body(message: dict[str, Any], finish: str = "tool_calls") -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()


FUNCTION = {"name": "get", "arguments": ARGUMENTS}
MESSAGES: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "an object for a list": ({"tool_calls": {"function": FUNCTION}}, GET, []),
    "flat": ({"tool_calls": [{"id": None, **FUNCTION}]}, GET, []),
    "as another vendor's": ({"tool_calls": [{"name": "get", "input": json.loads(ARGUMENTS)}]}, GET, []),
    "in the content": ({"content": [{"type": "tool_call", **FUNCTION}]}, GET, []),
    "in both forms at once": ({"tool_calls": [{"function": FUNCTION}], "function_call": FUNCTION}, GET, []),
    "the same id twice": (
        {"tool_calls": [{"id": "a", "function": FUNCTION}, {"id": "a", "function": {"name": "inventory"}}]}, TWO, []
    ),
    "arguments null": ({"tool_calls": [{"function": {"name": "inventory", "arguments": None}}]}, "inventory()", []),
    "a prefix": ({"tool_calls": [{"function": {**FUNCTION, "name": "functions.get"}}]}, GET, ["mended call"]),
    "left in the text": ({"content": LEFT["Mistral"][0]}, GET, ["mended call"]),
    "parts of a text": ({"content": [{"type": "text", "text": LEFT["Qwen"][0]}]}, GET, ["mended call"]),
    "a finish without its calls": ({"content": "Bye.", "tool_calls": []}, "", ["no call"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_with_calls_in_any_dress_is_read_and_what_was_mended_is_noted(kind: str) -> None:
    message, expected, notes = MESSAGES[kind]
    answer = read_calls(read_reply(body(message), None, None), SearchSettings(), TOOLS)
    assert ([(each.name, each.arguments) for each in answer.tool_calls] == []) == (expected == "")
    assert action([Call(call.name, call.arguments) for call in answer.tool_calls]) == expected
    assert list(answer.notes) == notes


def piece(**delta: Any) -> dict[str, Any]:
    return {"tool_calls": [delta]}


NAME, REST = {"name": "get", "arguments": ""}, [{"arguments": ARGUMENTS[:9]}, {"arguments": ARGUMENTS[9:]}]
STREAMS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no index": ([piece(id="a", function=NAME), *(piece(function=each) for each in REST)], GET),
    "the name again": ([piece(index=0, function={**each, "name": "get"}) for each in REST], GET),
    "index 0 for all": (
        [piece(index=0, id="a", function=FUNCTION), piece(index=0, id="b", function={"name": "inventory"})], TWO
    ),
    "whole calls without ids": ([piece(function=FUNCTION), piece(function={"name": "inventory"})], TWO),
    "two at once": (
        [{"tool_calls": [{"function": NAME}, {"function": {"name": "inventory", "arguments": "{"}}]},
         {"tool_calls": [{"function": {"arguments": ARGUMENTS}}, {"function": {"arguments": "}"}}]}], TWO
    ),
    "out of order": (
        [piece(index=1, id="b", function={"name": "inventory"}), piece(index=0, id="a", function=FUNCTION)],
        f"inventory()\n{GET}",
    ),
    "arguments as an object": ([piece(index=0, function={"name": "get", "arguments": json.loads(ARGUMENTS)})], GET),
    "the older form": ([{"function_call": NAME}, *({"function_call": each} for each in REST)], GET),
    "a letter in halves": (
        [piece(index=0, function={"name": "get", "arguments": '{"item": "\ud83d'}),
         piece(index=0, function={"arguments": '\ude00"}'})], 'get(item="😀")'
    ),
    "an escape in halves": (
        [piece(index=0, function={"name": "get", "arguments": '{"item": "\\u00'}),
         piece(index=0, function={"arguments": 'e9"}'})], 'get(item="é")'
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_of_pieces_in_any_order_is_put_together(kind: str) -> None:
    deltas, expected = STREAMS[kind]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    answer = read_calls(read_reply(data, None, None), SearchSettings(), TOOLS)
    assert action([Call(call.name, call.arguments) for call in answer.tool_calls]) == expected
