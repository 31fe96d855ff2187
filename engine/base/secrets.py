"""What looks like an access key, in texts and in URLs. A key is never stored; texts of others may hold one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from engine.base.errors import InputError

REDACTED = "[redacted]"
"""What stands in the place of a key that was taken out."""

_KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{20,}"  # OpenAI and those that copied it
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}"
    r"|hf_[A-Za-z0-9]{30,}"
    r"|AKIA[0-9A-Z]{16}"  # AWS
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|xox[abprs]-[A-Za-z0-9-]{10,}"  # Slack
    r")|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|[A-Za-z0-9+/=\\\s]*)",
    re.S,
)
_SECRET_NAME = re.compile(
    r"key|token|secret|passw|pwd|credential|signature|auth|(?:^|[^a-z])(?:sig|code|sas)(?:$|[^a-z])", re.I
)
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16}")


@lru_cache(maxsize=4096)  # samples of a tree share most of their texts
def key_like(text: str) -> bool:
    """Whether a text holds something that looks like an access key."""
    return _KEY_LIKE.search(text) is not None


def redacted(text: str) -> tuple[str, int]:
    """The text with `REDACTED` in the place of each string that looks like a key, and how many there were."""
    return _KEY_LIKE.subn(REDACTED, text)


def redacted_record(value: Any) -> tuple[Any, int]:
    """A value of JSON with every text in it redacted, and how many strings that were; its keys stay."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        pairs = {key: redacted_record(each) for key, each in value.items()}
        return {key: each for key, (each, _) in pairs.items()}, sum(count for _, count in pairs.values())
    if isinstance(value, list) and not (value and isinstance(value[0], int)):  # token ids hold no text
        items = [redacted_record(each) for each in value]
        return [each for each, _ in items], sum(count for _, count in items)
    return value, 0


def holds_key(value: Any) -> bool:
    """Whether a text of a JSON value, or a name in it, holds something that looks like an access key."""
    if isinstance(value, dict):
        return any(key_like(name) or holds_key(each) for name, each in value.items())
    if isinstance(value, list):
        return any(map(holds_key, value))
    return isinstance(value, str) and key_like(value)


def check_body(extra_body: Any) -> None:
    """Raises `InputError`, which does not hold it, where further fields of requests, which are stored, hold a key."""
    if holds_key(extra_body):
        raise InputError("--extra-body holds a key, and would be written into traces: use --header NAME=VARIABLE")


def secret_in_url(url: str) -> str | None:
    """The part of a URL that holds a key or a password, by name; None where none does."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.username or parts.password:
        return "password"
    for piece in re.split("[&;]", f"{parts.query}&{parts.fragment}") + re.split("[/;]", parts.path):
        name, _, value = unquote_plus(piece).partition("=")
        if value and not key_like(name) and (_SECRET_NAME.search(name) or key_like(value)):
            return name[:40]
    places = {"path": parts.path, "query": parts.query, "fragment": parts.fragment}
    if _RANDOM.search(host := unquote(parts.netloc)):  # else it is a name: sk-learn-inference-server.example
        places["host"] = host
    return next((name for name, text in places.items() if key_like(unquote(text))), None)


def check_url(url: str) -> None:
    """Raises `InputError`, which does not hold it, where a URL that would be stored holds a key or a password."""
    where = secret_in_url(url)
    if where is not None:
        what = "a password" if where == "password" else f"a key ({where})"
        of = "" if where == "host" else f" of {urlsplit(url).hostname}"
        raise InputError(
            f"the base URL{of} holds {what}, and would be written into traces: put it into an environment variable, and"
            " name that with --key-env or --header NAME=VARIABLE"
        )
