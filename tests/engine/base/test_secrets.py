"""A key is recognised in texts and URLs, and what would store one is refused without repeating it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.cli.judge_options import judge_of
from engine.base.errors import InputError
from engine.base.secrets import REDACTED, check_url, key_like, redacted, redacted_record, secret_in_url
from engine.models.endpoint import Endpoint, check_endpoint
from engine.search.settings import settings_from

KEY = "sk-" + "a1" * 12
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK+/=\n-----END RSA PRIVATE KEY-----"

HOLD = {
    f"https://x.org/v1?api_key={KEY}": "api_key",
    "https://x.org/v1?key=abc": "key",
    "https://x.org/v1?a=1&access_token=abc": "access_token",
    "https://x.org/v1?sig=abc": "sig",
    "https://x.org/v1#token=abc": "token",
    f"https://x.org/v1?x={KEY}": "x",
    f"https://x.org/{KEY}/v1": "path",
    f"https://x.org/v1/{KEY.replace('-', '%2D')}": "path",
    "https://x.org/v1?x=1;api_key=abc": "api_key",
    "https://x.org/v1;token=abc/x": "token",
    "https://x.org/v1/token=abc": "token",
    "https://x.org/v1?api%5Fkey=abc": "api_key",
    f"https://x.org/v1?{KEY}": "query",
    f"https://x.org/v1#{KEY}": "fragment",
    f"https://x.org/v1?{KEY}=1": "query",
    f"https://{KEY}.x.org/v1": "host",
    f"https://{KEY.replace('-', '%2D')}.x.org/v1": "host",
    "https://me:word@x.org/v1": "password",
    "https://me@x.org/v1": "password",
}
HARMLESS = [
    "",
    "https://sk-learn-inference-server.example/v1",
    "https://sk-2-learn-inference-server.example:8000/v1",
    "x",
    "http://[",
    "http://127.0.0.1:8000/v1",
    "https://x.org/v1?api-version=2024-06-01",
    "https://x.org/v1?design=a",
    "https://x.org/v1;version=2/keys?a=1;b=2",
    "https://x.org/v1/tokens/x?apikey",
]


@pytest.mark.parametrize("url", HOLD)
def test_a_key_in_a_url_is_stored_nowhere_and_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret_in_url(url) == HOLD[url]
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    for store in (
        lambda: check_url(url),
        lambda: settings_from({"base_url": url}),
        lambda: check_endpoint(Endpoint("m", url)),
    ):
        with pytest.raises(InputError, match=r"base URL( of x\.org)? holds") as error:
            store()
        assert KEY not in str(error.value)
        assert "abc" not in str(error.value)
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(InputError, match="holds"):
        check_endpoint(Endpoint("m"))


@pytest.mark.parametrize("url", HARMLESS)
def test_a_url_without_a_key_is_taken(url: str) -> None:
    assert secret_in_url(url) is None


@pytest.mark.parametrize(
    "body",
    [
        {"auth": {"header": [f"Bearer {KEY}"]}},
        {"a": f"x\n{KEY}"},
        {"a": f"é{KEY}"},
        {"a": [1, {"b": f'"{KEY}"'}]},
        {KEY: 1},
    ],
)
def test_a_key_in_further_fields_of_a_request_is_not_stored(body: dict[str, object]) -> None:
    for store in (
        lambda: settings_from({"extra_body": body}),
        lambda: judge_of({"extra_body": json.dumps(body)}),
    ):
        with pytest.raises(InputError, match="--extra-body holds a key") as error:
            store()
        assert KEY not in str(error.value)


def test_a_redacted_text_holds_no_key_and_all_else() -> None:
    assert redacted(f"use {KEY}, and\n{PEM}\nthen {KEY}") == (f"use {REDACTED}, and\n{REDACTED}\nthen {REDACTED}", 3)
    assert redacted("-----BEGIN PRIVATE KEY-----\nMIIE cut off") == (f"{REDACTED}", 1)
    assert redacted("nothing") == ("nothing", 0)
    value = {"messages": [{"role": "user", "content": f"{KEY} {KEY}"}], "ids": [1, 2], "n": None}
    assert redacted_record(value) == (
        {"messages": [{"role": "user", "content": f"{REDACTED} {REDACTED}"}], "ids": [1, 2], "n": None}, 2
    )  # fmt: skip


@given(st.lists(st.one_of(st.text(), st.sampled_from([KEY, PEM, "hf_" + "x" * 34, "AKIA" + "A" * 16])), max_size=6))
def test_no_text_looks_like_a_key_once_it_is_redacted(parts: list[str]) -> None:
    text, count = redacted(" ".join(parts))
    assert not key_like(text)
    assert redacted(text) == (text, 0)
    assert (count > 0) == key_like(" ".join(parts))
