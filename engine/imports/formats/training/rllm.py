"""rLLM: an episode has trajectories, a trajectory steps, and each step the whole conversation so far.

The conversation of the last step is the attempt. Calls that a step holds beside it (the strands agent) are put in
before the answer that follows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, compact, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile
from engine.imports.messages import conversation, digest_key, instruction_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall


def recognise(file: RolloutFile) -> bool:
    """An episode with trajectories, or one trajectory whose steps hold `chat_completions`."""
    if file.has("trajectories", "task", "id"):
        return True
    steps = file.peek("steps") if file.has("steps", "reward") else None
    return isinstance(steps, list) and bool(steps) and isinstance(steps[0], dict) and "chat_completions" in steps[0]


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a trajectory."""
    for place, episode in file.rows():
        trajectories = rows(episode, "trajectories") if "trajectories" in episode else [episode]
        for index, trajectory in enumerate(trajectories):
            where = place if index == 0 else f"{place}, trajectory {index + 1}"
            with file.reporting(where):
                yield _attempt(episode, trajectory, str(file.path), where)


def _attempt(episode: dict[str, Any], trajectory: dict[str, Any], source: str, place: str) -> Attempt:
    steps = rows(trajectory, "steps")
    told = next((step["chat_completions"] for step in reversed(steps) if step.get("chat_completions")), None)
    if not isinstance(told, list):
        raise Malformed("no step holds a conversation (`chat_completions`)")
    messages = _with_calls(conversation(told), steps)
    task = episode.get("task")
    name, _, attempt = text(episode, "id").rpartition(":")
    question = task if isinstance(task, str) else text(task, "question") or text(task, "instruction")
    notes: list[str] = []
    given = trajectory.get("reward")
    reward = reward_of(episode.get("reward", episode.get("is_correct")) if given is None else given, notes)
    metadata = part(episode, "metadata")
    return Attempt(
        task=name or shorten(question, 80) or digest_key(messages),
        source=source,
        format="rllm",
        place=place,
        id=attempt or text(metadata, "episode_id"),
        agent=text(trajectory, "name") or text(metadata, "agent_type"),
        instruction=shorten(question) or instruction_of(messages),
        messages=messages,
        rewards={
            "reward": reward,
            **({"is_correct": number(episode["is_correct"])} if "is_correct" in episode else {}),
        },
        reward=reward,
        notes=notes,
        stop=text(episode, "termination_reason") or text(part(episode, "info"), "termination_reason"),
    )


def _with_calls(messages: list[AttemptMessage], steps: list[dict[str, Any]]) -> list[AttemptMessage]:
    """The conversation with the calls that only the steps tell."""
    if any(message.tool_calls for message in messages):
        return messages
    called: list[AttemptMessage] = []
    for step in steps:
        action = part(step, "action")
        name = text(action, "tool_name") or text(step, "tool_name")
        if (action.get("type") or step.get("step_type")) == "tool_call" and name:
            arguments = action.get("tool_args", step.get("tool_args", {}))
            called.append(AttemptMessage(role="assistant", tool_calls=(ToolCall(name, compact(arguments)),)))
            called.append(
                AttemptMessage(role="tool", content=text_of(action.get("tool_result", step.get("tool_result"))))
            )
    at = next((at for at in range(len(messages) - 1, -1, -1) if messages[at].role == "assistant"), len(messages))
    return messages[:at] + called + messages[at:]


READER = Reader("rllm", "rLLM episodes", recognise, read)
