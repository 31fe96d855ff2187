"""Commands that run a search or open the app: demo, open, search."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from agentr_tui.cli import DEFAULT_WORKSPACE, INTERRUPTED, WorkspaceOption
from agentr_tui.output import say, warn
from engine.errors import InputError
from engine.events import SearchSettings
from engine.job import SearchJob, new_job, recorded_settings, resume_job
from engine.search import check_settings
from engine.stats import Source, figures, find_sources
from engine.workspace import Workspace

DEMO_TASK = "2"
DEMO_ITERATIONS = 8
DEMO_ERRORS = 0.5
DEMO_DELAY = 0.25
"""Seconds a draw: the scripted actor answers at once, a person wants to watch."""


def has_terminal() -> bool:
    """Whether a person can see a screen and type."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def stopping(job: SearchJob) -> Iterator[list[int]]:
    """SIGINT and SIGTERM stop the search cleanly; the list tells which of them came."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        job.control.stop("interrupted")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_job(job: SearchJob) -> int:
    """Run a search without a screen and say how it ended; returns the exit code."""
    with stopping(job) as came:
        reason = job.run_blocking()
    found = figures(Source(job.tree, str(job.path), "trace"))
    say(
        f"{job.path}: {reason}; {found.nodes} nodes, {found.good} good and {found.bad} bad leaves, {found.pairs} pairs,"
        f" {found.calls} calls, {found.failures} failures"
    )
    if came:
        return INTERRUPTED
    if reason == "failures":
        last = job.tree.failures[-1].error if job.tree.failures else "unknown"
        warn(f"too many failures in a row, the last: {last}; mend it, then agentr search --resume {job.path}")
        return 1
    return 0


def search(
    *,
    env: Annotated[str, Parameter(name="--env", help="Environment, as `agentr envs` lists them.")] = "textcraft",
    task: Annotated[str | None, Parameter(help="Task id; default: the environment's first.")] = None,
    actor: Annotated[str | None, Parameter(help="scripted, or recorded:FILE.")] = None,
    algorithm: Annotated[str | None, Parameter(help="agent-r repeats the original node for node.")] = None,
    iterations: Annotated[int | None, Parameter(help="Walks from the root.")] = None,
    max_depth: Annotated[int | None, Parameter(help="Nodes deeper than this are terminal.")] = None,
    samples: Annotated[int | None, Parameter(help="Draws a node.")] = None,
    c: Annotated[float | None, Parameter(name="--c", help="Exploration constant.")] = None,
    seed: Annotated[int | None, Parameter(help="Of ties and draws.")] = None,
    temperature: Annotated[float | None, Parameter(help="Of the actor's model.")] = None,
    max_tokens: Annotated[int | None, Parameter(help="Of an answer.")] = None,
    error_rate: Annotated[float | None, Parameter(help="Share of draws in which the scripted actor errs.")] = None,
    concurrency: Annotated[int | None, Parameter(help="Simultaneous calls; never changes a trace.")] = None,
    delay: Annotated[float, Parameter(help="Seconds a draw that the scripted actor takes.")] = 0.0,
    out: Annotated[Path | None, Parameter(help="Trace file, NAME.trace.jsonl or NAME.trace.jsonl.zst.")] = None,
    resume: Annotated[Path | None, Parameter(help="Go on with this trace and its settings.")] = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Run one search and write its trace."""
    if resume is not None:
        return run_job(resume_job(resume, delay=delay))
    given: dict[str, Any] = {
        "actor": actor,
        "algorithm": algorithm,
        "iterations": iterations,
        "max_depth": max_depth,
        "samples": samples,
        "c": c,
        "seed": seed,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "error_rate": error_rate,
        "concurrency": concurrency,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = check_settings(SearchSettings(**{**recorded_settings(env), **chosen}))
    if out is None:
        traces = Workspace.open(workspace, create=True).traces
        out = free_name(traces, env.partition(":")[0], task or "0", settings.seed)
    return run_job(new_job(env, task, settings, out, delay=delay))


def free_name(folder: Path, environment: str, task: str, seed: int) -> Path:
    """A trace name that is not taken yet."""
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in f"{environment}-{task}-s{seed}")
    place, number = folder / f"{stem}.trace.jsonl", 2
    while place.exists():
        place, number = folder / f"{stem}-{number}.trace.jsonl", number + 1
    return place


def demo(
    *,
    task: Annotated[str, Parameter(help="TextCraft task id.")] = DEMO_TASK,
    iterations: Annotated[int, Parameter(help="Walks from the root.")] = DEMO_ITERATIONS,
    seed: Annotated[int, Parameter(help="Of ties and draws.")] = 0,
    delay: Annotated[float, Parameter(help="Seconds a draw, on screen.")] = DEMO_DELAY,
    headless: Annotated[bool, Parameter(help="No screen: search, revise, export, print the path.")] = False,
    workspace: Annotated[Path | None, Parameter(help="Default: a fresh folder agentr-demo-N.")] = None,
) -> int:
    """Watch a TextCraft search live; without a terminal: the whole way to a JSONL file."""
    place = Workspace.open(workspace or fresh_folder(Path("agentr-demo")), create=True)
    settings = check_settings(SearchSettings(iterations=iterations, seed=seed, error_rate=DEMO_ERRORS))
    out = free_name(place.traces, "textcraft", task, seed)
    if headless or not has_terminal():
        from agentr_tui.commands.data import export_run, revise_paths
        from engine.samples import ReviseSettings

        code = run_job(new_job("textcraft", task, settings, out))
        if code:
            return code
        revise_paths(place, [out], ReviseSettings())
        export_run(place, "agent-r", place.exports / "demo.jsonl")
        return 0

    def make(listener: Any) -> SearchJob:
        return new_job("textcraft", task, settings, out, listener=listener, delay=delay)

    session = make_session(place)
    session.start(make)
    return run_app(session, "search")


def fresh_folder(base: Path) -> Path:
    """`base`-1, `base`-2, …: the first that is not there."""
    number = 1
    while (place := base.with_name(f"{base.name}-{number}")).exists():
        number += 1
    return place


def open_(
    paths: Annotated[list[Path] | None, Parameter(help="Traces, tree files, folders.")] = None,
    /,
    *,
    shipped: Annotated[bool, Parameter(help="The sample trees that ship with the package.")] = False,
    follow: Annotated[bool, Parameter(help="Go on reading while the trace grows.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Open traces, original tree files or folders in the app."""
    wanted = list(paths or [])
    if shipped:
        wanted.append(shipped_folder())
    if not wanted:
        raise InputError("nothing to open: name a trace, a tree file or a folder, or use --shipped")
    sources = find_sources(wanted)
    need_terminal("agentr stats and agentr show")
    session = make_session(Workspace.open(workspace, create=True), sources)
    if len(sources) == 1:
        session.open(sources[0], follow)
        return run_app(session, "search")
    return run_app(session, "library")


def shipped_folder() -> Path:
    """Where the sample trees are installed."""
    import sample_trees

    return Path(sample_trees.__file__).parent


def library(workspace: Path) -> int:
    """Open the library of a workspace."""
    need_terminal("a command: agentr --help lists them")
    return run_app(make_session(Workspace.open(workspace, create=True)), "library")


def need_terminal(instead: str) -> None:
    """Raises `InputError` where there is no terminal for the app."""
    if not has_terminal():
        raise InputError(f"the app needs a terminal; without one use {instead}")


def make_session(workspace: Workspace, sources: list[Path] | None = None) -> Any:
    """The state of the app over a workspace."""
    from agentr_tui.session import Session

    return Session(workspace, sources=sources or [])


def run_app(session: Any, mode: str) -> int:
    """Run the app; returns its exit code."""
    from agentr_tui.app import AgentrApp

    app = AgentrApp(session, mode)
    result = app.run()
    if session.path is not None and session.tree is not None and session.tree.state == "stopped":
        say(f"stopped; go on with: agentr search --resume {session.path}")
    return app.return_code or result or 0
