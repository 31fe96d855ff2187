"""The words and the grammar of queries (`docs/query.md`): what `engine.query.nodes` gives a meaning to."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from engine.base.errors import InputError

FIELDS: dict[str, str] = {
    "q": "mean return Q = W / N; no value where N = 0",
    "visits": "N, how many leaves below were backed up",
    "w": "W, the sum of their returns",
    "depth": "steps from the root",
    "reward": "the environment's score after the step",
    "return": "the score of a leaf; no value elsewhere",
    "id": "the node's number",
    "children": "how many children it has",
    "draw": "which of its parent's draws it came of, from 0; -1: a person wrote it",
    "prior": "how likely the actor was to say it",
    "repeats": "further draws that gave the same response",
    "seen": "how many nodes stand in the same state, itself included",
    "tokens": "of its draw, in and out; no value where unknown",
}
"""Fields of numbers, and what they mean."""

FLAGS: dict[str, str] = {
    "terminal": "it has no future: done, disaster, too deep or a dead end",
    "leaf": "it is the end of a trajectory that has a return",
    "good": "a leaf whose return exceeds alpha",
    "bad": "any other leaf",
    "done": "the environment ended the episode",
    "disaster": "the score fell below 0",
    "too_deep": "deeper than max_depth",
    "dead_end": "its draws were made and none was usable",
    "expanded": "its draws were made",
    "exhausted": "nothing at or below it can be selected any more",
    "unseen": "never visited: N = 0",
    "failed": "draws of it failed",
    "human": "a person wrote it, or did something to it",
    "pruned": "a person ruled it, or what is above it, out",
    "repeat": "its state was seen before, at an older node",
    "cut": "the actor did not see the whole conversation: it did not fit the context",
}
"""Flags, and what they mean."""

TEXTS: dict[str, str] = {
    "action": "the action as executed",
    "obs": "what the environment answered",
    "thought": "the response less its action",
    "response": "the actor's whole answer",
    "text": "any of these",
}
"""Fields of text, and what they mean."""

ALIASES = {
    "n": "visits",
    "value": "q",
    "score": "reward",
    "observation": "obs",
    "leaves": "leaf",
    "deadend": "dead_end",
    "unvisited": "unseen",
    "edited": "human",
    "loop": "repeat",
}

_COMPARISONS = ("<", "<=", ">", ">=", "=", "==", "!=")
_OPERATOR = re.compile(r"<=|>=|==|!=|!~|<|>|=|~|:")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE = re.compile(r"""[^\s()"']+""")
_MOST_NESTED = 50


class QueryError(InputError):
    """A query can't be read. `column` counts from 1."""

    def __init__(self, column: int, reason: str) -> None:
        self.column, self.reason = column, reason
        super().__init__(f"query, column {column}: {reason}")


# -- what a query says -------------------------------------------------------------------------------


class Figure(NamedTuple):
    """A number compared."""

    field: str
    compare: str
    value: float


class Text(NamedTuple):
    """A text that holds another, or is it."""

    field: str
    wanted: str  # in lower case
    whole: bool  # the whole text, not a part


class Flag(NamedTuple):
    """Something that a node is."""

    name: str


class Not(NamedTuple):
    """The opposite."""

    term: Term


class All(NamedTuple):
    """Every one of these."""

    terms: tuple[Term, ...]


class AnyOf(NamedTuple):
    """At least one of these."""

    terms: tuple[Term, ...]


Term = Figure | Text | Flag | Not | All | AnyOf


# -- reading a query ---------------------------------------------------------------------------------


def read(text: str) -> Term:
    """Read a query. Raises `QueryError` naming the column and what would do."""
    scanner = _Scanner(text)
    scanner.space()
    if scanner.done:
        raise QueryError(1, "it is empty: write for example q>0.5, disaster or action~craft")
    term = _either(scanner, 0)
    if not scanner.done:
        raise QueryError(scanner.at + 1, "this ) closes nothing: take it out")
    return term


class _Scanner:
    """Where reading has got to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    @property
    def next(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def space(self) -> None:
        while self.next.isspace():
            self.at += 1

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """What matches here, which is then passed."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match.group()

    def is_word(self, word: str) -> bool:
        match = _WORD.match(self.text, self.at)
        return match is not None and match.group().lower() == word


def _either(scanner: _Scanner, depth: int) -> Term:
    terms = [_every(scanner, depth)]
    while scanner.is_word("or") or scanner.next == "|":
        scanner.at += 1 if scanner.next == "|" else 2
        terms.append(_every(scanner, depth))
    return terms[0] if len(terms) == 1 else AnyOf(tuple(terms))


def _every(scanner: _Scanner, depth: int) -> Term:
    terms: list[Term] = []
    while True:
        scanner.space()
        if terms and scanner.is_word("and"):
            scanner.at += 3
            scanner.space()
            if scanner.done or scanner.next in ")|" or scanner.is_word("or"):
                raise QueryError(scanner.at + 1, "something must follow `and`")
        elif scanner.done or scanner.next in ")|" or scanner.is_word("or"):
            if not terms:
                raise QueryError(scanner.at + 1, "something is missing here: a field, a flag or a text")
            return terms[0] if len(terms) == 1 else All(tuple(terms))
        terms.append(_one(scanner, depth))


def _one(scanner: _Scanner, depth: int) -> Term:
    if depth > _MOST_NESTED:
        raise QueryError(scanner.at + 1, f"nested deeper than {_MOST_NESTED}: write it flatter")
    start = scanner.at
    sign = scanner.next
    if sign in ("!", "-") or scanner.is_word("not"):
        scanner.at += 1 if sign in ("!", "-") else 3
        scanner.space()
        if scanner.done:
            raise QueryError(scanner.at + 1, f"something must follow {sign if sign in '!-' else 'not'}")
        return Not(_one(scanner, depth + 1))
    if sign == "(":
        scanner.at += 1
        term = _either(scanner, depth + 1)
        if scanner.next != ")":
            raise QueryError(start + 1, "this ( is never closed: add )")
        scanner.at += 1
        return term
    if sign in ('"', "'"):
        return Text("text", _quoted(scanner).lower(), whole=False)
    word = scanner.take(_WORD)
    if word is None:
        shown = (scanner.take(_BARE) or sign)[:20]
        raise QueryError(start + 1, f"{shown!r} is not a field or flag: write text~{shown} to find it in the texts")
    return _named(scanner, word, start)


def _named(scanner: _Scanner, word: str, start: int) -> Term:
    name = ALIASES.get(word.lower(), word.lower())
    before = scanner.at
    scanner.space()
    place = scanner.at
    sign = scanner.take(_OPERATOR)
    if sign is None:
        scanner.at = before
        if name in FLAGS:
            return Flag(name)
        if name in FIELDS:
            raise QueryError(before + 1, f"{word} needs a comparison: {word}>0, {word}<=2, {word}=1 …")
        if name in TEXTS:
            raise QueryError(before + 1, f'{word} needs a text: {word}~craft, or {word}~"two words"')
        raise QueryError(start + 1, _unknown(word))
    if name in TEXTS:
        if sign not in ("~", "!~", ":", "=", "==", "!="):
            raise QueryError(place + 1, f"{word} is a text: write {word}~… (holds) or {word}=… (is)")
        scanner.space()
        text = Text(name, _value(scanner, word).lower(), whole=sign in ("=", "==", "!="))
        return Not(text) if sign.startswith("!") else text
    if name in FIELDS:
        if sign not in _COMPARISONS and sign != ":":
            raise QueryError(place + 1, f"{word} is a number: compare it by < <= > >= = or !=")
        scanner.space()
        at = scanner.at
        number = scanner.take(_NUMBER)
        if number is None or ((rest := _BARE.match(scanner.text, scanner.at)) and rest.group()[0] not in "|"):
            scanner.at = at
            shown = (scanner.take(_BARE) or "nothing")[:20]
            raise QueryError(at + 1, f"{word} is compared with a number, like 0.5, not {shown!r}")
        return Figure(name, "=" if sign == ":" else sign, float(number))
    if name in FLAGS:
        raise QueryError(place + 1, f"{word} is a flag: write it alone, or !{word} for the opposite")
    raise QueryError(start + 1, _unknown(word))


def _unknown(word: str) -> str:
    names = [*FLAGS, *FIELDS, *TEXTS, *ALIASES]
    near = difflib.get_close_matches(word.lower(), names, 1, 0.75)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"unknown word {word[:40]!r}: {meant}text~{word[:40]} finds it in the texts"


def _value(scanner: _Scanner, word: str) -> str:
    """A text: quoted, or up to the next space or parenthesis."""
    if scanner.next in ('"', "'"):
        return _quoted(scanner)
    value = scanner.take(_BARE)
    if value is None:
        raise QueryError(scanner.at + 1, f"a text must follow {word}~")
    return value


def _quoted(scanner: _Scanner) -> str:
    """A text in quotes; a backslash takes the next character as it is."""
    start, quote = scanner.at, scanner.next
    parts: list[str] = []
    scanner.at += 1
    while scanner.next != quote:
        if scanner.done:
            raise QueryError(start + 1, f"this {quote} is never closed: add {quote} at the end of the text")
        if scanner.next == "\\" and scanner.at + 1 < len(scanner.text):
            scanner.at += 1
        parts.append(scanner.next)
        scanner.at += 1
    scanner.at += 1
    if not parts:
        raise QueryError(start + 1, "an empty text is in every text: write what to find")
    return "".join(parts)
