"""What servers refuse, in their own words: the call is made again in a form that they take, and said so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.environment.permission import UntrustedTrace, check_server
from engine.models import client as llm
from engine.models.client import CallFailed, ChatRequest
from engine.models.endpoint import check_endpoint
from engine.models.faults import refusal_of_status
from engine.models.refused_parameters import is_too_long, refused_parameters, refuses_system, words_of
from engine.models.reply import Reply, read_reply, why_empty
from engine.models.structured_form import FORMS, joined_system
from engine.search.settings import settings_from
from engine.tree.events import Message, SearchSettings
from tests.engine.models.test_llm import ANSWER, KEY, MESSAGES, call, endpoint, says_north
from tests.servers.llm_server import Body, Call, LLMServer


@pytest.fixture(autouse=True)
def quick_and_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, and a key in the environment."""
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


class Picky(LLMServer):
    """Refuses what `refuses` says of a body: status and words."""

    def __init__(self, refuses: Any, **more: Any) -> None:
        super().__init__(answer=more.pop("answer", says_north), **more)
        self.refuses = refuses

    def _reply(self, to: Any, call: Call) -> None:
        refused = self.refuses(call.body)
        if refused is None:
            super()._reply(to, call)
        else:
            status, body = refused
            data = json.dumps(body if isinstance(body, dict | list) else {"error": {"message": body}}).encode()
            self._send(to, call, status, data)


def with_field(name: str, status: int, said: Any) -> Any:
    """Refuses bodies that have a field."""
    return lambda body: (status, said) if name in body else None


PARAMETERS = [
    ("temperature", 400, "Unsupported value: 'temperature' does not support 0.0 with this model."),
    ("temperature", 400, "invalid temperature: only 1 is allowed for this model"),
    ("temperature", 400, "`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
    ("temperature", 422, "temperature is deprecated for this model"),
    ("seed", 400, "property 'seed' is unsupported"),
    ("seed", 422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
    ("seed", 400, [{"error": {"code": 400, "message": 'Invalid JSON. Unknown name "seed": Cannot find field.'}}]),
    ("stop", 400, "Argument not supported on this model: stop"),
    ("stop", 400, "Unrecognized request argument supplied: stop"),
    ("stop", 400, "Malformed input request: extraneous key [stop] is not permitted"),
    ("stop", 422, {"detail": [{"loc": ["body", "stop"], "msg": "Extra inputs are not permitted"}]}),
    ("logprobs", 403, "You are not allowed to request logprobs from this model"),
    ("logprobs", 400, "deepseek-reasoner does not support logprobs"),
    ("top_p", 400, "The parameter top_p is not supported by this model"),
    ("reasoning_effort", 400, "Unrecognized request argument supplied: reasoning_effort"),
    ("max_tokens", 400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."),
    ("max_tokens", 403, "max_tokens is not supported"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "said"), PARAMETERS)
def test_a_parameter_that_is_refused_in_any_words_is_left_out_and_the_log_says_so(
    name: str, status: int, said: Any
) -> None:
    ask = ChatRequest(MESSAGES, 0.0, 50, seed=1, stop=("\nObservation:",), logprobs=True)
    with Picky(with_field(name, status, said)) as server:
        (reply,), faults = call(endpoint(server, top_p=0.9, reasoning_effort="low"), ask)
        bodies = [each.body for each in server.calls]
    assert isinstance(reply, Reply)
    assert [name in body for body in bodies] == [True, False]
    assert set(bodies[0]) - {name} == set(bodies[1]) - {"max_completion_tokens"}, "nothing else was left out"
    assert ("max_completion_tokens" in bodies[1]) == (name == "max_tokens")
    ((kind, told, attempt, _),) = faults
    assert name in told.rpartition("; asked again")[2]
    assert (attempt, kind in ("unsupported", "authentication")) == (1, True)


@pytest.mark.parametrize(
    "said",
    [
        "this conversation is not one",
        "You must stop sending so many unsupported requests",
        "max_tokens is too large: 100000. This model supports at most 4096 completion tokens",
        "incorrect API key provided",
        "Your account is not allowed to use this model; please stop",
    ],
)
def test_words_that_refuse_something_else_are_no_refused_parameter(said: str) -> None:
    assert refused_parameters("", "", said) == ()
    assert not refuses_system(said)
    assert not is_too_long("", said)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "System role not supported"),
        (500, "Value is not callable... System role not supported (in <string>:1)"),
        (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        (400, "Only user and assistant roles are supported!"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, 'messages: Unexpected role "system".'),
        (422, "Template error: system messages are not supported"),
        (400, "The model does not support system messages"),
    ],
)
def test_a_system_turn_that_is_refused_is_joined_to_the_first_user_turn_from_then_on(status: int, said: str) -> None:
    def refuses(body: Body) -> Any:
        return (status, said) if body["messages"][0]["role"] == "system" else None

    with Picky(refuses) as server:
        (reply,), faults = call(endpoint(server))
        turns = server.calls[-1].body["messages"]
    assert isinstance(reply, Reply)
    assert turns == [{"role": "user", "content": "You help.\n\nWhere to?"}]
    assert len(faults) == 1
    with Picky(refuses) as server:
        call(endpoint(server, no_system=True))
        assert len(server.calls) == 1


def test_a_system_turn_without_a_user_turn_becomes_one() -> None:
    assert joined_system([Message("system", "a")]) == [Message("user", "a")]
    assert joined_system([Message("assistant", "b"), Message("system", "a")])[0] == Message("user", "a")


LONG = [
    "This model's maximum context length is 4096 tokens. However, you requested 4700 tokens.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4200 `inputs` tokens and 500",
    "`inputs` must have less than 1024 tokens. Given: 3000",
    "The input token count (4200) exceeds the maximum number of tokens allowed (4096).",
    "input length and `max_tokens` exceed context limit: 4200 + 500 > 4096, decrease input length or `max_tokens`",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Please reduce the length of the messages or completion.",
    "Range of input length should be [1, 30720]",
    "the request exceeds the available context size, try increasing it",
    "Context size has been exceeded.",
    "Input is too long for requested model.",
    "Your input exceeds the context window of this model.",
    "Requested tokens (600) exceed context window of 512",
    "Prompt contains 40000 tokens, exceeding the model's limit of 32768",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
    "The number of tokens in the prompt (5000) is greater than the maximum of 4096",
    "Request body too large for gpt-4.1 model. Max size: 8000 tokens.",
    "输入长度超过限制",
]


@pytest.mark.parametrize("said", LONG)
@pytest.mark.parametrize("status", [400, 422, 500])
def test_too_long_is_known_in_the_words_of_every_family_and_not_tried_again(status: int, said: str) -> None:
    with Picky(lambda body: (status, said)) as server:
        (failed,), _ = call(endpoint(server))
        assert len(server.calls) == 1
    assert isinstance(failed, CallFailed)
    assert failed.kind == "too long"
    assert "--context" in str(failed)


def test_a_form_is_asked_for_as_the_server_can_and_in_words_only_at_last() -> None:
    schema = {"type": "object"}

    def refuses(*types: str) -> Any:
        def refused(body: Body) -> Any:
            form = body.get("response_format", {}).get("type", "")
            return (400, f"'response_format.type' must not be '{form}'") if form in types else None

        return refused

    for types, last in (((), "json_schema"), (FORMS[:1], "json_object"), (FORMS[:2], None)):
        with Picky(refuses(*types)) as server:
            (reply,), _ = call(endpoint(server), ChatRequest(MESSAGES, 0.0, 9, schema=schema))
            bodies = [each.body for each in server.calls]
        assert isinstance(reply, Reply)
        assert bodies[-1].get("response_format", {}).get("type") == last
        assert len(bodies) == len(types) + 1
    first = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert bodies[0]["response_format"] == first


# -- what a person adds ----------------------------------------------------------------------------


def test_fields_and_headers_of_ones_own_are_sent_and_values_of_headers_are_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "another-secret-0123"
    monkeypatch.setenv("GATE", secret)
    with LLMServer(answer=lambda body: f"Thought: {secret}\nAction: go") as server:
        to = endpoint(server, extra_body={"enable_thinking": False, "temperature": None}, header=("X-Gate=GATE",))
        (reply,), _ = call(to)
        sent = server.calls[0]
    assert sent.headers["x-gate"] == secret
    assert sent.body["enable_thinking"] is False
    assert "temperature" not in sent.body
    assert isinstance(reply, Reply)
    assert reply.text == "Thought: [key]\nAction: go"
    assert secret not in repr(to)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"header": ("X-Gate",)}, "NAME=VARIABLE"),
        ({"header": ("X-Gate=sk-pasted-value",)}, "NAME=VARIABLE"),
        ({"header": ("X-Gate=NOT_SET_AT_ALL",)}, "X-Gate is not set"),
        ({"extra_body": {"key": KEY}}, "holds the key"),
    ],
)
def test_headers_and_fields_that_would_give_a_secret_away_are_refused(changes: dict[str, Any], said: str) -> None:
    with LLMServer() as server, pytest.raises(InputError, match=said) as error:
        check_endpoint(endpoint(server, **changes))
    assert "sk-" not in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_extra_fields_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--extra-body"):
        settings_from({"extra_body": text})
    assert settings_from({"extra_body": '{"a": null}'}).extra_body == {"a": None}


def test_a_strangers_trace_sends_no_variable_that_a_header_of_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("CLOUD_SECRET", "x" * 20)
    settings = SearchSettings(actor="openai", base_url="https://elsewhere.example/v1", header=["X=CLOUD_SECRET"])
    with pytest.raises(UntrustedTrace, match="--header X=CLOUD_SECRET") as stranger:
        check_server(settings, [], "a trace")
    check_server(settings, [stranger.value.named], "a trace")


# -- what comes back -------------------------------------------------------------------------------


def body_of(message: dict[str, Any], finish: str = "stop", usage: dict[str, Any] | None = None, **choice: Any) -> bytes:
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": message, "finish_reason": finish} | choice], "usage": usage}).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            body_of({"content": ""}, "length", {"prompt_tokens": 9, "completion_tokens": 20,
                    "completion_tokens_details": {"reasoning_tokens": 480}}),
            "all 480 tokens went into its reasoning, which is not shown: raise --max-tokens",
        ),
        (body_of({"content": "<think>so"}, "length"), "all 500 tokens went into its reasoning: raise --max-tokens"),
        (body_of({"content": None, "reasoning_content": "Action: go"}), "the text lies in `reasoning_content`"),
        (body_of({"content": None, "reasoning": "Action: go"}), "the text lies in `reasoning`"),
        (body_of({"content": ""}, stop_reason="\nObservation:"), "it began with the stop word 'Observation:'"),
        (body_of({"content": None, "tool_calls": [{"function": {"name": "act"}}]}), "called a tool (act)"),
    ],
)  # fmt: skip
def test_an_empty_answer_says_why(data: bytes, said: str) -> None:
    reply = read_reply(data, None, None)
    assert reply.text == ""
    assert said in why_empty(reply, 500, ("\nObservation:",))


def test_an_answer_that_is_streamed_all_the_same_is_read() -> None:
    whole = {"content": ANSWER, "reasoning_content": "north"}
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    chunks += [{"choices": [{"index": 0, "delta": {name: letter}}]} for name, text in whole.items() for letter in text]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    data = ": keep-alive\n\n" + "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    reply = read_reply(f"{data}data: [DONE]\n\n".encode(), 1.0, 1.0)
    assert (reply.text, reply.reasoning, reply.finish) == (ANSWER, "north", "stop")
    assert reply.usage is not None
    assert (reply.usage.tokens_in, reply.usage.tokens_out) == (3, 4)
    cut = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks[:9])
    with pytest.raises(Exception, match="no choices"):
        read_reply(cut.encode(), None, None)


def test_cached_prompt_tokens_are_counted_and_have_a_price_of_their_own() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}}
    data = body_of({"content": "a"}, usage=usage)
    reply = read_reply(data, 2.0, 8.0, price_cached=0.5)
    assert reply.usage is not None
    assert reply.usage.cached == 900
    assert reply.usage.cost == pytest.approx((100 * 2.0 + 900 * 0.5 + 10 * 8.0) / 1e6)
    dear = read_reply(data, 2.0, 8.0).usage
    assert dear is not None
    assert dear.cost == pytest.approx((1000 * 2.0 + 10 * 8.0) / 1e6)
    deepseek = body_of(
        {"content": "a"}, usage={"prompt_tokens": 8, "completion_tokens": 1, "prompt_cache_hit_tokens": 5}
    )
    assert getattr(read_reply(deepseek, None, None).usage, "cached", None) == 5


def test_an_error_in_a_choice_is_a_server_error_that_is_tried_again() -> None:
    broken = {"choices": [{"message": {"content": ""}, "finish_reason": "error",
                           "error": {"code": 502, "message": "Upstream error"}}]}  # fmt: skip

    def refuses(body: Body) -> Any:
        return (200, broken) if len(server.calls) < 3 else None

    with Picky(refuses) as server:
        (reply,), faults = call(endpoint(server))
    assert isinstance(reply, Reply)
    assert [kind for kind, *_ in faults] == ["server error", "server error"]
    assert "502: Upstream error" in faults[0][1]


def test_words_of_an_error_of_any_shape_are_found() -> None:
    assert words_of({"detail": [{"loc": ["body", "seed"], "msg": "no"}]}) == "seed: no"
    assert words_of([{"message": "a"}, "b"]) == "a; b"
    raw = {"message": "Provider returned error", "metadata": {"raw": "prompt is too long"}}
    assert refusal_of_status(400, raw, {}).kind == "too long"
