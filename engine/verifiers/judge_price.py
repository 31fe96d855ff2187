"""What judging by a model may cost, known before any call."""

from __future__ import annotations

from msgspec import Struct

from engine.base.sums_with_unknowns import plus
from engine.base.text import many
from engine.environment.permission import is_loopback
from engine.verifiers.base import JudgeSettings

MILLION = 1_000_000


class JudgePrice(Struct):
    """Calls, tokens and dollars, each at most; tokens of prompts are estimated."""

    model: str = ""
    url: str = ""
    calls: int = 0
    known: int = 0  # replies that are there already
    pairs: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None  # US dollars; None: unknown

    def add(self, calls: int, prompt: int, judge: JudgeSettings) -> None:
        """Count the calls about one step.

        `calls`: those that are not known yet. `prompt`: tokens of each prompt. `judge`: votes, prices and the maximum
        tokens of a reply.
        """
        self.calls += calls
        self.known += judge.votes - calls
        self.tokens_in += calls * prompt
        self.tokens_out += calls * judge.max_tokens
        if judge.price_in is not None and judge.price_out is not None:
            self.cost = (self.tokens_in * judge.price_in + self.tokens_out * judge.price_out) / MILLION

    def include(self, other: JudgePrice) -> None:
        """Add what another tree costs."""
        self.model, self.url = other.model, other.url
        self.calls += other.calls
        self.known += other.known
        self.pairs += other.pairs
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.cost = plus(self.cost, other.cost)

    def is_asked(self, judge: JudgeSettings) -> bool:
        """Whether a person has to say yes: where calls are to be made that cost, or leave this machine."""
        priced = bool(judge.price_in or judge.price_out)
        return self.calls > 0 and (priced or not is_loopback(self.url))

    def __str__(self) -> str:
        known = f" ({self.known} known already)" if self.known else ""
        cost = "cost unknown" if self.cost is None else f"at most ${self.cost:.4f}"
        return (
            f"judging {many(self.pairs, 'pair')}: at most {many(self.calls, 'call')} of {self.model} at"
            f" {self.url}{known}, about {self.tokens_in:,} tokens in and at most {self.tokens_out:,} out, {cost}"
        )
