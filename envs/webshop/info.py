"""What is known of WebShop before it is loaded."""

from __future__ import annotations

from dataclasses import replace

from envs.base import EnvironmentInfo

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


def _of(data: str) -> EnvironmentInfo:
    """The bundled products are made up; those in a folder are the user's to vouch for."""
    return INFO if not data else replace(INFO, note="")


INFO = EnvironmentInfo(
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
    takes_place=bool,
    # No page says that nothing was done: one that was not left looks the same, and so does one after a choice.
)
"""The registry's entry."""
