"""What finding costs: filters over 100,000 nodes, now and in the past, and the longest time without a pause.

    python -m tests.benchmarks.bench_query [--quick]

CPU time. Exit status 1 where a target is missed: a filter of figures within 200 ms, no part of any filter longer
than 10 ms.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from engine.query.find import find, gap_of, greatest, ranks, return_of, slices
from engine.query.nodes import parse
from tests.agentr_tui.trees import random_tree

FIGURES = ("q>0.5 visits>=3 depth<6", "terminal q>=0.8 or unseen depth>10", "good", "exhausted !terminal")
TEXTS = ("action~wool", 'obs~"not find"', "thought~let depth>3", "text~nothing")
MOST_SECONDS, MOST_PART = 0.2, 0.010


def seconds_of(work: Callable[[], object], times: int = 5) -> float:
    """CPU time: the median of some runs."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def longest_part(parts: Iterator[Any]) -> float:
    """The longest that an iterator took for one part, in CPU time."""
    taken = []
    while True:
        began = time.process_time()
        if next(parts, parts) is parts:
            break
        taken.append(time.process_time() - began)
    return max(taken, default=0.0)


def main() -> int:
    """Print the figures."""
    count = 10_000 if "--quick" in sys.argv else 100_000
    tree = random_tree(count).tree
    past = tree.at(tree.seq - 10)
    missed = []
    print(f"filters over {len(tree):,} nodes                    now       past    longest part")
    for text in FIGURES + TEXTS:
        query = parse(text)
        now = seconds_of(lambda query=query: find(query, tree))  # type: ignore[misc]
        then = seconds_of(lambda query=query: find(query, past))  # type: ignore[misc]
        part = max(longest_part(slices(query, reader)) for reader in (tree, past))
        print(f"  {text:36} {now * 1e3:8.1f} ms {then * 1e3:8.1f} ms {part * 1e3:8.1f} ms")
        if text in FIGURES and max(now, then) > MOST_SECONDS * max(1, count / 100_000):
            missed.append(text)
        if part > MOST_PART:
            missed.append(f"{text}: {part * 1e3:.1f} ms without a pause")
    steps: dict[str, Callable[[], Iterator[Any]]] = {
        "order of rows": lambda: ranks(tree),
        "best": lambda: greatest(tree, return_of(tree)),
        "widest gap": lambda: greatest(tree, gap_of(tree)),
    }
    for name, make in steps.items():
        print(f"  {name:36} {seconds_of(lambda make=make: list(make())) * 1e3:8.1f} ms")  # type: ignore[misc]
    for line in missed:
        print(f"missed: {line}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
