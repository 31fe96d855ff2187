"""What concurrency gains and what a model's client costs, against a loopback server.

python -m tests.benchmarks.bench_llm
"""

from __future__ import annotations

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


def main() -> None:
    """Print the figures."""
    shapes: list[dict[str, Any]] = [
        {"samples": 16, "iterations": 2, "max_depth": 8},
        {"samples": 4, "parallel_nodes": 4, "iterations": 16, "max_depth": 10},
    ]
    with tempfile.TemporaryDirectory() as folder, LLMServer(delay=DELAY) as server:
        timed(server, Path(folder) / "warm.trace.jsonl", 1, iterations=1)  # loads the client's library
        for number, shape in enumerate(shapes):
            one, many = Path(folder) / f"{number}-1.trace.jsonl", Path(folder) / f"{number}-16.trace.jsonl"
            depth = shape.pop("max_depth")
            settings = {**shape, "max_tokens": 500}
            slow = timed(server, one, depth, concurrency=1, **settings)
            fast = timed(server, many, depth, concurrency=16, **settings)
            differences = len(compare(read_events(one), read_events(many)))
            print(f"{shape}: {slow:.1f} s at --concurrency 1, {fast:.1f} s at 16: {slow / fast:.1f}x (target ≥ 10)")
            print(f"  agentr diff: {differences} differences")
    with tempfile.TemporaryDirectory() as folder, LLMServer() as server:
        path = Path(folder) / "t.trace.jsonl"
        spent = timed(server, path, 10, concurrency=16, iterations=6)
        plain = Path(folder) / "u.trace.jsonl"
        job = new_job("textcraft", "2", SearchSettings(iterations=6), plain)
        began = time.perf_counter()
        job.run_blocking()
        scripted = time.perf_counter() - began
        print(f"no delay: {spent:.2f} s over HTTP for {len(server.calls)} calls, {scripted:.2f} s scripted")


def timed(server: LLMServer, path: Path, depth: int, **changes: Any) -> float:
    """Seconds that a search over the server takes, lines of at most that depth."""
    settings = SearchSettings(actor="openai", model="scripted", base_url=server.url, max_depth=depth, **changes)
    job = new_job("textcraft", "2", settings, path)
    began = time.perf_counter()
    job.run_blocking()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
