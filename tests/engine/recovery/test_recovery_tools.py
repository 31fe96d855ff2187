"""Continuations of an agent that calls tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.environment.opened import open_environment
from engine.recovery.plan import RecoverySettings, actor_settings, arms_of, chosen_marks, marks_of
from engine.recovery.run import Recovery
from engine.recovery.store import Recoveries
from engine.samples.revise import Revised, ReviseSettings, revise
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
    samples = [each for each in revise(tree, "t", ReviseSettings(), Revised()) if each.mark and each.thought]
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
