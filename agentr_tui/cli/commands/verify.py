"""The command `verify`: one verifier's marks against another's, or a person's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.judge_options import (
    BeforeForkOption,
    JudgeFlags,
    JudgePromptsOption,
    complain,
    confirm,
    format_totals,
    judge_figures,
    judge_of,
    price_of_all,
    progress,
)
from agentr_tui.cli.model_options import YesOption
from agentr_tui.cli.options import INPUT, JUDGE, AlphaOption, BetaOption, JsonOption, MaxPairsOption, WorkspaceOption
from agentr_tui.cli.rollouts import with_stored
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError
from engine.base.text import many
from engine.imports.trees import ImportOptions
from engine.review.curation import marks_of
from engine.review.decisions import Decisions
from engine.review.verifier_report import NOT_JUDGED, VerifyReport, measure
from engine.samples.settings import ReviseSettings
from engine.trace.sources import find_sources
from engine.tree.tree import SearchTree
from engine.verifiers.judge_price import JudgePrice
from engine.verifiers.parallel_judging import is_model, open_pool
from engine.workspace.workspace import Workspace

_NAMES = "progress, value, openai, openai:MODEL, human, recorded:FILE or noisy:RATE"


def verify(
    paths: Annotated[list[Path], Parameter(help="Traces, tree files, rollouts or folders.")],
    /,
    *,
    against: Annotated[str, Parameter(group=JUDGE, help=f"Verifier taken as right: {_NAMES}.")],
    verifier: Annotated[str, Parameter(group=JUDGE, help=f"Verifier to measure: {_NAMES}.")] = "progress",
    alpha: AlphaOption = None,
    beta: BetaOption = None,
    before_fork: BeforeForkOption = "recover",
    env: Annotated[
        str | None,
        Parameter(group=INPUT, name="--env", help="Environment of tree files. The default is to recognise it."),
    ] = None,
    max_pairs: MaxPairsOption = None,
    judge: Annotated[JudgeFlags | None, Parameter(name="*")] = None,
    prompts: JudgePromptsOption = "",
    yes: YesOption = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Compare one verifier's marks with another's, or with a person's."""
    if max_pairs is not None and max_pairs < 1:
        raise InputError("--max-pairs must be at least 1")
    settings = judge_of(judge)
    measured, taken = (
        ReviseSettings(
            verifier=name,
            alpha=alpha,
            beta=beta,
            before_fork=before_fork,
            environment=env,
            max_pairs=max_pairs,
            judge=settings,
            prompts=prompts,
        )
        for name in (verifier, against)
    )
    paths, _ = with_stored(paths, ImportOptions(), workspace, quiet=json)
    sources, broken = find_sources(paths), BrokenFiles(paths)
    cache = Workspace(workspace).judgements
    price = JudgePrice()
    for each in {each.verifier: each for each in (measured, taken) if is_model(each.verifier)}.values():
        price.include(price_of_all(sources, each, cache, broken))
    confirm(price, settings, yes)
    decisions = Decisions(workspace / "decisions")
    for warning in decisions.warnings:
        warn(warning)
    marks = marks_of(decisions.current())
    pool = open_pool(settings, verifier, against)
    try:
        with progress(price.pairs, pool) as done:
            report = measure(
                _trees(sources, env, broken), measured, taken, marks, cache, pool,
                lambda report: done(report.pairs + report.left_out + report.refused),
            )  # fmt: skip
    finally:
        if pool is not None:
            pool.close()
    if json:
        emit_json(
            {
                **msgspec.to_builtins(report),
                "judge": judge_figures(report.judging),
                **broken.as_json(),
            }
        )
    else:
        _say(report)
    return complain(report.judging, bool(settings.structured)) or broken.code


def _trees(sources: list[Path], environment: str | None, broken: BrokenFiles) -> Iterator[SearchTree]:
    for _, source in broken.each(sources, environment):
        for warning in source.warnings:
            warn(warning)
        yield source.tree


def _say(report: VerifyReport) -> None:
    refused = f", {report.refused} with a mark not after the fork" if report.refused else ""
    leaves = many(report.bad_leaves, "bad leaf", "bad leaves")
    say(
        f"{report.verifier} against {report.against}: {many(report.pairs, 'pair')} ({leaves}) of"
        f" {many(report.traces, 'tree')}; left out: {report.left_out} not marked{refused}"
    )
    both = report.same + report.early + report.late
    table(
        ["", "", ""],
        [
            ["precision", _share(report.precision), f"{report.same} of {report.marked} marks of {report.verifier}"],
            ["recall", _share(report.recall), f"{report.same} of {report.marked_against} marks of {report.against}"],
            ["exact", _share(report.exact), f"the same mark, or none ({report.neither})"],
            ["distance", "–" if report.distance is None else f"{report.distance:.2f}", _where(report, both)],
        ],
        right=[1],
    )
    columns = [word for word in ("Good", "Bad", "Uncertain", NOT_JUDGED) if _any(report, word)]
    say()
    table(
        [f"{report.against} ↓  {report.verifier} →", *columns],
        [[row, *(str(report.confusion.get(row, {}).get(word, 0)) for word in columns)] for row in columns],
        right=range(1, len(columns) + 1),
    )
    if report.judging is not None:
        say()
        say(format_totals(report.judging))


def _any(report: VerifyReport, word: str) -> bool:
    return word in report.confusion or any(word in row for row in report.confusion.values())


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _where(report: VerifyReport, both: int) -> str:
    return (
        f"steps, of {both} marks of both; {report.within_one} at most one apart,"
        f" {report.early} early, {report.late} late"
    )
