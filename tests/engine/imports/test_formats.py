"""Each format's small sample: its attempt is told in our form, its task, reward and end by the format's own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from engine.base.errors import InputError
from engine.imports.attempt import Attempt, AttemptMessage, ForeignTree
from engine.imports.reader import READERS
from engine.imports.sources import mapping_of, read_rollouts
from engine.tree.events import ToolCall
from tests.engine.imports import samples

BRIEF = AttemptMessage(role="system", content="Be brief.")
OPEN = AttemptMessage(role="user", content="Open the door.")
SHUT = AttemptMessage(role="assistant", content="It is shut.")


def read(path: Path, **told: Any) -> list[Any]:
    rollouts = read_rollouts([path], **told)
    found = list(rollouts)
    assert rollouts.problems == []
    return found


def attempt_of(folder: Path, format: str, content: Any = None) -> Attempt:
    (attempt,) = read(samples.write(folder, format, content))
    assert attempt.format == format
    return attempt  # type: ignore[no-any-return]


def test_every_reader_has_a_sample_here() -> None:
    assert set(samples.FILES) == set(READERS)


CALLERS = [
    "atif", "verifiers", "verifiers-results", "inspect", "nemo-gym", "tau-bench", "tau2", "swe-agent", "openhands",
    "openhands-sdk", "rllm", "chat",
]  # fmt: skip


@pytest.mark.parametrize("format", CALLERS)
def test_a_conversation_with_a_call_is_the_same_from_every_format(tmp_path: Path, format: str) -> None:
    attempt = attempt_of(tmp_path, format)
    header, (turn, result, answer) = attempt.messages[:2], attempt.messages[2:]
    assert [(message.role, message.content) for message in header] == [
        ("system", "Be brief."),
        ("user", "Open the door."),
    ]
    assert (turn.role, turn.content) == ("assistant", "")
    (call,) = turn.tool_calls
    assert (call.name, call.id) == ("look", "c1")
    assert json.loads(call.arguments) == {"at": "door"}
    spelled = '{"at":"door"}' if format in ("atif", "inspect", "tau2") else '{"at": "door"}'  # an object, or a string
    assert call.arguments == spelled
    assert turn.reasoning == "First look."
    assert (result.role, result.content, result.tool_call_id) == ("tool", "It is shut.", "c1")
    assert (answer.role, answer.content, answer.tool_calls) == ("assistant", "It is shut.", ())


@pytest.mark.parametrize(
    ("format", "task", "id", "reward", "range", "stop", "cut_off"),
    [
        ("verifiers", "door-3", "t", 0.75, None, "max_turns", True),
        ("verifiers-results", "3", "", 0.75, None, "truncated", True),
        ("inspect", "doors/door-3", "epoch 2", 0.5, None, "message", True),
        ("nemo-gym", "task 3", "1", -1.5, None, "", False),
        ("tau-bench", "task 3", "trial 1", 1.0, (0.0, 1.0), "", False),
        ("tau2", "retail task 3", "trial 1", 0.0, (0.0, 1.0), "max_steps", True),
        ("mini-swe-agent", "door-3", "", None, None, "LimitsExceeded", True),
        ("swe-agent", "door-3", "", None, None, "exit_cost", True),
        ("openhands", "door-3", "", 1.0, (0.0, 1.0), "", False),
        ("rllm", "door-3", "1", 1.0, None, "", False),
        ("agentgym", "webshop_6", "", None, (0.0, 1.0), "", False),
        ("chat", "door-3", "", 1.0, None, "", False),
        ("verl", None, "", 0.5, None, "", False),
    ],
)
def test_task_reward_and_end_are_by_the_formats_own_rule(
    tmp_path: Path,
    format: str,
    task: str | None,
    id: str,
    reward: float | None,
    range: tuple[float, float] | None,
    stop: str,
    cut_off: bool,
) -> None:
    attempt = attempt_of(tmp_path, format)
    assert attempt.task == task or (task is None and attempt.task.startswith("prompt-"))
    assert attempt.id == id or (id == "" and attempt.id == tmp_path.name)
    assert (attempt.reward, attempt.reward_range, attempt.stop, attempt.cut_off) == (reward, range, stop, cut_off)


@pytest.mark.parametrize("format", ["atif", "verifiers", "verifiers-results", "inspect", "nemo-gym", "tau2", "chat"])
def test_tools_are_openai_schemas_whatever_their_spelling(tmp_path: Path, format: str) -> None:
    assert attempt_of(tmp_path, format).tools == [samples.TOOL]


def test_a_group_gives_one_attempt_each_with_its_own_score(tmp_path: Path) -> None:
    one, other = read(samples.write(tmp_path, "atropos"))
    assert one.task == other.task
    assert [(attempt.reward, attempt.messages[-1]) for attempt in (one, other)] == [
        (0.25, SHUT),
        (-1.0, AttemptMessage(role="assistant", content="Done.")),
    ]
    assert one.messages[:2] == [BRIEF, OPEN]


def test_several_scores_are_kept_by_name_and_the_choice_is_told(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "inspect")
    assert attempt.rewards == {"judge": 0.5, "length": 12.0}
    assert "several scores (judge, length): the first counts" in attempt.notes
    assert attempt_of(tmp_path, "verifiers").rewards == {"opened": 1.0, "style": 0.5, "x": None}


def test_an_acknowledgement_is_not_trained_and_the_goal_is_what_follows_it(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "agentgym")
    assert [message.untrained for message in attempt.messages] == [False, True, False, False]
    assert (attempt.environment, attempt.instruction) == ("agentgym:webshop", "Buy a door.")
    assert attempt.raw["environment_task"] == "6"
    assert "the file holds no reward" in attempt.notes


def test_the_exit_of_a_run_answers_its_last_call(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "mini-swe-agent")
    assert attempt.messages[-1] == AttemptMessage(role="user", content="diff", name="exit")
    assert len(attempt.messages) == 6


def test_a_policy_beside_the_messages_is_a_synthesised_system_prompt_and_the_user_is_played(tmp_path: Path) -> None:
    attempt = attempt_of(tmp_path, "tau2")
    assert attempt.messages[0] == AttemptMessage(role="system", content="Be brief.", synthesised=True)
    assert attempt.played_user
    assert attempt_of(tmp_path, "tau-bench").played_user


def test_a_user_with_tools_of_its_own_is_told_apart(tmp_path: Path) -> None:
    call = {"id": "u1", "name": "toggle", "arguments": {}, "requestor": "user"}
    run = {**samples.TAU2["simulations"][0]}
    run["messages"] = [
        {"role": "assistant", "content": "Toggle it."},
        {"role": "user", "content": None, "tool_calls": [call]},
        {"role": "tool", "id": "u1", "content": "on", "requestor": "user"},
    ]
    attempt = attempt_of(tmp_path, "tau2", {**samples.TAU2, "simulations": [run]})
    assert attempt.messages[2].tool_calls == (ToolCall("toggle", "{}", "u1"),)
    assert attempt.messages[3] == AttemptMessage(role="tool", content="on", tool_call_id="u1", of_user=True)


@pytest.mark.parametrize("reason", ["infrastructure_error", "user_error"])
def test_a_failure_that_is_not_the_agents_leaves_the_reward_unknown(tmp_path: Path, reason: str) -> None:
    run = {**samples.TAU2["simulations"][0], "termination_reason": reason}
    attempt = attempt_of(tmp_path, "tau2", {**samples.TAU2, "simulations": [run]})
    assert attempt.reward is None
    assert attempt.rewards["reward"] == 0.0
    failed = attempt_of(tmp_path, "tau-bench", [{**samples.TAU, "reward": 0.0, "info": {"error": "boom"}, "traj": []}])
    assert failed.reward is None
    assert attempt_of(tmp_path, "nemo-gym", [{**samples.NEMO, "mask_sample": True}]).reward is None


@pytest.mark.parametrize("told", ["NaN", "Infinity", "null", '"high"', "{}"])
def test_a_reward_that_is_no_number_is_unknown_and_not_zero(tmp_path: Path, told: str) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"messages": samples.CHAT, "reward": "@"}).replace('"@"', told), encoding="utf-8")
    (attempt,) = read(path)
    assert attempt.reward is None


def test_no_rewards_at_all_are_unknown_in_a_trace(tmp_path: Path) -> None:
    trace = samples.EPISODE["traces"][0]
    for rewards in ({}, {"opened": None}):
        attempt = attempt_of(tmp_path, "verifiers", [{**samples.EPISODE, "traces": [{**trace, "rewards": rewards}]}])
        assert attempt.reward is None


def test_a_real_tree_keeps_its_visits_values_and_order(tmp_path: Path) -> None:
    (tree,) = read(samples.write(tmp_path, "moatless"))
    assert isinstance(tree, ForeignTree)
    assert (tree.task, tree.model, tree.reward_range) == ("door-3", "m", (-100.0, 100.0))
    assert [(node.parent, node.visits, node.value, node.reward, node.terminal) for node in tree.nodes] == [
        (-1, 3, 100.0, None, False),
        (0, 2, 120.0, 60.0, False),
        (0, 1, -20.0, -20.0, True),
    ]
    said, result = tree.nodes[1].messages
    assert said.tool_calls == (ToolCall("Look", '{"at":"door"}'),)
    assert (said.content, result.content) == ("First look.", "It is shut.")
    flat = [
        {**{key: value for key, value in node.items() if key != "children"}, "parent_id": parent}
        for node, parent in ((samples.MOATLESS["root"], None), *((c, 0) for c in samples.MOATLESS["root"]["children"]))
    ]
    (again,) = read(samples.write(tmp_path, "moatless", {**samples.MOATLESS, "root": None, "nodes": flat}))
    assert again.nodes == tree.nodes


def test_nodes_in_a_circle_are_refused(tmp_path: Path) -> None:
    nodes = [{"node_id": 1, "parent_id": 2, "visits": 1}, {"node_id": 2, "parent_id": 1, "visits": 1}]
    with pytest.raises(InputError, match="2 nodes have no parent in the file, or are in a circle"):
        list(read_rollouts([samples.write(tmp_path, "moatless", nodes)]))


@pytest.mark.parametrize("first", [0, 7])
def test_a_conversation_folder_of_events_is_one_attempt(tmp_path: Path, first: int) -> None:
    folder = tmp_path / "conversations" / "abc"
    for index, event in enumerate(samples.SDK):
        samples.write(folder / "events", "openhands-sdk", event, f"event-{index + first:05d}-x{index}.json")
    (folder / "base_state.json").write_text('{"id": "abc", "agent": {"llm": {"model": "m"}}}', encoding="utf-8")
    (attempt,) = read(tmp_path)
    assert (attempt.id, attempt.model, len(attempt.messages)) == ("abc", "m", 5)
    assert attempt.source == str(folder)
    (named,) = read(folder / "events" / f"event-{first + 1:05d}-x1.json")
    assert named.messages == attempt.messages


def test_parallel_actions_of_one_answer_are_one_message(tmp_path: Path) -> None:
    action = samples.SDK[3]
    other = {**action, "id": "3b", "tool_call_id": "c2", "tool_call": {"id": "c2", "name": "look", "arguments": "{}"}}
    attempt = attempt_of(tmp_path, "openhands-sdk", [*samples.SDK[:4], other, *samples.SDK[4:]])
    assert [call.id for call in attempt.messages[2].tool_calls] == ["c1", "c2"]
    assert len(attempt.messages) == 5


def test_other_branches_of_a_trace_are_kept_where_they_left(tmp_path: Path) -> None:
    trace = samples.EPISODE["traces"][0]
    nodes = [
        *trace["nodes"],
        {"parent": 0, "message": {"role": "user", "content": "So far: shut. Go on."}, "sampled": False},
        {"parent": 5, "message": {"role": "assistant", "content": "Open."}, "sampled": True},
    ]
    attempt = attempt_of(tmp_path, "verifiers", [{**samples.EPISODE, "traces": [{**trace, "nodes": nodes}]}])
    assert [message.content for message in attempt.messages] == ["Be brief.", "So far: shut. Go on.", "Open."]
    assert [message.compacted for message in attempt.messages] == [False, True, False]
    (earlier,) = attempt.messages[1].sub
    assert [message.content for message in earlier.messages] == ["Open the door.", "", "It is shut.", "It is shut."]


def test_an_older_event_without_metadata_is_a_call_of_its_action(tmp_path: Path) -> None:
    history = [
        [{"action": "message", "content": "Open the door."}, {"observation": "null", "content": ""}],
        [
            {"action": "run", "command": "ls", "thought": "I look.", "is_confirmed": "confirmed"},
            {"observation": "run", "content": "a.py", "exit_code": 0},
        ],
    ]
    attempt = attempt_of(tmp_path, "openhands", [{"instance_id": "i", "history": history, "git_patch": ""}])
    assert attempt.messages == [
        OPEN,
        AttemptMessage(role="assistant", content="I look.", tool_calls=(ToolCall("run", '{"command":"ls"}'),)),
        AttemptMessage(role="tool", content="a.py", name="run"),
    ]


def test_a_report_beside_a_trajectory_gives_its_reward(tmp_path: Path) -> None:
    for instance, verdict in (("door-3", 1.0), ("door-4", 0.0)):
        path = samples.write(tmp_path / instance, "mini-swe-agent", {**samples.MINI, "instance_id": instance})
        (tmp_path / "report.json").write_text(
            '{"resolved_ids": ["door-3"], "unresolved_ids": ["door-4"]}', encoding="utf-8"
        )
        (attempt,) = read(path)
        assert (attempt.reward, attempt.rewards, attempt.reward_range) == (verdict, {"resolved": verdict}, (0.0, 1.0))


@pytest.mark.parametrize("packed", ["deflate", "zstandard"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_log_is_read_whatever_its_compression_and_before_its_end(tmp_path: Path, packed: str, finished: bool) -> None:
    path = samples.write_eval(tmp_path / "a.eval", samples.INSPECT, finished, zstd=packed == "zstandard")
    (attempt,) = read(path)
    assert attempt.messages[0].content == "Be brief."
    assert len(attempt.messages) == 5


def test_a_sample_in_pieces_is_read_like_a_whole_one(tmp_path: Path) -> None:
    import zipfile

    sample = samples.INSPECT["samples"][0]
    shell = {**{key: value for key, value in sample.items() if key not in ("messages", "attachments", "events")}}
    shell["message_refs"] = [[1, 3], [0, 1], [3, 4], 4]
    pool = [sample["messages"][index] for index in (2, 0, 1, 3, 4)]
    pool[1] = {"role": "system", "content": "attachment://1"}
    with zipfile.ZipFile(tmp_path / "b.eval", "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": samples.INSPECT["eval"], "status": "success"}))
        prefix = "samples/door-3_epoch_2"
        archive.writestr(f"{prefix}/sample.json", json.dumps(shell))
        archive.writestr(f"{prefix}/messages/0.json", json.dumps(pool[:3]))
        archive.writestr(f"{prefix}/messages/3.json", json.dumps(pool[3:]))
        archive.writestr(f"{prefix}/attachments/0.json", json.dumps(["x", "Be brief."]))
    (attempt,) = read(tmp_path / "b.eval")
    (whole,) = read(samples.write_eval(tmp_path / "a.eval", samples.INSPECT))
    assert attempt.messages == whole.messages


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_files_are_read_like_plain_ones(tmp_path: Path, packed: str) -> None:
    import gzip

    plain = samples.write(tmp_path, "chat")
    data = plain.read_bytes()
    there = tmp_path / f"chat.jsonl{packed}"
    there.write_bytes(gzip.compress(data) if packed == ".gz" else zstandard.ZstdCompressor().compress(data))
    (one,), (other,) = read(plain), read(there)
    assert one.messages == other.messages


def test_fields_are_found_where_map_says(tmp_path: Path) -> None:
    row = {"convo": samples.CHAT, "scores": {"main": 0.25, "style": 1}, "meta": {"problem": "p7"}, "who": ["", "bob"]}
    path = samples.write(tmp_path, "chat", [row])
    mapping = mapping_of(
        ["messages=convo", "reward=scores.main", "rewards.style=scores.style", "task=meta.problem", "agent=who.1"]
    )
    (attempt,) = read(path, read_as="chat", mapping=mapping)
    assert (attempt.task, attempt.reward, attempt.agent) == ("p7", 0.25, "bob")
    assert attempt.rewards == {"reward": 0.25, "main": 0.25, "style": 1.0}
    with pytest.raises(InputError, match=r"--map rewrd=…: a field is one of messages, task, reward"):
        list(read_rollouts([path], "chat", {"rewrd": "x"}))
    with pytest.raises(InputError, match="write field=path"):
        mapping_of(["reward"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"conversations": [{"from": "human", "value": "Open the door."}, {"from": "gpt", "value": "It is shut."}]}, 1),
        ({"prompt": "Open the door.", "completion": "It is shut.", "score": 0.5}, 1),
        ({"prompt": [{"role": "user", "content": "Open the door."}], "responses": ["It is shut.", "Done."]}, 2),
        ({"prompt": "Open the door.", "chosen": "It is shut.", "rejected": "No."}, 2),
        ({"messages_and_choices": [samples.CHAT[1], {"finish_reason": "stop", "message": samples.CHAT[4]}]}, 1),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Open the door."}]}, samples.CHAT[4]]}, 1),
    ],
)
def test_rows_of_chat_in_their_usual_dresses(tmp_path: Path, row: dict[str, Any], said: int) -> None:
    attempts = read(samples.write(tmp_path, "chat", [row]))
    assert len(attempts) == said
    assert attempts[0].messages == [OPEN, SHUT]
    assert len({attempt.task for attempt in attempts}) == 1


def test_parts_of_anthropic_are_calls_and_results(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "user", "content": "Open the door."},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "First look."},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "door"}},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "It is shut."}]},
        ]
    }
    (attempt,) = read(samples.write(tmp_path, "chat", [row]))
    assert attempt.messages[1:] == [
        AttemptMessage(
            role="assistant",
            content="I look.",
            tool_calls=(ToolCall("look", '{"at":"door"}', "c1"),),
            reasoning="First look.",
        ),
        AttemptMessage(role="tool", content="It is shut.", tool_call_id="c1"),
    ]


def test_an_image_is_a_placeholder_that_is_equal_for_equal_bytes(tmp_path: Path) -> None:
    def picture(data: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": data}}

    urls = ["data:image/png;base64,aGk=", "data:image/png;base64,aGk=", "data:image/png;base64,aGo=", "https://a/b.png"]
    row = {"messages": [{"role": "user", "content": [picture(url) for url in urls]}, samples.CHAT[4]]}
    (attempt,) = read(samples.write(tmp_path, "chat", [row]))
    lines = attempt.messages[0].content.splitlines()
    assert lines[0] == "[image: sha256:8f434346648f6b96 image/png]"
    assert (lines[0] == lines[1], lines[1] == lines[2], lines[3]) == (True, False, "[image: https://a/b.png]")


def test_several_objects_one_after_the_other_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "webshop_6.json"
    row = {"item_id": "webshop_6", "conversations": samples.CHAT[1:2] + samples.CHAT[4:], "reward": 0.5, "success": 0}
    path.write_text(json.dumps(row, indent=1) + json.dumps({**row, "reward": 1.0, "success": 1}), encoding="utf-8")
    assert [(attempt.reward, attempt.rewards["success"]) for attempt in read(path)] == [(0.5, 0.0), (1.0, 1.0)]
