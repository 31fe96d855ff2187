"""rLLM: an episode has trajectories, a trajectory steps, and each step the whole conversation so far.

The conversation of the last step is the attempt, as long as each step's begins with the one before; where a step's does
not, the context was rewritten: the break is marked, and what is new comes after it. Calls that a step holds beside the
conversation (the strands agent) are put in before the answer that follows them. Steps of an evaluation may hold nothing
but what went in and what came out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from engine.base.text import many
from engine.imports.attempt import Attempt, AttemptMessage, Transcript
from engine.imports.bounded_json import Malformed, compact, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile
from engine.imports.messages import conversation, digest_key, instruction_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall

_CUT_OFF = {
    "max_prompt_length_exceeded",
    "max_response_length_exceeded",
    "max_turns_exceeded",
    "timeout",
    "error",
}
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)


def recognise(file: RolloutFile) -> bool:
    """An episode with trajectories, or one trajectory whose steps hold `chat_completions`."""
    if file.has("trajectories", "task") and file.keys & {"id", "episode_id"}:
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
    notes: list[str] = []
    messages = _with_calls(_told(steps, notes), steps)
    if not messages:
        raise Malformed("no step holds a conversation (`chat_completions`, or `input` and `output`)")
    task = episode.get("task")
    name, _, attempt = (text(episode, "id") or text(episode, "episode_id")).rpartition(":")
    question = task if isinstance(task, str) else text(task, "question") or text(task, "instruction")
    stop = text(episode, "termination_reason") or text(part(episode, "info"), "termination_reason")
    given = trajectory.get("reward")
    reward = reward_of(episode.get("reward", episode.get("is_correct")) if given is None else given, notes)
    metadata = part(episode, "metadata")
    return Attempt(
        task=name or text(task, "id") or shorten(question, 80) or digest_key(messages),
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
        stop=stop,
        cut_off=stop in _CUT_OFF,
    )


def _told(steps: list[dict[str, Any]], notes: list[str]) -> list[AttemptMessage]:
    """The conversation that the steps hold, each of which repeats what was said before it."""
    told: list[Any] = []  # so far since the last break
    messages: list[AttemptMessage] = []
    breaks = 0
    for step in steps:
        so_far = step.get("chat_completions")
        if not isinstance(so_far, list) or not so_far:
            continue
        if _begins_with(so_far, told):
            messages += conversation(so_far[len(told) :])
        else:
            old = max((at for at, each in enumerate(so_far) if each in told), default=-1) + 1
            copied = Transcript(messages=tuple(conversation(so_far[:old])), agent="context after the break")
            marker = AttemptMessage(role="system", content="[context rewritten]", compacted=True, synthesised=True)
            messages += [replace(marker, sub=(copied,) if old else ()), *conversation(so_far[old:])]
            breaks += 1
        told = so_far
    if breaks:
        notes.append(
            f"{many(breaks, 'step does', 'steps do')} not go on from the conversation before: a break is marked"
        )
    return messages or _inputs_and_outputs(steps)


def _begins_with(so_far: list[Any], told: list[Any]) -> bool:
    """Whether a conversation goes on from another. Thoughts may have been taken out of what was said before."""
    return len(so_far) >= len(told) and all(
        one == other or _without_thoughts(one) == _without_thoughts(other)
        for one, other in zip(told, so_far, strict=False)
    )


def _without_thoughts(raw: Any) -> Any:
    if not isinstance(raw, dict) or raw.get("role") != "assistant":
        return raw
    said = raw.get("content")
    content = _THOUGHT.sub("", said).strip() if isinstance(said, str) else said
    return content, raw.get("tool_calls") or None


def _inputs_and_outputs(steps: list[dict[str, Any]]) -> list[AttemptMessage]:
    """What went into each step and what came out of it."""
    messages: list[AttemptMessage] = []
    for step in steps:
        given = step.get("input") or step.get("observation")
        came = step.get("output") or step.get("model_response")
        if isinstance(given, list):
            messages += conversation(given)
        elif given:
            messages.append(AttemptMessage(role="user", content=text_of(given)))
        if came:
            thought = text(step, "thought")
            messages.append(AttemptMessage(role="assistant", content=text_of(came), reasoning=thought))
    return messages


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
