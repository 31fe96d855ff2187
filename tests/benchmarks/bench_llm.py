"""What concurrency gains and what a model's client costs, against a loopback server.

python -m tests.benchmarks.bench_llm
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.tree.events import SearchSettings

DELAY = 0.1


SHAPES: list[dict[str, Any]] = [
    {"samples": 16, "iterations": 2, "max_depth": 8},
    {"samples": 4, "parallel_nodes": 4, "iterations": 16, "max_depth": 10},
]


@contextmanager
def serving(*delays: float) -> Iterator[str]:
    """The URL of a server in a process of its own; each call takes the delay, or something between two."""
    command = [sys.executable, "-m", "tests.servers.llm_server", *map(str, delays)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder, serving(DELAY) as even, serving(0.0, DELAY) as uneven:
        timed(even, Path(folder) / "warm.trace.jsonl", iterations=1)  # loads the client's library
        for number, shape in enumerate(SHAPES):
            one, many = Path(folder) / f"{number}-1.trace.jsonl", Path(folder) / f"{number}-16.trace.jsonl"
            slow, _ = timed(even, one, concurrency=1, **shape)
            fast, cpu = timed(even, many, concurrency=16, **shape)
            print(f"{shape}: {slow:.1f} s at --concurrency 1, {fast:.1f} s at 16: {slow / fast:.1f}x (target ≥ 10)")
            print(f"  CPU of the client at 16: {cpu:.1f} s")
            print(f"  agentr diff: {differences(one, many)} differences", end="")
            for run in range(3):
                other = Path(folder) / f"{number}-random-{run}.trace.jsonl"
                timed(uneven, other, concurrency=16, **shape)
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


def timed(url: str, path: Path, **changes: Any) -> tuple[float, float]:
    """Seconds that a search over the server takes, and of these on the CPU."""
    job = new_job("textcraft", "2", SearchSettings(actor="openai", model="m", base_url=url, **changes), path)
    began, cpu = time.perf_counter(), time.process_time()
    job.run_blocking()
    return time.perf_counter() - began, time.process_time() - cpu


if __name__ == "__main__":
    main()
