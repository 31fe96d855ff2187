"""WebShop by tools: `search` and `click`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envs.base import TextEnv
from envs.tool_schemas import tool
from envs.tool_wrapper import Toolbox, calling

_ACTION = re.compile(r"(search|click)\[(.*)\]")
_ARGUMENTS = {"search": "query", "click": "element"}
_NOT_IN_A_QUERY = str.maketrans("[]\n\r", "    ")

TOOLS = (
    tool(
        "search",
        "Search for products, on the page that has the search bar. Shows the first ten of up to fifty.",
        query={"type": "string", "minLength": 1, "description": "words to search for"},
    ),
    tool(
        "click",
        "Click something that the page shows.",
        element={
            "type": "string",
            "minLength": 1,
            "description": "a product's id, an option, or one of Back to Search, < Prev, Next >, Description, Features,"
            " Reviews, Buy Now",
        },
    ),
)

RULES = """\
You shop by calling tools. You are given an instruction that says what to buy: a kind of product, properties that it \
must have, perhaps options such as its color or size, and perhaps a price that it must stay under. Find the product \
that fits best, choose its options and buy it. You can buy once; that ends the task.

Every result is one page of the shop, its parts put between [SEP].
- search works on the page that has the search bar.
- click takes something that the page shows: a product's id, an option, or one of Back to Search, < Prev, Next >, \
Description, Features, Reviews, Buy Now.
Options are chosen on the page of a product, one of each group, before you buy; that page looks the same afterwards. A \
click on what the page does not show changes nothing.

Say in a sentence why the next step is right, and call one tool. Begin when you are given the instruction."""


def action_of(name: str, arguments: Mapping[str, Any]) -> str:
    """Returns the action for a call."""
    if name == "search":
        return f"search[{arguments['query'].translate(_NOT_IN_A_QUERY)}]"
    return f"click[{' '.join(arguments['element'].split())}]"


def call_of(action: str) -> tuple[str, Mapping[str, Any]] | None:
    """The call that does an action; None for what is none."""
    match = _ACTION.fullmatch(action)
    return None if match is None else (match[1], {_ARGUMENTS[match[1]]: match[2]})


def with_tools(env: TextEnv) -> TextEnv:
    """WebShop whose agent calls tools."""
    return calling(env, Toolbox(lambda: TOOLS, action_of, call_of))
