"""The grammar of queries (`docs/query.md`), and how a query becomes a predicate.

Queries on nodes (`engine.query.nodes`) and on samples (`engine.review.sample_query`) have the same grammar. Each has a
`FieldTable` of the words that it knows, and defines what a term means.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from engine.base.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The words that queries of one kind of thing may use."""

    numbers: Collection[str] = ()  # compared with a number
    flags: Collection[str] = ()  # hold or do not
    texts: Collection[str] = ()  # searched
    values: Collection[str] = ()  # all of it: matched by patterns, compared, searched
    aliases: Mapping[str, str] = field(default_factory=dict)
    text: str = "text"  # the field in which a quoted text alone is searched
    bare: bool = False  # whether a word that is no field is such a text, too
    example: str = ""  # what could be written

    @property
    def names(self) -> list[str]:
        """Every word of the table."""
        return [*self.flags, *self.numbers, *self.texts, *self.values, *self.aliases]


COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
"""What the sign of a `Figure` means."""

_ORDER = ("<", "<=", ">", ">=")
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


class Match(NamedTuple):
    """A value that matches one of some patterns, in which `*` means any text; case does not matter."""

    field: str
    patterns: tuple[str, ...]


class Flag(NamedTuple):
    """Something that holds or does not."""

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


Question = Figure | Text | Match | Flag
Term = Question | Not | All | AnyOf


def questions(term: Term) -> list[Question]:
    """The terms of a query that ask for something themselves."""
    if isinstance(term, Not):
        return questions(term.term)
    if isinstance(term, All | AnyOf):
        return [each for part in term.terms for each in questions(part)]
    return [term]


def predicate(term: Term, meaning: Callable[[Question], Callable[[T], bool]]) -> Callable[[T], bool]:
    """Returns whether a thing matches a query, as a function. `meaning` returns the predicate of a question. Texts are
    tested last: where figures decide, no text is read."""
    if isinstance(term, Not):
        inner = predicate(term.term, meaning)
        return lambda thing: not inner(thing)
    if isinstance(term, All | AnyOf):
        cheapest_first = sorted(term.terms, key=lambda part: any(isinstance(each, Text) for each in questions(part)))
        tests = [predicate(part, meaning) for part in cheapest_first]
        test, join = tests.pop(), _either_holds if isinstance(term, AnyOf) else _both_hold
        while tests:
            test = join(tests.pop(), test)
        return test
    return meaning(term)


def _both_hold(one: Callable[[T], bool], other: Callable[[T], bool]) -> Callable[[T], bool]:
    return lambda thing: one(thing) and other(thing)


def _either_holds(one: Callable[[T], bool], other: Callable[[T], bool]) -> Callable[[T], bool]:
    return lambda thing: one(thing) or other(thing)


# -- reading a query ---------------------------------------------------------------------------------


def read(text: str, fields: FieldTable) -> Term:
    """Read a query. Raises `QueryError` naming the column and what would do."""
    scanner = _Scanner(text, fields)
    scanner.space()
    if scanner.done:
        raise QueryError(1, f"it is empty: write for example {fields.example}")
    term = _either(scanner, 0)
    if not scanner.done:
        raise QueryError(scanner.at + 1, "this ) closes nothing: take it out")
    return term


class _Scanner:
    """Where reading has got to."""

    def __init__(self, text: str, fields: FieldTable) -> None:
        self.text, self.fields = text, fields
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
        """Whether a keyword stands here; where words alone are texts, `not-a` is one of these."""
        match = (_BARE if self.fields.bare else _WORD).match(self.text, self.at)
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
        return Text(scanner.fields.text, _quoted(scanner).lower(), whole=False)
    word = scanner.take(_WORD)
    if word is not None:
        return _named(scanner, word, start)
    return _bare(scanner, start, "is not a field or flag: write text~{} to find it in the texts")


def _bare(scanner: _Scanner, start: int, fault: str) -> Text:
    """A word alone, as a text to find. Raises `QueryError` with the fault where such words mean nothing."""
    scanner.at = start
    word = scanner.take(_BARE) or scanner.next
    if scanner.fields.bare and word:
        return Text(scanner.fields.text, word.lower(), whole=False)
    raise QueryError(start + 1, f"{word[:20]!r} {fault.format(word[:20])}")


def _named(scanner: _Scanner, word: str, start: int) -> Term:
    fields = scanner.fields
    name = fields.aliases.get(word.lower(), word.lower())
    before = scanner.at
    scanner.space()
    place = scanner.at
    sign = scanner.take(_OPERATOR)
    if sign is None:
        scanner.at = before
        if name in fields.flags:
            return Flag(name)
        if fields.bare:
            return _bare(scanner, start, "")
        if name in fields.numbers:
            raise QueryError(before + 1, f"{word} needs a comparison: {word}>0, {word}<=2, {word}=1 …")
        if name in fields.texts:
            raise QueryError(before + 1, f'{word} needs a text: {word}~craft, or {word}~"two words"')
        raise QueryError(start + 1, _unknown(word, fields))
    if name in fields.values:
        return _value_term(scanner, name, word, sign)
    if name in fields.texts:
        if sign not in ("~", "!~", ":", "=", "==", "!="):
            raise QueryError(place + 1, f"{word} is a text: write {word}~… (holds) or {word}=… (is)")
        text = Text(name, _value(scanner, word).lower(), whole=sign in ("=", "==", "!="))
        return Not(text) if sign.startswith("!") else text
    if name in fields.numbers:
        if sign in ("~", "!~"):
            raise QueryError(place + 1, f"{word} is a number: compare it by < <= > >= = or !=")
        return Figure(name, "=" if sign == ":" else sign, _number(scanner, word))
    if name in fields.flags:
        raise QueryError(place + 1, f"{word} is a flag: write it alone, or !{word} for the opposite")
    raise QueryError(start + 1, _unknown(word, fields))


def _value_term(scanner: _Scanner, name: str, word: str, sign: str) -> Term:
    if sign in _ORDER:
        return Figure(name, sign, _number(scanner, word))
    value = _value(scanner, word, joined=True)
    term = Text(name, value.lower(), whole=False) if sign.endswith("~") else Match(name, tuple(value.split(",")))
    return Not(term) if sign.startswith("!") else term


def _unknown(word: str, fields: FieldTable) -> str:
    near = difflib.get_close_matches(word.lower(), fields.names, 1, 0.75)
    meant = f"did you mean {near[0]}? " if near else ""
    if fields.bare:
        return f"unknown field {word[:40]!r}: {meant}the fields are {', '.join(fields.names)}"
    return f"unknown word {word[:40]!r}: {meant}text~{word[:40]} finds it in the texts"


def _number(scanner: _Scanner, word: str) -> float:
    scanner.space()
    at = scanner.at
    number = scanner.take(_NUMBER)
    if number is None or ((rest := _BARE.match(scanner.text, scanner.at)) and rest.group()[0] not in "|"):
        scanner.at = at
        shown = (scanner.take(_BARE) or "nothing")[:20]
        raise QueryError(at + 1, f"{word} is compared with a number, like 0.5, not {shown!r}")
    return float(number)


def _value(scanner: _Scanner, word: str, joined: bool = False) -> str:
    """A text: quoted, or up to the next space or parenthesis; `joined`: quoted and other parts in a row are one."""
    scanner.space()
    parts = [_part(scanner)]
    while joined and parts[-1]:
        parts.append(_part(scanner))
    if not parts[0]:
        raise QueryError(scanner.at + 1, f"a text must follow {word}~")
    return "".join(parts)


def _part(scanner: _Scanner) -> str:
    return _quoted(scanner) if scanner.next in ('"', "'") else scanner.take(_BARE) or ""


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
