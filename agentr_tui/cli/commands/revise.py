"""The command `revise`: samples from the pairs of trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.commands.judge_options import (
    JudgeFlags,
    complain,
    confirm,
    format_totals,
    judge_figures,
    judge_of,
    price_of_all,
    price_of_all_seams,
    progress,
)
from agentr_tui.cli.model_options import YesOption
from agentr_tui.cli.options import (
    INPUT,
    JUDGE,
    PAIRS,
    REPAIR,
    SAMPLES,
    AlphaOption,
    BetaOption,
    JsonOption,
    WorkspaceOption,
)
from agentr_tui.cli.rollouts import MapOption, MergeOption, ReadAsOption, RewardOption, options_of, with_stored
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, warn
from engine.base.errors import InputError
from engine.environment.opened import at_hand, name_to_open
from engine.environment.permission import permit
from engine.models.reply_cache import shared_cache
from engine.pairs.ranking import Rank
from engine.recovery.repair import FOLDER, repair_price, repairer
from engine.review import curation
from engine.review.decisions import Decisions
from engine.samples.duplicates import Duplicates
from engine.samples.revise import begun_verifier
from engine.samples.revise import revise as revise_tree
from engine.samples.settings import Context, NoWrongStep, RepairSettings, Revised, ReviseSettings, RevisionTurn, Tails
from engine.samples.splice import BeforeFork
from engine.trace.sources import Source, find_sources, is_trace, load_any
from engine.tree.events import Started
from engine.verifiers.base import BudgetSpent, Verifier
from engine.verifiers.choice import DEFAULT, verifier_for
from engine.verifiers.judging import busy, fed, is_model, judge_named, open_pool
from engine.verifiers.registry import check_seam
from engine.workspace.workspace import Workspace

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool


def revise(
    paths: Annotated[list[Path], Parameter(help="Traces, tree files or folders.")],
    /,
    *,
    alpha: AlphaOption = None,
    beta: BetaOption = None,
    verifier: Annotated[
        str | None,
        Parameter(
            group=JUDGE,
            help="Verifier of the first wrong step: progress, value, openai, human, recorded:FILE or noisy:RATE."
            " The default is progress, or value if the environment has no plan.",
        ),
    ] = None,
    verify: Annotated[
        bool,
        Parameter(
            group=JUDGE,
            help="Mark the first wrong step. With --no-verify, the whole bad trajectory is kept (direct revision).",
        ),
    ] = True,
    compat: Annotated[
        bool, Parameter(group=PAIRS, help="Make the same lines as the original, its faults included.")
    ] = False,
    before_fork: Annotated[
        BeforeFork,
        Parameter(
            group=PAIRS,
            help="What becomes of a wrong step that the good trajectory shares: recover, keep, move or refuse.",
        ),
    ] = "recover",
    env: Annotated[
        str | None,
        Parameter(
            group=INPUT, name="--env", help="Environment to replay in. The default is the tree's own, or recognised."
        ),
    ] = None,
    max_pairs: Annotated[int | None, Parameter(group=PAIRS, help="Maximum pairs of each tree.")] = None,
    seed: Annotated[int, Parameter(group=SAMPLES, help="Seed of the choice of thoughts.")] = 0,
    no_wrong_step: Annotated[
        NoWrongStep,
        Parameter(
            group=SAMPLES,
            help="What becomes of a pair without a wrong step: skip leaves it out of exports, whole keeps all of it.",
        ),
    ] = "skip",
    thought: Annotated[
        str,
        Parameter(
            group=SAMPLES,
            help="Revision thought: reason (names the mistake), list (drawn from it), model, or a number of the list.",
        ),
    ] = "reason",
    rank: Annotated[
        Rank,
        Parameter(
            group=PAIRS,
            help="Order in which pairs are tried: lesson goes over wrong actions, the others over pairs, best first.",
        ),
    ] = "lesson",
    revision_turn: Annotated[
        RevisionTurn | None,
        Parameter(
            group=SAMPLES,
            help="Turn of the revision thought: own (answered by `ok.`) or merged (into the next right step)."
            " The default is merged for agents that call tools, else own.",
        ),
    ] = None,
    tail: Annotated[
        Tails,
        Parameter(
            group=SAMPLES,
            help="Good tail: straight (only the steps that are needed), repaired (always from a search) or as-found.",
        ),
    ] = "straight",
    context: Annotated[
        Context,
        Parameter(
            group=SAMPLES, help="Steps before the mark: straight leaves out other mistakes that changed nothing."
        ),
    ] = "straight",
    per_lesson: Annotated[
        int,
        Parameter(
            group=SAMPLES, help="Maximum samples of one lesson (a state and a wrong action). With 0, all are kept."
        ),
    ] = 1,
    unfinished: Annotated[
        bool, Parameter(group=SAMPLES, help="Include wrong steps whose trajectory did not end.")
    ] = False,
    per_tree: Annotated[int | None, Parameter(group=SAMPLES, help="Maximum samples of each tree.")] = None,
    per_fork: Annotated[int | None, Parameter(group=SAMPLES, help="Maximum samples of each fork.")] = None,
    diverse: Annotated[bool, Parameter(group=SAMPLES, help="Take every wrong step once in each tree.")] = False,
    duplicates: Annotated[
        float,
        Parameter(
            group=SAMPLES,
            help="Jaccard similarity from which samples count as duplicates, for example 0.9. With 0, all are kept.",
        ),
    ] = 0.0,
    repair: Annotated[
        bool | None,
        Parameter(
            group=REPAIR,
            help="Search for a good tail where there is no clean one. The default is to do so where no model is paid.",
        ),
    ] = None,
    repair_iterations: Annotated[int, Parameter(group=REPAIR, help="Iterations of each repair search.")] = 8,
    repair_calls: Annotated[int, Parameter(group=REPAIR, help="Maximum calls of each repair search.")] = 200,
    repair_actor: Annotated[
        str | None, Parameter(group=REPAIR, help="Actor of repair searches. The default is the trace's own.")
    ] = None,
    seam: Annotated[
        str,
        Parameter(
            group=JUDGE,
            show_default=False,
            help="Model that judges whether the tails of unreplayed samples can follow: openai or openai:MODEL.",
        ),
    ] = "",
    judge: Annotated[JudgeFlags | None, Parameter(name="*")] = None,
    prompts: Annotated[
        str, Parameter(group=JUDGE, show_default=False, help="Folder of prompts that replace the shipped ones.")
    ] = "",
    yes: YesOption = False,
    json: JsonOption = False,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    merge: MergeOption = "action",
    reward: RewardOption = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Make revision samples from the pairs in traces, tree files or rollouts of other harnesses."""
    if max_pairs is not None and max_pairs < 1:
        raise InputError("--max-pairs must be at least 1")
    check_seam(seam)
    paths, _ = with_stored(paths, options_of(read_as, map_, merge, reward), workspace, quiet=json)
    sources, broken = find_sources(paths), BrokenFiles(paths)
    if verifier is None:
        verifier = _verifier_that_can(sources, env, broken) if verify else DEFAULT
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
        "revision_turn": revision_turn,
        "rank": rank,
        "per_tree": per_tree,
        "per_fork": per_fork,
        "diverse": diverse,
        "duplicates": duplicates,
        "tail": tail,
        "context": context,
        "per_lesson": per_lesson,
        "unfinished": unfinished,
        "seam": seam,
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
        price = price_of_all(sources, settings, place.judgements, broken)
        confirm(price, judge_named(settings.judge, settings.verifier), yes)
        pairs = price.pairs
    if settings.seam:
        named = judge_named(settings.judge, settings.seam)
        confirm(price_of_all_seams(sources, settings, broken), named, yes)
    _confirm_repairs(sources, settings, yes, broken)
    run, figures = revise_paths(place, sources, settings, quiet=json, pairs=pairs, broken=broken)
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
                **({"seams": figures.seams} if settings.seam else {}),
                **broken.as_json(),
            }
        )
    return complain(figures.judging) or broken.code


def _verifier_that_can(sources: Sequence[Path], environment: str | None, broken: BrokenFiles) -> str:
    """The verifier for these sources where nobody named one; says so where it is not the usual one."""
    firsts = _started(sources, environment, broken)
    verifier, lacking = verifier_for(firsts, environment, [{"env": environment}])
    if lacking and not at_hand(lacking):
        warn(
            f"no environment is at hand ({lacking}): the tree judges its steps (--verifier {verifier}), and samples are"
            " unreplayed; --env NAME replays them in an environment"
        )
    elif lacking:
        warn(f"{lacking} has no plan to measure progress by: the tree judges its steps (--verifier {verifier})")
    return verifier


def _started(sources: Sequence[Path], environment: str | None, broken: BrokenFiles) -> Iterator[tuple[Path, Started]]:
    """The first event of each source. That of a tree file matters where nobody named its environment."""
    for path in sources:
        first = broken.first(path)
        if first is None and environment is None and not is_trace(path.name):
            with suppress(InputError):  # told where it is read
                first = load_any(path).tree.started
        if first is not None:
            yield path, first


def check_environments(sources: Sequence[Path], environment: str | None, broken: BrokenFiles) -> None:
    """Raises `UntrustedTrace`, before anything is written, if the environment of a trace needs permission."""
    for path in sources:
        first = broken.first(path)
        if first is not None and (environment is not None or at_hand(name_to_open(first))):
            permit(environment or name_to_open(first), first, [{"env": environment}], path)


TAILS = ("straight", "joined", "repaired", "as_found", "left_out")
"""What `revise --json` counts of tails."""


def _confirm_repairs(sources: Sequence[Path], settings: ReviseSettings, yes: bool, broken: BrokenFiles) -> None:
    """Say what repairs by a model may cost. Raises `InputError` where nobody said yes."""
    if settings.repair is None or not settings.repair.paid or settings.compat:
        return
    loaded = (broken.load(path, settings.environment) for path in sources)
    trees = (source.tree for source in loaded if source is not None)
    price = repair_price(trees, settings.repair)
    if price is None:
        return
    warn(f"repairs: {price}")
    if not yes:
        raise InputError("repair searches call a paid model: pass --yes to go ahead, or --no-repair")


def revise_paths(
    workspace: Workspace,
    sources: Sequence[Path],
    settings: ReviseSettings,
    quiet: bool = False,
    pairs: int = 0,
    broken: BrokenFiles | None = None,
) -> tuple[str, Revised]:
    """Write a run over these sources; its id and figures. `pairs`: about how many there are, for the progress bar.

    broken: takes the sources that can't be read; None raises `InputError` for the first.
    """
    broken = BrokenFiles(sources) if broken is None else broken
    cache = workspace.judgements
    judge = {"base_url": settings.judge.base_url, "key_env": settings.judge.key_env}
    actor = {"actor": settings.repair.actor} if settings.repair is not None else {}
    own = [own_settings(workspace.path), judge, actor] if settings.repair is not None else []
    mend = repairer(workspace.traces / FOLDER, settings, own)
    known = Duplicates(settings.duplicates) if settings.duplicates and not settings.compat else None
    check_environments(sources, settings.environment, broken)
    decisions = Decisions(workspace.decisions)
    for warning in decisions.warnings:
        warn(warning)
    current = decisions.current()
    marks = curation.marks_of(current)
    taught: Counter[str] = Counter()
    pool = open_pool(settings.judge, settings.verifier) if settings.verify else None
    shares = pool is not None and settings.seam == settings.verifier  # one budget
    seam_pool = pool if shares else open_pool(settings.judge, settings.seam) if settings.seam else None
    try:
        readable = [str(path) for path in sources if path not in broken]
        with workspace.new_run(settings, readable) as run, progress(pairs, pool) as done:
            for path, source, verifier in _opened(sources, settings, cache, pool, broken):
                for warning in source.warnings:
                    warn(warning)
                made = revise_tree(
                    source.tree, str(path.resolve()), settings, run.figures, marks, cache,
                    repair=mend, known=known, verifier=verifier, taught=taught, decided=current.keys(),
                    seam_pool=seam_pool,
                )  # fmt: skip
                try:
                    for sample in made:
                        run.add(sample)
                        done(run.figures.samples + sum(run.figures.dropped.values()))
                except BudgetSpent as spent:
                    warn(f"{spent}; this run holds the samples made so far")
                    break
    finally:
        for each in {id(each): each for each in (pool, seam_pool) if each is not None}.values():
            each.close()
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
        if figures.seams:
            words = ", ".join(f"{count} {word}" for word, count in sorted(figures.seams.items()))
            say(f"  seams that nobody replayed, as a model judges them: {words}")
        if figures.judging is not None:
            say(f"  model: {format_totals(figures.judging)}")
        if figures.repairs is not None:
            mended = figures.repairs
            why = "".join(f", {count} not: {reason}" for reason, count in sorted(mended.failed.items()))
            say(f"  repair: {mended.repaired} of {mended.tried} searches, {mended.calls} calls{why}")
        if figures.dropped:
            say("  left out: " + ", ".join(f"{count} {why}" for why, count in sorted(figures.dropped.items())))
    return run.id, figures


def _opened(
    sources: Sequence[Path], settings: ReviseSettings, cache: Path, pool: JudgePool | None, broken: BrokenFiles
) -> Iterator[tuple[Path, Source, Verifier | None]]:
    """The sources in their order; where a model judges, the next ones are read and begun with meanwhile."""

    def read() -> Iterator[tuple[Path, Source, Verifier | None]]:
        for path in sources:
            source = broken.load(path, settings.environment)
            if source is None:
                continue
            yield path, source, begun_verifier(source.tree, settings, cache, pool) if pool is not None else None

    return read() if pool is None else fed(read(), busy(pool, settings.judge))
