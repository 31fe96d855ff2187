"""Commands that make samples and datasets: revise, export, convert, replay."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.commands.judge_options import (
    JudgeFlags,
    YesOption,
    complain,
    confirm,
    judge_figures,
    judge_of,
    price_of_all,
    progress,
    told,
)
from agentr_tui.cli.options import JsonOption, WorkspaceOption
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, warn
from engine.base.errors import InputError, WorkFailed
from engine.datasets.card import trained_told
from engine.datasets.choice import expected_line, nothing_line
from engine.datasets.export import export as export_samples
from engine.datasets.files import Packing
from engine.datasets.formats import FORMATS
from engine.datasets.options import Exported, ExportOptions
from engine.environment.opened import name_to_open
from engine.environment.replay import opener, replay_tree
from engine.environment.trust import permit
from engine.models.reply_cache import shared_cache
from engine.pairs.ranking import Rank
from engine.recovery.repair import FOLDER, repair_price, repairer
from engine.review import curation
from engine.review.decisions import Decisions
from engine.samples.duplicates import Duplicates
from engine.samples.revise import begun_verifier
from engine.samples.revise import revise as revise_tree
from engine.samples.settings import Context, NoWrongStep, RepairSettings, Revised, ReviseSettings, Tails
from engine.samples.splice import BeforeFork
from engine.trace.sources import Source, find_sources, is_trace, load_any
from engine.trace.trace import read_events, write_trace
from engine.trace.treefile.read import read_tree
from engine.trace.treefile.write import save_tree
from engine.tree.events import Started
from engine.verifiers.base import BudgetSpent, Verifier
from engine.verifiers.choice import DEFAULT, verifier_for
from engine.verifiers.judging import busy, fed, is_model, judge_named, open_pool
from engine.workspace.workspace import Workspace
from envs.base import EnvError

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool


def revise(
    paths: Annotated[list[Path], Parameter(help="Traces, tree files, folders.")],
    /,
    *,
    alpha: Annotated[float | None, Parameter(help="A good leaf's Q must exceed it. Default: half the scale.")] = None,
    beta: Annotated[float | None, Parameter(help="And the bad leaf's Q by more than it. Default: a fifth.")] = None,
    verifier: Annotated[
        str | None,
        Parameter(
            help="progress, value, openai, human, recorded:FILE or noisy:RATE. Default: progress, or value where an"
            " environment has no plan."
        ),
    ] = None,
    verify: Annotated[bool, Parameter(help="--no-verify: direct revision, the whole bad trajectory.")] = True,
    compat: Annotated[bool, Parameter(help="Line for line as the original, its faults included.")] = False,
    before_fork: Annotated[
        BeforeFork,
        Parameter(
            help="Of a wrong step that the good trajectory shares: how that recovered, or what becomes of the mark."
        ),
    ] = "recover",
    env: Annotated[
        str | None, Parameter(name="--env", help="Environment to replay in; default: the tree's, or recognised.")
    ] = None,
    max_pairs: Annotated[int | None, Parameter(help="At most so many pairs a tree.")] = None,
    seed: Annotated[int, Parameter(help="Of the choice of thoughts.")] = 0,
    no_wrong_step: Annotated[
        NoWrongStep, Parameter(help="A pair without a wrong step: left out of exports, or taken whole.")
    ] = "skip",
    thought: Annotated[
        str, Parameter(help="reason: names the mistake; list: drawn; model; or a number of the list.")
    ] = "reason",
    rank: Annotated[
        Rank, Parameter(help="lesson goes over wrong actions; the others over pairs, best first.")
    ] = "lesson",
    tail: Annotated[
        Tails, Parameter(help="straight: only the steps that are needed; repaired: always by a search.")
    ] = "straight",
    context: Annotated[Context, Parameter(help="straight: without other mistakes that changed nothing.")] = "straight",
    per_lesson: Annotated[int, Parameter(help="Samples of one lesson (state and wrong action); 0 for all.")] = 1,
    unfinished: Annotated[bool, Parameter(help="Also wrong steps whose end nobody saw.")] = False,
    per_tree: Annotated[int | None, Parameter(help="At most so many samples a tree.")] = None,
    per_fork: Annotated[int | None, Parameter(help="At most so many samples a fork.")] = None,
    diverse: Annotated[bool, Parameter(help="Every wrong step once a tree.")] = False,
    duplicates: Annotated[
        float, Parameter(help="Jaccard similarity from which samples are one (MinHash), e.g. 0.9; 0 keeps all.")
    ] = 0.0,
    repair: Annotated[
        bool | None, Parameter(help="Search a tail where there is no clean one. Default: where no model is asked.")
    ] = None,
    repair_iterations: Annotated[int, Parameter(help="Iterations of such a search.")] = 8,
    repair_calls: Annotated[int, Parameter(help="Calls of such a search at most.")] = 200,
    repair_actor: Annotated[str | None, Parameter(help="Its actor; default: the trace's own.")] = None,
    judge: Annotated[JudgeFlags | None, Parameter(name="*")] = None,
    prompts: Annotated[str, Parameter(help="Folder whose files take the place of the shipped prompts.")] = "",
    yes: YesOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Make revision samples of the pairs in traces or tree files."""
    if max_pairs is not None and max_pairs < 1:
        raise InputError("--max-pairs must be at least 1")
    sources = find_sources(paths)
    if verifier is None:
        verifier = _verifier_that_can(sources, env) if verify else DEFAULT
    values: dict[str, object] = {
        "alpha": alpha,
        "beta": beta,
        "verifier": verifier,
        "verify": verify,
        "compat": compat,
        "before_fork": before_fork,
        "environment": env,
        "max_pairs": max_pairs,
        "seed": seed,
        "judge": judge_of(judge),
        "prompts": prompts,
        "no_wrong_step": no_wrong_step,
        "thought": thought,
        "rank": rank,
        "per_tree": per_tree,
        "per_fork": per_fork,
        "diverse": diverse,
        "duplicates": duplicates,
        "tail": tail,
        "context": context,
        "per_lesson": per_lesson,
        "unfinished": unfinished,
        "repair": RepairSettings(
            iterations=repair_iterations, calls=repair_calls, actor=repair_actor, paid=bool(repair)
        )
        if repair is not False
        else None,
    }
    try:
        settings = msgspec.convert(msgspec.to_builtins(values), ReviseSettings)
    except msgspec.ValidationError as error:
        raise InputError(f"option of revise: {error}") from error
    place = Workspace.open(workspace, create=True)
    pairs = 0
    if settings.verify and is_model(settings.verifier):
        price = price_of_all(sources, settings, place.judgements)
        confirm(price, judge_named(settings.judge, settings.verifier), yes)
        pairs = price.pairs
    _confirm_repairs(sources, settings, yes)
    run, figures = revise_paths(place, sources, settings, quiet=json, pairs=pairs)
    if json:
        emit_json(
            {
                "run": run,
                "pairs": figures.pairs,
                "samples": figures.samples,
                "by_verdict": figures.by_verdict,
                "before_fork": figures.before_fork,
                "no_wrong_step": figures.no_wrong_step,
                "lessons": figures.lessons,
                "judge": judge_figures(figures.judging),
                "tails": {name: figures.tails.get(name, 0) for name in TAILS},
                "steps": figures.steps,
            }
        )
    return complain(figures.judging)


def _verifier_that_can(sources: Sequence[Path], environment: str | None) -> str:
    """The verifier for these sources where nobody named one; says so where it is not the usual one."""
    firsts = ((path, next(iter(read_events(path)), None)) for path in sources if is_trace(path.name))
    traces = ((path, first) for path, first in firsts if isinstance(first, Started))
    verifier, lacking = verifier_for(traces, environment, [{"env": environment}])
    if lacking:
        warn(f"{lacking} has no plan to measure progress by: the tree judges its steps (--verifier {verifier})")
    return verifier


def check_environments(sources: Sequence[Path], environment: str | None) -> None:
    """Raises `Stranger` where the environment of a trace may not be opened unasked: before anything is written."""
    for path in sources:
        if is_trace(path.name) and isinstance(first := next(iter(read_events(path)), None), Started):
            permit(environment or name_to_open(first), first, [{"env": environment}], path)


TAILS = ("straight", "joined", "repaired", "as_found", "left_out")
"""What `revise --json` counts of tails."""


def _confirm_repairs(sources: Sequence[Path], settings: ReviseSettings, yes: bool) -> None:
    """Say what repairs by a model may cost. Raises `InputError` where nobody said yes."""
    if settings.repair is None or not settings.repair.paid or settings.compat:
        return
    trees = (load_any(path, environment=settings.environment).tree for path in sources)
    price = repair_price(trees, settings.repair)
    if price is None:
        return
    warn(f"repairs: {price}")
    if not yes:
        raise InputError("repairs by a model cost money: add --yes, or --no-repair")


def revise_paths(
    workspace: Workspace, sources: Sequence[Path], settings: ReviseSettings, quiet: bool = False, pairs: int = 0
) -> tuple[str, Revised]:
    """Write a run over these sources; its id and figures. `pairs`: about how many there are, for the progress bar."""
    cache = workspace.judgements
    judge = {"base_url": settings.judge.base_url, "key_env": settings.judge.key_env}
    actor = {"actor": settings.repair.actor} if settings.repair is not None else {}
    own = [own_settings(workspace.path), judge, actor] if settings.repair is not None else []
    mend = repairer(workspace.traces / FOLDER, settings, own)
    known = Duplicates(settings.duplicates) if settings.duplicates and not settings.compat else None
    check_environments(sources, settings.environment)
    decisions = Decisions(workspace.decisions)
    for warning in decisions.warnings:
        warn(warning)
    current = decisions.current()
    marks = curation.marks_of(current)
    taught: Counter[str] = Counter()
    pool = open_pool(settings.judge, settings.verifier) if settings.verify else None
    try:
        with workspace.new_run(settings, [str(path) for path in sources]) as run, progress(pairs, pool) as done:
            for path, source, verifier in _opened(sources, settings, cache, pool):
                for warning in source.warnings:
                    warn(warning)
                made = revise_tree(
                    source.tree, str(path.resolve()), settings, run.figures, marks, cache,
                    repair=mend, known=known, verifier=verifier, taught=taught, decided=current.keys(),
                )  # fmt: skip
                try:
                    for sample in made:
                        run.add(sample)
                        done(run.figures.samples + sum(run.figures.dropped.values()))
                except BudgetSpent as spent:
                    warn(f"{spent}; this run holds the samples made so far")
                    break
    finally:
        if pool is not None:
            pool.close()
    figures = run.figures
    if figures.judging is not None:
        for warning in shared_cache(cache.absolute()).warnings:
            warn(warning)
    if not quiet:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(figures.by_verdict.items()))
        say(
            f"run {run.id}: {figures.pairs} pairs, {figures.lessons} lessons, {figures.samples} samples"
            f" ({verdicts or 'none'})"
        )
        say(
            f"  {figures.before_fork} wrong steps that the good trajectory shares,"
            f" {figures.no_wrong_step} without a wrong step, {figures.refused} refused,"
            f" {figures.good} good trajectories"
        )
        tails = ", ".join(
            f"{figures.tails[name]} {name.replace('_', ' ')}" for name in TAILS if figures.tails.get(name)
        )
        if tails:
            say(f"  tails: {tails}; {figures.steps} environment steps")
        if figures.judging is not None:
            say(f"  model: {told(figures.judging)}")
        if figures.repairs is not None:
            mended = figures.repairs
            why = "".join(f", {count} not: {reason}" for reason, count in sorted(mended.failed.items()))
            say(f"  repair: {mended.repaired} of {mended.tried} searches, {mended.calls} calls{why}")
        if figures.dropped:
            say("  left out: " + ", ".join(f"{count} {why}" for why, count in sorted(figures.dropped.items())))
    return run.id, figures


def _opened(
    sources: Sequence[Path], settings: ReviseSettings, cache: Path, pool: JudgePool | None
) -> Iterator[tuple[Path, Source, Verifier | None]]:
    """The sources in their order; where a model judges, the next ones are read and begun with meanwhile."""

    def read() -> Iterator[tuple[Path, Source, Verifier | None]]:
        for path in sources:
            source = load_any(path, environment=settings.environment)
            yield path, source, begun_verifier(source.tree, settings, cache, pool) if pool is not None else None

    return read() if pool is None else fed(read(), busy(pool, settings.judge))


class ExportFlags(TypedDict, total=False):
    """How a dataset is made: one option for each field of `ExportOptions` that a person gives."""

    split: Annotated[str, Parameter(help="Parts by task, e.g. train=0.9,dev=0.1.")]
    mix: Annotated[str, Parameter(help="Another dataset's lines as a share of the first part: FILE:0.2.")]
    shuffle: Annotated[bool, Parameter(help="In a seeded order; default: where something is mixed in.")]
    seed: Annotated[int, Parameter(help="Of split, mix and order.")]
    shards: Annotated[int, Parameter(help="Files a part.")]
    compress: Annotated[Packing, Parameter(help="Default: as the name says.")]
    max_length: Annotated[int, Parameter(help="Tokens a record.")]
    tokenizer: Annotated[str, Parameter(help="tokenizer.json to count with; trl-sft writes token ids with it.")]
    chat_template: Annotated[str, Parameter(help="chatml or llama3, in which tokens are counted.")]
    for_model: Annotated[
        str, Parameter(help="A tokenizer's folder, a model in a local cache, or a family: whose template to follow.")
    ]
    no_system: Annotated[
        bool, Parameter(name="--no-system", negative=(), help="The system's text at the head of the first user turn.")
    ]
    control_tokens: Annotated[
        Literal["report", "escape"], Parameter(help="Control tokens of chat templates in texts; default: report.")
    ]
    reasoning: Annotated[bool, Parameter(help="Write what the model thought before a trained turn.")]
    loss_weight: Annotated[bool, Parameter(help="sharegpt: carry the mask as loss weights.")]
    first_step: Annotated[bool, Parameter(help="trl-dpo: only the first step after the fork.")]
    per_lesson: Annotated[int, Parameter(help="Samples of one lesson over all runs; 0 for all.")]
    strict: Annotated[bool, Parameter(help="Refuse the whole export where a rule is broken.")]
    config: Annotated[bool, Parameter(help="Write a configuration for the format's trainer.")]
    licence: Annotated[str, Parameter(help="Of the dataset, for its card.")]


def export(
    *,
    format: Annotated[str, Parameter(help=f"One of {', '.join(FORMATS)}.")] = "agent-r",
    out: Annotated[Path, Parameter(help="File to write.")],
    run: Annotated[str | None, Parameter(help="Run of revise; default: the newest of each trace.")] = None,
    data_type: Annotated[Literal["centric", "good"], Parameter(help="Revisions, or good trajectories.")] = "centric",
    all: Annotated[bool, Parameter(help="Whatever decision and verdict, marks and duplicates included.")] = False,
    only_verified: Annotated[bool, Parameter(help="Only samples whose every observation was verified.")] = False,
    flags: Annotated[ExportFlags | None, Parameter(name="*")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Write a dataset of samples that hold in the environment."""
    place = Workspace.open(workspace)
    options = ExportOptions(**(flags or {}))
    if options.per_lesson < 0:
        raise InputError("--per-lesson must be at least 1, or 0 for all")
    if not json:
        chosen = place.select(run)
        warn(expected_line(chosen, Decisions(place.decisions).current(), data_type, all, only_verified, options))
    done = export_samples(
        place, run, format, out, data_type=data_type, all=all, only_verified=only_verified, options=options
    )
    for warning in done.warnings:
        warn(warning)
    if json:
        emit_json({"out": done.out, "lines": done.lines, "dropped": done.dropped})
    elif done.files:
        _say_exported(done)
    if not done.files:
        raise WorkFailed(nothing_line(done))
    return 0


def export_run(workspace: Workspace, format: str, out: Path) -> Exported:
    """Export all that there is and say so."""
    done = export_samples(workspace, None, format, out)
    if done.files:
        _say_exported(done)
    else:
        warn(nothing_line(done))
    return done


def _say_exported(done: Exported) -> None:
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(done.dropped.items()))
    factor = f", {done.factor:.1f} lines a sample" if done.factor != 1 else ""
    runs = f", of {len(done.runs)} runs" if len(done.runs) > 1 else ""
    say(f"{done.lines} lines, {done.which}{factor}{runs}" + (f"; left out: {dropped}" if dropped else ""))
    for words in trained_told(done):
        say(f"  {words}")
    for reason, count in sorted(done.warned.items()):
        say(f"  {count} with a warning: {reason}")
    if done.configs:
        say("  for the trainer: " + ", ".join(done.configs))
    folder = Path(done.files[0].path).parent
    there = f"cd {shlex.quote(str(folder))} && " if done.configs and folder != Path() else ""
    for command in done.commands:
        say(f"  {'train' if done.format != 'agent-r' else 'note'}: {there}{command}")
    say(str(done.out))


def convert(
    source: Annotated[Path, Parameter(help="Trace or tree file (gzip read too).")],
    out: Annotated[Path, Parameter(help="NAME.trace.jsonl; .json for a tree file; .graphml or .dot for a graph.")],
    /,
    *,
    to: Annotated[
        Literal["tree", "trace", "graphml", "dot", "node-link"] | None, Parameter(help="Where the name does not say.")
    ] = None,
    merge: Annotated[bool, Parameter(help="Of a graph: a vertex a state. --no-merge: a vertex a node.")] = True,
    env: Annotated[str | None, Parameter(name="--env", help="Environment of a tree file; else recognised.")] = None,
    task: Annotated[str | None, Parameter(help="Task of a tree file; else from its name.")] = None,
    force: Annotated[bool, Parameter(help="Replace the file that is there.")] = False,
) -> int:
    """Turn a trace into an original tree file or a graph, or a tree file into a trace."""
    from engine.explain.graph import kind_of, save_graph

    graph = kind_of(out.name)
    kind = to or graph or ("trace" if is_trace(str(out)) else "tree" if ".json" in out.suffixes else None)
    if kind is None:
        raise InputError(f"{out}: the name does not say what to write: add --to tree, trace, graphml, dot or node-link")
    if out.exists() and not force:
        raise InputError(f"{out}: exists already: choose another name, or --force")
    loaded = load_any(source, environment=env, task=task)
    for warning in loaded.warnings:
        warn(warning)
    if kind == "tree":
        save_tree(loaded.tree, out)
    elif kind != "trace":
        save_graph(loaded.tree, out, kind, merge=merge)
    else:
        if loaded.kind == "trace":
            raise InputError(f"{source}: is a trace already")
        write_trace(out, read_tree(source, environment=env, task=task), overwrite=force)
    say(str(out))
    return 0


def replay(
    path: Annotated[Path, Parameter(help="Trace or tree file.")],
    /,
    *,
    env: Annotated[str | None, Parameter(name="--env", help="Environment to execute in; default: the tree's.")] = None,
    json: JsonOption = False,
) -> int:
    """Execute every step of a tree again and list what differs."""
    source = load_any(path, environment=env)
    tree = source.tree
    for warning in source.warnings:
        warn(warning)
    assert tree.started is not None
    try:
        opened = opener(tree, env, [{"env": env}])()
        if opened.changed:
            warn(opened.changed)
        differences = list(replay_tree(tree, opened))
    except EnvError as error:
        raise WorkFailed(f"{path}: {error}") from error
    if json:
        emit_json({"path": str(path), "env": opened.environment, "nodes": len(tree), "differences": differences})
        return 0
    for difference in differences[:50]:
        expected, got = repr(difference.expected)[:80], repr(difference.got)[:80]
        say(f"node {difference.node} {difference.field}: expected {expected}, got {got}")
    say(f"{path}: {len(tree)} nodes in {opened.environment}, {len(differences)} differences")
    return 0
