"""The seam of an unreplayed splice: would the steps of the tail have the same effect in the state after the wrong step?

A model is asked (`--seam openai`), with the client, the votes and the cache of the verifier `openai`. Its answer is
shown beside the sample and decides nothing: no export takes a sample for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.context_window import estimate
from engine.models.endpoint import Endpoint
from engine.models.prompts import fill, prompt
from engine.pairs.pairs import count_pairs, pairs
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings
from engine.verifiers.judge_price import JudgePrice
from engine.verifiers.openai_judge import NOTHING_YET, OpenAIVerifier
from engine.verifiers.parallel_judging import judge_named

if TYPE_CHECKING:
    from engine.verifiers.judge_pool import JudgePool

MEASURED = 64
"""Pairs of a tree of which the length of a question is estimated."""


class SeamJudge(OpenAIVerifier):
    """Judges seams as the verifier `openai` judges steps."""

    def __init__(
        self,
        tree: SearchTree,
        seam: str,
        judge: JudgeSettings,
        prompts: str = "",
        cache: Path | None = None,
        pool: JudgePool | None = None,
    ) -> None:
        """As for the verifier; `seam` names the model. Raises `InputError`."""
        super().__init__(tree, judge_named(judge, seam), prompts, cache, pool)
        self._system = prompt("seam_system.txt", prompts)
        self._seam = prompt("seam.txt", prompts)
        self.question([("", "")], 1)

    def begin_seam(self, steps: Sequence[tuple[str, str]], bad: int) -> Callable[[], Judgement]:
        """Begins to judge a seam, beside others; returns what waits for its judgement, which raises as `judge` does.

        `steps`: of the whole splice, as action and observation. `bad`: how many of them come before the tail.
        """
        votes = self._pool.start(self._decide(self.question(steps, bad)))
        return lambda: self._judgement(bad, self._pool.result(votes))

    def question(self, steps: Sequence[tuple[str, str]], bad: int) -> str:
        """Returns the question to the model. `steps`: of the whole splice, as action and observation. `bad`: how many
        of them come before the tail."""
        started = self._tree.started
        assert started is not None
        prefix = [(step.action or step.response, step.observation) for step in started.prefix]
        told = [f"Action: {action}\nObservation: {seen}" for action, seen in [*prefix, *steps]]
        at = len(prefix) + bad
        values = {
            "task": started.header[-1].content if started.header else started.instruction,
            "log": "\n".join(told[: at - 1]) or NOTHING_YET,
            "action": steps[bad - 1][0],
            "observation": steps[bad - 1][1],
            "tail": "\n".join(told[at:]) or NOTHING_YET,
        }
        return fill(self._seam, values, "seam.txt") + self._form


def price_of_seams(
    tree: SearchTree, thresholds: Thresholds, seam: str, judge: JudgeSettings, most: int | None = None
) -> JudgePrice:
    """Returns what judging a tree's seams costs at most: one seam for each pair.

    `tree`: the search. `thresholds`: which leaves make pairs. `seam`: `openai` or `openai:MODEL`. `judge`: settings of
    the model. `most`: pairs; None: all.
    """
    named = judge_named(judge, seam)
    price = JudgePrice(model=named.model, url=Endpoint.of(named).url)
    count = min(count_pairs(tree, thresholds), most or 1 << 62)
    longest = 0
    for pair in islice(pairs(tree, thresholds), MEASURED):
        steps = [tree.nodes[id] for id in [*tree.ancestors(pair.bad), *tree.ancestors(pair.good)]]
        longest = max(longest, sum(estimate(step.action) + estimate(step.observation) for step in steps))
    for _ in range(count):
        price.add(named.votes, longest + estimate(prompt("seam.txt")), named)
    price.pairs = count
    return price
