"""What continuations with and without a revision thought say: shares of good ends, with how far k can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb, sqrt
from typing import Literal

from msgspec import Struct, field

from engine.recovery.continuation_store import Continuation, ended
from engine.review.agreement import wilson

Effect = Literal["", "pays", "harms", "unclear", "none"]
"""`pays`, `harms`: so great a difference comes by chance in at most 5 % of cases. `unclear`: in more. `none`: this
actor reads no thought. "": there is nothing to compare yet. Each mark is looked at for itself."""

BY_CHANCE = 0.05

EFFECTS: dict[Effect, str] = {
    "": "not tried",
    "pays": "the thought pays",
    "harms": "the thought harms",
    "unclear": "too few to tell",
    "none": "the thought is not read",
}
"""What an effect says, in a few words."""


class Share(Struct, frozen=True):
    """How many continuations ended well."""

    good: int = 0  # those whose return is above alpha
    of: int = 0  # those that came to their end
    mean: float | None = None  # return
    low: float | None = None  # of Wilson's interval of the share of good ones, 95 %
    high: float | None = None
    ends: dict[str, int] = {}  # done, disaster, depth → continuations

    @property
    def rate(self) -> float | None:
        """The share of good ones; None where there are none at all."""
        return self.good / self.of if self.of else None

    def __str__(self) -> str:
        return f"{self.good}/{self.of}"


class MarkFigures(Struct, frozen=True, kw_only=True):
    """One mark: the continuations of both arms, and their difference."""

    mark: int  # the wrong step, counted from 1
    node: int
    action: str  # of that step
    over: str = ""  # why nothing can be continued here
    room: int = 0  # steps that the depth limit leaves
    without: Share = Share()
    thought: Share = field(default=Share(), name="with")  # with the revision thought
    difference: float | None = None  # of the shares; what the thought adds
    low: float | None = None  # of Newcombe's interval of the difference, 95 %
    high: float | None = None
    effect: Effect = ""


def share_of(continuations: Iterable[Continuation], alpha: float) -> Share:
    """Returns the share of good ones among the continuations that ended."""
    returns: list[float] = []
    ends: dict[str, int] = {}
    for steps in continuations:
        if ended(steps):
            returns.append(float(steps[-1].score))
            ends[steps[-1].end] = ends.get(steps[-1].end, 0) + 1
    if not returns:
        return Share()
    good = sum(value > alpha for value in returns)
    return Share(good, len(returns), sum(returns) / len(returns), *wilson(good, len(returns)), ends)


def newcombe(one: Share, other: Share) -> tuple[float, float, float]:
    """`one` less `other`, and the interval of that difference (Newcombe 1998, method 10, from Wilson's intervals).

    Both must hold continuations. It takes them as independent.
    """
    if one.rate is None or other.rate is None:
        raise ValueError("a share of nothing")
    assert one.low is not None
    assert one.high is not None
    assert other.low is not None
    assert other.high is not None
    difference = one.rate - other.rate
    low = difference - sqrt((one.rate - one.low) ** 2 + (other.high - other.rate) ** 2)
    high = difference + sqrt((one.high - one.rate) ** 2 + (other.rate - other.low) ** 2)
    return difference, low, high


def chance(one: Share, other: Share) -> float:
    """Returns how often shares at least as unlikely come by chance where both are equal in truth (Fisher's exact test,
    two-sided). Also right for few continuations, where the interval above is too narrow."""
    good, of = one.good + other.good, one.of + other.of

    def ways(k: int) -> int:
        return comb(one.of, k) * comb(other.of, good - k)

    seen = ways(one.good)
    least, most = max(0, good - other.of), min(good, one.of)
    return sum(count for k in range(least, most + 1) if (count := ways(k)) <= seen) / comb(of, good)


def compared(mark: int, node: int, action: str, without: Share, thought: Share, reads: bool) -> MarkFigures:
    """The figures of a mark. `reads`: whether the actor reads what it is shown.

    `mark`: the step, counted from 1. `node` and `action`: where it leads, and what it does. `without` and
    `thought`: the continuations that recovered, of all, without the revision thought and with it.
    """
    if not (without.of and thought.of):
        return MarkFigures(mark=mark, node=node, action=action, without=without, thought=thought)
    difference, low, high = newcombe(thought, without)
    effect: Effect = "unclear" if reads else "none"
    if reads and chance(thought, without) <= BY_CHANCE:
        effect = "pays" if difference > 0 else "harms"
    return MarkFigures(
        mark=mark,
        node=node,
        action=action,
        without=without,
        thought=thought,
        difference=difference,
        low=low,
        high=high,
        effect=effect,
    )
