"""docs/your-environment.md: every program of the page is run, every command, and what they say is asserted."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from agentr_tui.cli.main import run
from engine.trace.sources import load_any
from envs import base as environments
from tests.fixtures import own_environments

PAGE = (Path(__file__).parents[1] / "docs" / "your-environment.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = {
    name: text for _, name, text in re.findall(r"```(python|console) (\S+)\n(.*?)```", PAGE, re.S)
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The programs of the page in the working folder."""
    for name, text in BLOCKS.items():
        if name.endswith(".py"):
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return tmp_path


def commands(name: str) -> list[list[str]]:
    """The commands of a block."""
    return [shlex.split(line)[1:] for line in BLOCKS[name].splitlines()]


def test_plain_gymnasium_gives_a_tree_samples_and_a_dataset(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert [run(command) for command in commands("hall")] == [0, 0, 0]
    assert (folder / "hall.jsonl").read_text(encoding="utf-8").count("\n") > 0
    assert "has no plan to measure progress by: the tree judges its steps (--verifier value)" in capfd.readouterr().err
    (trace,) = (folder / "agentr-workspace" / "traces").glob("*.trace.jsonl")
    tree = load_any(trace).tree
    assert tree.started is not None
    assert tree.started.settings.actor == "random"
    assert run(["replay", str(trace)]) == 0
    assert ", 0 differences" in capfd.readouterr().out


def test_the_toys_of_gymnasium_are_played(folder: Path) -> None:
    assert [run(command) for command in commands("toys")] == [0, 0]
    traces = sorted((folder / "agentr-workspace" / "traces").glob("*.trace.jsonl"))
    trees = [load_any(trace).tree for trace in traces]
    lake, cards = sorted(trees, key=lambda tree: "Blackjack" in (tree.started.environment if tree.started else ""))
    assert lake.started is not None
    assert lake.started.header[-1].content == "[S]FFF\nFHFH\nFFFH\nHFFG"
    assert lake.started.header[1].content.endswith("The actions are: left, down, right, up")
    assert cards.started is not None
    assert re.fullmatch(r"You have \d+, the dealer \d+\.", cards.started.header[-1].content)
    assert {node.reward for node in cards.nodes if node.terminal} <= {0, 1, 2}


def test_a_wrapper_gives_a_tree(folder: Path) -> None:
    assert [run(command) for command in commands("grid")] == [0]
    (trace,) = (folder / "agentr-workspace" / "traces").glob("*.trace.jsonl")
    assert {leaf.reward for leaf in load_any(trace).tree.leaves()} == {0, 1}


def test_an_entry_point_keeps_its_argument_and_its_range(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "castle"}
    exec(BLOCKS["castle.py"], names)
    info = names["INFO"]
    assert isinstance(info, environments.EnvironmentInfo)
    with own_environments():
        environments.register(info)
        assert [run(command) for command in commands("castle")] == [0, 0]
    assert "nodes in castle, 0 differences" in capfd.readouterr().out
    (trace,) = (folder / "agentr-workspace" / "traces").glob("*.trace.jsonl")
    tree = load_any(trace).tree
    assert tree.started is not None
    assert (tree.started.opened, tree.started.score_range) == ("castle:red", (0.0, 4.0))
    assert {node.reward for node in tree.nodes if node.terminal == "done"} == {4}
    assert not any(node.terminal == "disaster" for node in tree.nodes)


def test_an_environment_with_tools_is_searched_by_calls_and_exported(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert [run(command) for command in commands("vault")] == [0, 0, 0, 0]
    assert "No tool" not in capfd.readouterr().err
    traces = sorted((folder / "agentr-workspace" / "traces").glob("*.trace.jsonl"))
    hall, vault = (load_any(trace).tree for trace in sorted(traces, key=lambda path: "vault" in path.read_text()))
    assert vault.started is not None
    assert [each["function"]["name"] for each in vault.started.tools] == ["read_note", "turn"]
    assert {node.action for node in vault.nodes[1:]} == {"read_note()", 'turn(digits="000")', 'turn(digits="417")'}
    assert {leaf.reward for leaf in vault.leaves()} == {0, 1}
    lines = [json.loads(line) for line in (folder / "vault.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines
    assert all(line["tools"] == vault.started.tools for line in lines)
    assert hall.started is not None
    assert hall.started.environment == "tools:gym:hall:Hall-v0"
    assert {node.action for node in hall.nodes[1:]} == {
        f'act(text="{name}")' for name in ("look", "take key", "open door")
    }
