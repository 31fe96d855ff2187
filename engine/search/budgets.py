"""Budgets: what a search has used of tokens, cost, calls, time and good leaves, and whether that is enough."""

from __future__ import annotations

import time

from engine.tree.thresholds import ALPHA
from engine.tree.tree import SearchTree


class Budgets:
    """The budgets of one search, read from its settings at every look: they may change while it runs."""

    def __init__(self, tree: SearchTree, score_range: tuple[float, float], clock: float) -> None:
        """`clock`: when the search started, on `time.monotonic`."""
        self._tree = tree
        self._clock = clock
        low, high = score_range
        self._good_from = low + ALPHA * (high - low)
        self._good = 0
        self._counted = 0  # nodes whose returns _good covers

    def spent(self) -> str | None:
        """The budget that is used up, as the reason of the end; None where there is something left of all."""
        tree = self._tree
        assert tree.started is not None
        settings = tree.started.settings
        if settings.actor == "openai" and tree.calls:  # unknown is not 0: what nobody counts can't be kept to
            if settings.budget_tokens is not None and tree.tokens_in is None:
                return "budget: tokens are unknown"
            if settings.budget_cost is not None and tree.cost is None:
                return "budget: cost is unknown"
        limit = settings.budget_tokens
        if limit is not None and (tree.tokens_in or 0) + (tree.tokens_out or 0) >= limit:
            return "budget: tokens"
        if settings.budget_cost is not None and (tree.cost or 0.0) >= settings.budget_cost:
            return "budget: cost"
        if settings.budget_calls is not None and tree.calls + len(tree.failures) >= settings.budget_calls:
            return "budget: calls"
        if settings.budget_seconds is not None and time.monotonic() - self._clock >= settings.budget_seconds:
            return "budget: seconds"
        if settings.budget_good is not None and self._good_leaves() >= settings.budget_good:
            return "budget: good"
        return None

    def _good_leaves(self) -> int:
        """Good leaves so far, by the default alpha."""
        for node in self._tree.nodes[self._counted :]:
            self._good += node.is_leaf and node.reward > self._good_from
        self._counted = len(self._tree.nodes)
        return self._good
