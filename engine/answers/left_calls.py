"""Calls of tools that a server did not read, or read with what is not theirs, made right.

A server without the parser of its model leaves calls in the text, each model's in its own form. Others hand on a
name with a prefix (`functions.get`), or arguments that were encoded twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence

from engine.answers.written_calls import calls_in_json, written_calls
from envs.call_text import Call, arguments_of, read_calls

LONGEST = 50_000
"""Characters of a text in which calls are looked for."""

_TOKEN = r"<[|｜][^<>]{1,60}[|｜]>"
_MARKED = re.compile(
    r"<tool_call>(.*?)(?:</tool_call>|\Z)"
    r"|<function_calls?>(.*?)(?:</function_calls?>|\Z)"
    r"|(<function=.*?(?:</function>|\Z))"
    r"|\[TOOL_CALLS\](.*?)(?=\[TOOL_CALLS\]|</s>|\Z)"
    r"|<\|python_tag\|>(.*?)(?:<\|eo[mt]_id\|>|\Z)"
    r"|\bto=(functions\..*?)(?:<\|call\|>|\Z)"
    r"|<[|｜]tool[_▁]call[_▁]begin[|｜]>(.*?)(?:<[|｜]tool[_▁]call[_▁]end[|｜]>|\Z)",
    re.S,
)
"""How models mark a call: Qwen and GLM, others' tags, Llama's functions, Mistral, Llama's code, gpt-oss, DeepSeek and
Kimi. What is between the marks holds one call or several."""

_NAMED = re.compile(rf"\s*([A-Za-z_][\w.-]*)(?::\d+)?(?:\s*(?:\[ARGS\]|{_TOKEN}|json\b|```))*\s*(?=\{{)")
_KIND = re.compile(r"\s*function<｜tool▁sep｜>")
_FUNCTION = re.compile(r"<function=([^<>]+?)>(.*?)(?:</function>|\Z)", re.S)
_PARAMETER = re.compile(r"<parameter=([^<>]+?)>\n?(.*?)\n?</parameter>", re.S)
_ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.S)
_LEFT = re.compile(rf"<\|(?:start|channel)\|>(?:assistant|analysis|commentary|final)?|{_TOKEN}|</s>")
_PREFIX = re.compile(r"^(?:functions?|tools|default_api|multi_tool_use)[.:]|<[|｜].*$|:\d+$")
_DECODER = json.JSONDecoder()


def calls_in_text(text: str, tools: Collection[str]) -> tuple[str, list[Call]]:
    """What a model's text says beside its calls, and the calls; none where it makes none. `tools`: names of those that
    there are; a call without a mark counts only where it calls one of them."""
    if len(text) > LONGEST:
        return text, []
    found: list[Call] = []
    for match in _MARKED.finditer(text):
        calls = _calls_between(next(part for part in match.groups() if part is not None))
        if not calls:
            return text, []
        found += calls
    if found:
        return _LEFT.sub("", _MARKED.sub("", text)).strip(), found
    said, calls = _unmarked(text.rstrip())
    known = calls and all(_known(call.name, tools) in tools for call in calls)
    return (said, calls) if known else (text, [])


def _unmarked(text: str) -> tuple[str, list[Call]]:
    """Calls without a mark at the end of a text: in a fence, as Phi writes them, as a list, or in lines."""
    place = -1
    if text.endswith("```"):
        place = text.rfind("```", 0, len(text) - 3)
        body = text[place:-3].partition("\n")[2]
    elif text.endswith("]"):
        place = text.rfind("functools[")
        place, body = (place, text[place + len("functools") :]) if place >= 0 else (0, text)
    if place >= 0 and (calls := _calls_between(body)):
        return text[:place].strip(), calls
    return written_calls(text)


def made_right(calls: Sequence[Call], tools: Collection[str]) -> list[Call]:
    """The calls with names and arguments as the model meant them."""
    return [Call(_known(call.name, tools), _decoded(call.arguments)) for call in calls]


def _known(name: str, tools: Collection[str]) -> str:
    """The tool that is meant by a name; the name where there is none."""
    short = _PREFIX.sub("", _PREFIX.sub("", name.strip())).strip()
    return short if name not in tools and short in tools else name


def _decoded(arguments: str) -> str:
    """Arguments that are an object in a string, or in a fence, as the object."""
    if arguments_of(arguments) is not None:
        return arguments
    bare = re.sub(r"\A\s*```\w*\s*\n|\n?\s*```\s*\Z", "", arguments)
    try:
        inner = _DECODER.decode(bare)
    except (ValueError, RecursionError):
        return arguments
    inner = inner if isinstance(inner, str) else bare
    return inner if inner.strip() and arguments_of(inner) is not None else arguments


def _calls_between(body: str) -> list[Call]:
    """The calls between two marks, whichever form they have there."""
    body = _KIND.sub("", body).strip()
    if tagged := [Call(match[1].strip(), _tagged_arguments(match[2])) for match in _FUNCTION.finditer(body)]:
        return tagged
    if values := _ARGUMENT.findall(body):
        return [Call(body.partition("<arg_key>")[0].strip(), _object(values))]
    return calls_in_json(body) or list(_one_after_the_other(body)) or read_calls(_without_brackets(body)) or []


def _tagged_arguments(inside: str) -> str:
    found = _PARAMETER.findall(inside)
    return _object(found) if found else inside.strip()


def _object(values: Sequence[tuple[str, str]]) -> str:
    """Arguments whose values are written as they are: those that are JSON, but for texts, are taken as JSON."""
    return json.dumps({key.strip(): _value(value) for key, value in values}, ensure_ascii=False)


def _value(text: str) -> object:
    try:
        found: object = _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return text
    return found


def _one_after_the_other(body: str) -> Iterator[Call]:
    """Calls that follow each other: JSON objects, each perhaps behind its name."""
    at, found = 0, []
    while at < len(body):
        named = _NAMED.match(body, at)
        try:
            _, end = _DECODER.raw_decode(body, named.end() if named else at)
        except (ValueError, RecursionError):
            return
        if named:
            found.append(Call(named[1], body[named.end() : end]))
        elif calls := calls_in_json(body[at:end]):
            found += calls
        else:
            return
        at = end
        while at < len(body) and body[at] in " \t\n;,`":
            at += 1
    yield from found


def _without_brackets(body: str) -> str:
    """Calls in Python's form, which may stand in a list."""
    if not (body.startswith("[") and body.endswith("]")):
        return body
    return re.sub(r"\)\s*,\s*(?=[A-Za-z_][\w.]*\()", ")\n", body[1:-1].strip())
