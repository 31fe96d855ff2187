"""What a model thought before its answers, as a trace keeps it beside them; a tree does not hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.samples.splice import Turn
from engine.trace.sources import is_trace
from engine.trace.trace_file import read_events
from engine.tree.events import Sampled
from engine.tree.messages import NO_WORDS, Words
from engine.tree.tree import SearchTree

Thoughts = Mapping[tuple[int, int], str]
"""Reasoning by parent and draw."""


def thoughts_of(path: Path) -> Thoughts:
    """The reasoning of every draw of a trace that has some. Raises `TraceError`."""
    if not is_trace(str(path)):
        return {}  # a foreign tree
    return {
        (event.parent, event.draw): event.reasoning.strip()
        for event in read_events(path)
        if isinstance(event, Sampled) and event.reasoning and event.reasoning.strip()
    }


def with_reasoning(tree: SearchTree, turns: Sequence[Turn], thoughts: Thoughts, words: Words = NO_WORDS) -> list[Turn]:
    """Returns the turns, those of the actor with their reasoning. A step that a person wrote or changed has none.

    `tree`: the search. `turns`: the conversation. `thoughts`: what the trace keeps of the model's reasoning. `words`:
    those of the attempts that an imported sample is made of.
    """
    return [turn._replace(reasoning=_reasoning(tree, turn, thoughts, words)) for turn in turns]


def _reasoning(tree: SearchTree, turn: Turn, thoughts: Thoughts, words: Words) -> str:
    if turn.role != "assistant" or turn.node is None:
        return ""
    node = tree.nodes[turn.node]
    if node.imported is not None:
        return node.reasoning_as(words.get(node.id, 0)).strip()
    return thoughts.get((node.parent, node.draw), "") if node.draw is not None else ""
