"""The actor `openai`: a model behind any OpenAI-compatible server proposes the actions.

What is sent for a draw: the header, with a worked example before the task where `example` asks for one, the steps of
the path as far as `context` takes them, the draw's own seed. What comes back is stored as it came, less its reasoning;
the search reads the action out of it (`engine.base.response_text`). A draw fails, saying why, where nothing usable
came: an empty answer, or one that was cut off before its action was whole. An answer without an action label is a child
all the same: its last line is executed, as in the original, and the environment says what it makes of it.
"""

from __future__ import annotations

import asyncio
import json

from engine.actors.base import Answer, DrawFailed, Request
from engine.actors.openai_request import ACTION_LABELS, form_fields, prepared, stops, wants_logprobs
from engine.base.errors import InputError
from engine.models.client import Ask, CallFailed, Client, Endpoint, check_endpoint, complete, open_client
from engine.models.context_window import counter, fit
from engine.models.prompts import check_prompts
from engine.models.reply import Reply, action_probability
from engine.tree.events import Message, SearchSettings


def endpoint_of(settings: SearchSettings) -> Endpoint:
    """The server and model that the settings name."""
    return Endpoint(
        settings.model,
        settings.base_url,
        settings.key_env,
        settings.timeout,
        settings.retries,
        settings.price_in,
        settings.price_out,
    )


class OpenAIActor:
    """Answers draws over HTTP."""

    def __init__(self, settings: SearchSettings) -> None:
        """Raises `InputError` where these settings can't work."""
        self._settings = settings
        self._counter = counter(settings.tokenizer)
        self._client: Client | None = None
        self._opened_for: tuple[object, ...] = ()
        check_endpoint(endpoint_of(settings))
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
        endpoint = endpoint_of(settings)
        messages, dropped = self._conversation(request.conversation())
        ask = Ask(
            messages,
            settings.temperature,
            settings.max_tokens,
            seed=request.seed,
            stop=stops(settings),
            logprobs=wants_logprobs(settings),
            extra=form_fields(settings),
        )
        try:
            reply = await complete(self._open(endpoint), endpoint, ask, request.fault, request.permit)
        except CallFailed as error:
            raise DrawFailed(error.kind, str(error), error.attempt, error.usage) from None
        prior = action_probability(reply.tokens)
        return Answer(
            _response(reply, settings),
            usage=reply.usage,
            prior=1.0 if prior is None else prior,
            reasoning=reply.reasoning,
            dropped=dropped,
        )

    def _open(self, endpoint: Endpoint) -> Client:
        """The client of this server on this event loop."""
        wanted = (endpoint.url, endpoint.key_env, asyncio.get_running_loop())
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


def _response(reply: Reply, settings: SearchSettings) -> str:
    """The response to store. Raises `DrawFailed` where there is none."""
    text = reply.text
    if not text.strip():
        spent = reply.finish == "length" and reply.reasoning is not None
        why = f": all {settings.max_tokens} tokens went into its reasoning" if spent else ""
        raise DrawFailed("empty", f"the answer is empty{why}", reply.attempt, reply.usage)
    if settings.structured == "json":
        text = from_json(text)
    if reply.finish == "length" and not _action_is_whole(text):
        why = f"the answer was cut off after {settings.max_tokens} tokens, before its action was whole"
        raise DrawFailed("cut off", why, reply.attempt, reply.usage)
    return text


def _action_is_whole(text: str) -> bool:
    """Whether something follows the line of the last action, so that this was not cut."""
    label = next((label for label in ACTION_LABELS if label in text), None)
    return label is not None and "\n" in text.rsplit(label, 1)[1].strip()


def from_json(text: str) -> str:
    """A JSON answer in the form of all others; what is no such object stays as it is."""
    try:
        answer = json.loads(text[text.find("{") : text.rfind("}") + 1])  # some put a fence around it
        thought, action = answer["thought"], answer["action"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    return f"Thought: {_line(thought)}\nAction: {_line(action)}"


def _line(value: object) -> str:
    return " ".join((value if isinstance(value, str) else json.dumps(value)).split())
