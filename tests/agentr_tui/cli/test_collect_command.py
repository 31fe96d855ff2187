"""The command `collect`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentr_tui.cli.commands.scale.collect import shown, tell
from agentr_tui.cli.main import run
from engine.collect.run import Collected, Failure, Progress


def collected(**more: object) -> Collected:
    values: dict[str, object] = {
        "out": "o", "env": "textcraft", "tasks": 3, "done": 3, "failed": [], "elsewhere": 0, "left": 0, "calls": 1200,
        "tokens_in": None, "tokens_out": None, "cost": None, "nodes": 900, "lost": 0, "reason": "done", "seconds": 1.0,
    }  # fmt: skip
    return Collected(**{**values, **more})  # type: ignore[arg-type]


def test_a_collection_of_one_task_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["collect", "--tasks", "2", "--iterations", "3", "--out", str(tmp_path / "c"), "--json"]
    assert run([*arguments, "--workers", "1", "--workspace", str(tmp_path / "w")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tasks"], told["done"], told["failed"], told["left"], told["reason"]) == (1, 1, [], 0, "done")
    assert [path.name for path in (tmp_path / "c").glob("*.jsonl")] == ["textcraft-2-s0.trace.jsonl"]
    assert told["calls"] > 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--tasks is missing"),
        (["--tasks", "4-1"], "write 1-4"),
        (["--tasks", "1", "--shard", "2/1"], "1/8"),
        (["--tasks", "1", "--workers", "0"], "--workers 0: must be more than 0"),
        (["--tasks", "1", "--env", "nowhere"], "unknown environment"),
        (["--tasks", "nonsense"], "no task 'nonsense'"),
        (["--tasks", "1", "--actor", "openai", "--model", "m", "--total-cost", "1"], "--price-in"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["collect", *arguments, "--out", str(tmp_path / "c")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_exit_codes_tell_done_failed_and_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(collected(), json=False) == 0
    assert tell(collected(done=2, left=1, reason="calls of the collection"), json=False) == 0
    assert "calls of the collection; 1 task is not done" in capsys.readouterr().err
    assert tell(collected(done=2, failed=[Failure("7", "no\x1b[2J", "t")]), json=False) == 1
    error = capsys.readouterr().err
    assert "task 7: no" in error
    assert "\x1b" not in error
    assert tell(collected(done=0, left=3, reason="interrupted"), json=False) == 130


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentr_tui.cli.commands.scale.collect.LINE_SECONDS", 0.0)
    with shown() as show:
        show(Progress(10, 4, 1, 2, 1234, None, 1, 20.0, 7200.0))
    assert capsys.readouterr().err == (
        "agentr: 4 of 10 tasks; 2 under way, 1,234 calls, 1 failed, 1 workers lost, about 2.0 h left\n"
    )
