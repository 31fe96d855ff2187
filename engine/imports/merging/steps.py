"""An attempt as the steps of a tree: a header, then one message of the agent at a time with all that answers it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.imports.attempt import Attempt, AttemptMessage
from engine.tree.events import Message, ToolCall, Transcript
from engine.tree.messages import answers_call


class Step(Struct, gc=False):
    """A step of an attempt. Its calls have no ids; `ids` are those of the file."""

    response: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    ids: tuple[str, ...] = ()
    observation: str = ""
    answers: tuple[Message, ...] = ()  # in place of the observation
    transcripts: tuple[Transcript, ...] = ()
    silent: bool = False
    unanswered: bool = False
    compacted: bool = False
    error: bool = False
    untrained: bool = False

    @property
    def all_answers(self) -> tuple[Message, ...]:
        """All that answers it, also where that is its observation alone."""
        if self.answers or self.unanswered or self.silent:
            return self.answers
        return (Message("tool" if self.calls else "user", self.observation),)


def steps_of(attempt: Attempt) -> tuple[list[AttemptMessage], list[Step]]:
    """Returns the messages before the agent's first turn, and the steps. Turns at the beginning that are not to be
    trained (a demonstration, an acknowledgement) belong to the former."""
    messages = attempt.messages
    before = beginning(attempt)
    steps: list[Step] = []
    at = len(before)
    while at < len(messages):
        end = at + 1
        while end < len(messages) and messages[end].role != "assistant":
            end += 1
        steps.append(step_of(messages[at], messages[at + 1 : end]))
        at = end
    return before, steps


def beginning(attempt: Attempt) -> list[AttemptMessage]:
    """Returns the messages before the agent's first turn. An acknowledgement of the rules (`Ok.`) is not such a
    turn."""
    messages = attempt.messages
    first, last = 0, len(messages) - 1
    while first <= last and (
        messages[first].role != "assistant"
        or messages[first].untrained
        or (first < last and _acknowledges(messages[first]) and messages[first + 1].role == "user")
    ):
        first += 1
    return messages[:first]


def _acknowledges(message: AttemptMessage) -> bool:
    return not message.tool_calls and len(message.content) < 8 and message.content.strip(" .!\n").lower() == "ok"


def step_of(said: AttemptMessage, answers: Sequence[AttemptMessage]) -> Step:
    """A turn of the agent with what answers it."""
    step = Step(said.content, said.reasoning)
    calls = said.tool_calls
    if len(calls) == 1:  # as most have
        step.calls, step.ids = (ToolCall(calls[0].name, calls[0].arguments),), (calls[0].id,)
    elif calls:
        step.calls = tuple([ToolCall(call.name, call.arguments) for call in calls])
        step.ids = tuple([call.id for call in calls])
    step.compacted, step.untrained = said.compacted, said.untrained
    transcripts = said.sub
    for answer in answers:
        if answer.compacted:
            step.compacted = True
        if answer.error:
            step.error = True
        transcripts += answer.sub
    if transcripts:
        step.transcripts = tuple(Transcript(tuple(map(plain, sub.messages)), sub.agent) for sub in transcripts)
    if not answers:
        step.unanswered = True
    elif len(answers) == 1 and _is_observation(answers[0], step):
        step.observation = answers[0].content
    else:
        step.answers = _answers(answers, step.ids)
    return step


def _is_observation(answer: AttemptMessage, step: Step) -> bool:
    """Whether it is all that a step without `answers` has."""
    if answer.tool_calls or answer.reasoning:
        return False
    if not step.calls:
        return answer.role == "user"
    return answer.role == "tool" and not answer.of_user and answer.tool_call_id in ("", step.ids[0])


def _answers(answers: Sequence[AttemptMessage], ids: Sequence[str]) -> tuple[Message, ...]:
    """The answers, each result with the place of its call where that is not the next one."""
    found: list[Message] = []
    following = 0
    for answer in answers:
        message = plain(answer)
        if answer.role == "tool" and not answer.of_user:
            place = ids.index(answer.tool_call_id) if answer.tool_call_id and answer.tool_call_id in ids else following
            if place >= len(ids):
                found.append(Message("tool", answer.content, (), "", answer.name))
                continue
            where = "" if place == following else answers_call(place)
            following += place == following
            message = Message("tool", answer.content, (), where)
        found.append(message)
    return tuple(found)


def plain(message: AttemptMessage) -> Message:
    """A message of a file as one of a trace."""
    return Message(
        message.role, message.content, message.tool_calls, message.tool_call_id, message.name, message.reasoning
    )


def opening(message: AttemptMessage) -> Step:
    """A message before the agent's first turn as a step of its own: attempts part there."""
    return Step(answers=(plain(message),), silent=True, compacted=message.compacted)
