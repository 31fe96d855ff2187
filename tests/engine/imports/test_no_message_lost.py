"""No message is lost: made-up attempts, written in each format, are read and merged, and each path is its file's."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.merging.equal_messages import Merge
from engine.imports.merging.grouping import group
from engine.imports.sources import read_rollouts
from engine.tree.events import ToolCall
from engine.tree.tree import SearchTree
from tests.engine.imports.attempts import read_back, shape
from tests.engine.imports.written import FORMATS, write

EXAMPLES = int(os.environ.get("AGENTR_FUZZ", "0")) // 50 or 12
"""Of each format."""

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "ok",
            " ok \n",
            "Ok.",
            "Action: go",
            "<think>a</think>b",
            "took 0.5s",
            "é\r\n",
            "\ufeffx",
            "a\u2028b",
            "null",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["a", "ü", "b c"]), st.one_of(TEXTS, st.integers(-9, 9), st.none()), max_size=2
).map(lambda told: json.dumps(told, ensure_ascii=False, separators=(",", ":")))
CALLS = st.lists(st.tuples(st.sampled_from(["look", "open-it", "ü"]), ARGUMENTS), max_size=3)
TURNS = st.lists(st.tuples(TEXTS, TEXTS, CALLS, st.tuples(TEXTS, TEXTS)), max_size=3)
"""What is said, what is thought, the calls, and what answers them; one answer of a turn without calls."""
Turn = tuple[str, str, list[tuple[str, str]], tuple[str, str]]


VARIATIONS = st.lists(st.sampled_from(["said", "thought", "time", "blank", "shorter"]), max_size=2)


def varied(turns: list[Turn], how: list[str]) -> list[Turn]:
    """The same steps by another attempt: in other words, at another time, with blanks at ends, or not all of them."""
    later, blank = "\nat 10:11:12" if "time" in how else "\nat 01:02:03", " \n" * ("blank" in how)
    return [
        (
            "Well: " * ("said" in how and bool(calls)) + words,
            "Hm." * ("thought" in how) + why,
            calls,
            (first + later + blank, second + later),
        )
        for words, why, calls, (first, second) in (turns[:-1] if "shorter" in how else turns)
    ]


def made_of(system: str, task: str, turns: list[Turn], last: str) -> list[AttemptMessage]:
    """An attempt that ends with words."""
    messages = [AttemptMessage(role="system", content=system), AttemptMessage(role="user", content=task)]
    for number, (said, thought, told, answers) in enumerate(turns):
        calls = tuple(ToolCall(name, text, f"call_{number}{place}") for place, (name, text) in enumerate(told))
        messages.append(AttemptMessage(role="assistant", content=said, reasoning=thought, tool_calls=calls))
        messages += [
            AttemptMessage(role="tool", content=answer, tool_call_id=call.id)
            for call, answer in zip(calls, (*answers, answers[0]), strict=False)
        ] or [AttemptMessage(role="user", content=answers[0])]
    return [*messages, AttemptMessage(role="assistant", content=last)]


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    TURNS,
    st.lists(VARIATIONS, max_size=2),
    TURNS,
    st.tuples(TEXTS.filter(bool), TEXTS.filter(bool)),
    st.sampled_from(["action", "text", "none"]),
)
@example(
    [("Ok.", "", [], ("go", "")), ("", "why", [("look", "{}"), ("look", "{}")], ("a", "b"))],
    [["time"], ["said", "thought", "blank"]],
    [],
    ("s", "t"),
    "action",
)
@example(
    [(f"Step {number}.", "", [("look", "{}")] * (number % 4), ("a", "b")) for number in range(9)],
    [["shorter"]],
    [],
    ("s", "t"),
    "action",
)
def test_the_path_of_each_attempt_is_what_its_file_says(
    format: str, first: list[Turn], others: list[list[str]], last: list[Turn], header: tuple[str, str], merge: Merge
) -> None:
    attempts = [varied(first, []), *(varied(first, how) for how in others), last]
    made = [made_of(*header, turns, "done") for turns in attempts]
    with tempfile.TemporaryDirectory() as folder:
        expected = {
            str(write(Path(folder, str(number)), format, messages)): shape(FORMATS[format].held(messages))
            for number, messages in enumerate(made)
        }
        rollouts = read_rollouts([folder])
        found = [rollout for rollout in rollouts if isinstance(rollout, Attempt)]
    assert rollouts.problems == []
    assert set(rollouts.formats) == {format.partition(",")[0].split(" ")[0]}
    assert sorted(attempt.source for attempt in found) == sorted(expected)
    for attempt in found:
        assert shape(attempt.messages) == expected[attempt.source]
    for _, events in group(found, merge).all():
        tree = SearchTree(events)
        for told in tree.attempts:
            assert read_back(tree, told) == expected[told.source]
