"""What reviewing costs: the first page of a million pairs, the next sample of 10,000, decisions of two processes.

    python -m tests.benchmarks.bench_review [--quick]

Exit status 1 where a target is missed: the first page of pairs within 50 ms in memory that does not grow with the
pairs, the next sample on screen within 100 ms of the key (median; the decision about the last one is on disk by then),
2,000 rows of two processes that write 1,000 decisions each. The screen is the real app's, drawn in memory.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.revising import revise_paths
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.state.session import Session
from engine.pairs.pairs import count_pairs
from engine.pairs.ranking import RANKS, Rank, ranked
from engine.review.decisions import Decisions
from engine.samples.settings import ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.tree.thresholds import Thresholds
from engine.workspace.workspace import Workspace
from tests.engine.pairs.test_choice import grown

PAGE, MOST_PAGE, MOST_BYTES = 50, 0.050, 20_000_000
MOST_NEXT = 0.100
KEYS = 60  # samples that are gone through


def pages(missed: list[str], quick: bool) -> None:
    """The first page of pairs, by each ranking."""
    tree = grown(2_000 if quick else 6_000, 1, [0, 1])
    count = count_pairs(tree, Thresholds())
    print(f"first {PAGE} of {count:,} pairs")
    for rank in RANKS:
        taken = []
        for _ in range(5):
            began = time.process_time()
            next(islice(ranked(tree, Thresholds(), rank), PAGE - 1, None))
            taken.append(time.process_time() - began)
        tracemalloc.start()
        for _ in islice(ranked(tree, Thresholds(), rank), 20_000):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        seconds = statistics.median(taken)
        print(f"  {rank:8} {seconds * 1e3:7.1f} ms   20,000 of them in {peak / 1e6:.1f} MB")
        _check(missed, f"first page by {rank}", seconds <= MOST_PAGE and peak <= MOST_BYTES)


def made(folder: Path, samples: int) -> tuple[Workspace, Path]:
    """A run of so many samples over real searches, and one of its traces."""
    workspace = Workspace.open(folder, create=True)
    paths: list[Path] = []
    pairs = task = 0
    rank: Rank = "fork"
    while pairs < samples:
        path = workspace.traces / f"textcraft-{task}.trace.jsonl"
        job = new_job("textcraft", str(task), SearchSettings(iterations=12, error_rate=0.45, seed=task), path)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(job.run_blocking).result()
        pairs += min(2_000, count_pairs(job.tree, Thresholds()))
        paths.append(path)
        task += 1
    settings = ReviseSettings(max_pairs=2_000, rank=rank)
    revise_paths(workspace, paths, settings, quiet=True)
    return workspace, paths[0]


async def review(workspace: Workspace, path: Path, missed: list[str]) -> None:
    """Accept sample after sample in the app, in the order of the run and jumping between traces."""
    session = Session(workspace)
    session.open(path)
    app = AgentrApp(session, "revision")
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await _reviewing(app, pilot)
        assert screen.front.review is not None
        print(f"next of {len(screen.front.review.samples):,} samples, key to screen")
        for order in ("run", "stratified"):
            screen.front.review.set_order(order)
            screen.front.show_later()
            await pilot.pause(1)
            taken = []
            for _ in range(KEYS):
                front = screen.front.review.current
                began = time.perf_counter()
                screen.action_accept()
                while screen.front.shown is None or screen.front.shown.sample.id == getattr(front, "id", ""):
                    await pilot.pause(0.001)
                taken.append(time.perf_counter() - began)
                await pilot.pause(0.15)  # a reader takes longer; the one after it is made ready meanwhile
            p95 = statistics.quantiles(taken, n=20)[-1]
            median = statistics.median(taken)
            print(
                f"  {order:12} median {median * 1e3:6.1f} ms   p95 {p95 * 1e3:6.1f} ms   most {max(taken) * 1e3:.1f} ms"
            )
            _check(missed, f"next sample ({order})", median <= MOST_NEXT)


async def _reviewing(app: AgentrApp, pilot: Pilot[Any]) -> RevisionScreen:
    while not (isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None):
        await pilot.pause(0.01)
    return app.screen


WRITE = """
import sys
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from engine.review.decisions import Decisions
decisions = Decisions(Path(sys.argv[1]), sys.argv[2])
for number in range(1_000):
    decisions.decide(f"{sys.argv[2]}-{number}", "accepted")
"""


def writers(folder: Path, missed: list[str]) -> None:
    """Two processes that decide at once."""
    began = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", WRITE, str(folder), who]) for who in ("ann", "bob")]
    for process in running:
        process.wait()
    seconds = time.perf_counter() - began
    rows = sum(len(file.read_bytes().splitlines()) for file in folder.iterdir())
    print(f"two processes, 1,000 decisions each: {rows:,} rows, {seconds / 2_000 * 1e3:.2f} ms a decision, on disk")
    _check(missed, "2,000 rows", rows == len(Decisions(folder).current()) == 2_000)


def _check(missed: list[str], what: str, held: bool) -> None:
    if not held:
        missed.append(what)


def main() -> int:
    """Print the figures."""
    quick = "--quick" in sys.argv
    missed: list[str] = []
    pages(missed, quick)
    with tempfile.TemporaryDirectory() as name:
        workspace, path = made(Path(name) / "w", 1_000 if quick else 10_000)
        asyncio.run(review(workspace, path, missed))
        writers(Path(name) / "decisions", missed)
    for what in missed:
        print(f"MISSED {what}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
