"""Comparing two traces: what is determined by settings, seed and answers, and nothing else.

Outside the comparison: sequence numbers, `t`, latency, usage, the order of `sampled`, retries (`failed`), `paused`,
`resumed` and an `ended` that a `resumed` follows, versions of format and code, the trace's id and origin,
`concurrency`, where and how patiently a model is asked, how answers are read, counts of steps and resets, totals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from engine.tree.events import (
    AnyEvent,
    Ended,
    Event,
    Expanded,
    Failed,
    Paused,
    Resumed,
    Sampled,
    SearchSettings,
    SettingsChanged,
    Started,
)

SHOWN = 60
"""Characters of a value that a difference shows."""

_OUTSIDE: dict[type, frozenset[str]] = {
    Started: frozenset({"version", "trace", "opened", "code", "forked_from"}),
    SearchSettings: frozenset({"concurrency", "base_url", "key_env", "timeout", "retries", "parse"}),
    Expanded: frozenset({"steps", "resets"}),
    Ended: frozenset({"totals"}),
}
_OF_EVERY_EVENT = frozenset({"seq", "t"})
_NOTHING = object()

Answers = dict[int, dict[int, Sampled]]
"""node → draw → the answer, of nodes that are not expanded yet."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two traces differ in one field."""

    seqs: tuple[int | None, int | None]  # of the two events; None where a trace has no such event
    kind: str  # of the event
    field: str  # e.g. "children[1].observation"; "" for the whole event
    a: str  # shortened, control characters escaped
    b: str

    def __str__(self) -> str:
        a, b = ("–" if seq is None else seq for seq in self.seqs)
        where = f"event {a}" if a == b else f"event {a} / {b}"
        return f"{where}: {self.kind}{'.' + self.field if self.field else ''}: {self.a} ≠ {self.b}"


def compare(a: Iterable[AnyEvent], b: Iterable[AnyEvent], *, limit: int = 20) -> list[Difference]:
    """Returns the first differences of two traces; none where they are the same search.

    Where one trace has another kind of event than the other, or none, the comparison ends: what follows would differ by
    that alone. Answers are compared when their node is expanded; those that were never used, where both traces have
    them.

    `a` and `b`: their events. `limit`: most differences.
    """
    found: list[Difference] = []
    answers_a: Answers = {}
    answers_b: Answers = {}
    for one, other in zip_longest(_determined(a, answers_a), _determined(b, answers_b)):
        if type(one) is not type(other):
            found.append(_other_kind(one, other))
            return found[:limit]
        found.extend(_event_differences(one, other, answers_a, answers_b))
        if len(found) >= limit:
            return found[:limit]
    for parent in sorted(answers_a.keys() & answers_b.keys()):
        found.extend(_answer_differences(answers_a[parent], answers_b[parent], both=True))
    return found[:limit]


def _determined(events: Iterable[AnyEvent], answers: Answers) -> Iterator[AnyEvent]:
    """The events that are compared in order; answers go to `answers`."""
    ended: Ended | None = None
    for event in events:
        if isinstance(event, Sampled):
            answers.setdefault(event.parent, {})[event.draw] = event
        elif isinstance(event, Resumed):
            ended = None
        elif isinstance(event, Ended):
            ended = event
        elif isinstance(event, SettingsChanged) and event.changes.keys() == {"concurrency"}:
            pass
        elif not isinstance(event, Failed | Paused):
            yield event
    if ended is not None:
        yield ended


def _event_differences(one: Event, other: Event, answers_a: Answers, answers_b: Answers) -> Iterator[Difference]:
    seqs = (one.seq, other.seq)
    if isinstance(one, Expanded) and isinstance(other, Expanded) and one.parent == other.parent:
        yield from _answer_differences(answers_a.pop(one.parent, {}), answers_b.pop(one.parent, {}), both=False)
    for field, left, right in _differences(one, other):
        yield Difference(seqs, _kind(one), field, *_shown(left, right))


def _answer_differences(a: dict[int, Sampled], b: dict[int, Sampled], *, both: bool) -> Iterator[Difference]:
    for draw in sorted(a.keys() & b.keys() if both else a.keys() | b.keys()):
        one, other = a.get(draw), b.get(draw)
        responses = (one.response if one else _NOTHING, other.response if other else _NOTHING)
        if responses[0] != responses[1]:
            seqs = (one.seq if one else None, other.seq if other else None)
            parent = one.parent if one else other.parent if other else None
            yield Difference(seqs, "sampled", f"response of node {parent}, draw {draw}", *_shown(*responses))


def _other_kind(one: AnyEvent | None, other: AnyEvent | None) -> Difference:
    seqs = (one.seq if one else None, other.seq if other else None)
    kinds = [_kind(event) if event else "nothing" for event in (one, other)]
    return Difference(seqs, "kind of event", "", *kinds)


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)


def _differences(a: Any, b: Any) -> Iterator[tuple[str, Any, Any]]:
    """Fields in which two events differ, in order, down to the smallest part."""
    todo: list[tuple[str, Any, Any]] = [("", a, b)]
    while todo:
        field, left, right = todo.pop()
        parts: list[tuple[str, Any, Any]] = []
        if isinstance(left, msgspec.Struct) and type(left) is type(right):
            outside = _OUTSIDE.get(type(left), frozenset())
            if isinstance(left, Event):
                outside |= _OF_EVERY_EVENT
            for name in left.__struct_fields__:
                if name not in outside:
                    parts.append((f"{field}.{name}" if field else name, getattr(left, name), getattr(right, name)))
        elif left == right:
            continue
        elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
            pairs = zip_longest(left, right, fillvalue=_NOTHING)
            parts = [(f"{field}[{place}]", *pair) for place, pair in enumerate(pairs)]
        elif isinstance(left, dict) and isinstance(right, dict) and field == "changes":
            names = [name for name in left | right if name != "concurrency"]
            parts = [(f"{field}.{name}", left.get(name, _NOTHING), right.get(name, _NOTHING)) for name in names]
        else:
            yield field, left, right
        todo.extend(reversed(parts))


def _shown(left: Any, right: Any) -> tuple[str, str]:
    """Both values as short texts that begin a little before they part."""
    a, b = (_text(value) for value in (left, right))
    same = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, same - SHOWN // 3) if max(len(a), len(b)) > SHOWN else 0
    return _cut(a, start), _cut(b, start)


def _text(value: Any) -> str:
    if value is _NOTHING:
        return "nothing"
    return repr(msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value)


def _cut(text: str, start: int) -> str:
    piece = text[start : start + SHOWN]
    return ("…" if start else "") + piece + ("…" if start + SHOWN < len(text) else "")
