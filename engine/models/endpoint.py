"""Where and how a model is called: a server, what it costs, the variable that holds the key. No client library."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from engine.base.errors import InputError
from engine.base.secrets import check_url
from engine.environment.permission import DEFAULT_KEY_ENV

DEFAULT_BASE_URL = "https://api.openai.com/v1"
NO_KEY = "no-key"
"""Sent where no key is set: servers of one's own mostly ask for none, the library for some."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a name of an environment variable looks like."""

SHORTEST_SECRET = 8  # characters
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header's name looks like."""


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
    price_cached: float | None = None  # US dollars a million prompt tokens that the server had cached; None: price_in
    top_p: float | None = None  # None: the server's own
    reasoning_effort: str = ""  # "": the server's own
    extra_body: Mapping[str, Any] = field(default_factory=dict)  # further fields of every request; None takes one out
    header: tuple[str, ...] = ()  # NAME=ENV: headers whose values are in variables of the environment
    no_system: bool = False  # the system turn is sent as part of the first user turn

    @classmethod
    def of(cls, settings: Struct) -> Endpoint:
        """The endpoint that the settings of a search, or of a judge, name: their fields are called as those here."""
        found = {each.name: getattr(settings, each.name) for each in fields(cls)}
        return cls(**{**found, "header": tuple(found["header"])})

    @property
    def url(self) -> str:
        """The base URL that is called."""
        return self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL


def is_secret(key: str) -> bool:
    """Whether a key is a secret: `none`, `EMPTY` and the like are not, and occur in many texts."""
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
    check_url(url)
    secrets = [key_of(endpoint), *headers_of(endpoint).values()]
    written = json.dumps(dict(endpoint.extra_body))
    if any(is_secret(secret) and secret in written for secret in secrets):
        raise InputError("--extra-body holds the key, and would be written into traces: use --header NAME=VARIABLE")


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """The headers that `header` names, with their values. Raises `InputError`, which holds no value."""
    found = {}
    for each in endpoint.header:
        name, _, variable = each.partition("=")
        if not HEADER.fullmatch(name) or not VARIABLE.fullmatch(variable):
            raise InputError(
                "--header takes NAME=VARIABLE: a header and the environment variable that holds its value; the value"
                " itself is written nowhere"
            )
        value = os.environ.get(variable, "").strip()
        if not value:  # not named here: it may be a value that somebody pasted
            raise InputError(f"the environment variable for the header {name} is not set: set it, or name another")
        if not (value.isascii() and value.isprintable()):
            raise InputError(f"the value of the header {name} holds characters that can't be sent")
        found[name] = value
    return found


def key_of(endpoint: Endpoint) -> str:
    """The key in the endpoint's variable; `NO_KEY` where a server may need none. Raises `InputError`."""
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
    if is_secret(key) and key in unquote(endpoint.url):
        raise InputError(
            f"the base URL holds the key, and would be written into traces: leave it to {endpoint.key_env}"
        )
    return key
