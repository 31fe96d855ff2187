"""The rules of Harbor's validator for an ATIF document, for documents that are written here."""

from __future__ import annotations

from typing import Any

_ROOT = {
    "schema_version",
    "session_id",
    "trajectory_id",
    "agent",
    "steps",
    "notes",
    "final_metrics",
    "continued_trajectory_ref",
    "subagent_trajectories",
    "extra",
}
_OF_AGENTS = {"model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"}
_STEP = {"step_id", "source", "message", "timestamp", "observation", "is_copied_context", "llm_call_count", "extra"}


def problems(document: Any) -> list[str]:
    """What is wrong with a document, in a few words each; its subagents' documents too."""
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list) or not document["steps"]:
        return ["is no ATIF document with steps"]
    found = [f"unknown field {name}" for name in sorted(document.keys() - _ROOT)]
    if not str(document.get("schema_version", "")).startswith("ATIF-v1."):
        found.append("is no ATIF 1.x")
    agent = document.get("agent")
    if not isinstance(agent, dict) or not all(isinstance(agent.get(key), str) for key in ("name", "version")):
        found.append("an agent has a name and a version")
    for number, step in enumerate(document["steps"], start=1):
        found += [f"step {number}: {problem}" for problem in _of_step(step, number)]
    nested = document.get("subagent_trajectories", [])
    for sub in nested if isinstance(nested, list) else []:
        found += problems(sub)
    return found


def _of_step(step: Any, number: int) -> list[str]:
    if not isinstance(step, dict) or step.get("source") not in ("system", "user", "agent"):
        return ["its source is system, user or agent"]
    allowed = _STEP | _OF_AGENTS if step["source"] == "agent" else _STEP
    found = [f"unknown field {name}" for name in sorted(step.keys() - allowed)]
    if step.get("step_id") != number:
        found.append("step ids count from 1")
    if not isinstance(step.get("message"), str | list):
        found.append("a message is text or parts")
    calls = step.get("tool_calls", [])
    ids = [call.get("tool_call_id") if isinstance(call, dict) else None for call in calls]
    if not all(isinstance(one, str) and one for one in ids) or len(set(ids)) < len(ids):
        found.append("each call has an id of its own")
    elif not all(isinstance(call.get("arguments"), dict) and call.get("function_name") for call in calls):
        found.append("a call has a name, and an object of arguments")
    observation = step.get("observation", {"results": []})
    results = observation.get("results") if isinstance(observation, dict) else None
    if not isinstance(results, list):
        return [*found, "an observation has a list of results"]
    answered = [result.get("source_call_id") if isinstance(result, dict) else 0 for result in results]
    if any(one is not None and one not in ids for one in answered):
        found.append("a result answers a call of its step")
    return found
