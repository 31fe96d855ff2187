"""The shortest way to a TextCraft goal.

A way is a set of fetches (one for each base item that runs short, whatever the amount) and of crafts. Its length is
exactly minimal, so that "steps left" can be trusted: the right step lowers it by one, a useless or refused one leaves
it, one that wastes what was needed raises it, and nothing lowers it by more.

Found by A* over what is still *wanted*: beginning with one goal item, the want that is furthest from the base items
is met by what is carried, by one craft (whose ingredients are wanted then), or by a fetch. As recipes hold no cycle,
a want that was met never comes back, so one fetch and what is carried are counted once.
"""

from __future__ import annotations

import functools
import heapq
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from envs.textcraft.recipes import Ingredient, Recipe, book, command

_Wants = tuple[tuple[int, int], ...]
"""What is still needed: (rank, amount), by rank. A tag may occur several times: each want goes to one member."""


class _Fetch(NamedTuple):
    name: str
    amount: int


class _Fill(NamedTuple):
    """A tag's want, given to one of its members."""

    tag: str
    amount: int
    member: str


_Choice = Recipe | _Fetch | _Fill


class _Node(NamedTuple):
    """A set of wants, and the choice that led to it."""

    wants: _Wants
    taken: int  # steps so far
    before: _Node | None
    choice: _Choice | None  # None: the want was met by what is carried


@dataclass(frozen=True, slots=True)
class _Graph:
    """What may serve to make one goal, each item and tag before all that it is made of."""

    names: tuple[str, ...]  # by rank
    rank: Mapping[str, int]
    most: tuple[int | None, ...]  # by rank: the most items that one craft brings; None of a base item or tag
    tags: frozenset[int]  # ranks


def steps(goal: str, inventory: Mapping[str, int]) -> tuple[str, ...]:
    """The actions of a shortest way from `inventory` to having crafted `goal`; none where it is carried already."""
    if inventory.get(goal, 0) > 0:
        return ()
    rank = _graph(goal).rank
    return _steps(goal, tuple(sorted((name, n) for name, n in inventory.items() if n > 0 and name in rank)))


@functools.lru_cache(maxsize=50_000)
def _steps(goal: str, carried: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    choices: list[_Choice] = []
    node: _Node | None = _search(goal, dict(carried))
    while node is not None:
        if node.choice is not None:
            choices.append(node.choice)
        node = node.before
    return tuple(_in_order(choices))


def _in_order(choices: list[_Choice]) -> Iterator[str]:
    """The choices, the last one first, as actions: the deepest craft first, each right after the fetches it needs."""
    fetches = {choice.name: choice.amount for choice in choices if isinstance(choice, _Fetch)}
    fills: dict[tuple[str, int], list[str]] = defaultdict(list)
    for choice in choices:
        if isinstance(choice, _Fill):
            fills[choice.tag, choice.amount].append(choice.member)
    for choice in choices:
        if isinstance(choice, Recipe):
            parts = []
            for part in choice.ingredients:
                name = fills[part.name, part.count].pop() if part.is_tag else part.name
                parts.append(Ingredient(name, part.count))
                if name in fetches:
                    yield f"get {fetches.pop(name)} {name}"
            yield command(Recipe(choice.output, choice.count, tuple(parts)))


def _search(goal: str, carried: Mapping[str, int]) -> _Node:
    graph = _graph(goal)
    have = [carried.get(name, 0) for name in graph.names]
    start = _Node(((graph.rank[goal], 1),), 0, None, None)
    serial = count()  # of equally good nodes, the one found first
    queue = [(0, 0, next(serial), start)]
    best = {start.wants: 0}
    while queue:
        node = heapq.heappop(queue)[-1]
        if not node.wants:
            return node
        if best[node.wants] < node.taken:
            continue
        for after in _successors(node, have, graph):
            known = best.get(after.wants)
            if known is None or after.taken < known:
                best[after.wants] = after.taken
                left = _bound(after.wants, have, graph)
                heapq.heappush(queue, (after.taken + left, left, next(serial), after))
    raise AssertionError(f"no way to {goal}")  # what no recipe makes can always be fetched


def _successors(node: _Node, have: list[int], graph: _Graph) -> Iterator[_Node]:
    """The ways to meet the first want."""
    (rank, amount), *rest = node.wants
    name, most = graph.names[rank], graph.most[rank]
    if rank in graph.tags:
        for member in book().members[name]:
            wants = _with(rest, (Ingredient(member, amount),), graph)
            yield _Node(wants, node.taken, node, _Fill(name, amount, member))
    elif amount <= have[rank]:
        yield _Node(tuple(rest), node.taken, node, None)
    elif most is None:
        yield _Node(tuple(rest), node.taken + 1, node, _Fetch(name, amount - have[rank]))
    else:
        for recipe in book().recipes[name]:
            left = [(rank, amount - recipe.count)] if amount > recipe.count else []
            yield _Node(_with(left + rest, recipe.ingredients, graph), node.taken + 1, node, recipe)


def _with(wants: list[tuple[int, int]], parts: tuple[Ingredient, ...], graph: _Graph) -> _Wants:
    """The wants and those of `parts`. Wants of one item add up."""
    merged = list(wants)
    for part in parts:
        rank, amount = graph.rank[part.name], part.count
        if rank not in graph.tags:
            same = next((want for want in merged if want[0] == rank), None)
            if same is not None:
                merged.remove(same)
                amount += same[1]
        insort(merged, (rank, amount))
    return tuple(merged)


def _bound(wants: _Wants, have: list[int], graph: _Graph) -> int:
    """A number of steps that the wants take at least: each item that runs short takes its own."""
    least = 0
    for rank, amount in wants:
        short = amount - have[rank]
        if short > 0 and rank not in graph.tags:
            least += -(-short // (graph.most[rank] or short))
    return least


@functools.cache
def _graph(goal: str) -> _Graph:
    names: list[str] = []

    def visit(name: str) -> None:
        if name not in names:
            for below in (*book().members.get(name, ()), *_ingredients(name)):
                visit(below)
            names.append(name)

    visit(goal)
    names.reverse()
    return _Graph(
        tuple(names),
        {name: rank for rank, name in enumerate(names)},
        tuple(max((recipe.count for recipe in book().recipes.get(name, ())), default=None) for name in names),
        frozenset(rank for rank, name in enumerate(names) if name in book().members),
    )


def _ingredients(name: str) -> list[str]:
    return [part.name for recipe in book().recipes.get(name, ()) for part in recipe.ingredients]
