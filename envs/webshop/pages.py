"""The pages of a shop as text, and where a click leads.

A page is data and holds all that the next one depends on. Texts and order are those of WebShop's text mode: what a
browser would show, each piece stripped and put between `[SEP]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal, NamedTuple

from envs.webshop.catalogue import Product
from envs.webshop.goals import Goal
from envs.webshop.shop import Shop

PER_PAGE = 10
BACK, PREVIOUS, NEXT, BUY = "back to search", "< prev", "next >", "buy now"
SUB_PAGES = ("description", "features", "reviews")
_SEPARATOR = " [SEP] "
_ESCAPED_IN_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}

Kind = Literal["search", "results", "item", "sub", "done"]
Options = tuple[tuple[str, str], ...]


class Page(NamedTuple):
    """The page on which a customer is."""

    kind: Kind = "search"
    query: str = ""
    number: int = 1  # of the page of results
    asin: str = ""
    options: Options = ()  # chosen, by name
    sub: str = ""  # one of SUB_PAGES
    score: float = 0.0  # of the purchase, once it was made


START = Page()


def results(query: str, number: int = 1) -> Page:
    """A page of results."""
    return Page("results", query, number)


def shown(shop: Shop, page: Page) -> tuple[Product, ...]:
    """The products that a page of results lists."""
    return shop.search(page.query)[(page.number - 1) * PER_PAGE : page.number * PER_PAGE]


def product_of(shop: Shop, page: Page) -> Product:
    """The product that a page is about. Raises `KeyError` where it is about none."""
    return shop.catalogue.by_asin[page.asin]


def clickables(shop: Shop, page: Page) -> tuple[str, ...]:
    """What can be clicked, in lower case, in the order in which WebShop lists it."""
    match page.kind:
        case "search":
            return ("search",)
        case "results":
            previous = (PREVIOUS,) if page.number > 1 else ()
            return (BACK, *previous, NEXT, *(product.asin.lower() for product in shown(shop, page)))
        case "item":
            return (BACK, PREVIOUS, *SUB_PAGES, BUY, *option_names(product_of(shop, page)))
        case "sub":
            return (BACK, PREVIOUS)
        case "done":
            return ()


def option_names(product: Product) -> dict[str, str]:
    """The options of a product: value → name. Of several with that value a click takes the last."""
    return {value: name for name, values in product.options for value in values}


def click(shop: Shop, page: Page, target: str) -> Page | None:
    """Returns the page that a click leads to; None where the page has nothing like it to click.

    `shop`: its products. `page`: the page of the click. `target`: what is clicked, in lower case. `BUY` is not followed
    here, since it leads to a purchase.
    """
    if target == "search" or target not in clickables(shop, page):
        return None
    if target == BACK:
        return START
    if page.kind == "results":
        if target in (NEXT, PREVIOUS):
            return page._replace(number=page.number + (1 if target == NEXT else -1))
        asin = next(product.asin for product in shown(shop, page) if product.asin.lower() == target)
        return Page("item", page.query, page.number, asin)
    if page.kind == "sub":
        return page._replace(kind="item", sub="")
    if target == PREVIOUS:
        return results(page.query, page.number)
    if target in SUB_PAGES:
        return page._replace(kind="sub", sub=target)
    chosen = dict(page.options) | {option_names(product_of(shop, page))[target]: target}
    return page._replace(options=tuple(sorted(chosen.items())))


def render(shop: Shop, goal: Goal, page: Page) -> str:
    """Returns the page as text.

    `shop`: its products. `goal`: its instruction is on the page. `page`: what to show.
    """
    return _SEPARATOR.join(text for piece in _pieces(shop, goal, page) if (text := piece.strip()))


def _pieces(shop: Shop, goal: Goal, page: Page) -> Iterator[str]:
    if page.kind == "search":
        yield from ("WebShop", "Instruction:", goal.instruction, "Search")
        return
    if page.kind == "done":
        yield from _receipt(page)
        return
    yield from ("Instruction:", goal.instruction, "Back to Search")
    if page.kind == "results":
        yield f"Page {page.number} (Total results: {len(shop.search(page.query))})"
        if page.number > 1:
            yield "< Prev"
        yield "Next >"
        for product in shown(shop, page):
            yield from (product.asin, product.title, product.price_tag)
        return
    product = product_of(shop, page)
    yield "< Prev"
    if page.kind == "sub":
        match page.sub:
            case "description":
                yield product.description
            case "features":
                yield from product.bullets
            case _:
                yield "No reviews found"
        return
    for name, values in product.options:
        yield name
        yield from values
    yield from (product.title, f"Price: {product.price_tag}", "Rating: N.A.")
    yield from ("Description", "Features", "Reviews", "Buy Now")


def _receipt(page: Page) -> Iterator[str]:
    """The page after a purchase. Its many fields are empty in WebShop's text mode, too."""
    options = "".join(_ESCAPED_IN_HTML.get(letter, letter) for letter in json.dumps(dict(page.options), sort_keys=True))
    yield from ("Thank you for shopping with us!", "Your code:", "None", "(Paste it in your MTurk interface.)")
    yield from ("Purchased", "asin", page.asin, "options", options, "attrs", "None", "category", "None")
    yield from ("query", "None", "product category", "None")
    yield from ("Target", "asin", "options", "attrs", "price upper", "instuction text", "category", "product category")
    yield from ("query", "Goal", "None", "Reward", "Your score (min 0.0, max 1.0)", str(page.score))
    yield from ("Reward Details", "None")
