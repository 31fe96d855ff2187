"""Calls to models behind any OpenAI-compatible server: one request, retried, its cost known, its faults named.

The key is read from the environment when a client is made and lives nowhere else: not in settings, traces, logs or
representations. Every text that comes from a server is scrubbed of it. (The client library takes half a second to
import: import this module where it is used.)

A call is one request for one answer: n draws are n calls with n seeds, since some servers silently give one answer
where several were asked for. The library's own retries are off; ours report every failed attempt.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, RequestOptions

from engine.base.errors import InputError
from engine.environment.trust import DEFAULT_KEY_ENV, is_loopback
from engine.models.faults import MENDABLE, Refusal, asks_too_much, refusal_of_status
from engine.models.reply import Reply, read_reply
from engine.tree.events import Message, Usage

DEFAULT_BASE_URL = "https://api.openai.com/v1"
PATH = "/chat/completions"
NO_KEY = "no-key"
"""Sent where no key is set: servers of one's own mostly ask for none, the library for some."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a name of an environment variable looks like."""

SHORTEST_SECRET = 8  # characters
MAX_ANSWER = 8 << 20  # bytes; reading stops there
MAX_PACKED = MAX_ANSWER // 128  # bytes of an answer that came packed although plain was asked for
FIRST_WAIT = 0.5  # seconds before the second attempt; doubled for each further one
LONGEST_WAIT = 30.0  # seconds that we choose to wait; a server may ask for more, see `llm_faults.LONGEST_ASKED`
MAX_MESSAGE = 300  # characters of a server's own words that are kept
NICETIES = ("logprobs", "seed", "stop")
"""Parameters that a call can do without where a server refuses them."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a model is called."""

    model: str
    base_url: str = ""  # "": OPENAI_BASE_URL, else OpenAI's own
    key_env: str = DEFAULT_KEY_ENV  # name of the variable that holds the key
    timeout: float = 120.0  # seconds an attempt, from connecting to the last byte
    retries: int = 4  # attempts after the first
    price_in: float | None = None  # US dollars a million prompt tokens; None: unknown
    price_out: float | None = None  # US dollars a million completion tokens

    @property
    def url(self) -> str:
        """The base URL that is called."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a model."""

    messages: Sequence[Message]
    temperature: float
    max_tokens: int
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of the request's body


class CallFailed(Exception):
    """A call came to nothing. The message is one line, without the key."""

    def __init__(self, kind: str, message: str, attempt: int, usage: Usage | None = None) -> None:
        self.kind = kind  # see `engine.models.faults`
        self.attempt = attempt  # the last one; 1 for the first
        self.usage = usage  # of what was paid for all the same
        super().__init__(message)


class OnFault(Protocol):
    """Told of every failed attempt that is tried again."""

    def __call__(self, kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None: ...


class Client:
    """An open client of one server. It belongs to the event loop that it is first used on."""

    def __init__(self, opened: AsyncOpenAI) -> None:
        self.openai = opened
        self.refused: set[str] = set()  # parameters that the server does not know

    def scrub(self, text: str) -> str:
        """The text without the key."""
        key = self.openai.api_key
        return text.replace(key, "[key]") if _is_secret(key) else text

    async def close(self) -> None:
        """Close its connections."""
        await self.openai.close()


class TooLarge(Exception):
    """An answer went on past `MAX_ANSWER`."""


def _is_secret(key: str) -> bool:
    """Whether a key is one: `none`, `EMPTY` and the like stand in many texts that have nothing to hide."""
    return key != NO_KEY and len(key) >= SHORTEST_SECRET


def check_endpoint(endpoint: Endpoint) -> None:
    """Raises `InputError` with the remedy where calls can't even begin."""
    if not endpoint.model:
        raise InputError("no model is named: use --model")
    url = endpoint.url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"base URL {url[:200]!r} is not one: write it like http://127.0.0.1:8000/v1")
    if parts.username or parts.password:
        raise InputError(f"the base URL of {parts.hostname} holds a password: put the key into {endpoint.key_env}")
    _key(endpoint)


def _key(endpoint: Endpoint) -> str:
    if not VARIABLE.fullmatch(endpoint.key_env):
        raise InputError("--key-env takes the name of an environment variable; a key itself is written nowhere")
    key = os.environ.get(endpoint.key_env, "").strip()
    if not key:
        if endpoint.key_env != DEFAULT_KEY_ENV:  # not named here: it may be a key that somebody pasted
            raise InputError("the environment variable that --key-env names is not set: set it, or name another")
        if urlsplit(endpoint.url).hostname == urlsplit(DEFAULT_BASE_URL).hostname:
            raise InputError(
                f"no key: set the environment variable {endpoint.key_env} (--key-env names another),"
                " or --base-url for a server of your own"
            )
        return NO_KEY
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"the key in {endpoint.key_env} holds characters that can't be sent: is it a key?")
    if _is_secret(key) and key in endpoint.url:
        raise InputError(
            f"the base URL holds the key, and would be written into traces: leave it to {endpoint.key_env}"
        )
    return key


def open_client(endpoint: Endpoint) -> Client:
    """A client of the endpoint's server. Raises `InputError`."""
    check_endpoint(endpoint)
    return Client(
        AsyncOpenAI(
            api_key=_key(endpoint),
            base_url=endpoint.url,
            timeout=endpoint.timeout,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=DefaultAsyncHttpxClient(
                timeout=endpoint.timeout,
                event_hooks={"response": [_cap_answer]},
                trust_env=not is_loopback(endpoint.url),  # a proxy has no business on this machine
            ),
        )
    )


async def _cap_answer(response: httpx2.Response) -> None:
    """Stop reading an answer that does not end; a packed one may grow a hundredfold."""
    packed = response.headers.get("content-encoding", "identity") != "identity"
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Capped(response.stream, MAX_PACKED if packed else MAX_ANSWER)


class _Capped(httpx2.AsyncByteStream):
    """A stream that ends in `TooLarge` after `most` bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._stream:
            read += len(chunk)
            if read > self._most:
                raise TooLarge
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def complete(
    client: Client,
    endpoint: Endpoint,
    ask: Ask,
    on_fault: OnFault | None = None,
    permit: Callable[[], None] | None = None,
) -> Reply:
    """One answer. Failed attempts that may be mended are made again, with growing, random waits.

    `on_fault` hears of each of them, `permit` is asked before each further one and may raise. Raises `CallFailed` for
    the last.
    """
    attempt = 0
    while True:
        attempt += 1
        fields = _body(client, endpoint, ask)
        try:
            return replace(await _attempt(client, endpoint, fields), attempt=attempt)
        except Refusal as refusal:
            message = _in_a_line(client.scrub(str(refusal)))
            if refusal.parameter in fields and refusal.parameter in (*NICETIES, "max_tokens"):
                client.refused.add(refusal.parameter)
                refusal.kind = "unsupported"  # whatever the status: without it the call may do
                wait, then = 0.0, "asked again without it"
            elif refusal.kind in MENDABLE and attempt <= endpoint.retries and not asks_too_much(refusal.wait):
                wait = wait_before(attempt, refusal.wait)
                then = f"tried again in {wait:.1f} s"
            else:
                remedy = _remedy(refusal, endpoint)
                raise CallFailed(refusal.kind, message + remedy, attempt, refusal.usage) from None
            if on_fault is not None:
                on_fault(refusal.kind, f"{message}; {then}", attempt, refusal.usage)
        await asyncio.sleep(wait)
        if permit is not None:
            permit()


def _in_a_line(text: str) -> str:
    """A server's words, scrubbed before they are cut, so that no half of a key is left."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}…"


def _remedy(refusal: Refusal, endpoint: Endpoint) -> str:
    if asks_too_much(refusal.wait):
        return f"; it asks to wait {refusal.wait:.0f} s"
    remedies = {
        "wrong model": "do --model and --base-url (it mostly ends in /v1) fit the server?",
        "authentication": f"is the key in {endpoint.key_env} the right one?",
        "too long": "--context limits the conversation",
    }
    return f"; {remedies[refusal.kind]}" if refusal.kind in remedies else ""


def wait_before(attempt: int, asked: float | None) -> float:
    """Seconds to wait after failed attempt number `attempt`: what the server asked for and up to a quarter more,
    else a random share of a doubling time, so that many clients do not come back at once."""
    if asked is not None:
        return asked * random.uniform(1, 1.25)
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 16)) * random.uniform(0.5, 1)


async def _attempt(client: Client, endpoint: Endpoint, fields: dict[str, Any]) -> Reply:
    """One request. Raises `Refusal`."""
    options: RequestOptions = {"timeout": endpoint.timeout}
    try:
        async with asyncio.timeout(endpoint.timeout):  # not `chat.completions.create`: that walks through every turn
            response = await client.openai.post(PATH, cast_to=httpx2.Response, body=fields, options=options)
    except (openai.APITimeoutError, TimeoutError):
        raise Refusal("timeout", f"no answer within {endpoint.timeout:g} s") from None
    except openai.APIStatusError as error:
        raise refusal_of_status(error.status_code, error.body, error.response.headers) from None
    except openai.APIConnectionError as error:
        raise Refusal("connection", f"{endpoint.url}: {_reason(error)}") from None
    except TooLarge:
        raise Refusal("too large", f"the answer goes on past {MAX_ANSWER >> 20} MB; the rest was not read") from None
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise Refusal("connection", f"{endpoint.url}: {_reason(error)}") from None
    return read_reply(response.content, endpoint.price_in, endpoint.price_out, client.scrub)


def _body(client: Client, endpoint: Endpoint, ask: Ask) -> dict[str, Any]:
    """The fields of a request that the server is known to take."""
    limit = "max_completion_tokens" if "max_tokens" in client.refused else "max_tokens"
    fields: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": message.role, "content": message.content} for message in ask.messages],
        "temperature": ask.temperature,
        limit: ask.max_tokens,
    }
    if ask.seed is not None:
        fields["seed"] = ask.seed
    if ask.stop:
        fields["stop"] = list(ask.stop)
    if ask.logprobs:
        fields["logprobs"] = True
    for name in client.refused & set(NICETIES):
        fields.pop(name, None)
    return fields | ask.extra


def _reason(error: BaseException) -> str:
    """What went wrong with a connection: the library's own words hide it in the cause."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
