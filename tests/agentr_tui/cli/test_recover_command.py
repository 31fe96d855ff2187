"""`agentr recover`: continuations without a screen, their price first."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.workspace.workspace import read_samples
from envs.base import InstanceDied
from envs.textcraft.env import TextCraft
from tests.agentr_tui.apps import opened, revised, searched
from tests.servers.llm_server import LLMServer, faults_after, no_faults


def test_the_price_is_said_a_model_is_asked_only_with_leave_and_what_is_known_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = opened(tmp_path)
    revised(workspace, searched(workspace), max_pairs=3)
    sample = next(each for each in read_samples(workspace.run_info()) if each.mark is not None)
    with LLMServer() as server:
        asked = [
            "recover", sample.id, "--workspace", str(tmp_path), "--actor", "openai", "--model", "m",
            "--base-url", server.url, "--continuations", "2", "--json",
        ]  # fmt: skip
        assert run([*asked, "--price"]) == 0
        price = json.loads(capsys.readouterr().out)["price"]
        assert (price["continuations"], price["free"], server.calls) == (4, False, [])
        monkeypatch.setattr("sys.stdin", io.StringIO())
        assert run(asked) == 2
        told = capsys.readouterr().err
        assert f"at most {price['calls']} calls, cost unknown; 4 continuations by openai (m)" in told
        assert "--yes" in told
        assert server.calls == []
        assert run([*asked, "--yes"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["samples"]
        (figures,) = row["marks"]
        assert (figures["mark"], figures["without"]["of"], figures["with"]["of"]) == (sample.mark, 2, 2)
        assert row["calls"] == len(server.calls) > 0
        assert run(asked) == 0  # nothing is missing: nobody needs to be asked
        out, err = capsys.readouterr()
        assert "nothing is missing: no calls" in err
        assert json.loads(out)["samples"][0]["marks"] == row["marks"]
    assert run(["recover", sample.id, "--workspace", str(tmp_path)]) == 0
    assert "the scripted actor ignores the conversation" in capsys.readouterr().out
    assert run(["recover", "kind:revision", "--marks", "all", "--workspace", str(tmp_path), "--json"]) == 0
    every = json.loads(capsys.readouterr().out)
    nodes = {each["node"] for row in every["samples"] for each in row["marks"] if each["without"]["of"]}
    assert every["total"]["steps"] == len(nodes)
    assert every["total"]["without"].endswith(f"/{8 * len(nodes)}")
    for words, said in ((["000000000000"], "no sample 000000000000"), (["decision:accepted"], "no sample with a bad")):
        assert run(["recover", *words, "--workspace", str(tmp_path)]) == 2
        assert said in capsys.readouterr().err


def test_what_could_not_be_asked_is_told_in_its_own_words_and_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = opened(tmp_path)
    revised(workspace, searched(workspace), max_pairs=3)
    sample = next(each for each in read_samples(workspace.run_info()) if each.mark is not None)
    monkeypatch.setattr("engine.models.client.FIRST_WAIT", 0.001)
    faults: dict[str, str] = {
        "bad request": f"sample {sample.id}: 2 answers are owed, the last (bad request): 400: this conversation",
        "authentication": f"sample {sample.id}: no further call would be answered (authentication): 401: incorrect",
        "refusal": f"sample {sample.id}: no answer was usable, the last: the model refused: I would rather not.",
    }
    with LLMServer() as server:
        asked = [
            "recover", sample.id, "--workspace", str(tmp_path), "--actor", "openai", "--model", "m",
            "--base-url", server.url, "--continuations", "1", "--yes",
        ]  # fmt: skip
        for kind, told in faults.items():
            server.faults = faults_after(0, kind)
            assert run(asked) == 1
            assert told in capsys.readouterr().err
        server.faults = no_faults
        steps: list[str] = []
        true = TextCraft.step

        def dies(self: TextCraft, action: str) -> Any:
            steps.append(action)
            if len(steps) > sample.mark + 2:  # type: ignore[operator]
                raise InstanceDied("the simulator is gone")
            return true(self, action)

        monkeypatch.setattr(TextCraft, "step", dies)
        assert run(asked) == 1
        assert "the simulator is gone" in capsys.readouterr().err
        monkeypatch.setattr(TextCraft, "step", true)
        assert run(asked) == 0


def test_a_query_leaves_out_attempts_whose_environment_is_not_at_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attempt = '{{"messages": [{{"role": "user", "content": "Go."}}, {}], "reward": {}}}\n'
    said = '{{"role": "assistant", "content": "{}"}}, {{"role": "user", "content": "ok"}}'
    good, bad = (", ".join(said.format(word) for word in words) for words in (("left", "up", "on"), ("right", "down")))
    rows = attempt.format(good, 1) + attempt.format(bad, 0)
    (tmp_path / "attempts.jsonl").write_text(rows)
    workspace = opened(tmp_path / "w")
    assert run(["convert", str(tmp_path / "attempts.jsonl"), str(workspace.traces / "attempts.trace.jsonl")]) == 0
    searched(workspace)
    assert run(["revise", str(workspace.traces), "--max-pairs", "1", "--workspace", str(workspace.path)]) == 0
    paths = {Path(each.path).name for each in read_samples(workspace.run_info()) if each.bad is not None}
    assert paths == {"attempts.trace.jsonl", "textcraft-2-s0.trace.jsonl"}
    capsys.readouterr()
    at = ["--workspace", str(workspace.path), "--price"]
    assert run(["recover", "kind:revision", *at]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "left out" in line] == [
        f"agentr: {workspace.traces / 'attempts.trace.jsonl'}: no environment is at hand (attempts:chat): left out"
        " (--env names one)"
    ]
    assert run(["recover", "path~attempts", *at]) == 2
