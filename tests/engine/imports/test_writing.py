"""Nothing is lost between an attempt and a file of it: made-up attempts are written, read, and the same again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage, AttemptRole, ForeignTree, Transcript
from engine.imports.formats.writing import atif_document, chat_row
from engine.imports.sources import read_rollouts
from engine.tree.events import ToolCall
from tests import fixtures
from tests.engine.imports import raw, samples

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["look", "open", "run_bash", "ü"])
ARGUMENTS = st.one_of(
    st.just(""),
    TEXTS,
    st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(-9, 9), st.lists(st.booleans(), max_size=2)), max_size=3).map(
        lambda told: json.dumps(told)
    ),
    st.just('{"at":"door"}'),
)


@st.composite
def turns(draw: st.DrawFn, depth: int = 1) -> list[AttemptMessage]:
    """A turn: what somebody says, and the results of its calls, in any order and perhaps not all."""
    role: AttemptRole = draw(st.sampled_from(["system", "user", "assistant", "assistant"]))
    said = AttemptMessage(
        role=role,
        content=draw(TEXTS),
        reasoning=draw(TEXTS) if role == "assistant" else "",
        compacted=draw(st.booleans()) and role == "system",
        untrained=draw(st.booleans()) and role == "assistant",
        name=draw(st.sampled_from(["", "alice"])) if role == "user" else "",
        sub=draw(transcripts(depth)) if role == "system" else (),
    )
    if role != "assistant":
        return [said]
    ids = draw(st.lists(st.sampled_from(["c1", "c2", "c3", "toolu_9"]), max_size=3, unique=True))
    calls = tuple(ToolCall(draw(NAMES), draw(ARGUMENTS), identity) for identity in ids)
    answered = draw(st.permutations(calls))[: draw(st.integers(0, len(calls)))]
    results = [
        AttemptMessage(
            role="tool",
            content=draw(TEXTS),
            tool_call_id=call.id,
            name=call.name,
            error=draw(st.booleans()),
            sub=draw(transcripts(depth)),
        )
        for call in answered
    ]
    return [replace(said, tool_calls=calls), *results]


@st.composite
def transcripts(draw: st.DrawFn, depth: int) -> tuple[Transcript, ...]:
    if depth == 0 or not draw(st.booleans()):
        return ()
    inner = draw(st.lists(turns(depth=0), min_size=1, max_size=2))
    return (
        Transcript(
            messages=tuple(m for turn in inner for m in turn), agent="helper", id=draw(st.sampled_from(["s", "7"]))
        ),
    )


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """An attempt of an agent that calls tools."""
    made = draw(st.lists(turns(), min_size=1, max_size=6))
    reward = draw(st.one_of(st.none(), st.floats(-100, 100)))
    return Attempt(
        task="door-3",
        source="",
        format="",
        id=draw(st.sampled_from(["", "a-1"])),
        agent="me",
        model="m",
        environment="doors",
        tools=draw(st.sampled_from([[], [samples.TOOL]])),
        messages=[message for turn in made for message in turn],
        rewards={} if reward is None else {"reward": reward},
        reward=reward,
        stop=draw(st.sampled_from(["", "max_turns"])),
        cut_off=draw(st.booleans()),
    )


def again(row: dict[str, Any], name: str, read_as: str = "") -> Attempt:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(json.dumps(row), encoding="utf-8")
        rollouts = read_rollouts([path], read_as)
        (found,) = rollouts
        assert rollouts.problems == []
    assert isinstance(found, Attempt)
    return found


def bare(messages: list[AttemptMessage]) -> list[AttemptMessage]:
    """What chat rows can hold of messages."""
    return [replace(message, compacted=False, sub=(), error=False) for message in messages]


@given(attempts())
@settings(max_examples=60, deadline=None)
def test_an_attempt_written_as_atif_is_read_again_word_by_word(attempt: Attempt) -> None:
    found = again(atif_document(attempt), "trajectory.json")
    assert found.messages == attempt.messages
    for name in ("task", "agent", "model", "environment", "tools", "reward", "rewards", "stop", "cut_off"):
        assert getattr(found, name) == getattr(attempt, name), name


@given(attempts())
@settings(max_examples=40, deadline=None)
def test_an_attempt_written_as_a_chat_row_is_read_again_word_by_word(attempt: Attempt) -> None:
    found = again(chat_row(attempt), "chat.jsonl", "chat")
    assert found.messages == bare(attempt.messages)
    for name in ("task", "id", "agent", "model", "environment", "tools", "reward", "stop"):
        assert getattr(found, name) == getattr(attempt, name), name


def broken_rules(document: dict[str, Any]) -> list[str]:
    """What breaks Harbor's rules of a document (its 1.7 models: required fields, no unknown ones, matching ids)."""
    allowed = {
        "root": {"schema_version", "session_id", "trajectory_id", "agent", "steps", "subagent_trajectories", "extra"},
        "agent": {"name", "version", "model_name", "tool_definitions", "extra"},
        "step": {"step_id", "source", "message", "extra", "reasoning_content", "tool_calls", "observation"},
        "call": {"tool_call_id", "function_name", "arguments", "extra"},
        "result": {"source_call_id", "content", "subagent_trajectory_ref", "extra"},
    }
    wrong = [f"root {key}" for key in document.keys() - allowed["root"]]
    wrong += [f"agent {key}" for key in document["agent"].keys() - allowed["agent"]]
    wrong += [f"no {key}" for key in ("name", "version") if not isinstance(document["agent"].get(key), str)]
    if [step["step_id"] for step in document["steps"]] != list(range(1, len(document["steps"]) + 1)):
        wrong.append("step ids")
    for step in document["steps"]:
        wrong += [f"step {key}" for key in step.keys() - allowed["step"]]
        if not isinstance(step["message"], str) or step["source"] not in ("system", "user", "agent"):
            wrong.append("message or source")
        if step["source"] != "agent" and step.keys() & {"tool_calls", "reasoning_content"}:
            wrong.append("a field of agents")
        ids = [call["tool_call_id"] for call in step.get("tool_calls", [])]
        for call in step.get("tool_calls", []):
            wrong += [f"call {key}" for key in call.keys() - allowed["call"]]
            wrong += [] if isinstance(call["arguments"], dict) else ["arguments"]
        wrong += ["ids"] if len(set(ids)) != len(ids) or "" in ids else []
        for result in step.get("observation", {}).get("results", []):
            wrong += [f"result {key}" for key in result.keys() - allowed["result"]]
            wrong += [] if result.get("source_call_id") in ids else ["source_call_id"]
    for nested in document.get("subagent_trajectories", []):
        wrong += broken_rules(nested)
    return wrong


@given(attempts())
@settings(max_examples=40, deadline=None)
def test_a_written_document_keeps_the_rules_of_atif(attempt: Attempt) -> None:
    assert broken_rules(atif_document(attempt)) == []


@pytest.mark.parametrize("format", [name for name in samples.FILES if name != "moatless"])
def test_an_attempt_of_any_format_is_the_same_through_atif(tmp_path: Path, format: str) -> None:
    for attempt in read_rollouts([samples.write(tmp_path, format)]):
        assert isinstance(attempt, Attempt)
        document = atif_document(attempt)
        assert broken_rules(document) == []
        found = again(document, "trajectory.json")
        assert [replace(message, name="") for message in found.messages] == [
            replace(message, name="") for message in attempt.messages
        ]
        assert (found.task, found.reward) == (attempt.task, attempt.reward)


@fixtures.needs_fixtures
def test_the_attempts_of_public_files_are_the_same_through_atif() -> None:
    rollouts = fixtures.SHARED / "rollouts"
    count = 0
    for pattern in raw.ATTEMPTS:
        for path in rollouts.glob(pattern):
            for attempt in read_rollouts([path]):
                assert isinstance(attempt, Attempt | ForeignTree)
                if isinstance(attempt, Attempt):
                    document = atif_document(attempt)
                    assert broken_rules(document) == []
                    found = again(document, "trajectory.json")
                    assert [m.content for m in found.messages] == [m.content for m in attempt.messages]
                    assert [m.tool_calls for m in found.messages] == [m.tool_calls for m in attempt.messages]
                    count += 1
    assert count > 90
