"""Continuations of an agent that calls tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.environment.opened import open_environment
from engine.recovery.continuation_plan import RecoverySettings, actor_settings, arms_of, chosen_marks, marks_of
from engine.recovery.continuation_store import Recoveries, new_arm
from engine.recovery.continuations import Recovery
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from tests.servers.calling import calls, plays_with_tools
from tests.servers.llm_server import Body, LLMServer, Said


def two_at_first(body: Body) -> Said:
    """A model that looks before each step, in the same turn; its server asserts the shape of every request."""
    said = plays_with_tools(body, 0.0)
    if isinstance(said, str):
        return said
    made = [(call["function"]["name"], call["function"]["arguments"]) for call in said["tool_calls"]]
    return calls(("inventory", ""), *made, text=said["content"])


def test_continuations_call_tools_and_are_continued_and_given_again(tmp_path: Path) -> None:
    job = new_job("textcraft:tools", "3", SearchSettings(error_rate=0.5), tmp_path / "t.trace.jsonl")
    job.run_blocking()
    tree = job.tree
    samples = [
        each for each in revise(tree, "t", ReviseSettings(), Revised()) if each.bad and each.mark and each.thought
    ]
    sample = min(samples, key=lambda each: (each.mark, each.id))
    with LLMServer(two_at_first) as server:
        settings = RecoverySettings(continuations=1, actor="openai", model="m", base_url=server.url, max_depth=14)
        actor = actor_settings(tree, settings)
        marks = chosen_marks(marks_of(tree, sample, actor.max_depth), sample, "mark")

        def recovered(folder: str, **more: Any) -> list[list[Any]]:
            known = Recoveries(tmp_path / folder, sample.trace)
            chosen = RecoverySettings(**{"continuations": 1, "max_depth": 14, **more})
            Recovery(tree, sample, marks, chosen, known).run_blocking()
            again = Recoveries(tmp_path / folder, sample.trace)
            arms = arms_of(tree, marks[0], sample.thought, actor_settings(tree, chosen))
            return [again.of(arm.key)[0] for arm in arms]

        arms = recovered("a", actor="openai", model="m", base_url=server.url)
        asked = [call.body["messages"] for call in server.calls]
    for steps in arms:
        assert steps[-1].end == "done"
        env = open_environment("textcraft:tools", "3").env
        for id in tree.ancestors(marks[0].node)[1:]:
            env.step(tree.nodes[id].action)
        for step in steps:
            assert step.tool_calls[0].name == "inventory"
            assert list(step.results) == env.step(step.action)[4]["results"]
    place, turns = next(
        (at, each) for each in asked for at, turn in enumerate(each) if turn["content"] == sample.thought
    )
    assert [turns[place]["role"], turns[place + 1]["role"], turns[place + 1]["content"]] == ["assistant", "user", "ok."]
    (written,) = (tmp_path / "a").rglob("*.jsonl")
    assert [step.tool_calls for step in recovered("b", actor=f"recorded:{written}")[0]] == [
        step.tool_calls for step in arms[0]
    ]


def test_both_arms_offer_the_tools_as_asked_and_send_the_reasoning_again(tmp_path: Path) -> None:
    settings = SearchSettings(error_rate=0.5, send_reasoning="reasoning_content")
    job = new_job("textcraft:tools", "3", settings, tmp_path / "t.trace.jsonl")
    job.run_blocking()
    tree = job.tree
    samples = [
        each for each in revise(tree, "t", ReviseSettings(), Revised()) if each.bad and each.mark and each.thought
    ]
    sample = min(samples, key=lambda each: (each.mark, each.id))

    def thinks(body: Body) -> Said:
        said = plays_with_tools(body, 0.0)
        return said if isinstance(said, str) else said | {"reasoning_content": "hm"}

    with LLMServer(thinks) as server:
        chosen = RecoverySettings(continuations=1, actor="openai", model="m", base_url=server.url, tools="required",
                                  max_depth=14)  # fmt: skip
        marks = chosen_marks(marks_of(tree, sample, 14), sample, "mark")
        known = Recoveries(tmp_path / "r", sample.trace)
        Recovery(tree, sample, marks, chosen, known).run_blocking()
        asked = [call.body for call in server.calls]
    assert {body["tool_choice"] for body in asked} == {"required"}
    assert all(body["tools"] == tree.started.tools for body in asked if tree.started is not None)
    told = [[turn["content"] for turn in body["messages"]] for body in asked]
    assert {sample.thought in each for each in told} == {True, False}
    later = [turn for body in asked for turn in body["messages"][4:] if turn.get("reasoning_content")]
    assert later
    assert {turn["reasoning_content"] for turn in later} == {"hm"}
    assert all(turn["tool_calls"] for turn in later)
    arms = arms_of(tree, marks[0], sample.thought, actor_settings(tree, chosen))
    assert [arm.settings["tools"] for arm in arms] == ["required", "required"]
    assert not known.of(
        arms_of(tree, marks[0], "", actor_settings(tree, RecoverySettings(actor="openai", model="m", max_depth=14)))[
            0
        ].key
    )


def test_settings_of_tools_make_other_arms_and_default_ones_are_found_as_before() -> None:
    def key(**settings: Any) -> str:
        return new_arm("t", 1, 1, "", SearchSettings(**settings)).key

    assert key() == "d2a2f3c8c0e344a8"
    keys = [key(**{name: value}) for name, value in [("tools", "required"), ("tools", "off"), ("top_p", 0.5),
            ("parallel_tool_calls", True), ("send_reasoning", "reasoning"), ("no_system", True)]]  # fmt: skip
    assert len({*keys, key()}) == 7


def test_an_actor_that_can_not_work_there_is_refused(tmp_path: Path) -> None:
    job = new_job("textcraft", "3", SearchSettings(error_rate=0.5, iterations=2), tmp_path / "t.trace.jsonl")
    job.run_blocking()
    with pytest.raises(InputError, match="--tools required: the agent of the search had no tools to call"):
        actor_settings(job.tree, RecoverySettings(tools="required"))
    calling = new_job("textcraft:tools", "3", SearchSettings(iterations=1), tmp_path / "c.trace.jsonl")
    calling.run_blocking()
    with pytest.raises(InputError, match="--tools off: the conversation of the search holds calls of tools"):
        actor_settings(calling.tree, RecoverySettings(tools="off"))
