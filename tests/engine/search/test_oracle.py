"""The search against a naive oracle: the original's loop, written down from its description, over random returns."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Hashable
from typing import Any

import gymnasium
import pytest

from engine.actors.base import Answer, Request
from engine.environment.opened import Opened
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import AnyEvent, SearchSettings, Selected
from engine.tree.tree import SearchTree

Path = tuple[str, ...]


class Dice(gymnasium.Env[str, str]):
    """Each way of actions has a random end and a random return in [-1, 1], the same whenever it is gone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.path: Path = ()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self.path = ()
        return "go", {}

    def outcome(self, path: Path) -> tuple[float, bool]:
        """Score after the last step, and whether the episode is over."""
        rng = random.Random(f"{self.seed}/{path}")
        score = round(rng.uniform(-1, 1), 3)
        ends = rng.random() < 0.25
        return (score, True) if ends else (max(score, 0.0) * (rng.random() < 0.5), False)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.path = (*self.path, action)
        score, done = self.outcome(self.path)
        return f"at {'/'.join(self.path)}", score, done, False, {}

    def snapshot(self) -> Hashable:
        return self.path

    def restore(self, snapshot: Hashable) -> None:
        assert isinstance(snapshot, tuple)
        self.path = snapshot


def said(seed: int, index: int) -> str:
    """The answer to the draw of that number; some repeat a sibling."""
    return random.Random(f"says/{seed}/{index}").choice("abcd")


class Says:
    """Answers by the number of the draw, as the original's model is asked one draw after the other."""

    waits = False

    def __init__(self, seed: int) -> None:
        self.seed = seed

    async def sample(self, request: Request) -> Answer:
        return Answer(f"Action: {said(self.seed, request.index)}")


class Node:
    """A node of the oracle: what the original's tree file holds of it."""

    def __init__(self, parent: Node | None, action: str, path: Path) -> None:
        self.parent, self.action, self.path = parent, action, path
        self.depth: int = parent.depth + 1 if parent else 0
        self.children: list[Node] = []
        self.visits, self.value, self.score = 0, 0.0, 0.0
        self.terminal = False


def oracle(env: Dice, settings: SearchSettings) -> Node:
    """The original's search on one page: an iteration walks down from the root and expands all the way.

    A terminal child is backed up at once; whatever has only terminal children is terminal from then on.
    """
    root, rng, asked = Node(None, "ROOT", ()), random.Random(settings.seed), 0

    def expand(node: Node) -> None:
        nonlocal asked
        for _ in range(settings.samples):
            action, asked = said(env.seed, asked), asked + 1
            if any(action == sibling.action for sibling in node.children):
                continue
            child = Node(node, action, (*node.path, action))
            score, done = env.outcome(child.path)
            child.terminal = done or score < 0 or child.depth > settings.max_depth
            child.score = max(score, 0.0)
            node.children.append(child)
        for child in node.children:
            at: Node | None = child if child.terminal else None
            while at is not None:
                at.visits += 1
                at.value += child.score
                at.terminal = all(below.terminal for below in at.children)
                at = at.parent

    def total(child: Node, parent: Node) -> float:
        if not child.visits:
            return math.inf
        return child.value / child.visits + settings.c * math.sqrt(math.log(parent.visits) / child.visits)

    for _ in range(settings.iterations):
        node: Node | None = root
        while node is not None and not node.terminal:
            if not node.children:
                expand(node)
            open_ones = [child for child in node.children if not child.terminal]
            greatest = max((total(child, node) for child in open_ones), default=0.0)
            best = [child for child in open_ones if total(child, node) == greatest]
            node = rng.choice(best) if best else None
    return root


def rows(root: Node) -> list[tuple[Path, int, float, float, bool]]:
    """The oracle's nodes, depth first in order of children: way, N, W, score, terminal."""
    found, pending = [], [root]
    while pending:
        node = pending.pop()
        found.append((node.path, node.visits, round(node.value, 9), node.score, node.terminal))
        pending.extend(reversed(node.children))
    return found


@pytest.mark.parametrize("seed", range(300))
def test_the_search_grows_the_tree_of_the_oracle_node_for_node(seed: int) -> None:
    shape = random.Random(seed)
    settings = SearchSettings(
        iterations=shape.choice((1, 3, 8, 40)),
        samples=shape.choice((1, 2, 4)),
        max_depth=shape.choice((2, 4, 9)),
        c=shape.choice((0.0, 0.25, 1.4)),
        seed=shape.randrange(1000),
    )
    env = Dice(seed)
    opened = Opened(env, "textcraft", "0", "go", {})
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, settings), opened, Says(seed), events.append)
    asyncio.run(search.run())
    nodes, ours, pending = search.tree.nodes, list[tuple[Path, int, float, float, bool]](), [0]
    while pending:
        node = nodes[pending.pop()]
        way = tuple(nodes[id].action for id in search.tree.ancestors(node.id)[1:])
        ours.append((way, node.visits, round(node.value_sum, 9), node.reward, node.exhausted))
        pending.extend(reversed(node.children))
    assert ours == rows(oracle(Dice(seed), settings))


@pytest.mark.parametrize("seed", range(30))
def test_best_first_expands_the_greatest_score(seed: int) -> None:
    """Among all nodes that are open at that moment."""
    env, events = Dice(seed), list[AnyEvent]()
    settings = SearchSettings(algorithm="best-first", iterations=12, max_depth=6, seed=seed)
    opened = Opened(env, "textcraft", "0", "go", {})
    search = Search.begin(started_event(opened, settings), opened, Says(seed), events.append)
    asyncio.run(search.run())
    tree, checked = SearchTree(), 0
    for event in events:
        if isinstance(event, Selected):
            scores = {node.id: node.reward for node in tree.nodes if node.terminal is None and not node.expanded}
            assert scores[event.path[-1]] == max(scores.values())
            checked += len(set(scores.values())) > 1
        tree.apply(event)
    assert checked or len(tree) < 12
