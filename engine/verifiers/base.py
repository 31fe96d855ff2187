"""Verifiers: who says which step of a bad trajectory is wrong.

A verifier judges the steps of the bad trajectory in order, Good, Bad or Uncertain, and stops at the first Bad: the
*first wrong step*. Steps are counted from 1, so step k leads to the node at depth k.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Protocol

from msgspec import Meta, Struct

from engine.pairs.pairs import Pair
from engine.tree.events import Usage

Word = Literal["Good", "Bad", "Uncertain"]


VOTE_TEMPERATURE = 0.7  # votes that can't differ are one vote


class Judgement(Struct, omit_defaults=True, frozen=True):
    """What a verifier says of one step of the bad trajectory."""

    step: int  # 1 for the first
    word: Word
    reason: str = ""
    raw: str = ""  # the judgement as it was given, where it came from a text


class JudgeSettings(Struct, kw_only=True, frozen=True):
    """How a model judges (verifier `openai`)."""

    model: str = ""
    base_url: str = ""  # "" stands for the client library's own default
    key_env: str = "OPENAI_API_KEY"  # name of the environment variable that holds the key; never the key
    votes: Annotated[int, Meta(ge=1)] = 1  # replies a step of which more than half decide
    temperature: Annotated[float, Meta(ge=0)] | None = None  # None: 0 for one vote, VOTE_TEMPERATURE for several
    max_tokens: Annotated[int, Meta(ge=1)] = 500
    timeout: Annotated[float, Meta(gt=0)] = 120.0  # seconds a call
    retries: Annotated[int, Meta(ge=0)] = 4  # after the first try of a call
    price_in: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million prompt tokens; None: unknown
    price_out: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million completion tokens

    @property
    def heat(self) -> float:
        """The temperature that holds."""
        if self.temperature is not None:
            return self.temperature
        return VOTE_TEMPERATURE if self.votes > 1 else 0.0


class JudgeTotals(Struct):
    """What judging by a model came to. What is unknown is None, never 0."""

    calls: int = 0  # replies that were paid for
    cached: int = 0  # replies that were known
    unsaid: int = 0  # replies without a judgement, taken as Uncertain
    failed: int = 0  # votes that came to nothing, taken as Uncertain
    retried: int = 0  # failed attempts that were made again
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None  # US dollars

    def spend(self, usage: Usage) -> None:
        """Add what a call cost."""
        if usage.tokens_in is not None:
            self.tokens_in = (self.tokens_in or 0) + usage.tokens_in
        if usage.tokens_out is not None:
            self.tokens_out = (self.tokens_out or 0) + usage.tokens_out
        if usage.cost is not None:
            self.cost = (self.cost or 0.0) + usage.cost

    def add(self, other: JudgeTotals) -> None:
        """Add what another verifier came to."""
        self.calls += other.calls
        self.cached += other.cached
        self.unsaid += other.unsaid
        self.failed += other.failed
        self.retried += other.retried
        self.spend(Usage(other.tokens_in, other.tokens_out, other.cost))


class Verifier(Protocol):
    """Judges the bad trajectory of a pair."""

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judgements of steps 1, 2, …, up to the first Bad. Raises `InputError`."""
        ...


def first_wrong_step(judgements: list[Judgement]) -> int | None:
    """The step judged Bad; None where there is none."""
    return next((judgement.step for judgement in judgements if judgement.word == "Bad"), None)


_WORD = re.compile(r"[A-Za-z]+")


def said_judgement(text: str) -> bool:
    """Whether a reply says one of the three words where a judgement belongs."""
    match = _WORD.search(text.rsplit("Judgement:", 1)[1]) if "Judgement:" in text else None
    return match is not None and match.group().lower() in ("good", "bad", "uncertain")


def read_judgement(text: str) -> Word:
    """The first word after the last `Judgement:`, brackets and case aside; Uncertain where there is none."""
    if "Judgement:" not in text:
        return "Uncertain"
    match = _WORD.search(text.rsplit("Judgement:", 1)[1])
    word = match.group().lower() if match else ""
    return "Good" if word == "good" else "Bad" if word == "bad" else "Uncertain"


def read_judgement_compat(text: str) -> Word:
    """As the original reads it: substrings `good` and `uncertain` of what follows the last `Judgement:`."""
    tail = text.rsplit("Judgement:", 1)[-1].lower()
    return "Good" if "good" in tail else "Uncertain" if "uncertain" in tail else "Bad"
