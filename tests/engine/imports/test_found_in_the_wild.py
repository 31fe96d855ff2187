"""Shapes that public files have: made up here, small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError
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


@pytest.mark.parametrize("key", ["reasoning", "thinking_blocks", "reasoning_details"])
def test_reasoning_in_parts_beside_the_content_is_kept(tmp_path: Path, key: str) -> None:
    thought = [
        {"type": "thinking", "thinking": "Is it shut?", "signature": "x"},
        {"type": "reasoning.text", "text": "I look."},
    ]
    told = [*ASKED, {"role": "assistant", "content": None, "reasoning_content": "", key: thought}]
    told += [{"role": "tool", "content": [{"type": "text", "text": "No door."}], "metadata": {"isError": True}}]
    attempt = read(tmp_path, "trajectory.json", {"trajectory": told})
    assert attempt.messages[1].reasoning == "Is it shut?\nI look."
    assert (attempt.messages[2].content, attempt.messages[2].error) == ("No door.", True)


@pytest.mark.parametrize("around", [lambda told: told, lambda told: {"contents": told}], ids=["bare", "request"])
def test_geminis_parts_are_texts_thoughts_calls_and_results(tmp_path: Path, around: Any) -> None:
    call = {"functionCall": {"name": "look", "args": {"at": "door"}, "id": "c1"}}
    shut = {"functionResponse": {"name": "look", "id": "c1", "response": {"output": "It is shut."}}}
    told = [
        {"role": "user", "parts": [{"text": "Open the door."}]},
        {"role": "model", "parts": [{"text": "First I look.", "thought": True}, {"text": "Let me see."}, call]},
        {"role": "user", "parts": [shut]},
        {"role": "model", "parts": [{"text": "It is open."}]},
    ]
    attempt = read(tmp_path, "trajectory.json", around(told))
    assert [(each.role, each.content) for each in attempt.messages] == [
        ("user", "Open the door."),
        ("assistant", "Let me see."),
        ("tool", "It is shut."),
        ("assistant", "It is open."),
    ]
    assert attempt.messages[1].reasoning == "First I look."
    (made,) = attempt.messages[1].tool_calls
    assert (made.name, made.arguments, made.id) == ("look", '{"at":"door"}', "c1")
    assert attempt.messages[2].tool_call_id == "c1"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"type": "user", "sessionId": "s", "message": {"role": "user", "content": "Hi."}}, "a session of Claude Code"),
        ({"responses_create_params": {"input": []}, "agent_ref": {}}, "inputs of NeMo Gym without responses"),
        ({"task_id": "a", "is_resolved": True, "parser_results": {}}, "a trial of Terminal-Bench"),
        ({"id": "a", "termination_reason": "user_stop", "ticks": [], "mode": "voice"}, "tau2-bench by voice"),
    ],
)
def test_what_is_no_rollout_is_named(tmp_path: Path, row: Any, kind: str) -> None:
    with pytest.raises(InputError, match=kind):
        read(tmp_path, "a.json", row)


def test_what_nemo_gym_writes_beside_its_rollouts_is_no_problem_of_a_folder(tmp_path: Path) -> None:
    params = {"responses_create_params": {"input": "Open."}}
    (tmp_path / "rollouts.jsonl").write_text(json.dumps({**params, "response": {"output": []}, "reward": 1}) + "\n")
    (tmp_path / "rollouts_materialized_inputs.jsonl").write_text(json.dumps(params) + "\n")
    (tmp_path / "rollouts_aggregate_metrics.json").write_text(json.dumps({"agent_metrics": {}}))
    rollouts = read_rollouts([tmp_path])
    assert len(list(rollouts)) == 1
    assert rollouts.problems == []


EVENT = {"id": "e", "source": "agent", "kind": "SystemPromptEvent", "system_prompt": {"type": "text", "text": "Mend."}}


def test_what_openhands_adds_to_messages_is_read_and_an_error_ends_the_attempt(tmp_path: Path) -> None:
    more = [{"type": "text", "text": "Doors open."}]
    told = [
        {
            **EVENT,
            "tools": [{"title": "look", "description": "Looks."}],
            "dynamic_context": {"type": "text", "text": "A"},
        },
        {**EVENT, "kind": "MessageEvent", "source": "user", "llm_message": ASKED[0], "extended_content": more},
        {**EVENT, "kind": "ActionEvent", "tool_name": "look", "tool_call_id": "c1", "action": {"at": "door"}},
        {
            **EVENT,
            "kind": "ObservationEvent",
            "tool_call_id": "c1",
            "observation": {"content": [{"type": "text", "text": "It is shut."}]},
            "extended_content": more,
        },
        {**EVENT, "kind": "ConversationErrorEvent", "code": "BadRequest", "detail": "no such call"},
    ]
    attempt = read(tmp_path, "events.json", told)
    assert [each.content for each in attempt.messages] == [
        "Mend.\nA",
        "Open the door.\nDoors open.",
        "",
        "It is shut.\nDoors open.",
    ]
    assert (attempt.stop, attempt.cut_off, attempt.notes[0]) == (
        "error",
        True,
        "error: BadRequest: no such call",
    )
    assert attempt.tools == [{"type": "function", "function": {"name": "look", "description": "Looks."}}]


def test_calls_of_an_agent_with_tools_of_its_own_are_a_call_and_its_last_result(tmp_path: Path) -> None:
    call = {**EVENT, "kind": "ACPToolCallEvent", "tool_call_id": "c1", "title": "look", "raw_input": {"at": "door"}}
    told = [
        {**EVENT, "kind": "MessageEvent", "source": "user", "llm_message": ASKED[0]},
        {**call, "status": "in_progress"},
        {**call, "tool_call_id": "c2", "raw_output": "b"},
        {**call, "status": "completed", "raw_input": None, "raw_output": "It is shut.", "is_error": True},
    ]
    attempt = read(tmp_path, "events.json", told)
    assert [(each.content, [c.arguments for c in each.tool_calls]) for each in attempt.messages[1:]] == [
        ("", ['{"at":"door"}']),
        ("It is shut.", []),
        ("", ['{"at":"door"}']),
        ("b", []),
    ]
    assert attempt.messages[2].error


def test_rllms_logged_episodes_are_read_also_where_the_context_was_rewritten(tmp_path: Path) -> None:
    look = {"role": "assistant", "content": "<think>Shut?</think>I look."}
    first = [*ASKED, look]
    second = [*ASKED, {**look, "content": "I look."}, {"role": "user", "content": "It is shut."}]
    third = [{"role": "user", "content": "In short: shut."}, {"role": "assistant", "content": "I open it."}]
    steps = [{"chat_completions": each, "reward": 0.0} for each in (first, second, third)]
    told = {"episode_id": "door:3", "task": {"question": "Open."}, "termination_reason": "max_turns_exceeded"}
    attempt = read(tmp_path, "episode.json", {**told, "trajectories": [{"name": "a", "steps": steps, "reward": 1.0}]})
    assert (attempt.format, attempt.task, attempt.id, attempt.reward) == ("rllm", "door", "3", 1)
    assert (attempt.stop, attempt.cut_off) == ("max_turns_exceeded", True)
    assert [(each.content, each.compacted) for each in attempt.messages] == [
        ("Open the door.", False),
        ("<think>Shut?</think>I look.", False),
        ("It is shut.", False),
        ("[context rewritten]", True),
        ("In short: shut.", False),
        ("I open it.", False),
    ]


def test_rllms_evaluated_episodes_hold_what_went_in_and_came_out(tmp_path: Path) -> None:
    steps = [{"input": "Open the door.", "output": "I look.", "chat_completions": []}, {"input": "", "output": "Open."}]
    told = {"id": "0b1e", "task": {"id": "door", "instruction": "Open."}, "is_correct": True}
    attempt = read(tmp_path, "episode.json", {**told, "trajectories": [{"name": "a", "steps": steps, "reward": None}]})
    assert (attempt.task, attempt.id, attempt.reward) == ("door", "0b1e", 1)
    assert [(each.role, each.content) for each in attempt.messages] == [
        ("user", "Open the door."),
        ("assistant", "I look."),
        ("assistant", "Open."),
    ]


def test_nodes_of_moatless_tools_are_read_without_their_settings(tmp_path: Path) -> None:
    def step(command: str) -> dict[str, Any]:
        return {"action": {"action_args_class": "m.BashArgs", "command": command}, "observation": {"message": "a.py"}}

    nodes = [
        {"node_id": 0, "user_message": "Mend it."},
        {"node_id": 1, "parent_id": 0, "action_steps": [step("ls")], "thoughts": {"text": "First I look."}},
        {
            "node_id": 2,
            "parent_id": 1,
            "action_steps": [step("sed")],
            "user_message": "Try sed.",
            "reward": {"value": 50},
        },
        {"node_id": 3, "parent_id": 1, "assistant_message": "I give up.", "terminal": True, "reward": {"value": -50}},
    ]
    (tmp_path / "flow.json").write_text(
        json.dumps({"agent": {"system_prompt": "You mend.", "completion": {"model": "m"}}})
    )
    told = {"trajectory_id": "t", "project_id": "p", "metadata": {"instance_id": "i-1"}, "nodes": nodes}
    tree = read(tmp_path, "trajectory.json", told)
    assert (tree.format, tree.task, tree.model) == ("moatless", "i-1", "m")
    assert [each.content for each in tree.header] == ["You mend.", "Mend it."]
    assert [(node.parent, node.visits, node.value) for node in tree.nodes] == [
        (-1, 2, 0),
        (0, 2, 0),
        (1, 1, 50),
        (1, 1, -50),
    ]
    assert [node.messages[0].content for node in tree.nodes[1:]] == ["First I look.", "", "I give up."]
    assert tree.nodes[2].raw == {"node_id": 2, "user_message": "Try sed."}
    assert any("feedback" in note for note in tree.notes)
