"""Shapes that public files have: made up here, small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.imports.sources import read_rollouts


def read(path: Path, file: str, content: Any) -> Any:
    """The only attempt of a file with that content."""
    place = path / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))
    rollouts = read_rollouts([place])
    (attempt,) = rollouts
    assert rollouts.problems == []
    return attempt


ASKED = [{"role": "user", "content": "Open the door."}]


@pytest.mark.parametrize(
    "response",
    [
        {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "It is open."}}]},
        {"role": "assistant", "content": [{"type": "text", "text": "It is open."}]},
        "It is open.",
    ],
    ids=["OpenAI's", "a message", "text"],
)
def test_the_answer_to_a_logged_request_is_its_last_message(tmp_path: Path, response: Any) -> None:
    attempt = read(tmp_path, "call.json", {"messages": ASKED, "response": response, "cost": 0.1})
    assert [(each.role, each.content) for each in attempt.messages][1:] == [("assistant", "It is open.")]
    again = read(
        tmp_path, "call.json", {"messages": [*ASKED, {"role": "assistant", "content": "No."}], "response": "x"}
    )
    assert [each.content for each in again.messages] == ["Open the door.", "No."]  # an answer is there already


STEP = {
    "action": "open door",
    "observation": "It is open.",
    "response": "I open it.\n```\nopen door\n```",
    "thought": "…",
}


def test_swe_agents_last_step_is_read_where_the_history_ends_before_it(tmp_path: Path) -> None:
    history = [{**ASKED[0], "message_type": "observation"}]
    history += [{"role": "assistant", "content": STEP["response"], "message_type": "action"}]
    history += [{"role": "user", "content": "It is open.", "message_type": "observation"}]
    submit = {"action": "submit", "observation": "diff", "response": "I am done.", "thought": "I am done."}
    told = {"trajectory": [STEP, submit], "history": history, "info": {"exit_status": "submitted"}}
    attempt = read(tmp_path, "a.traj", told)
    assert [each.content for each in attempt.messages][3:] == ["I am done.\n```\nsubmit\n```", "diff"]
    assert "the last step is of `trajectory`" in attempt.notes[0]
    attempt = read(tmp_path, "a.traj", {**told, "trajectory": [STEP]})
    assert len(attempt.messages) == 3


def test_a_swe_agent_file_that_holds_steps_or_history_alone_is_read(tmp_path: Path) -> None:
    bare = {**STEP, "response": ""}
    attempt = read(tmp_path, "a.traj", {"instance_id": "door-1", "trajectory": [STEP, bare]})
    assert attempt.task == "door-1"
    assert [each.content for each in attempt.messages] == [
        STEP["response"],
        "It is open.",
        "…\n```\nopen door\n```",
        "It is open.",
    ]
    demonstration = {"history": [{**ASKED[0], "message_type": "observation", "agent": "main"}]}
    assert [each.content for each in read(tmp_path, "b.traj", demonstration).messages] == ["Open the door."]


MINI = {
    "info": {"exit_status": "Submitted", "config": {"model": {"model_name": "maker/small"}}},
    "messages": [*ASKED, {"role": "assistant", "content": "I open it."}],
    "trajectory_format": "mini-swe-agent-1.1",
}


def test_a_report_of_each_instance_below_the_run_gives_the_reward(tmp_path: Path) -> None:
    report = tmp_path / "run" / "eval_results" / "maker__small" / "door-1" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"door-1": {"resolved": True}}))
    attempt = read(tmp_path, "run/door-1/door-1.traj.json", MINI)
    assert (attempt.reward, attempt.reward_range) == (1, (0, 1))
    assert read(tmp_path, "run/door-2/door-2.traj.json", MINI).reward is None


def test_a_summary_of_swe_bench_gives_the_reward_and_of_several_the_one_of_the_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "maker__small.first.json").write_text(json.dumps({"resolved_ids": ["door-1"], "unresolved_ids": ["door-2"]}))
    assert read(run, "door-1/door-1.traj.json", MINI).reward == 1
    assert read(run, "door-2/door-2.traj.json", MINI).reward == 0
    assert read(run, "door-3/door-3.traj.json", MINI).reward is None
    (run / "maker__large.first.json").write_text(json.dumps({"resolved_ids": [], "unresolved_ids": ["door-1"]}))
    assert read(run, "door-1/door-1.traj.json", MINI).reward == 1
    (run / "maker__small.second.json").write_text(json.dumps({"resolved_ids": [], "unresolved_ids": ["door-1"]}))
    assert read(run, "door-1/door-1.traj.json", MINI).reward is None  # they disagree: nobody knows


def test_a_verdict_of_openhands_that_is_no_number_is_unknown_and_told(tmp_path: Path) -> None:
    event = {"source": "user", "action": "message", "args": {"content": "Open the door."}}
    row = {"instance_id": "door-1", "history": [event], "test_result": {"report": {"resolved": "maybe"}}}
    attempt = read(tmp_path, "output.json", row)
    assert attempt.reward is None
    assert "the verdict 'maybe' is no number: it counts as unknown" in attempt.notes
    attempt = read(tmp_path, "output.json", {**row, "test_result": {}, "success": "perhaps"})
    assert "the success 'perhaps' is no number: it counts as unknown" in attempt.notes


def test_what_a_recall_gave_the_model_is_in_its_message(tmp_path: Path) -> None:
    extras = {
        "repo_instructions": "Knock first.",
        "microagent_knowledge": [{"name": "doors", "content": "Doors open."}],
    }
    recall = {"source": "environment", "observation": "recall", "content": "Added context", "extras": extras}
    event = {"source": "user", "action": "message", "args": {"content": "Open the door."}}
    attempt = read(tmp_path, "events.json", [event, recall])
    assert attempt.messages[-1].content == "Added context\nKnock first.\nDoors open."
