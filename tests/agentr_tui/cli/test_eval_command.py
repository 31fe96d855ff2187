"""The commands `eval` and `compare`: what they print, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.evaluate.episodes import episode_settings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from tests.servers.llm_server import LLMServer


def episodes(folder: Path, rate: float) -> Path:
    for task in ("1", "2", "3"):
        settings = episode_settings(SearchSettings(error_rate=rate), 12)
        new_job("textcraft", task, settings, folder / f"{task}.trace.jsonl").run_blocking()
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_eval_prints_earlier_evaluations_and_their_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sure, unsure = episodes(tmp_path / "sure", 0.0), episodes(tmp_path / "unsure", 1.0)
    found = printed(capsys, "eval", str(sure), "--against", str(unsure))
    assert (found["scores"]["score"]["value"], found["difference"]["score"]["value"]) == (1.0, 1.0)
    assert (found["difference"]["better"], found["difference"]["worse"], found["difference"]["tasks"]) == (3, 0, 3)
    assert [each["task"] for each in found["episodes"]] == ["1", "2", "3"]
    assert run(["eval", str(sure), "--against", str(unsure)]) == 0
    assert "difference over 3 tasks of both: score +1" in capsys.readouterr().out


def test_eval_runs_an_episode_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", "--tasks", "2", "--error-rate", "0", "--workers", "1", "--out", str(tmp_path / "e")]
    found = printed(capsys, *arguments)
    assert found["scores"]["score"]["value"] == 1.0
    assert [run["done"] for run in found["runs"]] == [1]
    assert printed(capsys, *arguments)["episodes"] == found["episodes"]


def test_an_episode_whose_first_answer_is_not_usable_is_over_and_done_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LLMServer(faults=lambda call: "refusal") as server:
        model = ["--actor", "openai", "--model", "m", "--base-url", server.url]
        arguments = ["eval", "--tasks", "2,3", *model, "--workers", "1", "--out", str(tmp_path / "e")]
        for _ in range(2):
            found = printed(capsys, *arguments)
            assert found["scores"]["ends"] == {"no usable answer": 2}
            assert found["scores"]["score"]["value"] == 0.0
        assert len(server.calls) == 2


def test_figures_leave_out_episodes_that_are_not_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = episodes(tmp_path / "e", 0.0)
    stopped = folder / "3.trace.jsonl"
    lines = stopped.read_bytes().splitlines(keepends=True)
    stopped.write_bytes(b"".join(lines[: len(lines) // 2]))  # killed in the middle
    assert run(["eval", str(folder), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["scores"]["episodes"] == 2
    assert "1 of 3 episodes is not over, and is left out of the figures" in told.err


def test_compare_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for algorithm in ("uct", "agent-r"):
        settings = SearchSettings(algorithm=algorithm, budget_calls=60)
        new_job("textcraft", "2", settings, tmp_path / algorithm / "2.trace.jsonl").run_blocking()
    found = printed(capsys, "compare", str(tmp_path))
    assert [group["name"] for group in found["groups"]] == ["agent-r", "uct"]
    assert found["against"][0]["tasks"] == 1
    assert run(["compare", str(tmp_path / "uct")]) == 2
    assert "nothing to compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--tasks is missing"),
        (["--tasks", "1", "--samples", "3"], "--samples is for searches"),
        (["--tasks", "1", "--repeats", "0"], "--repeats 0: must be at least 1"),
        (["x", "--tasks", "1"], "not both"),
        (["--tasks", "1", "--recovery", "verdict:verified"], "leave out tasks"),
    ],
)
def test_bad_options_of_eval_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", *arguments, "--workspace", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_search_is_no_episode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_job("textcraft", "2", SearchSettings(iterations=2), tmp_path / "s.trace.jsonl").run_blocking()
    assert run(["eval", str(tmp_path)]) == 2
    assert "is a search, not an episode" in capsys.readouterr().err
