"""Judging from the tree alone: the first step below which no good leaf was found is Bad."""

from __future__ import annotations

from collections.abc import Iterator

from engine.pairs.pairs import Pair
from engine.pairs.parting import action_group, is_silent
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement
from engine.verifiers.judge_reply import Word as Word


class ValueVerifier:
    """From the tree alone: the first step after the fork below which no good leaf was ever found is Bad."""

    def __init__(self, tree: SearchTree, thresholds: Thresholds) -> None:
        self._tree = tree
        self._by_chance: set[int] = set()  # outcomes of an action that has another one with a good leaf below
        self._good_below = bytearray(len(tree))  # 1 where a good leaf is the node or below it
        for leaf in tree.leaves():
            if thresholds.good(leaf):
                id = leaf.id
                while id >= 0 and not self._good_below[id]:
                    self._good_below[id] = 1
                    id = tree.nodes[id].parent
        if tree.attempts:
            well = {action_group(node) for node in tree.nodes if self._good_below[node.id]}
            self._by_chance = {node.id for node in tree.nodes if action_group(node) in well}

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judge by whether a good leaf was ever found below each step."""
        fork = self._tree.nodes[pair.fork].depth
        for step, id in enumerate(self._tree.ancestors(pair.bad)[start:], start):
            if step <= fork:
                yield Judgement(step, "Good", "shared with the good trajectory")
                continue
            word, reason = self.step_into(id)
            yield Judgement(step, word, reason)
            if word == "Bad":
                return

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node."""
        if id < len(self._good_below) and self._good_below[id]:
            return "Good", "a good leaf was found below"
        if id in self._by_chance:
            return "Uncertain", "the same action also ended well: another answer parts the attempts, no decision"
        if is_silent(self._tree.nodes[id]):
            return "Uncertain", "no step of the agent"
        return "Bad", "no good leaf was ever found below"
