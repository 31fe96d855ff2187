"""Rollouts as they are, for commands that take traces: each works on them, or says in a line how it would."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import sample_trees
from agentr_tui.cli.main import run
from engine.trace.sources import load_any
from tests.servers.llm_server import LLMServer

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
    Path("notes.md").write_text("Look at the recipes first.")
    words = ["--env", "textcraft:tools", "--actor", "scripted", "--iterations", "2", "--out", "b.trace.jsonl"]
    words += ["--notes", "notes.md"]
    code, _, err = called(capsys, "search", "--from", f"{RAW}:16", *words)
    assert (code, err) == (0, "")
    tree = load_any("b.trace.jsonl").tree
    assert tree.started is not None
    assert [step.tool_calls[0].name for step in tree.started.prefix] == ["get", "craft"]
    assert tree.started.environment == "textcraft:tools"
    assert tree.started.header[1].content.endswith("\n\nLook at the recipes first.")
    assert any(node.reward for node in tree.nodes)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The attempts as another harness would have written them: no word of their environment."""
    rows = [json.loads(line) for line in RAW.read_text().splitlines()]
    for row in rows:
        row["agent"] |= {"name": "their-agent", "model_name": "their-model"}
        row["extra"] = {"task": "cut red sandstone", "reward": row["extra"]["reward"]}
        row["steps"][3]["message"] = row["steps"][3]["message"].replace("Crafting commands:", "You have:")
    path = tmp_path / "theirs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_an_imported_failure_is_gone_on_from_where_environment_and_actor_are_named(
    capsys: pytest.CaptureFixture[str], theirs: Path
) -> None:
    code, out, _ = called(capsys, "revise", theirs, "--json")
    assert (code, set(json.loads(out)["by_verdict"])) == (0, {"unreplayed"})
    code, out, _ = called(capsys, "review", "list", "--json")
    sample = json.loads(out)["samples"][0]["id"]
    code, _, err = called(capsys, "recover", sample)
    assert (code, "--env names one" in err) == (2, True)
    code, out, _ = called(capsys, "recover", sample, "--env", "textcraft:tools", "--continuations", "2", "--json")
    (told,) = json.loads(out)["samples"]
    assert (code, told["marks"][0]["without"]["of"]) == (0, 2)
    words = ["--env", "textcraft:tools", "--iterations", "1", "--out", "b.trace.jsonl"]
    assert called(capsys, "search", "--from", f"{theirs}:16", *words)[0] == 0
    assert any(node.reward for node in load_any("b.trace.jsonl").tree.nodes)


def test_a_tree_whose_environment_is_recognised_is_the_one_that_takes_calls(
    capsys: pytest.CaptureFixture[str], theirs: Path
) -> None:
    theirs.write_text(theirs.read_text().replace("You have:", "Crafting commands:"))
    code, out, _ = called(capsys, "replay", theirs, "--json")
    assert (code, json.loads(out)["env"], json.loads(out)["differences"]) == (0, "textcraft:tools", [])
    assert called(capsys, "revise", theirs)[0] == 0
    _, out, _ = called(capsys, "review", "list", "--json")
    sample = json.loads(out)["samples"][0]["id"]
    code, out, _ = called(capsys, "recover", sample, "--continuations", "2", "--json")
    (told,) = json.loads(out)["samples"]
    assert (code, told["actor"], told["model"]) == (0, "scripted", "")  # theirs is unknown here
    assert told["marks"][0]["without"]["of"] == 2


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


def test_a_model_looks_at_the_seams_of_unreplayed_samples_and_no_export_takes_one_for_it(
    capsys: pytest.CaptureFixture[str], theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen-0123456789")
    with LLMServer(answer=lambda body: "The sand is still there.\nJudgement: Good") as server:
        words = ["revise", theirs, "--seam", "openai", "--model", "m", "--base-url", server.url, "--json"]
        code, out, _ = called(capsys, *words)
        told = json.loads(out)
        count = told["by_verdict"]["unreplayed"]
        assert (code, told["seams"], told["judge"]["calls"]) == (0, {"Good": count}, len(server.calls))
        assert count == len(server.calls) == 5
        said = server.calls[0].body["messages"][-1]["content"]
        assert "The wrong step:\nAction: " in said
        assert "Crafted 4 minecraft:cut_red_sandstone" in said.partition("From here on")[2]
        code, out, _ = called(capsys, *words)
        assert (code, json.loads(out)["judge"]["calls"]) == (0, 0)  # kept, as judgements are
        other = ["--seam", "openai:n", "--base-url", server.url, "--price-in", "1", "--price-out", "1"]
        code, _, err = called(capsys, "revise", theirs, *other)
        assert (code, "--yes" in err, len(server.calls)) == (2, True, 5)
    (seam, *_) = [sample["seam"] for sample in samples_of(Path("agentr-workspace")) if sample["kind"] != "good"]
    assert (seam["word"], seam["reason"]) == ("Good", "The sand is still there.")
    assert called(capsys, "export", "--format", "atif", "--out", "o.jsonl")[0] == 1  # nothing by default
    _, out, _ = called(capsys, "review", "list", "--json")
    accepted = next(row["id"] for row in json.loads(out)["samples"] if row["kind"] == "revision")
    assert called(capsys, "review", "accept", accepted)[0] == 0
    assert called(capsys, "export", "--format", "atif", "--out", "o.jsonl")[0] == 0
    assert "a person accepted each; their seams, as a model judges them: 1 Good" in Path("o.jsonl.card.md").read_text()


def test_seams_are_asked_about_side_by_side_and_stand_with_their_own_samples(
    capsys: pytest.CaptureFixture[str], theirs: Path
) -> None:
    together = threading.Barrier(5, timeout=30)

    def answer(body: dict[str, Any]) -> str:
        together.wait()  # one after the other, the first would wait in vain
        tail = body["messages"][-1]["content"].partition("From here on")[2]
        return f"{len(tail)}\nJudgement: Good"

    with LLMServer(answer=answer) as server:
        words = ["revise", theirs, "--seam", "openai:m", "--base-url", server.url, "--concurrency", "5", "--json"]
        code, out, _ = called(capsys, *words)
        assert (code, json.loads(out)["seams"], server.most_at_once) == (0, {"Good": 5}, 5)
        said = sorted(
            str(len(call.body["messages"][-1]["content"].partition("From here on")[2])) for call in server.calls
        )
    made = [sample for sample in samples_of(Path("agentr-workspace")) if sample["kind"] != "good"]
    assert sorted(sample["seam"]["reason"] for sample in made) == said


def test_seams_of_what_is_replayed_are_not_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    with LLMServer() as server:
        code, out, _ = called(capsys, "revise", RAW, "--seam", "openai:m", "--base-url", server.url, "--json")
        assert (code, json.loads(out)["seams"], server.calls) == (0, {}, [])
    code, _, err = called(capsys, "revise", RAW, "--seam", "value")
    assert (code, err.count("\n")) == (2, 1)
    assert "--seam value: openai or openai:MODEL" in err


def samples_of(workspace: Path) -> list[dict[str, Any]]:
    """The samples of the newest run, as they are written."""
    (*_, newest) = sorted((workspace / "runs").glob("*.jsonl"))
    rows = [json.loads(line) for line in newest.read_text().splitlines()]
    return [row for row in rows if "kind" in row]


ART = b"""- trajectories:
  - reward: 1.0
    messages_and_choices:
    - role: user
      content: Hi.
"""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0001.yaml", ART, "is YAML of ART"),
        ("a.parquet", b"PAR1\x15\x04", "is a parquet file"),
        ("a.pkl", b"\x80\x04\x95", "is a Python pickle, which is never opened"),
        ("rollouts.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("a.db", b"SQLite format 3\0", "is a SQLite database"),
    ],
)
def test_a_file_that_is_named_is_told_by_its_kind(
    capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    Path(name).write_bytes(content)
    code, out, err = called(capsys, "stats", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{name}: {said}" in err
