"""Made-up attempts in each format: a small writer a format, after its documentation, for tests of readers.

`FORMATS` tells, by name, the file of one attempt, what the format can hold of it, and how it is written there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.imports.attempt import AttemptMessage
from tests.engine.imports import samples

Messages = Sequence[AttemptMessage]
Row = dict[str, Any]


class Format(NamedTuple):
    """How one attempt is written."""

    file: str  # its name; a row of JSONL is the only one
    write: Callable[[Messages], Any]
    held: Callable[[Messages], list[AttemptMessage]] = list  # what of the messages the format can hold


def words_alone(messages: Messages) -> list[AttemptMessage]:
    """Of a format without calls: what answers is a user's."""
    return [
        AttemptMessage(role="user" if message.role == "tool" else message.role, content=message.content)
        for message in messages
        if not (message.role == "tool" and message.tool_call_id.endswith("1"))  # the second answer in a row
    ]


def _two_texts(messages: Messages) -> list[AttemptMessage]:
    return words_alone(messages)[1:3]


def openai(message: AttemptMessage) -> Row:
    """A chat message."""
    row: Row = {"role": message.role, "content": message.content}
    if message.reasoning:
        row["reasoning_content"] = message.reasoning
    if message.tool_calls:
        row["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        row["tool_call_id"] = message.tool_call_id
    return row


def chat(messages: Messages) -> list[Row]:
    """Chat messages."""
    return [openai(message) for message in messages]


def flat(message: AttemptMessage, as_text: bool = True) -> Row:
    """A chat message whose calls are flat; their arguments as text or as objects."""
    row = openai(message)
    if message.tool_calls:
        row["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments if as_text else json.loads(call.arguments)}
            for call in message.tool_calls
        ]
    return row


def anthropic(message: AttemptMessage) -> Row:
    """A message in Anthropic's parts."""
    if message.role == "tool":
        part = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}
        return {"role": "user", "content": [part]}
    if message.role != "assistant":
        return {"role": message.role, "content": message.content}
    thought = [{"type": "thinking", "thinking": message.reasoning}] if message.reasoning else []
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": [*thought, {"type": "text", "text": message.content}, *calls]}


def _atif(messages: Messages) -> Row:
    steps: list[Row] = []
    for message in messages:
        if message.role == "tool":
            results = steps[-1].setdefault("observation", {"results": []})["results"]
            results.append({"source_call_id": message.tool_call_id, "content": message.content})
            continue
        source = {"assistant": "agent"}.get(message.role, message.role)
        step: Row = {"step_id": len(steps) + 1, "source": source, "message": message.content}
        if message.reasoning:
            step["reasoning_content"] = message.reasoning
        if message.tool_calls:
            step["tool_calls"] = [
                {"tool_call_id": call.id, "function_name": call.name, "arguments": json.loads(call.arguments)}
                for call in message.tool_calls
            ]
        steps.append(step)
    return {"schema_version": "ATIF-v1.5", "session_id": "s", "agent": {"name": "a", "version": "1"}, "steps": steps}


def _traces(messages: Messages) -> Row:
    nodes = [
        {"parent": place - 1 if place else None, "message": flat(message), "sampled": message.role == "assistant"}
        for place, message in enumerate(messages)
    ]
    trace = {**samples.EPISODE["traces"][0], "nodes": nodes}
    return {**samples.EPISODE, "traces": [trace]}


def _results(messages: Messages) -> Row:
    told = [
        {**row, "tool_calls": [json.dumps(call) for call in row["tool_calls"]]} if "tool_calls" in row else row
        for row in map(flat, messages)
    ]
    return {**samples.RESULT, "prompt": told[:2], "completion": told[2:]}


def _inspect(messages: Messages) -> Row:
    told = []
    for message in messages:
        row = flat(message, as_text=False)
        if thought := row.pop("reasoning_content", ""):
            row["content"] = [{"type": "reasoning", "reasoning": thought}, {"type": "text", "text": message.content}]
        for call in row.get("tool_calls", []):
            call["function"] = call.pop("name")
        told.append(row)
    return {**samples.INSPECT, "samples": [{**samples.INSPECT["samples"][0], "messages": told, "attachments": {}}]}


def _nemo_gym(messages: Messages) -> Row:
    output: list[Row] = []
    for message in messages[2:]:
        if message.role == "tool":
            output.append({"type": "function_call_output", "call_id": message.tool_call_id, "output": message.content})
            continue
        if message.reasoning:
            summary = [{"type": "summary_text", "text": message.reasoning}]
            output.append({"type": "reasoning", "summary": summary})
        part = {"type": "output_text" if message.role == "assistant" else "input_text", "text": message.content}
        output.append({"type": "message", "role": message.role, "content": [part]})
        output += [
            {"type": "function_call", "name": call.name, "arguments": call.arguments, "call_id": call.id}
            for call in message.tool_calls
        ]
    asked = {"input": chat(messages[:2])}
    return {**samples.NEMO, "responses_create_params": asked, "response": {"output": output}}


def _tau2(messages: Messages) -> Row:
    told = []
    for message in messages[1:]:
        row = flat(message, as_text=False)
        if message.role == "tool":
            row = {"role": "tool", "id": message.tool_call_id, "content": message.content, "requestor": "assistant"}
        told.append(row)
    simulation = {**samples.TAU2["simulations"][0], "messages": told}
    environment = {**samples.TAU2["info"]["environment_info"], "policy": messages[0].content}
    info = {**samples.TAU2["info"], "environment_info": environment}
    return {**samples.TAU2, "info": info, "simulations": [simulation]}


def _swe_agent(messages: Messages) -> Row:
    history = []
    for message in messages:
        row = {**openai(message), "agent": "main", "message_type": "observation"}
        if message.role == "tool":
            row["tool_call_ids"] = [row.pop("tool_call_id")]
            row["content"] = [{"type": "text", "text": message.content}]
        history.append(row)
    return {**samples.SWE, "history": history}


def _openhands(messages: Messages) -> Row:
    history: list[Row] = []
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        id = len(history)
        if message.role == "system":
            history.append({"id": id, "source": "agent", "action": "system", "args": {"content": message.content}})
        elif message.role == "tool":
            meta: Row = {"tool_call_id": message.tool_call_id, "function_name": names[message.tool_call_id]}
            seen = {"id": id, "source": "agent", "observation": "run", "content": message.content}
            history.append({**seen, "tool_call_metadata": meta})
        elif message.tool_calls:
            answer = {"id": f"r{id}", "model": "m", "choices": [{"message": openai(message)}]}
            for call in message.tool_calls:
                meta = {"tool_call_id": call.id, "function_name": call.name, "model_response": answer}
                done = {"id": len(history), "source": "agent", "action": "run", "args": {"command": call.arguments}}
                history.append({**done, "tool_call_metadata": meta})
        else:
            source = "agent" if message.role == "assistant" else "user"
            args = {"content": message.content, "reasoning_content": message.reasoning}
            history.append({"id": id, "source": source, "action": "message", "args": args})
    return {**samples.OPENHANDS, "history": history}


def _openhands_sdk(messages: Messages) -> list[Row]:
    events: list[Row] = []
    for message in messages:
        said: Row
        if message.role == "system":
            said = {"kind": "SystemPromptEvent", "source": "agent", "system_prompt": {"text": message.content}}
        elif message.role == "tool":
            seen = {"content": [{"type": "text", "text": message.content}], "is_error": False}
            said = {"kind": "ObservationEvent", "source": "environment", "tool_call_id": message.tool_call_id}
            said["observation"] = seen
        elif message.tool_calls:
            for place, call in enumerate(message.tool_calls):
                called = {"id": call.id, "name": call.name, "arguments": call.arguments}
                event: Row = {"kind": "ActionEvent", "source": "agent", "tool_call": called, "thought": []}
                event |= {"id": f"{len(events)}", "llm_response_id": f"r{message.tool_calls[0].id}"}
                if not place:  # the first tells what was said and thought
                    event["thought"] = [{"type": "text", "text": message.content}]
                    event["reasoning_content"] = message.reasoning
                events.append(event)
            continue
        else:
            source = "agent" if message.role == "assistant" else "user"
            said = {"kind": "MessageEvent", "source": source, "llm_message": openai(message)}
        events.append({"id": f"{len(events)}", **said})
    return events


def _atropos(messages: Messages) -> Row:
    names = {"user": "environment", "assistant": "agent"}
    told = [{"role": names.get(one.role, one.role), "content": one.content} for one in words_alone(messages)]
    return {"tokens": [[1]], "masks": [[1]], "scores": [1.0], "messages": [told]}


def _rllm(messages: Messages) -> Row:
    steps = [
        {"chat_completions": chat(messages[: place + 1])}
        for place, message in enumerate(messages)
        if message.role == "assistant"
    ]
    return {**samples.RLLM, "trajectories": [{"name": "solver", "reward": 1.0, "steps": steps}]}


def _said_by(messages: Messages) -> list[Row]:
    names = {"user": "human", "assistant": "gpt"}
    return [{"from": names.get(one.role, one.role), "value": one.content} for one in words_alone(messages)]


def _without_system(messages: Messages) -> list[AttemptMessage]:
    return words_alone(messages)[1:]


def _row(**told: Any) -> Row:
    return {"task_id": "door-3", "reward": 1, **told}


FORMATS: dict[str, Format] = {
    "atif": Format("trajectory.json", _atif),
    "verifiers": Format("traces.jsonl", _traces),
    "verifiers-results": Format("results.jsonl", _results),
    "inspect": Format("log.json", _inspect),
    "inspect .eval": Format("log.eval", _inspect),
    "nemo-gym": Format("rollouts.jsonl", _nemo_gym),
    "tau-bench": Format("tau.json", lambda messages: [{**samples.TAU, "traj": chat(messages)}]),
    "tau2": Format("tau2.json", _tau2),
    "swe-agent": Format("door-3.traj", _swe_agent),
    "mini-swe-agent": Format("door-3.traj.json", lambda messages: {**samples.MINI, "messages": chat(messages)}),
    "mini-swe-agent v1": Format("door-3.traj.json", chat),
    "openhands": Format("output.jsonl", _openhands),
    "openhands-sdk": Format("events.jsonl", _openhands_sdk),
    "atropos": Format("groups.jsonl", _atropos, words_alone),
    "rllm": Format("episodes.jsonl", _rllm),
    "agentgym": Format(
        "train.json", lambda told: [{"item_id": "webshop_6", "conversations": _said_by(told)[1:]}], _without_system
    ),
    "verl": Format(
        "7.jsonl",
        lambda messages: {**samples.VERL, "input": messages[1].content, "output": messages[2].content},
        _two_texts,
    ),
    "chat": Format("chat.jsonl", lambda messages: _row(messages=chat(messages))),
    "chat, Anthropic's parts": Format("chat.jsonl", lambda told: _row(messages=[anthropic(one) for one in told])),
    "chat, from and value": Format("chat.jsonl", lambda told: _row(conversations=_said_by(told)), words_alone),
    "chat, prompt": Format("chat.jsonl", lambda told: _row(prompt=chat(told[:2]), completion=chat(told[2:]))),
    "chat, a system beside": Format("chat.jsonl", lambda told: _row(system=told[0].content, messages=chat(told[1:]))),
    "chat, a bare list": Format("chat.json", chat),
}


def write(folder: Path, format: str, messages: Messages) -> Path:
    """Write the file of one attempt."""
    held = FORMATS[format]
    folder.mkdir(parents=True, exist_ok=True)
    path, content = folder / held.file, held.write(messages)
    if path.suffix == ".eval":
        return samples.write_eval(path, content)
    rows = content if isinstance(content, list) and path.suffix == ".jsonl" else [content]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
