"""What `revise` does with its sources: which verifier, which permissions, what it costs, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.commands.config import own_settings
from agentr_tui.cli.judge_options import format_totals, progress
from agentr_tui.terminal.output import say, warn
from engine.base.errors import InputError
from engine.base.text import many
from engine.base.untrusted_files import real_path
from engine.environment.opened import at_hand, name_to_open
from engine.environment.permission import permit
from engine.models.reply_cache import shared_cache
from engine.recovery.repair import FOLDER, repair_price, repairer
from engine.review import curation
from engine.review.decisions import Decisions
from engine.samples.duplicates import Duplicates
from engine.samples.revise import begun_verifier
from engine.samples.revise import revise as revise_tree
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.trace.sources import Source, is_trace, load_any
from engine.tree.events import Started
from engine.verifiers.base import BudgetSpent, Verifier
from engine.verifiers.default_verifier import verifier_for
from engine.verifiers.parallel_judging import busy, fed, open_pool
from engine.workspace.workspace import Workspace

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool


TAILS = ("straight", "joined", "repaired", "as_found", "left_out")
"""What `revise --json` counts of tails."""


def verifier_that_can(sources: Sequence[Path], environment: str | None, broken: BrokenFiles) -> str:
    """Returns the verifier for these sources where nobody named one; prints a line where it is not the usual one.

    `sources`: traces and tree files. `environment`: its name; None: the sources' own. `broken`: takes the sources that
    can't be read.
    """
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
    """Raises `UntrustedTrace`, before anything is written, if the environment of a trace needs permission.

    `sources`: traces and tree files. `environment`: the one that the person named; None: none. `broken`: takes the
    sources that can't be read.
    """
    for path in sources:
        first = broken.first(path)
        if first is not None and (environment is not None or at_hand(name_to_open(first))):
            permit(environment or name_to_open(first), first, [{"env": environment}], path)


def confirm_repairs(sources: Sequence[Path], settings: ReviseSettings, yes: bool, broken: BrokenFiles) -> None:
    """Say what repairs by a model may cost. Raises `InputError` where nobody said yes.

    `sources`: traces and tree files. `settings`: of the run. `yes`: whether `--yes` was given. `broken`: takes the
    sources that can't be read.
    """
    if settings.repair is None or not settings.repair.paid or settings.compat:
        return
    trees = (source.tree for _, source in broken.each(sources, settings.environment))
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
    """Write a run over these sources; returns its id and figures.

    `workspace`: takes the run. `sources`: traces and tree files. `settings`: of the run. `quiet`: whether to print
    nothing but warnings. `pairs`: about how many there are, for the progress bar; 0: not known. `broken`: takes the
    sources that can't be read; None: `InputError` for the first.
    """
    broken = BrokenFiles(sources) if broken is None else broken
    cache = workspace.judgements
    judge = {"base_url": settings.judge.base_url, "key_env": settings.judge.key_env}
    actor = {"actor": settings.repair.actor} if settings.repair is not None else {}
    own = [own_settings(workspace.path), judge, actor] if settings.repair is not None else []
    check_environments(sources, settings.environment, broken)
    decisions = Decisions(workspace.decisions)
    for warning in decisions.warnings:
        warn(warning)
    current = decisions.current()
    pool = open_pool(settings.judge, settings.verifier) if settings.verify else None
    shares = pool is not None and settings.seam == settings.verifier  # one budget
    seam_pool = pool if shares else open_pool(settings.judge, settings.seam) if settings.seam else None
    shared = SharedByTrees(
        marks=curation.marks_of(current),
        cache=cache,
        repair=repairer(workspace.traces / FOLDER, settings, own),
        duplicates=Duplicates(settings.duplicates) if settings.duplicates and not settings.compat else None,
        decided=current.keys(),
        seam_pool=seam_pool,
    )
    try:
        readable = [str(path) for path in sources if path not in broken]
        with workspace.new_run(settings, readable) as run, progress(pairs, pool) as done:
            for path, source, verifier in _opened(sources, settings, cache, pool, broken):
                for warning in source.warnings:
                    warn(warning)
                where = str(real_path(path))
                made = revise_tree(source.tree, where, settings, run.figures, shared, verifier=verifier)
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
        lessons = "" if settings.compat else f" {many(figures.lessons, 'lesson')},"  # which the original knows none of
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(figures.by_verdict.items()))
        say(
            f"run {run.id}: {many(figures.pairs, 'pair')},{lessons}"
            f" {many(figures.samples, 'sample')}"
            f" ({verdicts or 'none'})"
        )
        say(
            f"  {many(figures.before_fork, 'wrong step')} that the good trajectory shares,"
            f" {figures.no_wrong_step:,} without a wrong step, {figures.refused:,} refused,"
            f" {many(figures.good, 'good trajectory', 'good trajectories')}"
        )
        tails = ", ".join(
            f"{figures.tails[name]} {name.replace('_', ' ')}" for name in TAILS if figures.tails.get(name)
        )
        if tails:
            say(f"  tails: {tails}; {many(figures.steps, 'environment step')}")
        if figures.seams:
            words = ", ".join(f"{count} {word}" for word, count in sorted(figures.seams.items()))
            say(f"  seams that nobody replayed, as a model judges them: {words}")
        if figures.judging is not None:
            say(f"  model: {format_totals(figures.judging)}")
        if figures.repairs is not None:
            mended = figures.repairs
            why = "".join(f", {count} not: {reason}" for reason, count in sorted(mended.failed.items()))
            searches, calls = many(mended.tried, "search", "searches"), many(mended.calls, "call")
            say(f"  repair: {mended.repaired:,} of {searches}, {calls}{why}")
        if figures.dropped:
            say("  left out: " + ", ".join(f"{count} {why}" for why, count in sorted(figures.dropped.items())))
    return run.id, figures


def _opened(
    sources: Sequence[Path], settings: ReviseSettings, cache: Path, pool: JudgePool | None, broken: BrokenFiles
) -> Iterator[tuple[Path, Source, Verifier | None]]:
    """The sources in their order; where a model judges, the next ones are read and begun with meanwhile."""

    def read() -> Iterator[tuple[Path, Source, Verifier | None]]:
        for path, source in broken.each(sources, settings.environment):
            yield path, source, begun_verifier(source.tree, settings, cache, pool) if pool is not None else None

    return read() if pool is None else fed(read(), busy(pool, settings.judge))
