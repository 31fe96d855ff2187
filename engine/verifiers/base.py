"""Verifiers: they judge which step of a bad trajectory is wrong.

A verifier judges the steps of the bad trajectory in order, Good, Bad or Uncertain, and stops at the first Bad: the
*first wrong step*. Steps are counted from 1, so step k leads to the node at depth k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from msgspec import Meta, Struct

from engine.base.errors import WorkFailed
from engine.base.sums_with_unknowns import plus
from engine.pairs.pairs import Pair
from engine.tree.events import Usage
from engine.tree.tree import SearchTree
from engine.verifiers.judge_reply import Word as Word
from engine.verifiers.judge_reply import read_said

VOTE_TEMPERATURE = 0.7  # votes that can't differ are one vote


class Judgement(Struct, omit_defaults=True, frozen=True):
    """A verifier's judgement of one step of the bad trajectory."""

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
    price_cached: Annotated[float, Meta(ge=0)] | None = None  # of cached prompt tokens; None: as the others
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None  # None: the server's own
    reasoning_effort: str = ""  # "": the server's own
    extra_body: dict[str, Any] = {}  # further fields of every request; null takes one out
    header: list[str] = []  # NAME=VARIABLE: headers whose values are in environment variables, never here
    no_system: bool = False  # the system turn is sent at the head of the user turn
    structured: Literal["", "json"] = ""  # ask for a JSON object, which small models keep to
    concurrency: Annotated[int, Meta(ge=1)] = 4  # simultaneous calls; never changes a run
    # budgets; the judging ends when one is used up
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    budget_cost: Annotated[float, Meta(gt=0)] | None = None  # US dollars
    budget_calls: Annotated[int, Meta(ge=1)] | None = None  # failed attempts count
    budget_seconds: Annotated[float, Meta(gt=0)] | None = None

    @property
    def effective_temperature(self) -> float:
        """Sampling temperature: as set, else 0 for one vote and `VOTE_TEMPERATURE` for several."""
        if self.temperature is not None:
            return self.temperature
        return VOTE_TEMPERATURE if self.votes > 1 else 0.0


class JudgeTotals(Struct):
    """The figures of judging by a model. None is unknown, never 0.

    A vote is one reply to one question. It is *unread* where the reply holds no judgement, and *failed* where there was
    no reply to read: refused, too long, empty, cut off.
    """

    calls: int = 0  # replies that were paid for
    cached: int = 0  # votes that were known
    votes: int = 0  # different ones, asked or known
    unread: int = 0  # of these: replies without a judgement, taken as Uncertain
    failed: int = 0  # of these: those that came to nothing, taken as Uncertain
    retried: int = 0  # failed attempts that were made again
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None  # of tokens_in
    cost: float | None = None  # US dollars
    quote: str = ""  # a reply that was not read, or why a vote failed; the last
    left_out: list[str] = []  # what the server refused and was left out

    def spend(self, usage: Usage) -> None:
        """Add what a call cost."""
        self.tokens_in = plus(self.tokens_in, usage.tokens_in)
        self.tokens_out = plus(self.tokens_out, usage.tokens_out)
        self.tokens_cached = plus(self.tokens_cached, usage.cached)
        self.cost = plus(self.cost, usage.cost)

    def add(self, other: JudgeTotals) -> None:
        """Add the figures of another verifier."""
        self.calls += other.calls
        self.cached += other.cached
        self.votes += other.votes
        self.unread += other.unread
        self.failed += other.failed
        self.retried += other.retried
        self.spend(Usage(other.tokens_in, other.tokens_out, other.cost, other.tokens_cached))
        self.quote = other.quote or self.quote
        self.left_out = list(dict.fromkeys([*self.left_out, *other.left_out]))

    @property
    def lost(self) -> float:
        """The share of votes that were unread or failed."""
        return (self.unread + self.failed) / self.votes if self.votes else 0.0


class Verifier(Protocol):
    """Judges the bad trajectory of a pair."""

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judgements of the steps from `start` on, up to the first Bad. Raises `InputError`."""
        ...


@runtime_checkable
class StepVerifier(Protocol):
    """A verifier that judges any step of the tree for itself, at no price."""

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        ...


@runtime_checkable
class StateVerifier(Protocol):
    """A verifier that judges a step in any state that the environment can reach, in the tree or not."""

    def in_state(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        """Returns judgement and reason of a step between two states. Raises `InputError`.

        `before` and `after`: numbers of the states in `engine.environment.states.States`. `action` and `observation`:
        of the step.
        """
        ...


@runtime_checkable
class TextVerifier(Protocol):
    """A verifier that judges a step by the texts alone."""

    def by_text(self, log: Sequence[tuple[str, str]], action: str, observation: str, step: int) -> Judgement:
        """Returns the judgement of a step. Raises `WorkFailed`.

        `log`: the earlier steps, as action and observation. `action` and `observation`: of the step. `step`: its
        number, from 1.
        """
        ...


def judged_each(
    tree: SearchTree, pair: Pair, start: int, step_into: Callable[[int], tuple[Word, str]]
) -> Iterator[Judgement]:
    """Yields the judgements of a bad trajectory's steps, each for itself, up to the first Bad.

    `tree`: the search. `pair`: its bad trajectory is judged. `start`: the first step to judge, from 1. `step_into`:
    judges the step into a node, as `StepVerifier` does; what it raises is raised.
    """
    for step, id in enumerate(tree.ancestors(pair.bad)[start:], start):
        word, reason = step_into(id)
        yield Judgement(step, word, reason)
        if word == "Bad":
            return


def first_wrong_step(judgements: list[Judgement]) -> int | None:
    """The step judged Bad; None where there is none."""
    return next((judgement.step for judgement in judgements if judgement.word == "Bad"), None)


def read_judgement(text: str) -> Word:
    """The judgement in a text; Uncertain where there is none."""
    return read_said(text).word or "Uncertain"


def read_judgement_compat(text: str) -> Word:
    """As the original reads it: substrings `good` and `uncertain` of what follows the last `Judgement:`."""
    tail = text.rsplit("Judgement:", 1)[-1].lower()
    return "Good" if "good" in tail else "Uncertain" if "uncertain" in tail else "Bad"


class BudgetSpent(WorkFailed):
    """A budget of the judge is used up; `budget` names it."""

    def __init__(self, budget: str) -> None:
        self.budget = budget
        super().__init__(f"the judge's budget of {budget} is used up; what was judged is kept: a greater one goes on")
