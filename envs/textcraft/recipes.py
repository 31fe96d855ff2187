"""The recipe book of TextCraft: crafting recipes, tags, and the tasks that they make.

The recipes are those of the package `textcraft` 0.0.3, kept in `data/recipes.jsonl` under its licence (`data/LICENSE`):
one a line, in the order of the names of its files.
Names are as they are shown ("yellow bed"), which stands for the id `minecraft:yellow_bed`. A *tag* ("planks") is no
item but stands for any one of its members. A *base item* is made by no recipe: it can be fetched.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envs.base import EnvError

MIN_DEPTH = 2
"""Least recipe depth of a goal: at least one ingredient has to be crafted itself."""

MAX_DISTRACTORS = 10
"""Most commands that a first observation lists although the goal doesn't need them."""

_PREFIX = "minecraft:"
_ORDER = "textcraft 91933"  # salt of the tasks' order; chosen so that the first tasks differ in kind and length
_LISTED = re.compile(r"craft ([0-9]{1,9}) (.+) using (.+)")
_AMOUNT = re.compile(r"([0-9]{1,9}) (.+)")
_GOAL = "Goal: craft "


@dataclass(frozen=True, slots=True)
class Ingredient:
    """What one craft uses up of one item, or of any one member of a tag."""

    name: str
    count: int
    is_tag: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to make an item."""

    output: str
    count: int  # items that one craft makes
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True)
class Book:
    """All recipes. They hold no cycle: no item is made, however indirectly, of itself."""

    recipes: Mapping[str, tuple[Recipe, ...]]  # by output
    members: Mapping[str, tuple[str, ...]]  # the items of each tag
    items: frozenset[str]  # every item that a recipe names

    def is_base(self, name: str) -> bool:
        """Whether the item can be fetched: it is known, no tag, and no recipe makes it."""
        return name in self.items and name not in self.recipes

    def made_by(self, name: str) -> tuple[Recipe, ...]:
        """The recipes that make the item, or a member of the tag. Empty for a base item."""
        if name in self.members:
            return tuple(recipe for member in self.members[name] for recipe in self.recipes.get(member, ()))
        return self.recipes.get(name, ())


def command(recipe: Recipe) -> str:
    """The recipe as a first observation lists it. Where no ingredient is a tag, this is an action."""
    ingredients = ", ".join(f"{part.count} {part.name}" for part in recipe.ingredients)
    return f"craft {recipe.count} {recipe.output} using {ingredients}"


@functools.cache
def book() -> Book:
    """The recipe book, read once a process."""
    lines = files("envs.textcraft").joinpath("data", "recipes.jsonl").read_bytes().splitlines()
    return _book((f"recipes.jsonl:{number}", line) for number, line in enumerate(lines, 1))


def load(folder: Path) -> Book:
    """Read a folder of recipe files, as the game has them, in the order of their names.

    Raises `EnvError` naming the file that is no recipe.
    """
    return _book((str(path), path.read_bytes()) for path in sorted(folder.glob("*.json"), key=lambda path: path.name))


def _book(texts: Iterable[tuple[str, bytes]]) -> Book:
    """The book that recipes make: pairs of a place, for errors, and a text of JSON.

    Other kinds of recipe than crafting are left out; so is taking a block apart. Of recipes that would close a cycle
    (nuggets from an ingot, an ingot from nuggets) the first stays.

    Raises `EnvError` naming the place of what is no recipe.
    """
    # A recipe's group is the tag of its output; the last recipe that names one decides.
    found: list[tuple[Recipe, str | None]] = []
    items: set[str] = set()
    tags: set[str] = set()
    for place, text in texts:
        try:
            read = _read(json.loads(text))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise EnvError(f"{place} is not a recipe: {type(error).__name__} {error}") from error
        if read is None:
            continue
        recipe, group = read
        items.add(recipe.output)
        for part in recipe.ingredients:
            (tags if part.is_tag else items).add(part.name)
        if len(recipe.ingredients) == 1 and recipe.ingredients[0].name.endswith(" block"):
            continue
        if group is not None and group != recipe.output:
            tags.add(group)
            found.append((recipe, group))
        else:
            found.append((recipe, None))

    tag_of = {recipe.output: group for recipe, group in found if group is not None}
    members: dict[str, list[str]] = {tag: [] for tag in tags}
    for item, tag in tag_of.items():
        members[tag].append(item)
    # A tag that nothing can be crafted for ("logs") is an item like any other.
    for tag in [tag for tag, those in members.items() if not those]:
        del members[tag]
        items.add(tag)

    recipes: dict[str, list[Recipe]] = {}
    for recipe, _ in found:
        parts = tuple(Ingredient(part.name, part.count, part.name in members) for part in recipe.ingredients)
        recipe = Recipe(recipe.output, recipe.count, parts)
        same = recipes.setdefault(recipe.output, [])
        if recipe not in same and not _closes_cycle(recipe, recipes, members):
            same.append(recipe)
    return Book(
        MappingProxyType({item: tuple(those) for item, those in recipes.items() if those}),
        MappingProxyType({tag: tuple(those) for tag, those in sorted(members.items())}),
        frozenset(items),
    )


def _read(details: dict[str, Any]) -> tuple[Recipe, str | None] | None:
    """A recipe and its group; None for other kinds than crafting."""
    counts: dict[tuple[str, bool], int] = {}
    match details["type"]:
        case "minecraft:crafting_shaped":
            pattern = "".join(details["pattern"])
            for key, entry in details["key"].items():
                _count(counts, entry, pattern.count(key))
        case "minecraft:crafting_shapeless":
            for entry in details["ingredients"]:
                _count(counts, entry, 1)
        case _:
            return None
    result = details["result"]
    output, count = (result, 1) if isinstance(result, str) else (result["item"], result.get("count") or 1)
    group = details.get("group")
    parts = tuple(Ingredient(name, n, is_tag) for (name, is_tag), n in counts.items())
    return Recipe(_shown(output), int(count), parts), _shown(group) if group else None


def _count(counts: dict[tuple[str, bool], int], entry: Any, n: int) -> None:
    entry = entry[0] if isinstance(entry, list) else entry  # of alternatives, the first
    key = (_shown(entry["item"]), False) if "item" in entry else (_shown(entry["tag"]), True)
    counts[key] = counts.get(key, 0) + n


def _shown(id: str) -> str:
    return id.removeprefix(_PREFIX).replace("_", " ")


def item_id(name: str) -> str:
    """Returns the id of a name: `minecraft:yellow_bed` for "yellow bed"."""
    return _PREFIX + name.replace(" ", "_")


def _closes_cycle(recipe: Recipe, recipes: Mapping[str, list[Recipe]], members: Mapping[str, list[str]]) -> bool:
    """Whether an ingredient is made, by the recipes so far, of the recipe's own output."""
    open_names = [part.name for part in recipe.ingredients]
    seen = set(open_names)
    while open_names:
        name = open_names.pop()
        if name == recipe.output:
            return True
        below = [part.name for known in recipes.get(name, ()) for part in known.ingredients]
        for other in (*below, *members.get(name, ())):
            if other not in seen:
                seen.add(other)
                open_names.append(other)
    return False


@functools.cache
def depth(name: str) -> int:
    """Recipe depth of an item or tag: crafts on the longest branch, by the shallowest recipes; 0 for a base item."""
    ways = (max(depth(part.name) + 1 for part in recipe.ingredients) for recipe in book().made_by(name))
    return min(ways, default=0)


@functools.cache
def goals() -> tuple[str, ...]:
    """The goal of each task, in the order of the task numbers.

    Sorted by a digest of the name: kinds and depths mix, the same everywhere, and an item that a later version of the
    recipes adds moves no two others past each other.
    """
    return tuple(sorted((item for item in book().recipes if depth(item) >= MIN_DEPTH), key=_digest))


def _digest(text: str, salt: str = _ORDER) -> bytes:
    return blake2b(f"{salt}\n{text}".encode(), digest_size=8).digest()


def tree(goal: str) -> tuple[Recipe, ...]:
    """Every recipe that may serve to make `goal`, the goal's own first."""
    names = [goal]
    for name in names:
        for recipe in book().made_by(name):
            names.extend(part.name for part in recipe.ingredients if part.name not in names)
    return tuple(dict.fromkeys(recipe for name in names for recipe in book().made_by(name)))


@functools.cache
def listing(goal: str) -> tuple[Recipe, ...]:
    """What the first observation lists: all recipes of the goal, and up to `MAX_DISTRACTORS` others that use the same
    ingredients; mixed, and always in the same order."""
    needed = tree(goal)
    names = {part.name for recipe in needed for part in recipe.ingredients}
    others = [
        recipe
        for recipes in book().recipes.values()
        for recipe in recipes
        if recipe not in needed and any(part.name in names for part in recipe.ingredients)
    ]
    others.sort(key=lambda recipe: _digest(command(recipe), f"distractors of {goal}"))
    listed = [*needed, *others[:MAX_DISTRACTORS]]
    return tuple(sorted(listed, key=lambda recipe: _digest(command(recipe), f"listing of {goal}")))


def first_observation(goal: str) -> str:
    """The text with which the task of that goal begins."""
    lines = "\n".join(command(recipe) for recipe in listing(goal))
    return f"Crafting commands:\n{lines}\n\n{_GOAL}{goal}."


def instruction(first_observation: str) -> str:
    """The goal in a few words, "craft yellow bed"; empty where the text names none."""
    goal = goal_of(first_observation)
    return f"craft {goal}" if goal else ""


def goal_of(first_observation: str) -> str:
    """The goal item that a first observation names; empty where it names none."""
    after = first_observation.rpartition(_GOAL)[2] if _GOAL in first_observation else ""
    lines = after.splitlines()
    return lines[0].strip().removesuffix(".") if lines else ""


def listed_in(first_observation: str) -> tuple[Recipe, ...]:
    """The recipes that a first observation lists, in its order. Lines that are no known recipe are passed over."""
    read = (recipe for line in first_observation.splitlines() for recipe in _parse_line(line))
    return tuple(recipe for recipe in read if recipe in book().recipes.get(recipe.output, ()))


def _parse_line(line: str) -> Iterator[Recipe]:
    if match := _LISTED.fullmatch(line.strip()):
        parts = [_AMOUNT.fullmatch(part.strip()) for part in match[3].split(",")]
        tags = book().members
        ingredients = [Ingredient(part[2], int(part[1]), part[2] in tags) for part in parts if part is not None]
        if len(ingredients) == len(parts):
            yield Recipe(match[2], int(match[1]), tuple(ingredients))
