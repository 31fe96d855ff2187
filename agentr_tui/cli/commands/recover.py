"""The command `recover`: would the actor recover from a wrong step, with the revision thought and without it?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.commands.review import are_ids, named
from agentr_tui.cli.model_options import PRICE_IN, PRICE_OUT, YesOption
from agentr_tui.cli.options import (
    ACTOR,
    BUDGETS,
    INTERRUPTED,
    MODEL,
    RECOVERY,
    JsonOption,
    RunOption,
    WorkspaceOption,
)
from agentr_tui.cli.running import stopping
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError, refused_value
from engine.base.text import many
from engine.environment.opened import at_hand, name_to_open
from engine.environment.replay import Replayer, opener
from engine.recovery.continuation_figures import EFFECTS, MarkFigures
from engine.recovery.continuation_plan import (
    IGNORES_CONVERSATION_LINE,
    Mark,
    Price,
    RecoverySettings,
    actor_settings,
    chosen_marks,
    marks_of,
    price_of,
    reads_thoughts,
)
from engine.recovery.continuation_store import FOLDER, Recoveries
from engine.recovery.continuations import Progress, Recovery
from engine.review.curation import effective
from engine.review.decisions import Decisions
from engine.samples.sample import Sample
from engine.search.control import Control
from engine.tree.events import SearchSettings
from engine.tree.failure_kinds import is_outage
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import check_same_trace, load_tree
from engine.workspace.workspace import Selection, Workspace


def recover(
    words: Annotated[list[str], Parameter(help="Sample ids, or a query such as: verdict:verified gap>=0.8.")],
    /,
    *,
    marks: Annotated[
        str,
        Parameter(
            group=RECOVERY,
            help="Wrong steps to start from: mark (the sample's own), all (all after the fork) or a step's number.",
        ),
    ] = "mark",
    continuations: Annotated[
        int,
        Parameter(
            group=RECOVERY,
            help="Number of continuations with the thought, and as many without it, for each wrong step.",
        ),
    ] = 8,
    run: RunOption = None,
    env: Annotated[
        str | None,
        Parameter(
            group=RECOVERY,
            name="--env",
            help="Environment in which to continue. The default is the run's, else the tree's own.",
        ),
    ] = None,
    actor: Annotated[
        str | None,
        Parameter(
            group=ACTOR,
            help="Actor that continues: scripted, random, openai, replayed:FILE or recorded:FILE."
            " The default is the actor of the search.",
        ),
    ] = None,
    model: Annotated[
        str | None, Parameter(group=MODEL, help="Model of the actor openai. The default is the model of the search.")
    ] = None,
    base_url: Annotated[
        str | None,
        Parameter(group=MODEL, help="URL of an OpenAI-compatible server. The default is the server of the search."),
    ] = None,
    key_env: Annotated[str | None, Parameter(group=MODEL, help="Environment variable that holds the API key.")] = None,
    tools: Annotated[
        Literal["auto", "required"] | None,
        Parameter(
            group=MODEL,
            help="Whether the model may answer without calling a tool: auto or required. The default is the search's.",
        ),
    ] = None,
    price_in: Annotated[float | None, PRICE_IN] = None,
    price_out: Annotated[float | None, PRICE_OUT] = None,
    concurrency: Annotated[int | None, Parameter(group=RECOVERY, help="Number of simultaneous continuations.")] = None,
    max_depth: Annotated[
        int | None,
        Parameter(
            group=RECOVERY,
            help="Greatest depth, counted from the start of the task. The default is that of the search.",
        ),
    ] = None,
    alpha: Annotated[
        float | None, Parameter(group=RECOVERY, help="Threshold that a good return exceeds. The default is the run's.")
    ] = None,
    seed: Annotated[int | None, Parameter(group=RECOVERY, help="Seed of the sampled answers.")] = None,
    price: Annotated[bool, Parameter(group=BUDGETS, help="Print an estimate of the price and call no model.")] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Let the actor continue from wrong steps, with and without the revision thought."""
    place = Workspace.open(workspace)
    info = place.select(run)
    values = {
        "continuations": continuations, "actor": actor, "model": model, "base_url": base_url, "key_env": key_env,
        "price_in": price_in, "price_out": price_out, "concurrency": concurrency, "max_depth": max_depth,
        "alpha": info.runs[0].settings.alpha if alpha is None else alpha, "seed": seed, "tools": tools,
    }  # fmt: skip
    try:
        settings = msgspec.convert(values, RecoverySettings)
    except msgspec.ValidationError as error:
        raise InputError("option {} of recover: {}".format(*refused_value(error))) from error
    plans = plans_of(place, info, words, settings, marks, env)
    total = sum((plan.price for plan in plans[1:]), plans[0].price)
    if price:
        if json:
            emit_json({"run": info.name, "price": total})
        else:
            say(str(total))
        return 0
    say_price(total, yes)
    heard = _nothing if json or not sys.stderr.isatty() else _counted
    control = Control()
    rows: list[dict[str, Any]] = []
    owed: list[str] = []  # what could not be asked, and must not pass for a result
    together: dict[tuple[str, int, str], MarkFigures] = {}
    with stopping(control) as came:
        for plan in plans:
            work = Recovery(
                plan.tree, plan.sample, plan.marks, settings, plan.known,
                environment=env or info.environment_of(plan.sample), control=control, heard=heard,
                own=[own_settings(place.path)],
            )  # fmt: skip
            done = work.run_blocking()
            rows.append(_row(plan, work.settings, done))
            owed += owed_lines(plan.sample, done)
            for each in done.figures:  # samples share wrong steps: each is counted once
                together[plan.sample.trace, each.node, plan.sample.thought] = each
            if not json:
                _tell(plan, work.settings, done)
            if came:
                break
    for line in owed:
        warn(line)
    if json:
        emit_json({"run": info.name, "samples": rows, "total": _total(together)})
    elif len(together) > 1:
        all = _total(together)
        steps = many(all["steps"], "wrong step")
        say(f"in all, after {steps}: {all['without']} without the thought, {all['with']} with it")
    return INTERRUPTED if came else 1 if owed else 0


class Plan(NamedTuple):
    """One sample, and what is to be made of it."""

    tree: SearchTree
    sample: Sample
    marks: list[Mark]
    price: Price
    known: Recoveries


def plans_of(
    place: Workspace,
    info: Selection,
    words: Sequence[str],
    settings: RecoverySettings,
    which: str,
    env: str | None = None,
) -> list[Plan]:
    """The samples that ids or a query name, as people left them, with their marks. Raises `InputError`.

    `place`: the workspace; `info`: its runs and samples. `words`: ids, or a query. `settings`: of the
    continuations. `which`: the marks to try, as `--marks` has it. `env`: the environment that a
    person named; None: that of the samples' run.
    """
    decisions = Decisions(place.decisions)
    for warning in decisions.warnings:
        warn(warning)
    samples = named(info.samples, decisions, words)
    ids = are_ids(words)
    plans: list[Plan] = []
    counted: set[tuple[str, int]] = set()  # samples share wrong steps
    for _, group in groupby(sorted(samples, key=lambda sample: sample.path), key=lambda sample: sample.path):
        tree: SearchTree | None = None
        for stored in group:
            if stored.bad is None and not ids:  # a query may name good trajectories, too
                continue
            if tree is None:
                environment = env or info.environment_of(stored)
                loaded = load_tree(place, stored, environment)
                check_same_trace(loaded, stored)
                assert loaded.started is not None
                lacking = environment or name_to_open(loaded.started)
                if not ids and not at_hand(lacking):  # a query may name attempts of other harnesses, too
                    warn(f"{stored.path}: no environment is at hand ({lacking}): left out (--env names one)")
                    break
                tree, actor = loaded, actor_settings(loaded, settings)
                known = Recoveries(place.path / FOLDER, stored.trace)
                for warning in known.warnings:
                    warn(warning)
                replayer = Replayer(tree, opener(tree, environment))
            sample = effective(stored, decisions.current().get(stored.id), tree, replayer)
            if sample.mark is None and which == "mark" and not ids:
                warn(f"sample {sample.id} has no mark: left out")
                continue
            marks = chosen_marks(marks_of(tree, sample, actor.max_depth), sample, which)
            price = price_of(tree, sample.thought, marks, actor, known, settings.continuations, counted)
            plans.append(Plan(tree, sample, marks, price, known))
        if tree is not None:
            replayer.close()
    if not plans:
        raise InputError("no sample with a bad trajectory and an environment matches: agentr review list shows them")
    return plans


def say_price(price: Price, yes: bool) -> None:
    """Print what it may cost; ask where a model is paid. Raises `InputError` where nobody can be asked."""
    warn(str(price))
    if price.free or not price.calls or yes:
        return
    if not sys.stdin.isatty():
        raise InputError("this calls a paid model: pass --yes to go ahead, or --price for an estimate")
    if input("continue? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise InputError("cancelled; no model was called")


def _nothing(progress: Progress) -> None:
    """Nobody watches."""


def _counted(progress: Progress) -> None:
    """Count along on a terminal."""
    more = "\n" if progress.ended >= progress.continuations else ""
    told = f"\r{progress.ended} of {many(progress.continuations, 'continuation')}, {many(progress.calls, 'call')}"
    print(told, end=more, file=sys.stderr, flush=True)


def _row(plan: Plan, settings: SearchSettings, done: Progress) -> dict[str, Any]:
    sample = plan.sample
    return {
        "sample": sample.id,
        "env": sample.environment,
        "task": sample.task,
        "mark": sample.mark,
        "thought": sample.thought,
        "actor": settings.actor,
        "model": settings.model,
        "seed": settings.seed,
        "max_depth": settings.max_depth,
        "reads_thoughts": reads_thoughts(settings.actor),
        "calls": done.calls,
        "cost": done.cost,
        "failed": done.failed,
        "marks": done.figures,
    }


def _tell(plan: Plan, settings: SearchSettings, done: Progress) -> None:
    sample = plan.sample
    who = f"{settings.actor} {settings.model}".strip()
    say(f"{sample.id}  {sample.environment} {sample.task}  leaf {sample.bad}  {who}: {many(done.calls, 'call')}")
    if not reads_thoughts(settings.actor):
        say(f"  {IGNORES_CONVERSATION_LINE.format(settings.actor)}")
    rows = [_cells(figures, figures.mark == sample.mark) for figures in done.figures]
    table(("", "step", "action", "left", "without", "with", "adds", "95 %", ""), rows, right=(1, 3, 4, 5, 6))
    for kind, count in done.failed.items():
        again = "run the same command again to ask for the missing ones"
        say(f"  {count} answers failed ({kind}): {done.words[kind]}; {again}")


def owed_lines(sample: Sample, done: Progress) -> list[str]:
    """Returns a line for each draw of a sample that met an outage, and for a sample without any continuation."""
    lines = [
        f"sample {sample.id}: {count} answers are owed, the last ({kind}): {done.words[kind]}; fix the cause, then the"
        " same command goes on"
        for kind, count in done.failed.items()
        if is_outage(kind)
    ]
    if done.failed and not lines and not any(each.without.of or each.thought.of for each in done.figures):
        lines.append(f"sample {sample.id}: no answer was usable, the last: {list(done.words.values())[-1]}")
    return lines


def _total(together: dict[tuple[str, int, str], MarkFigures]) -> dict[str, Any]:
    """All wrong steps together. No interval: continuations from one step are not independent of each other."""
    without = {key[:2]: each.without for key, each in together.items()}.values()
    thought = [each.thought for each in together.values()]
    tried = {key[:2] for key, each in together.items() if each.without.of or each.thought.of}
    sums = [(sum(share.good for share in shares), sum(share.of for share in shares)) for shares in (without, thought)]
    told = [f"{good}/{of}" for good, of in sums]
    return {"steps": len(tried), "without": told[0], "with": told[1]}


def _cells(figures: MarkFigures, marked: bool) -> list[str]:
    adds = interval = ""
    if figures.difference is not None and figures.low is not None and figures.high is not None:
        adds = f"{figures.difference:+.2f}"
        interval = f"{figures.low:+.2f} to {figures.high:+.2f}"
    action = figures.action if len(figures.action) <= 40 else f"{figures.action[:39]}…"
    told = figures.over or EFFECTS[figures.effect]
    shares = ["–", "–"] if figures.over else [str(figures.without), str(figures.thought)]
    return ["mark" if marked else "", str(figures.mark), action, str(figures.room), *shares, adds, interval, told]
