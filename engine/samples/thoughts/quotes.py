"""Thoughts that speak of what a trajectory no longer shows: they quote a step that was cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from engine.base.text import split_thought, stored_action
from engine.tree.events import ToolCall
from engine.tree.tree import SearchTree

LONGEST, SHORTEST = 4, 2
"""Words in a row that make a quotation; a shorter text is quoted as a whole, one word is no quotation."""

Runs = frozenset[tuple[str, ...]]


@lru_cache(maxsize=20_000)
def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


@lru_cache(maxsize=20_000)
def _quotable(text: str) -> Runs:
    """What would be a quotation of a text."""
    words = _words(text)
    if len(words) < SHORTEST:
        return frozenset()
    return frozenset(words[at : at + LONGEST] for at in range(max(1, len(words) - LONGEST + 1)))


@lru_cache(maxsize=20_000)
def _runs(text: str) -> Runs:
    """All runs of words that a text has."""
    words = _words(text)
    return frozenset(
        words[at : at + length] for length in range(SHORTEST, LONGEST + 1) for at in range(len(words) - length + 1)
    )


class Quotes:
    """What a trajectory has shown so far."""

    def __init__(self, tree: SearchTree) -> None:
        self._tree = tree
        self._shown: list[Runs] = []

    def show(self, text: str) -> None:
        """A text that the actor has read or written."""
        self._shown.append(_runs(text))

    def show_step(self, id: int) -> None:
        """A step of the tree."""
        node = self._tree.nodes[id]
        self.show(f"{node.response}\n{node.action}" if node.calls else node.response)
        self.show(node.observation)

    def stale(self, response: str, hidden: Iterable[int], calls: Sequence[ToolCall] = ()) -> bool:
        """Whether the thought of a response quotes a hidden step, and nothing that was shown says the same.

        `response`: the text of a step. `hidden`: nodes whose steps are not shown. `calls`: those of the step; where
        there are any, all of the response is thought.
        """
        said = _runs(response if calls else split_thought(response))
        if not said:
            return False
        own = _runs("\n".join(f"{call.name} {call.arguments}" for call in calls) if calls else stored_action(response))
        for id in hidden:
            node = self._tree.nodes[id]
            for text in (node.observation, node.action):
                for run in _quotable(text) & said:
                    if run not in own and not any(run in shown for shown in self._shown):
                        return True
        return False


def bare(response: str, calls: Sequence[ToolCall] = ()) -> str:
    """The response without its thought; the action stays as the actor wrote it, calls of tools where they are."""
    if calls:
        return ""
    return f"Action: {stored_action(response)}"
