"""What can go wrong with a call to a model, by kind, and which of it a second attempt may mend."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.tree.events import Usage

KINDS: dict[str, str] = {
    "rate limit": "429: asked too often",
    "server error": "5xx, 408, 409, 425 or an error in place of an answer",
    "timeout": "no whole answer within the time limit",
    "connection": "refused, cut or never made",
    "bad json": "what came is no JSON, or of another shape",
    "empty choices": "an answer without an answer in it",
    "quota": "402, or 429 that says that the money is used up",
    "empty": "an answer of no text",
    "refusal": "the model or its filter refused",
    "wrong model": "there is no such model or address",
    "bad request": "the server does not take the request",
    "unsupported": "the server does not take one parameter",
    "authentication": "401 or 403: the key is wrong or missing",
    "too long": "the conversation exceeds the model's context",
    "too large": "the answer does not end",
}
"""Every kind of failed call."""

MENDABLE = frozenset({"rate limit", "server error", "timeout", "connection", "bad json", "empty choices"})
"""Kinds after which the same call is made again."""

HOPELESS = frozenset({"quota", "wrong model", "authentication", "bad request", "unsupported"})
"""Kinds that every further call would meet as well."""

LONGEST_ASKED = 300.0  # seconds; a server that asks for more has sent us away

_CONTEXT = re.compile(r"context.{0,3}(length|size|window)|maximum context|prompt is too long|too many tokens", re.I)
_PARAMETER = re.compile(r"['\"`](logprobs|seed|stop|max_tokens)['\"`]|\b(logprobs)\b")
_UNSUPPORTED = re.compile(r"unsupported|not support|unrecognized|unknown|extra inputs|not permitted|not allowed", re.I)


class Refusal(Exception):
    """An attempt that failed, in the server's own words: neither scrubbed nor cut yet."""

    def __init__(
        self, kind: str, message: str, *, usage: Usage | None = None, wait: float | None = None, parameter: str = ""
    ) -> None:
        self.kind = kind
        self.usage = usage  # of what was paid for all the same
        self.wait = wait  # seconds that the server asks to wait
        self.parameter = parameter  # that the server does not take
        super().__init__(message)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` (seconds or a date) or `retry-after-ms` header asks to wait; None without one."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            said = headers["retry-after"]
            try:
                seconds = float(said)
            except ValueError:
                when = parsedate_to_datetime(said)
                seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - datetime.now(
                    UTC
                ).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def asks_too_much(wait: float | None) -> bool:
    """Whether a server asks for a wait that nobody would sit through."""
    return wait is not None and wait > LONGEST_ASKED


def refusal_of_status(status: int, body: object, headers: Mapping[str, str]) -> Refusal:
    """What an answer with a status of 4xx or 5xx means. `body`: the error object in it, else what came."""
    code, parameter, said = _facts(body)
    message = f"{status}: {said}" if said else f"status {status}"
    wait = retry_after(headers)
    if status == 402 or (status < 500 and _without_money(status, code, said)):
        return Refusal("quota", message, wait=wait)
    if status == 429:
        return Refusal("rate limit", message, wait=wait)
    if status >= 500 or status in (408, 409, 425):
        return Refusal("server error", message, wait=wait)
    if status in (401, 403, 407):
        if status == 403 and _WITHHELD.search(said):
            return Refusal("refusal", message)
        return Refusal("authentication", message, parameter=_refused_parameter(parameter, code, said))
    if status == 413 or code in ("context_length_exceeded", "exceed_context_size_error") or _CONTEXT.search(said):
        return Refusal("too long", message)
    if code in ("content_filter", "content_policy_violation"):
        return Refusal("refusal", message)
    if status == 404 or code in ("model_not_found", "invalid_model"):
        return Refusal("wrong model", message, parameter=_refused_parameter(parameter, code, said))
    if refused := _refused_parameter(parameter, code, said):
        return Refusal("unsupported", message, parameter=refused)
    return Refusal("bad request", message)


def refusal_in_answer(error: object, usage: Usage | None = None) -> Refusal:
    """What an error in place of an answer means, which came with status 200: what its code says, as a number or a
    word; else the server failed."""
    code, _, said = _facts(error)
    status = (
        int(code) if code.isascii() and code.isdigit() and 400 <= int(code) < 600 else _CODES.get(code.lower(), 500)
    )
    if status == 500 and _without_money(429, code, said):
        status = 402
    refusal = refusal_of_status(status, error, {})
    message = f"an error in place of an answer: {said or code or 'no words'}"
    return Refusal(refusal.kind, message, usage=usage, parameter=refusal.parameter)


_CODES = {
    "insufficient_quota": 402,
    "insufficient_credits": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthorized": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "forbidden": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "context_length_exceeded": 400,
    "content_filter": 400,
}
"""Statuses that codes of errors stand for."""

_NO_MONEY = re.compile(
    r"insufficient.{0,12}(quota|balance|credit|fund)|credit balance is too low|payment required|out of credits"
    r"|(billing|spending).{0,12}limit|exceeded your current quota",
    re.I,
)
_SOON = re.compile(r"retry (in|after)|try again|per[ -](minute|second|hour|day)|\b[rt]p[md]\b", re.I)
_WITHHELD = re.compile(r"\bflagged\b|moderation|content.{0,3}(filter|policy)", re.I)


def _without_money(status: int, code: str, said: str) -> bool:
    """Whether the words of an error say that the money is used up; a limit that passes by waiting is none of these."""
    if code in ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"):
        return True
    return _NO_MONEY.search(said) is not None and not (status == 429 and _SOON.search(said))


def _facts(body: object) -> tuple[str, str, str]:
    """Code, parameter and message of an error body of any shape."""
    if not isinstance(body, dict):
        return "", "", str(body or "")
    said: Any = body.get("message") or body.get("detail") or body.get("error") or body
    code = body.get("code") or body.get("type") or ""
    return str(code), str(body.get("param") or ""), str(said)


def _refused_parameter(parameter: str, code: str, said: str) -> str:
    if not (code in ("unsupported_parameter", "unsupported_value") or _UNSUPPORTED.search(said)):
        return ""
    match = _PARAMETER.search(said)
    return parameter or (match[1] or match[2] if match else "")
