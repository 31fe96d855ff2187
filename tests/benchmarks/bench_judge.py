"""What judging side by side gains: `revise` over many trees, one call at a time and 16, at 100 ms a call.

python -m tests.benchmarks.bench_judge [TREES]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentr_tui.cli.revising import revise_paths
from engine.models.reply_cache import shared_cache
from engine.samples.sample import Sample
from engine.samples.settings import ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.verifiers.base import JudgeSettings, JudgeTotals
from engine.workspace.workspace import Workspace
from tests.servers.llm_server import Body, LLMServer

DELAY = 0.1  # seconds a call
TREES = 60
PAIRS = 10  # a tree
VOTES = 3  # a step
AT_ONCE = 16
TARGET = 10.0


def judges(body: Body) -> str:
    """A judge that finds refusals."""
    observation = body["messages"][-1]["content"].rsplit("Observation:", 1)[-1]
    return f"It was looked at.\nJudgement: {'Bad' if 'Could not' in observation else 'Good'}"


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a judge in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_judge", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def timed(url: str, place: Path, traces: list[Path], concurrency: int) -> tuple[float, list[Sample], JudgeTotals]:
    """Seconds that a run takes in a fresh workspace, its samples, what the judge came to."""
    shared_cache.cache_clear()
    workspace = Workspace.open(place, create=True)
    judge = JudgeSettings(model="judge", base_url=url, concurrency=concurrency, votes=VOTES)
    settings = ReviseSettings(verifier="openai", judge=judge, max_pairs=PAIRS)
    began, cpu = time.perf_counter(), time.process_time()
    run, figures = revise_paths(workspace, traces, settings, quiet=True)
    seconds = time.perf_counter() - began
    print(f"  --concurrency {concurrency}: {seconds:.1f} s, {time.process_time() - cpu:.1f} s on the CPU")
    assert figures.judging is not None
    return seconds, workspace.load_run(run).samples, figures.judging


def main() -> int:
    """Print the figures; 1 where the target is missed."""
    if sys.argv[1:] == ["serve"]:
        with LLMServer(answer=judges, delay=DELAY) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    count = int(sys.argv[1]) if sys.argv[1:] else TREES
    with tempfile.TemporaryDirectory() as folder, serving() as url:
        traces = []
        for task in range(count):
            traces.append(Path(folder) / f"{task}.trace.jsonl")
            settings = SearchSettings(iterations=8, error_rate=0.5)
            new_job("textcraft", str(task), settings, traces[-1]).run_blocking()
        timed(url, Path(folder) / "warm", traces[:1], 1)  # loads the client's library
        slow, one, paid = timed(url, Path(folder) / "one", traces, 1)
        fast, many, also = timed(url, Path(folder) / "many", traces, AT_ONCE)
        print(f"{count} trees, {len(one)} samples, {paid.calls} calls of {DELAY * 1000:.0f} ms")
        print(f"  {slow:.1f} s one at a time, {fast:.1f} s at {AT_ONCE}: {slow / fast:.1f}x (target ≥ {TARGET:g})")
        same = [(each.id, each.mark, each.judgements, each.verdict) for each in one] == [
            (each.id, each.mark, each.judgements, each.verdict) for each in many
        ]
        print(f"  the same run: {'yes' if same and paid == also else 'no'}")
        return int(not same or paid != also or slow / fast < TARGET)


if __name__ == "__main__":
    sys.exit(main())
