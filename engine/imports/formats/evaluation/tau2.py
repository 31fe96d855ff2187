"""tau2-bench results: one object with `simulations`, or a folder (`results.json`, `simulations/*.json`).

A model plays the user, and the user may have tools of its own. The policy is beside the messages, not in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, listed, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile, each, small_json, value
from engine.imports.messages import at_message, messages_of, schemas_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions

_OWN_ENDS = {"user_stop", "agent_stop", ""}
_NOT_THE_AGENTS = {"infrastructure_error", "user_error", "unexpected_error"}


def recognise(file: RolloutFile) -> bool:
    """Results, one simulation of a folder, or a simulation beside its task."""
    return (
        file.has("simulations", "info")
        or (file.has("info", "tasks", "timestamp"))
        or file.has("task_id", "termination_reason", "messages")
        or file.has("task", "simulation_run")
    )


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a simulation."""
    if file.has("simulation_run"):
        for place, row in file.rows():
            with file.reporting(place):
                yield from _attempts(_run_of(row), {}, [row.get("task")], file, place)
    elif file.has("simulations") and file.shape == "document":
        fields = file.document()
        yield from _attempts(each(fields["simulations"], "simulations"), file.peek("info"), file.peek("tasks"), file)
    elif file.has("simulations"):  # results of several runs
        for place, row in file.rows():
            with file.reporting(place):
                yield from _attempts(listed(row, "simulations"), row.get("info"), row.get("tasks"), file, place)
    elif file.has("termination_reason"):
        beside = small_json(file.path.parent.parent, "results.json") if file.path.parent.name == "simulations" else {}
        for place, row in file.rows():
            yield from _attempts([row], beside.get("info"), beside.get("tasks"), file, place)
    elif (file.path.parent / "simulations").is_dir():
        return  # its simulations are files of their own
    else:
        raise Malformed("holds no simulations: they lie in simulations/ beside it, which is not here")


def _run_of(row: dict[str, Any]) -> list[Any]:
    if "simulation_run" not in row:
        raise Malformed("has no `simulation_run`")
    return [row["simulation_run"]]


def _attempts(simulations: list[Any], info: Any, tasks: Any, file: RolloutFile, where: str = "") -> Iterator[Attempt]:
    known = {text(task, "id"): task for task in rows({"tasks": tasks}, "tasks")}
    for index, raw in enumerate(simulations):
        which = f"simulation {index + 1}" if len(simulations) > 1 else ""
        place = ", ".join(filter(None, (where, which)))
        with file.reporting(place):
            simulation = value(raw)
            if not isinstance(simulation, dict):
                raise Malformed("a simulation is no object")
            yield _attempt(simulation, part({"i": info}, "i"), known.get(text(simulation, "task_id"), {}), file, place)


def _attempt(
    simulation: dict[str, Any], info: dict[str, Any], task: dict[str, Any], file: RolloutFile, place: str
) -> Attempt:
    told = listed(simulation, "messages")
    if not told and simulation.get("ticks"):
        raise Malformed("is a voice run, which has ticks and no messages")
    messages = [message for index, one in enumerate(told) for message in _messages(one, index)]
    notes: list[str] = []
    environment = part(info, "environment_info")
    if policy := text(environment, "policy"):
        messages = [AttemptMessage(role="system", content=policy, synthesised=True), *messages]
        notes.append("the system prompt is the policy, which the file tells beside the messages")
    stop = text(simulation, "termination_reason")
    held = part(simulation, "reward_info")
    reward = reward_of(held.get("reward"), notes)
    if stop in _NOT_THE_AGENTS:
        notes.append(f"{stop}: no failure of the agent, its reward counts as unknown")
    scenario = part(task, "user_scenario").get("instructions")
    return Attempt(
        task=f"{text(environment, 'domain_name')} task {text(simulation, 'task_id')}".strip(),
        source=str(file.path),
        format="tau2",
        place=place,
        id=f"trial {text(simulation, 'trial')}" if "trial" in simulation else text(simulation, "id"),
        agent=text(part(info, "agent_info"), "implementation"),
        model=text(part(info, "agent_info"), "llm"),
        environment=text(environment, "domain_name"),
        instruction=shorten(
            text(scenario, "reason_for_call") or text_of(scenario if isinstance(scenario, str) else "")
        ),
        tools=schemas_of(environment.get("tool_defs")),
        messages=messages,
        played_user=True,
        rewards={"reward": reward} | {k: number(v) for k, v in part(held, "reward_breakdown").items()},
        reward=None if stop in _NOT_THE_AGENTS else reward,
        reward_range=(0.0, 1.0),
        stop=stop,
        cut_off=stop not in _OWN_ENDS,
        notes=notes,
    )


def _messages(raw: Any, index: int) -> Iterator[AttemptMessage]:
    """A message; results of several calls may lie in one (`tool_messages`)."""
    if isinstance(raw, dict) and isinstance(raw.get("tool_messages"), list):
        for inner in raw["tool_messages"]:
            yield from _messages(inner, index)
        return
    with at_message(index):
        for message in messages_of(raw):
            if message.role == "tool" and isinstance(raw, dict):
                message = replace(
                    message,
                    tool_call_id=text(raw, "tool_call_id") or text(raw, "id"),
                    of_user=raw.get("requestor") == "user",
                    error=raw.get("error") is True,
                )
            yield message


READER = Reader("tau2", "tau2-bench results", recognise, read)
