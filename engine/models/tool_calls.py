"""Calls of tools as requests and replies of OpenAI's interface hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.tree.events import Message, SearchSettings
from envs.call_text import arguments_of

_REFUSED = re.compile(
    r"(?:not|n't|un-?)\s?(?:\w+\s){0,2}(?:support|allow|enabl|permit|accept|implement)\w*\W+(?:\w+\W+){0,3}"
    r"(?:tools?\b|function[ _-]call)"
    r"|(?:\btools?\b|tool[ _-](?:use|calls?|calling)|function[ _-]call\w*)['\"`]?(?:\W+\w+){0,5}?\W+"
    r"(?:not|n't|un-?)\s?(?:\w+\s)?(?:support|allow|enabl|permit|accept|implement|available)"
    r"|tool choice requires|tools? param\w* requires|(?:no|without) (?:endpoints?|providers?) .{0,40}support tool"
    r"|requires --(?:enable-auto-tool-choice|jinja|tool-call-parser)",
    re.I,
)
_ABOUT_A_PART = re.compile(r"parallel|tool_choice['\"`]?\W|strict|\bschema\b|\bmore than\b|too many", re.I)

START_WITH_TOOLS = (
    "start the server with tool calling (vLLM: --enable-auto-tool-choice --tool-call-parser NAME, llama.cpp: --jinja),"
    " take another model, or have calls written as text: --tools off"
)
"""What to do where a server takes no tools."""


def refuses_tools(said: str) -> bool:
    """Whether a server's words say that it, or its model, calls no tools at all."""
    return bool(_REFUSED.search(said)) and not _ABOUT_A_PART.search(said.replace("enable-auto-tool-choice", ""))


def tool_fields(settings: SearchSettings, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Fields of a request that offer these tools; none where there are none."""
    if not tools:
        return {}
    return {
        "tools": [dict(tool) for tool in tools],
        "tool_choice": settings.tools if settings.tools == "required" else "auto",
        "parallel_tool_calls": settings.parallel_tool_calls,
    }


def as_sent(message: Message, reasoning_field: str = "", wrap: bool = False) -> dict[str, Any]:
    """Returns a message as the request holds it.

    `message`: of the conversation. `reasoning_field`: the field for the reasoning of a step; empty: leave it out.
    `wrap`: whether to put arguments that are not a JSON object into one.
    """
    sent: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _sendable(call.arguments, wrap)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        sent |= {"tool_call_id": message.tool_call_id, "name": message.name}
    if reasoning_field and message.reasoning:
        sent[reasoning_field] = message.reasoning
    return sent


def _sendable(arguments: str, wrap: bool) -> str:
    """No arguments at all are an empty object: chat templates parse them."""
    if not arguments.strip():
        return "{}"
    return json.dumps({"arguments": arguments}) if wrap and arguments_of(arguments) is None else arguments


def holds_bad_arguments(messages: Sequence[Message]) -> bool:
    """Whether arguments of a call are not a JSON object. Servers whose templates parse them refuse all later
    requests."""
    return any(arguments_of(call.arguments) is None for message in messages for call in message.tool_calls)


def calls_of(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and arguments of the calls in a reply's message; also in the older form of one `function_call`."""
    listed = message.get("tool_calls")
    found = [call.get("function") for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
    found.append(message.get("function_call"))
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_use":  # Anthropic's, behind a gateway
            found.append({"name": part.get("name"), "arguments": part.get("input")})
    return [
        (_name(each), _arguments(each.get("arguments")))
        for each in found
        if isinstance(each, dict) and (each.get("name") or each.get("arguments"))
    ]


def _name(function: Mapping[str, Any]) -> str:
    name = function.get("name")
    return name[:MOST_NAME] if isinstance(name, str) and name else "?"


def _arguments(given: object) -> str:
    """The arguments as the model's own string; some servers parse them."""
    if isinstance(given, str):
        return given
    return "" if given is None else json.dumps(given, ensure_ascii=False)


MOST_NAME = 200
"""Characters of a tool's name that are kept."""
