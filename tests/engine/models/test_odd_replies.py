# ruff: noqa: E501
"""Answers and errors of status 200 in the shapes of servers and gateways; all made up for the purpose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.models.faults import Refusal, refusal_of_status
from engine.models.reply import read_reply
from tests.engine.models.test_llm import ANSWER


def body_of(message: dict[str, Any], finish: str = "stop", **choice: Any) -> bytes:
    """The body of a chat completion."""
    return json.dumps({"choices": [{"message": message, "finish_reason": finish} | choice]}).encode()


SAID = {"content": ANSWER}
ODD_ANSWERS: list[tuple[str, bytes]] = [
    ("a content of strings", body_of({"content": list(ANSWER)})),
    ("a content that is one part", body_of({"content": {"type": "text", "text": ANSWER}})),
    ("a text within a text", body_of({"content": [{"type": "text", "text": {"value": ANSWER}}]})),
    ("a part of reasoning", body_of({"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": ANSWER}]})),
    ("an odd reason to end", body_of(SAID, "eos_token")),
    ("no reason to end", body_of(SAID, finish_reason=None)),
    ("a delta in place of a message", json.dumps({"choices": [{"delta": SAID, "finish_reason": "stop"}]}).encode()),
    ("an older interface", json.dumps({"choices": [{"text": ANSWER, "finish_reason": "stop"}]}).encode()),
    ("a gateway's wrapping", json.dumps({"success": True, "result": {"choices": [{"message": SAID}]}}).encode()),
    ("an error that is none", json.dumps({"choices": [{"message": SAID}], "error": {}, "base_resp": {"status_code": 0}}).encode()),
    ("a mark before the text", b"\xef\xbb\xbf" + body_of(SAID)),
    ("comments before the text", b": WORKING\n\n: WORKING\n\n" + body_of(SAID)),
    ("a chunk a line", b"".join(json.dumps({"choices": [{"delta": {"content": each}, "finish_reason": end}]}).encode() + b"\n"
                                for each, end in ((ANSWER[:5], None), (ANSWER[5:], "stop")))),
    ("events after a wait", b"retry: 9\ndata: " + json.dumps({"choices": [{"delta": SAID, "finish_reason": "stop"}]}).encode()),
    ("parts in events", b"data: " + json.dumps({"choices": [{"delta": {"content": [{"type": "text", "text": ANSWER}]}}]}).encode()
     + b"\n\ndata: [DONE]\n"),
]  # fmt: skip


@pytest.mark.parametrize(("dress", "data"), ODD_ANSWERS)
def test_an_answer_in_the_dress_of_any_server_is_read(dress: str, data: bytes) -> None:
    assert read_reply(data, None, None).text == ANSWER, dress


@pytest.mark.parametrize("finish", ["MAX_TOKENS", "max_tokens", "model_length", "FinishReason.MAX_TOKENS"])
def test_an_answer_at_its_limit_is_known_in_the_words_of_every_server(finish: str) -> None:
    assert read_reply(body_of(SAID, finish), None, None).finish == "length"


ERRORS: list[tuple[str, Any]] = [
    ("too long", {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400}),
    ("too long", {"code": "InvalidParameter", "message": "Range of input length should be [1, 6000]"}),
    ("too long", [{"error": {"code": 400, "message": "The input token count (4200) exceeds the maximum number of tokens"}}]),
    ("quota", {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    ("authentication", {"detail": "Unauthorized"}),
    ("authentication", {"error": "Incorrect API key provided"}),
    ("authentication", {"code": 401, "msg": "invalid api key"}),
    ("wrong model", {"error": "model 'm' not found, try pulling it first"}),
    ("rate limit", {"error": {"code": "rate_limit", "message": "slow down"}}),
    ("server error", {"success": False, "errors": [{"code": 7009, "message": "Upstream service unavailable"}], "result": {}}),
    ("server error", {"error": {"code": 503, "message": "boom"}, "choices": [None]}),
    ("server error", {"choices": [{"message": {"content": "Thought: I"}, "finish_reason": "abort"}]}),
    ("server error", {"choices": [{"message": {"content": "Thought: I"}, "finish_reason": "insufficient_system_resource"}]}),
    ("refusal", {"choices": [{"message": {"content": None}, "finish_reason": "PROHIBITED_CONTENT"}]}),
    ("refusal", {"choices": [{"message": {"content": [{"type": "refusal", "refusal": "I can't"}]}, "finish_reason": "stop"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), ERRORS)
def test_an_error_with_status_200_is_of_its_kind_in_the_shape_of_any_server(kind: str, body: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        read_reply(json.dumps(body).encode(), None, None)
    assert refusal.value.kind == kind


def test_an_error_in_an_event_is_of_its_kind() -> None:
    error = {"object": "error", "message": "prompt is too long: 5000 tokens > 4096 maximum", "code": 400}
    data = b"event: error\ndata: " + json.dumps(error).encode() + b"\n\ndata: [DONE]\n\n"
    with pytest.raises(Refusal) as refusal:
        read_reply(data, None, None)
    assert refusal.value.kind == "too long"


def test_a_page_in_place_of_json_says_what_it_is_and_how_the_address_ends() -> None:
    page = "<!DOCTYPE html><html><head><title>Open\n WebUI</title></head><body>context length exceeded</body></html>"
    with pytest.raises(Refusal, match=r"HTML page .* Open WebUI; does --base-url end in /v1\?") as refusal:
        read_reply(page.encode(), None, None)
    assert refusal.value.kind == "bad json"
    gateway = refusal_of_status(502, "<html><title>502 Bad Gateway</title></html>", {})
    assert (gateway.kind, str(gateway)) == ("server error", "502: 502 Bad Gateway")


def test_a_call_in_a_part_of_the_content_is_a_call() -> None:
    parts = [{"type": "text", "text": "I go."}, {"type": "tool_use", "name": "act", "input": {"text": "go"}}]
    reply = read_reply(body_of({"content": parts}, "tool_use"), None, None)
    assert [(call.name, call.arguments) for call in reply.calls] == [("act", '{"text": "go"}')]
    assert read_reply(body_of(SAID | {"function_call": {"name": None, "arguments": None}}), None, None).calls == ()
