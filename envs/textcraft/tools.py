"""TextCraft by tools: `get`, `craft` and `inventory`, each the command of that name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from envs.base import TextEnv
from envs.tool_schemas import tool
from envs.tool_wrapper import Toolbox, calling

_GET = re.compile(r"get ([0-9]{1,9}) (.+)")
_CRAFT = re.compile(r"craft ([0-9]{1,9}) (.+?) using (.+)")

TOOLS = (
    tool(
        "get",
        "Fetch an item. Works only for items that no command makes.",
        item={"type": "string", "description": "the item, for example oak logs"},
        count={"type": "integer", "minimum": 1, "description": "how many of it"},
    ),
    tool(
        "craft",
        "Use a crafting command once, with exactly the amounts in which it was given. All ingredients have to be"
        " carried.",
        output={"type": "string", "description": "the item that the command makes"},
        count={"type": "integer", "minimum": 1, "description": "how many of it the command makes"},
        ingredients={
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": 'each with its amount: ["2 oak planks", "1 stick"]',
        },
    ),
    tool("inventory", "See what you carry."),
)

RULES = """\
You craft items by calling tools. First you are given crafting commands and a goal, the item that you have to craft. \
Some of the commands serve the goal, others lead nowhere.

- get fetches an item. It works only for items that cannot be crafted; whatever a command makes has to be crafted.
- craft uses a crafting command once. Call it with exactly the amounts in which the command was given, and carry all \
its ingredients beforehand. An ingredient that is a kind of item, such as "planks", means any one item of that kind: \
name the one that you carry, such as "oak planks".
- inventory shows what you carry.

Say in a sentence why the next step is right, and call one tool. Begin when you are given the commands and the goal."""


def action_of(name: str, arguments: Mapping[str, Any]) -> str:
    """Returns the command for a call."""
    if name == "get":
        return f"get {int(arguments['count'])} {arguments['item']}"
    if name == "craft":
        return f"craft {int(arguments['count'])} {arguments['output']} using {', '.join(arguments['ingredients'])}"
    return "inventory"


def call_of(action: str) -> tuple[str, Mapping[str, Any]] | None:
    """The call that gives a command; None for what is none."""
    if match := _GET.fullmatch(action):
        return "get", {"count": int(match[1]), "item": match[2]}
    if match := _CRAFT.fullmatch(action):
        return "craft", {"count": int(match[1]), "output": match[2], "ingredients": match[3].split(", ")}
    return ("inventory", {}) if action == "inventory" else None


def with_tools(env: TextEnv) -> TextEnv:
    """TextCraft whose agent calls tools."""
    return calling(env, Toolbox(lambda: TOOLS, action_of, call_of))
