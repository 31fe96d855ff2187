"""The command `eval`: an actor alone at its tasks, and one run against another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from msgspec.structs import replace

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.commands.recover import Plan as RecoveryPlan
from agentr_tui.cli.commands.recover import owed_lines, plans_of, say_price
from agentr_tui.cli.commands.scale.collect import number_of_workers, shown, warn_of_failures
from agentr_tui.cli.options import (
    BUDGETS,
    INPUT,
    INTERRUPTED,
    OUTPUT,
    TASK,
    DelayOption,
    EnvOption,
    JsonOption,
    NotesOption,
    PartOption,
    SplitOption,
    TasksOption,
    WorkersOption,
    WorkspaceOption,
)
from agentr_tui.cli.rollouts import refuse_rollouts
from agentr_tui.cli.running import stopping
from agentr_tui.cli.search_options import SearchOptions, options_of_command
from agentr_tui.state.places import short_name
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError
from engine.base.intervals import Interval
from engine.base.text import many
from engine.collect.run import Collected, Plan, check_plan, collect
from engine.collect.tasks import task_ids, tasks_of_part
from engine.evaluate.episodes import (
    Difference,
    Episode,
    Scores,
    by_family,
    difference,
    episode_of,
    episode_settings,
    is_over,
    scores_of,
)
from engine.evaluate.recovered import WrongStep, recovery_scores, wrong_step
from engine.notes.page import read_notes
from engine.recovery.continuation_plan import (
    IGNORES_CONVERSATION_LINE,
    RecoverySettings,
    actor_settings,
    reads_thoughts,
)
from engine.recovery.continuations import Recovery
from engine.search.control import Control
from engine.search.settings import is_episode, settings_from, with_body
from engine.trace.sources import find_sources
from engine.workspace.workspace import Workspace

MAX_STEPS = 100
"""Steps of an episode, as the original's evaluation has it."""

SHAPE = ("algorithm", "iterations", "samples", "max_depth", "parallel_nodes", "c")
"""Options of a search that an evaluation sets itself."""

if TYPE_CHECKING:
    EvalOptions = SearchOptions
else:
    EvalOptions = options_of_command(
        **{name: {"show": False} for name in SHAPE if name != "max_depth"},
        max_depth={
            "help": "With --recovery: greatest depth. The default is the search's own.",
            "show_default": False,
        },
    )


def evaluate(
    paths: Annotated[
        list[Path] | None, Parameter(help="Folders of earlier evaluations: print their scores and run nothing.")
    ] = None,
    /,
    *,
    env: EnvOption = "textcraft",
    tasks: TasksOption = "",
    split: SplitOption = "",
    part: PartOption = "",
    repeats: Annotated[int, Parameter(group=TASK, help="Episodes of each task, each with a seed of its own.")] = 1,
    max_steps: Annotated[int, Parameter(group=TASK, help="Greatest number of steps of an episode.")] = MAX_STEPS,
    recovery: Annotated[
        str | None,
        Parameter(
            group=TASK,
            help="Start after the wrong steps of the workspace's samples instead, with the revision thought and without"
            " it: a query, for example verdict:verified.",
        ),
    ] = None,
    continuations: Annotated[
        int,
        Parameter(
            group=TASK,
            help="With --recovery: continuations of each wrong step with the thought, and as many without it.",
        ),
    ] = 4,
    yes: Annotated[
        bool, Parameter(group=BUDGETS, help="With --recovery: call a paid model without asking first.")
    ] = False,
    success: Annotated[
        float, Parameter(group=TASK, help="Least score, on a scale of 0 to 1, that is a success.")
    ] = 1.0,
    against: Annotated[
        Path | None, Parameter(group=INPUT, help="Folder of another evaluation, to compare with task by task.")
    ] = None,
    workers: WorkersOption = None,
    options: Annotated[EvalOptions | None, Parameter(name="*")] = None,
    notes: NotesOption = None,
    delay: DelayOption = 0.0,
    out: Annotated[
        Path | None, Parameter(group=OUTPUT, help="Folder of the episodes. The default is a folder in the workspace.")
    ] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Let an actor do tasks alone and print its scores. The same command again continues."""
    runs: list[Collected] = []
    if recovery is not None:
        if paths or tasks:
            raise InputError("--recovery starts from the samples of the workspace: leave out tasks and folders")
        return _recovery(recovery, continuations, with_body(dict(options or {})), yes, json, workspace)
    if paths:
        if tasks:
            raise InputError("name folders of earlier evaluations, or --tasks to run one; not both")
        refuse_rollouts(paths, "eval prints what it ran itself (agentr stats prints theirs)")
        folders = list(paths)
    else:
        given: dict[str, Any] = with_body(dict(options or {}))
        chosen = tasks_of_part(env, task_ids(tasks), split, part) if tasks else []
        runs, folders = _run(env, chosen, repeats, max_steps, workers, given, delay, notes, out, workspace)
    episodes = [] if runs and not any(run.done for run in runs) else episodes_in(folders, quiet=bool(runs))
    other = None if against is None else difference(episodes, episodes_in([against]), success)
    overall, families = scores_of(episodes, success), by_family(episodes, success)
    if json:
        told = {"episodes": episodes, "scores": overall, "families": families, "difference": other, "runs": runs}
        emit_json({"folders": [str(folder) for folder in folders], **told})
    else:
        _tell(overall, families, other)
    return _ended(runs)


def _run(
    env: str, tasks: Sequence[str], repeats: int, max_steps: int, workers: int | None, given: dict[str, Any],
    delay: float, notes: Path | None, out: Path | None, workspace: Path,
) -> tuple[list[Collected], list[Path]]:  # fmt: skip
    """Run the episodes, seed by seed; what came of each run, and its folder. Raises `InputError`."""
    if not tasks:
        raise InputError("--tasks is missing: name the tasks, for example --tasks 0-99, or a folder to print")
    for name, value in (("repeats", repeats), ("max-steps", max_steps), ("workers", workers)):
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: must be at least 1")
    for name in SHAPE:
        if name in given:
            raise InputError(f"--{name.replace('_', '-')} is for searches: an evaluation asks once a step")
    settings = episode_settings(settings_from(given), max_steps)
    if out is None:
        who = settings.model.replace("/", "-") or settings.actor.partition(":")[0]
        told = "-notes" if notes is not None else ""
        out = Workspace.open(workspace, create=True).traces / f"eval-{short_name(env)}-{who}{told}"
    runs, folders = [], []
    for number in range(repeats):
        seed = settings.seed + number
        folder = out.absolute() / f"seed-{seed}"
        plan = Plan(
            environment=env,
            tasks=tasks,
            settings=replace(settings, seed=seed),
            out=folder,
            short=short_name(env),
            choose_actor="actor" not in given,
            workers=number_of_workers(workers),
            delay=delay,
            notes="" if notes is None else read_notes(notes),
        )
        if not number:
            check_plan(plan)
        with shown() as show:
            found = asyncio.run(collect(plan, show))
        runs.append(found)
        folders.append(folder)
        if found.reason != "done":
            break
    return runs, folders


def _recovery(query: str, continuations: int, given: dict[str, Any], yes: bool, json: bool, workspace: Path) -> int:
    """Continue from wrong steps with and without the thought, and print what it adds. Raises `InputError`."""
    for name in given:
        if name not in RecoverySettings.__struct_fields__:
            raise InputError(f"--{name.replace('_', '-')} does not go with --recovery")
    place = Workspace.open(workspace)
    info = place.select()
    settings = RecoverySettings(continuations=continuations, alpha=info.runs[0].settings.alpha, **given)
    plans = plans_of(place, info, query.split(), settings, "mark")
    say_price(sum((plan.price for plan in plans[1:]), plans[0].price), yes)
    control, steps, owed = Control(), dict[tuple[str, int, str], WrongStep](), list[str]()
    with stopping(control) as came:
        for plan in plans:
            work = Recovery(
                plan.tree, plan.sample, plan.marks, settings, plan.known, environment=info.environment_of(plan.sample),
                control=control, own=[own_settings(place.path)],
            )  # fmt: skip
            done = work.run_blocking()
            owed += owed_lines(plan.sample, done)
            for each in done.figures:  # samples share wrong steps: each is counted once
                steps[plan.sample.trace, each.node, plan.sample.thought] = wrong_step(plan.tree, plan.sample, each)
            if came:
                break
    found = recovery_scores(list(steps.values()))
    if json:
        emit_json({"recovery": found, "steps": list(steps.values()), "reads_thoughts": reads(plans, settings)})
    else:
        table(
            ["after a wrong step", "score", "recovered"],
            [
                ["without the thought", _shown(found.without), _shown(found.recovered_without)],
                ["with the thought", _shown(found.thought), _shown(found.recovered_thought)],
                ["difference", _shown(found.difference, sign=True), _shown(found.recovered_difference, sign=True)],
            ],
        )
        length = f", after {_shown(found.revision_length)} steps" if found.revision_length is not None else ""
        say(
            f"{many(found.steps, 'wrong step')} of {many(found.tasks, 'task')}{length},"
            f" {many(found.continuations, 'continuation')}"
        )
        if not reads(plans, settings):
            say(IGNORES_CONVERSATION_LINE.format(actor_settings(plans[0].tree, settings).actor))
    for line in owed:
        warn(line)
    return INTERRUPTED if came else 1 if owed else 0


def reads(plans: Sequence[RecoveryPlan], settings: RecoverySettings) -> bool:
    """Whether the actor reads thoughts at all."""
    return reads_thoughts(actor_settings(plans[0].tree, settings).actor)


def episodes_in(folders: Sequence[Path], quiet: bool = False) -> list[Episode]:
    """The episodes of some folders that are over. Raises `InputError` where a trace is none.

    `folders`: where to look. `quiet`: whether to say nothing of those that are not over.
    """
    found, left, broken = list[Episode](), 0, BrokenFiles(folders)
    for path, source in broken.each(find_sources(folders)):
        started = source.tree.started
        assert started is not None
        if not is_episode(started.settings):
            raise InputError(f"{path}: is a search, not an episode: agentr eval --tasks makes episodes")
        if is_over(source.tree):
            found.append(episode_of(source))
        else:
            left += 1
    if left and not quiet:
        they = "is not over, and is" if left == 1 else "are not over, and are"
        warn(f"{left} of {many(left + len(found), 'episode')} {they} left out of the figures")
    return found


def _ended(runs: Sequence[Collected]) -> int:
    failed = [failure for run in runs for failure in run.failed]
    warn_of_failures(failed)
    if left := len(failed) + sum(run.left for run in runs):
        episodes = f"{left} episodes are not done: the same command again continues with them"
        warn(episodes if left > 1 else "1 episode is not done: the same command again continues with it")
    if any(run.reason == "interrupted" for run in runs):
        return INTERRUPTED
    return 1 if failed else 0


def _tell(overall: Scores, families: dict[str, Scores], other: Difference | None) -> None:
    rows = {"all": overall, **(families if len(families) > 1 else {})}
    table(
        ["tasks of", "tasks", "episodes", "score", "success", "steps", "repeated actions"],
        [
            [
                name, str(row.tasks), str(row.episodes), _shown(row.score), _shown(row.success), _shown(row.steps),
                _shown(row.repeated),
            ]
            for name, row in rows.items()
        ],
        right=(1, 2),
    )  # fmt: skip
    if overall.ends:
        say("ended: " + ", ".join(f"{count} {end}" for end, count in sorted(overall.ends.items())))
    if other is None:
        return
    if not other.tasks:
        warn("the other evaluation has no task in common with this one")
        return
    parts = {"score": other.score, "success": other.success, "steps": other.steps, "repeated": other.repeated}
    told = ", ".join(f"{name} {_shown(value, sign=True)}" for name, value in parts.items())
    say(f"difference over {many(other.tasks, 'task')} of both: {told}; {other.better} better, {other.worse} worse")


def _shown(interval: Interval | None, sign: bool = False) -> str:
    if interval is None:
        return "–"
    return f"+{interval}" if sign and interval.value > 0 else str(interval)
