"""A completion that came as a stream of events although none was asked for, put together again."""

from __future__ import annotations

import json
from typing import Any

DATA = b"data:"
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def streamed(data: bytes) -> dict[str, Any] | None:
    """The whole completion in a body of server-sent events; None where the body is no such stream.

    Of a stream without its end (`[DONE]`, a reason why it ended) what came is no whole answer: it has no choices.
    """
    if not data.lstrip().startswith((DATA, b":", b"event:", b"id:")):
        return None
    whole: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    message: dict[str, Any] = {"role": "assistant", "content": None}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": None}
    logprobs: list[Any] = []
    calls: dict[int, dict[str, Any]] = {}
    seen = ended = False
    for line in data.splitlines():
        if not line.startswith(DATA):
            continue
        said = line[len(DATA) :].strip()
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
        choices = chunk.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or first.get("index") not in (0, None):
            continue
        seen = True
        for name in ("finish_reason", "stop_reason", "matched_stop", "error"):
            if first.get(name) is not None:
                choice[name] = first[name]
        delta = first.get("delta") or first.get("message")
        if isinstance(delta, dict):
            for name in _TEXTS:
                if isinstance(delta.get(name), str):
                    texts.setdefault(name, []).append(delta[name])
            _add_calls(calls, delta.get("tool_calls"))
        scores = first.get("logprobs")
        if isinstance(scores, dict) and isinstance(scores.get("content"), list):
            logprobs += scores["content"]
    message |= {name: "".join(parts) for name, parts in texts.items()}
    if calls:
        message["tool_calls"] = list(calls.values())
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    whole["choices"] = [choice] if seen and (ended or choice["finish_reason"] or choice.get("error")) else []
    return whole


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
