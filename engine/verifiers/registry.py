"""The verifier of a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.environment.opened import Opened
from engine.environment.states import States
from engine.pairs.pairs import Pair
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import JudgeSettings, Verifier
from engine.verifiers.human import HumanVerifier
from engine.verifiers.judge_reply import Word as Word
from engine.verifiers.parallel_judging import is_model
from engine.verifiers.progress import ProgressVerifier
from engine.verifiers.recorded import RecordedVerifier
from engine.verifiers.value import ValueVerifier

if TYPE_CHECKING:
    from engine.verifiers.judge_pool import JudgePool
    from engine.verifiers.seam_judge import SeamJudge


NAMES = ("progress", "value", "openai", "openai:MODEL", "human", "recorded:FILE", "noisy:RATE")

OTHERS: dict[str, Callable[[SearchTree], Verifier]] = {}
"""Verifiers that a program added (`register`), by name."""


def register(name: str, make: Callable[[SearchTree], Verifier]) -> None:
    """Give a verifier a name for `--verifier`; `make` gets the tree whose trajectories it judges."""
    OTHERS[name] = make


def make_verifier(
    name: str,
    tree: SearchTree,
    thresholds: Thresholds,
    open_environment: Callable[[], Opened],
    marks: Callable[[Pair], int | None] = lambda pair: None,
    *,
    judge: JudgeSettings | None = None,
    prompts: str = "",
    cache: Path | None = None,
    pool: JudgePool | None = None,
    states: States | None = None,
) -> Verifier:
    """Returns the verifier of a name for one tree. Raises `InputError` with the names there are.

    `name`: of the verifier. `tree`: the search. `thresholds`: which leaves are good, for `value`. `open_environment`:
    opens the tree's environment, for `progress`. `marks`: returns a person's mark of a pair, for `human`. Only for
    `openai`: `judge` (its settings), `prompts` (a folder whose files replace prompts), `cache` (the folder of
    judgements) and `pool` (makes the calls that several trees share). `states`: those of the tree, for verifiers that
    look into the environment; None: found when needed.
    """
    if name == "progress":
        return ProgressVerifier(tree, open_environment, states)
    if name == "value":
        return ValueVerifier(tree, thresholds)
    if name == "human":
        return HumanVerifier(marks)
    if name.startswith("recorded:"):
        return RecordedVerifier(tree, name.removeprefix("recorded:"), thresholds.compat)
    if name == "openai" or name.startswith("openai:"):
        from engine.verifiers.openai_judge import OpenAIVerifier  # its client library takes half a second to import

        judge = judge or JudgeSettings()
        model = name.removeprefix("openai").removeprefix(":") or judge.model
        return OpenAIVerifier(tree, replace(judge, model=model), prompts, cache, pool)
    if name.startswith("noisy:"):
        from engine.verifiers.noisy import NoisyVerifier

        return NoisyVerifier(tree, ProgressVerifier(tree, open_environment, states), name.removeprefix("noisy:"))
    if name in OTHERS:
        return OTHERS[name](tree)
    raise InputError(f"unknown verifier {name!r}: one of {', '.join((*NAMES, *OTHERS))}")


def check_seam(seam: str) -> None:
    """Raises `InputError` where `seam` names no model to judge seams."""
    if seam and not is_model(seam):
        raise InputError(f"--seam {seam}: openai or openai:MODEL")


def make_seam_judge(
    seam: str, tree: SearchTree, judge: JudgeSettings, prompts: str = "", cache: Path | None = None,
    pool: JudgePool | None = None,
) -> SeamJudge | None:  # fmt: skip
    """Returns what judges the seams of a tree's unreplayed splices; None where `seam` is empty. Raises `InputError`.

    `seam`: `openai` or `openai:MODEL`. `tree`: the search. `judge`: settings of the model. `prompts`: a folder whose
    files replace prompts. `cache`: the folder of replies; None: keep none. `pool`: makes the calls; None: its own.
    """
    check_seam(seam)
    if not seam:
        return None
    from engine.verifiers.seam_judge import SeamJudge  # its client library takes half a second to import

    return SeamJudge(tree, seam, judge, prompts, cache, pool)
