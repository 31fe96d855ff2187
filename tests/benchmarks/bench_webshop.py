"""How fast the shop is: steps per second, and time and size of the search index.

python -m tests.benchmarks.bench_webshop
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from envs.webshop.catalogue import build
from envs.webshop.env import make
from envs.webshop.index import open_index
from envs.webshop.make_catalogue import catalogue

EPISODES = 400
EXPERT_SHARE = 0.6
SIZES = (1_000, 100_000)
REQUIRED_STEPS = 2_000  # a second
SEARCHES = 300


def episodes() -> list[tuple[str, list[str]]]:
    """Tasks, and actions of a customer who errs."""
    env, rng = make(), random.Random(0)
    made = []
    for task in env.tasks()[:EPISODES]:
        env.reset(options={"task": task})
        actions: list[str] = []
        done = False
        while not done and len(actions) < 12:
            action = env.plan().action if rng.random() < EXPERT_SHARE else env.mistake(rng)[1]
            assert action is not None
            actions.append(action)
            done = env.step(action)[2]
        made.append((task, actions))
    return made


def steps_per_second(cold: bool) -> tuple[int, float]:
    """Steps taken and their rate; `cold`: no query was asked before."""
    walks = episodes()
    env = make()
    if cold:
        env.shop.search.cache_clear()  # type: ignore[attr-defined]
    began = time.perf_counter()
    for task, actions in walks:
        env.reset(options={"task": task})
        for action in actions:
            env.step(action)
    steps = sum(len(actions) for _, actions in walks)
    return steps, steps / (time.perf_counter() - began)


def index(size: int) -> None:
    """Build, reopen and search an index over a synthetic catalogue of that size, and print what it takes."""
    made = catalogue(size)
    products = build((made["items_shuffle"], made["items_ins_v2"], {}), ("made",) * 3, "made", synthetic=True).products
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        open_index(products, Path(folder))
        built = time.perf_counter()
        kept = open_index(products, Path(folder))
        opened = time.perf_counter()
        queries = [products[place * 7919 % size].title for place in range(SEARCHES)]
        asked = time.perf_counter()
        for query in queries:
            kept.search(query)
        searched = time.perf_counter()
        weight = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(
        f"index of {size:,} products: built in {built - began:.2f} s, {weight / 1e6:.2f} MB, reopened in"
        f" {(opened - built) * 1e3:.0f} ms, {(searched - asked) / SEARCHES * 1e3:.2f} ms a search"
    )


def main() -> None:
    """Print all figures."""
    for cold in (True, False):
        steps, rate = steps_per_second(cold)
        print(f"{rate:,.0f} steps/s over {steps:,} steps, queries {'new' if cold else 'known'} (≥ {REQUIRED_STEPS:,})")
        assert rate >= REQUIRED_STEPS
    for size in SIZES:
        index(size)


if __name__ == "__main__":
    main()
