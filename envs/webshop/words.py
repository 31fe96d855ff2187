"""Clauses of English for revision thoughts in WebShop: why a click or search did not serve, and what is needed now."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from envs.base import Words
from envs.webshop.catalogue import Product
from envs.webshop.goals import Goal
from envs.webshop.pages import BACK, BUY, NEXT, PREVIOUS, SUB_PAGES, Options, Page, option_names, product_of
from envs.webshop.shop import Shop


def words(
    shop: Shop,
    goal: Goal,
    page: Page,
    verb: str,
    argument: str,
    ahead: Sequence[tuple[str, str]],
    choices: Callable[[Product], Options | None],
) -> Words:
    """Returns words about a wrong step and about what is needed now.

    `shop`: its products. `goal`: what is asked for. `page`: where the customer is after the step. `verb` and
    `argument`: the action of the step, such as `click` and `buy now`. `ahead`: the actions that are taken next, each as
    verb and argument. `choices`: returns the options with which a product has full score; None where no options do.
    """
    return Words(_fault(shop, goal, page, verb, argument, choices), _need(shop, page, ahead))


def _fault(
    shop: Shop, goal: Goal, page: Page, verb: str, argument: str, choices: Callable[[Product], Options | None]
) -> str:
    if verb not in ("search", "click"):
        return "only search and click do anything in this shop"
    if verb == "search":
        wished = goal.instruction.lower()
        missing = [each for each in goal.attributes if each.lower() in wished and each.lower() not in argument]
        return f'it leaves out "{missing[0]}"' if missing else ""
    if page.kind not in ("item", "sub"):
        return ""
    if page.kind == "sub":
        return "there are no reviews" if page.sub == argument == "reviews" else ""
    product = product_of(shop, page)
    if argument == product.asin.lower():
        return "" if choices(product) is not None else _misfit(goal, product)
    name = option_names(product).get(argument)
    wanted = [value for option, value in goal.options if option == name and value != argument]
    return f"I am asked for the {name} {wanted[0]}" if wanted else ""


def _misfit(goal: Goal, product: Product) -> str:
    """What its page shows that a product lacks."""
    least = re.search(r"[0-9]+(?:[.][0-9]+)?", product.price_tag.replace(",", ""))
    if product.price > goal.price_upper and least is not None and float(least[0]) > goal.price_upper:
        return f"it costs {product.price_tag}, which is more than {goal.price_upper:.2f} dollars"
    offered = option_names(product)
    lacking = next(((name, value) for name, value in goal.options if name and value not in offered), None)
    return f"it does not come in the {lacking[0]} {lacking[1]}" if lacking else ""


def _need(shop: Shop, page: Page, ahead: Sequence[tuple[str, str]]) -> str:
    if not ahead:
        return ""
    verb, argument = ahead[0]
    if verb == "search":
        return f'search for "{argument}"'
    if verb != "click":
        return ""
    if argument == BACK:
        after = next((words for other, words in ahead[1:] if other == "search"), "")
        return f'go back and search for "{after}"' if after else "go back to the search page"
    if argument == BUY:
        return "buy this product as it is chosen now"
    if argument == NEXT:
        return "look at the next page of results"
    if argument == PREVIOUS:
        if page.kind == "sub":
            return "go back to the page of the product"
        if page.kind == "item":
            return "go back to the results"
        return "look at the previous page of results"
    if argument in SUB_PAGES:
        return f"read the {argument} of this product"
    if page.kind == "item" and (name := option_names(product_of(shop, page)).get(argument)):
        return f"choose the {name} {argument}"
    asin = argument.upper()
    return f"open the product {asin}" if asin in shop.catalogue.by_asin else ""
