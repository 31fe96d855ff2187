"""Plausible mistakes of a customer: what a model that nearly understands the instruction would do instead.

The scripted actor errs with these. Some cost steps, some lead to a purchase that is partly right.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from envs.webshop.goals import NO_LIMIT
from envs.webshop.pages import BACK, BUY, NEXT, PREVIOUS, SUB_PAGES, Page, product_of, shown
from envs.webshop.plan import Expert

Mistake = tuple[str, str]
"""A thought and an action."""

_Kind = Callable[[Expert, Page, random.Random], Mistake | None]


def mistake(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    """Returns a wrong next action: never the expert's own.

    `expert`: knows the right one. `page`: where the customer is. `rng`: decides which mistake.
    """
    right = expert.plan(page).action
    kinds = _BY_PAGE[page.kind]
    keys = [rng.random() ** (1 / weight) for _, weight in kinds]
    for _, (kind, _) in sorted(zip(keys, kinds, strict=True), key=lambda pair: -pair[0]):
        found = kind(expert, page, rng)
        if found is not None and found[1] != right:
            return found
    return "I am not sure what to do here.", "think[what next]"


def _vague_query(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    goal = expert.goal
    words = (goal.product.query or goal.product.title.lower()).split() or ["products"]
    query = rng.choice((words[-1], rng.choice(goal.attributes), f"best {words[-1]}"))
    return "A short search shows me what there is.", f"search[{query}]"


def _query_by_attributes(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    wanted = list(expert.goal.attributes) + [value for _, value in expert.goal.options]
    rng.shuffle(wanted)
    return "I search for the properties that matter.", f"search[{' '.join(wanted[: rng.randint(1, 3)])}]"


def _query_for_another_kind(expert: Expert, page: Page, rng: random.Random) -> Mistake | None:
    goal, products = expert.goal, expert.shop.catalogue.products
    other = rng.choice(products)
    if not other.query or other.query == goal.product.query:
        return None
    return f"Maybe {other.query} will do.", f"search[{rng.choice(goal.attributes)} {other.query}]"


def _query_by_price(expert: Expert, page: Page, rng: random.Random) -> Mistake | None:
    if expert.goal.price_upper >= NO_LIMIT:
        return None
    return "The price is what matters.", f"search[cheap, under {expert.goal.price_upper:.0f} dollars]"


def _wrong_product(expert: Expert, page: Page, rng: random.Random) -> Mistake | None:
    other = [product for product in shown(expert.shop, page) if expert.choices(product) is None]
    if not other:
        return None
    chosen = other[min(int(rng.expovariate(0.5)), len(other) - 1)]  # mostly one near the top
    return "This one looks right.", f"click[{chosen.asin.lower()}]"


def _next_page(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "There may be better ones on the next page.", f"click[{NEXT}]"


def _back(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "I would rather search again.", f"click[{BACK}]"


def _previous(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "I look at the others once more.", f"click[{PREVIOUS}]"


def _buy(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "This fits, so I buy it.", f"click[{BUY}]"


def _wrong_option(expert: Expert, page: Page, rng: random.Random) -> Mistake | None:
    product = product_of(expert.shop, page)
    wanted = set(expert.choices(product) or ())
    wrong = [
        value
        for name, values in product.options
        for value in values
        if (name, value) not in wanted and (name, value) not in page.options
    ]
    return ("I choose this one.", f"click[{rng.choice(wrong)}]") if wrong else None


def _read_more(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "I want to read more about it first.", f"click[{rng.choice(SUB_PAGES)}]"


def _buy_unseen(expert: Expert, page: Page, rng: random.Random) -> Mistake:
    return "I have seen enough and buy it.", f"click[{BUY}]"


_BY_PAGE: dict[str, tuple[tuple[_Kind, float], ...]] = {
    "search": ((_vague_query, 3), (_query_by_attributes, 3), (_query_for_another_kind, 2), (_query_by_price, 1)),
    "results": ((_wrong_product, 6), (_next_page, 2), (_back, 1), (_buy_unseen, 0.5)),
    "item": ((_buy, 5), (_wrong_option, 4), (_read_more, 2), (_previous, 1), (_back, 0.5)),
    "sub": ((_buy_unseen, 1), (_back, 1), (_query_by_attributes, 0.5)),
    "done": ((_back, 1),),
}
"""By kind of page: what may go wrong there, and how readily. Clicking what is not there changes nothing."""
