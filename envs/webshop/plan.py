"""An expert's way to a purchase of full score, by what each page offers.

Search for the goal's product, open it, choose its options, buy. Any product serves that scores as much as the goal's
own can. From elsewhere the way is a shortest one over the pages: the search bar is on the search page only, so
another search takes a click on "Back to Search" first. (The shop answers a search on any page, as WebShop does.) The
number of steps left is exact for these moves: the expert's action lowers it by one, no other move lowers it by more.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

from envs.base import Plan
from envs.webshop.catalogue import Product
from envs.webshop.goals import Goal, options_clause
from envs.webshop.pages import BACK, BUY, NEXT, PER_PAGE, PREVIOUS, Options, Page, product_of
from envs.webshop.reward import score, similar
from envs.webshop.shop import Shop

_TOLERANCE = 1e-9
_LEADS = ("find me ", "find ", "i need ", "i want ", "i am looking for ", "i'm looking for ", "show me ", "get me ")


class _Way(NamedTuple):
    """The next action, and the steps to the purchase, that one included (infinite where no way leads there)."""

    action: str
    steps: float


_NO_WAY = _Way("", math.inf)


class Expert:
    """Knows the way to one goal in one shop."""

    def __init__(self, shop: Shop, goal: Goal) -> None:
        self.shop = shop
        self.goal = goal
        self._choices: dict[str, Options | None] = {}
        self._target = score(goal, goal.product, dict(self._fitting(goal.product))).total

    def plan(self, page: Page) -> Plan:
        """The next action and the steps left."""
        if page.kind == "done":
            return Plan(None, 0 if page.score >= self._target - _TOLERANCE else None)
        way = self._way(page)
        return Plan(way.action, int(way.steps)) if way.steps < math.inf else Plan(None, None)

    def choices(self, product: Product) -> Options | None:
        """The options to choose so that buying the product has full score; None where nothing makes it so."""
        if product.asin not in self._choices:
            options = self._fitting(product)
            full = score(self.goal, product, dict(options)).total >= self._target - _TOLERANCE
            self._choices[product.asin] = options if full else None
        return self._choices[product.asin]

    @cached_property
    def query(self) -> str:
        """What an expert searches for: the first of a few phrasings that brings a fitting product to the front."""
        steps = [self._in_results(query, 1).steps for query in self._queries]
        return self._queries[steps.index(min(steps))]

    @cached_property
    def _queries(self) -> tuple[str, ...]:
        goal = self.goal
        wish = goal.wish.removesuffix(options_clause(goal.options)).lower()
        lead = next((lead for lead in _LEADS if wish.startswith(lead)), "")
        kind = goal.product.query or goal.product.title.lower()
        phrasings = (
            wish.removeprefix(lead),
            goal.wish.lower().removeprefix(lead),
            " ".join((*goal.attributes, kind)),
            " ".join((kind, *goal.attributes, *(value for _, value in goal.options))),
            goal.product.title.lower(),
        )
        return tuple(_typed(phrase) for phrase in phrasings)

    def _fitting(self, product: Product) -> Options:
        """For each option of the goal, one of the product's that it matches: the same where there is one."""
        chosen: dict[str, str] = {}
        for name, value in self.goal.options:
            free = [(group, choice) for group, choices in product.options for choice in choices if group not in chosen]
            same = [pair for pair in free if pair == (name, value)] or [pair for pair in free if pair[1] == value]
            near = same or [pair for pair in free if similar(pair[1], f"{name} {value}".strip())]
            if near:
                chosen[near[0][0]] = near[0][1]
        return tuple(sorted(chosen.items()))

    def _way(self, page: Page) -> _Way:
        anew = 1 + self._in_results(self.query, 1).steps  # from the search page
        back = _Way(BACK, 1 + anew)
        match page.kind:
            case "search":
                return _Way(f"search[{self.query}]", anew)
            case "results":
                return _shorter(self._in_results(page.query, page.number), back)
            case "sub":
                return _shorter(_Way(PREVIOUS, 1 + self._way(page._replace(kind="item", sub="")).steps), back)
            case _:
                previous = _Way(PREVIOUS, 1 + self._way(Page("results", page.query, page.number)).steps)
                return _shorter(self._at_item(product_of(self.shop, page), page.options), previous, back)

    def _at_item(self, product: Product, chosen: Options) -> _Way:
        wanted = self.choices(product)
        if wanted is None:
            return _NO_WAY
        missing = [value for name, value in wanted if (name, value) not in chosen]
        return _Way(missing[0] if missing else BUY, len(missing) + 1)

    def _in_results(self, query: str, number: int) -> _Way:
        """The way from a page of results by its own links, other pages of the same search included."""
        best = _NO_WAY
        for place, product in enumerate(self.shop.search(query)):
            turns = place // PER_PAGE + 1 - number
            if abs(turns) + 2 < best.steps:
                steps = abs(turns) + 1 + self._at_item(product, ()).steps
                if steps < best.steps:
                    best = _Way(NEXT if turns > 0 else PREVIOUS if turns else product.asin.lower(), steps)
        return best


def _shorter(first: _Way, *others: _Way) -> _Way:
    """The shortest way as a click, the first of equal ones."""
    best = min(first, *others, key=lambda way: way.steps)
    return _Way(f"click[{best.action}]", best.steps)


def _typed(phrase: str) -> str:
    """A phrase as it can be typed between brackets."""
    return " ".join(phrase.replace("[", " ").replace("]", " ").split())
