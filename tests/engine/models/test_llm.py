"""Calls to models, over real HTTP on loopback: faults, retries, cost, and a key that is nowhere."""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import json
import logging
import random
import time
from dataclasses import replace
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.models import client as llm
from engine.models.client import CallFailed, ChatRequest, complete, open_client, wait_before
from engine.models.endpoint import NO_KEY, Endpoint, check_endpoint
from engine.models.faults import KINDS, RETRYABLE, Refusal, retry_after
from engine.models.reply import Reply, action_probability, read_reply
from engine.tree.events import Message, Usage
from tests.servers.llm_server import FAULTS, HUGE, Body, Call, LLMServer, faults_in_turn

KEY = "sk-not-to-be-seen-0123456789"
MESSAGES = (Message("system", "You help."), Message("user", "Where to?"))
ANSWER = "Thought: north is open.\nAction: go north"
KIND_OF = {"drip": "timeout", "reset": "connection", "cut": "connection", "not json": "bad json"}
KIND_OF |= {"error 200": "server error", "no money": "quota", "no money 200": "quota", "forbidden": "authentication"}
RETRIES = 2


@pytest.fixture(autouse=True)
def quick_and_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, and a key in the environment."""
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def says_north(body: Body) -> str:
    """The answer of the server."""
    return ANSWER


def endpoint(server: LLMServer, **changes: Any) -> Endpoint:
    """The server as an endpoint."""
    return replace(Endpoint("m", server.url, timeout=5.0, retries=RETRIES), **changes)


def call(
    to: Endpoint, ask: ChatRequest | None = None, times: int = 1
) -> tuple[list[Reply | CallFailed], list[tuple[str, str, int, Usage | None]]]:
    """So many calls at once: what came of each, and the faults on the way."""
    faults: list[tuple[str, str, int, Usage | None]] = []

    def fault(kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
        faults.append((kind, error, attempt, usage))

    async def run() -> list[Reply | CallFailed]:
        client = open_client(to)
        wanted = ask or ChatRequest(MESSAGES, 1.0, 50, seed=7)
        try:
            found = await asyncio.gather(
                *(complete(client, to, wanted, fault) for _ in range(times)), return_exceptions=True
            )
        finally:
            await client.close()
        for each in found:
            if not isinstance(each, Reply | CallFailed):
                raise each
        return [each for each in found if isinstance(each, Reply | CallFailed)]

    return asyncio.run(run()), faults


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("empty", "unsupported")])
def test_a_fault_has_a_kind_and_is_tried_again_where_that_may_mend_it(fault: str) -> None:
    kind = KIND_OF.get(fault, fault)
    quick = {"timeout": 0.15} if kind == "timeout" else {}
    with LLMServer(answer=says_north, faults=lambda call: fault, hang=1.0) as server:
        (failed,), faults = call(endpoint(server, **quick))
        calls = len(server.calls)
    assert isinstance(failed, CallFailed)
    assert kind in KINDS
    assert failed.kind == kind
    tries = RETRIES + 1 if kind in RETRYABLE else 1
    assert (calls, failed.attempt) == (tries, tries)
    assert [(fault[0], fault[2]) for fault in faults] == [(kind, attempt) for attempt in range(1, tries)]
    assert "\n" not in str(failed)
    assert len(str(failed)) < 500


def test_a_mended_call_gives_the_answer_and_tells_what_went_wrong_before() -> None:
    with LLMServer(answer=says_north, faults=faults_in_turn("server error", "rate limit", None)) as server:
        (reply,), faults = call(endpoint(server))
    assert isinstance(reply, Reply)
    assert (reply.text, reply.attempt) == (ANSWER, 3)
    assert [fault[0] for fault in faults] == ["server error", "rate limit"]


def test_no_retries_means_one_request() -> None:
    with LLMServer(faults=lambda call: "server error") as server:
        (failed,), faults = call(endpoint(server, retries=0))
        assert len(server.calls) == 1
    assert isinstance(failed, CallFailed)
    assert faults == []


def test_a_server_that_is_not_there_is_a_connection_fault_with_its_address() -> None:
    with LLMServer() as server:
        gone = endpoint(server, retries=1)
    (failed,), faults = call(gone)
    assert isinstance(failed, CallFailed)
    assert failed.kind == "connection"
    assert gone.base_url in str(failed)
    assert len(faults) == 1


def test_the_time_limit_counts_the_whole_answer_not_the_next_byte() -> None:
    with LLMServer(faults=lambda call: "drip", hang=10) as server:
        (failed,), _ = call(endpoint(server, timeout=0.3, retries=0))
    assert isinstance(failed, CallFailed)
    assert failed.kind == "timeout"


def test_of_a_100_mb_answer_only_the_beginning_is_read() -> None:
    with LLMServer(faults=lambda call: "too large") as server:
        (failed,), _ = call(endpoint(server))
        time.sleep(0.1)
        assert server.calls[0].sent < HUGE / 4
        assert len(server.calls) == 1
    assert isinstance(failed, CallFailed)
    assert failed.kind == "too large"


def test_an_answer_that_is_packed_although_plain_was_asked_for_does_not_blow_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bomb = gzip.compress(b" " * 80_000_000)
    with LLMServer(answer=says_north) as server:
        monkeypatch.setattr(
            server, "_reply", lambda to, call: server._send(to, call, 200, bomb, {"Content-Encoding": "gzip"})
        )
        (failed,), _ = call(endpoint(server))
        assert server.calls[0].headers["accept-encoding"] == "identity"
    assert isinstance(failed, CallFailed)
    assert failed.kind == "too large"


@pytest.mark.parametrize("coding", ["gzip, gzip", "zstd", "br", "x"])
def test_an_answer_that_is_packed_without_a_bound_is_not_read(monkeypatch: pytest.MonkeyPatch, coding: str) -> None:
    """3 KB that were packed twice took 4 GB, and ended the search."""
    bomb = gzip.compress(gzip.compress(b" " * 8_000_000))
    with LLMServer(answer=says_north) as server:
        monkeypatch.setattr(
            server, "_reply", lambda to, call: server._send(to, call, 200, bomb, {"Content-Encoding": coding})
        )
        (failed,), _ = call(endpoint(server))
    assert isinstance(failed, CallFailed)
    assert failed.kind == "too large"
    assert coding in str(failed)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_sends_its_callers_on_takes_nothing_along(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """The other server got the conversation, and the values of `--header`."""
    monkeypatch.setenv("OTHER_KEY", "another-secret")
    with LLMServer(answer=says_north) as other, LLMServer(answer=says_north) as server:
        to = f"{other.url}/chat/completions"
        monkeypatch.setattr(server, "_reply", lambda at, call: server._send(at, call, status, b"", {"Location": to}))
        (failed,), _ = call(endpoint(server, header=("X-Api-Key=OTHER_KEY",)))
        assert other.calls == []
        assert len(server.calls) == 1, "it is not tried again"
    assert isinstance(failed, CallFailed)
    assert failed.kind == "wrong model"
    assert to in str(failed)
    assert "--base-url" in str(failed)


# -- waiting ---------------------------------------------------------------------------------------


def test_retry_after_is_honoured() -> None:
    with LLMServer(answer=says_north, faults=faults_in_turn("rate limit"), retry_after="0.4") as server:
        (reply,), _ = call(endpoint(server))
        first, second = server.calls
    assert isinstance(reply, Reply)
    assert first.ended is not None
    assert 0.38 <= second.began - first.ended < 1.0


def test_retry_after_may_be_a_date_or_milliseconds_or_nonsense() -> None:
    soon = email.utils.formatdate(time.time() + 20, usegmt=True)
    seconds = retry_after({"retry-after": soon})
    assert seconds is not None
    assert 15 < seconds <= 20
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": "-5"}) == 0
    for nonsense in ("soon", "nan", "inf", "", "1e400"):
        assert retry_after({"retry-after": nonsense}) is None
    assert retry_after({}) is None


def test_a_server_that_asks_to_wait_for_an_hour_is_not_waited_for() -> None:
    with LLMServer(faults=lambda call: "rate limit", retry_after="3600") as server:
        (failed,), _ = call(endpoint(server))
        assert len(server.calls) == 1
    assert isinstance(failed, CallFailed)
    assert "asks to wait 3600 s" in str(failed)


def test_waits_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.5)
    random.seed(0)
    for attempt in range(1, 12):
        waits = {wait_before(attempt, None) for _ in range(50)}
        most = min(llm.LONGEST_WAIT, 0.5 * 2 ** (attempt - 1))
        assert len(waits) == 50
        assert most / 2 <= min(waits) <= max(waits) <= most
    assert all(3 <= wait_before(1, 3.0) <= 3.75 for _ in range(50))
    assert wait_before(10_000, None) <= llm.LONGEST_WAIT


# -- cost ------------------------------------------------------------------------------------------


def test_tokens_and_cost_are_what_the_server_counted_also_of_answers_that_were_no_use() -> None:
    faults = faults_in_turn("empty choices", "empty choices", None, "refusal", None)
    with LLMServer(answer=says_north, faults=faults) as server:
        to = endpoint(server, price_in=2.0, price_out=10.0)
        usages: list[Usage | None] = []
        for _ in range(3):
            (came,), retried = call(to)
            usages += [came.usage, *(usage for *_, usage in retried)]
        told = server.told
    spent = [usage for usage in usages if usage is not None]
    assert len(spent) == told.calls == 5
    assert sum(usage.tokens_in or 0 for usage in spent) == told.tokens_in > 0
    assert sum(usage.tokens_out or 0 for usage in spent) == told.tokens_out > 0
    cost = sum(usage.cost or 0 for usage in spent)
    assert cost == pytest.approx((told.tokens_in * 2 + told.tokens_out * 10) / 1e6)


def test_what_a_call_cost_is_unknown_without_prices_or_usage() -> None:
    with LLMServer(answer=says_north) as server:
        (priced_in_part,), _ = call(endpoint(server, price_in=2.0))
        server.usage = False
        (untold,), _ = call(endpoint(server, price_in=2.0, price_out=2.0))
    assert priced_in_part.usage is not None
    assert priced_in_part.usage.tokens_in == 4
    assert priced_in_part.usage.cost is None
    assert untold.usage is None


# -- what is sent ----------------------------------------------------------------------------------


def test_a_call_is_one_request_for_one_answer_with_its_seed() -> None:
    with LLMServer(answer=says_north) as server:
        call(
            endpoint(server), ChatRequest(MESSAGES, 0.5, 33, seed=12, stop=("\nObservation:",), extra={"grammar": "g"})
        )
        body = server.calls[0].body
    assert body == {
        "model": "m",
        "messages": [{"role": message.role, "content": message.content} for message in MESSAGES],
        "temperature": 0.5,
        "max_tokens": 33,
        "stream": False,
        "seed": 12,
        "stop": ["\nObservation:"],
        "grammar": "g",
    }


def test_as_many_calls_run_at_once_as_are_asked_for() -> None:
    with LLMServer(answer=says_north, delay=0.3) as server:
        replies, _ = call(endpoint(server), times=24)
        assert server.most_at_once >= 20
    assert len(replies) == 24


@pytest.mark.parametrize(
    ("parameter", "instead"), [("logprobs", ""), ("seed", ""), ("max_tokens", "max_completion_tokens")]
)
def test_a_parameter_that_the_server_does_not_know_is_left_out_from_then_on(parameter: str, instead: str) -> None:
    ask = ChatRequest(MESSAGES, 1.0, 50, seed=1, logprobs=True)
    with LLMServer(answer=says_north, unsupported=parameter) as server:

        async def twice() -> list[Reply]:
            to = endpoint(server)
            client = open_client(to)
            replies = [await complete(client, to, ask) for _ in range(2)]
            await client.close()
            return replies

        assert [reply.text for reply in asyncio.run(twice())] == [ANSWER, ANSWER]
        bodies = [each.body for each in server.calls]
    assert [parameter in body for body in bodies] == [True, False, False]
    if instead:
        assert bodies[1][instead] == 50


def test_a_server_that_will_not_have_it_either_way_is_a_failed_call() -> None:
    class Stubborn(LLMServer):
        def _fault(self, call: Call) -> str | None:
            return "unsupported"

    with Stubborn(unsupported="seed") as server:
        (failed,), _ = call(endpoint(server))
        assert len(server.calls) == 2
    assert isinstance(failed, CallFailed)
    assert failed.kind == "unsupported"


def test_a_proxy_is_no_way_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with LLMServer(answer=says_north) as server:
        (reply,), _ = call(endpoint(server))
    assert isinstance(reply, Reply)


# -- the key ---------------------------------------------------------------------------------------


def test_the_key_is_sent_and_is_nowhere_else(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with LLMServer(key=KEY, answer=lambda body: f"Thought: I was told {KEY}\nAction: say {KEY}") as server:
        server.reasoning = f"the key is {KEY}"
        to = endpoint(server)
        client = open_client(to)
        seen += [repr(client), str(vars(client)), repr(client.openai), repr(to)]
        (reply,), _ = call(to)
        assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
        seen.append(repr(reply))
        for fault in ("authentication", "not json"):
            server.faults = lambda call, fault=fault: fault  # type: ignore[misc]
            (failed,), faults = call(to)
            seen += [str(failed), repr(failed), repr(vars(failed)), repr(faults)]
        assert any("[key]" in text for text in seen)
    seen += [record.getMessage() for record in caplog.records]
    seen += capfd.readouterr()
    assert not [text for text in seen if KEY in text]


def test_a_key_at_the_edge_of_a_cut_message_leaves_no_half(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(llm.MAX_MESSAGE - len(KEY) - 8, llm.MAX_MESSAGE + 2):
        assert KEY[:10] not in llm.in_a_line(("x" * place + KEY).replace(KEY, "[key]"))
    with LLMServer() as server:
        monkeypatch.setattr(
            server, "_reply", lambda to, call: server._error(to, call, 400, "x" * (llm.MAX_MESSAGE - 20) + KEY)
        )
        (failed,), _ = call(endpoint(server))
    assert "sk-not" not in str(failed)


def test_a_traceback_of_a_failed_call_does_not_hold_the_key() -> None:
    import traceback

    with LLMServer(faults=lambda call: "authentication") as server:
        (failed,), _ = call(endpoint(server))
    assert isinstance(failed, CallFailed)
    assert KEY not in "".join(traceback.format_exception(failed))


def test_without_a_key_openai_is_refused_and_a_server_of_ones_own_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match=r"OPENAI_API_KEY.*--key-env"):
        check_endpoint(Endpoint("m"))
    with LLMServer(answer=says_north) as server:
        (reply,), _ = call(endpoint(server))
        assert server.calls[0].headers["authorization"] == f"Bearer {NO_KEY}"
    assert isinstance(reply, Reply)


def test_another_variable_may_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "another-key-altogether")
    with LLMServer(answer=says_north, key="another-key-altogether") as server:
        (reply,), _ = call(endpoint(server, key_env="MINE"))
    assert isinstance(reply, Reply)


@pytest.mark.parametrize("key", ["two words\nand a line", "schlüssel-schlüssel", "tab\there-is-one"])
def test_a_key_that_can_not_be_sent_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError) as error:
        check_endpoint(Endpoint("m"))
    assert key.split()[0] not in str(error.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"http://127.0.0.1:8000/v1?key={KEY}", "holds a key"),
        (f"http://me:{KEY}@127.0.0.1:8000/v1", "password"),
        ("127.0.0.1:8000/v1", "not one"),
        ("http://127.0.0.1:eighty/v1", "not one"),
        ("http://[::1/v1", "not one"),
        ("file:///etc/passwd", "not one"),
    ],
)
def test_a_base_url_that_is_none_or_would_give_the_key_away_is_refused(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        check_endpoint(Endpoint("m", url))
    assert KEY not in str(error.value)


def test_a_placeholder_for_a_key_is_not_scrubbed_out_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with LLMServer(answer=lambda body: "Action: none of it") as server:
        (reply,), _ = call(endpoint(server))
    assert isinstance(reply, Reply)
    assert reply.text == "Action: none of it"


def test_a_model_must_be_named() -> None:
    with pytest.raises(InputError, match="--model"):
        check_endpoint(Endpoint(""))


# -- what comes back -------------------------------------------------------------------------------


def completion(message: dict[str, Any], **more: Any) -> bytes:
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"} | more]}).encode()


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "Action: a", "reasoning_content": "why"}, "Action: a", "why"),
        ({"content": "Action: a", "reasoning": "why"}, "Action: a", "why"),
        ({"content": "<think>\nwhy\n</think>\n\nAction: a"}, "Action: a", "why"),
        ({"content": "why</think>\nAction: a"}, "Action: a", "why"),
        ({"content": "<think>why, and no end"}, "", "why, and no end"),
        ({"content": "Sure.\n<think>why</think>\nAction: a"}, "Sure.\nAction: a", "why"),
        ({"content": "[THINK]why[/THINK]Action: a"}, "Action: a", "why"),
        ({"content": "Action: a", "thinking": "why"}, "Action: a", "why"),
        (
            {"content": "Action: a", "reasoning_details": [{"type": "reasoning.text", "text": "why"}]},
            "Action: a",
            "why",
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
                    {"type": "text", "text": "a"},
                ]
            },
            "a",
            "why",
        ),
        ({"content": "<think>second</think>Action: a", "reasoning": "first"}, "Action: a", "first\nsecond"),
        ({"content": [{"type": "text", "text": "Action: "}, {"type": "text", "text": "a"}]}, "Action: a", None),
        ({"content": "Action: \ud800"}, "Action: \ufffd", None),
        ({"content": None}, "", None),
        ({}, "", None),
    ],
)
def test_reasoning_is_kept_apart_from_the_answer(message: dict[str, Any], text: str, reasoning: str | None) -> None:
    reply = read_reply(completion(message), None, None)
    assert (reply.text, reply.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"1" * 5000,
        b"[" * 100_000,
        b'{"choices": 1}',
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "hi"}]}',
        b'{"choices": null, "error": null}',
        b'{"error": "gone"}',
        b'{"choices": [], "error": {"message": null}}',
        completion({"content": None, "refusal": "no"}),
        completion({"content": ""}, finish_reason="content_filter"),
    ],
)
def test_whatever_comes_in_place_of_an_answer_is_a_named_fault(body: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read_reply(body, None, None)
    assert refusal.value.kind in KINDS


@pytest.mark.parametrize(
    "usage",
    [7, [], {}, {"prompt_tokens": -1}, {"prompt_tokens": "many"}, {"prompt_tokens": True}, {"prompt_tokens": 1e300}],
)
def test_a_usage_that_is_none_is_unknown(usage: Any) -> None:
    body = json.loads(completion({"content": "a"})) | {"usage": usage}
    assert read_reply(json.dumps(body).encode(), 1.0, 1.0).usage is None


def test_the_prior_is_the_mean_probability_of_the_tokens_of_the_action() -> None:
    tokens = (("Thought: why", -5.0), ("\nAction:", -3.0), (" go", -0.1), (" north", -0.3), ("\n", -4.0))
    assert action_probability(tokens, "go north") == pytest.approx(2.718281828**-0.2)
    no_label = (("I think.\n", -5.0), ("go", -0.1), (" north", -0.3))
    assert action_probability(no_label, "go north") == pytest.approx(2.718281828**-0.2)
    assert action_probability((), "go") is None


@pytest.mark.parametrize("score", [float("nan"), 0.5, "low", None, True])
def test_log_probabilities_that_are_none_are_left_aside(score: Any) -> None:
    logprobs = {"content": [{"token": "a", "logprob": score}]}
    assert read_reply(completion({"content": "a"}, logprobs=logprobs), None, None).tokens == ()
