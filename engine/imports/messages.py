"""Chat messages in all their spellings, made one form: OpenAI's, Anthropic's parts, `from`/`value`, and their kin."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import Any

from engine.imports.attempt import AttemptMessage, AttemptRole
from engine.imports.bounded_json import Malformed, compact, decode, text
from engine.tree.events import ToolCall

ROLES: dict[str, AttemptRole] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "environment": "user",
    "env": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "agent": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
"""What a role is called elsewhere."""

_MEDIA = {"image", "image_url", "input_image", "audio", "input_audio", "video", "document", "file", "input_file"}
_REASONING = {"reasoning", "thinking", "redacted_thinking"}

_GOAL = re.compile(r"^Goal: *(\S.*)$", re.MULTILINE)


def placeholder(kind: str, source: str, media_type: str = "") -> str:
    """Returns what stands in a text for an image or another medium: its path or address, or the digest of its bytes.
    Equal media have equal placeholders.

    `kind`: such as image. `source`: a path, an address, or a `data:` URL. `media_type`: such as image/png; may be
    empty.
    """
    if source.startswith("data:"):
        head, _, body = source.partition(",")
        media_type = media_type or head[5:].partition(";")[0]
        try:
            data = base64.b64decode(body, validate=True) if ";base64" in head else body.encode()
        except (binascii.Error, ValueError):
            data = body.encode()
        source = "sha256:" + hashlib.sha256(data).hexdigest()[:16]
    elif len(source) > 1000:
        source = "sha256:" + hashlib.sha256(source.encode()).hexdigest()[:16]
    return f"[{kind}: {' '.join(word for word in (source or 'no source', media_type) if word)}]"


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or parts joined with newlines. Reasoning and calls are left out."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(said for said in map(_part_text, content) if said is not None)
    if isinstance(content, dict):
        return _part_text(content) or ""
    return compact(content)


def _part_text(part: Any) -> str | None:
    """The text of one part; None where the part is no text of the message (reasoning, a call, a result)."""
    if not isinstance(part, dict):
        return part if isinstance(part, str) else compact(part)
    kind = text(part, "type")
    if kind in _REASONING or _is_call(part) or _is_result(part):
        return None
    if kind in _MEDIA:
        return _medium(kind, part)
    for key in ("text", "refusal", "content"):
        if isinstance(part.get(key), str):
            return str(part[key])
    return compact(part)


def _is_call(part: Any) -> bool:
    """Whether a part is a call as Anthropic writes it; a server's own tool use, with its result, is text."""
    return isinstance(part, dict) and part.get("type") == "tool_use" and "input" in part


def _is_result(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "tool_result" and "tool_use_id" in part


def _medium(kind: str, part: dict[str, Any]) -> str:
    name = kind.removeprefix("input_").removesuffix("_url")
    media_type, held = "", part.get(kind, part.get(name, part.get("source")))
    if isinstance(held, dict):
        media_type = text(held, "media_type") or text(held, "format")
        found = next((held[key] for key in ("url", "path", "data", "file_id") if isinstance(held.get(key), str)), "")
        held = f"data:{media_type};base64,{found}" if "data" in held and found == held["data"] else found
    return placeholder(name, held if isinstance(held, str) else "", media_type)


def reasoning_of(message: dict[str, Any]) -> str:
    """Returns the model's reasoning before a message, where the message has it."""
    for key in ("reasoning_content", "reasoning", "thinking", "thinking_blocks", "reasoning_details"):
        told = message.get(key)
        if isinstance(told, str) and told:
            return told
        thoughts = [_thought({**part, "type": "thinking"}) for part in _parts(told)]
        if any(thoughts):
            return "\n".join(filter(None, thoughts))
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return "\n".join(thought for part in parts if isinstance(part, dict) and (thought := _thought(part)))


def _parts(told: Any) -> list[dict[str, Any]]:
    """Objects in a list, or an object alone."""
    held = told if isinstance(told, list) else [told]
    return [part for part in held if isinstance(part, dict)]


def _thought(part: dict[str, Any]) -> str:
    if text(part, "type") not in _REASONING:
        return ""
    return text(part, "reasoning") or text(part, "thinking") or text(part, "text") or text_of(part.get("summary"))


def call_of(raw: Any) -> ToolCall:
    """A call in any spelling: OpenAI's nesting, flat, a serialised string, inspect's, ATIF's, Anthropic's part.

    Raises `Malformed` where it names no tool.
    """
    if isinstance(raw, str):
        raw = decode(raw)
    if not isinstance(raw, dict):
        raise Malformed("a tool call is no object")
    held = raw.get("function")
    inner = held if isinstance(held, dict) else raw
    name = (
        held
        if isinstance(held, str)
        else text(inner, "name") or text(inner, "function_name") or text(inner, "tool_name")
    )
    if not name:
        raise Malformed("a tool call names no tool")
    found = next((inner[key] for key in ("arguments", "input", "args", "parameters") if key in inner), "")
    arguments = found if isinstance(found, str) else "" if found is None else compact(found)
    return ToolCall(name, arguments, text(raw, "id") or text(raw, "tool_call_id") or text(raw, "call_id"))


def calls_of(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of a message, the older `function_call` and Anthropic's parts too."""
    held = message.get("tool_calls")
    raw: list[Any] = list(held) if isinstance(held, list) else []
    if not raw and isinstance(message.get("function_call"), dict):
        raw = [message["function_call"]]
    if not raw and isinstance(message.get("content"), list):
        raw = [part for part in message["content"] if _is_call(part)]
    return tuple(map(call_of, raw))


def messages_of(raw: Any, role: str = "") -> list[AttemptMessage]:
    """A chat message in our form; several where one holds the results of several calls (Anthropic's).

    `role` is taken where the message has none. Raises `Malformed` for what is no message.
    """
    if not isinstance(raw, dict):
        raise Malformed("a message is no object")
    if isinstance(raw.get("parts"), list) and "content" not in raw:
        raw = _of_gemini(raw)
    told = text(raw, "role") or text(raw, "from") or role
    known = ROLES.get(told.lower())
    if known is None:
        raise Malformed(f"a message has the role {told[:40]!r}" if told else "a message has no role")
    content = next((raw[key] for key in ("content", "value", "text") if key in raw), None)
    results = [
        AttemptMessage(
            role="tool",
            content=text_of(part.get("content")),
            tool_call_id=text(part, "tool_use_id"),
            name=text(part, "name"),
            error=part.get("is_error") is True,
        )
        for part in (content if isinstance(content, list) else [])
        if _is_result(part)
    ]
    said = text_of(content)
    if results and not said:
        return results
    name = raw.get("name")
    message = AttemptMessage(
        role=known,
        content=said,
        tool_calls=calls_of(raw) if known in ("assistant", "user") else (),
        tool_call_id=text(raw, "tool_call_id") if known == "tool" else "",
        name=name if isinstance(name, str) else "",
        reasoning=reasoning_of(raw),
        untrained=raw.get("loss") is False or (raw.get("trainable") is False and known == "assistant"),
        error=known == "tool" and _is_error(raw),
    )
    return [*results, message]


def _is_error(raw: dict[str, Any]) -> bool:
    beside = raw.get("metadata")
    holders = (raw, beside) if isinstance(beside, dict) else (raw,)
    return any(bool(holder.get(key)) for holder in holders for key in ("is_error", "isError"))


def _of_gemini(raw: dict[str, Any]) -> dict[str, Any]:
    """A message of Gemini's API (`parts`) in the spelling of the others."""
    content: list[Any] = []
    calls = []
    for part in raw["parts"]:
        if not isinstance(part, dict):
            content.append(part)
        elif isinstance(call := part.get("functionCall", part.get("function_call")), dict):
            calls.append(call)
        elif isinstance(result := part.get("functionResponse", part.get("function_response")), dict):
            response = result.get("response")
            if isinstance(response, dict) and response.keys() == {"output"}:
                response = response["output"]
            said = response if isinstance(response, str) else compact(response)
            told = {"type": "tool_result", "tool_use_id": text(result, "id"), "name": text(result, "name")}
            content.append({**told, "content": said})
        elif isinstance(held := part.get("inlineData", part.get("inline_data")), dict):
            source = {"media_type": text(held, "mimeType") or text(held, "mime_type"), "data": text(held, "data")}
            content.append({"type": source["media_type"].partition("/")[0] or "file", "source": source})
        elif isinstance(part.get("text"), str):
            content.append({"type": "thinking" if part.get("thought") is True else "text", "text": part["text"]})
        else:
            content.append(part)
    return {**{key: told for key, told in raw.items() if key != "parts"}, "content": content, "tool_calls": calls}


def conversation(raw: Iterable[Any]) -> list[AttemptMessage]:
    """Chat messages in our form, in their order. Raises `Malformed`, which names the message."""
    made: list[AttemptMessage] = []
    for index, message in enumerate(raw):
        if (plain := _plain(message)) is not None:
            made.append(plain)
            continue
        with at_message(index):
            made += messages_of(message)
    return made


@contextmanager
def at_message(index: int) -> Iterator[None]:
    """What is read within is the message of that index. A `Malformed` of it is raised with the message's number."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"message {index + 1}: {error}") from None


_PLAIN = frozenset({"role", "content", "tool_calls", "tool_call_id"})


def _plain(raw: Any) -> AttemptMessage | None:
    """A message of OpenAI's form with nothing unusual in it, as `messages_of` makes it, in a third of the time.

    None for any other.
    """
    if type(raw) is not dict or not raw.keys() <= _PLAIN:
        return None
    role, content, held, answered = raw.get("role"), raw.get("content"), raw.get("tool_calls"), raw.get("tool_call_id")
    known = ROLES.get(role) if type(role) is str else None
    if known is None or (type(content) is not str and content is not None) or type(answered) not in (str, NoneType):
        return None
    if not held:
        if known == "tool":
            return AttemptMessage(role=known, content=content or "", tool_call_id=answered or "")
        return AttemptMessage(role=known, content=content or "")
    if known != "assistant" or type(held) is not list:
        return None
    calls = []
    for call in held:
        function, identity = (call.get("function"), call.get("id")) if type(call) is dict else (None, None)
        if type(function) is not dict or type(identity) is not str:
            return None
        name, arguments = function.get("name"), function.get("arguments")
        if type(name) is not str or not name or type(arguments) is not str:
            return None
        calls.append(ToolCall(name, arguments, identity))
    return AttemptMessage(role=known, content=content or "", tool_calls=tuple(calls))


def schemas_of(tools: Any) -> list[dict[str, Any]]:
    """Tool schemas in OpenAI's nested form, from that, the flat one, Anthropic's, or a serialised string."""
    if isinstance(tools, str):
        try:
            tools = decode(tools)
        except Malformed:
            return []
    made = []
    for tool in tools if isinstance(tools, list) else []:
        if isinstance(tool, str):
            try:
                tool = decode(tool)
            except Malformed:
                continue
        if not isinstance(tool, dict):
            continue
        if isinstance(tool.get("function"), dict):
            made.append({"type": "function", "function": tool["function"]})
        elif isinstance(tool.get("name"), str):
            function = {key: tool[key] for key in ("name", "description", "parameters", "strict") if key in tool}
            if "input_schema" in tool:
                function["parameters"] = tool["input_schema"]
            made.append({"type": "function", "function": function})
    return made


def digest_key(messages: Sequence[AttemptMessage]) -> str:
    """Returns the key of a task that the file does not name: a digest of the messages before the first answer."""
    seen = hashlib.sha256()
    for message in messages:
        if message.role == "assistant":
            break
        seen.update(f"{message.role}\x00{message.content}\x00".encode())
    return f"prompt-{seen.hexdigest()[:12]}"


def instruction_of(messages: Sequence[AttemptMessage]) -> str:
    """The goal in a few words: what one of the first two user messages names on a line `Goal: …`, since rules may come
    first; else the first line of the first one."""
    said = [message.content for message in messages if message.role == "user"][:2]
    goals = [found[1].strip().rstrip(".") for each in said if (found := _GOAL.search(each))]
    return shorten(goals[-1] if goals else said[0] if said else "")


def shorten(said: str, most: int = 200) -> str:
    """Returns the first line that is not empty, cut to `most` characters."""
    line = next((line.strip() for line in said.splitlines() if line.strip()), "")
    return line if len(line) <= most else line[: most - 1] + "…"
