"""The command `revise`: samples from the pairs of trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.commands.judge_options import (
    BeforeForkOption,
    JudgeFlags,
    JudgePromptsOption,
    complain,
    confirm,
    judge_figures,
    judge_of,
    price_of_all,
    price_of_all_seams,
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
    MaxPairsOption,
    WorkspaceOption,
)
from agentr_tui.cli.revising import TAILS, confirm_repairs, revise_paths, verifier_that_can
from agentr_tui.cli.rollouts import MapOption, MergeOption, ReadAsOption, RewardOption, options_of, with_stored
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json
from engine.base.errors import InputError
from engine.pairs.ranking import Rank
from engine.samples.settings import Context, NoWrongStep, RepairSettings, ReviseSettings, RevisionTurn, Tails
from engine.trace.sources import find_sources
from engine.verifiers.choice import DEFAULT
from engine.verifiers.judging import is_model, judge_named
from engine.verifiers.registry import check_seam
from engine.workspace.workspace import Workspace

if TYPE_CHECKING:  # the client library takes half a second to import
    pass


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
    before_fork: BeforeForkOption = "recover",
    env: Annotated[
        str | None,
        Parameter(
            group=INPUT, name="--env", help="Environment to replay in. The default is the tree's own, or recognised."
        ),
    ] = None,
    max_pairs: MaxPairsOption = None,
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
    prompts: JudgePromptsOption = "",
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
        verifier = verifier_that_can(sources, env, broken) if verify else DEFAULT
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
