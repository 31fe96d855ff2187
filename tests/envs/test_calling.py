"""Environments with tools, over environments that take texts."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.step_kind import only_looks, refused
from envs import base
from envs.base import Actions, AnyText, EnvError, LastWords, Mistakes, Needs, Planner, Snapshots, StateKeys, Tools
from envs.call_text import arguments_of, canonical, parse_calls
from envs.textcraft import tools as textcraft_tools
from envs.tool_schemas import misfit, name_of, signature, tool
from envs.tool_wrapper import Calling, with_own_tools
from envs.webshop import tools as webshop_tools

GET = textcraft_tools.TOOLS[0]


def started(environment: str, task: str = "3") -> Any:
    """An environment at the start of a task."""
    env = base.make(environment)
    env.reset(options={"task": task})
    return env


@pytest.mark.parametrize("text", ["textcraft", "webshop"])
def test_it_offers_what_the_environment_below_offers(text: str) -> None:
    below, env = started(text), started(f"{text}:tools")
    for protocol in (Snapshots, Planner, Actions, Mistakes, StateKeys, Needs):
        assert isinstance(env, protocol) == isinstance(below, protocol), protocol
    assert base.offers(env, Tools)
    assert env.observation_space.contains(env.reset(options={"task": "1"})[0])


@pytest.mark.parametrize(("environment", "module"), [("textcraft", textcraft_tools), ("webshop", webshop_tools)])
@pytest.mark.parametrize("task", ["3", "17"])
def test_a_walk_by_calls_is_the_walk_by_texts(environment: str, module: Any, task: str) -> None:
    below, env, rng = started(environment, task), started(f"{environment}:tools", task), random.Random(task)
    for step in range(30):
        seed = rng.random()
        (thought, text), (again, call) = (each.mistake(random.Random(seed)) for each in (below, env))
        assert thought == again
        if step % 3:
            text, call = below.plan().action or text, env.plan().action or call
        assert below.plan().steps_left == env.plan().steps_left
        told = [each for each in below.valid_actions() if module.call_of(each) is not None]
        assert len(told) == len(env.valid_actions())
        expected, came = below.step(text), env.step(call)
        if parse_calls(call) is None:  # `look around`, `stop`: no tool does that
            assert came[0].startswith("No tool was called")
        else:
            assert came[:4] == expected[:4]
            assert refused(f"{environment}:tools", call, came[0]) == refused(environment, text, expected[0])
            assert only_looks(f"{environment}:tools", call) == only_looks(environment, text)
        assert below.state_key() == env.state_key()
        if expected[2]:
            return


@pytest.mark.parametrize(
    ("action", "result"),
    [
        ('get(count=0, item="x")', "Invalid call: get: count has to be at least 1, not 0."),
        ('get(count=true, item="x")', "Invalid call: get: count has to be an integer, not true."),
        ('get(count=1, item="x", of="y")', "Invalid call: get: of is no argument; there is count and item."),
        ("get()", "Invalid call: get: item is missing."),
        (
            'craft(count=1, ingredients=[], output="x")',
            "Invalid call: craft: ingredients has to have at least 1 item.",
        ),
        (
            'craft(count=1, ingredients=["1 a", 2], output="x")',
            "Invalid call: craft: ingredients[1] has to be a string, not 2.",
        ),
        ("inventory(of=1)", "Invalid call: inventory: of is no argument."),
        ('get("{")', "Invalid call: the arguments of get are no JSON object: {"),
        ("look()", "Invalid call: there is no tool look; call one of get, craft, inventory."),
        ("get(item='x', count=0)", "Invalid call: get: count has to be at least 1, not 0."),
        ("get 2 warped stems", "No tool was called: call one of get, craft, inventory."),
        ("", "No tool was called: call one of get, craft, inventory."),
    ],
)
def test_what_is_no_valid_call_is_answered_and_changes_nothing(action: str, result: str) -> None:
    env = started("textcraft:tools")
    before = env.state_key()
    observation, score, terminated, truncated, info = env.step(action)
    assert (observation, score, terminated, truncated) == (result, 0, False, False)
    assert info["results"] == [result]
    assert env.state_key() == before
    assert refused("textcraft:tools", action, observation)


def test_several_calls_run_in_order_as_one_step() -> None:
    env = started("textcraft:tools")
    action = 'get(count=1, item="oak logs")\nbad()\ncraft(count=4, ingredients=["1 oak logs"], output="oak planks")'
    observation, *_, info = env.step(action)
    assert info["results"] == [
        "Got 1 oak logs",
        "Invalid call: there is no tool bad; call one of get, craft, inventory.",
        "Crafted 4 minecraft:oak_planks",
    ]
    assert observation == "\n".join(f"[{number}] {each}" for number, each in enumerate(info["results"], 1))
    assert not refused("textcraft:tools", action, observation)


def test_no_call_is_made_after_the_end_of_the_episode() -> None:
    env = started("textcraft:tools")
    plan = []
    while (action := env.plan().action) is not None:
        plan.append(action)
        env.step(action)
    env.reset(options={"task": "3"})
    _, score, terminated, _, info = env.step("\n".join([*plan, "inventory()"]))
    assert (score, terminated, len(info["results"])) == (1, True, len(plan) + 1)
    assert info["results"][-1] == "Not called: the episode was over before."


def test_the_score_stays_where_nothing_was_called() -> None:
    env: Any = with_own_tools(Doors())
    env.reset()
    assert env.step('open(door="red")')[1] == 0.5
    assert env.step("open()")[1] == 0.5


def test_words_for_the_actor_speak_of_the_call() -> None:
    env = started("textcraft:tools")
    assert env.words("done", "No tool was called", [env.plan().action]).fault == "I called no tool"
    assert env.words("fly()", "Invalid call", []).fault == "there is no tool fly"
    assert env.words("get()", "Invalid call", []).fault == "item is missing"
    assert env.words('get("x")', "Invalid call", []).fault == "the arguments of get were no JSON object"
    below = started("textcraft")
    wrong, call = "get 1 warped trapdoor", 'get(count=1, item="warped trapdoor")'
    said = below.words(wrong, below.step(wrong)[0], [below.plan().action])
    assert env.words(call, env.step(call)[0], [env.plan().action]) == said
    assert said.fault


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_text_is_one_call_of_act(text: str) -> None:
    env = base.make("tools:textcraft")
    env.reset(options={"task": "3"})
    below = started("textcraft")
    assert env.step(canonical("act", {"text": text}))[0] == below.step(text)[0]


def test_any_other_environment_gets_one_tool() -> None:
    env = started("tools:textcraft")
    assert [name_of(each) for each in env.tools()] == ["act"]
    assert env.plan().action == 'act(text="get 2 warped stems")'
    assert base.info_of("tools:textcraft").refuses("Could not find x")
    assert base.info_of("tools:textcraft").looks('act(text="inventory")')
    assert "call the tool act" in base.info_of("tools:textcraft").rules
    with pytest.raises(EnvError, match="textcraft:tools has tools of its own"):
        base.make("tools:textcraft:tools")
    with pytest.raises(EnvError, match="write tools:ENV"):
        base.info_of("tools")
    with pytest.raises(EnvError, match="unknown environment 'nowhere'"):
        base.info_of("tools:nowhere")


@pytest.mark.parametrize(
    ("name", "reaches"),
    [("textcraft:tools", False), ("webshop:tools", False), ("webshop:tools:/data", True), ("webshop:/data", True),
     ("tools:textcraft", False), ("tools:gym:mine:X-v0", True), ("tools:webshop:/data", True)],
)  # fmt: skip
def test_what_an_environment_with_tools_reaches(name: str, reaches: bool) -> None:
    assert base.names_place(name) == reaches


class Doors(gymnasium.Env[str, str]):
    """An environment with tools of its own."""

    action_space = observation_space = AnyText()

    def tools(self) -> list[dict[str, Any]]:
        """One."""
        return [tool("open", "Open a door.", door={"type": "string", "enum": ["red", "blue"]})]

    def final_action(self, text: str) -> str:
        """The answer."""
        return f"answer[{text}]"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start."""
        super().reset(seed=seed)
        return "Two doors. Goal: say what is behind the red one.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One call, or the answer."""
        if action.startswith("answer["):
            return "Right." if "gold" in action else "Wrong.", float("gold" in action), True, False, {}
        call = (parse_calls(action) or [])[0]
        found = {"red": "gold", "blue": "dust"}[(arguments_of(call.arguments) or {})["door"]]
        return f"You see {found}.", 0.5 * (found == "gold"), False, False, {}


def test_an_environment_with_tools_of_its_own_gets_one_valid_call_at_a_time() -> None:
    env: Any = with_own_tools(Doors())
    env.reset()
    assert env.step('open(door="blue")\nopen(door="red")')[0] == "[1] You see dust.\n[2] You see gold."
    assert env.step('open(door="green")')[0] == (
        'Invalid call: open: door has to be one of "red", "blue", not "green".'
    )


def test_words_without_a_call_end_the_episode_where_the_environment_has_an_action_for_that() -> None:
    env: Any = with_own_tools(Doors())
    env.reset()
    assert env.step("It is gold.\nBye.")[:3] == ("Right.", 1.0, True)


def test_a_gymnasium_environment_with_tools_is_one_of_ours() -> None:
    gymnasium.register("Doors-v0", entry_point=lambda **more: Doors())
    try:
        env: Any = base.make("gym::Doors-v0?range=-1,1")
        observation, _ = env.reset(options={"task": "0"})
        assert isinstance(env, Calling)
        assert isinstance(env, Snapshots)
        assert isinstance(env.below, LastWords)
        assert [signature(each) for each in env.tools()] == ["open(door: string)"]
        assert observation.startswith("Two doors.")
        assert env.step("open()")[:2] == ("Invalid call: open: door is missing.", 1.0)  # a score of 0, counted from -1
        assert env.step('open(door="red")')[:2] == ("You see gold.", 1.5)
        stood = env.snapshot()
        assert env.step("dust")[:3] == ("Wrong.", 1.5, True)
        env.restore(stood)
        assert env.step("gold")[:3] == ("Right.", 2.5, True)
        assert base.info_of("gym::Doors-v0").refuses("Invalid call: open: door is missing.")
    finally:
        del gymnasium.registry["Doors-v0"]


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        ({"type": "number"}, 2.5, None),
        ({"type": "integer"}, 2.0, None),
        ({"type": "integer"}, 2.5, "x has to be an integer, not 2.5"),
        ({"type": ["string", "null"]}, None, None),
        ({"type": ["string", "null"]}, 1, "x has to be a string or null, not 1"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 1, None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, [], "x has to be a string, not []"),
        ({"type": "array", "items": {"type": "object", "required": ["a"]}}, [{"a": 1}, {}], "x[1].a is missing"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "1", "b": 2}, None),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"b": "2"},
            'x.b has to be an integer, not "2"',
        ),
        ({"type": "string", "maxLength": 2}, "abc", "x may have at most 2 characters"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "x has to be less than 1, not 1"),
        ({"const": 4}, 5, "x has to be 4, not 5"),
        (True, object, None),
        ({}, {"anything": 1}, None),
    ],
)
def test_arguments_are_checked_by_the_schema(schema: Any, value: Any, wrong: str | None) -> None:
    assert misfit(tool("t", "", x=schema) if isinstance(schema, dict) else tool("t", "", x={}), {"x": value}) == wrong
