"""The command `collect`: many searches in worker processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from agentr_tui.cli.options import (
    BUDGETS,
    INTERRUPTED,
    OUTPUT,
    SEARCH,
    TASK,
    DelayOption,
    EnvOption,
    JsonOption,
    NotesOption,
    PartOption,
    SplitOption,
    WorkersOption,
    WorkspaceOption,
)
from agentr_tui.cli.search_options import SearchOptions, options_of_command
from agentr_tui.state.places import short_name
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, warn
from agentr_tui.terminal.safe_text import escape
from engine.base.errors import InputError
from engine.base.text import many
from engine.collect.run import LESSON_WALKS, Collected, Failure, Plan, Progress, check_plan, with_defaults
from engine.collect.run import collect as run_collection
from engine.collect.task_ledger import Budget
from engine.collect.tasks import shard_of, task_ids, tasks_of_part
from engine.notes.page import read_notes
from engine.search.settings import settings_from, with_body
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace

if TYPE_CHECKING:
    CollectOptions = SearchOptions
else:
    CollectOptions = options_of_command(
        algorithm={"show_default": "lessons"},
        iterations={"show_default": f"{LESSON_WALKS} with the algorithm lessons, else {SearchSettings().iterations}"},
    )

LINE_SECONDS = 10.0
"""Between two lines of progress, where there is no terminal."""

BAR_SECONDS = 0.2

MOST_FAILURES_TOLD = 5


def collect(
    *,
    env: EnvOption = "textcraft",
    tasks: Annotated[
        str,
        Parameter(
            group=TASK,
            show_default=False,
            help="Task ids: ranges and lists such as 0-99,120, or @FILE with one id on each line. Required.",
        ),
    ] = "",
    split: SplitOption = "",
    part: PartOption = "",
    shard: Annotated[
        str | None,
        Parameter(group=TASK, help="Part I of N of the tasks, written I/N, for the jobs of a batch system."),
    ] = None,
    workers: WorkersOption = None,
    ray: Annotated[
        list[str] | None,
        Parameter(
            group=SEARCH,
            consume_multiple=True,
            help="Run the workers on Ray: on the cluster at this address (auto: the one of this machine), or without an"
            " address on one that is started for this run. Needs the extra ray.",
        ),
    ] = None,
    at_once: Annotated[
        int | None,
        Parameter(
            group=SEARCH,
            help="Searches at the same time, in all workers. The default is one for each worker, and with a model so"
            " many that --concurrency calls are in flight.",
        ),
    ] = None,
    attempts: Annotated[
        int, Parameter(group=SEARCH, help="Number of times that a task may fail before it is given up.")
    ] = 3,
    options: Annotated[CollectOptions | None, Parameter(name="*")] = None,
    total_calls: Annotated[
        int | None, Parameter(group=BUDGETS, help="End the collection after this many calls of all its searches.")
    ] = None,
    total_tokens: Annotated[
        int | None, Parameter(group=BUDGETS, help="End the collection after this many tokens of all its searches.")
    ] = None,
    total_cost: Annotated[
        float | None, Parameter(group=BUDGETS, help="End the collection after this many US dollars.")
    ] = None,
    total_seconds: Annotated[
        float | None, Parameter(group=BUDGETS, help="End this run of the collection after this many seconds.")
    ] = None,
    per_minute: Annotated[
        float | None, Parameter(group=BUDGETS, help="Rate limit: calls a minute of all workers together.")
    ] = None,
    notes: NotesOption = None,
    delay: DelayOption = 0.0,
    out: Annotated[
        Path | None,
        Parameter(
            group=OUTPUT,
            help="Folder of the traces. The default is a folder in the workspace, named after environment, algorithm"
            " and seed.",
        ),
    ] = None,
    pack: Annotated[bool, Parameter(group=OUTPUT, negative="", help="Write packed traces (.trace.jsonl.zst).")] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Search many tasks in worker processes, one trace a task. The same command again continues."""
    given: dict[str, Any] = with_body(dict(options or {}))
    settings = with_defaults(settings_from(given), list(given))
    if not tasks:
        raise InputError("--tasks is missing: name the tasks, for example --tasks 0-99,120")
    for name, value in (
        ("workers", workers), ("at-once", at_once), ("attempts", attempts), ("total-calls", total_calls),
        ("total-tokens", total_tokens), ("total-cost", total_cost), ("total-seconds", total_seconds),
        ("per-minute", per_minute),
    ):  # fmt: skip
        if value is not None and not value > 0:
            raise InputError(f"--{name} {value:g}: must be more than 0")
    if (
        total_cost is not None
        and settings.actor == "openai"
        and (settings.price_in is None or settings.price_out is None)
    ):
        raise InputError("--total-cost needs --price-in and --price-out: without them no cost is known")
    if ray is not None and len(ray) > 1:
        raise InputError(f"--ray {' '.join(ray)[:60]}: takes one address")
    chosen = shard_of(tasks_of_part(env, task_ids(tasks), split, part), shard)
    if out is None:
        name = f"{short_name(env)}-{settings.algorithm}-s{settings.seed}"
        out = Workspace.open(workspace, create=True).traces / name
    plan = Plan(
        environment=env,
        tasks=chosen,
        settings=settings,
        out=out.absolute(),
        short=short_name(env),
        choose_actor="actor" not in given,
        workers=number_of_workers(workers),
        at_once=at_once,
        per_minute=per_minute,
        attempts=attempts,
        budget=Budget(total_calls, total_tokens, total_cost, total_seconds),
        pack=pack,
        delay=delay,
        notes="" if notes is None else read_notes(notes),
        ray=None if ray is None else "".join(ray),
    )
    if not chosen:
        say(f"{out}: no task in shard {shard}")
        return 0
    check_plan(plan)
    with shown() as show:
        found = asyncio.run(run_collection(plan, show))
    return tell(found, json)


def tell(found: Collected, json: bool) -> int:
    """Print the result of a run; returns the exit code."""
    if json:
        emit_json(found)
    else:
        cost = "" if found.cost is None else f", ${found.cost:.2f}"
        say(
            f"{found.out}: {found.done} of {many(found.tasks, 'task')} done; {many(found.calls, 'call')},"
            f" {many(found.nodes, 'node')}{cost}"
        )
    if found.lost:
        warn(f"{found.lost} worker{'s were' if found.lost > 1 else ' was'} lost; their searches were resumed")
    warn_of_failures(found.failed)
    if found.elsewhere:
        warn(f"{many(found.elsewhere, 'task is', 'tasks are')} being searched by another process")
    if found.left or found.failed:
        why = f"{found.reason}; " if found.reason != "done" else ""
        left = found.left + len(found.failed)
        tasks = f"{left} tasks are not done: the same command again continues with them"
        warn(why + (tasks if left > 1 else "1 task is not done: the same command again continues with it"))
    if found.reason == "interrupted":
        return INTERRUPTED
    return 1 if found.failed else 0


def number_of_workers(workers: int | None) -> int:
    """Returns the number of worker processes for the value of `--workers`, which may be missing."""
    return workers or os.cpu_count() or 1


def warn_of_failures(failed: Sequence[Failure]) -> None:
    """Tell the first tasks that failed one by one, and the number of the others."""
    for failure in failed[:MOST_FAILURES_TOLD]:
        warn(f"task {failure.task}: {failure.error}")
    if (more := len(failed) - MOST_FAILURES_TOLD) > 0:
        warn(f"{more} more tasks failed")


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Shows progress on standard error: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    ]  # fmt: skip
    with Bar(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task("collect", total=None, told="")
        last = 0.0

        def show(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last < BAR_SECONDS and progress.ended < progress.tasks:
                return
            last = time.monotonic()
            bar.update(task, total=progress.tasks, completed=progress.ended, told=escape(_figures(progress)))

        yield show


class _Lines:
    """A line of progress now and then, where something changed."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last < LINE_SECONDS:
            return
        self._last = time.monotonic()
        warn(f"{progress.ended:,} of {many(progress.tasks, 'task')}; {_figures(progress)}")


def _figures(progress: Progress) -> str:
    parts = [f"{progress.under_way} under way", f"{many(progress.calls, 'call')}"]
    parts += [f"${progress.cost:.2f}"] if progress.cost is not None else []
    parts += [f"{progress.failed} failed"] if progress.failed else []
    parts += [f"{progress.lost} workers lost"] if progress.lost else []
    if progress.seconds_left is not None and progress.ended < progress.tasks:
        parts.append(f"about {_span(progress.seconds_left)} left")
    return ", ".join(parts)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
