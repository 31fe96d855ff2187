"""Finds the command among the lines of an answer without labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.answers.structured import called
from engine.answers.undress import undress, words_of

FENCE = re.compile(r"[ \t]*(?:```+|~~~+)[ \t]*(?P<info>[\w+-]*)[ \t]*$")
ONLY_MARKS = re.compile(r"(?:[^\w\n]|_)*$")


class Marked(NamedTuple):
    """A command that is marked as one."""

    action: str
    line: int
    ended: bool  # whether something ended it


def may_act(line: str) -> bool:
    """Whether a line can be a command: it is neither empty nor a sentence."""
    return not ONLY_MARKS.match(line) and not FENCE.match(line) and not _is_prose(_without_bullet(line))


def next_filled(lines: Sequence[str], place: int) -> int | None:
    """The first line from `place` on that holds more than marks."""
    return next((at for at in range(place, len(lines)) if not ONLY_MARKS.match(lines[at])), None)


def marked_command(lines: Sequence[str], start: int, stop: int) -> Marked | None:
    """Returns the first line of a fence, or the only code in lines of prose; None where there is neither.

    `lines`: of the answer. `start` and `stop`: the part to look at; `stop` is not included.
    """
    for at in range(start, stop):
        if FENCE.match(lines[at]):
            inside = next_filled(lines, at + 1)
            if inside is None or inside >= stop:
                break
            return Marked(called(lines[inside]) or undress(lines[inside]), inside, inside + 1 < len(lines))
    codes = [(match[1], at) for at in range(start, stop) for match in re.finditer(r"`([^`\n]+)`", lines[at])]
    if len({code for code, _ in codes}) == 1 and not any(may_act(line) for line in lines[start:stop]):
        return Marked(undress(codes[0][0]), codes[0][1], True)
    return None


def lines_reached(text: str, lines: list[str], end: int) -> int:
    """Returns how many of the following lines a piece of text reaches into.

    `text`: the line in which the piece begins. `lines`: those that follow it. `end`: length of the piece in characters,
    from the start of `text`.
    """
    used, count = len(text) + 1, 0
    while end > used and count < len(lines):
        used += len(lines[count]) + 1
        count += 1
    while count < len(lines) and (FENCE.match(lines[count]) or not lines[count].strip()):
        count += 1
    return count


_PROSE_STARTS = words_of(
    "i i'm i'll i've i'd we we'll you your the this that these those it it's there there's here here's sorry "
    "sure certainly absolutely as my our would could should shall can't cannot okay ok yes hello hi hey now "
    "to in if since because so but and please thank thanks what how which why when where who is are am was "
    "were do does did unfortunately however therefore alternatively also let's great good perfect"
)


_SMALL_TALK = words_of("sorry sure hello hi okay ok certainly thanks thank done finished")


_NOTHING = re.compile(
    r"\W*(?:none|null|nil|undefined|n/a|nothing|(?:no|empty) (?:response|answer|output|reply)"
    r"|no (?:\w+ ){0,2}actions?(?: \w+)?(?: (?:needed|required|necessary|possible|available))?(?: \w+){0,2}"
    r"|(?:(?:the|my|this) )?(?:task|goal|mission|objective)(?: (?:is|was|has been))?(?: \w+)?"
    r" (?:complete|completed|done|finished|accomplished|achieved)(?: successfully)?)\W*",
    re.I,
)
"""A line that says that there is no action."""


def _is_prose(line: str) -> bool:
    """Whether a line without a label says something rather than names an action."""
    words = line.split()
    if not words or (len(words) < 10 and _NOTHING.fullmatch(line)):
        return True
    if line.rstrip("*_ \"'”)").endswith(("?", "？", "…", ":", "：")):
        return True
    first = words[0].strip("*_\"'“(,.!").casefold().replace("’", "'")
    if len(words) >= 3 and (first in _PROSE_STARTS or (first == "let" and words[1].casefold() in ("me", "us"))):
        return True
    if len(words) <= 3 and first in _SMALL_TALK:
        return True
    sentences = re.findall(r"[.!?。！？](?:\s|$)", line.rstrip("*_ \"'”)"))
    return (
        len(sentences) >= 2
        or (len(words) >= 8 and line.rstrip().endswith((".", "!", "。", "！")))
        or line.rstrip().endswith("!")
    )


def _without_bullet(line: str) -> str:
    return re.sub(r"^\s*(?:[-*•>]+\s+|\d+[.)]\s+)", "", line).strip()


def is_preamble(text: str) -> bool:
    """Whether the text before data only announces the data."""
    line = text.strip().rstrip("`json\n ").strip()
    return "\n" not in line and line.endswith((":", "："))
