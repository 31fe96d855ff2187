"""Commands that run a search or open the app: demo, open, attach, search."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from agentr_tui.app.detached import flags_of, run_detached
from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.options import (
    ACTOR,
    INPUT,
    OUTPUT,
    SEARCH,
    TASK,
    NotesOption,
    WorkspaceOption,
)
from agentr_tui.cli.rollouts import (
    MapOption,
    MergeOption,
    ReadAsOption,
    RewardOption,
    as_one_trace,
    decided_traces,
    growing_paths,
    options_of,
    refuse_rollouts,
    with_stored,
)
from agentr_tui.cli.running import has_terminal, make_session, need_terminal, run_app, run_job
from agentr_tui.cli.search_options import SearchOptions
from agentr_tui.state.places import (
    DEMO_DELAY,
    free_name,
    fresh_folder,
    shipped_folder,
    short_name,
    with_free_name,
)
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.state.tour import Tour
from agentr_tui.state.workspace_contents import contents
from engine.base.errors import InputError
from engine.base.untrusted_files import is_folder, typed_path, what_is
from engine.imports.follow import Following, States
from engine.notes.page import read_notes
from engine.search.control import Control
from engine.search.job import SearchJob, branch_job, new_job, resume_job
from engine.search.settings import check_settings, recorded_settings, settings_from, with_body
from engine.trace.sources import find_sources, is_trace
from engine.trace.trace_file import is_being_written, read_events
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from envs.numbers import whole

DEMO_TASK = "2"
DEMO_ITERATIONS = 8
DEMO_ERRORS = 0.5

LARGE = 1 << 24
"""Bytes of a trace that is read while the app runs already; smaller ones are there at once."""


def search(
    *,
    env: Annotated[
        str,
        Parameter(
            group=TASK,
            name="--env",
            help="Environment (`agentr envs` lists them). With --resume or --from, it permits the trace's own.",
        ),
    ] = "textcraft",
    task: Annotated[
        str | None, Parameter(group=TASK, help="Task id. The default is the environment's first task.")
    ] = None,
    options: Annotated[SearchOptions | None, Parameter(name="*")] = None,
    data: Annotated[
        Path | None, Parameter(group=TASK, help="Folder of the environment's data, for example for webshop.")
    ] = None,
    from_: Annotated[
        str | None,
        Parameter(
            group=TASK,
            name="--from",
            help="Start a new search at a node of a trace, written TRACE:NODE. TRACE may also be rollouts of one task.",
        ),
    ] = None,
    obs_key: Annotated[
        str | None,
        Parameter(
            group=TASK, help="Key of the observation's text, for a gym: environment whose observations are dicts."
        ),
    ] = None,
    notes: NotesOption = None,
    delay: Annotated[float, Parameter(group=ACTOR, help="Seconds that the scripted actor takes to answer.")] = 0.0,
    out: Annotated[
        Path | None,
        Parameter(
            group=OUTPUT,
            help="Trace file to write, NAME.trace.jsonl or NAME.trace.jsonl.zst. The default is a new one.",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        Parameter(group=TASK, help="Continue this trace with its own settings. Options that you give replace them."),
    ] = None,
    detach: Annotated[
        bool, Parameter(group=OUTPUT, negative="", help="Run in the background. `agentr attach` shows the search.")
    ] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Run one search and write its trace."""
    given: dict[str, Any] = with_body(dict(options or {}))
    if data is not None:
        env = f"{env}:{typed_path(str(data)).absolute()}"  # the trace names it, and may be opened from elsewhere
    if obs_key is not None:
        if not env.startswith("gym:"):
            raise InputError(f"--obs-key is for gym:MODULE:ID, not for {env}")
        env = f"{env}{'&' if '?' in env else '?'}obs={obs_key}"
    if notes is not None and resume is not None:
        raise InputError("--notes is for a new search (also --from a node): a trace keeps the notes that it began with")
    told = "" if notes is None else read_notes(notes)
    if resume is not None:
        refuse_rollouts([resume], "--resume continues a search (--from starts one at a node of theirs)")
        if detach:
            where = ["--resume", str(resume.resolve()), "--env", env, "--workspace", str(workspace)]
            return run_detached(resume, [*where, *flags_of(given)])
        return run_job(resume_job(resume, delay=delay, changes=given, own=[own_settings(workspace), {"env": env}]))
    if from_ is not None:
        source, _, number = from_.rpartition(":")
        node = whole(number)
        if not source or node is None:
            raise InputError(f"--from {from_}: write TRACE:NODE, a file and the number of a node")
        trace = as_one_trace(Path(source), workspace)
        place = out or free_name(Workspace.open(workspace, create=True).traces, "branch", number, 0)
        own = [own_settings(workspace), {"env": env}]
        job = branch_job(trace, node, place, changes=given, delay=delay, own=own, environment=env, notes=told)
        return run_job(job)
    settings = settings_from({**recorded_settings(env), **given})
    name = short_name(env), task or "0", settings.seed
    traces = Workspace.open(workspace, create=True).traces if out is None else None
    if detach:
        if traces is not None:
            out = free_name(traces, *name)
        assert out is not None
        which = ["--env", env, *(["--task", task] if task is not None else []), "--delay", str(delay)]
        which += ["--notes", str(notes.resolve())] if notes is not None else []
        return run_detached(out, [*which, *flags_of(given), "--out", str(out.resolve())])

    def make(out: Path) -> SearchJob:
        return new_job(env, task, settings, out, delay=delay, choose_actor="actor" not in given, notes=told)

    if out is not None:
        return run_job(make(out))
    assert traces is not None
    return run_job(with_free_name(traces, *name, make))


def attach(
    path: Annotated[Path, Parameter(help="Trace that another process is writing.")],
    /,
    *,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Show and steer a search that another process runs."""
    if what_is(path) is None:
        raise InputError(f"{path}: no such trace")
    refuse_rollouts([path], "attach shows a search that runs")
    if not is_being_written(path):
        raise InputError(
            f"{path}: no process is writing it: agentr search --resume {path} continues it, agentr open shows it"
        )
    need_terminal("agentr stats")
    session = make_session(Workspace.open(workspace, create=True))
    session.open(path, follow=True)
    return run_app(session, "search")


def demo(
    *,
    task: Annotated[str, Parameter(group=TASK, help="TextCraft task id.")] = DEMO_TASK,
    iterations: Annotated[int, Parameter(group=SEARCH, help="Number of walks from the root.")] = DEMO_ITERATIONS,
    seed: Annotated[int, Parameter(group=SEARCH, help="Seed of ties and of sampled answers.")] = 0,
    delay: Annotated[float, Parameter(group=ACTOR, help="Seconds that each answer takes on screen.")] = DEMO_DELAY,
    headless: Annotated[
        bool,
        Parameter(group=OUTPUT, help="Run without a screen: search, revise, export and print the path of the dataset."),
    ] = False,
    local_model: Annotated[
        bool, Parameter(group=ACTOR, help="Use a small real model on this machine. It needs the extra `local`.")
    ] = False,
    workspace: Annotated[
        Path | None,
        Parameter(
            group=OUTPUT,
            help="Folder of traces, decisions, runs and exports. The default is a new folder agentr-demo-N.",
        ),
    ] = None,
) -> int:
    """Watch a TextCraft search live. Without a terminal, it goes all the way to a JSONL file."""
    if local_model:
        from agentr_tui.cli.commands.demo_model import demo_model

        return demo_model(task, iterations, seed, headless, workspace)
    place = Workspace.open(workspace or fresh_folder(Path("agentr-demo")), create=True)
    settings = check_settings(SearchSettings(iterations=iterations, seed=seed, error_rate=DEMO_ERRORS))
    out = free_name(place.traces, "textcraft", task, seed)
    if headless or not has_terminal():
        from agentr_tui.cli.commands.export import export_run
        from agentr_tui.cli.revising import revise_paths
        from engine.samples.settings import ReviseSettings

        code = run_job(new_job("textcraft", task, settings, out))
        if code:
            return code
        revise_paths(place, [out], ReviseSettings())
        export_run(place, "agent-r", place.exports / "demo.jsonl")
        return 0

    def make(listener: Any) -> SearchJob:
        control = Control(waits_on_failures=True)
        return new_job("textcraft", task, settings, out, listener=listener, delay=delay, control=control)

    before = contents(place)
    session = make_session(place)
    session.start(make)
    return run_app(session, "search", made_by_us=before)


def open_(
    paths: Annotated[list[Path] | None, Parameter(help="Traces, tree files, rollouts or folders.")] = None,
    /,
    *,
    shipped: Annotated[bool, Parameter(group=INPUT, help="Open the sample trees that ship with the package.")] = False,
    follow: Annotated[
        bool,
        Parameter(
            group=INPUT,
            help="Keep reading while traces and rollouts grow, and find new ones in folders.",
        ),
    ] = False,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    merge: MergeOption = "action",
    reward: RewardOption = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Open traces, original tree files, rollouts of other harnesses or folders in the app."""
    options = options_of(read_as, map_, merge, reward)
    seen: States = {}
    wanted, _ = with_stored(paths or [], options, workspace, seen=seen)
    growing = None
    if follow:
        kept = Workspace(workspace)
        growing = Following(
            growing_paths(paths or [], options), options, kept.traces, seen, lambda: decided_traces(kept)
        )
    if shipped:
        wanted.append(shipped_folder())
    if not wanted:
        raise InputError("nothing to open: name a trace, a tree file or a folder, or use --shipped")
    folders = any(is_folder(path) for path in wanted)
    sources = wanted if follow and folders else find_sources(wanted)  # a folder that is followed may be empty yet
    need_terminal("agentr stats and agentr show")
    place = Workspace.open(workspace, create=True)
    session = make_session(place, wanted if folders else sources)
    with nullcontext() if growing is None else growing.looking():
        if len(sources) == 1 and not (follow and folders):
            path = sources[0]
            if is_trace(path.name) and path.stat().st_size > LARGE:
                next(read_events(path))  # says what is wrong with it before the screen is taken
                return run_app(session, "search", opening=(path, follow))
            session.open(path, follow)
            return run_app(session, "search")
        return run_app(session, "library")


def library(workspace: Path) -> int:
    """Open the library of a workspace; on the first start ever, where nothing is there yet, the demo."""
    need_terminal("a command: agentr --help lists them")
    if str(workspace) == DEFAULT_WORKSPACE and not workspace.exists() and Tour().first_start:
        return demo()
    return run_app(make_session(Workspace.open(workspace, create=True)), "library", go_on=True)
