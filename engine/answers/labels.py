"""Labels in an answer: `Action:`, `Thought:` and what models make of them in other cases, dress and languages."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

from engine.answers.structured import OTHER_ACTION_WORDS
from engine.answers.undress import words_of

Kind = Literal["action", "actions", "thought", "reason", "input", "continuation", "command"]
"""`reason`: a thought, where nothing is called one; `command`: an action, likewise. `continuation`: what others say."""

_ACTION_WORDS = frozenset(("action", "hành động", "ενέργεια", *OTHER_ACTION_WORDS))
_ACTIONS_WORDS = words_of("actions aktionen acciones azioni ações acties")
_THOUGHT_WORDS = words_of(
    "thought thoughts think gedanke gedanken pensamiento pensamento pensée pensee pensiero gedachte tanke "
    "мысль размышление 思考 想法 思路 考え 생각 düşünce pemikiran σκέψη"
) | {"suy nghĩ"}
_REASON_WORDS = frozenset(("reason", "reasoning", "rationale", "thinking", "analysis", "begründung", "理由", "推理"))
_COMMAND_WORDS = frozenset(("command", "cmd", "move", "step", "act", "answer", "response", "output", "next"))
_CONTINUATION_WORDS = words_of(
    "observation observations obs user human system assistant environment env beobachtung observación 观察 観察"
)
_INPUT_WORDS = frozenset(("input", "inputs", "args", "arguments", "parameters", "argument", "parameter"))
_BESIDE = words_of(
    "next my the chosen selected proposed final current best suggested recommended new immediate agent step "
    "to take taken perform is will be single one now name text command process i we should would that for "
    "this turn your"
)
_NOT_MISSPELT = frozenset(("auction", "actin"))
LONGEST = 400  # characters of a line in which a label is looked for

_LABEL = re.compile(
    r"(?P<lead>(?:[^\w\n]|_)*(?:\(?\d+[.):][^\w\n]*)?)"
    r"(?P<name>[^\W\d_]+(?:[ \t_-]+[^\W\d_]+){0,6}?)"
    r"(?P<tail>[ \t#(\[\])*_`\"'”’>】」-]*\d*[ \t\])*_`\"'”’>】」]*)"
    r"(?:(?P<sep>[:：﹕꞉∶](?:[ \t]*[:：](?=\s))?|=>|->|→|⇒|=|>(?=\s)|\||[–—-](?=\s))(?P<rest>.*)|$)"
)  # fmt: skip
_DRESSED = re.compile(
    r"(?:[^\w\n]|_)*?(?:\*\*|__|[\[【<`(])(?P<name>[^\W\d_]+)[ \t]*\d*(?:\*\*|__|[\]】>`)])[ \t]+"
    r"(?P<rest>[^\s:：=|>-].*)$"
)
_BRACKETED = re.compile(
    r"(?:[^\w\n]|_)*(?:action|act)[ \t]*(?:\((?P<round>[^()]+)\)|\[(?P<square>[^\[\]]+)\])[.;]?\s*$", re.I
)
_CHOICES = re.compile(
    r"^(\W*\baction)[ \t]*(?:\([^()\n]*[^\W\d][^()\n]*\)|\[[^\[\]\n]*[^\W\d][^\[\]\n]*\])[ \t]*(?=[:：])", re.I
)
"""What an action may be, between its label and the colon: `Action (choose one): …`."""
_QUOTES = tuple("\"“”'")
_OBJECTS = ('{"', "{'", "{“", "[{")


class Label(NamedTuple):
    """What a line begins with."""

    kind: Kind
    rest: str  # of its line
    named: bool  # with a separator, not a heading


def label_of(line: str) -> Label | None:
    """The label that a line begins with, if it does with one."""
    if line.lstrip().startswith(_OBJECTS):
        return None
    short = len(line) <= LONGEST
    if short and (bracketed := _BRACKETED.match(line)):
        inside = bracketed["round"] or bracketed["square"]
        if not inside.strip().isdigit():
            return Label("action", inside.strip(), True)
    if short and (dressed := _DRESSED.match(line)):
        kind = _kind(dressed["name"])
        if kind in ("action", "thought"):
            return Label(kind, dressed["rest"].strip(), True)
    if short:
        line = _CHOICES.sub(r"\1", line, count=1)
    match = _LABEL.match(line[:LONGEST])
    if match is None:
        return None
    kind = _kind(match["name"])
    if kind is None:
        return None
    sep = match["sep"]
    if sep is None:  # a heading on a line of its own
        return Label(kind, "", False) if kind in ("action", "actions", "thought", "continuation") else None
    if sep[0] not in ":：﹕꞉∶|" and kind not in ("action", "input") and not (sep == ">" and kind == "thought"):
        return None
    rest = line[match.start("rest") :]
    if sep == "|":  # a row of a table
        rest = rest.rstrip().removesuffix("|")
    rest = re.sub(r"^[*_]{1,3}(?=\s|$)", "", rest)
    rest = rest.strip()
    if match["lead"][-1:] in _QUOTES:  # a line of JSON
        rest = rest.rstrip(", ")
        rest = rest[1:-1] if len(rest) > 1 and rest[0] in _QUOTES and rest[-1] in _QUOTES else rest
    return Label(kind, rest, True)


def _kind(name: str) -> Kind | None:
    words = [word for word in re.split(r"[ \t_-]+", unicodedata.normalize("NFKC", name).casefold()) if word]
    if "action" in words and words[-1] in _INPUT_WORDS:
        return "input"
    if words == ["final", "answer"]:
        return "continuation"
    if " ".join(words) in _ACTION_WORDS | _THOUGHT_WORDS:
        return "action" if " ".join(words) in _ACTION_WORDS else "thought"
    core = [word for word in words if word not in _BESIDE] or words[-1:]
    if len(core) != 1:
        return None
    word = core[0]
    if word in _ACTION_WORDS or _misspells_action(word) or word.endswith(("动作", "行动", "動作", "行動")):
        return "action"
    if word in _ACTIONS_WORDS:
        return "actions"
    if word in _THOUGHT_WORDS:
        return "thought"
    if word in _REASON_WORDS:
        return "reason"
    if word in _CONTINUATION_WORDS:
        return "continuation"
    if word in _COMMAND_WORDS:
        return "command"
    return "input" if words[0] in _INPUT_WORDS and len(words) == 1 else None


def _misspells_action(word: str) -> bool:
    """Whether one letter is missing, doubled, wrong or swapped with its neighbour."""
    right = "action"
    if not 5 <= len(word) <= 7 or word[0] != "a" or word in _NOT_MISSPELT or word == "actions":
        return False
    if len(word) == 6:
        wrong = [place for place in range(6) if word[place] != right[place]]
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1 and sorted(word) == sorted(right)
        return len(wrong) == 1 or swapped
    short, long = sorted((word, right), key=len)
    return any(long[:place] + long[place + 1 :] == short for place in range(len(long)))
