"""`trl-dpo`: preferences for TRL's DPO trainer, from the fork on.

The prompt is what the good and the bad trajectory share; `chosen` and `rejected` are what follows in each. The revision
thought has no place here, nor has the mark.

DPO has no mask: TRL counts every token after the prompt, the environment's replies among them. With `first_step` only
the first step after the fork is kept, in which nothing but the actor speaks.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.datasets.formats.base import Format, Item, Record, register
from engine.datasets.formats.masks import plain
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.ready import ready
from engine.datasets.formats.rules import SHAPE
from engine.datasets.formats.tokens import fitting
from engine.datasets.formats.trl_sft import prompted_problems
from engine.samples.splice import Turn, trajectory_turns

SAME = "chosen and rejected are the same"
NO_TAIL = "no step after the fork"


def build(item: Item, options: FormatOptions) -> list[Record]:
    """One record; none where a tail has no step, or its first does not fit."""
    sample, tree = item.sample, item.tree
    if sample.bad is None:
        return []
    good, bad = (ready(trajectory_turns(tree, leaf), options) for leaf in (sample.good, sample.bad))
    # a step is two messages; the header and the steps before the root come first in both
    shared = len(ready(trajectory_turns(tree, sample.fork), options))
    chosen, rejected = tail(good, shared, options), tail(bad, shared, options)
    if not chosen or not rejected:
        return []
    return [{"prompt": plain(good[:shared]), "chosen": plain(chosen), "rejected": plain(rejected)}]


def tail(turns: Sequence[Turn], shared: int, options: FormatOptions) -> list[Turn]:
    """What follows the shared turns, within the length."""
    wanted = turns[: shared + 1] if options.first_step else turns
    return fitting(wanted, options.max_length, options.measure, options.markup)[shared:]


def validate(record: Record) -> list[str]:
    """What is wrong with a record."""
    if tuple(record) != ("prompt", "chosen", "rejected"):
        return [SHAPE]
    problems = [
        problem for side in ("chosen", "rejected") for problem in prompted_problems(record["prompt"], record[side])
    ]
    if record["chosen"] == record["rejected"]:
        problems.append(SAME)
    return list(dict.fromkeys(problems))


register(
    Format(
        name="trl-dpo",
        summary="prompt, chosen and rejected from the fork on, for TRL's DPO trainer",
        array=False,
        extension=".jsonl",
        data_types=("centric",),
        mask="none: DPO compares all tokens after the prompt, the environment's replies too; with --first-step only the"
        " first step after the fork is there",
        validate=validate,
        build=build,
        empty=NO_TAIL,
        columns=True,
        trainer="trl-dpo",
    )
)
