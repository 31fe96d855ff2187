"""What concurrency gains and what a model's client costs, against a loopback server.

python -m tests.benchmarks.bench_llm
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.events import SearchSettings
from engine.job import new_job
from engine.trace import read_events
from engine.tracediff import compare
from tests.llm_server import LLMServer

DELAY = 0.1


SHAPES: list[dict[str, Any]] = [
    {"samples": 16, "iterations": 2, "max_depth": 8},
    {"samples": 4, "parallel_nodes": 4, "iterations": 16, "max_depth": 10},
]


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder, LLMServer(delay=DELAY) as server:
        timed(server, Path(folder) / "warm.trace.jsonl", iterations=1)  # loads the client's library
        for number, shape in enumerate(SHAPES):
            server.delay = DELAY
            one, many = Path(folder) / f"{number}-1.trace.jsonl", Path(folder) / f"{number}-16.trace.jsonl"
            slow = timed(server, one, concurrency=1, **shape)
            fast = timed(server, many, concurrency=16, **shape)
            print(f"{shape}: {slow:.1f} s at --concurrency 1, {fast:.1f} s at 16: {slow / fast:.1f}x (target ≥ 10)")
            print(f"  agentr diff: {differences(one, many)} differences", end="")
            for seed in range(3):
                rng = random.Random(seed)
                server.delay = lambda call, rng=rng: rng.uniform(0, DELAY / 2)  # type: ignore[misc]
                other = Path(folder) / f"{number}-random-{seed}.trace.jsonl"
                timed(server, other, concurrency=16, **shape)
                print(f", {differences(one, other)}", end="")
            print(" (the last three with random delays)")
    print(f"the search's own share of a call: {search_share() * 1e3:.2f} ms of CPU")


def differences(one: Path, other: Path) -> int:
    """How many there are between two traces."""
    return len(compare(read_events(one), read_events(other)))


def search_share() -> float:
    """CPU seconds a draw that a search takes beside its actor: one that answers at once, with a scripted plan."""
    with tempfile.TemporaryDirectory() as folder:
        job = new_job("textcraft", "2", SearchSettings(iterations=6), Path(folder) / "t.trace.jsonl")
        began = time.process_time()
        job.run_blocking()
        return (time.process_time() - began) / job.tree.calls


def timed(server: LLMServer, path: Path, **changes: Any) -> float:
    """Seconds that a search over the server takes."""
    settings = SearchSettings(actor="openai", model="scripted", base_url=server.url, **changes)
    job = new_job("textcraft", "2", settings, path)
    began = time.perf_counter()
    job.run_blocking()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
