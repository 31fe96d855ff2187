"""The command `revise`: samples from the pairs of trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.judge_options import (
    JudgeFlags,
    complain,
    confirm,
    judge_figures,
    price_of_all,
    price_of_all_seams,
)
from agentr_tui.cli.model_options import YesOption
from agentr_tui.cli.options import (
    JsonOption,
    WorkspaceOption,
)
from agentr_tui.cli.revise_options import ReviseFlags, revise_settings_of
from agentr_tui.cli.revising import TAILS, confirm_repairs, revise_paths, verifier_that_can
from agentr_tui.cli.rollouts import MapOption, MergeOption, ReadAsOption, RewardOption, options_of, with_stored
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json
from engine.trace.sources import find_sources
from engine.verifiers.default_verifier import DEFAULT
from engine.verifiers.parallel_judging import is_model, judge_named
from engine.verifiers.registry import check_seam
from engine.workspace.workspace import Workspace


def revise(
    paths: Annotated[list[Path], Parameter(help="Traces, tree files or folders.")],
    /,
    *,
    flags: Annotated[ReviseFlags | None, Parameter(name="*")] = None,
    judge: Annotated[JudgeFlags | None, Parameter(name="*")] = None,
    yes: YesOption = False,
    json: JsonOption = False,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    merge: MergeOption = "action",
    reward: RewardOption = None,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Make revision samples from the wrong steps in traces, tree files or rollouts of other harnesses."""
    given: ReviseFlags = flags or {}
    check_seam(given.get("seam", ""))
    paths, _ = with_stored(paths, options_of(read_as, map_, merge, reward), workspace, quiet=json)
    sources, broken = find_sources(paths), BrokenFiles(paths)
    verifier = given.get("verifier")
    if verifier is None:
        verifier = verifier_that_can(sources, given.get("env"), broken) if given.get("verify", True) else DEFAULT
    settings = revise_settings_of(given, judge, verifier)
    place = Workspace.open(workspace, create=True)
    pairs = 0
    if settings.verify and is_model(settings.verifier):
        price = price_of_all(sources, settings, place.judgements, broken)
        confirm(price, judge_named(settings.judge, settings.verifier), yes)
        pairs = price.pairs
    if settings.seam:
        named = judge_named(settings.judge, settings.seam)
        confirm(price_of_all_seams(sources, settings, broken), named, yes)
    confirm_repairs(sources, settings, yes, broken)
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
    return complain(figures.judging, bool(settings.judge.structured)) or broken.code
