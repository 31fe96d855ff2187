"""ScienceWorld: as recorded, the same whenever it is done again, and gone when its program is."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env

from engine.actors.base import Answer, Request
from engine.actors.scripted import ScriptedActor
from engine.base.text import parse_action
from engine.environment.at_node import EnvironmentAtNode
from engine.environment.opened import Opened, open_environment
from engine.environment.replay import replay_tree
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.search.job import new_job
from engine.search.search import Search
from engine.search.settings import recorded_settings
from engine.search.started_event import started_event
from engine.trace.diff import compare
from engine.tree.events import AnyEvent, Sampled, SearchSettings
from engine.tree.tree import SearchTree
from envs import base
from envs.base import EnvError, InstanceDied, Plan, UnknownTask, info_of, make, recognise
from envs.scienceworld.nearest_action import candidates, nearest
from tests.engine.made import AS_FOUND
from tests.fixtures import SHARED, needs_fixtures, read_json

RECORDED = SHARED / "agent-r" / "sciworld" / "3539" / "replay.json.gz"
MISSING = base.missing(info_of("scienceworld"))
needs_scienceworld = pytest.mark.skipif(MISSING is not None, reason=f"scienceworld lacks {MISSING}")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked for in /proc")

if MISSING is None:
    from envs.scienceworld import simulator as scienceworld_game
    from envs.scienceworld.env import ScienceWorld, ScienceWorldBase, task_of
    from envs.scienceworld.simulator import TASK_NAMES, Game

PLANT = "find-plant:3"
TASKS = (
    PLANT,
    "find-animal:10",  # differs from process to process, unless Java's identity hashes are constant
    *(
        "boil:7",
        "grow-plant:61",
        "test-conductivity:652",
        "mendelian-genetics-known-plant:3",
        "lifespan-longest-lived:2",
    ),
    *("inclined-plane-determine-angle:16", "use-thermometer:92", "chemistry-mix-paint-secondary-color:25"),
)


@lru_cache
def recording() -> dict[str, Any]:
    found: dict[str, Any] = read_json(RECORDED)
    return found


@pytest.fixture(scope="module")
def env() -> Iterator[ScienceWorld]:
    """One environment for all: a simulator takes a second to start."""
    made = make("scienceworld")
    assert isinstance(made, ScienceWorld)
    yield made
    made.close()
    scienceworld_game.end_all()


def game_of(env: ScienceWorldBase) -> Game:
    return env._games[0]


def start(env: ScienceWorldBase, task: str = PLANT) -> str:
    return env.reset(options={"task": task})[0]


# -- as the original ----------------------------------------------------------------------------------


@needs_fixtures
@needs_scienceworld
def test_every_recorded_action_list_answers_and_scores_as_recorded(env: ScienceWorld) -> None:
    recorded = recording()["environment"]
    assert len(recorded["step"]) == 65
    assert start(env, "3539") == recording()["header"][3]["content"]
    stands = {(): env.snapshot()}  # which is the state that the actions lead to, as below
    for key, reply in sorted(recorded["step"].items(), key=lambda step: len(json.loads(step[0]))):
        *before, action = json.loads(key)
        env.restore(stands[tuple(before)])
        assert env.step(action)[:3] == (reply["observation"], reply["score"], reply["done"]), key
        stands[(*before, action)] = env.snapshot()
        if key in recorded["valid"]:
            assert env.valid_actions() == recorded["valid"][key]
            assert game_of(env).look() == recorded["look"][key]
            assert game_of(env).inventory() == recorded["inv"][key]


@needs_fixtures
def test_actions_become_the_valid_ones_that_the_original_made_of_them_ties_aside(tmp_path: Path) -> None:
    name = f"recorded:{RECORDED}"
    events: list[AnyEvent] = []
    settings = SearchSettings(actor=name, **recorded_settings(name))
    job = new_job(name, None, settings, tmp_path / "t.trace.jsonl", listener=events.append)
    job.run_blocking()
    answers = [event for event in events if isinstance(event, Sampled)]
    assert len(answers) == 96
    recorded, mapped = recording()["environment"], 0
    for answer in answers:
        path = json.dumps([job.tree.nodes[id].action for id in job.tree.ancestors(answer.parent)[1:]])
        allowed = candidates(recorded["valid"][path], recorded["look"][path], recorded["inv"][path])
        said = parse_action(answer.response)
        assert answer.action is not None

        def rank(action: str, said: str = said) -> tuple[int, int]:
            return len(set(said.split()) & set(action.split())), len(action)

        ours = nearest(said, allowed)
        assert rank(ours) == rank(answer.action), (said, ours, answer.action)
        assert answer.action in (*allowed, said)
        mapped += ours != said
    assert mapped > 5


def test_the_nearest_action_is_the_same_in_any_order_of_the_valid_ones() -> None:
    valid = ["pick up axe", "pick up egg", "open door to kitchen", "focus on axe", "focus on agent", "close door", "0"]
    seen = "you see an axe and an egg"
    for seed in range(20):
        random.Random(seed).shuffle(valid)
        allowed = candidates(valid, seen, "")
        assert nearest("pick up the pen", allowed) == "pick up axe"
        assert nearest("pick up egg", allowed) == "pick up egg"
        assert nearest("focus on agent", allowed) == "focus on axe"
        assert nearest("close door", allowed) == "open door to bedroom"
        assert nearest(" frob!\x1b[31m ", allowed) == "frob31m"
        assert nearest("0", allowed) == "0"


@needs_scienceworld
def test_tasks_are_numbered_in_the_order_of_the_package(env: ScienceWorld) -> None:
    tasks = env.tasks()
    assert len(tasks) == len(set(tasks)) == 7207
    assert len(TASK_NAMES) == 30
    assert tasks[0] == "boil:0"
    for number in (0, 3539, 7206):
        assert env.reset(options={"task": str(number)})[1]["task"] == tasks[number]
    assert tasks[3539] == PLANT
    counts = {name: sum(task.startswith(f"{name}:") for task in tasks) for name in TASK_NAMES}
    assert [task_of(str(number), counts) for number in range(7207)] == [
        (name, int(variation)) for name, _, variation in (task.partition(":") for task in tasks)
    ]


@needs_fixtures
@needs_scienceworld
def test_a_number_of_agentgyms_is_known_by_the_first_observation(env: ScienceWorld) -> None:
    exchanges = read_json(SHARED / "agentgym" / "sciworld.json")
    reset = next(exchange for exchange in exchanges if exchange["request"] == {"id": 5, "data_idx": 4242})
    first = f"{reset['response']['task_description']}\n{reset['response']['observation']}"
    assert env.reset(options={"task": "4242"})[1]["task"] == "grow-plant:106"
    observation, info = env.reset(options={"task": "4242", "observation": first})
    assert info["task"] == "lifespan-longest-lived:2"
    assert observation == first
    with pytest.raises(UnknownTask, match="is another one"):
        env.reset(options={"task": "4242", "observation": "Your task is to sleep.\nThis room is called the bedroom."})


@needs_scienceworld
@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("nope", "has no task 'nope': one of boil, melt,"),
        ("find-plant", "find-plant needs a variation: find-plant:0 to find-plant:299"),
        ("find-plant:300", "has no variation '300': find-plant:0 to find-plant:299"),
        ("find-plant:-1", "has no variation '-1'"),
        ("find-plant:³", "has no variation"),
        ("7207", "has no task '7207': 0 to 7206"),
        ("9" * 5000, "has no task"),
        ("\x1b[31m:3\n", r"has no task '\\x1b\[31m'"),
    ],
)
def test_a_task_that_does_not_exist_is_one_line(env: ScienceWorld, task: str, line: str) -> None:
    with pytest.raises(UnknownTask, match=line) as caught:
        env.reset(options={"task": task})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


@needs_scienceworld
def test_simplifications_hold_and_an_unknown_one_is_one_line() -> None:
    easy = make("scienceworld:openDoors, teleportAction")
    try:
        observation, _ = easy.reset(options={"task": PLANT})
        assert "A door to the kitchen (that is open)" in observation
        assert easy.step("teleport to kitchen")[0].startswith("You teleport")
    finally:
        easy.close()
    wrong = make("scienceworld:easy,nope")
    with pytest.raises(EnvError, match="no simplification 'nope': easy, "):
        wrong.reset(options={"task": PLANT})
    wrong.close()


@needs_scienceworld
def test_it_is_a_gymnasium_environment(env: ScienceWorld) -> None:
    check_env(env, skip_render_check=True)


def test_it_is_recognised_by_its_first_observation() -> None:
    first = "Your task is to boil water.\nThis room is called the kitchen. In it, you see: \n\tthe agent"
    info = recognise(first)
    assert info is not None
    assert info.name == "scienceworld"
    assert info.score_range == (0, 100)
    assert info.refuses("No known action matches that input.")
    assert not info.refuses("The door is now open.")
    assert recognise("Your task is to: put a mug in the fridge. You are in the middle of a room.") is not info


@needs_scienceworld
def test_a_wrong_focus_is_a_disaster_and_the_score_grows_with_the_parts_that_are_done(env: ScienceWorld) -> None:
    start(env)
    assert env.step("focus on axe")[1:4] == (-100, True, False)
    start(env)
    scores = [env.step(action)[1] for action in ("open door to greenhouse", "go to greenhouse", "look around")]
    assert scores == [8, 17, 17]


@needs_scienceworld
@pytest.mark.parametrize(
    "action",
    ["", " ", "\n", "0", "x" * 1_000_000, "\x1b]0;t\x07\x9b31m", "\ud800", "é" * 50, "help", "objects", "task"],
)
def test_any_action_is_answered(env: ScienceWorld, action: str) -> None:
    start(env)
    observation, score, done, _, _ = env.step(action)
    assert observation
    assert (score, done) == (0, False)
    assert env.step("open door to greenhouse")[1] == 8


@needs_scienceworld
def test_an_ambiguous_action_asks_for_a_number(env: ScienceWorld) -> None:
    start(env)
    assert env.step("open door")[0].startswith("Ambiguous request: Please enter the number")
    assert env.valid_actions()[:2] == ["0", "1"]
    assert env.executable("1") == "1"
    assert env.step("1")[0] == "The door is now open."


# -- states -------------------------------------------------------------------------------------------


def wander(env: ScienceWorldBase, rng: random.Random, expert: bool) -> str:
    """An action that does something, or nothing, or harm."""
    if expert and rng.random() < 0.4 and (action := env.plan().action) is not None:
        return action
    valid = env.valid_actions()
    doing = [action for action in valid if not action.startswith(("connect ", "look ", "examine "))]
    return rng.choice(doing if rng.random() < 0.8 else [*valid, "stop"])


def seen(env: ScienceWorldBase) -> tuple[str, str, str]:
    return game_of(env).look(), game_of(env).inventory(), game_of(env).digest()


@needs_scienceworld
@pytest.mark.parametrize("task", TASKS)
def test_a_snapshot_is_the_state_that_the_actions_lead_to(env: ScienceWorld, task: str) -> None:
    """In every detail: the digest covers all of the simulator's state. Whatever was asked for in between."""
    rng = random.Random(task)
    start(env, task)
    nodes: list[tuple[Any, tuple[str, ...], Any]] = [(env.snapshot(), (), seen(env))]
    for _ in range(20):
        snapshot, path, before = nodes[-1] if rng.random() < 0.7 else rng.choice(nodes)
        env.restore(snapshot)
        assert seen(env) == before
        action = wander(env, rng, task == PLANT)
        reply = env.step(action)
        if not reply[2]:
            nodes.append((env.snapshot(), (*path, action), seen(env)))
    for _, path, expected in rng.sample(nodes, 3):
        game_of(env).starts.clear()  # so that the simulator loads the task again
        start(env, task)
        for action in path:
            env.step(action)
        assert seen(env) == expected


@needs_scienceworld
def test_another_process_comes_to_the_same_states(env: ScienceWorld) -> None:
    program = (
        "import json, sys\nfrom envs.base import make\n"
        "env = make('scienceworld')\nfor task, path in json.loads(sys.argv[1]):\n"
        "    env.reset(options={'task': task})\n"
        "    print(env.plan())\n"
        "    print([env.step(action)[:3] for action in path], env.state_key())\n"
    )
    walks, here = [], []
    for task in TASKS[:2]:
        rng, path, replies = random.Random(3), [], []
        start(env, task)
        here.append(str(env.plan()))
        for _ in range(10):
            path.append(wander(env, rng, True))
            replies.append(env.step(path[-1])[:3])
        here.append(f"{replies} {env.state_key()}")
        walks.append((task, path))
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(walks)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == here


@needs_scienceworld
def test_a_snapshot_that_is_gone_is_said_to_be(env: ScienceWorld) -> None:
    start(env)
    mine = env.snapshot()
    env.step("open door to greenhouse")
    for wrong in (None, "x", ("x",), mine._replace(game=10**6), mine._replace(state=10**6)):  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="ScienceWorld"):
            env.restore(wrong)
    env.restore(mine)
    assert env.step("open door to greenhouse")[0] == "The door is now open."


@needs_scienceworld
def test_questions_change_nothing(env: ScienceWorld) -> None:
    start(env)
    before = env.state_key()
    env.valid_actions()
    env.plan()
    env.mistake(random.Random(0))
    env.executable("pick up something")
    assert env.state_key() == before
    env.step("look around")
    assert env.state_key() != before  # time passed


# -- the expert ---------------------------------------------------------------------------------------


@needs_scienceworld
@pytest.mark.parametrize("task", [PLANT, "lifespan-longest-lived:2", "use-thermometer:92", "find-living-thing:44"])
def test_the_plan_leads_to_the_goal_step_by_step_also_through_the_nearest_valid_action(
    env: ScienceWorld, task: str
) -> None:
    start(env, task)
    left = env.plan().steps_left
    assert left is not None
    score = 0.0
    while left:
        plan = env.plan()
        assert plan.steps_left == left
        assert plan.action is not None
        _, score, done, _, _ = env.step(env.executable(plan.action))
        left -= 1
        assert done == (left == 0)
    assert score == 100
    assert env.plan() == Plan(None, 0)


@needs_scienceworld
def test_the_plan_knows_what_a_mistake_costs(env: ScienceWorld) -> None:
    start(env)
    assert env.plan().steps_left == 10
    env.step("inventory")  # costs a step, and leads nowhere
    assert env.plan() == Plan("open door to greenhouse", 10)
    env.step("open door to greenhouse")
    env.step("open door to kitchen")
    env.step("go to kitchen")  # away from the way
    assert env.plan() == Plan("go to outside", 10)
    env.step("go to outside")
    assert env.plan() == Plan("go to greenhouse", 9)
    env.step("eat orange")  # harmless
    assert env.plan() == Plan("go to greenhouse", 9)
    env.step("focus on axe")
    assert env.plan() == Plan(None, None)


@needs_scienceworld
def test_the_plan_depends_on_the_actions_alone_not_on_what_was_asked_before(env: ScienceWorld) -> None:
    from envs.scienceworld import expert as scienceworld_expert

    walk = ["look around", "open door to greenhouse", "open door to kitchen", "go to kitchen", "pick up lighter"]
    walk += ["go to outside", "wait1"]

    def plans(asked: set[int]) -> list[Plan]:
        scienceworld_expert._tasks.clear()
        start(env)
        found = []
        for place, action in enumerate(walk):
            env.step(action)
            if place in asked:
                found.append(env.plan())
        return found

    everywhere = plans(set(range(len(walk))))
    assert plans({len(walk) - 1}) == everywhere[-1:]
    assert plans({1, 4}) == [everywhere[1], everywhere[4]]


@needs_scienceworld
def test_mistakes_are_plausible_of_many_kinds_and_depend_on_state_and_seed_alone(env: ScienceWorld) -> None:
    start(env)
    env.step("open door to greenhouse")
    env.step("go to greenhouse")
    snapshot = env.snapshot()
    made = [env.mistake(random.Random(seed)) for seed in range(60)]
    assert [env.mistake(random.Random(seed)) for seed in range(60)] == made
    actions = [action for _, action in made]
    assert env.plan().action not in actions
    assert len(set(actions)) > 15
    disasters = refused = 0
    for action in set(actions):
        env.restore(snapshot)
        observation, score, _, _, _ = env.step(action)
        disasters += score < 0
        refused += observation.startswith("No known action")
    assert disasters >= 1
    assert refused >= 1


# -- searches -----------------------------------------------------------------------------------------


def searched(opened: Opened, **changes: Any) -> list[AnyEvent]:
    chosen = SearchSettings(**{"iterations": 4, "error_rate": 0.35, **changes})
    events: list[AnyEvent] = []
    actor = ScriptedActor(chosen.error_rate)
    search = Search.begin(started_event(opened, chosen), opened, actor, events.append)
    asyncio.run(search.run())
    return events


@needs_scienceworld
def test_a_search_finds_good_and_bad_leaves_and_its_samples_hold(tmp_path: Path) -> None:
    tree = SearchTree(searched(open_environment("scienceworld", PLANT), iterations=3))
    returns = [leaf.reward for leaf in tree.leaves()]
    assert max(returns) > 50
    assert min(returns) < 30
    assert tree.failures == []
    assert tree.steps / (len(tree) - 1) == 1
    assert tree.resets == 0
    figures = Revised()
    samples = list(revise(tree, "t", ReviseSettings(**AS_FOUND, max_pairs=12), figures))
    assert samples
    assert figures.by_verdict.get("verified", 0) > 0
    assert list(replay_tree(tree, open_environment("scienceworld", PLANT))) == []


@needs_scienceworld
def test_a_search_without_snapshots_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = searched(open_environment("scienceworld", PLANT), iterations=1, max_depth=5)
    monkeypatch.setattr("envs.scienceworld.env.ScienceWorld", ScienceWorldBase)
    replayed = searched(open_environment("scienceworld", PLANT), iterations=1, max_depth=5)
    for event in kept:
        for child in getattr(event, "children", []):
            child.state_key = None  # for which states have to be kept
    assert compare(kept, replayed) == []
    assert SearchTree(replayed).resets > 0


@needs_scienceworld
def test_a_simulator_that_cannot_keep_states_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = searched(open_environment("scienceworld", PLANT), iterations=1, max_depth=3)

    def keeps_nothing() -> Game:
        game = scienceworld_game.lease()
        monkeypatch.setattr(game, "keeps_states", False)
        return game

    monkeypatch.setattr("envs.scienceworld.env.lease", keeps_nothing)
    replayed = searched(open_environment("scienceworld", PLANT), iterations=1, max_depth=3)
    for event in (*kept, *replayed):
        for child in getattr(event, "children", []):
            child.state_key = None
    assert compare(kept, replayed) == []
    assert SearchTree(replayed).resets > 0


class Kills:
    """A scripted actor that kills the simulator at some draws."""

    def __init__(self, env: ScienceWorldBase, draws: set[int]) -> None:
        self._env, self._draws, self._inner = env, draws, ScriptedActor(0.35)

    async def sample(self, request: Request) -> Answer:
        answer = await self._inner.sample(request)
        if request.index in self._draws:
            os.kill(game_of(self._env)._process.pid, signal.SIGKILL)
        return answer


@needs_scienceworld
def test_a_search_survives_the_death_of_its_simulator() -> None:
    def events_of(draws: set[int]) -> list[AnyEvent]:
        opened = open_environment("scienceworld", PLANT)
        assert isinstance(opened.env, ScienceWorldBase)
        chosen = SearchSettings(iterations=1, max_depth=4, concurrency=1)
        events: list[AnyEvent] = []
        actor = Kills(opened.env, draws)
        asyncio.run(Search.begin(started_event(opened, chosen), opened, actor, events.append).run())
        return events

    undisturbed, killed = events_of(set()), events_of({5, 11})  # before it is asked, and before it is stepped
    assert SearchTree(killed).failures == []
    assert compare(undisturbed, killed) == []
    assert SearchTree(killed).resets == 2


@needs_scienceworld
def test_a_simulator_that_is_gone_is_said_to_be_and_reset_starts_another(env: ScienceWorld) -> None:
    start(env)
    os.kill(game_of(env)._process.pid, signal.SIGKILL)
    with pytest.raises(InstanceDied, match="simulator has ended"):
        env.step("look around")
    with pytest.raises(InstanceDied, match="simulator has ended"):
        env.plan()
    start(env)
    assert env.step("open door to greenhouse")[1] == 8


@needs_scienceworld
def test_closing_ends_what_another_thread_waits_for() -> None:
    busy = make("scienceworld")
    assert isinstance(busy, ScienceWorld)
    start(busy, "mendelian-genetics-unknown-plant:134")  # whose gold path takes many seconds
    caught: list[Exception] = []

    def plan() -> None:
        try:
            busy.plan()
        except Exception as error:
            caught.append(error)

    class Slow:
        """What the simulator said last; both threads want to read and close it."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            if name == "seek" and threading.current_thread() is not thread:
                time.sleep(0.3)
            return getattr(self._file, name)

    game_of(busy)._errors = Slow(game_of(busy)._errors)  # type: ignore[assignment]
    thread = threading.Thread(target=plan)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    busy.close()
    thread.join()
    assert time.monotonic() - began < 4
    assert [type(error) for error in caught] == [InstanceDied]
    with pytest.raises(EnvError, match="was closed"):
        start(busy)


@needs_scienceworld
def test_a_simulator_is_used_again_and_only_a_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scienceworld_game, "MAX_IDLE", 1)
    first, second = make("scienceworld"), make("scienceworld")
    first.reset(options={"task": PLANT})
    number = game_of(first).number  # type: ignore[arg-type]
    first.close()
    assert [game.number for game in scienceworld_game._idle][-1] == number
    second.reset(options={"task": "lifespan-longest-lived:2"})
    assert game_of(second).number == number  # type: ignore[arg-type]
    third = make("scienceworld")
    third.reset(options={"task": PLANT})
    running = len(scienceworld_game._running)
    second.close()
    second.close()
    del second, third  # without `close`
    assert [game.number for game in scienceworld_game._idle] == [number]
    assert len(scienceworld_game._running) == running - 1


# -- processes ----------------------------------------------------------------------------------------


def simulators_of(parent: int) -> list[int]:
    """Processes of Java that this process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        name, rest = re.search(r"\((.*)\)", text), text.rpartition(")")[2].split()
        if int(rest[1]) == parent and name is not None and "java" in name[1] and rest[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_for(condition: Any, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def running_search(tmp_path: Path, **arguments: Any) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A search on the command line that has begun to write nodes, and the process of its simulator."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    out = tmp_path / "0.trace.jsonl"
    command = [sys.executable, "-m", "agentr_tui", "search", "--env", "scienceworld", "--task", PLANT]
    command += ["--iterations", "1000", "--out", str(out), "--workspace", str(tmp_path / "ws")]
    search = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}, stdout=subprocess.DEVNULL, **arguments
    )
    try:
        assert wait_for(lambda: out.is_file() and b'"expanded"' in out.read_bytes(), 60)
        (simulator,) = simulators_of(search.pid)
        yield search, simulator
    finally:
        search.kill()
        search.wait()


@needs_scienceworld
@needs_proc
def test_after_kill_9_no_simulator_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    with running_search(tmp_path) as (search, simulator):
        search.kill()
        search.wait()
    assert wait_for(lambda: not is_running(simulator), 5)
    assert list((tmp_path / "tmp").iterdir()) == []


@needs_scienceworld
@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_search_and_simulator_cleanly(tmp_path: Path, number: int) -> None:
    with running_search(tmp_path, start_new_session=True) as (search, simulator):
        assert os.getpgid(simulator) != search.pid  # the terminal's ctrl+c is not for it
        os.killpg(search.pid, number)
        assert search.wait(30) == 130
    assert wait_for(lambda: not is_running(simulator), 5)
    assert list((tmp_path / "tmp").iterdir()) == []
    ended = json.loads((tmp_path / "0.trace.jsonl").read_bytes().splitlines()[-1])
    assert (ended["type"], ended["reason"]) == ("ended", "interrupted")
    assert ended["totals"]["failures"] == 0


@needs_scienceworld
@needs_proc
def test_nothing_is_left_where_a_program_just_ends(tmp_path: Path) -> None:
    program = (
        "from envs.base import make\nenv = make('scienceworld')\nenv.reset(options={'task': '3539'})\n"
        "print(env._games[0]._process.pid)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert not is_running(int(done.stdout))


def in_a_process(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"from agentr_tui.cli.main import run\n{program}"]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})


@pytest.mark.skipif(MISSING is not None and "scienceworld:" in MISSING, reason="needs the scienceworld package")
def test_without_java_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    search = f"raise SystemExit(run(['search', '--env', 'scienceworld', '--workspace', {str(tmp_path / 'ws')!r}]))"
    done = in_a_process(search, PATH=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "needs Java on the PATH: install a runtime" in done.stderr


def test_without_the_package_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    search = f"raise SystemExit(run(['search', '--env', 'scienceworld', '--workspace', {str(tmp_path / 'ws')!r}]))"
    done = in_a_process(f"import sys; sys.modules['scienceworld'] = None\n{search}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'agentr-tui[scienceworld]'" in done.stderr


@needs_scienceworld
def test_a_java_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'Error: no such machine' >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(EnvError, match="does not start: Error: no such machine"):
        Game()


@needs_scienceworld
def test_the_classes_that_ship_are_what_their_source_says(tmp_path: Path) -> None:
    compiler = ["java", "-m", "jdk.compiler/com.sun.tools.javac.Main", "-version"]
    version = subprocess.run(compiler, capture_output=True, text=True)
    if version.returncode:
        pytest.skip("this Java has no compiler: apt install default-jdk-headless")
    shipped = Path(scienceworld_game.__file__).parent / "java"
    shutil.copytree(shipped, tmp_path / "java")
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([str(tmp_path / "java" / "build.sh")], check=True, env=variables, capture_output=True)
    built = {file.name: file.read_bytes() for file in (tmp_path / "java").rglob("*.class")}
    there = {file.name: file.read_bytes() for file in shipped.rglob("*.class")}
    assert built.keys() == there.keys()
    major = version.stdout.split()[1].split(".")[0]
    if major != "17":
        pytest.skip(f"the classes were compiled by javac 17, here is {major}")
    assert built == there


@needs_scienceworld
def test_a_stand_without_snapshots_uses_several_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envs.scienceworld.env.ScienceWorld", ScienceWorldBase)
    opened = open_environment("scienceworld", PLANT)
    tree = SearchTree([started_event(opened, SearchSettings())])
    stand = EnvironmentAtNode(tree, opened, [], 2)
    stand.warm_up(0, ["inventory", "look around"])
    assert stand.try_action(0, "inventory")[0].startswith("In your inventory, you see:")
    assert stand.try_action(0, "look around")[0].startswith("This outside location")
    assert len(scienceworld_game._running) >= 2
    stand.close()
    scienceworld_game.end_all()
