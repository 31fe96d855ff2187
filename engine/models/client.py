"""Calls to models behind any OpenAI-compatible server: one request, retried, its cost known, its faults named.

The key is read from the environment when a client is made and lives nowhere else: not in settings, traces, logs or
representations. Every text that comes from a server is scrubbed of it. (The client library takes half a second to
import: import this module where it is used.)

A call is one request for one answer: n draws are n calls with n seeds, since some servers silently give one answer
where several were asked for. The library's own retries are off; ours report every failed attempt.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx2
import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, RequestOptions

from engine.environment.permission import is_loopback
from engine.models.endpoint import Endpoint, check_endpoint, headers_of, is_secret, key_of
from engine.models.faults import RETRYABLE, Refusal, asks_too_much, refusal_of_status
from engine.models.refused_parameters import DROPPED, FORM, LIMITS
from engine.models.reply import Reply, read_reply
from engine.models.structured_form import FORMS, chosen_fields, form_field, joined_system, with_extra
from engine.models.tool_calls import START_WITH_TOOLS, as_sent, holds_bad_arguments
from engine.tree.events import Message, Usage

PATH = "/chat/completions"
MAX_ANSWER = 8 << 20  # bytes; reading stops there
MAX_PACKED = MAX_ANSWER // 128  # bytes of an answer that came packed although plain was asked for
PACKINGS = ("gzip", "deflate")
"""Codings of an answer that grow to 1,032 times their size at most; zstd and brotli know no such bound."""
FIRST_WAIT = 0.5  # seconds before the second attempt; doubled for each further one
LONGEST_WAIT = 30.0  # seconds that we choose to wait; a server may ask for more (`faults.LONGEST_ASKED`)
MAX_MESSAGE = 300  # characters of a server's own words that are kept


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request to a model."""

    messages: Sequence[Message]
    temperature: float
    max_tokens: int
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    schema: Mapping[str, Any] | None = None  # the JSON Schema that the answer is to keep, as far as the server can
    extra: dict[str, Any] = field(default_factory=dict)  # further fields of the request's body
    reasoning_field: str = ""  # in which earlier reasoning is sent again; "": it is not


class CallFailed(Exception):
    """A failed call. The message is one line, without the key."""

    def __init__(self, kind: str, said: str, attempt: int, usage: Usage | None = None, remedy: str = "") -> None:
        self.kind = kind  # see `engine.models.faults`
        self.said = said  # without the remedy, which is an option of a search
        self.attempt = attempt  # the last one; 1 for the first
        self.usage = usage  # of what was paid for all the same
        super().__init__(said + remedy)


class OnFault(Protocol):
    """Told of every failed attempt that is tried again."""

    def __call__(self, kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None: ...


class Client:
    """An open client of one server. It belongs to the event loop that it is first used on."""

    def __init__(self, opened: AsyncOpenAI, secrets: Sequence[str] = ()) -> None:
        self.openai = opened
        self.refused: set[str] = set()  # parameters that the server will not have
        self.no_system = False  # whether the server refuses a system turn
        self.wraps_arguments = False  # whether it takes arguments of earlier calls only as JSON objects
        self.form = 0  # index in `FORMS`: how answers of a form are asked for
        self.scrub = _scrubber([opened.api_key, *secrets])

    def left_out(self) -> list[str]:
        """The parameters that the server refused, and that requests no longer hold, in a few words each."""
        found = [name for name in (*DROPPED, *LIMITS) if name in self.refused]
        if self.no_system:
            found.append("the system turn (joined to the first user turn)")
        return found + ([f"{FORM} of type {FORMS[self.form - 1]}"] if self.form else [])

    async def close(self) -> None:
        """Close its connections."""
        await self.openai.close()


def _scrubber(secrets: Sequence[str]) -> Callable[[str], str]:
    """What takes the key and the values of headers out of a text. A function: no representation shows what it holds."""
    hidden = sorted(filter(is_secret, secrets), key=len, reverse=True)

    def scrub(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "[key]")
        return text

    return scrub


class TooLarge(Exception):
    """An answer went on past `MAX_ANSWER`, or may: the message says which."""


def open_client(endpoint: Endpoint) -> Client:
    """A client of the endpoint's server. Raises `InputError`."""
    check_endpoint(endpoint)
    headers = headers_of(endpoint)
    return Client(
        AsyncOpenAI(
            api_key=key_of(endpoint),
            base_url=endpoint.url,
            timeout=endpoint.timeout,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity", **headers},
            http_client=DefaultAsyncHttpxClient(
                timeout=endpoint.timeout,
                follow_redirects=False,  # nobody named the other server: it would get the conversation, and `header`
                event_hooks={"response": [_cap_answer]},
                trust_env=not is_loopback(endpoint.url),  # a proxy has no business on this machine
            ),
        ),
        list(headers.values()),
    )


async def _cap_answer(response: httpx2.Response) -> None:
    """Stop reading an answer that does not end; a packed one may grow a thousandfold, and without a bound where it was
    packed twice or in a form without one."""
    coding = response.headers.get("content-encoding", "identity").strip().casefold()
    if coding not in ("identity", *PACKINGS):
        raise TooLarge(f"the answer is packed as {coding!r}, although plain was asked for; it was not read")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Capped(response.stream, MAX_PACKED if coding in PACKINGS else MAX_ANSWER)


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
                raise TooLarge(f"the answer goes on past {MAX_ANSWER >> 20} MB; the rest was not read")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def complete(
    client: Client,
    endpoint: Endpoint,
    ask: ChatRequest,
    on_fault: OnFault | None = None,
    permit: Callable[[], None] | None = None,
) -> Reply:
    """Returns one answer. A failed attempt that may succeed later is made again, after growing, random waits. Raises
    `CallFailed` for the last attempt.

    `client`: open. `endpoint`: server, model and limits. `ask`: the conversation and how it is sampled. `on_fault`:
    called for each failed attempt that is followed by another. `permit`: called before each further attempt; may raise.
    """
    attempt = retried = 0
    while True:
        attempt += 1
        form = client.form
        fields = _body(client, endpoint, ask)
        try:
            return replace(await _attempt(client, endpoint, fields), attempt=attempt)
        except Refusal as refusal:
            message = in_a_line(client.scrub(str(refusal)))
            if refusal.tools and "tools" in fields:
                refusal.kind = "no tools"  # whatever the status: without them nothing can be called
                raise CallFailed(refusal.kind, message, attempt, refusal.usage, _remedy(refusal, endpoint)) from None
            if plainer := _without(client, refusal, fields, form) or _wrapping(client, refusal, ask):
                refusal.kind = "unsupported"  # whatever the status: asked in another way the call may do
                wait, then = 0.0, f"asked again {plainer}"
            elif refusal.kind in RETRYABLE and retried < endpoint.retries and not asks_too_much(refusal.wait):
                retried += 1
                wait = wait_before(retried, refusal.wait)
                then = f"tried again in {wait:.1f} s"
            else:
                remedy = _remedy(refusal, endpoint)
                raise CallFailed(refusal.kind, message, attempt, refusal.usage, remedy) from None
            if on_fault is not None:
                on_fault(refusal.kind, f"{message}; {then}", attempt, refusal.usage)
        await asyncio.sleep(wait)
        if permit is not None:
            permit()


def _without(client: Client, refusal: Refusal, fields: Mapping[str, Any], form: int) -> str:
    """Remember what the server refuses of these fields, and say how it is asked from now on; "" where that is nothing.

    `form` is how the request asked for a form: another call may have found the next one meanwhile.
    """
    if refusal.system and any(turn["role"] == "system" for turn in fields["messages"]):
        client.no_system = True
        return "with the system turn joined to the first user turn"
    name = next((name for name in refusal.parameters if name in fields), "")
    if name == FORM and FORMS[form]:
        client.form = max(client.form, form + 1)
        return f"for {FORMS[client.form]}" if FORMS[client.form] else "for the form in words only"
    if name not in (*DROPPED, *LIMITS):
        return ""
    client.refused.add(name)
    other = LIMITS[1] if name == LIMITS[0] else LIMITS[0]
    if name in LIMITS and other not in client.refused:
        return f"with {other} in place of {name}"
    return f"without {name}"


def _wrapping(client: Client, refusal: Refusal, ask: ChatRequest) -> str:
    """Where a server may have failed to parse the arguments of an earlier call: say how they are sent from now on."""
    if client.wraps_arguments or refusal.kind not in ("bad request", "server error", "unsupported"):
        return ""
    client.wraps_arguments = holds_bad_arguments(ask.messages)
    return "with arguments that are no JSON object put into one" if client.wraps_arguments else ""


def in_a_line(text: str) -> str:
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
        "no tools": START_WITH_TOOLS,
        "unsupported": "--extra-body sets fields of the request, and takes out those that it sets to null",
        "bad request": "--extra-body sets fields of the request, and takes out those that it sets to null",
    }
    return f"; {remedies[refusal.kind]}" if refusal.kind in remedies else ""


def wait_before(attempt: int, asked: float | None) -> float:
    """Returns the seconds to wait after failed attempt number `attempt`: what the server asked for or up to a quarter
    more, else a random share of a doubling time, so that many clients do not return at once."""
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
    except TooLarge as error:
        raise Refusal("too large", str(error)) from None
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise Refusal("connection", f"{endpoint.url}: {_reason(error)}") from None
    prices = endpoint.price_in, endpoint.price_out
    return read_reply(response.content, *prices, client.scrub, endpoint.price_cached)


def _body(client: Client, endpoint: Endpoint, ask: ChatRequest) -> dict[str, Any]:
    """The fields of a request that the server is known to take."""
    messages = ask.messages
    if client.no_system or endpoint.no_system:
        messages = joined_system(messages)
    fields: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [as_sent(message, ask.reasoning_field, client.wraps_arguments) for message in messages],
        "temperature": ask.temperature,
        "stream": False,  # some servers stream where it is left out
    }
    fields |= chosen_fields(endpoint.top_p, endpoint.reasoning_effort)
    if ask.seed is not None:
        fields["seed"] = ask.seed
    if ask.stop:
        fields["stop"] = list(ask.stop)
    if ask.logprobs:
        fields["logprobs"] = True
    if ask.schema is not None and FORMS[client.form]:
        fields[FORM] = form_field(FORMS[client.form], ask.schema)
    fields |= ask.extra
    for name in client.refused.intersection(DROPPED):
        fields.pop(name, None)
    limit = next((name for name in LIMITS if name not in client.refused), "")
    if limit:
        fields[limit] = ask.max_tokens
    return with_extra(fields, endpoint.extra_body)


def _reason(error: BaseException) -> str:
    """What went wrong with a connection: the library's own words hide it in the cause."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
