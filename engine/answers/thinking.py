"""Takes a model's reasoning out of its answer, wherever it is, by the marks of the known model families."""

from __future__ import annotations

import re

_NAMES = (
    r"(?:[\w-]+:)?(?:think|thinking|thinks)|antthinking|longcat_think|seed:cot_budget_reflect|reasoning|reasoning_content"
    "|analysis|cot|scratch_?pad|inner_(?:monologue|thoughts?)|internal_monologue|deliberation|reflection"
)
_OPENED = rf"<\s*(?:{_NAMES})(?:\s[^<>]*)?>"
_CLOSED = rf"<\s*/\s*(?:{_NAMES})\s*>"
_OPEN = re.compile(
    rf"{_OPENED}|\[(?:THINK|THINKING|REASONING)\]|◁think▷|<\|(?:START_THINKING|begin_of_thought|think|thinking)\|>|<unused94>(?:thought\b)?"
    r"|<\|channel>\s*(?:thought|analysis|thinking)\b|<details\s+type=[\"']reasoning[\"'][^<>]*>",
    re.I,
)
_CLOSE = re.compile(
    rf"{_CLOSED}|\[/(?:THINK|THINKING|REASONING)\]|◁/think▷|<\|(?:END_THINKING|end_of_thought|/think|/thinking)\|>|<unused95>"
    r"|<channel\|>|</details>",
    re.I,
)
_MARK = re.compile(f"(?P<open>{_OPEN.pattern})|(?P<close>{_CLOSE.pattern})", re.I)
_SOLUTION = re.compile(r"<\|(?:begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>", re.I)

_CHANNEL = re.compile(
    r"(?:<\|start\|>\s*)?(?:assistant)?\s*<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>",
    re.I,
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>", re.I)
_FINAL_CHANNELS = frozenset({"final", "commentary"})
_STRIPPED_CHANNELS = re.compile(r"\s*analysis(?P<thought>.+?)assistant(?:commentary.+?assistant)?final", re.S)
"""Harmony's channels where the server took the control tokens off and left their words."""


def take_out_thinking(text: str) -> tuple[str, str]:
    """The answer of a text and the thinking in it, each without space around it where any thinking was found.

    Thinking that is not closed reaches to the end; where only its end is marked it began with the text.
    """
    rest, thoughts = _channels(text)
    kept, place, depth, began = [], 0, 0, 0
    for mark in _MARK.finditer(rest):
        if mark["open"]:
            if depth == 0:
                kept.append(rest[place : mark.start()])
                began = mark.end()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                thoughts.append(rest[began : mark.start()])
                place = mark.end()
        elif not _is_other_close(mark[0]):  # the template gave the opening mark
            thoughts.append("".join([*kept, rest[place : mark.start()]]))
            kept, place = [], mark.end()
    if depth:
        thoughts.append(rest[began:])
    else:
        kept.append(rest[place:])
    if not thoughts:
        return _SOLUTION.sub("", rest) if "<|" in rest else rest, ""
    answer = "\n".join(part.strip() for part in kept if part.strip())
    return _SOLUTION.sub("", answer).strip(), "\n".join(part.strip() for part in thoughts if part.strip())


def _is_other_close(mark: str) -> bool:
    """Whether a closing mark also ends something that is no thinking."""
    return mark.lower() in ("</details>", "<channel|>", "</reflection>")


def _channels(text: str) -> tuple[str, list[str]]:
    """A text without its harmony channels of analysis, and what those held."""
    thoughts: list[str] = []
    if stripped := _STRIPPED_CHANNELS.match(text):
        return text[stripped.end() :], [stripped["thought"]]
    if "<|channel|>" not in text:
        return text, thoughts
    kept, place = [], 0
    while channel := _CHANNEL.search(text, place):
        kept.append(text[place : channel.start()])
        end = _CHANNEL_END.search(text, channel.end())
        stop = end.start() if end else len(text)
        said = text[channel.end() : stop]
        (kept if channel["name"].lower() in _FINAL_CHANNELS else thoughts).append(said)
        place = end.end() if end and end[0].lower() != "<|start|>" else stop
    kept.append(text[place:])
    return "\n".join(part.strip() for part in kept if part.strip()), thoughts
