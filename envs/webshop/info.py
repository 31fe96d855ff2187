"""What is known of WebShop before it is loaded."""

from __future__ import annotations

from dataclasses import replace

from envs.any_tools import described
from envs.base import EnvironmentInfo
from envs.webshop.tools import RULES as TOOL_RULES

RULES = """\
You shop by text. You are given an instruction that says what to buy: a kind of product, properties that it must \
have, perhaps options such as its color or size, and perhaps a price that it must stay under. Find the product that \
fits best, choose its options and buy it. You can buy once; that ends the task.

Every observation is one page of the shop, its parts put between [SEP]. What you can do, one action a turn:
- search[WORDS]: search for products, on the page that has the search bar. You get the first ten of up to fifty.
- click[WHAT]: click something that the page shows: a product's id, an option, or one of Back to Search, < Prev, \
Next >, Description, Features, Reviews, Buy Now.
Options are chosen on the page of a product, one of each group, before you buy; that page looks the same afterwards. A \
click on what the page does not show changes nothing.

Answer every observation with a short thought and one action, in this form and with nothing after it:
Thought: why this is the next step
Action: the action

For example, where the instruction asks for a gluten free ginger cake mix under 10.00 dollars:
Thought: I search for the kind of product and the property that it must have.
Action: search[gluten free cake mix]

Begin when you are given the instruction."""


def _is_webshop(observation: str) -> bool:
    return observation.startswith("WebShop [SEP] Instruction:")


def _of(argument: str) -> EnvironmentInfo:
    """The bundled products are made up; those in a folder are the user's to vouch for."""
    kind, _, folder = argument.partition(":")
    if kind != "tools":
        return INFO if not argument else replace(INFO, note="")
    return TOOLS if not folder else replace(TOOLS, note="")


def _takes_place(argument: str) -> bool:
    return argument not in ("", "tools", "tools:")


INFO: EnvironmentInfo = EnvironmentInfo(
    name="webshop",
    summary="buy what an instruction asks for; 1,946 tasks of 3 to 6 steps in a bundled synthetic shop,"
    " or webshop:DIR over WebShop's own data",
    load="envs.webshop.env:make",
    rules=RULES,
    requires="webshop",
    needs=("tantivy",),
    recognises=_is_webshop,
    joined="{action}[{input}]",
    note="synthetic",
    of=_of,
    kinds=lambda: [TOOLS],
    takes_place=_takes_place,
    # No page says that nothing was done: one that was not left looks the same, and so does one after a choice.
)
"""The registry's entry."""

TOOLS: EnvironmentInfo = described(
    INFO,
    name="webshop:tools",
    summary="the same, its agent calls the tools search and click; webshop:tools:DIR over WebShop's own data",
    rules=TOOL_RULES,
)
"""What is known of it where its agent calls tools."""
