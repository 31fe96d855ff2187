"""WebShop: an instruction, a shop, one purchase.

`search[WORDS]` and `click[WHAT]` move between pages; anything else, and clicks on what a page does not have, changes
nothing and shows the page again, as in WebShop. An episode ends with `click[buy now]`, and its score is the purchase's
(`envs.webshop.reward`); it is 0 everywhere before.

The state is a page and a goal, so snapshots cost nothing. Deterministic: the seed of `reset` only chooses a task where
none is named.
"""

from __future__ import annotations

import random
import string
from collections.abc import Hashable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import gymnasium
from gymnasium.spaces import Text

from envs.base import Plan, TextEnv, UnknownTask, Words
from envs.webshop import mistakes
from envs.webshop.goals import Goal
from envs.webshop.pages import BUY, START, Page, click, clickables, product_of, render, results
from envs.webshop.plan import Expert
from envs.webshop.reward import score
from envs.webshop.shop import Shop, open_shop
from envs.webshop.tools import with_tools
from envs.webshop.words import words

MAX_QUERY = 1000
"""Characters of a search that count."""

MAX_ACTION = 2000
"""Characters of an action within the action space; longer ones are answered, too."""

SEARCH_HINT = "search[keywords]"
_MAX_OBSERVATION = 1_000_000
_EXPERTS = 64
_FIRST = "WebShop [SEP] Instruction: [SEP] "
_FIRST_END = " [SEP] Search"


class State(NamedTuple):
    """A snapshot."""

    goal: Goal
    page: Page


def make(argument: str = "") -> WebShop:
    """The environment over the bundled catalogue, or over the data in a folder. Raises `CatalogueError`."""
    return WebShop(open_shop(argument))


def make_with_tools(argument: str = "tools") -> TextEnv:
    """The same, its agent calls tools: `tools`, or `tools:DIR` over the data in a folder. Raises `CatalogueError`."""
    return with_tools(make(argument.partition(":")[2]))


class WebShop(gymnasium.Env[str, str]):
    """The environment. A new one is at the start of its first task."""

    def __init__(self, shop: Shop) -> None:
        self.action_space = Text(max_length=MAX_ACTION, min_length=0, charset=string.printable)
        self.observation_space = Text(max_length=_MAX_OBSERVATION, charset=string.printable)
        self.shop = shop
        self.goal = shop.goal(shop.tasks[0])
        self.page = START
        # Of the instance, so that nothing keeps a shop alive that nobody uses.
        self._expert_of = lru_cache(maxsize=_EXPERTS)(lambda goal: Expert(shop, goal))

    def tasks(self) -> tuple[str, ...]:
        """The ids of all tasks."""
        return self.shop.tasks

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a task: `options["task"]`, an id; or `options["observation"]`, the first observation of one, which is
        given back as it is. Without either, task `seed` modulo their number, or any.

        Raises `UnknownTask`.
        """
        super().reset(seed=seed)
        options = options or {}
        observation, task = options.get("observation"), options.get("task")
        if observation is not None:
            task, goal = self.shop.goal_of_instruction(_instruction(observation), None if task is None else str(task))
        else:
            known = self.shop.tasks
            if task is None:
                task = known[seed % len(known) if seed is not None else int(self.np_random.integers(len(known)))]
            goal = self.shop.goal(str(task))
        self.goal, self.page = goal, START
        catalogue = self.shop.catalogue
        info = {"task": str(task), "goal": goal.instruction, "catalogue": catalogue.name}
        if catalogue.synthetic:
            info["synthetic"] = "the products and instructions of this shop are made up"
        return observation if observation is not None else self._render(), info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action, valid or not."""
        verb, argument = parse(action)
        if verb == "search" and argument:
            query = argument[:MAX_QUERY].encode("utf-8", "ignore").decode()
            self.page = results(query)
        elif verb == "click" and argument:
            if argument == BUY and self.page.kind == "item":
                return self._buy()
            self.page = click(self.shop, self.page, argument) or self.page
        return self._render(), 0.0, False, False, {}

    def _buy(self) -> tuple[str, float, bool, bool, dict[str, Any]]:
        found = score(self.goal, product_of(self.shop, self.page), dict(self.page.options))
        self.page = self.page._replace(kind="done", score=found.total)
        return self._render(), found.total, True, False, found._asdict()

    def _render(self) -> str:
        return render(self.shop, self.goal, self.page)

    def snapshot(self) -> State:
        """The state, immutable."""
        return State(self.goal, self.page)

    def restore(self, snapshot: Hashable) -> None:
        """Stand again where `snapshot` was taken, by this instance or another over the same data. Raises `ValueError`
        for another kind."""
        if not isinstance(snapshot, State):
            raise ValueError(f"no snapshot of WebShop: {str(snapshot)[:60]}")
        self.goal, self.page = snapshot

    def state_key(self) -> str:
        """A digest of 16 characters: equal where instruction, page and choices are."""
        state = repr((self.goal.product.asin, self.goal.instruction, tuple(self.page)))
        return blake2b(state.encode("utf-8", "replace"), digest_size=8).hexdigest()

    def valid_actions(self) -> list[str]:
        """Returns what can be clicked here; where there is a search bar, also `SEARCH_HINT` in place of any search."""
        if self.page.kind == "search":
            return [SEARCH_HINT]
        return [f"click[{target}]" for target in clickables(self.shop, self.page)]

    def plan(self) -> Plan:
        """The next action on a shortest way to a purchase of full score, and its length. `Plan(None, 0)` after one."""
        return self._expert_of(self.goal).plan(self.page)

    def words(self, taken: str, answer: str, ahead: Sequence[str]) -> Words:
        """Why the action just taken did not serve, and what is needed now.

        `taken`: the action just executed. `answer`: its observation. `ahead`: the actions that are taken next.
        """
        verb, argument = parse(taken)
        steps = [parse(action) for action in ahead]
        return words(self.shop, self.goal, self.page, verb, argument, steps, self._expert_of(self.goal).choices)

    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """A thought and a plausible wrong action."""
        return mistakes.mistake(self._expert_of(self.goal), self.page, rng)


def parse(action: str) -> tuple[str, str]:
    """Verb and argument (in lower case) of an action; the argument is "" where there is none.

    As WebShop reads it: the first line up to its last `]`, split at the last `[` that leaves something on both
    sides. The verb is compared with case.
    """
    line = action.split("\n", 1)[0]
    close = line.rfind("]")
    start = line.rfind("[", 1, close - 1) if close > 2 else -1
    return (line[:start], line[start + 1 : close].lower()) if start > 0 else (line, "")


def _instruction(observation: str) -> str:
    """The instruction of a first observation. Raises `UnknownTask`."""
    if not (observation.startswith(_FIRST) and observation.endswith(_FIRST_END)):
        shown = observation[:60]
        raise UnknownTask(f"no first observation of WebShop: {shown!r}")
    return observation[len(_FIRST) : -len(_FIRST_END)]
