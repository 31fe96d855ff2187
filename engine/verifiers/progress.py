"""Judging by an expert's plan: Bad where the steps left grow, or where the environment refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.base.step_kind import refused
from engine.environment.opened import Opened
from engine.environment.states import States
from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, judged_each
from engine.verifiers.judge_reply import Word as Word


class ProgressVerifier:
    """From the environment's plan: Bad where the steps left grow or it refuses, Uncertain where they stay."""

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened], states: States | None = None) -> None:
        """`states`: those of the tree, where somebody has them already; who gives them closes them."""
        self._tree = tree
        self._own = states is None
        self._states = states or States(tree, open_environment)
        self._cache: dict[int, tuple[Word, str]] = {}  # node → judgement of the step into it
        assert tree.started is not None
        self._environment = tree.started.environment

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judge by the expert's steps left before and after each step."""
        return judged_each(self._tree, pair, start, self.step_into)

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        if id not in self._cache:
            node = self._tree.nodes[id]
            before, after = self._states.of_node(node.parent), self._states.of_node(id)
            self._cache[id] = self._judge(before, node.action, node.observation, after)
        return self._cache[id]

    def in_state(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        """Judgement and reason of a step between any two of the states. Raises `InputError`."""
        return self._judge(before, action, observation, after)

    def _judge(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        left, then = self._states.steps_left(before), self._states.steps_left(after)
        shown = f"steps left {'–' if left is None else left} → {'–' if then is None else then}"
        if refused(self._environment, action, observation):
            return "Bad", f"{shown}: the environment refused"
        if left is not None and (then is None or then > left):
            return "Bad", f"{shown}: farther from the goal"
        if left == then:
            return "Uncertain", f"{shown}: no progress"
        return "Good", shown

    def close(self) -> None:
        """Close the environment."""
        if self._own:
            self._states.close()
