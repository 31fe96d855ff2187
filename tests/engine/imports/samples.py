"""A small file of each format, made by hand after its documentation, with the answers that a reader must give."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import zstandard

CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "door"}'}}
CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Open the door."},
    {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "First look."},
    {"role": "tool", "tool_call_id": "c1", "content": "It is shut."},
    {"role": "assistant", "content": "It is shut."},
]
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
FLAT_TOOL: dict[str, Any] = {"type": "function", "name": "look", "parameters": {"type": "object"}}

ATIF: dict[str, Any] = {
    "schema_version": "ATIF-v1.6",
    "session_id": "s",
    "agent": {"name": "claude-code", "version": "2", "model_name": "m", "tool_definitions": [TOOL]},
    "steps": [
        {"step_id": 1, "source": "system", "message": "Be brief."},
        {"step_id": 2, "source": "user", "message": "Open the door."},
        {
            "step_id": 3,
            "source": "agent",
            "message": "",
            "reasoning_content": "First look.",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "look", "arguments": {"at": "door"}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "It is shut."}]},
        },
        {"step_id": 4, "source": "agent", "message": "It is shut."},
    ],
}
EPISODE: dict[str, Any] = {
    "id": "e",
    "env": {"id": "doors"},
    "task": {"type": "T", "data": {"idx": 3}, "key": "door-3", "hash": "h"},
    "ok": True,
    "traces": [
        {
            "version": 1,
            "id": "t",
            "task": {"key": "door-3", "data": {"prompt": "Open the door."}},
            "agent": {"name": "agent"},
            "tools": [FLAT_TOOL],
            "nodes": [
                {"message": CHAT[0], "sampled": False},
                {"parent": 0, "message": CHAT[1], "sampled": False},
                {
                    "parent": 1,
                    "sampled": True,
                    "message": {
                        "role": "assistant",
                        "content": "",
                        "reasoning_content": "First look.",
                        "tool_calls": [{"id": "c1", "name": "look", "arguments": '{"at": "door"}'}],
                    },
                },
                {"parent": 2, "message": CHAT[3], "sampled": False},
                {"parent": 3, "message": CHAT[4], "sampled": True},
            ],
            "calls": [{"node": 2, "model": "m"}],
            "rewards": {"opened": {"score": 1.0, "weight": 0.5}, "style": {"score": 0.5, "weight": 0.5}, "x": None},
            "stop_condition": "max_turns",
            "errors": [],
        }
    ],
}
RESULT: dict[str, Any] = {
    "example_id": 3,
    "prompt": CHAT[:2],
    "completion": [
        {**CHAT[2], "tool_calls": [json.dumps({"id": "c1", "name": "look", "arguments": '{"at": "door"}'})]},
        *CHAT[3:],
    ],
    "reward": 0.75,
    "is_completed": True,
    "is_truncated": True,
    "metrics": {"opened": 1.0},
    "tool_defs": [TOOL],
}
INSPECT: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {"task": "doors", "model": "m", "dataset": {"name": "houses"}},
    "samples": [
        {
            "id": "door-3",
            "epoch": 2,
            "input": "Open the door.",
            "messages": [
                {"role": "system", "content": "attachment://aa"},
                CHAT[1],
                {
                    "role": "assistant",
                    "content": [{"type": "reasoning", "reasoning": "First look."}, {"type": "text", "text": ""}],
                    "tool_calls": [{"id": "c1", "function": "look", "arguments": {"at": "door"}, "type": "function"}],
                },
                {"role": "tool", "tool_call_id": "c1", "function": "look", "content": "It is shut."},
                CHAT[4],
            ],
            "scores": {"judge": {"value": "P"}, "length": {"value": 12}},
            "attachments": {"aa": "Be brief."},
            "events": [{"event": "model", "tools": [FLAT_TOOL]}],
            "limit": {"type": "message", "limit": 5},
        }
    ],
}
NEMO: dict[str, Any] = {
    "responses_create_params": {"input": CHAT[:2], "tools": [FLAT_TOOL]},
    "response": {
        "model": "m",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "First look."}]},
            {"type": "function_call", "name": "look", "arguments": '{"at": "door"}', "call_id": "c1", "id": "f1"},
            {"type": "function_call_output", "call_id": "c1", "output": "It is shut."},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is shut."}]},
        ],
    },
    "reward": -1.5,
    "_ng_task_index": 3,
    "_ng_rollout_index": 1,
    "agent_ref": {"name": "simple"},
}
TAU: dict[str, Any] = {
    "task_id": 3,
    "trial": 1,
    "reward": 1.0,
    "info": {"task": {"instruction": "You want the door open.", "actions": []}},
    "traj": CHAT,
}
TAU2: dict[str, Any] = {
    "timestamp": "2026",
    "info": {
        "agent_info": {"llm": "m", "implementation": "llm_agent"},
        "environment_info": {"domain_name": "retail", "policy": "Be brief.", "tool_defs": [TOOL]},
    },
    "tasks": [{"id": "3", "user_scenario": {"instructions": {"reason_for_call": "You want the door open."}}}],
    "simulations": [
        {
            "id": "s",
            "task_id": "3",
            "trial": 1,
            "termination_reason": "max_steps",
            "reward_info": {"reward": 0.0, "reward_breakdown": {"DB": 0.0}},
            "messages": [
                CHAT[1],
                {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "First look.",
                    "tool_calls": [{"id": "c1", "name": "look", "arguments": {"at": "door"}, "requestor": "assistant"}],
                },
                {"role": "tool", "id": "c1", "content": "It is shut.", "requestor": "assistant", "error": False},
                CHAT[4],
            ],
        }
    ],
}
SWE: dict[str, Any] = {
    "environment": "main",
    "trajectory": [{"action": "look", "observation": "It is shut.", "response": "", "thought": ""}],
    "history": [
        {"role": "system", "content": "Be brief.", "message_type": "system_prompt", "agent": "main"},
        {"role": "user", "content": "Open the door.", "message_type": "observation", "agent": "main"},
        {**CHAT[2], "message_type": "action", "agent": "main", "action": "look", "thought": ""},
        {
            "role": "tool",
            "content": [{"type": "text", "text": "It is shut."}],
            "tool_call_ids": ["c1"],
            "agent": "main",
        },
        {**CHAT[4], "message_type": "action", "agent": "main"},
    ],
    "info": {"exit_status": "exit_cost", "submission": "diff", "model_stats": {}},
    "replay_config": json.dumps(
        {"problem_statement": {"id": "door-3", "text": "Open the door."}, "agent": {"model": {"name": "m"}}}
    ),
}
MINI: dict[str, Any] = {
    "info": {"exit_status": "LimitsExceeded", "submission": "", "config": {"model": {"model_name": "m"}}},
    "messages": [*CHAT, {"role": "exit", "content": "diff"}],
    "trajectory_format": "mini-swe-agent-1.1",
    "instance_id": "door-3",
}
_ANSWER: dict[str, Any] = {"id": "r1", "model": "m", "choices": [{"message": {**CHAT[2], "content": ""}}]}
_META: dict[str, Any] = {
    "tool_call_id": "c1",
    "function_name": "look",
    "model_response": _ANSWER,
    "total_calls_in_response": 1,
}
OPENHANDS: dict[str, Any] = {
    "instance_id": "door-3",
    "test_result": {"git_patch": "diff", "report": {"resolved": True}},
    "metadata": {"agent_class": "CodeActAgent", "llm_config": {"model": "m"}},
    "history": [
        {"id": 0, "source": "agent", "action": "system", "args": {"content": "Be brief."}},
        {"id": 1, "source": "user", "action": "message", "args": {"content": "Open the door."}},
        {"id": 2, "source": "agent", "action": "run", "args": {"command": "look"}, "tool_call_metadata": _META},
        {
            "id": 3,
            "source": "agent",
            "observation": "run",
            "content": "It is shut.",
            "cause": 2,
            "tool_call_metadata": _META,
        },
        {"id": 4, "source": "environment", "observation": "agent_state_changed", "content": ""},
        {"id": 5, "source": "agent", "action": "message", "args": {"content": "It is shut."}},
    ],
}
SDK: list[dict[str, Any]] = [
    {
        "kind": "SystemPromptEvent",
        "id": "0",
        "source": "agent",
        "system_prompt": {"text": "Be brief."},
        "tools": [FLAT_TOOL],
    },
    {"kind": "MessageEvent", "id": "1", "source": "user", "llm_message": {"role": "user", "content": "Open the door."}},
    {"kind": "ConversationStateUpdateEvent", "id": "2", "source": "environment", "key": "x", "value": 1},
    {
        "kind": "ActionEvent",
        "id": "3",
        "source": "agent",
        "thought": [],
        "reasoning_content": "First look.",
        "tool_name": "look",
        "tool_call_id": "c1",
        "tool_call": {"id": "c1", "name": "look", "arguments": '{"at": "door"}'},
        "llm_response_id": "r1",
    },
    {
        "kind": "ObservationEvent",
        "id": "4",
        "source": "environment",
        "tool_name": "look",
        "tool_call_id": "c1",
        "observation": {"content": [{"type": "text", "text": "It is shut."}], "is_error": False},
    },
    {"kind": "MessageEvent", "id": "5", "source": "agent", "llm_message": CHAT[4]},
]
ATROPOS: dict[str, Any] = {
    "tokens": [[1], [2]],
    "masks": [[-100], [2]],
    "scores": [0.25, -1.0],
    "messages": [
        [{"role": "system", "content": "Be brief."}, {"role": "environment", "content": "Open the door."},
         {"role": "agent", "content": "It is shut."}],
        [{"role": "system", "content": "Be brief."}, {"role": "environment", "content": "Open the door."},
         {"role": "agent", "content": "Done."}],
    ],
}  # fmt: skip
RLLM: dict[str, Any] = {
    "id": "door-3:1",
    "task": {"question": "Open the door."},
    "is_correct": True,
    "trajectories": [
        {"name": "solver", "reward": 1.0, "steps": [{"chat_completions": CHAT[:3]}, {"chat_completions": CHAT}]}
    ],
}
AGENTGYM: dict[str, Any] = {
    "item_id": "webshop_6",
    "conversations": [
        {"from": "human", "loss": None, "value": "You are in a shop."},
        {"from": "gpt", "loss": False, "value": "Ok."},
        {"from": "human", "loss": None, "value": "Buy a door."},
        {"from": "gpt", "loss": True, "value": "Action:\nsearch[door]"},
    ],
}
VERL: dict[str, Any] = {"input": "user\nOpen the door.", "output": "It is shut.", "gts": "x", "score": 0.5, "step": 7}
MOATLESS: dict[str, Any] = {
    "max_iterations": 20,
    "selector": {"type": "best_first"},
    "agent": {"system_prompt": "Be brief.", "completion": {"model": "m"}},
    "metadata": {"instance_id": "door-3"},
    "root": {
        "node_id": 0,
        "visits": 3,
        "value": 100.0,
        "user_message": "Open the door.",
        "children": [
            {
                "node_id": 1,
                "visits": 2,
                "value": 120.0,
                "reward": {"value": 60, "explanation": "fine"},
                "action_steps": [
                    {
                        "action": {"thoughts": "First look.", "at": "door", "action_args_class": "m.actions.LookArgs"},
                        "observation": {"message": "It is shut."},
                    }
                ],
                "children": [],
            },
            {"node_id": 2, "visits": 1, "value": -20.0, "reward": {"value": -20}, "terminal": True, "children": []},
        ],
    },
}

FILES: dict[str, tuple[str, Any]] = {
    "atif": ("trajectory.json", ATIF),
    "verifiers": ("traces.jsonl", [EPISODE]),
    "verifiers-results": ("results.jsonl", [RESULT]),
    "inspect": ("log.json", INSPECT),
    "nemo-gym": ("rollouts.jsonl", [NEMO]),
    "tau-bench": ("tau.json", [TAU]),
    "tau2": ("tau2.json", TAU2),
    "swe-agent": ("door-3.traj", SWE),
    "mini-swe-agent": ("door-3.traj.json", MINI),
    "openhands": ("output.jsonl", [OPENHANDS]),
    "openhands-sdk": ("events.jsonl", SDK),
    "atropos": ("groups.jsonl", [ATROPOS]),
    "rllm": ("episodes.jsonl", [RLLM]),
    "agentgym": ("train.json", [AGENTGYM]),
    "verl": ("7.jsonl", [VERL]),
    "moatless": ("trajectory.json", MOATLESS),
    "chat": ("chat.jsonl", [{"task_id": "door-3", "messages": CHAT, "reward": 1, "tools": [TOOL], "model": "m"}]),
}
"""The name and the content of a file of each format."""


def write(folder: Path, format: str, content: Any = None, name: str = "") -> Path:
    """Write a file of a format (the sample's content, where none is given)."""
    usual, sample = FILES[format]
    path = folder / (name or usual)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = sample if content is None else content
    if path.name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    else:
        path.write_text(json.dumps(told), encoding="utf-8")
    return path


def write_eval(path: Path, log: dict[str, Any], finished: bool = True, zstd: bool = False) -> Path:
    """A log of inspect as a zip, deflated or (method 93) zstandard."""
    entries = {"_journal/start.json": {"eval": log["eval"]}}
    entries |= {f"samples/{sample['id']}_epoch_{sample['epoch']}.json": sample for sample in log["samples"]}
    if finished:
        entries["header.json"] = {key: value for key, value in log.items() if key != "samples"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if zstd else zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            data = json.dumps(content).encode()
            archive.writestr(name, zstandard.ZstdCompressor().compress(data) if zstd else data)
    if zstd:  # zipfile does not write that method: put its number into the local and the central headers
        packed = bytearray(path.read_bytes())
        for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            at = packed.find(signature)
            while at != -1:
                packed[at + method : at + method + 2] = (93).to_bytes(2, "little")
                at = packed.find(signature, at + 4)
        path.write_bytes(bytes(packed))
    return path
