"""A step as messages: one of the assistant, and all that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from engine.tree.events import Message, PrefixStep, ToolCall
from envs.call_text import split_results
from envs.numbers import whole

Words = Mapping[int, int]
"""Node → which of its wordings is meant; a node that is not there: its own."""

NO_WORDS: Words = {}


class AStep(Protocol):
    """A step that is no node: one of a prefix, or of a tail."""

    @property
    def response(self) -> str:
        """The actor's words, as they are stored."""
        ...

    @property
    def observation(self) -> str:
        """What the environment answered."""
        ...

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of the response; empty where no tool was called."""
        ...

    @property
    def results(self) -> tuple[str, ...]:
        """The results of the calls, where each has its own; else empty."""
        ...


def call_id(step: str, place: int) -> str:
    """The id of a call: the step that it belongs to (a node, `p2` for the second of the prefix) and its place, from 0.

    Ids of servers are of no use: they are drawn anew each time, and two attempts never share one.
    """
    return f"call_{step}_{place}"


def step_messages(
    step: str, response: str, observation: str, calls: Sequence[ToolCall], answers: Sequence[Message] = ()
) -> list[Message]:
    """Returns a step as messages.

    Without calls the observation is the user's. With calls it is the result of the first call.

    `step`: names the step in the ids of its calls. `response` and `observation`: of the step. `calls`: those of the
    response. `answers`: messages in place of the observation; results among them belong to the calls in order, or name
    their call (`answers_call`).
    """
    if not calls:
        return [Message("assistant", response), *(answers or (Message("user", observation),))]
    named = tuple(replace(call, id=call_id(step, place)) for place, call in enumerate(calls))
    left = iter(named)
    given = answers or (Message("tool", observation),)
    return [Message("assistant", response, named), *(_answering(each, named, left) for each in given)]


def answers_call(place: int) -> str:
    """The `tool_call_id` of a stored result that does not answer the next call, but the one at that place."""
    return f"#{place}"


def _answering(answer: Message, calls: Sequence[ToolCall], left: Iterator[ToolCall]) -> Message:
    if answer.role != "tool":
        return answer
    if answer.tool_call_id:
        place = whole(answer.tool_call_id.removeprefix("#")) if answer.tool_call_id.startswith("#") else None
        if place is None or place >= len(calls):
            return answer  # of a call that is not the agent's
        call = calls[place]
    elif (found := next(left, None)) is None:
        return answer
    else:
        call = found
    return replace(answer, tool_call_id=call.id, name=call.name)


def results_of(calls: Sequence[ToolCall], results: Sequence[str]) -> tuple[Message, ...]:
    """What several calls returned, as messages."""
    return tuple(Message("tool", result) for result, _ in zip(results, calls, strict=False))


def observed(step: PrefixStep, observation: str) -> PrefixStep:
    """The step with another observation."""
    count = len(step.tool_calls)
    return replace(step, observation=observation, results=tuple(split_results(observation, count)) if count > 1 else ())


def prefix_messages(steps: Sequence[PrefixStep]) -> list[Message]:
    """The steps before the root."""
    messages: list[Message] = []
    for place, step in enumerate(steps, 1):
        messages += messages_of(step, f"p{place}")
    return messages


def messages_of(step: AStep, name: str) -> list[Message]:
    """A step that is no node as messages; `name` names it in the ids of its calls."""
    answers = results_of(step.tool_calls, step.results)
    return step_messages(name, step.response, step.observation, step.tool_calls, answers)
