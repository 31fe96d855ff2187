"""Options of `revise`: one for each field of its settings."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.judge_options import BeforeForkOption, JudgeFlags, JudgePromptsOption, judge_of
from agentr_tui.cli.options import (
    INPUT,
    JUDGE,
    PAIRS,
    REPAIR,
    SAMPLES,
    AlphaOption,
    BetaOption,
    MaxPairsOption,
    option_of,
)
from engine.base.errors import InputError, refused_value
from engine.pairs.ranking import Rank
from engine.samples.settings import Context, NoWrongStep, RepairSettings, ReviseSettings, RevisionTurn, Tails

_option = partial(option_of, ReviseSettings)
_repair_option = partial(option_of, RepairSettings)

REPAIR_FIELDS = ("iterations", "calls", "actor")
"""Fields of `RepairSettings` with an option, `--repair-…`."""


class ReviseFlags(TypedDict, total=False):
    """One option for each field of `ReviseSettings`, but for those of the judge."""

    alpha: AlphaOption
    beta: BetaOption
    verifier: Annotated[
        Literal["progress", "value", "openai", "human"] | str,
        Parameter(
            group=JUDGE,
            show_choices=False,
            help="Verifier of the first wrong step: progress, value, openai, human, recorded:FILE or noisy:RATE."
            " The default is progress, or value if the environment has no plan.",
        ),
    ]
    verify: Annotated[
        bool,
        _option(
            JUDGE,
            "verify",
            "Mark the first wrong step. With --no-verify, the whole bad trajectory is kept (direct revision).",
        ),
    ]
    compat: Annotated[bool, _option(PAIRS, "compat", "Make the same lines as the original, its faults included.")]
    before_fork: BeforeForkOption
    env: Annotated[
        str, Parameter(group=INPUT, help="Environment to replay in. The default is the tree's own, or recognised.")
    ]
    max_pairs: MaxPairsOption
    seed: Annotated[int, _option(SAMPLES, "seed", "Seed of the choice of thoughts.")]
    no_wrong_step: Annotated[
        NoWrongStep,
        _option(
            SAMPLES,
            "no_wrong_step",
            "What becomes of a pair without a wrong step: skip leaves it out of exports, whole keeps all of it.",
        ),
    ]
    thought: Annotated[
        str,
        _option(
            SAMPLES,
            "thought",
            "Revision thought: reason (names the mistake), list (one of the list), model, or a number in the list.",
        ),
    ]
    rank: Annotated[
        Rank,
        _option(
            PAIRS,
            "rank",
            "Order in which pairs are tried: lesson goes over wrong actions, the others over pairs, best first.",
        ),
    ]
    revision_turn: Annotated[
        RevisionTurn,
        _option(
            SAMPLES,
            "revision_turn",
            "Turn of the revision thought: own (answered by `ok.`) or merged (into the next right step)."
            " The default is merged for agents that call tools, else own.",
        ),
    ]
    tail: Annotated[
        Tails,
        _option(
            SAMPLES,
            "tail",
            "Good tail: straight (only the steps that are needed), repaired (always from a search) or as-found.",
        ),
    ]
    context: Annotated[
        Context,
        _option(SAMPLES, "context", "Steps before the mark: straight leaves out other mistakes that changed nothing."),
    ]
    per_lesson: Annotated[
        int,
        _option(
            SAMPLES, "per_lesson", "Maximum samples of one lesson (a state and a wrong action). With 0, all are kept."
        ),
    ]
    unfinished: Annotated[bool, _option(SAMPLES, "unfinished", "Include wrong steps whose trajectory did not end.")]
    per_tree: Annotated[int, _option(SAMPLES, "per_tree", "Maximum samples of each tree.")]
    per_fork: Annotated[int, _option(SAMPLES, "per_fork", "Maximum samples of each fork.")]
    diverse: Annotated[bool, _option(SAMPLES, "diverse", "Take every wrong step once in each tree.")]
    duplicates: Annotated[
        float,
        Parameter(
            group=SAMPLES,
            show_default="0.0",
            help="Jaccard similarity from which samples count as duplicates, for example 0.9. With 0, all are kept.",
        ),
    ]
    repair: Annotated[
        bool,
        Parameter(
            group=REPAIR,
            help="Search for a good tail where there is no clean one. The default is to do so where no model is paid.",
        ),
    ]
    repair_iterations: Annotated[int, _repair_option(REPAIR, "iterations", "Iterations of each repair search.")]
    repair_calls: Annotated[int, _repair_option(REPAIR, "calls", "Maximum calls of each repair search.")]
    repair_actor: Annotated[
        str, _repair_option(REPAIR, "actor", "Actor of repair searches. The default is the trace's own.")
    ]
    seam: Annotated[
        str,
        Parameter(
            group=JUDGE,
            show_default=False,
            help="Model that judges whether the tails of unreplayed samples can follow: openai or openai:MODEL.",
        ),
    ]
    prompts: JudgePromptsOption


def revise_settings_of(flags: ReviseFlags, judge: JudgeFlags | None, verifier: str) -> ReviseSettings:
    """Returns the settings that the options make. Raises `InputError` that names an unusable option.

    `flags`: the options that were given. `judge`: those of the judge. `verifier`: the one to use.
    """
    values: dict[str, Any] = {**flags, "verifier": verifier, "judge": judge_of(judge)}
    if values.get("max_pairs", 1) < 1:
        raise InputError("--max-pairs must be at least 1")
    values["environment"] = values.pop("env", None)
    wanted: bool | None = values.pop("repair", None)
    repair = {name: values.pop(f"repair_{name}") for name in REPAIR_FIELDS if f"repair_{name}" in values}
    values["repair"] = None if wanted is False else {**repair, "paid": bool(wanted)}
    try:
        return msgspec.convert(msgspec.to_builtins(values), ReviseSettings)
    except msgspec.ValidationError as error:
        raise InputError("option {} of revise: {}".format(*refused_value(error))) from error


def revise_defaults() -> dict[str, Any]:
    """Returns the value of each option that was not given, where it is the same for every tree."""
    values = msgspec.to_builtins(ReviseSettings())
    del values["verifier"]  # chosen by what the environments can
    repair = values.pop("repair")
    return {**values, "duplicates": 0.0, **{f"repair_{name}": repair[name] for name in REPAIR_FIELDS}}
