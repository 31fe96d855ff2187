"""Rollouts as they are, for commands that take traces: each works on them, or says in a line how it would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sample_trees
from agentr_tui.cli.main import run
from engine.trace.sources import load_any

ATTEMPTS = Path(sample_trees.__file__).parent / "attempts"
RAW = ATTEMPTS / "textcraft-tools-2.atif.jsonl"
TRACE = ATTEMPTS.parent / "textcraft-tools-2-attempts.trace.jsonl"


def called(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "words", [["show", "{}", "16"], ["show", "{}", "20", "--conversation"], ["replay", "{}", "--json"]]
)
def test_a_command_says_of_raw_rollouts_what_it_says_of_their_trace(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    said = [called(capsys, *[word.format(path) for word in words]) for path in (RAW, TRACE)]
    assert said[0][0] == 0
    assert said[0][1].replace(str(RAW), "P") == said[1][1].replace(str(TRACE), "P")


def test_grep_finds_in_a_folder_of_raw_rollouts_what_it_finds_in_their_traces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = called(capsys, "grep", "good depth>6", ATTEMPTS, "--json")
    traces = sorted(ATTEMPTS.parent.glob("textcraft-tools-*.trace.jsonl"))
    _, other, _ = called(capsys, "grep", "good depth>6", *traces, "--json")
    rows, others = json.loads(out), json.loads(other)
    assert (code, rows["traces"], rows["total"]) == (0, 3, others["total"])
    assert [(row["task"], row["node"]) for row in rows["matches"]] == [
        (row["task"], row["node"]) for row in others["matches"]
    ]
    _, text, _ = called(capsys, "grep", "good", ATTEMPTS, "--limit", "1")
    assert "  task 10  depth" in text


def test_verify_measures_raw_rollouts_of_several_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "verify", ATTEMPTS, "--against", "value", "--json")
    told = json.loads(out)
    assert (code, told["traces"], told["pairs"]) == (0, 3, 43)


def test_a_search_goes_on_at_a_node_of_raw_rollouts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--env", "textcraft:tools", "--actor", "scripted", "--iterations", "2", "--out", "b.trace.jsonl"]
    code, _, err = called(capsys, "search", "--from", f"{RAW}:16", *words)
    assert (code, err) == (0, "")
    tree = load_any("b.trace.jsonl").tree
    assert tree.started is not None
    assert [step.tool_calls[0].name for step in tree.started.prefix] == ["get", "craft"]
    assert tree.started.environment == "textcraft:tools"
    assert any(node.reward for node in tree.nodes)


@pytest.mark.parametrize(
    "words",
    [["show", ATTEMPTS], ["replay", ATTEMPTS], ["convert", ATTEMPTS, "x.trace.jsonl"], ["diff", RAW, RAW],
     ["compare", ATTEMPTS], ["attach", RAW], ["search", "--resume", RAW], ["eval", ATTEMPTS]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_command_that_cannot_use_them_names_convert(capsys: pytest.CaptureFixture[str], words: list[object]) -> None:
    code, out, err = called(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "agentr convert" in err


def test_convert_writes_a_trace_of_each_task_into_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = called(capsys, "convert", ATTEMPTS, "new")
    assert (code, len(out.splitlines())) == (0, 3)
    assert sorted(map(str, Path("new").iterdir())) == sorted(out.splitlines())
    assert [len(load_any(path).tree.attempts) for path in Path("new").iterdir()] == [8, 8, 8]
    code, out, err = called(capsys, "convert", ATTEMPTS, "new")
    assert (code, out) == (2, "")
    assert "exists already" in err
    assert called(capsys, "convert", ATTEMPTS, "new", "--force")[0] == 0
