"""Commands that run a search or open the app: demo, open, attach, search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from cyclopts import Parameter

from agentr_tui.app.detached import flags_of, run_detached
from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.options import WorkspaceOption
from agentr_tui.cli.running import has_terminal, make_session, need_terminal, run_app, run_job
from agentr_tui.state.places import DEMO_DELAY, free_name, fresh_folder, shipped_folder, short_name
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from engine.base.errors import InputError
from engine.search.control import Control
from engine.search.job import SearchJob, branch_job, new_job, recorded_settings, resume_job
from engine.search.settings import check_settings, settings_from, with_body
from engine.trace.sources import find_sources, is_trace
from engine.trace.trace import is_being_written, read_events
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace

DEMO_TASK = "2"
DEMO_ITERATIONS = 8
DEMO_ERRORS = 0.5

LARGE = 1 << 24
"""Bytes of a trace that is read while the app runs already; smaller ones are there at once."""
"""Seconds a draw: the scripted actor answers at once, a person wants to watch."""


class SearchOptions(TypedDict, total=False):
    """The settings of a search as options: one for each field of `SearchSettings`."""

    actor: Annotated[
        str,
        Parameter(
            help="scripted (follows a plan), random (any valid action), openai, or recorded:FILE; default: as can be."
        ),
    ]
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
        out = free_name(traces, short_name(env), task or "0", settings.seed)
    if detach:
        which = ["--env", env, *(["--task", task] if task is not None else []), "--delay", str(delay)]
        return run_detached(out, [*which, *flags_of(given), "--out", str(out.resolve())])
    return run_job(new_job(env, task, settings, out, delay=delay, choose_actor="actor" not in given))


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


def library(workspace: Path) -> int:
    """Open the library of a workspace."""
    need_terminal("a command: agentr --help lists them")
    return run_app(make_session(Workspace.open(workspace, create=True)), "library", go_on=True)
