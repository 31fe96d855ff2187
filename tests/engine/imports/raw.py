"""What foreign files hold, read from the raw JSON by a way of its own: no line of `engine.imports` is used.

`told(path)` gives each attempt as its group, the texts of its messages in order, how many answers of the model
it has, and its reward. Texts are the file's strings; parts are joined with newlines.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One attempt, by the raw file."""

    group: str
    texts: list[str]
    answers: int
    reward: float | None


def load(path: Path) -> Any:
    """A document, or the list of the lines of JSONL."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    name = path.name.removesuffix(".gz")
    return (
        [json.loads(line) for line in data.splitlines() if line.strip()] if name.endswith("jsonl") else json.loads(data)
    )


def said(content: Any) -> str:
    """The text of a content: a string, or the texts of its parts."""
    if isinstance(content, list):
        return "\n".join(part if isinstance(part, str) else part["text"] for part in content if "reasoning" not in part)
    return content or ""


def chat(messages: list[dict[str, Any]], roles: tuple[str, ...] = ("assistant",)) -> tuple[list[str], int]:
    """Texts and answers of chat messages."""
    return [said(one.get("content")) for one in messages], sum(one["role"] in roles for one in messages)


def atif(path: Path) -> Iterator[Told]:
    document = load(path)
    texts, answers = [], 0
    follow = document.get("continued_trajectory_ref")
    parts = [document]
    if follow:
        parts.append(json.loads((path.parent / (path.name.removesuffix("trajectory.json") + follow)).read_bytes()))
    for index, part in enumerate(parts):
        for step in part["steps"]:
            if index and step.get("is_copied_context"):
                continue
            texts.append(step["message"])
            answers += step["source"] == "agent"
            texts += [one["content"] for one in step.get("observation", {}).get("results", []) if "content" in one]
    yield Told("one", texts, answers, None)


def verifiers(path: Path) -> Iterator[Told]:
    for episode in load(path):
        for trace in episode["traces"]:
            nodes, at, way = trace["nodes"], len(trace["nodes"]) - 1, []
            while at is not None:
                way.append(nodes[at])
                at = nodes[at].get("parent")
            texts = [said(node["message"]["content"]) for node in reversed(way)]
            scores = [row["score"] * row["weight"] for row in trace["rewards"].values() if row]
            yield Told(episode["task"]["key"], texts, sum(n["sampled"] for n in way), sum(scores) if scores else None)


def results(path: Path) -> Iterator[Told]:
    for row in load(path):
        texts, answers = chat(row["prompt"] + row["completion"])
        yield Told(str(row["example_id"]), texts, answers, row["reward"])


def inspect(path: Path) -> Iterator[Told]:
    if path.suffix == ".eval":
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type == 93 for entry in archive.infolist()):  # read through its twin
                yield from inspect(path.with_name(path.name.replace("_zstd.eval", ".json")))
                return
            samples = [json.loads(archive.read(name)) for name in archive.namelist() if name.startswith("samples/")]
    else:
        samples = load(path)["samples"]
    for sample in samples:
        scores = [
            {"C": 1.0, "I": 0.0}.get(score["value"], score["value"]) for score in sample.get("scores", {}).values()
        ]
        kept = sample.get("attachments") or sample.get("transcript", {}).get("content", {})
        texts: list[Any] = []
        for message in sample["messages"]:
            content = message["content"]
            if isinstance(content, list) and any(part["type"] == "image" for part in content):
                texts.append(None)  # an image's name is ours
            else:
                texts.append(kept.get(said(content).partition("://")[2], said(content)))
        answers = sum(message["role"] == "assistant" for message in sample["messages"])
        yield Told(str(sample["id"]), texts, answers, scores[0] if scores else None)


def tau(path: Path) -> Iterator[Told]:
    for row in load(path):
        yield Told(str(row["task_id"]), *chat(row["traj"]), row["reward"])


def tau2(path: Path) -> Iterator[Told]:
    run = load(path)["simulation_run"]
    yield Told(run["task_id"], *chat(run["messages"]), run["reward_info"]["reward"])


def nemo(path: Path) -> Iterator[Told]:
    for row in load(path):
        output = row["response"]["output"]
        if isinstance(output[0], list):
            output = output[-1]
        texts: list[str] = []
        answers, open_turn = 0, False
        for item in row["responses_create_params"]["input"] + output:
            theirs = item["type"] == "function_call_output" or item.get("role") in ("user", "system")
            if theirs:
                texts.append(said(item["output"] if "output" in item else item["content"]))
                open_turn = False
                continue
            if not open_turn:
                texts.append("")
                answers += 1
            if item["type"] == "message":
                texts[-1] = f"{texts[-1]}\n{said(item['content'])}" if texts[-1] else said(item["content"])
            open_turn = True
        group = json.dumps(row.get("_ng_task_index", row.get("task_idx", row["responses_create_params"]["input"])))
        yield Told(group, texts, answers, row["reward"])


def swe_agent(path: Path) -> Iterator[Told]:
    document = load(path)
    texts, answers = chat(document["history"])
    if path.name != "bugfix.traj":  # made by hand: its steps and its history differ
        assert answers == len(document["trajectory"])
    yield Told("one", texts, answers, None)


def mini(path: Path) -> Iterator[Told]:
    document = load(path)
    yield Told("one", *chat(document if isinstance(document, list) else document["messages"]), None)


def openhands(path: Path) -> Iterator[Told]:
    document = load(path)
    for row in (
        document if path.suffix == ".jsonl" else [{"history": document, "success": None, "issue": {"number": 0}}]
    ):
        texts = []
        for event in row["history"]:
            held = event.get("args", event)
            if event.get("action") == "message":
                texts.append(held["content"])
            elif "action" in event and "tool_call_metadata" in event:
                texts.append(said(event["tool_call_metadata"]["model_response"]["choices"][0]["message"]["content"]))
            elif "action" in event:
                texts.append(held.get("thought", ""))
            else:
                texts.append(event["content"])
        answers = sum("action" in event and event["action"] != "message" for event in row["history"])
        reward = None if row["success"] is None else float(row["success"])
        yield Told(str(row["issue"]["number"]), texts, answers, reward)


def sdk(path: Path) -> Iterator[Told]:
    if path.suffix == ".json":
        yield Told("one", *chat(load(path)), None)
        return
    events = [row for row in load(path) if row["kind"] in ("ActionEvent", "ObservationEvent")]
    texts = [said(row["thought"] if row["kind"] == "ActionEvent" else row["observation"]["content"]) for row in events]
    actions = [row for row in events if row["kind"] == "ActionEvent"]
    assert len({row["llm_response_id"] for row in actions}) == len(actions)
    yield Told("one", texts, len(actions), None)


def rllm(path: Path) -> Iterator[Told]:
    document = load(path)
    messages = document["steps"][-1]["chat_completions"]
    called = [step for step in document["steps"] if step["step_type"] == "tool_call"]
    texts = [said(message["content"]) for message in messages]
    for step in called:
        texts[-1:-1] = ["", step["tool_result"]]
    yield Told("one", texts, 1 + len(called), document["reward"])


def atropos(path: Path) -> Iterator[Told]:
    for line, group in enumerate(load(path)):
        for messages, score in zip(group["messages"], group["scores"], strict=True):
            yield Told(str(line), *chat(messages, ("agent",)), score)


def episodes(path: Path) -> Iterator[Told]:
    for episode in load(path)["episodes"]:
        steps = episode["transitions"]
        texts = [text for step in steps for text in (step["action"], step["observation"])]
        yield Told(str(episode["data_idx"]), texts, len(steps), episode["total_reward"])


ATTEMPTS: dict[str, Callable[[Path], Iterator[Told]]] = {
    "a-atif/*.json": atif,
    "b-verifiers/made-here/v1_traces.jsonl": verifiers,
    "b-verifiers/made-here/legacy_results.jsonl": results,
    "b-verifiers/legacy/**/*.jsonl": results,
    "c-inspect/**/*.json": inspect,
    "c-inspect/**/*.eval": inspect,
    "d-chat/tau-bench*.json": tau,
    "d-chat/tau2_retail*.json": tau2,
    "d-chat/rllm*.json": rllm,
    "d-nemo-gym/*.jsonl": nemo,
    "e-swe-agent/*.traj": swe_agent,
    "e-mini-swe-agent/**/*.traj.json*": mini,
    "e-openhands/events_basic.json": openhands,
    "e-openhands/resolver_output.jsonl": openhands,
    "e-openhands/sdk_*": sdk,
    "f-atropos/*": atropos,
    "g-agentgym/agentenv-mcp_trajectories.json": episodes,
}
"""How each file of the fixtures is read here."""

OTHERS = {
    "SOURCES.md": "is no JSON",
    "b-verifiers/legacy/verifiers_eval_run/metadata.json": "metadata of a verifiers run",
    "b-verifiers/made-here/legacy_metadata.json": "metadata of a verifiers run",
    "d-chat/tau2_dir-format/results.json": "holds no simulations",
    "f-lats/humaneval_dfs_5-lines.jsonl": "LATS or Reflexion",
    "f-moatless/v0.1_transitions_scikit-learn-13779_trajectory.json.gz": "moatless-tools 0.1",
    "g-agentgym/README_sample_AgentTraj.json.txt": "is no JSON",
    "g-agentgym/webshop_20220427_1_18.jsonl": "WebShop wrote",
}
"""Files that hold no rollouts, and what their line says."""
