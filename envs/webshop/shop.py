"""A shop: a catalogue, its goals, its search engine. Opened once a process, shared by all environments over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path

from envs.base import UnknownTask
from envs.webshop.catalogue import Catalogue, CatalogueError, Places, Product, bundled, find, read
from envs.webshop.goals import Goal, human_goals, split_limit, with_limit, written_goals
from envs.webshop.index import open_index

HUMAN = "human:"
"""Prefix of the task ids of people's instructions; those of written ones are plain numbers."""

_CACHED_QUERIES = 4096

Search = Callable[[str], tuple[Product, ...]]
"""The products that a query finds, best first."""


class Shop:
    """What all environments over one catalogue share. Nothing in it changes."""

    def __init__(self, catalogue: Catalogue, search: Search) -> None:
        self.catalogue = catalogue
        self.search: Search = lru_cache(maxsize=_CACHED_QUERIES)(search)
        self.goals = written_goals(catalogue)
        self.human_goals = human_goals(catalogue)
        if not self.goals and not self.human_goals:
            raise CatalogueError(f"{catalogue.name}: no product has an instruction, so there is nothing to buy")

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The ids of all tasks: "0", "1", …, then "human:0", …"""
        return (
            *(str(number) for number in range(len(self.goals))),
            *(f"{HUMAN}{number}" for number in range(len(self.human_goals))),
        )

    def goal(self, task: str) -> Goal:
        """The goal of a task. Raises `UnknownTask` with the tasks there are."""
        goals, number = (self.human_goals, task.removeprefix(HUMAN)) if task.startswith(HUMAN) else (self.goals, task)
        if number.isascii() and number.isdecimal() and len(number) < 12 and str(int(number)) == number:
            place = int(number)
            if place < len(goals):
                return goals[place]
        known = []
        if self.goals:
            known.append(f"0 to {len(self.goals) - 1}")
        if self.human_goals:
            known.append(f"{HUMAN}0 to {HUMAN}{len(self.human_goals) - 1}")
        shown = task if len(task) <= 40 else task[:40] + "…"
        raise UnknownTask(f"webshop has no task {shown!r}: {', '.join(known)} ({self.catalogue.name})")

    def goal_of_instruction(self, instruction: str, task: str | None = None) -> tuple[str, Goal]:
        """The task id and goal that an instruction belongs to, with the limit of price that it names. Of several, the
        one of `task` if it is among them.

        Raises `UnknownTask` where no product of this catalogue has it.
        """
        wish, upper = split_limit(instruction)
        found = self._tasks_by_wish.get(wish)
        if not found:
            shown = wish if len(wish) <= 60 else wish[:60] + "…"
            raise UnknownTask(
                f"no task of webshop has the instruction {shown!r} ({self.catalogue.name}):"
                " open webshop:DIR over the data that it was made with"
            )
        chosen = task if task in found else found[0]
        return chosen, with_limit(self.goal(chosen), upper)

    @cached_property
    def _tasks_by_wish(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for task in self.tasks:
            found.setdefault(split_limit(self.goal(task).instruction)[0], []).append(task)
        return found


def open_shop(argument: str = "") -> Shop:
    """The bundled shop, or the one over WebShop's data in a folder (or of one products file).

    Raises `CatalogueError`.
    """
    if not argument:
        return _open_shop(None, ())
    places = find(Path(os.path.expanduser(argument)).absolute())
    return _open_shop(places, tuple(place.stat().st_mtime_ns for place in places if place is not None))


@lru_cache(maxsize=4)
def _open_shop(places: Places | None, changed: tuple[int, ...]) -> Shop:
    """Of the files as they were last changed then."""
    catalogue = bundled() if places is None else read(places)
    return Shop(catalogue, open_index(catalogue.products).search)
