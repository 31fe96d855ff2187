"""Calls in flight over time, at 500 ms a call: one search and a collection, in order and in any order.

    python -m tests.benchmarks.bench_in_flight [--seconds 0.5] [--slots 32]

A call takes the same time always, or one in ten takes ten times as long (heavy). Told: the share of the slots that is
in flight, on average, until the last task begins (of one search: until its last call begins); the time; the calls. All
searches run in one process, as those of a worker do, since the searches of a worker share its slots.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from engine.actors.base import Answer, Request
from engine.actors.scripted import ScriptedActor
from engine.collect.messages import FromWorker, Orders
from engine.collect.run import Plan, searches_of_worker
from engine.collect.worker import Worker
from engine.search import job as jobs
from engine.tree.events import SearchSettings

MANY = 10**6


class Flight:
    """Counts calls in flight, second by second."""

    def __init__(self) -> None:
        self.now, self.area, self.last, self.calls = 0, 0.0, time.monotonic(), 0
        self.began = self.last
        self.at_last_call = (0.0, self.last)  # area and time when the last call began

    def change(self, by: int) -> None:
        """A call begins or ends."""
        now = time.monotonic()
        self.area += self.now * (now - self.last)
        self.now, self.last = self.now + by, now
        if by > 0:
            self.calls += 1
            self.at_last_call = (self.area, now)

    def until(self, mark: tuple[float, float], slots: int) -> float:
        """The share of the slots in flight, on average, until a moment."""
        return mark[0] / (mark[1] - self.began) / slots


class TimedActor(ScriptedActor):
    """The scripted actor, each call of which takes its time."""

    flight: Flight
    seconds: float
    heavy: bool

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.waits = True

    async def sample(self, request: Request) -> Answer:
        """An answer, after a while."""
        slow = self.heavy and random.Random(request.seed).random() < 0.1
        self.flight.change(1)
        try:
            await asyncio.sleep(self.seconds * (10 if slow else 1))
            return await super().sample(request)
        finally:
            self.flight.change(-1)


async def one_search(settings: SearchSettings, folder: Path, slots: int) -> tuple[float, Flight]:
    """A single search with as many calls in flight as there are slots, if it can."""
    flight = TimedActor.flight = Flight()
    await jobs.new_job("textcraft", "2", settings, folder / "one.trace.jsonl", overwrite=True).run()
    return flight.until(flight.at_last_call, slots), flight


async def collection(settings: SearchSettings, folder: Path, slots: int, tasks: int) -> tuple[float, Flight]:
    """Tasks of one worker, as many at once as `collect` gives it."""
    flight = TimedActor.flight = Flight()
    said: list[FromWorker] = []
    orders = Orders(environment="textcraft", settings=settings, choose_actor=False, slots=slots)
    plan = Plan(
        environment="textcraft",
        tasks=["0"],
        settings=replace(settings, concurrency=slots),
        out=folder,
        short="t",
        delay=1.0,
    )
    worker, at_once = Worker(orders, said.append), asyncio.Semaphore(searches_of_worker(plan, 1))
    last = (0.0, flight.began)

    async def run(task: int) -> None:
        nonlocal last
        async with at_once:
            flight.change(0)
            last = (flight.area, flight.last)
            await worker.run(str(task), folder / f"{task}.trace.jsonl")

    await asyncio.gather(*(run(task) for task in range(tasks)))
    return flight.until(last, slots), flight


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--calls", type=int, default=800, help="of the one search")
    parser.add_argument("--tasks", type=int, default=150)
    parser.add_argument("--walks", type=int, default=8, help="of each search of the collection")
    given = parser.parse_args()
    TimedActor.seconds = given.seconds
    one = SearchSettings(
        iterations=MANY, budget_calls=given.calls, concurrency=given.slots, parallel_nodes=given.nodes, max_depth=20
    )
    many = SearchSettings(algorithm="lessons", iterations=given.walks, concurrency=given.slots)
    print(f"{given.seconds:g} s a call, {given.slots} slots; one search: agent-r, {given.nodes} nodes in flight")
    with TemporaryDirectory() as place, patch.object(jobs, "ScriptedActor", TimedActor):
        for heavy in (False, True):
            for order in (False, True):
                TimedActor.heavy = heavy
                folder = Path(place) / f"{heavy}-{order}"
                folder.mkdir()
                kind = f"{'heavy' if heavy else 'constant':8} {'any order' if order else 'in order':9}"
                share, flight = asyncio.run(one_search(replace(one, any_order=order), folder, given.slots))
                print(
                    f"{kind} one search {share:6.1%} {flight.last - flight.began:6.1f} s {flight.calls} calls",
                    flush=True,
                )
                for nodes in (1, given.nodes):
                    settings = replace(many, any_order=order, parallel_nodes=nodes)
                    if nodes == 1 and order:
                        continue
                    (inner := folder / str(nodes)).mkdir()
                    share, flight = asyncio.run(collection(settings, inner, given.slots, given.tasks))
                    print(
                        f"{kind} collection, {nodes} nodes a search {share:6.1%} {flight.last - flight.began:6.1f} s"
                        f" {flight.calls} calls",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
