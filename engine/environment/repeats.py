"""Compares steps that are made again with the stored ones, and reports a different answer at once."""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.text import clean, flatten
from engine.tree.events import Number
from engine.tree.tree import SearchTree

TOLERANCE = 1e-9  # of scores, which environments compute in floating point
SHOWN = 60
"""Characters of an observation that a remark shows."""


class Repeats:
    """Compares repeated steps of one tree with what is stored. Used by several threads, which only add lines."""

    def __init__(self, tree: SearchTree) -> None:
        self._tree = tree
        self._first: list[str] = []  # observations of the reset and of the steps before the root
        self.differences = 0
        self.remarks: list[str] = []  # the first difference

    def begun(self, observations: Sequence[str]) -> None:
        """What the reset and the steps before the root were answered; the first time it is taken up."""
        if not self._first:
            self._first = list(observations)
            return
        for step, (now, before) in enumerate(zip(observations, self._first, strict=False)):
            if now != before:
                what = f"step {step} before the root" if step else "reset"
                self._differs(f"{what} answered {_short(now)}, {_short(before)} before")
                return

    def check(self, id: int, observation: str, score: Number, done: bool) -> None:
        """Compare a repeated step with the stored one, and report a difference.

        `id`: the node that the step leads to. `observation`, `score` (after the step) and `done`: this time's answer.
        """
        node = self._tree.nodes[id]
        now = clean(flatten(observation))
        if now != node.observation:
            self._differs(f"step {node.depth} answered {_short(now)}, {_short(node.observation)} before (node {id})")
        elif abs(max(score, 0) - node.reward) > TOLERANCE:
            self._differs(f"step {node.depth} answered with the score {score:g}, {node.reward:g} before (node {id})")
        elif done and node.terminal is None:
            self._differs(f"step {node.depth} answered with the end, without it before (node {id})")

    def _differs(self, line: str) -> None:
        self.differences += 1
        if not self.remarks:
            self.remarks.append(f"not repeatable: {line}")


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
