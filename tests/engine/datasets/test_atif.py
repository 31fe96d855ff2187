"""The format `atif`: a revised trajectory is a valid document, and is read again as the sample says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.datasets.formats import FORMATS, FormatOptions
from engine.imports.attempt import Attempt
from engine.imports.formats.atif_rules import problems
from engine.imports.sources import read_rollouts
from engine.samples.sample import turns_of
from tests.engine.datasets.test_tool_calls import TOOLS, records, sample, tree


def test_a_revised_trajectory_with_calls_is_read_again_turn_by_turn(tmp_path: Path) -> None:
    (document,) = records("atif")
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(document), encoding="utf-8")
    (attempt,) = read_rollouts([path])
    assert isinstance(attempt, Attempt)
    turns = turns_of(tree(), sample())
    assert [(message.role, message.content) for message in attempt.messages] == [
        (turn.role, turn.content) for turn in turns
    ]
    assert [message.tool_calls for message in attempt.messages] == [turn.calls for turn in turns]
    assert [message.tool_call_id for message in attempt.messages] == [turn.call_id for turn in turns]
    assert [message.untrained for message in attempt.messages] == [turn.loss is False for turn in turns]
    assert (attempt.task, attempt.id, attempt.reward, attempt.tools) == ("1", "s", 1.0, TOOLS)


def test_results_stand_in_the_step_of_their_calls() -> None:
    (document,) = records("atif")
    step = document["steps"][2]
    assert [call["tool_call_id"] for call in step["tool_calls"]] == ["call_1_0", "call_1_1"]
    assert [call["arguments"] for call in step["tool_calls"]] == [{"item": "mud"}, {"item": "clay"}]
    assert step["observation"]["results"][0] | {"extra": None} == {
        "source_call_id": "call_1_0",
        "content": "no",
        "extra": None,
    }


def test_a_length_cuts_at_a_response() -> None:
    whole = records("atif")[0]["steps"]
    assert records("atif", options=FormatOptions(max_length=10)) == []
    assert len(records("atif", options=FormatOptions(max_length=100_000))[0]["steps"]) == len(whole)


def calls(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["steps"][2]["tool_calls"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(reward=1), "unknown field reward"),
        (lambda d: d["agent"].pop("version"), "an agent has a name and a version"),
        (lambda d: d["steps"].pop(0), "step 1: step ids count from 1"),
        (lambda d: d["steps"][0].update(source="tool"), "step 1: its source is system, user or agent"),
        (lambda d: d["steps"][1].update(tool_calls=[]), "step 2: unknown field tool_calls"),
        (lambda d: calls(d)[1].update(tool_call_id="call_1_0"), "step 3: each call has an id of its own"),
        (lambda d: calls(d)[0].update(arguments="{}"), "step 3: a call has a name, and an object of arguments"),
        (lambda d: calls(d).pop(), "step 3: a result answers a call of its step"),
        (lambda d: d.update(steps=[]), "is no ATIF document with steps"),
        (lambda d: d.update(schema_version="ATIF-v2.0"), "is no ATIF 1.x"),
    ],
)  # fmt: skip
def test_what_breaks_the_rules_of_atif_is_named(change: Any, said: str) -> None:
    (document,) = records("atif")
    assert problems(document) == []
    change(document)
    assert said in problems(document)
    assert FORMATS["atif"].validate(document) != []
