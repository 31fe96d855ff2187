"""What WebShop says for an actor that turns around: why a click or search did not serve, and what is needed now."""

from __future__ import annotations

from collections.abc import Sequence

from envs.base import Words
from envs.webshop.goals import Goal
from envs.webshop.pages import BACK, BUY, NEXT, PREVIOUS, SUB_PAGES, Page, option_names, product_of
from envs.webshop.shop import Shop


def words(shop: Shop, goal: Goal, page: Page, verb: str, argument: str, ahead: Sequence[tuple[str, str]]) -> Words:
    """Words on `page`, after an action and before the actions `ahead`, each as verb and argument."""
    return Words(_fault(shop, page, verb, argument), _need(shop, page, ahead))


def _fault(shop: Shop, page: Page, verb: str, argument: str) -> str:
    if verb not in ("search", "click"):
        return "only search and click do anything in this shop"
    if verb == "click" and argument in SUB_PAGES and page.kind == "sub":
        return f"the {argument} of this product has nothing for me to choose"
    return ""


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
