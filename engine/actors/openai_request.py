"""What the actor `openai` sends for a draw, by the settings: a worked example, the form of answers, stop words.

Knows nothing of the client library: screens show with it what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.base.errors import InputError
from engine.base.text import split_thought, stored_action
from engine.models.context_window import HEADER_TURNS
from engine.models.prompts import has_prompt, prompt, prompt_lines
from engine.models.refused_parameters import FORM
from engine.models.structured_form import FORMS, chosen_fields, form_field, with_extra
from engine.tree.events import Message, SearchSettings
from envs.base import recognise

ACTION_LABELS = ("Action 1:", "Action:")
ANSWER_SCHEMA = {
    "type": "object",
    "properties": {"thought": {"type": "string"}, "action": {"type": "string"}},
    "required": ["thought", "action"],
    "additionalProperties": False,
}


def prepared(settings: SearchSettings, messages: Sequence[Message]) -> tuple[list[Message], int]:
    """Returns the conversation as it is sent, with all its steps, and how many of its turns come before the first
    step."""
    sent = with_example(messages, settings.prompts) if settings.example else list(messages)
    header = min(HEADER_TURNS + len(sent) - len(messages), len(sent))
    if settings.structured == "json" and len(sent) > 1:
        sent = [to_json(turn) for turn in sent]
        sent[1] = Message(sent[1].role, f"{sent[1].content}\n\n{prompt('json.txt', settings.prompts)}")
    return sent, header


def stops(settings: SearchSettings, tools: bool = False) -> tuple[str, ...]:
    """At what an answer ends; one that calls tools ends by itself."""
    if tools:
        return ()
    return tuple(f"\n{line}" for line in prompt_lines("stop.txt", settings.prompts))


def wants_logprobs(settings: SearchSettings) -> bool:
    """Whether the search needs priors."""
    return settings.algorithm == "puct"


def form_fields(settings: SearchSettings) -> dict[str, Any]:
    """Returns the fields of the request's body, besides `response_format`, that make a model answer in the form."""
    if settings.structured == "grammar":
        return {"grammar": prompt("thought_action.gbnf", settings.prompts)}
    return {}


def with_chosen(settings: SearchSettings, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request with `response_format` and those that a person chose, as the first call has them."""
    more = chosen_fields(settings.top_p, settings.reasoning_effort)
    if settings.structured == "json":
        more[FORM] = form_field(FORMS[0], ANSWER_SCHEMA)
    return with_extra({**fields, **more}, settings.extra_body)


def to_json(turn: Message) -> Message:
    """A turn of the actor's in the form in which it is to answer; one without an action stays as it is."""
    if turn.role != "assistant" or not any(label in turn.content for label in ACTION_LABELS):
        return turn
    answer = {"thought": split_thought(turn.content), "action": stored_action(turn.content)}
    return Message(turn.role, json.dumps(answer, ensure_ascii=False))


def with_example(messages: Sequence[Message], folder: str = "") -> list[Message]:
    """The conversation with a worked example of its environment before the task, as turns of their own.

    The example's last observation and the task share a turn, so that user and assistant go on taking turns. Raises
    `InputError` where there is no example for this environment.
    """
    if len(messages) < HEADER_TURNS:
        raise InputError("--example needs a conversation with a header")
    first = messages[HEADER_TURNS - 1]
    info = recognise(first.content)
    name = f"example_{info.name if info else 'ENVIRONMENT'}.txt"
    if info is None or not has_prompt(name, folder):
        raise InputError(f"there is no worked example for this environment: write {name} into a folder for --prompts")
    turns = read_example(prompt(name, folder), name)
    task = Message("user", f"{turns[-1].content}\n\n{first.content}")
    return [*messages[: HEADER_TURNS - 1], *turns[:-1], task, *messages[HEADER_TURNS:]]


def read_example(text: str, name: str) -> list[Message]:
    """The turns of an example: blocks under `[environment]` and `[actor]` in turn, the environment's first and last.

    Raises `InputError` naming the file where it is otherwise.
    """
    turns: list[Message] = []
    for line in text.splitlines():
        if line.strip() in ("[environment]", "[actor]"):
            role = "user" if line.strip() == "[environment]" else "assistant"
            if role != ("assistant" if len(turns) % 2 else "user"):
                raise InputError(f"{name}: two blocks of {line.strip()} follow each other")
            turns.append(Message("user" if role == "user" else "assistant", ""))
        elif turns:
            turns[-1] = Message(turns[-1].role, f"{turns[-1].content}\n{line}" if turns[-1].content else line)
        elif line.strip():
            raise InputError(f"{name}: begins without [environment]")
    if len(turns) < 3 or turns[-1].role != "user" or not all(turn.content.strip() for turn in turns):
        raise InputError(f"{name}: needs blocks [environment], [actor], …, [environment], none of them empty")
    return turns
