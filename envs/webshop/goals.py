"""Goals: what to buy, and for at most how much.

Written instructions give a goal for every combination of the product's options; the instructions of people name theirs.
Limits of price and the order of goals come from streams of random numbers seeded with 233, for written instructions
exactly as AgentGym's server draws them, so that task 6 is its task 6 over the same files.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from envs.webshop.catalogue import Catalogue, Instruction, Product

SEED = 233
NO_LIMIT = 1_000_000.0  # dollars
_LIMITS = tuple(10.0 * tens for tens in range(1, 100))  # dollars
_NEXT_LIMITS = 4  # a limit is one of the next so many above the price
_PRICE_CLAUSE = re.compile(r", and price lower than ([0-9]+\.[0-9]{2}) dollars$")


@dataclass(frozen=True, slots=True)
class Goal:
    """What to buy."""

    product: Product  # that the instruction was written for; another may do
    wish: str  # the instruction without its limit of price
    attributes: tuple[str, ...]  # never empty
    options: tuple[tuple[str, str], ...]  # name ("" where none is given) and value
    price_upper: float  # dollars, that the price must not exceed

    @property
    def instruction(self) -> str:
        """The instruction as the pages show it."""
        if self.price_upper >= NO_LIMIT:
            return self.wish
        return f"{self.wish}, and price lower than {self.price_upper:.2f} dollars"


def written_goals(catalogue: Catalogue) -> tuple[Goal, ...]:
    """The goals of written instructions, in the order of their task numbers."""
    rng = random.Random(SEED)
    goals: list[Goal] = []
    for asin, instruction in catalogue.written.items():
        product = catalogue.by_asin[asin]
        upper = _limit(product.price, rng)
        goals.extend(
            Goal(product, instruction.text + options_clause(options), instruction.attributes, options, upper)
            for options in _combinations(product)
        )
    random.Random(SEED).shuffle(goals)
    return tuple(goals)


def human_goals(catalogue: Catalogue) -> tuple[Goal, ...]:
    """The goals of people's instructions, in WebShop's order. (It draws their limits of price anew at every start.)"""
    rng = random.Random(SEED)
    wishes: Iterator[tuple[str, Instruction]] = (
        (asin, instruction) for asin, instructions in catalogue.human.items() for instruction in instructions
    )
    goals = [
        Goal(product, wish.text, wish.attributes, wish.options, _limit(product.price, rng))
        for asin, wish in wishes
        for product in (catalogue.by_asin[asin],)
    ]
    random.Random(SEED).shuffle(goals)
    return tuple(goals)


def _limit(price: float, rng: random.Random) -> float:
    near = [limit for limit in _LIMITS if limit > price][:_NEXT_LIMITS]
    return max(rng.sample(near, 2)) if len(near) >= 2 else NO_LIMIT


def _combinations(product: Product) -> Iterator[tuple[tuple[str, str], ...]]:
    groups = sorted(dict(product.options).items())
    for values in itertools.product(*(values for _, values in groups)):
        yield tuple((name, value) for (name, _), value in zip(groups, values, strict=True))


def options_clause(options: tuple[tuple[str, str], ...]) -> str:
    """How a written instruction names the options that it wants."""
    return " with " + ", and ".join(f"{name}: {value}" for name, value in options) if options else ""


def split_limit(instruction: str) -> tuple[str, float]:
    """An instruction as shown, in its wish (white space made single) and its limit of price in dollars."""
    words = " ".join(instruction.split())
    clause = _PRICE_CLAUSE.search(words)
    return (words[: clause.start()], float(clause[1])) if clause else (words, NO_LIMIT)


def with_limit(goal: Goal, price_upper: float) -> Goal:
    """The goal with another limit of price."""
    return goal if goal.price_upper == price_upper else replace(goal, price_upper=price_upper)
