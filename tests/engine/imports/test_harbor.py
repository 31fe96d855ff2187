"""Harbor's folders: each trial is an attempt at its task, with the reward, exception and agent that lie beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.sources import read_rollouts
from tests.engine.imports import samples


def trial(job: Path, name: str, reward: Any = 1.0, **more: Any) -> Path:
    """A trial's folder; `reward` None leaves the verdict out."""
    folder = job / name
    samples.write(folder / "agent", "atif")
    result = {
        "task_name": "hello",
        "trial_name": name,
        "task_checksum": "0123456789abcdef",
        "source": "terminal-bench",
        "agent_info": {"name": "claude-code", "model_info": {"name": "opus"}},
        "verifier_result": None if reward is None else {"rewards": {"reward": reward}},
        **more,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    for other in ("config.json", "lock.json"):
        (folder / other).write_text('{"steps": []}', encoding="utf-8")
    return folder


def read(job: Path) -> list[Attempt]:
    rollouts = read_rollouts([job])
    found = [rollout for rollout in rollouts if isinstance(rollout, Attempt)]
    assert rollouts.problems == []
    return found


def test_the_trials_of_a_job_are_attempts_at_one_task(tmp_path: Path) -> None:
    trial(tmp_path, "hello__aaaaaaa", 1.0)
    trial(tmp_path, "hello__bbbbbbb", 0)
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    one, other = read(tmp_path)
    assert (one.task, one.id, one.reward) == ("hello@0123456789ab", "hello__aaaaaaa", 1.0)
    assert (other.task, other.id, other.reward) == ("hello@0123456789ab", "hello__bbbbbbb", 0.0)
    assert (one.agent, one.model, one.environment) == ("claude-code", "opus", "terminal-bench")


def test_a_trial_without_a_verdict_is_unknown_and_an_exception_cuts_it_off(tmp_path: Path) -> None:
    exception = {"exception_type": "AgentTimeoutError", "exception_message": "after 60 s", "exception_traceback": "…"}
    trial(tmp_path, "a", None, exception_info=exception)
    trial(tmp_path, "b", 0.0, exception_info=exception)
    trial(tmp_path, "c", 1.0, reward_valid=False)
    assert [(attempt.reward, attempt.stop, attempt.cut_off) for attempt in read(tmp_path)] == [
        (None, "AgentTimeoutError", True),
        (0.0, "AgentTimeoutError", True),
        (None, "", False),
    ]


def test_rewards_lie_in_the_verifiers_files_where_the_result_has_none_and_json_wins(tmp_path: Path) -> None:
    for name, files, reward, rewards in (
        ("a", {"reward.txt": "0.25\n"}, 0.25, {"reward": 0.25}),
        ("b", {"reward.txt": "0.25", "reward.json": '{"reward": 0.5, "style": 2}'}, 0.5, {"reward": 0.5, "style": 2.0}),
        ("c", {"reward.json": '{"passed": 1}'}, 1.0, {"passed": 1.0}),
        ("d", {"reward.json": '{"fast": 1, "right": 0}'}, None, {"fast": 1.0, "right": 0.0}),
        ("e", {"reward.txt": "lots"}, None, {}),
    ):
        folder = trial(tmp_path / name, "t", None)
        (folder / "verifier").mkdir()
        for file, content in files.items():
            (folder / "verifier" / file).write_text(content, encoding="utf-8")
        (attempt,) = read(tmp_path / name)
        assert (attempt.reward, attempt.rewards) == (reward, rewards), name


def test_a_trial_without_a_trajectory_is_told_with_its_reason(tmp_path: Path) -> None:
    trial(tmp_path, "a")
    exception = {"exception_type": "AgentSetupTimeoutError", "exception_message": "no network"}
    lost = trial(tmp_path, "b", None, exception_info=exception)
    (lost / "agent" / "trajectory.json").unlink()
    rollouts = read_rollouts([tmp_path])
    assert len(list(rollouts)) == 1
    assert [str(problem) for problem in rollouts.problems] == [
        f"{lost}: the trial left no trajectory (agent/trajectory.json) (AgentSetupTimeoutError: no network)"
    ]


def test_steps_of_a_task_are_tasks_of_their_own(tmp_path: Path) -> None:
    folder = trial(tmp_path, "hello__a", 1.0)
    (folder / "agent" / "trajectory.json").unlink()
    for name, reward in (("build", "1"), ("deploy", "0")):
        samples.write(folder / "steps" / name / "agent", "atif")
        (folder / "steps" / name / "verifier").mkdir()
        (folder / "steps" / name / "verifier" / "reward.txt").write_text(reward, encoding="utf-8")
    assert [(attempt.task, attempt.reward) for attempt in read(tmp_path)] == [
        ("hello@0123456789ab/build", 1.0),
        ("hello@0123456789ab/deploy", 0.0),
    ]


def step(number: int, source: str, message: str, **more: Any) -> dict[str, Any]:
    return {"step_id": number, "source": source, "message": message, **more}


def document(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**samples.ATIF, "steps": list(steps), **more}


def test_a_side_chain_is_folded_into_the_call_before_it_and_at_the_start_into_what_follows(tmp_path: Path) -> None:
    call = {"tool_call_id": "c1", "function_name": "Task", "arguments": {}}
    aside = {"extra": {"is_sidechain": True}}
    samples.write(
        tmp_path,
        "atif",
        document(
            step(1, "agent", "warm-up", **aside),
            step(2, "user", "Open the door."),
            step(3, "agent", "I send one.", tool_calls=[call]),
            step(4, "user", "Look at it.", **aside),
            step(5, "agent", "Shut.", **aside),
            step(6, "agent", "It is shut."),
        ),
    )
    (attempt,) = read(tmp_path)
    assert [message.content for message in attempt.messages] == ["Open the door.", "I send one.", "It is shut."]
    folded = [[[inner.content for inner in sub.messages] for sub in message.sub] for message in attempt.messages]
    assert folded == [[["warm-up"]], [["Look at it.", "Shut."]], []]


def test_a_subagent_is_folded_into_its_result_from_the_document_or_a_file_beside_it(tmp_path: Path) -> None:
    call = {"tool_call_id": "c1", "function_name": "Task", "arguments": {}}
    refs = [
        {"trajectory_id": "sub-1"},
        {"session_id": "x", "trajectory_path": "sub-2.json"},
        {"trajectory_path": "no.json"},
    ]
    result = {"source_call_id": "c1", "content": "Shut.", "subagent_trajectory_ref": refs}
    inner = document(step(1, "user", "Look."), step(2, "agent", "Shut."), trajectory_id="sub-1")
    (tmp_path / "sub-2.json").write_text(json.dumps({**inner, "trajectory_id": "sub-2"}), encoding="utf-8")
    samples.write(
        tmp_path,
        "atif",
        document(
            step(1, "user", "Open."),
            step(2, "agent", "", tool_calls=[call], observation={"results": [result]}),
            subagent_trajectories=[inner],
        ),
    )
    attempt = read_rollouts([tmp_path / "trajectory.json"])
    (found,) = attempt
    assert isinstance(found, Attempt)
    assert [[message.content for message in sub.messages] for sub in found.messages[2].sub] == [["Look.", "Shut."]] * 2
    assert found.notes == ["the subagent's trajectory 'no.json' is not beside the file"]


def test_no_path_in_a_file_leads_out_of_its_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(document(step(1, "user", "SECRET"))), encoding="utf-8")
    inner = tmp_path / "trial"
    inner.mkdir()
    (inner / "link.json").symlink_to(secret)
    for path in ("../secret.json", str(secret), "link.json", "file:///etc/passwd", "", ".", "a\x00b", "x" * 5000):
        ref = [{"trajectory_path": path}]
        samples.write(
            inner,
            "atif",
            document(
                step(1, "user", "Open.", observation={"results": [{"subagent_trajectory_ref": ref}]}),
                continued_trajectory_ref=path,
            ),
        )
        (attempt,) = read_rollouts([inner / "trajectory.json"])
        assert isinstance(attempt, Attempt)
        assert "SECRET" not in repr(attempt)
    (inner / "rollouts.jsonl").symlink_to(secret)
    assert "SECRET" not in repr(list(read_rollouts([inner])))


def test_documents_that_refer_to_themselves_come_to_an_end(tmp_path: Path) -> None:
    refs = [{"trajectory_path": "trajectory.json"}] * 50
    samples.write(
        tmp_path,
        "atif",
        document(
            step(1, "user", "Open.", observation={"results": [{"subagent_trajectory_ref": refs}]}),
            continued_trajectory_ref="trajectory.json",
        ),
    )
    (attempt,) = read(tmp_path)
    assert any("further subagents are left out" in note for note in attempt.notes)


def test_text_agents_without_calls_are_answered_by_user_messages(tmp_path: Path) -> None:
    result = {"content": "$ ls\na.py"}
    samples.write(
        tmp_path, "atif", document(step(1, "user", "Open."), step(2, "agent", "ls", observation={"results": [result]}))
    )
    (attempt,) = read(tmp_path)
    assert [(message.role, message.content) for message in attempt.messages] == [
        ("user", "Open."),
        ("assistant", "ls"),
        ("user", "$ ls\na.py"),
    ]
