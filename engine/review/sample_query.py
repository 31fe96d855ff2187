"""Queries over samples: `verdict:diverged mark<3 (kind:revision or gap>=0.5) text~plank -tag:later`.

The grammar is that of `engine.query.grammar`; of a field may be asked:

- `field:value` (or `=`): equal, case aside; `a,b` is either, `*` stands for anything. `none` is an empty field.
- `field<n`, `<=`, `>`, `>=`: numbers. A field that is not set is never smaller or larger.
- `field~text`: holds the text, case aside. `!=` and `!~` are the opposites.
- a bare word or a quoted text: the start of a sample's id, or part of its text, its verdict, decision, kind or task.

The fields are in `FIELDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from engine.query.grammar import COMPARE, FieldTable, Figure, Match, Question, Text, predicate, read
from engine.review.curation import decision_in, uncertain_share
from engine.review.decisions import Decided
from engine.samples.sample import Sample

Value = str | int | float | None | list[str]
Field = Callable[[Sample, Decided | None], Value]
Test = Callable[[Sample, Decided | None], bool]
Words = Callable[[Sample, Decided | None, str], bool]
"""Whether a text in lower case is to be found in a sample."""


class _Case(NamedTuple):
    """A sample and what was decided on it."""

    sample: Sample
    decided: Decided | None


def _text(sample: Sample, decided: Decided | None) -> str:
    said = [decided.note or "", decided.reason, *decided.tags, decided.thought or ""] if decided else []
    return "\n".join([sample.instruction, sample.thought, *(each.reason for each in sample.judgements), *said])


FIELDS: dict[str, Field] = {
    "id": lambda sample, decided: sample.id,
    "kind": lambda sample, decided: sample.kind,
    "verdict": lambda sample, decided: sample.verdict,
    "decision": lambda sample, decided: decision_in(decided),
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

ANYWHERE = ""  # the field of a word alone
SAMPLE = FieldTable(values=FIELDS, text=ANYWHERE, bare=True)


def anywhere(sample: Sample, decided: Decided | None, wanted: str) -> bool:
    """Whether a sample's id begins with a text, or one of its names or texts holds it.

    `sample`: the sample. `decided`: the decisions in force on it. `wanted`: the text, in lower case.
    """
    called = (sample.environment, sample.task, sample.kind, sample.verdict, decision_in(decided))
    return sample.id.startswith(wanted) or wanted in "\n".join((*called, _text(sample, decided))).casefold()


def parse(query: str, words: Words = anywhere) -> Test:
    """Returns the predicate of a query on samples; every sample matches an empty query.

    `words`: what a word alone means. Raises `QueryError` that names the column and the remedy.
    """
    if not query.strip():
        return lambda sample, decided: True
    test = predicate(read(query, SAMPLE), lambda question: _meaning(question, words))
    return lambda sample, decided: test(_Case(sample, decided))


def _meaning(question: Question, words: Words) -> Callable[[_Case], bool]:
    if isinstance(question, Text) and question.field == ANYWHERE:
        wanted = question.wanted
        return lambda case: words(case.sample, case.decided, wanted)
    assert isinstance(question, Text | Figure | Match)  # samples have no flags
    field = FIELDS[question.field]
    if isinstance(question, Figure):
        compare, limit = COMPARE[question.compare], question.value

        def compared(case: _Case) -> bool:
            found = field(*case)
            return isinstance(found, int | float) and compare(found, limit)

        return compared
    if isinstance(question, Text):
        part = question.wanted.casefold()
        return lambda case: any(part in text for text in _texts(field(*case)))
    patterns = [pattern.casefold() for pattern in question.patterns]
    return lambda case: _equals(_texts(field(*case)), patterns)


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
    """Returns the samples that a query names; all for an empty query. Raises `InputError`.

    `samples`: in order. `current`: the decisions in force, by sample id. `query`: as text.
    """
    test = parse(query)
    return [sample for sample in samples if test(sample, current.get(sample.id))]
