"""What can go wrong with a call to a model, by kind, and which of it a second attempt may mend."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.models.refused_parameters import is_too_long, refused_parameters, refuses_system, words_of
from engine.models.tool_calls import refuses_tools
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
    "no tools": "the server or its model calls no tools",
    "authentication": "401 or 403: the key is wrong or missing",
    "too long": "the conversation exceeds the model's context",
    "too large": "the answer does not end",
    "cut off": "the limit of tokens ended the answer before it was whole",
}
"""Every kind of failed call."""

RETRYABLE = frozenset({"rate limit", "server error", "timeout", "connection", "bad json", "empty choices"})
"""Kinds after which the same call is made again."""

FATAL = frozenset({"quota", "wrong model", "authentication", "bad request", "unsupported", "no tools"})
"""Kinds that every further call would meet as well."""

LONGEST_ASKED = 300.0  # seconds; a server that asks for more has sent us away


class Refusal(Exception):
    """An attempt that failed, in the server's own words: neither scrubbed nor cut yet."""

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        usage: Usage | None = None,
        wait: float | None = None,
        parameters: tuple[str, ...] = (),
        system: bool = False,
        tools: bool = False,
    ) -> None:
        self.kind = kind
        self.usage = usage  # of what was paid for all the same
        self.wait = wait  # seconds that the server asks to wait
        self.parameters = parameters  # that the words refuse; the call is made without the first that was sent
        self.system = system  # whether the words refuse a system turn
        self.tools = tools  # whether they refuse tools
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
    """Whether a server asks for a wait that is too long."""
    return wait is not None and wait > LONGEST_ASKED


def refusal_of_status(status: int, body: object, headers: Mapping[str, str], usage: Usage | None = None) -> Refusal:
    """Returns what an answer with a status of 3xx, 4xx or 5xx means.

    Any status may refuse a parameter or a system turn: servers answer 400, 403, 422 or 500.

    `status`: of HTTP. `body`: the error object in it, else what came. `headers`: they may say how long to wait, or
    where to ask. `usage`: the tokens that the server counted all the same; None: not told.
    """
    code, param, said = _facts(body)
    if 300 <= status < 400:
        to = headers.get("location") or "another address"
        return Refusal("wrong model", f"status {status}: the server sends its callers on to {to}, which nobody named")
    message = f"{status}: {said}" if said else f"status {status}"
    kind = _kind_of_status(status, code, said)
    if kind in ("rate limit", "quota", "server error"):
        wait = retry_after(headers)
        system = kind == "server error" and refuses_system(said)
        refused = refused_parameters(param, code, said) if system or status in (500, 501) else ()
        tools = kind == "server error" and refuses_tools(said)
        return Refusal(kind, message, usage=usage, wait=wait, parameters=refused, system=system, tools=tools)
    if kind == "too long":
        return Refusal(kind, message, usage=usage)
    refused = refused_parameters(param, code, said)
    if kind == "bad request" and refused:
        kind = "unsupported"
    system, tools = refuses_system(said), refuses_tools(said)
    return Refusal(kind, message, usage=usage, parameters=refused, system=system, tools=tools)


def _kind_of_status(status: int, code: str, said: str) -> str:
    if status == 402 or (status < 500 and _without_money(status, code, said)):
        return "quota"
    if status == 429:
        return "rate limit"
    if status == 413 or (status in (400, 403, 422, 500) and is_too_long(code, said)):
        return "too long"
    if status >= 500 or status in (408, 409, 425):
        return "server error"
    if status in (401, 403, 407):
        return "refusal" if status == 403 and _WITHHELD.search(said) else "authentication"
    if is_too_long(code, said):
        return "too long"
    if code in ("content_filter", "content_policy_violation"):
        return "refusal"
    if status == 404 or code in ("model_not_found", "invalid_model"):
        return "wrong model"
    return "bad request"


def refusal_in_body(error: object, usage: Usage | None = None) -> Refusal:
    """What an error object means that came with status 200, in place of an answer or in one of its choices.

    Its code decides, as a number or a word; without one the server failed.
    """
    code, _, said = _facts(error)
    number = error.get("code") or error.get("status") if isinstance(error, dict) else None
    status = int(number) if isinstance(number, int | str) and str(number).isascii() and str(number).isdecimal() else 0
    told = f"{status}: {said}" if 400 <= status < 600 else said or code or "no words"
    if not 400 <= status < 600:
        status = _CODES.get(code.lower(), 500)
    if status == 500:
        status = 402 if _without_money(429, code, said) else _status_of_words(said)
    refusal = refusal_of_status(status, error, {})
    message = f"an error in place of an answer: {told}"
    return Refusal(
        refusal.kind,
        message,
        usage=usage,
        parameters=refusal.parameters,
        system=refusal.system,
        tools=refusal.tools,
    )


def error_in(body: Any) -> Any:
    """The error in a body of status 200 that holds no choice, in the shapes of servers and gateways; None: there is
    none."""
    if isinstance(body, list) and body:  # Gemini's is in a list
        body = body[0]
    if not isinstance(body, dict):
        return None
    if body.get("error"):
        return body["error"]
    told = body.get("base_resp")  # MiniMax's
    if isinstance(told, dict) and told.get("status_code"):
        return {"code": told["status_code"], "message": str(told.get("status_msg", ""))}
    if "choices" in body and body.get("object") != "error":
        return None
    if body.get("object") == "error" or body.get("type") == "error" or body.get("errors"):
        return body
    return (
        body if any(isinstance(body.get(name), str) and body[name] for name in ("detail", "message", "msg")) else None
    )


_UNAUTHORISED = re.compile(
    r"\bunauthori[sz]ed\b|(?:invalid|incorrect|missing|wrong|no) (?:\w+[- ])?api[ _-]?key"
    r"|api[ _-]?key.{0,20}(?:invalid|missing)",
    re.I,
)
_NO_MODEL = re.compile(
    r"\bmodel\b.{0,80}?\b(?:not found|not exist|n't exist|not available|unknown)|no such model", re.I
)


def _status_of_words(said: str) -> int:
    """The status that an error without one would have had."""
    if _UNAUTHORISED.search(said):
        return 401
    return 404 if _NO_MODEL.search(said) else 500


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
    "rate_limit": 429,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
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
    if isinstance(body, list) and body:  # Gemini wraps its error object in a list
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return "", "", words_of(body)
    code = body.get("code") or body.get("type") or ""
    return str(code), str(body.get("param") or ""), words_of(body)
