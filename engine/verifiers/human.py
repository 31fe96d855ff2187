"""Marks that people set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.pairs.pairs import Pair
from engine.verifiers.base import Judgement
from engine.verifiers.judge_reply import Word as Word


class HumanVerifier:
    """Marks that people set; a pair that nobody marked has no judgement yet."""

    def __init__(self, marks: Callable[[Pair], int | None]) -> None:
        self._marks = marks

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """The step that a person marked."""
        mark = self._marks(pair)
        if mark is not None and mark >= start:
            yield Judgement(mark, "Bad", "marked by a person")
