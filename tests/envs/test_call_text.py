"""Calls of tools as texts."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.text import flatten
from envs.call_text import arguments_of, call_text, calls_text, join_results, parse_calls, read_calls, split_results

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(st.text(), JSON, max_size=4)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("get", '{"item": "white wool", "count": 3}', 'get(count=3, item="white wool")'),
        ("get", '{"count":3,"item":"white wool"}', 'get(count=3, item="white wool")'),
        ("inventory", "", "inventory()"),
        ("inventory", "{}", "inventory()"),
        ("craft", '{"using": [["stick", 2]], "note": "a\\nb"}', 'craft(note="a\\nb", using=[["stick", 2]])'),
        ("get", "{count: 3", 'get("{count: 3")'),
        ("get", "[1]", 'get("[1]")'),
        ("odd name", '{"odd key": 1}', '"odd name"("odd key"=1)'),
    ],
)
def test_a_call_is_one_line_with_sorted_arguments(name: str, arguments: str, text: str) -> None:
    assert call_text(name, arguments) == text


@given(st.lists(st.tuples(st.text(min_size=1), ARGUMENTS), min_size=1, max_size=4))
def test_calls_are_read_back_as_they_were_made(calls: list[tuple[str, dict[str, object]]]) -> None:
    text = calls_text([(name, json.dumps(arguments)) for name, arguments in calls])
    assert len(text.split("\n")) == len(calls)
    read = parse_calls(text)
    assert read is not None
    assert [(call.name, arguments_of(call.arguments)) for call in read] == calls


@given(st.text())
def test_a_text_that_is_no_json_object_survives(raw: str) -> None:
    if arguments_of(raw) is not None:
        return
    read = parse_calls(call_text("get", raw))
    assert read is not None
    assert (read[0].name, read[0].arguments) == ("get", raw)


@given(st.text(alphabet=string.printable))
def test_any_text_is_calls_or_none(text: str) -> None:
    read = parse_calls(text)
    assert read is None or parse_calls(calls_text(read)) == read


@given(st.lists(st.text(alphabet="a1234[]\\ \n\t") | st.text(), min_size=1, max_size=5))
def test_results_are_told_apart_also_where_line_ends_became_blanks(results: list[str]) -> None:
    joined = join_results(results)
    assert split_results(joined, len(results)) == results
    flat = [flatten(result) for result in results]
    assert split_results(flatten(joined), len(results)) == flat


def test_a_result_stays_as_it_is_where_it_can_not_be_mistaken() -> None:
    assert join_results(["see [1] and [3]", "x[3] y", "[2] z"]) == "[1] see [1] and [3]\n[2] x[3] y\n[3] [2] z"
    assert join_results(["[2] a", "b [3]", "c"]) == "[1] \\[2] a\n[2] b \\[3]\n[3] c"


def test_results_that_can_not_be_told_apart_are_the_first_ones() -> None:
    assert split_results("nothing numbered", 3) == ["nothing numbered", "", ""]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("get(item='white wool', count=3)", {"item": "white wool", "count": 3}),
        ("  get( count = 3 )  ", {"count": 3}),
        ("get(deep={'a': [1, None]}, on=true, off=False)", {"deep": {"a": [1, None]}, "on": True, "off": False}),
        ("get()", {}),
    ],
)
def test_calls_are_read_as_python_writes_them(text: str, arguments: dict[str, object]) -> None:
    read = read_calls(text)
    assert read is not None
    assert [(call.name, arguments_of(call.arguments)) for call in read] == [("get", arguments)]


@pytest.mark.parametrize(
    "text",
    [
        "get(3)",
        "get(item=wool)",
        "get(**x)",
        "get(x=1) now",
        "I call get(x=1)",
        "get",
        "",
        "get(x={1, 2})",
        "get(x=b'a')",
    ],
)
def test_other_texts_are_no_calls(text: str) -> None:
    assert read_calls(text) is None


@given(st.text(alphabet="get(x=1,'\"[]{}:) \n", max_size=30))
def test_any_text_is_read_as_calls_or_not(text: str) -> None:
    assert read_calls(text) is None or parse_calls(calls_text(read_calls(text) or [])) is not None
