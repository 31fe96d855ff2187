"""Which messages are equal: what an attempt did and saw, without texts that differ in every attempt.

Texts compare without blanks at their ends and with `\\n` as line end; calls by name and arguments; a result by the
place of the call that it answers. Ids are left out, also where a text repeats the id of one of its step's own calls.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Literal

from engine.answers.thinking import take_out_thinking
from engine.base.text import stored_action
from engine.imports.merging.volatile import masked
from engine.tree.events import Message, ToolCall
from envs.call_text import calls_text

Merge = Literal["action", "text", "state", "none"]
MERGES: tuple[Merge, ...] = ("action", "text", "state", "none")

_LABEL = re.compile(r"^[ \t]*Action(?: 1)?:", re.M)
_COMMAND = re.compile(r"^```(?:bash|sh|shell|console|mswea_bash_command)[ \t]*\n(.*?)^```", re.M | re.S)


def tidy(text: str) -> str:
    """A text as it is compared."""
    return (text.replace("\r\n", "\n") if "\r" in text else text).strip()


def action_of(response: str, calls: Sequence[ToolCall]) -> str:
    """Returns the action of an assistant's turn as text: its calls; without calls the text after its label `Action:`,
    or its only command in a fence; else the whole turn."""
    if calls:
        return _called(tuple(calls))
    if "Action" in response and _LABEL.search(response):
        return stored_action(response)
    if "```" in response:
        commands = _COMMAND.findall(response)
        if len(commands) == 1:
            return str(commands[0]).strip()
    if response.lstrip().startswith("<think"):
        return take_out_thinking(response)[0].strip()
    return response


@lru_cache(maxsize=1 << 10)
def _called(calls: tuple[ToolCall, ...]) -> str:
    return calls_text([(call.name, call.arguments) for call in calls])


def said(response: str, calls: Sequence[ToolCall], action: str, merge: Merge, ids: Sequence[str] = ()) -> Hashable:
    """Returns the key of an assistant's turn.

    `response`: its whole text; `calls`: its calls; `action`: as `action_of` returns it. `merge`: which of these have to
    be equal. `ids`: names of runs and paths of this attempt alone, which do not count.
    """
    if merge == "action":
        return tidy(without_ids(action, ids))
    words = tidy(without_ids(response, ids))
    return (words, tidy(without_ids(action, ids))) if calls else words


def seen(answers: Sequence[Message], ids: Sequence[str] = ()) -> tuple[tuple[str, str, str, str], ...]:
    """The key of what answers a turn."""
    return tuple(
        (answer.role, answer.tool_call_id, _seen(answer.content, ids), calls_of_user(answer)) for answer in answers
    )


def apart(a: str, b: str, ids: Sequence[str], others: Sequence[str]) -> tuple[str, str]:
    """The lines of two different texts from the first to the last in which they differ, as they are compared.

    `a`, `b`: the texts. `ids`, `others`: the ids of calls in each, which are no difference.
    """
    most = min(len(a), len(b))
    same, left = 0, most
    while same < left:  # characters that both begin with
        middle = (same + left + 1) // 2
        if a[same:middle] == b[same:middle]:
            same = middle
        else:
            left = middle - 1
    first = a.rfind("\n", 0, same) + 1
    same, left = 0, most - first
    while same < left:  # and end with
        middle = (same + left + 1) // 2
        if a[len(a) - middle : len(a) - same] == b[len(b) - middle : len(b) - same]:
            same = middle
        else:
            left = middle - 1
    end = a.find("\n", len(a) - same) if same else -1
    behind = len(a) - end if end >= 0 else 0  # characters of the lines that follow
    mine, its = a[first : len(a) - behind], b[first : len(b) - behind]
    mine, its = without_ids(mine, ids), without_ids(its, others)
    if "\r" in mine or "\r" in its:
        mine, its = mine.replace("\r\n", "\n"), its.replace("\r\n", "\n")
    if not first or (a[0].isspace() and not a[:first].strip()):
        mine, its = mine.lstrip(), its.lstrip()
    if not behind or (a[-1].isspace() and not a[len(a) - behind :].strip()):
        mine, its = mine.rstrip(), its.rstrip()
    return mine, its


def _seen(text: str, ids: Sequence[str]) -> str:
    return masked(tidy(without_ids(text, ids)))


def calls_of_user(answer: Message) -> str:
    """Calls of a user who has tools."""
    return calls_text([(call.name, call.arguments) for call in answer.tool_calls]) if answer.tool_calls else ""


_ID = re.compile(r"\b(?:toolu|call|fc|chatcmpl-tool)[-_][A-Za-z0-9_-]{8,}")


def without_ids(text: str, ids: Sequence[str]) -> str:
    """A text with a sign for each id: for what looks like one, and for these, by their places."""
    if "toolu_" in text or "call_" in text or "fc_" in text or "chatcmpl-tool" in text:
        text = _ID.sub("#", text)
    for place, id in enumerate(ids, 1):
        if id and id in text:
            text = text.replace(id, f"#{place}")
    return text
