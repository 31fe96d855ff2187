"""Queries over samples: `verdict:diverged mark<3 kind:revision text~plank -tag:later`.

Terms are separated by blanks, and all must hold; `-` or `!` before a term turns it round; quotes hold words together.

- `field:value` (or `=`): equal, case aside; `a,b` is either, `*` stands for anything. `none` is an empty field.
- `field<n`, `<=`, `>`, `>=`, `!=`: numbers. A field that is not set is never smaller or larger.
- `field~text`: holds the text, case aside.
- a bare word: the start of a sample's id, or part of its text.

The fields are in `FIELDS`.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from engine.base.errors import InputError
from engine.review.curation import decision_of, uncertain_share
from engine.review.decisions import Decided
from engine.samples.revise import Sample

Value = str | int | float | None | list[str]
Field = Callable[[Sample, Decided | None], Value]
Test = Callable[[Sample, Decided | None], bool]


def _text(sample: Sample, decided: Decided | None) -> str:
    said = [decided.note or "", decided.reason, *decided.tags, decided.thought or ""] if decided else []
    return "\n".join([sample.instruction, sample.thought, *(each.reason for each in sample.judgements), *said])


FIELDS: dict[str, Field] = {
    "id": lambda sample, decided: sample.id,
    "kind": lambda sample, decided: sample.kind,
    "verdict": lambda sample, decided: sample.verdict,
    "decision": lambda sample, decided: decision_of(sample.id, {sample.id: decided} if decided else {}),
    "reviewer": lambda sample, decided: sorted(decided.by_reviewer) if decided else [],
    "reason": lambda sample, decided: decided.reason if decided else "",
    "note": lambda sample, decided: (decided.note or "") if decided else "",
    "tag": lambda sample, decided: decided.tags if decided else [],
    "env": lambda sample, decided: sample.environment,
    "task": lambda sample, decided: sample.task,
    "goal": lambda sample, decided: sample.instruction,
    "trace": lambda sample, decided: sample.trace,
    "path": lambda sample, decided: sample.path,
    "file": lambda sample, decided: Path(sample.path).name,
    "good": lambda sample, decided: sample.good,
    "bad": lambda sample, decided: sample.bad,
    "fork": lambda sample, decided: sample.fork_depth,
    "mark": lambda sample, decided: decided.mark if decided and decided.mark is not None else sample.mark,
    "found": lambda sample, decided: sample.found,
    "gap": lambda sample, decided: sample.return_good - sample.return_bad,
    "steps": lambda sample, decided: sample.replay.steps if sample.replay else None,
    "uncertain": lambda sample, decided: uncertain_share(sample),
    "verifier": lambda sample, decided: sample.verifier,
    "thought": lambda sample, decided: decided.thought if decided and decided.thought is not None else sample.thought,
    "text": _text,
}
"""Fields by name. `verdict` is the replay's, `decision` a person's (`undecided` where there is none), `fork` the step
after which the good trajectory leaves, `uncertain` the share of judged steps that are Uncertain."""

_TERM = re.compile(r"(?P<field>[a-z_]+)(?P<sign><=|>=|!=|:|=|<|>|~)(?P<value>.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parse(query: str) -> Test:
    """What a query asks of a sample. Raises `InputError` naming the term that can't be read."""
    try:
        words = shlex.split(query)
    except ValueError as error:
        raise InputError(f"query {query!r}: {error}") from error
    tests = [_term(word) for word in words if word]
    return lambda sample, decided: all(test(sample, decided) for test in tests)


def _term(word: str) -> Test:
    if word[0] in "-!" and len(word) > 1:
        turned = _term(word[1:])
        return lambda sample, decided: not turned(sample, decided)
    match = _TERM.fullmatch(word)
    if match is None:
        wanted = word.casefold()
        return lambda sample, decided: (
            sample.id.startswith(wanted) or wanted in f"{sample.task}\n{_text(sample, decided)}".casefold()
        )
    name, sign, value = match["field"], match["sign"], match["value"]
    field = FIELDS.get(name)
    if field is None:
        raise InputError(f"unknown field {name!r} in a query: one of {', '.join(FIELDS)}")
    if sign in _COMPARE:
        return _number(field, _COMPARE[sign], value, word)
    if sign == "~":
        part = value.casefold()
        return lambda sample, decided: any(part in text for text in _texts(field(sample, decided)))
    patterns = [each.casefold() for each in value.split(",")]
    if sign == "!=":
        return lambda sample, decided: not _equals(_texts(field(sample, decided)), patterns)
    return lambda sample, decided: _equals(_texts(field(sample, decided)), patterns)


def _number(field: Field, compare: Callable[[float, float], bool], value: str, word: str) -> Test:
    try:
        limit = float(value)
    except ValueError:
        raise InputError(f"query term {word!r}: {value!r} is not a number") from None

    def test(sample: Sample, decided: Decided | None) -> bool:
        found = field(sample, decided)
        return isinstance(found, int | float) and compare(found, limit)

    return test


def _texts(value: Value) -> list[str]:
    """A value as texts; nothing is the word `none`."""
    if value is None or value == "" or value == []:
        return ["none"]
    if isinstance(value, list):
        return [each.casefold() for each in value]
    return [f"{value:g}" if isinstance(value, float) else str(value).casefold()]


def _equals(texts: list[str], patterns: list[str]) -> bool:
    return any(text == pattern or fnmatchcase(text, pattern) for text in texts for pattern in patterns)


def select(samples: Iterable[Sample], current: Mapping[str, Decided], query: str) -> list[Sample]:
    """The samples that a query names; all for an empty one. Raises `InputError`."""
    test = parse(query)
    return [sample for sample in samples if test(sample, current.get(sample.id))]
