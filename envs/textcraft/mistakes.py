"""Plausible mistakes in TextCraft: what a model that nearly understands the task would do instead.

The scripted actor errs with these, so that trees hold good and bad leaves without a model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from envs.textcraft.recipes import Recipe, book, command

_AMOUNT = re.compile(r"\d+")

Mistake = tuple[str, str]
"""A thought and an action."""


def mistake(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake:
    """Returns a wrong next step.

    `goal`: the item to craft. `listed`: the recipes of the first observation. `route`: what an expert would still do,
    its next action first. `rng`: decides which mistake.
    """
    kinds: list[_Kind] = [
        _wrong_amount,
        _missing_ingredient,
        _fetch_what_is_crafted,
        _wrong_order,
        _idle,
        _distractor,
        _give_up,
    ]
    weights = [3, 3, 3, 2, 3, 3, 1]
    for kind in _shuffled(kinds, weights, rng):
        found = kind(goal, listed, route, rng)
        if found is not None and found[1] != (route[0] if route else None):
            return found
    return _idle(goal, listed, route, rng)


_Kind = Callable[[str, Sequence[Recipe], Sequence[str], random.Random], Mistake | None]


def _shuffled(kinds: list[_Kind], weights: list[int], rng: random.Random) -> list[_Kind]:
    """The kinds in random order, heavier ones earlier."""
    keys = [rng.random() ** (1 / weight) for weight in weights]
    return [kind for _, kind in sorted(zip(keys, kinds, strict=True), key=lambda pair: -pair[0])]


def _wrong_amount(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake | None:
    if not route:
        return None
    amounts = list(_AMOUNT.finditer(route[0]))
    change = rng.choice(amounts)
    before = int(change.group())
    after = rng.choice([amount for amount in (before - 1, before + 1, before * 2) if amount > 0 and amount != before])
    return "I think this is the right amount.", f"{route[0][: change.start()]}{after}{route[0][change.end() :]}"


def _missing_ingredient(
    goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random
) -> Mistake | None:
    crafts = [action for action in route if action.startswith("craft ") and "," in action]
    if not crafts:
        return None
    head, _, uses = crafts[0].partition(" using ")
    parts = uses.split(", ")
    parts.pop(rng.randrange(len(parts)))
    return "I should have all that this recipe needs.", f"{head} using {', '.join(parts)}"


def _fetch_what_is_crafted(
    goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random
) -> Mistake | None:
    made = "\n".join(route)
    crafted = [recipe.output for recipe in listed if f" {recipe.output} using " in made]
    item = rng.choice([goal, *crafted])
    return f"Maybe I can simply get the {item}.", f"get {rng.choice((1, 1, 2))} {item}"


def _wrong_order(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake | None:
    later = [action for action in route[1:] if action.startswith("craft ")]
    if not later:
        return None
    return "I can already craft this.", rng.choice(later)


def _idle(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake:
    return rng.choice(
        (
            ("Let me check what I carry before I go on.", "inventory"),
            ("I am not sure what comes next, so I look again.", "inventory"),
            ("Let me look around first.", "look around"),
        )
    )


def _distractor(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake | None:
    made = "\n".join(route)
    other = [recipe for recipe in listed if f" {recipe.output} using " not in made]
    if not other:
        return None
    recipe = rng.choice(other)
    if rng.random() < 0.5:
        return f"Perhaps {recipe.output} is needed as well.", command(recipe)
    part = rng.choice(recipe.ingredients)
    name = part.name if book().is_base(part.name) else recipe.output
    return f"I will gather some {name}.", f"get {part.count} {name}"


def _give_up(goal: str, listed: Sequence[Recipe], route: Sequence[str], rng: random.Random) -> Mistake:
    return f"I do not see how to make {goal}, so I stop here.", "stop"
