"""A model server on loopback that speaks `/v1/chat/completions` and does what a test tells it: real HTTP, no model.

    with LLMServer(delay=0.1) as server:
        ...  # settings: actor="openai", model="scripted", base_url=server.url
    assert server.told.tokens_in == tree.tokens_in

What it answers depends on the request alone (conversation and seed), as a model with a fixed seed does; by default it
plays TextCraft with a third of its actions wrong. `faults` decides what goes wrong with a call; `calls` logs them all.

`python -m tests.servers.llm_server [DELAY [MOST]]` serves until it is interrupted; with MOST delays are random.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from engine.actors.base import Request
from engine.actors.scripted import ScriptedActor
from engine.base.text import parse_action
from envs.base import TextEnv
from envs.textcraft.env import TextCraft

FAULTS = (
    "rate limit",  # 429 with Retry-After
    "server error",  # 500
    "timeout",  # no answer before the client gives up
    "drip",  # a byte now and then, for ever
    "reset",  # the connection is closed without a word
    "cut",  # the connection is closed amid the answer
    "bad json",
    "not json",  # a page of HTML, status 200
    "error 200",  # an error object, status 200
    "empty choices",  # paid for
    "empty",  # an answer of no text, paid for
    "refusal",  # paid for
    "too large",  # 100 MB
    "wrong model",  # 404
    "bad request",  # 400
    "too long",  # 400, context_length_exceeded
    "authentication",  # 401, and the key comes back in its message
    "quota",  # 429 that no waiting mends
    "no money",  # 402
    "no money 200",  # 402 in an error object, status 200
    "forbidden",  # 403
    "unsupported",  # 400 about the parameter that `unsupported` names
)
RETRYABLE = ("rate limit", "server error", "timeout", "reset", "cut", "bad json", "empty choices", "error 200")
"""Faults after which the same call may succeed."""

TASK = "Crafting commands:"
HUGE = 100_000_000  # bytes of the answer that is too large
PAID = frozenset({"empty choices", "empty", "refusal"})
Body = dict[str, Any]
Said = str | dict[str, Any]
"""What the server answers: a text, or a message."""


@dataclass
class Call:
    """One request, as the server saw it."""

    number: int  # 0 for the first
    path: str
    body: Body
    headers: dict[str, str]  # names in lower case
    began: float  # time.monotonic()
    fault: str | None = None
    attempt: int = 1  # how often these very messages came with this seed, this time included
    ended: float | None = None
    sent: int = 0  # bytes of the answer that were taken
    usage: dict[str, int] | None = None  # told to the client

    @property
    def seed(self) -> int | None:
        """The seed that was asked for."""
        seed = self.body.get("seed")
        return seed if isinstance(seed, int) else None


@dataclass
class Told:
    """What the client was told to pay for."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def no_faults(call: Call) -> str | None:
    """Nothing goes wrong."""
    return None


def some_faults(share: float, kinds: Iterable[str] = RETRYABLE, seed: int = 0) -> Callable[[Call], str | None]:
    """A seeded share of calls fails; which ones depends on messages, seed and attempt, not on their order."""
    known = list(kinds)

    def fault(call: Call) -> str | None:
        rng = random.Random(f"{seed}/{call.attempt}/{call.seed}/{json.dumps(call.body['messages'])}")
        return rng.choice(known) if rng.random() < share else None

    return fault


def faults_in_turn(*kinds: str | None) -> Callable[[Call], str | None]:
    """The first calls fail with these, one each; those after them do not."""
    return lambda call: kinds[call.number] if call.number < len(kinds) else None


def faults_after(calls: int, kind: str) -> Callable[[Call], str | None]:
    """The first calls are answered; all others fail."""
    return lambda call: kind if call.number >= calls else None


def plays_textcraft(body: Body, error_rate: float = 0.35) -> str:
    """What the scripted actor says to this conversation: it depends on it and the seed alone.

    To what is no TextCraft task: a word that depends on the seed.
    """
    messages = body["messages"]
    if not any(TASK in message["content"] for message in messages):
        return f"word {random.Random(body.get('seed')).random()}"
    first = max(place for place, message in enumerate(messages) if TASK in message["content"])  # not an example's
    env = TextCraft()
    env.reset(options={"observation": TASK + messages[first]["content"].rsplit(TASK, 1)[1]})
    for message in messages[first + 1 :]:
        if message["role"] == "assistant":
            env.step(parse_action(message["content"]))

    async def environment(question: Callable[[TextEnv], Any]) -> Any:
        return question(env)

    request = Request(0, 0, 0, int(body.get("seed") or 0), list, environment, lambda *_: None)
    return asyncio.run(ScriptedActor(error_rate).sample(request)).response


def words(text: str) -> int:
    """Tokens by this server's count."""
    return len(text.split())


@dataclass
class LLMServer:
    """The server; `with` starts and stops it."""

    answer: Callable[[Body], Said] = plays_textcraft
    faults: Callable[[Call], str | None] = no_faults
    delay: float | Callable[[Call], float] = 0.0  # seconds a call
    retry_after: str | None = "0.01"  # header of a `rate limit`
    hang: float = 20.0  # seconds that a `timeout` and a `drip` last at most
    reasoning: str | None = None
    logprob: float | None = None  # of every token, where they are asked for
    finish: str = "stop"
    key: str | None = None  # asked of every call, where it is set
    unsupported: str = ""  # name of a parameter
    usage: bool = True  # tell what it cost
    stream: bool = False  # answer with a stream of events, a call's arguments in pieces
    refusal: str = ""  # in these words every request that offers tools is refused
    calls: list[Call] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._seen: Counter[str] = Counter()
        self._now = 0

    # -- running -----------------------------------------------------------------------------------

    def __enter__(self) -> LLMServer:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                server._handle(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                if not isinstance(sys.exc_info()[1], OSError):  # the client may leave when it likes
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL to give to a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def count(self, fault: str | None) -> int:
        """How many calls had that fault; None: those that had none."""
        return sum(call.fault == fault for call in self.calls)

    def asked_twice(self) -> int:
        """How many calls repeated one that was answered to the end."""
        answered: set[str] = set()
        again = 0
        for call in sorted(self.calls, key=lambda call: call.began):
            key = _identity(call.body)
            again += key in answered
            if call.ended is not None and call.fault in (None, "empty", "refusal"):
                answered.add(key)
        return again

    # -- answering ---------------------------------------------------------------------------------

    def _handle(self, to: BaseHTTPRequestHandler) -> None:
        length = int(to.headers.get("Content-Length", 0))
        data = to.rfile.read(length)
        if len(data) < length:  # the client was killed
            raise ConnectionError("the request was cut off")
        headers = {name.lower(): value for name, value in to.headers.items()}
        body: Body = json.loads(data)
        with self._lock:
            call = Call(len(self.calls), to.path, body, headers, time.monotonic())
            self._seen[_identity(body)] += 1
            call.attempt = self._seen[_identity(body)]
            self.calls.append(call)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            call.fault = self._fault(call)
            self._stopping.wait(self.delay(call) if callable(self.delay) else self.delay)
            self._reply(to, call)
            call.ended = time.monotonic()
        finally:
            with self._lock:
                self._now -= 1

    def _fault(self, call: Call) -> str | None:
        if call.path != "/v1/chat/completions":
            return "wrong model"
        if self.key is not None and call.headers.get("authorization") != f"Bearer {self.key}":
            return "authentication"
        if self.unsupported and self.unsupported in call.body:
            return "unsupported"
        if self.refusal and "tools" in call.body:
            return "no tools"
        return self.faults(call)

    def _reply(self, to: BaseHTTPRequestHandler, call: Call) -> None:
        match call.fault:
            case "timeout":
                self._stopping.wait(self.hang)
                to.close_connection = True
            case "drip":
                self._drip(to, call)
            case "reset":
                to.connection.shutdown(socket.SHUT_RDWR)
                to.close_connection = True
            case "cut":
                whole = self._completion(call)
                self._send(to, call, 200, whole[: len(whole) // 2], {"Content-Length": str(len(whole))})
                to.close_connection = True
            case "bad json":
                self._send(to, call, 200, self._completion(call)[:-20])
            case "not json":
                self._send(to, call, 200, b"<html><body>Bad gateway</body></html>", {"Content-Type": "text/html"})
            case "too large":
                self._send_huge(to, call)
            case "error 200":
                self._error(to, call, 200, "the backend is gone")
            case "rate limit":
                extra = {} if self.retry_after is None else {"Retry-After": self.retry_after}
                self._error(to, call, 429, "slow down", "rate_limit_exceeded", extra=extra)
            case "quota":
                self._error(to, call, 429, "you exceeded your current quota", "insufficient_quota")
            case "no money":
                self._error(to, call, 402, "Insufficient credits")
            case "no money 200":
                self._send(to, call, 200, b'{"error": {"code": 402, "message": "Insufficient credits"}}')
            case "forbidden":
                self._error(to, call, 403, "you may not use this model")
            case "server error":
                self._error(to, call, 500, "it broke")
            case "wrong model":
                self._error(to, call, 404, f"there is no model {call.body.get('model')}", "model_not_found")
            case "bad request":
                self._error(to, call, 400, "this conversation is not one")
            case "too long":
                self._error(to, call, 400, "the maximum context length is 100 tokens", "context_length_exceeded")
            case "authentication":
                key = call.headers.get("authorization", "").removeprefix("Bearer ")
                self._error(to, call, 401, f"incorrect API key provided: {key}", "invalid_api_key")
            case "no tools":
                self._error(to, call, 400, self.refusal)
            case "unsupported":
                said = f"Unsupported parameter: '{self.unsupported}' is not supported with this model."
                self._error(to, call, 400, said, "unsupported_parameter", param=self.unsupported)
            case _:
                self._send(to, call, 200, self._completion(call))
                self._tell(call)

    def _tell(self, call: Call) -> None:
        if call.usage is not None:
            with self._lock:
                self.told.calls += 1
                self.told.tokens_in += call.usage["prompt_tokens"]
                self.told.tokens_out += call.usage["completion_tokens"]

    def _completion(self, call: Call) -> bytes:
        said = "" if call.fault == "empty" else self.answer(call.body)
        message: dict[str, Any] = {"role": "assistant", **({"content": said} if isinstance(said, str) else said)}
        text = message.get("content") or ""
        finish = "tool_calls" if message.get("tool_calls") and self.finish == "stop" else self.finish
        if call.fault == "refusal":
            message = {"role": "assistant", "content": None, "refusal": "I would rather not."}
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        if self.logprob is not None and call.body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": token, "logprob": self.logprob} for token in _tokens(text)]}
        whole: dict[str, Any] = {
            "id": f"chatcmpl-{call.number}",
            "object": "chat.completion",
            "created": 0,
            "model": call.body.get("model"),
            "choices": [] if call.fault == "empty choices" else [choice],
        }
        if self.usage and call.fault not in ("cut", "bad json"):
            count_in = sum(words(message["content"]) for message in call.body["messages"])
            count_out = 1 if call.fault in PAID else words(text)
            call.usage = {
                "prompt_tokens": count_in,
                "completion_tokens": count_out,
                "total_tokens": count_in + count_out,
            }
            whole["usage"] = call.usage
        return _streamed(whole) if self.stream else json.dumps(whole).encode()

    def _error(
        self,
        to: BaseHTTPRequestHandler,
        call: Call,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        extra: dict[str, str] | None = None,
    ) -> None:
        error = {"message": message, "type": "error", "code": code, "param": param}
        self._send(to, call, status, json.dumps({"error": error}).encode(), extra)

    def _send(
        self, to: BaseHTTPRequestHandler, call: Call, status: int, data: bytes, extra: dict[str, str] | None = None
    ) -> None:
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))} | (extra or {})
        head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        to.wfile.write(f"{head}\r\n".encode() + data)  # in one piece: no waiting for acknowledgements
        call.sent += len(data)

    def _send_huge(self, to: BaseHTTPRequestHandler, call: Call) -> None:
        to.close_connection = True
        head = b'{"choices": [{"message": {"role": "assistant", "content": "'
        self._send(to, call, 200, head, {"Content-Length": str(HUGE)})
        piece = b"x" * 1_000_000
        while call.sent < HUGE and not self._stopping.is_set():
            to.wfile.write(piece)
            call.sent += len(piece)

    def _drip(self, to: BaseHTTPRequestHandler, call: Call) -> None:
        to.close_connection = True
        self._send(to, call, 200, b"{", {"Content-Length": "1000000"})
        until = time.monotonic() + self.hang
        while time.monotonic() < until and not self._stopping.wait(0.02):
            to.wfile.write(b" ")
            call.sent += 1


def _streamed(whole: Body) -> bytes:
    """A completion as a stream of events: the name of a call in one piece, its arguments three letters at a time."""
    (choice,) = whole["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": part} for part in _tokens(message["content"] or "")
    ]
    for index, call in enumerate(message.get("tool_calls") or ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        head = {"index": index, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        pieces = (arguments[place : place + 3] for place in range(0, len(arguments), 3))
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    chunks: list[Body] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    chunks.append({"choices": [], "usage": whole.get("usage")})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _identity(body: Body) -> str:
    return json.dumps([body.get("messages"), body.get("seed")])


def _tokens(text: str) -> Iterator[str]:
    """The text in pieces of four characters."""
    return (text[place : place + 4] for place in range(0, len(text), 4))


def main() -> None:
    """Serve until interrupted."""
    least, most = (*map(float, sys.argv[1:]), 0.0, 0.0)[:2]
    rng = random.Random(0)
    with LLMServer(delay=lambda call: rng.uniform(least, max(least, most))) as server:
        print(server.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(server.calls)} calls, {server.told}", file=sys.stderr)


if __name__ == "__main__":
    main()
