"""Any text Gymnasium: scores, snapshots that prove equal, clear errors; a search over a TextWorld game."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import gymnasium
import pytest
from gymnasium.spaces import Text
from gymnasium.utils.env_checker import check_env

from engine.environment.opened import instruction_of
from engine.samples.revise import revise
from engine.samples.settings import ReviseSettings
from engine.search.job import SearchJob, new_job
from engine.trace.sources import load_any
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from envs.any_gymnasium.env import CHECKED_COPIES
from envs.base import Actions, EnvError, Planner, Snapshots, TextEnv, UnknownTask, info_of, make
from tests.envs import gym_samples

HERE = "gym:tests.envs.gym_samples:agentr/"


def opened(kind: str, seed: int = 3) -> TextEnv:
    env = make(f"{HERE}{kind}-v0")
    env.reset(options={"task": str(seed)})
    return env


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    return text


def inner(env: TextEnv) -> gym_samples.Lock:
    """The environment that was registered."""
    return cast(gym_samples.Lock, cast(Any, env)._env.unwrapped)


def walk(env: TextEnv, actions: list[str]) -> list[tuple[str, float, bool]]:
    replies = [env.step(action) for action in actions]
    return [(reply[0], round(float(reply[1]), 9), reply[2] or reply[3]) for reply in replies]


# -- scores and texts --------------------------------------------------------------------------------------


def test_the_score_is_the_sum_of_the_rewards_and_the_task_is_the_seed() -> None:
    env = make(f"{HERE}Lock-v0")
    first, info = env.reset(options={"task": "3"})
    assert first == "A lock with three digits of 0 to 3. Open it."
    assert info == {"environment": f"{HERE}Lock-v0", "task": "3"}
    code = inner(env).code
    wrong = next(digit for digit in range(4) if digit != code[1])
    right = [f"turn {digit}" for digit in code]
    assert walk(env, [right[0], f"turn {wrong}", *right]) == [
        ("Click 1.", 0.25, False),
        ("It springs back.", 0.15, False),
        ("Click 1.", 0.4, False),
        ("Click 2.", 0.65, False),
        ("Click 3.", 1.15, True),
    ]
    env.reset(options={"task": "3"})
    assert inner(env).code == code
    assert walk(env, ["turn 9"]) == [("The lock breaks.", -5.0, True)]
    codes = set()
    for seed in range(8):
        env.reset(options={"task": str(seed)})
        codes.add(tuple(inner(env).code))
    assert len(codes) > 3


def test_a_truncated_episode_is_over() -> None:
    env = opened("Short")
    assert [done for *_, done in walk(env, ["look", "look"])] == [False, True]


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("Bytes", "A lock with three digits of 0 to 3. Open it. �"),
        ("NumpyText", "A lock with three digits of 0 to 3. Open it."),
        ("Surrogates", "A lock with three digits of 0 to 3. Open it. ?"),
        ("Parts-v0?obs=text", "A lock with three digits of 0 to 3. Open it."),
        ("Parts-v0?obs=more", "nothing more"),
    ],
)
def test_texts_of_every_kind_become_strings(kind: str, first: str) -> None:
    env = make(HERE + kind if "?" in kind else f"{HERE}{kind}-v0")
    observation, _ = env.reset(options={"task": "1"})
    assert (type(observation), observation) == (str, first)
    after = env.step("dance")[0]
    assert type(after) is str
    assert after.encode()


def test_a_registered_environment_needs_no_module() -> None:
    env = make("gym::agentr/Lock-v0")
    assert env.reset(options={"task": "3"})[1]["environment"] == "gym::agentr/Lock-v0"


def test_the_range_of_scores_is_told_in_the_name() -> None:
    name = f"{HERE}Lock-v0?range=0,4.5"
    assert info_of(name).score_range == (0.0, 4.5)
    assert info_of(f"{HERE}Lock-v0").score_range == (0.0, 1.0)
    assert make(name).reset(options={"task": "0"})[1]["environment"] == name


def test_with_a_range_from_below_0_a_penalty_is_no_disaster() -> None:
    name = f"{HERE}Lock-v0?range=-1,1"
    assert info_of(name).score_range == (0.0, 2.0)
    env = make(name)
    env.reset(options={"task": "3"})
    code = inner(env).code
    wrong = (code[0] + 1) % 4
    assert walk(env, [f"turn {wrong}", f"turn {code[0]}", "turn 9"]) == [
        ("It springs back.", 0.9, False),
        ("Click 1.", 1.15, False),
        ("The lock breaks.", -3.85, True),
    ]


# -- snapshots ---------------------------------------------------------------------------------------------


def moves(env: TextEnv) -> list[str]:
    """Actions whose replies depend on all that went before."""
    code = inner(env).code
    return [f"turn {code[0]}", "turn 9" if code[1] == 3 else "turn 3", f"turn {code[0]}", f"turn {code[1]}"]


def test_snapshots_of_an_environment_that_can_be_copied_stand_where_they_were_taken() -> None:
    env = opened("Lock")
    assert isinstance(env, Snapshots)
    code = inner(env).code
    shots = [env.snapshot()]
    replies = []
    for digit in code:
        replies.append(env.step(f"turn {digit}")[:3])
        shots.append(env.snapshot())
    for place in (2, 0, 1, 0, 2, 1):
        env.restore(shots[place])
        assert env.step(f"turn {code[place]}")[:3] == replies[place]
    env.restore(shots[1])
    env.restore(shots[1])
    assert env.step("turn 9")[1] == pytest.approx(0.25 - 5)
    other = opened("Lock", seed=7)  # which takes up the state of another instance by repeating
    assert isinstance(other, Snapshots)
    other.restore(shots[2])
    assert other.step(f"turn {code[2]}")[:3] == replies[2]
    with pytest.raises(ValueError, match="no snapshot"):
        env.restore(("anything",))
    env.close()


def test_copies_are_used_and_no_longer_checked_once_they_proved_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = gym_samples.Lock.reset

    def counted(self: Any, **given: Any) -> Any:
        made.append(1)
        return original(self, **given)

    monkeypatch.setattr(gym_samples.Lock, "reset", counted)
    env = opened("Lock")
    assert isinstance(env, Snapshots)
    start, right = env.snapshot(), f"turn {inner(env).code[0]}"
    made.clear()
    for _ in range(3 * CHECKED_COPIES):
        env.restore(start)
        assert env.step(right)[0] == "Click 1."
    assert len(made) == CHECKED_COPIES
    for _ in range(5):
        env.snapshot()
    other = opened("Lock", seed=7)  # whose snapshots are not mistaken for those of this one
    assert isinstance(other, Snapshots)
    for _ in range(5):
        env.restore(other.snapshot())
        assert inner(env).code == inner(other).code


def test_an_environment_that_can_not_be_copied_has_no_snapshots() -> None:
    for kind in ("HoldsALock", "AlsoProbed", "Chance"):
        assert not isinstance(opened(kind), Snapshots), kind


def test_copies_that_share_their_state_are_found_out_and_the_actions_repeated_instead() -> None:
    env = opened("Elsewhere")
    assert isinstance(env, Snapshots)  # the probe was too mild
    reference = opened("Lock")
    code = inner(reference).code
    right = [f"turn {digit}" for digit in code]
    start = env.snapshot()
    env.step(right[0])
    one = env.snapshot()
    for _ in range(2):
        env.restore(start)
        assert walk(env, [right[0]]) == [("Click 1.", 0.25, False)]
        env.restore(one)
        assert walk(env, right[1:]) == [("Click 2.", 0.5, False), ("Click 3.", 1.0, True)]


def test_a_plan_and_valid_actions_of_the_environment_are_offered() -> None:
    env = opened("Helpful")
    assert isinstance(env, Planner)
    assert isinstance(env, Actions)
    code = inner(env).code
    assert env.plan() == (f"turn {code[0]}", 3)
    assert env.valid_actions() == [f"turn {digit}" for digit in range(4)]
    walk(env, [f"turn {digit}" for digit in code])
    assert env.plan() == (None, 0)
    assert not isinstance(opened("Lock"), Planner | Actions)


# -- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gym", "write gym:MODULE:ID"),
        ("gym:", "write gym:MODULE:ID"),
        ("gym:module", "write gym:MODULE:ID"),
        ("gym:no_such_module:X-v0", "can't import 'no_such_module'"),
        ("gym:.relative:X-v0", "can't import '.relative'"),
        ("gym::agentr/Nothing-v0", "can't make 'agentr/Nothing-v0'"),
        ("gym::not an id", "can't make 'not an id'"),
        (f"{HERE}Unmade-v0", "OSError: no board in the machine"),
        (f"{HERE}Numbers-v0", "name its 3 actions with ?actions=NAME0,NAME1,NAME2"),
        (f"{HERE}Numbers-v0?actions=up,down", "?actions= names 2 actions (up, down), and there are 3"),
        (f"{HERE}Numbers-v0?actions=up,up,down", "write actions=NAME,NAME,…, each name once"),
        (f"{HERE}Spaceless-v0", "the action space is missing, not text"),
        (f"{HERE}Parts-v0", "?obs=KEY, one of more, text"),
        (f"{HERE}Parts-v0?obs=none", "no part 'none': choose with ?obs=KEY, one of count, more, text"),
        (f"{HERE}Lock-v0?obs=text", "needs an observation that is a dictionary or a tuple, not Text"),
        (f"{HERE}Lock-v0?what=text", "only obs=, actions=, range=LOW,HIGH (or auto)"),
        (f"{HERE}Lock-v0?range=1", "write range=LOW,HIGH"),
        (f"{HERE}Lock-v0?range=1,0", "write range=LOW,HIGH"),
        (f"{HERE}Lock-v0?range=0,inf", "write range=LOW,HIGH"),
    ],
)
def test_what_can_not_be_made_is_one_line(name: str, words: str) -> None:
    with pytest.raises(EnvError) as caught:
        make(name)
    assert words in one_line(caught.value)


@pytest.mark.parametrize("task", ["x", "-1", "1.0", "", "9" * 20])
def test_a_task_that_is_no_seed_is_one_line(task: str) -> None:
    with pytest.raises(UnknownTask, match="a seed, 0 to"):
        opened("Lock").reset(options={"task": task})


@pytest.mark.parametrize(
    ("action", "words"), [("break", "RuntimeError: it broke"), ("rich", "a reward of nan"), ("mute", "of type int")]
)
def test_what_goes_wrong_in_a_step_is_one_line_and_a_reset_mends_it(action: str, words: str) -> None:
    env = opened("Fails")
    assert isinstance(env, Snapshots)
    start = env.snapshot()
    with pytest.raises(EnvError) as caught:
        env.step(action)
    assert words in one_line(caught.value)
    with pytest.raises(EnvError, match="reset it first"):
        env.step("look")
    env.restore(start)
    assert env.step("look")[0] == "You can't look."
    env.reset(options={"task": "3"})
    assert env.step("look")[0] == "You can't look."


def test_a_module_of_the_working_folder_is_found_without_any_noise(tmp_path: Path) -> None:
    (tmp_path / "my_lock.py").write_text(
        "import gymnasium\n"
        "from gymnasium.spaces import Text\n"
        "class Lock(gymnasium.Env):\n"
        "    action_space = observation_space = Text(100)\n"
        "    def reset(self, *, seed=None, options=None): return 'A door.', {}\n"
        "    def step(self, action): return 'Open.', 1, True, False, {}\n"
        "gymnasium.register('MyLock-v0', entry_point=Lock)\n"
        "gymnasium.register('MyLock-v1', entry_point=Lock)\n"
    )
    program = (
        "import sys; sys.path[:] = [part for part in sys.path if part]\n"
        "from envs.base import make\n"
        "env = make('gym:my_lock:MyLock-v0')\n"
        "print(env.reset(options={'task': '1'})[0], env.step('open')[:3])\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": root}
    )
    assert (done.stdout, done.stderr) == ("A door. ('Open.', 1.0, True)\n", "")


def test_it_passes_the_checker_of_gymnasium() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*render.*")
        check_env(make(f"{HERE}Lock-v0"), skip_render_check=True)


# -- searches ----------------------------------------------------------------------------------------------


def searched(name: str, out: Path, **settings: Any) -> SearchJob:
    job = new_job(name, "3", SearchSettings(seed=1, **settings), out)
    assert job.run_blocking() in ("iterations", "exhausted")
    assert job.tree.failures == []
    return job


def revised(workspace: Path, trace: Path) -> dict[str, int]:
    """Samples by verdict, of the verifier that follows the environment's plan."""
    place = Workspace.open(workspace, create=True)
    settings = ReviseSettings(verifier="progress")
    verdicts: dict[str, int] = {}
    with place.new_run(settings, [str(trace)]) as run:
        for sample in revise(load_any(trace).tree, str(trace), settings, run.figures):
            run.add(sample)
            verdict = sample.replay.verdict if sample.replay is not None else "none"
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
    return verdicts


def shape(job: SearchJob) -> list[tuple[str, str, float, int]]:
    return [(node.action, node.observation, float(node.reward), node.visits) for node in job.tree.nodes]


def test_a_search_by_copies_grows_the_tree_of_a_search_by_repeating(tmp_path: Path) -> None:
    copied, repeated = (
        searched(f"{HERE}{kind}-v0", tmp_path / f"{kind}.trace.jsonl", iterations=4, max_depth=6, error_rate=0.5)
        for kind in ("Helpful", "HoldsALock")
    )
    assert shape(copied) == shape(repeated)
    leaves = [node for node in copied.tree.nodes if node.is_leaf]
    assert any(node.reward >= 0.9 for node in leaves)
    assert any(node.reward < 0.5 for node in leaves)
    assert copied.tree.steps < repeated.tree.steps
    assert copied.tree.resets == 0
    verdicts = revised(tmp_path / "workspace", tmp_path / "Helpful.trace.jsonl")
    assert verdicts.get("verified", 0) > 0


# -- a TextWorld game --------------------------------------------------------------------------------------


class TextWorldGame(gymnasium.Env[str, str]):
    """A TextWorld game as a Gymnasium environment: its score is already a sum, so a reward is what was added."""

    def __init__(self, game: str) -> None:
        self.action_space = Text(200)
        self.observation_space = Text(20_000)
        textworld = importlib.import_module("textworld.gym")
        infos = importlib.import_module("textworld").EnvInfos(admissible_commands=True, policy_commands=True, won=True)
        self._game = textworld.make(textworld.register_games([game], infos, max_episode_steps=30))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self._game.seed(seed)
        self._score = 0
        return cast(tuple[str, dict[str, Any]], self._game.reset())

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        observation, score, done, infos = self._game.step(action)
        reward, self._score = score - self._score, score
        return observation, reward, done, False, infos

    def close(self) -> None:
        self._game.close()


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A game that was just made, registered; returns the environment's name."""
    textworld = pytest.importorskip("textworld", reason="textworld is not installed (pip install textworld)")
    generator = importlib.import_module("textworld.generator")
    options = textworld.GameOptions()
    options.seeds = 1234
    options.nb_rooms, options.nb_objects, options.quest_length = 3, 4, 3
    options.path = str(tmp_path_factory.mktemp("game") / "game.z8")
    path = generator.compile_game(generator.make_game(options), options)
    gymnasium.register("agentr/TextWorld-v0", entry_point=cast(Any, TextWorldGame), kwargs={"game": path})
    return "gym::agentr/TextWorld-v0"


def test_a_search_over_a_textworld_game_finds_good_and_bad_leaves_that_revise_verifies(
    game: str, tmp_path: Path
) -> None:
    env = make(game)
    assert not isinstance(env, Snapshots)  # the interpreter can't be copied
    assert isinstance(env, Planner)
    first, _ = env.reset(options={"task": "3"})
    assert "TextWorld style chest" in first
    assert "$$$" in first
    assert "$$$" not in instruction_of(first)  # a banner is no goal
    assert env.plan().steps_left == 3
    env.close()
    out = tmp_path / "game.trace.jsonl"
    job = searched(game, out, iterations=4, max_depth=6, samples=3, error_rate=0.5)
    leaves = [node for node in job.tree.nodes if node.is_leaf]
    assert any(node.terminal == "done" and node.reward == 1 for node in leaves)
    assert any(node.reward == 0 for node in leaves)
    assert job.tree.resets > 0
    verdicts = revised(tmp_path / "workspace", out)
    assert verdicts.get("verified", 0) + verdicts.get("reobserved", 0) > 0
