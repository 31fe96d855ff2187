"""Judging by an expert's plan: Bad where the steps left grow, or where the environment refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.base.errors import InputError
from engine.environment.opened import Opened
from engine.environment.replay import Replayer
from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement
from engine.verifiers.judgement_text import Word as Word
from envs.base import EnvError, Planner, info_of

if TYPE_CHECKING:
    pass


class ProgressVerifier:
    """From the environment's plan: Bad where the steps left grow or it refuses, Uncertain where they stay."""

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened]) -> None:
        self._tree = tree
        self._replayer = Replayer(tree, open_environment)
        self._cache: dict[int, tuple[Word, str]] = {}  # node → judgement of the step into it
        assert tree.started is not None
        try:
            self._refuses = info_of(tree.started.environment).refuses
        except EnvError:
            self._refuses = lambda observation: False

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judge by the expert's steps left before and after each step."""
        for step, id in enumerate(self._tree.ancestors(pair.bad)[1:], 1):
            word, reason = self.step_into(id)
            yield Judgement(step, word, reason)
            if word == "Bad":
                return

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        if id not in self._cache:
            self._cache[id] = self._judge(id)
        return self._cache[id]

    def _steps_left(self, id: int) -> int | None:
        env = self._replayer.stand().go_to(id)
        if not isinstance(env, Planner):
            assert self._tree.started is not None
            raise InputError(
                f"the environment {self._tree.started.environment!r} has no plan to measure progress by:"
                " use --verifier value"
            )
        return env.plan().steps_left

    def _judge(self, id: int) -> tuple[Word, str]:
        node = self._tree.nodes[id]
        before, after = self._steps_left(node.parent), self._steps_left(id)
        shown = f"steps left {'–' if before is None else before} → {'–' if after is None else after}"
        if self._refuses(node.observation):
            return "Bad", f"{shown}: the environment refused"
        if before is not None and (after is None or after > before):
            return "Bad", f"{shown}: farther from the goal"
        if before == after:
            return "Uncertain", f"{shown}: no progress"
        return "Good", shown

    def close(self) -> None:
        """Close the environment."""
        self._replayer.close()
