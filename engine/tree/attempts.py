"""Attempts that were merged into a tree, read back: each in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.tree.events import ImportedAttempt, Message
from engine.tree.node import ROOT

if TYPE_CHECKING:
    from engine.tree.state import TreeState

Words = Mapping[int, int]
"""Node → which of its wordings is meant; a node that is not there: its own."""

NO_WORDS: Words = {}


def words_of(tree: TreeState, attempt: ImportedAttempt) -> Words:
    """The words of an attempt."""
    return {id: number for id, number in zip(tree.ancestors(attempt.leaf), attempt.words, strict=False) if number}


def words_at(tree: TreeState, id: int) -> Words:
    """The words of the first attempt that passed a node."""
    if not tree.attempts:
        return NO_WORDS
    return words_of(tree, tree.attempts[tree.first_through[id]])


def header_as(tree: TreeState, words: Words) -> list[Message]:
    """The header in somebody's words."""
    assert tree.started is not None
    row = tree.nodes[ROOT].imported
    own = row.wordings[number - 1].messages if row is not None and (number := words.get(ROOT, 0)) else None
    return list(tree.started.header if own is None else own)


def attempt_messages(tree: TreeState, attempt: ImportedAttempt) -> list[Message]:
    """An attempt, as it was: what its file says, message by message. Only the ids of calls are the tree's."""
    words = words_of(tree, attempt)
    messages = header_as(tree, words)
    for id in tree.ancestors(attempt.leaf)[1:]:
        messages += tree.nodes[id].messages_as(words.get(id, 0))
    return messages


def attempts_at(tree: TreeState, leaf: int) -> list[ImportedAttempt]:
    """The attempts that end at a leaf, in their order: several are equal."""
    return [attempt for attempt in tree.attempts if attempt.leaf == leaf]
