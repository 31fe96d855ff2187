"""What is done to a conversation before a format writes it: what the model's template asks for, and control tokens.

A chat template marks the turns of a conversation with control tokens. Where a text itself holds such a token (a web
page that quotes `<|im_end|>`), a tokenizer reads it as the real one, and what follows looks like another turn. Such
texts are reported; `escape` breaks the token by a space, so that it is read as the signs it is written with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.datasets.templates.markup import JOINT
from engine.samples.splice import Turn

if TYPE_CHECKING:
    from engine.datasets.formats.options import FormatOptions

CONTROL = "a text holds a control token of chat templates"
ESCAPED = "a control token of chat templates was escaped in a text"


def ready(turns: Sequence[Turn], options: FormatOptions) -> list[Turn]:
    """The conversation as its template takes it: no system turn where there may be none, texts trimmed or escaped."""
    found = join_system(turns) if options.no_system or options.markup.system is None else list(turns)
    if options.escape or options.trim:
        found = [
            turn._replace(content=plain_text(turn.content, options), reasoning=plain_text(turn.reasoning, options))
            for turn in found
        ]
    return found


def join_system(turns: Sequence[Turn]) -> list[Turn]:
    """The conversation with the system's text at the head of the first user turn, or as a user turn of its own."""
    if not turns or turns[0].role != "system":
        return list(turns)
    system, *rest = turns
    if rest and rest[0].role == "user":
        return [rest[0]._replace(content=f"{system.content}{JOINT}{rest[0].content}"), *rest[1:]]
    return [system._replace(role="user"), *rest]


def plain_text(text: str, options: FormatOptions) -> str:
    """A text as the options want it."""
    if options.trim:
        text = text.strip()
    return escaped(text, options.control) if options.escape else text


@lru_cache(maxsize=8192)  # samples of a tree share most of their texts
def holds_control(text: str, control: str) -> bool:
    """Whether a text holds a control token; `control` is a regular expression of them."""
    return bool(text and control) and re.search(control, text) is not None


@lru_cache(maxsize=8192)
def escaped(text: str, control: str) -> str:
    """The text with a space behind the first sign of every control token: `<|im_end|>` becomes `< |im_end|>`."""
    if not control:
        return text
    before = None
    while text != before:  # what was broken may leave another
        before, text = text, re.sub(control, _broken, text)
    return text


def _broken(match: re.Match[str]) -> str:
    token = match[0]
    return f"{token[0]} {token[1:]}"


def escaped_record(value: Any, control: str) -> Any:
    """A record with every text in it escaped; keys, roles and token ids stay."""
    if isinstance(value, str):
        return escaped(value, control)
    if isinstance(value, dict):
        return {key: escaped_record(each, control) for key, each in value.items()}
    if isinstance(value, list) and not (value and isinstance(value[0], int)):
        return [escaped_record(each, control) for each in value]
    return value
