"""Environments that keep to no form: they work, or one line says what is wrong before anything is written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from agentr_tui.cli.main import run
from engine.trace.sources import load_any
from envs.any_gymnasium import guarded_calls, probe
from envs.base import Actions, EnvError, Planner, Remarks, Snapshots, make
from envs.tool_schemas import checked_tools, misfit
from tests.envs.home_made import Key
from tests.envs.odd_made import TAKE, Counting

HERE = "gym:tests.envs.odd_made:odd/"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "kind", ["ArrayReward", "FractionReward", "NumpyEnd", "NumberEnd", "NoneEnd", "NumpyText", "Bytes", "Hostile",
             "Panics", "Exits", "WordlessError", "CloseRaises", "CloseExits", "CopyExits", "CopyFails", "SnapshotLies"],
)  # fmt: skip
def test_an_environment_with_one_odd_thing_gives_a_tree_that_replays(
    capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    words = ["--max-depth=3", "--iterations=2", "--out=t.trace.jsonl"]
    assert run(["search", "--env", f"{HERE}{kind}-v0", *words]) == 0
    tree = load_any(Path("t.trace.jsonl")).tree
    taken = next(node for node in tree.nodes if node.action == "take key")
    assert (taken.reward, taken.terminal) == (0.3, None)
    assert any(node.terminal == "done" and node.reward == 1 for node in tree.nodes) or tree.failures
    assert run(["replay", "t.trace.jsonl"]) == 0
    assert ", 0 differences" in capfd.readouterr().out


@pytest.mark.parametrize(
    "kind", ["Table", "Array", "Set", "Once", "Rows", "Holes", "Coded", "MaskTable", "Attribute", "Mask", "MaskRow",
             "MaskNames", "Flags", "Numbers"],
)  # fmt: skip
def test_valid_actions_in_any_dress_are_the_same_actions(kind: str) -> None:
    env = cast(Any, make(f"{HERE}{kind}-v0"))
    for _ in range(2):
        env.reset()
        assert isinstance(env, Actions)
        assert sorted(env.valid_actions()) == ["open door", "take key"]
        assert env.valid_actions() == env.valid_actions()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ActsDict", "the action space is Dict, not text: write a wrapper"),
        ("ActsMany", "the action space is MultiDiscrete, not text: write a wrapper"),
        ("ActsBinary", "the action space is MultiBinary, not text: write a wrapper"),
        ("Nothing", "the action space is missing"),
        ("Several", "an observation is 2 texts"),
        ("Chat", "an observation is of type list, not text: make it one in a wrapper"),
        ("NoText", "an observation is of type NoneType"),
        ("ResetThree", "its reset gives 3 values"),
        ("ResetInfo", "its reset gives an info of type list"),
        ("ResetExits", "reset (task 0) failed: SystemExit: 0"),
        ("Six", "its step gives 6 values"),
        ("StepNone", "its step gives a NoneType"),
        ("StepInfo", "its step gives an info of type str"),
        ("NoReward", "what step gives can't be used: TypeError"),
        ("WordReward", "what step gives can't be used: ValueError: could not convert string to float: 'good'"),
        ("NanReward", "a reward of nan"),
        ("HugeReward", "int too large"),
        ("TextEnd", "'False' for the end of the episode, not True or False"),
        ("MaskShort", "action_mask has 2 entries, and there are 3 actions"),
        ("Pairs", "valid_actions holds ('look', 0.5), which is no text"),
        ("Count", "valid_actions is of type int, no list of actions"),
        ("InitNeeds", "give them where it is registered: gymnasium.register(…, kwargs={…})"),
        ("InitExits", "can't make 'odd/InitExits-v0': SystemExit: 3"),
        ("ToolsRaise", "the environment's tools failed: ZeroDivisionError"),
        ("ToolsNone", "tools() gives none"),
        ("ToolsText", "tools() gives 'take': a list of JSON schemas of functions is needed"),
        ("ToolsTable", "tools() gives {'take'"),
        ("ToolsNameless", "tool 1 has no name"),
        ("ToolsTwice", "two tools are called 'take'"),
        ("ToolsParameters", "the parameters of take are 'what', no JSON schema"),
        ("ToolsRequired", "take: `required` of the parameters is True, no list of names"),
        ("ToolsInner", "take: the type of the parameters.what[] is 3"),
        ("ToolsNoJson", "the schema of take is no JSON"),
    ],
)
def test_what_no_search_could_use_is_refused_in_one_line(kind: str, said: str) -> None:
    with pytest.raises(EnvError) as refused:
        make(f"{HERE}{kind}-v0")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["NoReward", "InitExits", "ToolsTwice"])
def test_a_refused_environment_leaves_no_trace(capfd: pytest.CaptureFixture[str], kind: str) -> None:
    assert run(["search", "--env", f"{HERE}{kind}-v0", "--out", "t.trace.jsonl"]) == 2
    assert (capfd.readouterr().err.count("\n"), Path("t.trace.jsonl").exists()) == (1, False)


@pytest.mark.parametrize("kind", ["Raises", "None", "Text", "Number", "Left", "Negative"])
def test_a_plan_that_can_not_be_used_is_told_and_left_out(kind: str) -> None:
    env = cast(Any, make(f"{HERE}Plan{kind}-v0"))
    env.reset()
    assert not isinstance(env, Planner)
    assert isinstance(env, Remarks)
    assert env.remarks[0].startswith("its plan is not used: the environment's plan ")


def test_an_environment_that_does_not_close_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_calls, "CLOSE_SECONDS", 0.01)
    never, closing = threading.Event(), threading.Event()

    class Hangs(Key):
        def close(self) -> None:
            closing.set()
            never.wait()

    guarded_calls.close(Hangs())
    assert closing.wait(10)
    monkeypatch.setattr(guarded_calls, "CLOSE_SECONDS", None)  # it would wait for ever
    guarded_calls.close(Hangs())
    never.set()


def test_a_copy_that_lies_is_no_snapshot() -> None:
    for kind in ("CopyExits", "CopyFails"):
        assert not isinstance(make(f"{HERE}{kind}-v0"), Snapshots)


def test_tools_in_the_forms_of_other_interfaces_are_those_of_openai() -> None:
    env = cast(Any, make(f"{HERE}Calls-v0"))
    env.reset()
    take, opening = env.tools()
    assert take == {"type": "function", "function": TAKE}
    assert opening == {"type": "function", "function": {"name": "open", "parameters": {"type": "object"}}}
    assert misfit(take, {"what": 3}) == "what has to be a string, not 3"
    assert env.step('take(what="key")')[1] == 0.3
    assert env.step("open()")[2]


def test_a_schema_with_alternatives_and_truths_in_the_place_of_schemas_is_taken_as_it_is() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "what": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/W"}}]},
            "how": True,
        },
        "$defs": {"W": {"enum": ["key"]}},
    }
    (found,) = checked_tools(({"type": "function", "function": {"name": "take", "parameters": parameters}},))
    assert found["function"]["parameters"] == parameters
    assert misfit(found, {"what": ["key"], "how": 3}) is None
    assert misfit(found, {"what": 3}) == "what has to be a string, not 3"
    with pytest.raises(ValueError, match="tool 2 is None"):
        checked_tools([found, None])


def test_a_defect_of_the_environment_is_no_unexpected_error(capfd: pytest.CaptureFixture[str]) -> None:
    env = make(f"{HERE}Panics-v0")
    env.reset()
    with pytest.raises(EnvError, match="step failed: Panic"):
        env.step("look")
    assert capfd.readouterr().err == ""


def test_a_slow_environment_is_tried_by_one_step_where_others_are_by_several(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for seconds in (1e9, -1.0):
        monkeypatch.setattr(probe, "SECONDS", seconds)
        before = Counting.made
        make(f"{HERE}Counting-v0")
        made.append(Counting.made - before)
    assert made == [9, 3]  # by the door, by the copy, and by the door again
