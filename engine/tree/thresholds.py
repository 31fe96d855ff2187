"""When a leaf is good, and when two leaves are a pair."""

from __future__ import annotations

from dataclasses import dataclass

from engine.tree.node import Node

ALPHA = 0.5


BETA = 0.2
"""Defaults on a score range of 0 to 1; `Thresholds.for_range` scales them."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When two leaves are a pair, in units of return."""

    alpha: float = ALPHA  # a good leaf's Q must exceed it
    beta: float = BETA  # and the bad leaf's Q by more than this
    compat: bool = False  # compare alpha with W instead of Q; a tree whose root has W <= 0 gives nothing

    @classmethod
    def for_range(
        cls, score_range: tuple[float, float], alpha: float | None, beta: float | None, compat: bool = False
    ) -> Thresholds:
        """Thresholds on an environment's scale: given values are taken as they are, defaults are scaled to it.

        `score_range`: least and greatest return. `alpha` and `beta`: None is the default. `compat`: compare as
        the original does.
        """
        low, high = score_range
        return cls(
            low + ALPHA * (high - low) if alpha is None else alpha,
            BETA * (high - low) if beta is None else beta,
            compat,
        )

    def good(self, leaf: Node) -> bool:
        """Whether a leaf may be the good one of a pair."""
        q = leaf.q
        return q is not None and (leaf.value_sum if self.compat else q) > self.alpha
