"""Kinds of wrong actions: lessons whose wrong action, and whose answer by the environment, follow the same pattern."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from msgspec import Struct, field

from engine.base.step_kind import refused
from engine.samples.sample import Sample
from engine.tree.tree import SearchTree

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_NAME = re.compile(r"\b\w+:[\w/]+")  # of a thing in a program's words: minecraft:white_wool
_DETAIL = re.compile(r"\(.*")  # what a program prints in brackets, often cut off
_VERB = re.compile(r"[^\W\d_]+")

MOST_ANSWER = 160
"""Letters of an answer that tell its kind."""

GAP = "…"


class Example(Struct, frozen=True):
    """One lesson of a kind."""

    task: str
    instruction: str
    action: str
    answer: str
    needed: str  # the first step of the way on
    path: str  # of the trace
    node: int  # of the wrong step


class Kind(Struct, kw_only=True):
    """Wrong actions that follow one pattern."""

    id: str
    env: str
    pattern: str  # of the action
    answer: str  # pattern of what the environment answers
    refused: bool  # it did nothing
    lessons: int = 0
    tasks: int = 0
    needed: dict[str, int] = field(default_factory=dict)  # pattern of the first step of the way on → lessons
    examples: list[Example] = field(default_factory=list)


def action_pattern(action: str) -> str:
    """The kind of an action: its first word, and that something follows."""
    found = _VERB.search(action)
    if found is None:
        return _NUMBER.sub("N", action.strip())[:40] or GAP
    verb, rest = found.group().lower(), action[found.end() :].strip()
    return f"{verb} {GAP}" if rest else verb


def answer_pattern(action: str, answer: str) -> str:
    """The kind of an answer: its first line less numbers, names, what is in brackets and the words of the action."""
    line = next((line.strip() for line in answer.splitlines() if line.strip()), "")[:MOST_ANSWER]
    said = {word.lower() for word in _WORD.findall(action)}

    def gap(match: re.Match[str]) -> str:
        return GAP if match.group().lower() in said else match.group()

    text = _WORD.sub(gap, _NAME.sub(GAP, _DETAIL.sub(GAP, line)))
    text = _NUMBER.sub(GAP, text)
    return re.sub(rf"{GAP}(?:[\s_:,-]*{GAP})+", GAP, text)


def kinds_of(samples: Iterable[Sample], trees: Mapping[str, SearchTree], examples: int = 2) -> list[Kind]:
    """Returns the kinds of wrong actions of these samples, the most frequent first; each lesson counts once.

    `samples`: in any order. `trees`: by id of the trace. `examples`: most examples of a kind, of different tasks where
    there are such.
    """
    found: dict[str, Kind] = {}
    rows: dict[str, list[Example]] = {}
    taught: set[str] = set()
    for sample in sorted(samples, key=lambda sample: (sample.environment, sample.task, sample.wrong or 0, sample.id)):
        tree = trees.get(sample.trace)
        if tree is None or sample.wrong is None or not sample.lesson or sample.lesson in taught:
            continue
        taught.add(sample.lesson)
        wrong = tree.nodes[sample.wrong]
        pattern, answer = action_pattern(wrong.action), answer_pattern(wrong.action, wrong.observation)
        key = blake2b("\n".join((sample.environment, pattern, answer)).encode(), digest_size=4).hexdigest()
        kind = found.setdefault(
            key,
            Kind(
                id=key, env=sample.environment, pattern=pattern, answer=answer,
                refused=refused(sample.environment, wrong.action, wrong.observation, wrong.results),
            ),
        )  # fmt: skip
        needed = sample.tail.steps[0].action if sample.tail is not None and sample.tail.steps else ""
        if needed:
            to_do = action_pattern(needed)
            kind.needed[to_do] = kind.needed.get(to_do, 0) + 1
        kind.lessons += 1
        shown = Example(
            sample.task, sample.instruction, wrong.action, wrong.observation, needed, sample.path, sample.wrong
        )
        rows.setdefault(key, []).append(shown)
    for key, kind in found.items():
        kind.tasks = len({row.task for row in rows[key]})
        kind.needed = dict(sorted(kind.needed.items(), key=lambda item: (-item[1], item[0])))
        kind.examples = _spread(rows[key], examples)
    return sorted(found.values(), key=lambda kind: (kind.env, -kind.lessons, kind.id))


def _spread(rows: list[Example], count: int) -> list[Example]:
    """A few examples, of different tasks and actions first."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, row in enumerate(rows):
        ranked.append((seen[row.task] + seen[row.action], place, row))
        seen[row.task] += 1
        seen[row.action] += 1
    ranked.sort(key=lambda item: item[:2])
    return [row for _, _, row in ranked[:count]]
