"""ScienceWorld: what a node costs by its depth, against the package's own step over the whole path; what is left over.

python -m tests.benchmarks.bench_scienceworld [--kills N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from engine.actors.base import Answer, Request
from engine.environment.opened import open_environment
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import AnyEvent, Expanded, SearchSettings
from engine.tree.tree import SearchTree

TASK, VARIATION = "find-plant", 3
DEPTHS = (0, 10, 20)
DRAWS = 4


class Says:
    """An actor that costs nothing: four different valid actions, none of which ends the game."""

    ACTIONS = ("look around", "inventory", "wait1", "look at orange", "look in fountain", "examine axe", "task")

    async def sample(self, request: Request) -> Answer:
        """One of them, others at every other node."""
        return Answer(self.ACTIONS[(request.parent + request.draw) % len(self.ACTIONS)])


class Cost(NamedTuple):
    """What a node cost."""

    steps: float
    resets: float
    seconds: float


def costs_by_depth(snapshots: bool, mapped: bool = False, searches: int = 3) -> dict[int, Cost]:
    """Median costs of a node, as a search with the trace off has them."""
    from envs.scienceworld import env as scienceworld

    kept = scienceworld.ScienceWorld
    found: dict[int, list[Cost]] = defaultdict(list)
    tree = SearchTree()
    began = 0.0

    def sink(event: AnyEvent) -> None:
        nonlocal began
        if isinstance(event, Expanded):
            nodes, now = len(event.children), time.perf_counter()
            depth = tree.nodes[event.parent].depth
            found[depth].append(Cost(event.steps / nodes, event.resets / nodes, (now - began) / nodes))
        began = time.perf_counter()

    try:
        if not snapshots:
            scienceworld.ScienceWorld = scienceworld.ScienceWorldBase  # type: ignore[misc, assignment]
        for seed in range(searches):
            opened = open_environment("scienceworld", f"{TASK}:{VARIATION}")
            settings = SearchSettings(iterations=2, max_depth=max(DEPTHS) + 1, samples=DRAWS, seed=seed)
            search = Search.begin(started_event(opened, settings), opened, Says(), sink)
            tree = search.tree
            if mapped:
                stand = search._stand
                tried = stand.try_action

                def nearest_first(parent: int, action: str, stand: Any = stand, tried: Any = tried) -> Any:
                    return tried(parent, stand.executable(parent, action))

                stand.try_action = nearest_first  # type: ignore[method-assign]
            asyncio.run(search.run())
    finally:
        scienceworld.ScienceWorld = kept  # type: ignore[misc]
    return {depth: Cost(*(statistics.median(part) for part in zip(*found[depth], strict=True))) for depth in DEPTHS}


def package_seconds(depth: int) -> float:
    """Seconds a node, where every child is come to by reset and the package's own step over the whole path."""
    env = _package()
    env.load(TASK, VARIATION, "")
    spent = []
    for draw in range(3):
        began = time.perf_counter()
        env.reset()
        for step in range(depth + 1):
            env.step(Says.ACTIONS[(step + draw) % len(Says.ACTIONS)])
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


_packages: list[Any] = []


def _package() -> Any:
    from scienceworld import ScienceWorldEnv

    if not _packages:
        env = ScienceWorldEnv("", envStepLimit=10**6)
        env.load(TASK, VARIATION, "")
        env.reset()
        for _ in range(100):  # until Java has compiled it
            env.step("look around")
        _packages.append(env)
    return _packages[0]


def children_of(parent: int) -> set[int]:
    """Processes that a process started, from /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(stat.parent.name))
        except OSError:
            continue
    return found


def kill_searches(number: int) -> tuple[int, int]:
    """Kill -9 so many searches while they run. How many of their simulators and temporary files are left after 5 s."""
    simulators: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        for place in range(number):
            out = Path(folder) / f"{place}.trace.jsonl"
            command = [sys.executable, "-m", "agentr_tui", "search", "--env", "scienceworld", "--iterations", "1000"]
            command += ["--task", f"{TASK}:{VARIATION}", "--out", str(out), "--workspace", f"{folder}/ws"]
            search = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.DEVNULL)
            while not (out.is_file() and b'"expanded"' in out.read_bytes()):
                time.sleep(0.02)
            mine = children_of(search.pid)
            assert mine
            simulators |= mine
            time.sleep(place * 0.05)  # elsewhere in the search each time
            os.kill(search.pid, signal.SIGKILL)
            search.wait()
        time.sleep(5)
        left = {pid for pid in simulators if Path(f"/proc/{pid}").exists()}
        return len(left), len(list(temporary.iterdir()))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=0, help="how many searches to kill")
    kills = parser.parse_args().kills
    if kills:
        left, files = kill_searches(kills)
        print(f"after {kills} searches ended by kill -9: {left} simulators, {files} temporary files left (target 0, 0)")
        return
    costs_by_depth(True, searches=2)  # until Java has compiled it
    ours, mapped, pool = costs_by_depth(True), costs_by_depth(True, True), costs_by_depth(False, searches=1)
    theirs = {depth: package_seconds(depth) for depth in DEPTHS}
    print(f"scienceworld, {TASK}:{VARIATION}: a node, {DRAWS} different actions from each (medians)")
    print("  depth   steps  resets     ms   package: ms  ratio   nearest valid action: ms  ratio")
    for depth in DEPTHS:
        cost, seconds = ours[depth], theirs[depth]
        print(
            f"  {depth:>5} {cost.steps:>7.2f} {cost.resets:>7.2f} {cost.seconds * 1e3:>6.1f}  {seconds * 1e3:>11.1f}"
            f" {seconds / cost.seconds:>5.0f}x   {mapped[depth].seconds * 1e3:>24.1f}"
            f" {seconds / mapped[depth].seconds:>5.0f}x"
        )
    print("  targets at depth 10 and 20: ≤ 1.5 steps, ≤ 0.2 resets, ≥ 10x")
    print("  without snapshots, four simulators")
    for depth, cost in list(pool.items())[1:]:  # the simulators start at the first
        print(
            f"  {depth:>5} {cost.steps:>7.2f} {cost.resets:>7.2f} {cost.seconds * 1e3:>6.1f}"
            f"  {'':>11} {theirs[depth] / cost.seconds:>5.0f}x"
        )


if __name__ == "__main__":
    main()
