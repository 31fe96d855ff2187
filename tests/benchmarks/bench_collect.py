"""The rate of a collection with two workers, beside two processes that search the same tasks one after the other.

    python -m tests.benchmarks.bench_collect [--tasks 200] [--walks 40]

In four parts, collection, processes, processes, collection, so that other work on the machine meets both alike. Told:
tasks a second, CPU seconds a task, and the ratio of the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.collect.run import Plan, collect
from engine.search.job import new_job
from engine.tree.events import SearchSettings

WORKERS = 2


def settings_of(walks: int) -> SearchSettings:
    """Of each search."""
    return SearchSettings(algorithm="lessons", iterations=walks)


def alone(folder: Path, first: int, last: int, walks: int) -> None:
    """What one of the independent processes does."""
    for task in range(first, last):
        new_job("textcraft", str(task), settings_of(walks), folder / f"{task}.trace.jsonl").run_blocking()


def independent(folder: Path, first: int, last: int, walks: int) -> None:
    """Two processes, half of the tasks each."""
    middle = (first + last) // 2
    program = "import sys; from pathlib import Path; from tests.benchmarks.bench_collect import alone;"
    program += " alone(Path(sys.argv[1]), *map(int, sys.argv[2:]))"
    folder.mkdir()
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(folder), str(begin), str(end), str(walks)])
        for begin, end in ((first, middle), (middle, last))
    ]
    assert [process.wait() for process in running] == [0, 0]


def collection(folder: Path, first: int, last: int, walks: int) -> None:
    """The same tasks, collected."""
    tasks = [str(task) for task in range(first, last)]
    plan = Plan(
        environment="textcraft", tasks=tasks, settings=settings_of(walks), out=folder, short="t", workers=WORKERS
    )
    assert asyncio.run(collect(plan)).done == len(tasks)


def cpu_of_children() -> float:
    """CPU seconds of the processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--walks", type=int, default=40)
    given = parser.parse_args()
    middle = given.tasks // 2
    seconds = {collection: 0.0, independent: 0.0}
    cpu = {collection: 0.0, independent: 0.0}
    parts = (
        (collection, 0, middle),
        (independent, 0, middle),
        (independent, middle, given.tasks),
        (collection, middle, given.tasks),
    )
    with TemporaryDirectory() as place:
        for way, first, last in parts:
            began, used = time.perf_counter(), cpu_of_children()
            way(Path(place) / f"{way.__name__}-{first}", first, last, given.walks)
            seconds[way] += time.perf_counter() - began
            cpu[way] += cpu_of_children() - used
    for way in seconds:
        print(f"{way.__name__:12} {given.tasks / seconds[way]:6.2f} tasks/s {cpu[way] / given.tasks:6.3f} s CPU a task")
    print(f"rate of the collection: {seconds[independent] / seconds[collection]:.2f} times that of the processes")


if __name__ == "__main__":
    main()
