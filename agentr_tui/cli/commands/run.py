"""Commands that run a search or open the app: demo, open, attach, search."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

from cyclopts import Parameter

from agentr_tui.cli.commands.config import foreign_settings, own_settings
from agentr_tui.cli.config import user_file
from agentr_tui.cli.main import DEFAULT_WORKSPACE, INTERRUPTED, WorkspaceOption
from agentr_tui.cli.output import say, warn
from engine.base.errors import InputError
from engine.search.control import Control
from engine.search.job import SearchJob, branch_job, new_job, recorded_settings, resume_job
from engine.search.outages import owed_words
from engine.search.settings import check_settings, settings_from, with_body
from engine.trace.sources import Source, find_sources, is_trace
from engine.trace.trace import is_being_written, read_events
from engine.tree.answer_counts import answer_warning, answer_words, asks_model
from engine.tree.events import SearchSettings
from engine.workspace.figures import figures
from engine.workspace.workspace import Workspace

DEMO_TASK = "2"
DEMO_ITERATIONS = 8
DEMO_ERRORS = 0.5
DEMO_DELAY = 0.25

LARGE = 1 << 24
"""Bytes of a trace that is read while the app runs already; smaller ones are there at once."""
"""Seconds a draw: the scripted actor answers at once, a person wants to watch."""


def has_terminal() -> bool:
    """Whether a person can see a screen and type."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def stopping(control: Control) -> Iterator[list[int]]:
    """SIGINT and SIGTERM stop what runs cleanly; the list tells which of them came."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        control.stop("interrupted")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_job(job: SearchJob) -> int:
    """Run a search without a screen and say how it ended; returns the exit code."""
    with stopping(job.control) as came:
        reason = job.run_blocking()
    found = figures(Source(job.tree, str(job.path), "trace"))
    owed = job.tree.draws_owed
    say(
        f"{job.path}: {reason}; {found.nodes} nodes, {found.good} good and {found.bad} bad leaves, {found.pairs} pairs,"
        f" {found.calls} calls, {found.failures} failures{f', {owed} draws owed' if owed else ''}"
    )
    if asks_model(job.tree.settings_at(job.tree.seq)) and (words := answer_words(job.tree.answers)):
        say(f"{job.tree.answers.answers} answers: {', '.join(words)}")
    if warning := answer_warning(job.tree):
        warn(warning)
    if came:
        return INTERRUPTED
    if why := job.search.outage or owed_words(job.tree):
        warn(f"{why}; fix the cause, then: agentr search --resume {job.path}")
        return 1
    return 0


class SearchOptions(TypedDict, total=False):
    """The settings of a search as options: one for each field of `SearchSettings`."""

    actor: Annotated[str, Parameter(help="scripted, openai, or recorded:FILE.")]
    algorithm: Annotated[str, Parameter(help="agent-r repeats the original node for node; uct, puct, best-first.")]
    iterations: Annotated[int, Parameter(help="Walks from the root.")]
    max_depth: Annotated[int, Parameter(help="Nodes deeper than this are terminal.")]
    samples: Annotated[int, Parameter(help="Draws a node.")]
    c: Annotated[float, Parameter(name="--c", help="Exploration constant.")]
    seed: Annotated[int, Parameter(help="Of ties and draws.")]
    temperature: Annotated[float, Parameter(help="Of the actor's model.")]
    max_tokens: Annotated[int, Parameter(help="Of an answer.")]
    error_rate: Annotated[float, Parameter(help="Share of draws in which the scripted actor errs.")]
    concurrency: Annotated[int, Parameter(help="Simultaneous calls; never changes a trace.")]
    parallel_nodes: Annotated[int, Parameter(help="Expansions in flight.")]
    max_failures: Annotated[
        int, Parameter(help="Failed draws (or steps) in a row after which the search stands still.")
    ]
    model: Annotated[str, Parameter(help="Model of the openai actor.")]
    base_url: Annotated[str, Parameter(help="Of an OpenAI-compatible server.")]
    key_env: Annotated[str, Parameter(help="Environment variable that holds the key.")]
    timeout: Annotated[float, Parameter(help="Seconds a call.")]
    retries: Annotated[int, Parameter(help="Of a failed call.")]
    price_in: Annotated[float, Parameter(help="US dollars a million prompt tokens.")]
    price_out: Annotated[float, Parameter(help="US dollars a million completion tokens.")]
    price_cached: Annotated[float, Parameter(help="Of prompt tokens that the server had cached; default: --price-in.")]
    top_p: Annotated[float, Parameter(help="Nucleus sampling; default: the server's own.")]
    reasoning_effort: Annotated[str, Parameter(help="low, medium, high: as the server knows it.")]
    extra_body: Annotated[str, Parameter(help="JSON object of further fields of every request; null takes one out.")]
    header: Annotated[list[str], Parameter(help="NAME=VARIABLE: a header whose value is in that variable.")]
    no_system: Annotated[bool, Parameter(negative="", help="Send the system turn as part of the first user turn.")]
    example: Annotated[bool, Parameter(help="Put a worked example before the task.")]
    context: Annotated[int, Parameter(help="Tokens that a conversation may have.")]
    tokenizer: Annotated[str, Parameter(help="File of the model's tokenizer; else tokens are estimated.")]
    parse: Annotated[str, Parameter(help="How answers are read: first (the first action, in any dress) or agent-r.")]
    structured: Annotated[str, Parameter(help="json or grammar, for small models.")]
    prompts: Annotated[str, Parameter(help="Folder of prompts in place of the shipped ones.")]
    budget_tokens: Annotated[int, Parameter(help="End when so many tokens are used.")]
    budget_cost: Annotated[float, Parameter(help="End when so many US dollars are spent.")]
    budget_calls: Annotated[int, Parameter(help="End after so many calls.")]
    budget_seconds: Annotated[float, Parameter(help="End after so many seconds.")]
    budget_good: Annotated[int, Parameter(help="End when so many good leaves are found.")]


def search(
    *,
    env: Annotated[
        str,
        Parameter(name="--env", help="As `agentr envs` lists them; with --resume or --from: yes to the trace's."),
    ] = "textcraft",
    task: Annotated[str | None, Parameter(help="Task id; default: the environment's first.")] = None,
    options: Annotated[SearchOptions | None, Parameter(name="*")] = None,
    data: Annotated[Path | None, Parameter(help="Folder of the environment's data: webshop --data DIR.")] = None,
    from_: Annotated[
        str | None, Parameter(name="--from", help="TRACE:NODE: a new search that begins where that node stands.")
    ] = None,
    obs_key: Annotated[str | None, Parameter(help="Of a gym: environment whose observations are dicts.")] = None,
    delay: Annotated[float, Parameter(help="Seconds a draw that the scripted actor takes.")] = 0.0,
    out: Annotated[Path | None, Parameter(help="Trace file, NAME.trace.jsonl or NAME.trace.jsonl.zst.")] = None,
    resume: Annotated[
        Path | None, Parameter(help="Go on with this trace; its settings hold, less those given.")
    ] = None,
    detach: Annotated[bool, Parameter(negative="", help="Run in the background; `agentr attach` shows it.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Run one search and write its trace."""
    given: dict[str, Any] = with_body(dict(options or {}))
    if data is not None:
        env = f"{env}:{data.expanduser().absolute()}"  # the trace names it, and may be opened from elsewhere
    if obs_key is not None:
        if not env.startswith("gym:"):
            raise InputError(f"--obs-key is for gym:MODULE:ID, not for {env}")
        env = f"{env}{'&' if '?' in env else '?'}obs={obs_key}"
    if resume is not None:
        if detach:
            where = ["--resume", str(resume.resolve()), "--env", env, "--workspace", str(workspace)]
            return run_detached(resume, [*where, *flags_of(given)])
        return run_job(resume_job(resume, delay=delay, changes=given, own=[own_settings(workspace), {"env": env}]))
    if from_ is not None:
        source, _, number = from_.rpartition(":")
        if not source or not number.isdecimal():
            raise InputError(f"--from {from_}: write TRACE:NODE, a file and the number of a node")
        place = out or free_name(Workspace.open(workspace, create=True).traces, "branch", number, 0)
        own = [own_settings(workspace), {"env": env}]
        return run_job(branch_job(Path(source), int(number), place, changes=given, delay=delay, own=own))
    settings = settings_from({**recorded_settings(env), **given})
    if out is None:
        traces = Workspace.open(workspace, create=True).traces
        out = free_name(traces, env.partition(":")[0], task or "0", settings.seed)
    if detach:
        which = ["--env", env, *(["--task", task] if task is not None else []), "--delay", str(delay)]
        return run_detached(out, [*which, *flags_of(given), "--out", str(out.resolve())])
    return run_job(new_job(env, task, settings, out, delay=delay))


def flags_of(given: dict[str, Any]) -> list[str]:
    """Options as they are written on a command line."""
    flags = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, list):
            for each in value:
                flags += [flag, str(each)]
        elif isinstance(value, dict):
            flags += [flag, json.dumps(value)]
        else:
            flags += [flag, str(value)]
    return flags


def run_detached(out: Path, arguments: list[str]) -> int:
    """Start the search in a process of its own that outlives this one; returns when its trace is there."""
    if is_being_written(out):
        raise InputError(f"{out}: another process is writing it: agentr attach {out} shows and steers it")
    log = Path(f"{out}.log")
    before = out.stat().st_size if out.exists() else 0
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agentr_tui", "search", *arguments],  # -P: no module of the working folder
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while process.poll() is None and (not out.exists() or out.stat().st_size <= before):
        time.sleep(0.02)
    code = process.poll()
    if code not in (None, 0):
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        warn((said[-1] if said else f"the search ended with code {code}").removeprefix("agentr: "))
        return code or 1
    say(f"{out}: process {process.pid}; agentr attach {out} shows and steers it, its words are in {log.name}")
    return 0


def attach(
    path: Annotated[Path, Parameter(help="Trace that another process writes.")],
    /,
    *,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Show and steer a search that runs elsewhere."""
    if not path.exists():
        raise InputError(f"{path}: no such trace")
    if not is_being_written(path):
        raise InputError(f"{path}: nobody writes it: agentr search --resume {path} goes on, agentr open shows it")
    need_terminal("agentr stats")
    session = make_session(Workspace.open(workspace, create=True))
    session.open(path, follow=True)
    return run_app(session, "search")


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
    local_model: Annotated[bool, Parameter(help="By a small real model on this machine (extra `local`).")] = False,
    workspace: Annotated[Path | None, Parameter(help="Default: a fresh folder agentr-demo-N.")] = None,
) -> int:
    """Watch a TextCraft search live; without a terminal: the whole way to a JSONL file."""
    if local_model:
        from agentr_tui.cli.commands.demo_model import demo_model

        return demo_model(task, iterations, seed, headless, workspace)
    place = Workspace.open(workspace or fresh_folder(Path("agentr-demo")), create=True)
    settings = check_settings(SearchSettings(iterations=iterations, seed=seed, error_rate=DEMO_ERRORS))
    out = free_name(place.traces, "textcraft", task, seed)
    if headless or not has_terminal():
        from agentr_tui.cli.commands.data import export_run, revise_paths
        from engine.samples.revise import ReviseSettings

        code = run_job(new_job("textcraft", task, settings, out))
        if code:
            return code
        revise_paths(place, [out], ReviseSettings())
        export_run(place, "agent-r", place.exports / "demo.jsonl")
        return 0

    def make(listener: Any) -> SearchJob:
        control = Control(waits_on_failures=True)
        return new_job("textcraft", task, settings, out, listener=listener, delay=delay, control=control)

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
    follow: Annotated[bool, Parameter(help="Go on reading while traces grow, and find new ones in folders.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Open traces, original tree files or folders in the app."""
    wanted = list(paths or [])
    if shipped:
        wanted.append(shipped_folder())
    if not wanted:
        raise InputError("nothing to open: name a trace, a tree file or a folder, or use --shipped")
    folders = any(path.is_dir() for path in wanted)
    sources = wanted if follow and folders else find_sources(wanted)  # a folder that is followed may be empty yet
    need_terminal("agentr stats and agentr show")
    session = make_session(Workspace.open(workspace, create=True), wanted if folders else sources)
    if len(sources) == 1 and not (follow and folders):
        path = sources[0]
        if is_trace(path.name) and path.stat().st_size > LARGE:
            next(read_events(path))  # says what is wrong with it before the screen is taken
            return run_app(session, "search", opening=(path, follow))
        session.open(path, follow)
        return run_app(session, "search")
    return run_app(session, "library")


def shipped_folder() -> Path:
    """Where the sample trees are installed."""
    import sample_trees

    return Path(sample_trees.__file__).parent


def library(workspace: Path) -> int:
    """Open the library of a workspace."""
    need_terminal("a command: agentr --help lists them")
    return run_app(make_session(Workspace.open(workspace, create=True)), "library", go_on=True)


def need_terminal(instead: str) -> None:
    """Raises `InputError` where there is no terminal for the app."""
    if not has_terminal():
        raise InputError(f"the app needs a terminal; without one use {instead}")


def make_session(workspace: Workspace, sources: list[Path] | None = None) -> Any:
    """The state of the app over a workspace."""
    from agentr_tui.state.session import Session

    unasked = foreign_settings(workspace.path, ("search", "revise"))
    return Session(workspace, sources=sources or [], configured=own_settings(workspace.path), unasked=unasked)


def run_app(session: Any, mode: str, *, go_on: bool = False, opening: tuple[Path, bool] | None = None) -> int:
    """Run the app; returns its exit code. `go_on`: where the person was when it ran last.

    `opening`: see `AgentrApp`.
    """
    from agentr_tui.app.app import AgentrApp
    from agentr_tui.app.preferences import read_preferences
    from agentr_tui.app.signals import ends_cleanly
    from agentr_tui.state.last_place import Memory

    preferences = read_preferences([user_file(), session.workspace.settings_file])
    memory = Memory(session.workspace.path)
    place = memory.place()
    session.views = place.views
    app = AgentrApp(session, mode, preferences, memory, place if go_on else None, opening)
    with ends_cleanly(app):
        result = app.run()
    if app.to_detach is not None:
        where = ["--resume", str(app.to_detach.resolve()), "--workspace", str(session.workspace.path)]
        return run_detached(app.to_detach, [*where, "--delay", str(DEMO_DELAY)])
    session.flush()  # how the search ended
    if session.path is not None and session.tree is not None and session.tree.state == "stopped":
        say(f"stopped; go on with: agentr search --resume {session.path}")
    return app.return_code or result or 0
