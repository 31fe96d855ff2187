"""The actor `openai`: a model behind any OpenAI-compatible server proposes the actions.

What is sent for a draw: the header, with a worked example before the task where `example` asks for one, the steps of
the path as far as `context` takes them, the draw's own seed. What comes back ends at a stop word, whether the server
knows them or not, and is read as a person would read it (`engine.answers.reader`): its thought and its first action are
stored in the form, the server's own words beside them. A draw fails, saying why, where nothing usable came: an empty
answer, one that was cut off before its action was whole, or one that names no action.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from engine.actors.base import Answer, DrawFailed, Request
from engine.actors.openai_request import ACTION_LABELS, ANSWER_SCHEMA, form_fields, prepared, stops, wants_logprobs
from engine.answers.form import AnswerForm, Note, cut_at_stop, form_of
from engine.answers.left_calls import calls_in_text, made_right
from engine.answers.reader import read_answer
from engine.base.errors import InputError
from engine.base.text import stored_action
from engine.models.client import CallFailed, ChatRequest, Client, complete, open_client
from engine.models.context_window import counter, fit
from engine.models.endpoint import Endpoint, check_endpoint
from engine.models.prompts import check_prompts
from engine.models.reply import Reply, action_probability, why_empty
from engine.models.tool_calls import tool_fields
from engine.tree.events import Message, SearchSettings, ToolCall
from envs.call_text import Call, arguments_of
from envs.tool_schemas import name_of

SHOWN = 80
"""Characters of an answer that the reason shows for which it was not used."""


class OpenAIActor:
    """Answers draws over HTTP."""

    def __init__(
        self, settings: SearchSettings, environment: str = "", tools: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """`environment`: its name, which says what actions look like; `tools`: that the model may call. Raises
        `InputError` where these settings can't work."""
        self._settings = settings
        self._tools = tools
        self._names = frozenset(name_of(tool) for tool in tools)
        check_calling(settings, tools)
        self._form = form_of(environment)
        self._counter = counter(settings.tokenizer)
        self._client: Client | None = None
        self._opened_for: tuple[object, ...] = ()
        check_endpoint(Endpoint.of(settings))
        check_prompts(settings.prompts)
        _room(settings)

    def adapt(self, settings: SearchSettings) -> None:
        """Other settings hold from the next draw on."""
        if settings.tokenizer != self._settings.tokenizer:
            self._counter = counter(settings.tokenizer)
        self._settings = settings

    async def sample(self, request: Request) -> Answer:
        """Ask the model for one draw. Raises `DrawFailed`; `InputError` where the settings can't work."""
        settings = self._settings
        endpoint = Endpoint.of(settings)
        messages, dropped = self._conversation(request.conversation())
        ask = ChatRequest(
            messages,
            settings.temperature,
            settings.max_tokens,
            seed=request.seed,
            stop=stops(settings, bool(self._tools)),
            logprobs=wants_logprobs(settings),
            schema=ANSWER_SCHEMA if settings.structured == "json" else None,
            extra=form_fields(settings) | tool_fields(settings, self._tools),
            reasoning_field=settings.send_reasoning,
        )
        try:
            reply = await complete(self._open(endpoint), endpoint, ask, request.fault, request.permit)
        except CallFailed as error:
            raise DrawFailed(error.kind, str(error), error.attempt, error.usage) from None
        if self._tools:
            return replace(read_calls(reply, settings, self._names), dropped=dropped)
        return replace(read_reply_text(reply, settings, self._form), dropped=dropped)

    def _open(self, endpoint: Endpoint) -> Client:
        """The client of this server on this event loop."""
        wanted = (endpoint.url, endpoint.key_env, endpoint.header, asyncio.get_running_loop())
        if self._client is None or self._opened_for != wanted:
            self._client, self._opened_for = open_client(endpoint), wanted
        return self._client

    def _conversation(self, messages: list[Message]) -> tuple[list[Message], int]:
        """What is sent, and how many steps were dropped."""
        settings = self._settings
        sent, header = prepared(settings, messages)
        try:
            return fit(sent, _room(settings), self._counter, header)
        except ValueError as error:
            raise DrawFailed("too long", f"{error}: raise --context, or lower --max-tokens") from None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def check_calling(settings: SearchSettings, tools: Sequence[Mapping[str, Any]]) -> None:
    """Raises `InputError` where settings ask for answers by text, and the agent calls tools."""
    if not tools:
        return
    for name, chosen in (("--structured", settings.structured), ("--example", settings.example)):
        if chosen:
            raise InputError(
                f"{name} asks for answers by text, and here the model calls tools: leave it out, or --tools off"
            )


def _room(settings: SearchSettings) -> int | None:
    """Tokens that the conversation before the answer may have: the model's context holds both."""
    if settings.context is None:
        return None
    if settings.context <= settings.max_tokens:
        raise InputError(
            f"--context {settings.context} leaves no room beside --max-tokens {settings.max_tokens}:"
            " it counts the conversation and the answer"
        )
    return settings.context - settings.max_tokens


def read_calls(reply: Reply, settings: SearchSettings, tools: Collection[str]) -> Answer:
    """Returns the answer to store of a model that may call tools. Raises `DrawFailed` where there is none.

    `reply`: what the server sent. `settings`: of the search. `tools`: the names of the tools. Calls
    are kept as the model made them, less what a server did to them (`engine.answers.left_calls`): the environment
    decides whether they are valid. Words without a call are the model's last words.
    """
    said, calls = reply.text.strip(), reply.calls
    found = [Call(call.name, call.arguments) for call in calls]
    if not calls:
        said, found = calls_in_text(said, tools)
    calls = tuple(ToolCall(call.name, call.arguments) for call in made_right(found, tools))
    cut = reply.finish == "length"
    if cut and (not calls or arguments_of(calls[-1].arguments) is None):
        why = f"the answer was cut off after {settings.max_tokens} tokens, before its call was whole"
        raise DrawFailed("cut off", why, reply.attempt, reply.usage, reply.raw or None)
    if not calls and not said:
        why = why_empty(reply, settings.max_tokens)
        told = f"the answer is empty: {why}" if why else "the answer is empty"
        raise DrawFailed("empty", told, reply.attempt, reply.usage, reply.raw or None)
    notes: list[Note] = ["cut"] if cut else []
    if not calls:
        notes.append("no call")
    elif calls != reply.calls:
        notes.append("mended call")
    prior = action_probability(reply.tokens, calls[0].arguments if calls else said)
    return Answer(
        said,
        action=None if calls or stored_action(said) == said else said,
        usage=reply.usage,
        prior=1.0 if prior is None else prior,
        reasoning=reply.reasoning,
        raw=reply.raw,
        notes=tuple(notes),
        tool_calls=calls,
    )


def _in_text(settings: SearchSettings) -> str:
    """What to do where a model calls tools that nobody offered it."""
    if settings.tools == "off":
        return "offer it the tools of the environment (--tools auto), or use another model"
    form = "" if settings.structured else "--structured json, "
    return f"use {form}another model or chat template, or an environment with tools (agentr envs; tools:ENV)"


def read_reply_text(reply: Reply, settings: SearchSettings, form: AnswerForm) -> Answer:
    """Returns the answer to store. Raises `DrawFailed` where the reply holds none.

    `reply`: what the server sent. `settings`: of the search; they say how to parse and where to stop. `form`: the form
    of the environment's actions.
    """
    if not reply.text.strip():
        why = why_empty(reply, settings.max_tokens, stops(settings), _in_text(settings))
        said = f"the answer is empty: {why}" if why else "the answer is empty"
        raise DrawFailed("empty", said, reply.attempt, reply.usage, reply.raw or None)
    text = cut_at_stop(reply.text, stops(settings))
    cut = reply.finish == "length"
    notes: tuple[str, ...] = ()
    if settings.parse == "agent-r" and settings.structured != "json":
        response, whole = text, _action_is_whole(text)
    else:
        reading = read_answer(text, form, held_to_form=settings.structured == "json")
        response, notes, whole = reading.response, reading.notes, reading.whole
        if reply.tools and (not reading.action or "without label" in notes):  # the call is what it did
            why = why_empty(reply, settings.max_tokens, in_text=_in_text(settings))
            raise DrawFailed("empty", why, reply.attempt, reply.usage, reply.raw)
        if not reading.action and not cut:
            why = f"the answer names no action: {' '.join(text.split())[:SHOWN]!r}"
            raise DrawFailed("not in the form", why, reply.attempt, reply.usage, reply.raw)
        whole = whole and bool(reading.action)
    if cut and not whole:
        why = f"the answer was cut off after {settings.max_tokens} tokens, before its action was whole"
        raise DrawFailed("cut off", why, reply.attempt, reply.usage, reply.raw)
    prior = action_probability(reply.tokens, stored_action(response))
    return Answer(
        response,
        usage=reply.usage,
        prior=1.0 if prior is None else prior,
        reasoning=reply.reasoning,
        raw=reply.raw,
        notes=("cut", *notes) if cut else notes,
    )


def _action_is_whole(text: str) -> bool:
    """Whether something follows the line of the last action, so that this was not cut (by the original's rule)."""
    label = next((label for label in ACTION_LABELS if label in text), None)
    return label is not None and "\n" in text.rsplit(label, 1)[1].strip()
