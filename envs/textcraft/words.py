"""Clauses of English for revision thoughts in TextCraft: why a step did not serve, and what is needed now.

All of it follows from the goal, the commands of the first observation and what is carried.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from envs.base import Words
from envs.textcraft.recipes import Recipe, book, command, tree

_CRAFT = re.compile(r"craft (?:([0-9]{1,9}) )?(.+) using (.+)")
_GET = re.compile(r"get ([0-9]{1,9}) (.+)")
_PART = re.compile(r"([0-9]{1,9}) (.+)")

_MASS = frozenset(
    (
        *("andesite", "armor", "bamboo", "bark", "basalt", "blackstone", "bonemeal", "bread", "clay", "coal"),
        *("cobblestone", "cream", "diorite", "dirt", "dust", "flint", "glass", "glowstone", "granite", "gravel"),
        *("gunpowder", "hide", "honeycomb", "ice", "kelp", "lazuli", "leather", "meal", "obsidian", "paper", "powder"),
        *("prismarine", "quartz", "redstone", "sand", "sandstone", "scaffolding", "scrap", "snow", "soup", "steel"),
        *("stew", "stone", "string", "sugar", "terracotta", "tnt", "wart", "wheat", "wood", "wool"),
    )
)
"""Last words of names that have no plural."""

_PLURALS = {
    "bookshelf": "bookshelves", "bush": "bushes", "box": "boxes", "torch": "torches", "fungus": "fungi",
    "compass": "compasses", "daisy": "daisies", "peony": "peonies", "poppy": "poppies",
}  # fmt: skip
_PAIRS = frozenset(("boots", "leggings", "shears"))
_SINGULAR_S = frozenset(("glass", "compass", "fungus"))


def counted(count: int, name: str) -> str:
    """So many of an item: "1 stick", "4 honey bottles", "4 red sand", "1 oak plank"."""
    if count != 1:
        return f"{count} {_plural(name)}"
    if name.rpartition(" ")[2] in _PAIRS:
        return f"1 pair of {name}"
    return f"1 {name[:-1] if _is_plural(name) else name}"


def _is_plural(name: str) -> bool:
    """Whether a name itself is in the plural: "oak planks"."""
    return name.endswith("s") and name.rpartition(" ")[2] not in _SINGULAR_S


def _plural(name: str) -> str:
    head, _, last = name.rpartition(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last not in _MASS and not last.endswith("s") and last != "valley":
        last += "s"
    return f"{head} {last}".strip()


def words(
    goal: str, listed: Sequence[Recipe], carried: Mapping[str, int], taken: str, answer: str, ahead: Sequence[str]
) -> Words:
    """Returns words about a wrong step and about what is needed now.

    `goal`: the item to craft. `listed`: the recipes of the first observation. `carried`: item → number, after the step.
    `taken`: the action of the step. `answer`: the observation it got. `ahead`: the actions that are taken next.
    """
    need, why = _need(goal, carried, ahead)
    refused = not answer.startswith(("Got ", "Crafted ", "Inventory:"))
    return Words(_fault(goal, listed, carried, taken, refused, ahead), need, why)


def _uses(action: str) -> tuple[str, int, dict[str, int]] | None:
    """What a craft makes, how many, and what it uses up; None for another action."""
    match = _CRAFT.fullmatch(" ".join(action.split()))
    if match is None:
        return None
    uses: dict[str, int] = {}
    for text in match[3].split(","):
        part = _PART.fullmatch(text.strip())
        if part is None:
            return None
        uses[part[2]] = uses.get(part[2], 0) + int(part[1])
    return match[2], int(match[1] or 1), uses


def _user(item: str, ahead: Sequence[str]) -> tuple[str, int] | None:
    """The first craft ahead that uses an item up, and how many are used up before the item is fetched again."""
    user, takes = "", 0
    for action in ahead:
        match = _GET.fullmatch(action)
        if match is not None and match[2] == item:
            break
        found = _uses(action)
        if found is not None and item in found[2]:
            user, takes = user or found[0], takes + found[2][item]
    return (user, takes) if user else None


def _need(goal: str, carried: Mapping[str, int], ahead: Sequence[str]) -> tuple[str, str]:
    if not ahead:
        return "", ""
    if match := _GET.fullmatch(ahead[0]):
        item, amount = match[2], int(match[1])
        if not book().is_base(item):
            return "", ""
        user = _user(item, ahead[1:])
        has = carried.get(item, 0)
        if user is not None and 0 < user[1] - has < amount:
            amount = user[1] - has  # what is needed, whatever the step fetches
        more = has > 0
        told = f"get {amount} more {_plural(item) if amount > 1 else item}" if more else f"get {counted(amount, item)}"
        if user is None:
            return told, ""
        return f"{told} for the {user[0]}", _short(carried, item, user[1])
    found = _uses(ahead[0])
    if found is None:
        return "", ""
    output, made, uses = found
    made = next((recipe.count for recipe in book().recipes.get(output, ()) if _made_by(recipe, uses)), made)
    if any(carried.get(item, 0) < amount for item, amount in uses.items()):
        return "", ""
    parts = _listed_words([counted(amount, item) for item, amount in uses.items()])
    if output == goal:
        return (
            f"craft the {goal} {'themselves' if _is_plural(goal) else 'itself'} from {parts}",
            f"I carry all that {'they take' if _is_plural(goal) else 'it takes'}",
        )
    user = _user(output, ahead[1:])
    if user is None:
        return f"craft {counted(made, output)} from {parts}", ""
    short = user[1] - carried.get(output, 0)
    if carried.get(output, 0) > 0 and short > 0:
        told = f"craft {short} more {_plural(output) if short > 1 else output}"
    else:
        told = f"craft {counted(max(made, short), output)}"
    return f"{told} for the {user[0]}", _short(carried, output, user[1])


def _short(carried: Mapping[str, int], item: str, takes: int) -> str:
    """That less of an item is carried than a craft takes."""
    has = carried.get(item, 0)
    if has >= takes:
        return ""
    return f"I carry {counted(has, item)} and need {takes}" if has else f"I carry no {_plural(item)} and need {takes}"


def _listed_words(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _fault(
    goal: str, listed: Sequence[Recipe], carried: Mapping[str, int], taken: str, refused: bool, ahead: Sequence[str]
) -> str:
    action = " ".join(taken.split())
    if match := _GET.fullmatch(action):
        return _fault_of_get(goal, listed, match[2], refused, ahead)
    found = _uses(action)
    if found is not None and refused:
        return _besides(_fault_of_refused_craft(listed, carried, found[0], found[2]), goal, found[0])
    if found is not None:
        return _fault_of_craft(goal, found[0], found[2], ahead)
    known = action.startswith(("inventory", "get ", "craft "))
    return "only get, craft and inventory do anything here" if refused and not known else ""


def _fault_of_get(goal: str, listed: Sequence[Recipe], item: str, refused: bool, ahead: Sequence[str]) -> str:
    if refused:
        crafted = any(recipe.output == item for recipe in listed)
        return _besides(
            f"the {item} {'have' if _is_plural(item) else 'has'} to be crafted" if crafted else "", goal, item
        )
    if item not in _serving(goal):
        return f"the {goal} {_takes(goal)} no {_plural(item)}"
    return ""


def _fault_of_refused_craft(
    listed: Sequence[Recipe], carried: Mapping[str, int], output: str, uses: Mapping[str, int]
) -> str:
    """Why a craft was refused: too little is carried, or it is not how the item is made."""
    recipes = [recipe for recipe in listed if recipe.output == output]
    if recipes and not any(_made_by(recipe, uses) for recipe in recipes):
        return (
            f"the recipe is `{command(recipes[0])}`"
            if len(recipes) == 1
            else f"no recipe for the {output} is like that"
        )
    for item, amount in uses.items():
        if item in book().members:
            return f"{item} stands for a kind of item, and I have to name one that I carry"
        has = carried.get(item, 0)
        if has < amount:
            return f"it takes {counted(amount, item)} and I carry {f'only {has}' if has else 'none'}"
    return ""


def _fault_of_craft(goal: str, output: str, uses: Mapping[str, int], ahead: Sequence[str]) -> str:
    """What was lost by a craft that nobody needed."""
    if output not in _serving(goal):
        return f"the {goal} {_takes(goal)} no {_plural(output)}"
    spent = next((item for item in uses if _needed_again(item, ahead)), None)
    return f"it used up {counted(uses[spent], spent)} that I still need" if spent is not None else ""


def _takes(goal: str) -> str:
    return "take" if _is_plural(goal) else "takes"


def _besides(fault: str, goal: str, item: str) -> str:
    """Why a step was refused, and that it would not have helped, where the goal needs no such item."""
    if item in _serving(goal) or not fault:
        return fault
    return f"{fault}, and the {goal} {'need' if _is_plural(goal) else 'needs'} no {_plural(item)} anyway"


def _made_by(recipe: Recipe, uses: Mapping[str, int]) -> bool:
    """Whether these items make a recipe, tags included."""
    left = dict(uses)
    for part in recipe.ingredients:
        names = book().members[part.name] if part.is_tag else (part.name,)
        use = next((name for name in names if left.get(name) == part.count), None)
        if use is None:
            return False
        del left[use]
    return not left


def _needed_again(item: str, ahead: Sequence[str]) -> bool:
    """Whether the actions ahead bring an item again, before something else is made of it."""
    for action in ahead:
        match = _GET.fullmatch(action)
        if match is not None and match[2] == item:
            return True
        found = _uses(action)
        if found is not None and found[0] == item:
            return True
    return False


def _serving(goal: str) -> frozenset[str]:
    """Every item that may serve to make the goal, the goal included."""
    names = {goal}
    for recipe in tree(goal):
        names.add(recipe.output)
        for part in recipe.ingredients:
            names.add(part.name)
            names.update(book().members.get(part.name, ()))
    return frozenset(names)
