"""What a server's words say that it will not have: a parameter, a system turn, a conversation of this length.

Servers say the same in many words and with many statuses. What is found here decides whether a call is made again in
another form, so a pattern must not match what is no refusal of that kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the limit of an answer: where one is refused the other is sent."""

FORM = "response_format"

DROPPED = (
    "temperature",
    "top_p",
    "top_logprobs",
    "logprobs",
    "seed",
    "stop",
    "stream",
    "reasoning_effort",
    "grammar",
    "tool_choice",
    "parallel_tool_calls",
)
"""Parameters that a call can do without where a server refuses them."""

_UNSUPPORTED = re.compile(
    r"un-?support|not\s+(?:\w+\s+){0,2}support|n't support|un-?recogni[sz]ed|unknown|unexpected|extra inputs|extraneous"
    r"|not\s+(?:\w+\s+)?(?:permitted|allowed|available|implemented|enabled|accepted|valid|compatible)"
    r"|unavailable|forbidden|deprecated|cannot find field|no such (?:field|parameter|argument)"
    r"|only (?:the )?(?:default|1(?:\.0)?\b)|only \S+ is (?:allowed|supported)"
    r"|must be (?:1(?:\.0)?\b|omitted|unset|null|left out)"
    r"|invalid (?:parameter|argument|field|key|temperature|value)|cannot both|can't both|not both"
    r"|remove (?:the|it|this)|cannot be (?:set|used)",
    re.I,
)
_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"})
_DISTINCT = (
    *("temperature", "top_p", "top_logprobs", "logprobs", "reasoning_effort"),
    *("tool_choice", "parallel_tool_calls", *LIMITS),
)
_COMMON = ("seed", "stop", "stream", "grammar")  # English words: they count where they are quoted or called a parameter
_NAME = re.compile(
    rf"(?<![\w.])({'|'.join(sorted(_DISTINCT, key=len, reverse=True))})(?![\w])"
    rf"|['\"`\[]({'|'.join(_COMMON)})['\"`\]]"
    rf"|(?:parameter|argument|field|property|supplied|model|key|name|input)s?\W{{0,3}}\s*({'|'.join(_COMMON)})\b"
    rf"|\b({'|'.join(_COMMON)})(?:: extra| (?:parameter|argument|field|sequences?|words?|is|are|not))\b"
    rf"|^({'|'.join(_COMMON)})\b",
    re.I,
)
_FORM = re.compile(
    r"response_?\s?format|json_schema|json_object|json[ _]mode|json schema|structured[ _]outputs?|guided[ _]\w+"
    r"|constrained decoding",
    re.I,
)
_SYSTEM = re.compile(
    r"system['\"`]?\W+(?:role|message|prompt|instruction|turn)s?\W.{0,40}?(?:not|n't|un-?)\s?(?:\w+\s)?"
    r"(?:support|allow|enabl|permit|accept|valid)"
    r"|role.{0,60}(?:not|n't|un-?)\s?(?:\w+\s)?(?:support|allow|enabl|permit|accept|expect|valid|know)\w*.{0,40}\bsystem\b"
    r"|(?:unexpected|unknown|unsupported|invalid|illegal)\s+(?:value for )?(?:message )?role\W.{0,20}\bsystem\b"
    r"|\bsystem['\"`]?\s+is\s+not\s+(?:a\s+)?(?:\w+\s)?(?:valid|supported|allowed|role)"
    r"|only\s+['\"`]?user['\"`]?\s*(?:and|,)\s*['\"`]?assistant['\"`]?\s+roles"
    r"|role must be in \[.?user.?, .?assistant.?\]"
    r"|(?:not|n't|un-?)\s?(?:support|allow|enabl|permit|accept)\w*\W+(?:\w+\W+){0,2}system\W+(?:role|message|prompt)"
    r"|(?<!message, )conversation roles must alternate user/assistant"
    r"|developer instruction is not enabled",
    re.I | re.S,
)
_LONG_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length", "tokens_limit_reached"}
)
_LONG = re.compile(
    r"(?:maximum|max|model'?s?|exceeds?\w*|over\w*|beyond|available|the)\s.{0,40}context.{0,3}(?:length|size|window|limit)"
    r"|context.{0,3}(?:length|size|window|limit).{0,60}(?:exceed|too (?:small|short)|overflow)"
    r"|maximum context|exceeds? (?:the )?context|context[ _]length[ _]exceeded"
    r"|(?:prompt|input|request|message|conversation|sequence)s?(?: \w+)? (?:is|are) too (?:long|large)"
    r"|too many (?:input |prompt )?tokens(?! per)|reduce the length of (?:the |your )?(?:messages|prompt|input)"
    r"|longer than the (?:maximum )?model(?:'s)? (?:context )?length|maximum model length"
    r"|exceeds? the (?:maximum|max(?:imum)? allowed) "
    r"(?:number of (?:input )?tokens|input length|(?:input )?token count|length)"
    r"|(?:input|prompt)s?[`'\"]? (?:token|length)s?.{0,60}must (?:be|have) (?:<=?|less|at most|smaller|fewer)"
    r"|`?inputs`? (?:tokens )?(?:\+|must have less).{0,80}tokens?"
    r"|(?:range of )?input length should be|input (?:token )?length.{0,40}(?:exceed|should be)"
    r"|max_tokens.{0,30}exceed context limit|larger than the (?:model's )?context"
    r"|\btokens,? exceeding the (?:model|maximum|limit)|exceed(?:s|ed)? (?:the )?(?:model|configured|input)(?:'s)? "
    r"(?:max(?:imum)? )?(?:input |token )?limit"
    r"|(?:number of|prompt|input) tokens.{0,40}(?:greater|more|larger) than the (?:maximum|limit|model)"
    r"|(?:prompt|input)(?: length)? \(?\d+\)?(?: tokens)? > |body too large.{0,40}tokens"
    r"|(?:message|prompt|input)\b.{0,30}\bwas too long"
    r"|(?:输入|上下文|提示).{0,12}(?:过长|超长|超过|超出)|prompt ?超长"
    r"|token length exceeds|tokens? (?:count )?(?:\(\d+\) )?exceeds? the (?:maximum|limit|model)",
    re.I | re.S,
)


def is_too_long(code: str, said: str) -> bool:
    """Whether the server says that the conversation exceeds the model's context."""
    return code in _LONG_CODES or bool(_LONG.search(said))


def refuses_system(said: str) -> bool:
    """Whether the server says that it takes no system turn."""
    return bool(_SYSTEM.search(said))


def refused_parameters(param: str, code: str, said: str) -> tuple[str, ...]:
    """Returns the parameters that a server refuses, those that it names first at the front; mostly one or none.

    `param` and `code`: these fields of the server's error, or empty. `said`: its message.
    """
    refusing = code in _CODES or bool(_UNSUPPORTED.search(said))
    found: list[str] = []
    if refusing:
        for name in re.split(r"[.\[\]/]", param.lower()):
            if name in DROPPED or name in LIMITS:
                found.append(name)
        found += [name.lower() for match in _NAME.finditer(said) if (name := next(filter(None, match.groups())))]
    if FORM in param or _FORM.search(said):  # however it says so: there is a plainer form
        found.append(FORM)
    return tuple(dict.fromkeys(found))


def is_html(text: str) -> bool:
    """Whether a body is a page for people."""
    return text[:200].lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html", "<head", "<!-- "))


_TITLE = re.compile(r"<(title|h1)\b[^>]*>\s*(.*?)\s*</\1>", re.I | re.S)


def _title_of(page: str) -> str:
    """What a page is about: its title, else that it is one."""
    title = _TITLE.search(page[:20_000])
    return " ".join(title[2].split()) if title is not None and title[2] else "a page without a title"


def words_of(error: Any) -> str:
    """A server's words in an error of any shape, in one text: message, detail, the places that a check names."""
    if isinstance(error, str):
        return _title_of(error) if is_html(error) else error
    if isinstance(error, list | tuple):
        return "; ".join(filter(None, map(words_of, error)))
    if not isinstance(error, dict):
        return "" if error is None else str(error)
    place = error.get("loc")
    said = next(
        (error[name] for name in ("message", "msg", "detail", "error", "errors", "error_msg") if error.get(name)), None
    )
    if said is None:
        return str(error)
    text = words_of(said)
    if isinstance(place, Sequence) and not isinstance(place, str):
        return f"{'.'.join(str(part) for part in place if part != 'body')}: {text}"
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str):  # a gateway's words for its provider's
        text = f"{text}: {metadata['raw']}"
    return text
