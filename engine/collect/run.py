"""A collection from its options to its figures: what the command does, without a terminal."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from engine.collect.manifest import log_of, manifest_of, open_manifest, trace_paths
from engine.collect.messages import Orders
from engine.collect.ray_link import ray_workers
from engine.collect.task_ledger import Budget, Ledger
from engine.collect.worker_link import ProcessLink, StartWorker
from engine.collect.worker_pool import Collector
from engine.environment.opened import open_environment
from engine.environment.permission import by_person
from engine.search.actor_choice import make_actor, with_actor
from engine.tree.events import SearchSettings

WAITING_ACTOR = "openai"


SPARE = 1.5
"""Searches of a worker for each call that it may have in flight: some step or begin while others ask."""


class Plan(Struct, kw_only=True, frozen=True):
    """What to collect, and how."""

    environment: str
    tasks: Sequence[str]  # of this process: its shard
    settings: SearchSettings
    out: Path
    short: str  # the environment's name in file names
    choose_actor: bool = False
    workers: int = 1
    at_once: int | None = None  # searches at the same time in all workers; None: so many as keep all calls busy
    per_minute: float | None = None  # most calls a minute, of all workers
    attempts: int = 3
    budget: Budget = Budget()
    pack: bool = False
    delay: float = 0.0
    notes: str = ""  # what the actor is told below the rules
    ray: str | None = None  # workers on Ray at this address, "" on one of our own; None: processes of this machine


class Failure(Struct):
    """A task that this run could not do."""

    task: str
    error: str
    trace: str


class Collected(Struct, kw_only=True):
    """The figures of a run of a collection. They are of the whole collection, except `seconds` and `lost`."""

    out: str
    env: str
    tasks: int
    done: int
    failed: list[Failure]
    elsewhere: int  # another process writes their traces
    left: int  # the collection ended before
    calls: int
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    nodes: int
    lost: int  # workers that died
    reason: str  # done, or why it ended before
    seconds: float


class Progress(Struct, frozen=True):
    """How far a run is."""

    tasks: int
    ended: int
    failed: int
    under_way: int
    calls: int
    cost: float | None
    lost: int
    seconds: float
    seconds_left: float | None


def check_plan(plan: Plan) -> None:
    """Open the environment at the first task, and the actor, as each worker will, so that unusable options are reported
    before anything is written. Raises `InputError`."""
    opened = open_environment(by_person(plan.environment), plan.tasks[0])
    try:
        settings = with_actor(opened, plan.settings) if plan.choose_actor else plan.settings
        make_actor(settings.actor, settings, plan.delay, opened.environment, opened)
    finally:
        opened.env.close()


def searches_of_worker(plan: Plan, workers: int) -> int:
    """How many searches a worker has under way. While an answer is awaited, another search can ask: so there are
    more searches than calls at a time."""
    if plan.at_once is not None:
        return max(1, math.ceil(plan.at_once / workers))
    waits = plan.settings.actor == WAITING_ACTOR or plan.delay > 0
    return math.ceil(SPARE * plan.settings.concurrency / workers) + 1 if waits else 1


async def collect(plan: Plan, progress: Callable[[Progress], None] = lambda progress: None) -> Collected:
    """Run a collection until all its tasks have ended, or it is interrupted or over its budget.

    Raises `InputError` where its folder holds another collection, `WorkFailed` where no worker can live.
    """
    workers = nullcontext(None) if plan.ray is None else ray_workers(plan.ray, workers_of(plan))
    with workers as start:
        collector = prepare(plan, start)
        collector.changed = lambda: progress(progress_of(collector.ledger))
        interrupted = _on_signals(collector)
        try:
            await collector.run()
        finally:
            interrupted()
        collector.changed()
        return collected(plan, collector.ledger, collector.halted)


def workers_of(plan: Plan) -> int:
    """How many workers there are at most."""
    return max(1, min(plan.workers, len(plan.tasks)))


def prepare(plan: Plan, start: StartWorker | None = None) -> Collector:
    """What runs a collection, its folder made and its log read. `start`: starts a worker; None: a process. Raises
    `InputError`."""
    manifest = open_manifest(
        plan.out, manifest_of(plan.environment, plan.settings, plan.choose_actor, plan.pack, plan.notes)
    )
    paths = trace_paths(plan.out, manifest, plan.short, plan.tasks)
    ledger = Ledger(plan.tasks, paths, log_of(plan.out), plan.attempts, plan.budget)
    workers = workers_of(plan)
    slots = max(1, plan.settings.concurrency // workers)
    orders = Orders(
        environment=plan.environment,
        settings=plan.settings,
        choose_actor=plan.choose_actor,
        slots=slots,
        spacing=60 * workers / plan.per_minute if plan.per_minute else 0.0,
        metered=plan.budget.calls is not None,
        delay=plan.delay,
        notes=plan.notes,
    )
    return Collector(
        ledger, orders, start or partial(ProcessLink.start, plan.out), workers, searches_of_worker(plan, workers)
    )


def _on_signals(collector: Collector) -> Callable[[], None]:
    """SIGINT and SIGTERM end all searches cleanly; returns what puts the handlers back."""
    loop = asyncio.get_running_loop()
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread, or not on this system
            loop.add_signal_handler(number, lambda: collector.halt("interrupted", now=True))
            came.append(number)

    def restore() -> None:
        for number in came:
            loop.remove_signal_handler(number)

    return restore


def progress_of(ledger: Ledger) -> Progress:
    """How far a run is."""
    return Progress(
        tasks=len(ledger.tasks),
        ended=len(ledger.outcomes),
        failed=ledger.count(("failed", "hopeless", "owed")),
        under_way=len(ledger.under_way),
        calls=ledger.total.calls,
        cost=ledger.total.cost,
        lost=ledger.lost,
        seconds=time.monotonic() - ledger.began,
        seconds_left=ledger.seconds_left,
    )


def collected(plan: Plan, ledger: Ledger, halted: str) -> Collected:
    """Returns the figures of a run that ended.

    `plan`: what was to be done. `ledger`: what became of the tasks. `halted`: why it stopped early; empty: it did not.
    """
    failed = [
        Failure(task, ended.error, str(ledger.paths[task]))
        for task, ended in ledger.outcomes.items()
        if ended.outcome in ("failed", "hopeless", "owed")
    ]
    done, elsewhere = ledger.count(("done",)), ledger.count(("elsewhere",))
    total = ledger.total
    return Collected(
        out=str(plan.out),
        env=plan.environment,
        tasks=len(plan.tasks),
        done=done,
        failed=failed,
        elsewhere=elsewhere,
        left=len(plan.tasks) - done - elsewhere - len(failed),
        calls=total.calls,
        tokens_in=total.tokens_in,
        tokens_out=total.tokens_out,
        cost=total.cost,
        nodes=total.nodes,
        lost=ledger.lost,
        reason=halted or "done",
        seconds=round(time.monotonic() - ledger.began, 3),
    )


def with_defaults(settings: SearchSettings, given: Sequence[str]) -> SearchSettings:
    """The settings of a collection for which a person gave only these: it searches for lessons."""
    changes: dict[str, object] = {}
    if "algorithm" not in given:
        changes["algorithm"] = "lessons"
    if changes.get("algorithm", settings.algorithm) == "lessons" and "iterations" not in given:
        changes["iterations"] = LESSON_WALKS
    return replace(settings, **changes)


LESSON_WALKS = 40
"""Walks of one search for lessons, where nobody says: about 150 calls in TextCraft at depth 10."""
