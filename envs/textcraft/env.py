"""TextCraft: crafting an item from others, by text.

Three commands: `craft N ITEM using N ITEM, …`, `get N ITEM` (only what no recipe makes) and `inventory`. An episode is
over when the goal is crafted: its score is 1 then, and 0 everywhere else. Replies are worded as AgentGym's server words
them, for actions as its client sends them: letters, digits, commas and single spaces, all else removed.

The state is the goal and what is carried, so snapshots cost nothing. Deterministic: the seed of `reset` only chooses a
task where none is named.
"""

from __future__ import annotations

import functools
import random
import re
import string
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import gymnasium
from gymnasium.spaces import Text

from envs.base import EnvError, Plan, TextEnv, UnknownTask, Words
from envs.textcraft.mistakes import mistake
from envs.textcraft.plan import steps
from envs.textcraft.recipes import (
    Recipe,
    book,
    first_observation,
    goal_of,
    goals,
    item_id,
    listed_in,
    listing,
)
from envs.textcraft.tools import with_tools
from envs.textcraft.words import words

MAX_ACTION = 2000
"""Characters of an action that count; a longer one is cut, so that a reply to it stays short."""

_MAX_CACHED = 200  # characters of an action whose meaning is worth remembering
_MAX_OBSERVATION = 1_000_000
_UNWANTED = re.compile(r"[^A-Za-z0-9, ]+")
_CRAFT = re.compile(r"craft (.*) using (.*)")
# Amounts beyond that many digits would run into Python's own limit when they are shown.
_GET = re.compile(r"get ([0-9]{1,600}) (.*)")
_AMOUNT = re.compile(r"([0-9]{1,600}) (.*)")


class State(NamedTuple):
    """A snapshot: the goal, and what is carried in the order in which it came."""

    goal: str
    inventory: tuple[tuple[str, int], ...]


class _Refused(NamedTuple):
    observation: str


class _Look(NamedTuple):
    pass


class _Get(NamedTuple):
    item: str
    amount: int
    observation: str


class _Craft(NamedTuple):
    uses: tuple[tuple[str | None, int], ...]  # None for what nobody can carry: a tag
    output: str | None  # None where no recipe fits
    made: int
    observation: str  # where enough is carried
    short: str  # the observation where it isn't


def make(argument: str = "") -> TextCraft:
    """A TextCraft environment. Raises `EnvError` where an argument is given."""
    if argument:
        raise EnvError(f"textcraft takes no argument but tools, not {_brief(argument)}: --task chooses the task")
    return TextCraft()


def make_with_tools(argument: str = "tools") -> TextEnv:
    """The same, its agent calls tools."""
    return with_tools(TextCraft())


def tasks() -> tuple[str, ...]:
    """The ids of all tasks, in their order: "0", "1", …"""
    return tuple(_goal_by_task())


@functools.cache
def _goal_by_task() -> dict[str, str]:
    return {str(number): goal for number, goal in enumerate(goals())}


class TextCraft(gymnasium.Env[str, str]):
    """The environment. A new one is at the start of task 0.

    `goal` is the item to craft, and `listed` are the commands of the first observation.
    """

    def __init__(self) -> None:
        self.action_space = Text(max_length=MAX_ACTION, min_length=0, charset=string.printable)
        self.observation_space = Text(max_length=_MAX_OBSERVATION, charset=string.printable)
        self._inventory: dict[str, int] = {}
        self.goal = goals()[0]
        self.listed: tuple[Recipe, ...] = listing(self.goal)

    def tasks(self) -> tuple[str, ...]:
        """The ids of all tasks."""
        return tasks()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a task: `options["task"]`, an id; or `options["observation"]`, the first observation of one, which is
        given back as it is. Without either, task `seed` modulo their number, or any.

        Raises `UnknownTask`.
        """
        super().reset(seed=seed)
        options = options or {}
        info: dict[str, Any] = {}
        observation = options.get("observation")
        if observation is not None:
            goal = goal_of(observation)
            if goal not in book().recipes:
                raise UnknownTask(f"the first observation names no goal that can be crafted: {_brief(goal)}")
            listed = listed_in(observation)
        else:
            known = _goal_by_task()
            task = options.get("task")
            if task is None:
                task = seed % len(known) if seed is not None else int(self.np_random.integers(len(known)))
            task = str(task)
            if task not in known:
                raise UnknownTask(f"textcraft has no task {_brief(task)}: 0 to {len(known) - 1}")
            goal = known[task]
            observation, listed = first_observation(goal), listing(goal)
            info["task"] = task
        self.goal, self.listed, self._inventory = goal, listed, {}
        return observation, info | {"goal": goal}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. An action that can't be executed is answered, too."""
        known = _parse_cached(action) if len(action) <= _MAX_CACHED else _parse(action)
        inventory = self._inventory
        match known:
            case _Refused(observation):
                return observation, 0, False, False, {}
            case _Get(item, amount, observation):
                inventory[item] = inventory.get(item, 0) + amount
                return observation, 0, False, False, {}
            case _Look():
                return self._look(), 0, False, False, {}
        for used, amount in known.uses:
            if used is None or inventory.get(used, -1) < amount:
                return known.short, 0, False, False, {}
        if known.output is None:
            return known.observation, 0, False, False, {}
        for used, amount in known.uses:
            assert used is not None
            inventory[used] -= amount
            if not inventory[used]:
                del inventory[used]
        inventory[known.output] = inventory.get(known.output, 0) + known.made
        done = known.output == self.goal
        return known.observation, int(done), done, False, {}

    def _look(self) -> str:
        if not self._inventory:
            return "Inventory: You are not carrying anything."
        return "Inventory: " + "".join(f"[{item}] ({amount}) " for item, amount in self._inventory.items())

    def snapshot(self) -> State:
        """The state, immutable."""
        return State(self.goal, tuple(self._inventory.items()))

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken, by this instance or another. Raises `ValueError` for another kind."""
        if not isinstance(snapshot, State):
            raise ValueError(f"no snapshot of TextCraft: {_brief(snapshot)}")
        if snapshot.goal != self.goal:
            self.listed = listing(snapshot.goal)
            self.goal = snapshot.goal
        self._inventory = dict(snapshot.inventory)

    def state_key(self) -> str:
        """A digest of 16 characters: equal where the goal is and as much of everything is carried."""
        return _state_key(self.goal, frozenset(self._inventory.items()))

    def plan(self) -> Plan:
        """The next action on a shortest way to the goal, and its length. `Plan(None, 0)` where the goal is carried."""
        way = self.route()
        return Plan(way[0] if way else None, len(way))

    def route(self) -> tuple[str, ...]:
        """All actions of a shortest way from here to the goal, in order. One `get` fetches all that it needs of an
        item."""
        return steps(self.goal, self._inventory)

    def words(self, taken: str, answer: str, ahead: Sequence[str]) -> Words:
        """Why the action just taken did not serve, and what is needed now.

        `taken`: the action just executed. `answer`: its observation. `ahead`: the actions that are taken next.
        """
        return words(self.goal, self.listed, self._inventory, taken, answer, ahead)

    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """A thought and a plausible wrong action."""
        return mistake(self.goal, self.listed, self.route(), rng)

    def valid_actions(self) -> list[str]:
        """Returns what can be executed now, in a stable order: fetches for the listed commands, the listed commands for
        which enough is carried (with each carried member of a tag), and `inventory`."""
        fetches: dict[str, None] = {}
        crafts: dict[str, None] = {}
        for recipe in self.listed:
            ways: list[list[str]] = [[]]
            for part in recipe.ingredients:
                names = book().members.get(part.name, ()) if part.is_tag else (part.name,)
                carried = [name for name in names if self._inventory.get(name, 0) >= part.count]
                ways = [[*way, f"{part.count} {name}"] for way in ways for name in carried]
                if book().is_base(part.name):
                    fetches[f"get {part.count} {part.name}"] = None
            for way in ways:
                crafts[f"craft {recipe.count} {recipe.output} using {', '.join(way)}"] = None
        return [*fetches, *crafts, "inventory"]


@functools.lru_cache(maxsize=100_000)
def _state_key(goal: str, inventory: frozenset[tuple[str, int]]) -> str:
    carried = sorted((item, amount) for item, amount in inventory if amount)  # `get 0 x` carries nothing
    return blake2b(repr((goal, carried)).encode(), digest_size=8).hexdigest()


def _parse(action: str) -> _Refused | _Look | _Get | _Craft:
    """What an action means. The recipes never change, so all but what is carried is decided here."""
    action = " ".join(_UNWANTED.sub("", action).split())[:MAX_ACTION]
    if match := _CRAFT.match(action):
        return _parse_craft(match[1], match[2])
    if match := _GET.match(action):
        amount, item = int(match[1]), match[2]
        if not book().is_base(item):
            return _Refused(f"Could not find {item}")
        return _Get(item, amount, f"Got {amount} {item}")
    if action.startswith("inventory"):
        return _Look()
    return _Refused(f"Could not execute {action}")


_parse_cached = functools.lru_cache(maxsize=20_000)(_parse)


def _parse_craft(wanted: str, using: str) -> _Refused | _Craft:
    match = _AMOUNT.match(wanted)
    name, number = (match[2], int(match[1])) if match else (wanted, 1)
    members = book().members
    uses: list[tuple[str | None, int]] = []
    for part in using.split(","):
        match = _AMOUNT.match(part.strip())
        if match is None:
            return _Refused(f"Wrong item format: {part.strip()}")
        uses.append((None if match[2] in members else match[2], int(match[1])))
    tag, id = (item_id(name), None) if name in members else (None, item_id(name))
    short = f"Could not find enough items to craft {id}"
    recipe = next((recipe for recipe in book().recipes.get(name, ()) if _matches(recipe, uses)), None)
    if recipe is None:
        output = f"ItemTagWithCount(item_tag=ItemTag(tag={tag!r}, item_id={id!r}), count={number})"
        return _Craft(tuple(uses), None, 0, f"Could not find a valid recipe for {output}", short)
    total: dict[str | None, int] = {}  # one item may serve as two ingredients
    for used, amount in uses:
        total[used] = total.get(used, 0) + amount
    return _Craft(tuple(total.items()), name, recipe.count, f"Crafted {recipe.count} {id}", short)


def _matches(recipe: Recipe, uses: list[tuple[str | None, int]]) -> bool:
    """Whether exactly these items make the recipe. The first item that may serve as an ingredient has to."""
    left = list(uses)
    for part in recipe.ingredients:
        names = book().members[part.name] if part.is_tag else (part.name,)
        use = next((use for use in left if use[0] in names), None)
        if use is None or use[1] != part.count:
            return False
        left.remove(use)
    return not left


def _brief(value: object) -> str:
    """A value as a message may show it."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:36]}…"
