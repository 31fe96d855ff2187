"""Environments as they are in the wild, searched, revised and replayed from the command line, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import tests.envs.home_made
from agentr_tui.cli.main import run
from engine.actors.replayed import way_of_text
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from envs.base import Actions, make

HERE = "gym:tests.envs.home_made:home/"


class Ran(NamedTuple):
    """What a search came to."""

    code: int
    tree: SearchTree | None
    said: str
    trace: Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def search(capfd: pytest.CaptureFixture[str], kind: str, *more: str) -> Ran:
    """Search an environment with the defaults, less `more`."""
    trace = Path("t.trace.jsonl")
    code = run(["search", "--env", HERE + kind, "--max-depth", "4", "--out", str(trace), *more])
    tree = load_any(trace).tree if trace.exists() else None
    return Ran(code, tree, capfd.readouterr().err, trace)


@pytest.mark.parametrize(
    "kind",
    [
        "Key-v0",
        "Available-v0",
        "Old-v0",
        "ShortOld-v0",
        "Batch-v0",
        "Cost-v0?range=-3,1",
        "Big-v0?range=auto",
        "Raises-v0?errors=observe",
        "Silent-v0?actions=look,take key,open door",
        "Numbers-v0?obs=mission,held,place",
        "Pair-v0?obs=render",
        "Seeded-v0",
        "Large-v0",
        "Drawn-v0?obs=render",
        "Loose-v0",
        "Called-v0",
        "Leaves-v0?errors=observe",
    ],
)
def test_an_environment_gives_a_tree_that_replays_and_is_revised(capfd: pytest.CaptureFixture[str], kind: str) -> None:
    ran = search(capfd, kind)
    assert ran.code == 0
    assert ran.tree is not None
    assert len(ran.tree) > 3
    assert ran.tree.failures == []
    assert run(["replay", str(ran.trace)]) == 0
    assert ", 0 differences" in capfd.readouterr().out
    assert run(["revise", str(ran.trace)]) == 0
    assert "--verifier value" in capfd.readouterr().err


def test_a_file_of_actions_gives_a_tree_where_there_is_neither_plan_nor_valid_action(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("walk.txt").write_text("# the way out\n\ntake key\nopen door\n", encoding="utf-8")
    ran = search(capfd, "Silent-v0", "--actor", "replayed:walk.txt", "--seed", "3")
    assert (ran.code, ran.said) == (0, "")
    assert ran.tree is not None
    assert {node.action for node in ran.tree.nodes[1:]} == {"take key", "open door"}
    assert {leaf.reward for leaf in ran.tree.leaves()} >= {0, 1}
    assert run(["replay", str(ran.trace)]) == 0
    assert ", 0 differences" in capfd.readouterr().out
    assert run(["revise", str(ran.trace)]) == 0
    first = ran.trace.rename("first.trace.jsonl")
    capfd.readouterr()
    best = search(capfd, "Silent-v0", "--actor", f"replayed:{first}", "--error-rate", "0")
    assert best.tree is not None
    assert [(node.action, node.reward) for node in best.tree.nodes[1:]] == [("take key", 0.3), ("open door", 1.0)]


def test_actions_that_are_not_on_the_way_are_passed_over() -> None:
    way = way_of_text("a\nb\nc")
    assert list(way.behind(["x", "a", "c", "x"]).next) == ["b"]
    assert list(way.behind(["a", "b", "c"]).next) == []


def test_a_file_without_actions_is_one_line_and_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    Path("empty.txt").write_text("# nothing\n", encoding="utf-8")
    for file, words in (("empty.txt", "empty.txt: holds no action"), ("gone.txt", "gone.txt: No such file")):
        ran = search(capfd, "Silent-v0", "--actor", f"replayed:{file}")
        assert (ran.code, ran.trace.exists(), ran.said.count("\n")) == (2, False, 1)
        assert words in ran.said


def test_random_draws_depend_on_their_seeds_alone(capfd: pytest.CaptureFixture[str]) -> None:
    def actions(*more: str) -> list[str]:
        tree = search(capfd, "Key-v0", *more).tree
        assert tree is not None
        Path("t.trace.jsonl").unlink()
        return [node.action for node in tree.nodes]

    assert actions() == actions("--concurrency", "1")
    assert actions() != actions("--seed", "1")
    assert set(actions()) == {"ROOT", "look", "take key", "open door"}


def test_an_environment_without_plan_and_actions_is_one_line_and_leaves_no_trace(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for more, words in (
        ([], "has neither a plan nor valid actions: say --actor openai --model NAME"),
        (["--actor", "scripted"], "has no plan for the scripted actor to follow: say --actor openai"),
        (["--actor", "random"], "has no valid actions for the random actor to choose from: say --actor openai"),
    ):
        ran = search(capfd, "Silent-v0", *more)
        assert (ran.code, ran.trace.exists()) == (2, False)
        assert words in ran.said
        assert ran.said.count("\n") == 1
    assert "say --actor random, --actor openai" in search(capfd, "Key-v0", "--actor", "scripted").said


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Old-v0", "its step gives four values, as before Gymnasium 0.26"),
        ("Big-v0", "score 500 is outside 0 to 1: say ?range=LOW,HIGH"),
        ("Cost-v0?range=-1,0.1", "score 0.2 is outside -1 to 0.1: say ?range=LOW,HIGH"),
        ("Cost-v0", "every first step is a disaster (score < 0): where penalties are no ends, say ?range=LOW,HIGH"),
        ("Raises-v0", "a step that raises is a failed draw, and with ?errors=observe an observation"),
        ("Global-v0", "not repeatable: step 1 answered"),
        ("Counts-v0", "not repeatable: step 1 answered 'Nothing happens. "),
        ("NoSeed-v0", "not repeatable: reset with the same seed answered"),
        ("Big-v0?range=auto", "?range=auto took 0 to 500, by a few episodes"),
        ("Leaves-v0", "step failed: SystemExit: 3"),
    ],
)
def test_what_is_odd_is_told_once(capfd: pytest.CaptureFixture[str], kind: str, words: str) -> None:
    tests.envs.home_made.Counts.steps = 0
    ran = search(capfd, kind)
    assert words in ran.said
    assert ran.said.count(words.partition(": ")[0]) == 1


def test_nothing_is_said_of_an_environment_that_is_as_it_should_be(capfd: pytest.CaptureFixture[str]) -> None:
    assert search(capfd, "Key-v0").said == ""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Worded-v0", "has neither a plan nor valid actions: say --actor openai --model NAME"),
        ("Worded-v0 --actor random", "lists no valid action at the start: say --actor openai --model NAME"),
        ("Numbers-v0", "choose one with ?obs=KEY"),
    ],
)
def test_what_can_not_be_searched_is_one_line_and_leaves_no_trace(
    capfd: pytest.CaptureFixture[str], kind: str, words: str
) -> None:
    name, *more = kind.split()
    ran = search(capfd, name, *more)
    assert (ran.code, ran.trace.exists(), ran.said.count("\n")) == (2, False, 1)
    assert words in ran.said


def test_a_step_of_another_shape_is_no_observation(capfd: pytest.CaptureFixture[str]) -> None:
    ran = search(capfd, "Short-v0?errors=observe")
    assert (ran.code, ran.trace.exists()) == (2, False)
    assert "its step gives 3 values: observation, reward, terminated, truncated and info are needed" in ran.said


def test_exceptions_are_failed_draws_or_observations(capfd: pytest.CaptureFixture[str]) -> None:
    lost = search(capfd, "Raises-v0").tree
    assert lost is not None
    assert {failure.what for failure in lost.failures} == {"step failed"}
    assert "look" not in {node.action for node in lost.nodes}
    Path("t.trace.jsonl").unlink()
    kept = search(capfd, "Raises-v0?errors=observe").tree
    assert kept is not None
    assert {node.observation for node in kept.nodes if node.action == "look"} == {
        "Error: no looking at <object object>"
    }


@pytest.mark.parametrize(
    ("kind", "first", "action", "after"),
    [
        ("Numbers-v0?obs=mission", "A hall. Goal: get out.", "take key", "You hold it."),
        ("Numbers-v0?obs=mission,held,place", "A hall. Goal: get out.\n0\n4 2", "TAKE  key", "You hold it.\n1\n4 2"),
        ("Numbers-v0?obs={mission} Key: {held}.", "A hall. Goal: get out. Key: 0.", "take key", "You hold it. Key: 1."),
        ("Numbers-v0?obs=mission", "A hall. Goal: get out.", "fly",
         "There is no action 'fly'. Actions: look, take key, open door."),
        ("Pair-v0?obs=render", "[@]..", "take_key", ".[@]."),
        ("Pair-v0?obs=1,render", "begin\n[@]..", "take_key", "on\n.[@]."),
        ("Pair-v0?obs={0}: {1}", "0: begin", "look", "0: on"),
        ("Pair-v0?obs=0&actions=stay,go", "0", "go", "1"),
        ("Batch-v0", "A hall. Goal: get out.", "take key", "You hold it."),
    ],
)  # fmt: skip
def test_actions_have_names_and_observations_are_text(kind: str, first: str, action: str, after: str) -> None:
    env = make(HERE + kind)
    assert env.reset(options={"task": "1"})[0] == first
    assert env.step(action)[0] == after


def test_valid_actions_are_found_by_every_usual_name() -> None:
    found = {}
    for kind in ("Key-v0", "Available-v0", "Batch-v0", "Numbers-v0?obs=mission", "Pair-v0?obs=render"):
        env = make(HERE + kind)
        env.reset(options={"task": "1"})
        assert isinstance(env, Actions)
        found[kind.partition("-")[0]] = list(env.valid_actions())
    everything = ["look", "take key", "open door"]
    assert found == {
        "Key": everything,
        "Available": everything,
        "Batch": everything,
        "Numbers": everything[1:],
        "Pair": ["look", "take_key"],
    }
