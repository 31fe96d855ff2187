"""The revision thought by each of its ways, and what becomes of a pair in which nothing is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError, WorkFailed
from engine.datasets.export import export
from engine.samples.revise import revise
from engine.samples.sample import Sample, splice_of, turns_of
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.samples.splice import revision_thoughts
from engine.samples.thoughts.writers import usable
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from engine.verifiers.base import JudgeSettings
from engine.workspace.workspace import Workspace
from tests.engine.made import AS_FOUND, honey_trace
from tests.servers.llm_server import LLMServer


@pytest.fixture
def tree(tmp_path: Path) -> SearchTree:
    """The made tree."""
    return load_any(honey_trace(tmp_path / "honey.trace.jsonl")).tree


def made(tree: SearchTree, figures: Revised | None = None, **changes: Any) -> list[Sample]:
    """The samples of pairs."""
    settings = ReviseSettings(**AS_FOUND | {"verifier": "value", **changes})
    cache = changes.get("prompts") or None
    found = revise(tree, "t", settings, figures or Revised(), SharedByTrees(cache=Path(cache) if cache else None))
    return [sample for sample in found if sample.bad is not None]


def test_a_number_takes_that_thought_of_the_list_for_all(tree: SearchTree) -> None:
    assert {sample.thought for sample in made(tree, thought="3")} == {revision_thoughts()[2]}
    assert len({sample.thought for sample in made(tree)}) > 1


@pytest.mark.parametrize("thought", ["0", "99", "-1", "mine", "", "²"])
def test_a_thought_that_is_not_there_is_one_line(tree: SearchTree, thought: str) -> None:
    with pytest.raises(InputError, match="reason, list, model, or a number of the list"):
        made(tree, thought=thought)


def test_a_model_writes_the_thought_from_the_verifiers_reason(tree: SearchTree) -> None:
    with LLMServer(answer=lambda body: 'Thought: "I spent\n what I needed."') as server:
        judge = JudgeSettings(model="m", base_url=server.url)
        figures = Revised()
        samples = made(tree, figures, thought="model", judge=judge)
        asked = [call.body["messages"][0]["content"] for call in server.calls]
    assert {sample.thought for sample in samples} == {"I spent what I needed."}
    assert {sample.thought_by for sample in samples} == {"m"}
    assert all("no good leaf was ever found below" in question for question in asked)
    assert any("craft 3 sugar" in question for question in asked)
    assert figures.judging is not None
    assert figures.judging.calls == len(asked)
    assert figures.judging.tokens_in == server.told.tokens_in
    assert len(asked) < len(samples)  # pairs with the same wrong step share what was written


def test_where_a_model_says_nothing_usable_the_thought_is_drawn(tree: SearchTree) -> None:
    with LLMServer(answer=lambda body: "Thought: x\nAction: get 1 log") as server:
        samples = made(tree, thought="model", judge=JudgeSettings(model="m", base_url=server.url))
    assert [sample.thought for sample in samples] == [sample.thought for sample in made(tree)]
    assert not any(sample.thought_by for sample in samples)


def test_a_model_that_cannot_be_reached_ends_it_in_one_line(tree: SearchTree) -> None:
    with pytest.raises(InputError, match="no model is named"):
        made(tree, thought="model")
    judge = JudgeSettings(model="m", base_url="http://127.0.0.1:9", retries=0, timeout=2)
    with pytest.raises(WorkFailed, match="the model that writes thoughts failed"):
        made(tree, thought="model", judge=judge)


@pytest.mark.parametrize(
    ("reply", "thought"),
    [("Thought: a\n b", "a b"), ("“a”", "a"), ("", None), ("x" * 601, None), ("a\nAction: b", None), ("  \n ", None)],
)
def test_only_one_line_without_an_action_is_a_thought(reply: str, thought: str | None) -> None:
    assert usable(reply) == thought


def nothing_wrong(folder: Path, **changes: Any) -> tuple[Workspace, list[Sample]]:
    """A run in which the verifier `human` has no mark: nothing is wrong anywhere."""
    workspace = Workspace.open(folder, create=True)
    trace = honey_trace(workspace.traces / "honey.trace.jsonl")
    settings = ReviseSettings(**AS_FOUND | {"verifier": "human", **changes})
    with workspace.new_run(settings, [str(trace)]) as run:
        for sample in revise(load_any(trace).tree, str(trace), settings, run.figures):
            if sample.bad is not None:
                run.add(sample)
        assert run.figures.no_wrong_step == 6
    return workspace, workspace.load_run().samples


def test_a_pair_in_which_nothing_is_wrong_is_kept_but_not_exported(tmp_path: Path) -> None:
    workspace, samples = nothing_wrong(tmp_path)
    assert all(sample.mark is None and sample.no_wrong_step for sample in samples)
    done = export(workspace, None, "agent-r", tmp_path / "out.jsonl")
    assert done.lines == 0
    assert done.dropped == {"no wrong step found": 6}


def test_whole_takes_the_whole_bad_trajectory_where_it_holds(tmp_path: Path) -> None:
    workspace, samples = nothing_wrong(tmp_path, no_wrong_step="whole")
    tree = load_any(workspace.traces / "honey.trace.jsonl").tree
    for sample in samples:
        assert len(splice_of(tree, sample).bad) == sample.bad_depth
        assert sum(turn.part == "bad" for turn in turns_of(tree, sample)) == 2 * sample.bad_depth
    done = export(workspace, None, "agent-r", tmp_path / "out.jsonl")
    assert done.lines > 0
    assert "no wrong step found" not in done.dropped
