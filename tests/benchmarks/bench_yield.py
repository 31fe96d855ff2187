"""Verified lessons per 1,000 actor calls, algorithm by algorithm.

    python -m tests.benchmarks.bench_yield [--env textcraft] [--tasks 0-11] [--depth 10,20] [--errors 0.2,0.35]

Each task is searched with each algorithm until the budget of calls is spent. A default run of `revise` then makes the
lessons, which are counted once: those whose sample holds in a replay. The calls of its repairs are counted, too. The
intervals are bootstrap intervals over the tasks (95 %); the ratios are over the same tasks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from msgspec.structs import replace

from engine.base.intervals import bootstrap
from engine.collect.tasks import task_ids
from engine.environment.replay import HOLDS, Replayer, opener
from engine.recovery.repair import FOLDER, repairer
from engine.samples.lessons import lesson_id
from engine.samples.revise import revise
from engine.samples.settings import RepairSettings, Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.samples.tails.needed_steps import Ground
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import StepVerifier
from engine.verifiers.registry import make_verifier

ALGORITHMS = ("agent-r", "puct", "lessons")
EVERY = 10**6
REPAIR = RepairSettings()


class Yield(NamedTuple):
    """What one task gave."""

    lessons: int  # verified, each once
    clean: int  # of these: no earlier mistake in the context
    calls: int  # of the search and of repairs
    repairs: int  # calls of repairs among them
    bad: int  # distinct Bad steps drawn
    good: int  # good leaves
    nodes: int
    seconds: float


def bad_steps(tree: SearchTree) -> int:
    """Distinct Bad steps of a tree: state and action."""
    assert tree.started is not None
    thresholds = Thresholds.for_range(tree.started.score_range, None, None)
    open_environment = opener(tree)
    replayer = Replayer(tree, open_environment)
    try:
        verifier = make_verifier("progress", tree, thresholds, open_environment, states=replayer.states)
        ground = Ground(tree, replayer.states, verifier, thresholds)
        assert isinstance(verifier, StepVerifier)
        return len(
            {lesson_id(tree, ground, node.id) for node in tree.nodes[1:] if verifier.step_into(node.id)[0] == "Bad"}
        )
    finally:
        replayer.close()


def measure(
    environment: str, task: str, settings: SearchSettings, folder: Path, repair: RepairSettings | None = REPAIR
) -> Yield:
    """One search and its lessons."""
    began = time.perf_counter()
    path = folder / "t.trace.jsonl"
    job = new_job(environment, task, settings, path, overwrite=True)
    job.run_blocking()
    chosen, figures = ReviseSettings(repair=repair), Revised()
    mend = repairer(folder / FOLDER, chosen)
    samples = list(revise(job.tree, str(path), chosen, figures, SharedByTrees(repair=mend)))
    held = [sample for sample in samples if sample.lesson and sample.verdict in HOLDS and sample.mark is not None]
    repairs = figures.repairs.calls if figures.repairs is not None else 0
    return Yield(
        len({sample.lesson for sample in held}),
        len({sample.lesson for sample in held if not sample.earlier}),
        job.tree.calls + repairs,
        repairs,
        bad_steps(job.tree),
        figures.good,
        len(job.tree),
        time.perf_counter() - began,
    )


def per_thousand(rows: Sequence[Yield], field: str = "lessons") -> float | None:
    """Per 1,000 calls, over all tasks."""
    calls = sum(row.calls for row in rows)
    return 1000 * sum(getattr(row, field) for row in rows) / calls if calls else None


def ratio(rows: Sequence[tuple[Yield, Yield]]) -> float | None:
    """Lessons per call of the first of each two over that of the second."""
    mine, other = per_thousand([row[0] for row in rows]), per_thousand([row[1] for row in rows])
    return mine / other if mine is not None and other else None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="textcraft")
    parser.add_argument("--tasks", default="0-11")
    parser.add_argument("--depth", default="10,20")
    parser.add_argument("--errors", default="0.2,0.35,0.5")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seeds", default="0", help="searches of each task; their figures are added up")
    parser.add_argument(
        "--no-repair", action="store_true", help="lessons without a clean way on in their tree are lost"
    )
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS))
    given = parser.parse_args()
    tasks = task_ids(given.tasks)
    repair = None if given.no_repair else REPAIR
    print(f"{given.env}, {len(tasks)} tasks, {given.calls} calls a search, seeds {given.seeds}; per 1,000 calls")
    print(f"{'depth':>5} {'error':>5} {'algorithm':10} {'verified lessons':22}  clean Bad drawn repairs")
    with TemporaryDirectory() as folder:
        for depth, error in product(map(int, given.depth.split(",")), map(float, given.errors.split(","))):
            found: dict[str, list[Yield]] = {}
            for algorithm in given.algorithms.split(","):
                settings = SearchSettings(
                    algorithm=algorithm, iterations=EVERY, max_depth=depth, samples=given.samples,
                    error_rate=error, budget_calls=given.calls,
                )  # fmt: skip
                rows = [
                    measure(
                        given.env,
                        task,
                        replace(settings, seed=int(seed)),
                        Path(folder),
                        repair,
                    )
                    for task, seed in product(tasks, given.seeds.split(","))
                ]
                found[algorithm] = rows
                shown = bootstrap(rows, per_thousand)
                print(
                    f"{depth:5} {error:5} {algorithm:10} {shown!s:22} {per_thousand(rows, 'clean') or 0:6.1f}"
                    f" {per_thousand(rows, 'bad') or 0:9.1f} {sum(row.repairs for row in rows):7}",
                    flush=True,
                )
            for other in found:
                if "lessons" in found and other != "lessons":
                    pairs = list(zip(found["lessons"], found[other], strict=True))
                    print(f"{'':12}lessons / {other}: {bootstrap(pairs, ratio)}", flush=True)


if __name__ == "__main__":
    main()
