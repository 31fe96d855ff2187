"""Two trajectories, or two trees, beside each other: what they share, and where they part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from engine.tree.node import ROOT
from engine.tree.reader import TreeReader

MOST_WORDS = 1_200
"""Of longer texts the part between the first and the last difference is taken as a whole."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


# -- words -----------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A part of a text."""

    text: str
    changed: bool  # the other text has something else, or nothing, in its place


def word_diff(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in parts that are the same or not, word by word."""
    if one == other:
        return [Piece(one, False)] if one else [], [Piece(other, False)] if other else []
    a, b = _WORD.findall(one), _WORD.findall(other)
    start = _shared(a, b)
    end = _shared(a[start:][::-1], b[start:][::-1])
    head, tail = "".join(a[:start]), "".join(a[len(a) - end :])
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    left, right = [Piece(head, False)], [Piece(head, False)]
    if len(a) > MOST_WORDS or len(b) > MOST_WORDS:
        left.append(Piece("".join(a), True))
        right.append(Piece("".join(b), True))
    else:
        for tag, a1, a2, b1, b2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            left.append(Piece("".join(a[a1:a2]), tag != "equal"))
            right.append(Piece("".join(b[b1:b2]), tag != "equal"))
    left.append(Piece(tail, False))
    right.append(Piece(tail, False))
    return [piece for piece in left if piece.text], [piece for piece in right if piece.text]


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many items both begin with."""
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


# -- two trajectories ------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A step of one trajectory, of the other, or one of each that stand beside each other."""

    one: int | None  # node of the first tree
    other: int | None
    same: bool  # thought, action and observation are the same


def align(one: TreeReader, a: int, other: TreeReader, b: int) -> tuple[int, list[Step]]:
    """Returns how many steps two trajectories share from the start, and all their steps in order.

    In one tree the shared steps are the shared nodes; in two, steps with the same response and observation. After that,
    steps with the same action stand beside each other where that keeps the order.

    `one` and `a`: the first tree and the last node of its trajectory. `other` and `b`: those of the second.
    """
    left, right = _way(one, a), _way(other, b)
    if one is other:
        prefix = _shared_ids(left, right)
    else:
        prefix = 0
        while prefix < min(len(left), len(right)) and _same(one, left[prefix], other, right[prefix]):
            prefix += 1
    steps = [Step(x, y, True) for x, y in zip(left[:prefix], right[:prefix], strict=True)]
    left, right = left[prefix:], right[prefix:]
    actions = [one.node(id).action for id in left], [other.node(id).action for id in right]
    for _, a1, a2, b1, b2 in SequenceMatcher(None, *actions, autojunk=False).get_opcodes():
        for place in range(max(a2 - a1, b2 - b1)):
            x = left[a1 + place] if a1 + place < a2 else None
            y = right[b1 + place] if b1 + place < b2 else None
            steps.append(Step(x, y, x is not None and y is not None and _same(one, x, other, y)))
    return prefix, steps


def _shared_ids(left: list[int], right: list[int]) -> int:
    return next((at for at, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right)))


def _way(reader: TreeReader, id: int) -> list[int]:
    """The steps to a node, the first first; the root is none."""
    way = []
    while id != ROOT:
        way.append(id)
        id = reader.node(id).parent
    return way[::-1]


def _same(one: TreeReader, a: int, other: TreeReader, b: int) -> bool:
    x, y = one.node(a), other.node(b)
    return x.response == y.response and x.action == y.action and x.observation == y.observation


# -- two trees -------------------------------------------------------------------------------------------


class Parting(NamedTuple):
    """A node that both trees have, and what differs there."""

    one: int
    other: int
    text: bool  # its response or observation differs: the same action, told or answered otherwise
    only_one: list[int]  # children that only the first tree has
    only_other: list[int]


def partings(one: TreeReader, other: TreeReader) -> Iterator[Parting]:
    """Where two trees part, in the order of a walk through what they share.

    Children are the same where they have the same action; of several with one action, those with the same response
    are matched first, then the rest in order. Below a child that only one tree has nothing is compared.
    """
    pending = [(ROOT, ROOT)]
    while pending:
        a, b = pending.pop()
        pairs, only_one, only_other = _matched(one, one.children(a), other, other.children(b))
        text = a != ROOT and not _same(one, a, other, b)
        if text or only_one or only_other:
            yield Parting(a, b, text, only_one, only_other)
        pending.extend(reversed(pairs))


def _matched(
    one: TreeReader, left: Sequence[int], other: TreeReader, right: Sequence[int]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs of children that are the same step, and those without a partner."""
    pairs: list[tuple[int, int]] = []
    free = list(right)
    rest = list(left)
    for same in (_same_words, _same_action):
        unpaired = []
        for a in rest:
            partner = next((b for b in free if same(one, a, other, b)), None)
            if partner is None:
                unpaired.append(a)
            else:
                free.remove(partner)
                pairs.append((a, partner))
        rest = unpaired
    return sorted(pairs), rest, free


def _same_words(one: TreeReader, a: int, other: TreeReader, b: int) -> bool:
    return one.node(a).action == other.node(b).action and one.node(a).response == other.node(b).response


def _same_action(one: TreeReader, a: int, other: TreeReader, b: int) -> bool:
    return one.node(a).action == other.node(b).action


def sizes(reader: TreeReader) -> list[int]:
    """How many nodes there are at and below each node."""
    counts = [1] * len(reader)
    for id in range(len(reader) - 1, ROOT, -1):
        counts[reader.node(id).parent] += counts[id]
    return counts
