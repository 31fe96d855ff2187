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
    calls: list[dict[str, Any]] = []
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
            if isinstance(delta.get("function_call"), dict):  # the older form of one call
                _add_calls(calls, [{"index": -1, "function": delta["function_call"]}])
        scores = first.get("logprobs")
        if isinstance(scores, dict) and isinstance(scores.get("content"), list):
            logprobs += scores["content"]
    message |= {name: _joined(parts) for name, parts in texts.items()}
    if calls:
        for call in calls:
            call["function"] = {name: _whole(part) for name, part in call["function"].items()}
        message["tool_calls"] = calls
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    whole["choices"] = [choice] if seen and (ended or choice["finish_reason"] or choice.get("error")) else []
    return whole


def _joined(parts: list[Any]) -> str | list[Any]:
    """The pieces of a text as one text; with parts that are objects among them, as a list of parts."""
    return _whole("".join(parts)) if all(isinstance(part, str) for part in parts) else parts


def _whole(text: str) -> str:
    """A text whose pieces may have been cut between the halves of a letter, as JSON escapes it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


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


def _add_calls(calls: list[dict[str, Any]], deltas: object) -> None:
    """Add pieces of calls. A name comes in one piece (which some servers repeat), arguments in many.

    A piece belongs to the call of its index; without one to the call of its id, else to the last one. Where another id
    comes with the index of a call, it is another call: some servers number all of them 0.
    """
    pieces = [each for each in deltas if isinstance(each, dict)] if isinstance(deltas, list) else []
    for place, delta in enumerate(pieces):
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        known = _call_of(calls, delta, place if len(pieces) > 1 else None, bool(function.get("name")))
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str) and name != known["function"]["name"]:
            known["function"]["name"] += name
        if isinstance(arguments, dict | list):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str):
            known["function"]["arguments"] += arguments


def _call_of(calls: list[dict[str, Any]], delta: dict[str, Any], place: int | None, named: bool) -> dict[str, Any]:
    """The call that a piece belongs to, a new one where it belongs to none so far. `place`: among the pieces that came
    together, where there are several; `named`: whether it has a name."""
    index, id = delta.get("index"), delta.get("id")
    index = index if isinstance(index, int) else None
    if index is not None:
        same = [call for call in calls if call["index"] == index]
    elif id:
        same = [call for call in calls if call["id"] == id]
    else:
        same = calls[-1:] if place is None else calls[place : place + 1]
        if place is None and named and same and same[0]["function"]["arguments"]:
            same = []  # a name behind arguments: the next call
    if same and (not id or same[-1]["id"] in (None, "", id)):
        same[-1]["id"] = same[-1]["id"] or id
        return same[-1]
    calls.append({"index": index, "id": id, "function": {"name": "", "arguments": ""}})
    return calls[-1]
