"""How fast the search is: children stepped and written per second by depth; overhead per node against treequest.

python -m tests.benchmarks.bench_search
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium

from engine.actors.base import Answer, Request
from engine.environment.opened import Opened, open_environment
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.trace_file import TraceWriter
from engine.tree.events import AnyEvent, Expanded, Iteration, SearchSettings, Selected
from engine.tree.tree import SearchTree

DEPTHS = (0, 10, 20, 40)
TASK = "2"


class Fetches:
    """An actor that costs nothing: fetches another amount with every draw, so that no draw repeats another."""

    waits = False

    async def sample(self, request: Request) -> Answer:
        """A `get` that TextCraft grants."""
        return Answer(f"Thought: I still need this.\nAction: get {request.draw + 1} red sand")


class Clock:
    """Writes events and takes the time from one selection to the next, by the depth of the node."""

    def __init__(self, writer: TraceWriter, spent: dict[int, float], children: dict[int, int]) -> None:
        self.writer, self.spent, self.children = writer, spent, children
        self.tree = SearchTree()
        self.depth = 0
        self.began = time.perf_counter()

    def __call__(self, event: AnyEvent) -> None:
        """Write the event."""
        self.writer.write(event)
        if isinstance(event, Selected | Iteration):
            now = time.perf_counter()
            self.spent[self.depth] += now - self.began
            self.began = now
        if isinstance(event, Selected):
            self.depth = self.tree.nodes[event.path[-1]].depth
        elif isinstance(event, Expanded):
            self.children[self.depth] += len(event.children)


def rates_by_depth(searches: int = 40) -> dict[int, float]:
    """Children per second at each depth, trace on: from one selection to what follows the expansion."""
    spent: dict[int, float] = defaultdict(float)
    children: dict[int, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(searches):
            opened = open_environment("textcraft", TASK)
            settings = SearchSettings(iterations=3, max_depth=60, samples=4, seed=number, concurrency=4)
            with TraceWriter(Path(folder) / f"{number}.trace.jsonl") as writer:
                clock = Clock(writer, spent, children)
                search = Search.begin(started_event(opened, settings), opened, Fetches(), clock)
                clock.tree = search.tree
                clock.began = time.perf_counter()
                asyncio.run(search.run())
    return {depth: children[depth] / spent[depth] for depth in DEPTHS}


class Walk(gymnasium.Env[str, str]):
    """An environment that costs nothing: any action is granted, an episode ends after `LENGTH` steps."""

    LENGTH = 9

    def __init__(self) -> None:
        self._state: tuple[int, float] = (0, 0.0)
        self._rng = random.Random(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Stand at the start."""
        self._state = (0, 0.0)
        return "go", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One step."""
        steps = self._state[0] + 1
        done = steps >= self.LENGTH
        self._state = (steps, 0.0)
        return "ok", self._rng.random() if done else 0.0, done, False, {}

    def snapshot(self) -> tuple[int, float]:
        """The state."""
        return self._state

    def restore(self, snapshot: tuple[int, float]) -> None:
        """Take the state up."""
        self._state = snapshot


class Names:
    """An actor that costs nothing."""

    waits = False

    async def sample(self, request: Request) -> Answer:
        """One of four actions."""
        return Answer("abcd"[request.draw])


class Enough(Exception):
    """As many nodes as wanted."""


def our_seconds(nodes: int, trace: bool) -> float:
    """Seconds to grow a tree of that many nodes, branching 4."""
    env = Walk()
    opened = Opened(env, "textcraft", "0", "go", {})
    settings = SearchSettings(iterations=10**9, max_depth=100, samples=4, c=1.4)
    with tempfile.TemporaryDirectory() as folder:
        writer = TraceWriter(Path(folder) / "walk.trace.jsonl")
        tree: SearchTree | None = None

        def sink(event: AnyEvent) -> None:
            if trace:
                writer.write(event)
            if tree is not None and len(tree.nodes) >= nodes:
                raise Enough

        search = Search.begin(started_event(opened, settings), opened, Names(), sink)
        tree = search.tree
        began = time.perf_counter()
        with suppress(Enough):
            asyncio.run(search.run())
        spent = time.perf_counter() - began
        writer.close()
        return spent / len(tree.nodes)


def treequest_seconds(nodes: int) -> float:
    """Seconds a node of treequest's standard MCTS, branching 4, without the deep copy of its state."""
    from treequest.algos.standard_mcts import StandardMCTS

    rng = random.Random(0)
    algorithm: Any = StandardMCTS(samples_per_action=1)
    state = algorithm.init_tree()

    def generate(parent: object) -> tuple[str, float]:
        return "ok", rng.random()

    actions = dict.fromkeys("abcd", generate)
    began = time.perf_counter()
    for _ in range(nodes):
        state = algorithm.step(state, actions, inplace=True)
    return (time.perf_counter() - began) / nodes


def main() -> None:
    """Print the figures."""
    rates = [rates_by_depth() for _ in range(3)]
    print("children stepped and written per second, TextCraft, trace on (median of 3)")
    medians = {depth: statistics.median(rate[depth] for rate in rates) for depth in DEPTHS}
    for depth, rate in medians.items():
        print(f"  depth {depth:>2}: {rate:>8,.0f}/s")
    print(f"  depth 40 costs {medians[0] / medians[40]:.2f}x of depth 0 (target ≤ 1.2)")
    print("search overhead per added node, branching 4")
    ours = {nodes: min(our_seconds(nodes, True) for _ in range(3)) for nodes in (1_000, 10_000, 100_000)}
    theirs = {nodes: treequest_seconds(nodes) for nodes in (1_000, 10_000)}
    for nodes, seconds in ours.items():
        peer = (
            f"  treequest {theirs[nodes] * 1e6:>9.1f} µs  ratio {theirs[nodes] / seconds:.1f}x"
            if nodes in theirs
            else ""
        )
        print(f"  {nodes:>7,} nodes: {seconds * 1e6:>6.1f} µs a node, trace on{peer}")
    print(f"  without the trace at 10,000: {our_seconds(10_000, False) * 1e6:.1f} µs a node")
    print(f"  own growth 1k → 100k: {ours[100_000] / ours[1_000]:.2f}x (target ≤ 1.5)")


if __name__ == "__main__":
    main()
