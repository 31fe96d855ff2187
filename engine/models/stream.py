"""Puts a completion together that arrived as a stream of events although none was asked for."""

from __future__ import annotations

import json
import re
from typing import Any

DATA = b"data:"
_BEGINNINGS = (DATA, b":", b"event:", b"id:", b"retry:")
_TEXTS = ("content", "reasoning_content", "reasoning", "thinking", "refusal")
_MARK = b"\xef\xbb\xbf"  # of UTF-8, before the text


def streamed(data: bytes) -> dict[str, Any] | None:
    """The whole completion in a body of server-sent events, or of a chunk a line; None where the body is no such
    stream.

    Of a stream without its end (`[DONE]`, a reason why it ended) what came is no whole answer: it has no choices.
    """
    data = data.removeprefix(_MARK).lstrip()
    events = data.startswith(_BEGINNINGS) and re.search(rb"^data:", data, re.M) is not None
    if not events and not _is_lines(data):
        return _after_comments(data)
    whole: dict[str, Any] = {}
    texts: dict[str, list[Any]] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    logprobs: list[Any] = []
    calls: dict[int, dict[str, Any]] = {}
    seen = ended = False
    for line in data.splitlines():
        if events and not line.startswith(DATA):
            continue
        said = line.removeprefix(DATA).strip()
        if said == b"[DONE]":
            ended = True
            continue
        try:
            chunk = json.loads(said)
        except (ValueError, RecursionError):
            continue
        if not isinstance(chunk, dict):
            continue
        for name in ("usage", "error"):
            if chunk.get(name):
                whole[name] = chunk[name]
        if chunk.get("object") == "error" or chunk.get("type") == "error":
            whole.setdefault("error", chunk)
        choices = chunk.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or first.get("index") not in (0, None):
            continue
        seen = True
        for name in ("finish_reason", "stop_reason", "matched_stop", "error"):
            if first.get(name) is not None:
                choice[name] = first[name]
        delta = first.get("delta") or first.get("message") or {"content": first.get("text")}
        if isinstance(delta, dict):
            for name in _TEXTS:
                said_here = delta.get(name)
                if isinstance(said_here, str | list):
                    texts.setdefault(name, []).extend([said_here] if isinstance(said_here, str) else said_here)
            _add_calls(calls, delta.get("tool_calls"))
        scores = first.get("logprobs")
        if isinstance(scores, dict) and isinstance(scores.get("content"), list):
            logprobs += scores["content"]
    message |= {name: _joined(parts) for name, parts in texts.items()}
    if calls:
        message["tool_calls"] = list(calls.values())
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    whole["choices"] = [choice] if seen and (ended or choice["finish_reason"] or choice.get("error")) else []
    return whole


def _joined(parts: list[Any]) -> str | list[Any]:
    """The pieces of a text as one text; with parts that are objects among them, as a list of parts."""
    return "".join(parts) if all(isinstance(part, str) for part in parts) else parts


def _is_lines(data: bytes) -> bool:
    """Whether a body is one chunk of a stream after the other, a line each."""
    return data.startswith(b"{") and re.match(rb"\{[^\n]*\}\s*\n\s*\{", data) is not None and b'"choices"' in data


def _after_comments(data: bytes) -> dict[str, Any] | None:
    """The completion behind comments that a server sends so that nobody hangs up."""
    if not data.startswith(b":"):
        return None
    rest = re.sub(rb"\A(?::[^\n]*\n\s*)+", b"", data)
    try:
        found = json.loads(rest)
    except (ValueError, RecursionError):
        return {"choices": []}
    return found if isinstance(found, dict) else {"choices": []}


def _add_calls(calls: dict[int, dict[str, Any]], deltas: object) -> None:
    """A call's name comes in one piece, its arguments in many."""
    for place, delta in enumerate(deltas if isinstance(deltas, list) else ()):
        if not isinstance(delta, dict):
            continue
        index = delta.get("index")
        known = calls.setdefault(
            index if isinstance(index, int) else place, {"function": {"name": "", "arguments": ""}}
        )
        function = delta.get("function")
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                if isinstance(function.get(name), str):
                    known["function"][name] += function[name]
