"""The verifier `noisy:RATE`: a test instrument that judges as `progress` does, a known share of it wrong.

It shows what a report of verifiers can detect, and what a wrong judge does to samples, without a model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from engine.base.errors import InputError
from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, Word, judged_each
from engine.verifiers.progress import ProgressVerifier

WORDS: tuple[Word, ...] = ("Good", "Bad", "Uncertain")


class NoisyVerifier:
    """With probability `rate` a step gets one of the two other words. The same step always gets the same one."""

    def __init__(self, tree: SearchTree, true: ProgressVerifier, rate: str) -> None:
        """Raises `InputError` where `rate` is no number from 0 to 1."""
        assert tree.started is not None
        try:
            self._rate = float(rate)
        except ValueError:
            self._rate = -1.0
        if not 0 <= self._rate <= 1:
            raise InputError(f"noisy:{rate}: the share of wrong judgements is a number from 0 to 1, as in noisy:0.3")
        self._tree = tree
        self._place = f"{tree.started.environment}/{tree.started.task}"
        self._true = true

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judge each step on its own, up to the first Bad."""
        return judged_each(self._tree, pair, start, self.step_into)

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        return self._noise(*self._true.step_into(id), f"{self._place}/{id}/{self._tree.nodes[id].action}")

    def in_state(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        """Judgement and reason of a step between any two states. Raises `InputError`."""
        word, reason = self._true.in_state(before, action, observation, after)
        return self._noise(word, reason, f"{self._place}/state {before}/{action}")

    def _noise(self, word: Word, reason: str, seed: str) -> tuple[Word, str]:
        rng = random.Random(seed)
        if rng.random() >= self._rate:
            return word, reason
        return rng.choice([other for other in WORDS if other != word]), f"noise; {reason}"

    def close(self) -> None:
        """Close the environment."""
        self._true.close()
