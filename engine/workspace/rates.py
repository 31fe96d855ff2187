"""What a dataset costs: good leaves, pairs, lessons and verified lessons per 1,000 calls, million tokens and dollar."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from msgspec import Struct

from engine.base.errors import InputError
from engine.base.untrusted_files import real_path
from engine.environment.replay import HOLDS
from engine.samples.sample import Sample
from engine.workspace.figures import Total, TraceFigures
from engine.workspace.workspace import Workspace

REPAIRS = "repairs"
"""Folder of the searches that repaired samples (`engine.recovery.repair`)."""


class Rate(Struct, kw_only=True, frozen=True):
    """A count, and what each unit of cost gave of it. None: the cost is unknown, or 0."""

    count: int
    per_1000_calls: float | None
    per_million_tokens: float | None
    per_dollar: float | None


class Verified(Struct, kw_only=True, frozen=True):
    """What the newest runs of `revise` hold of some traces."""

    lessons: int = 0  # different ones, with a sample that holds in a replay
    traces: int = 0  # that a run was made over
    repair_calls: int = 0  # of the actor, in these runs


def is_verified(sample: Sample) -> bool:
    """Whether a sample teaches a lesson and holds in a replay."""
    return bool(sample.lesson) and sample.mark is not None and sample.verdict in HOLDS


def verified_in(workspace: Workspace, rows: Sequence[TraceFigures]) -> Verified | None:
    """The verified lessons of these traces by the newest runs of the workspace; None where there is no run of them."""
    if not workspace.path.is_dir() or not workspace.has_runs():
        return None
    try:
        selection = workspace.select()
    except InputError:
        return None
    wanted = {row.trace for row in rows}
    samples = [sample for sample in selection.samples if sample.trace in wanted]
    if not samples and _given([row.path for row in rows]).isdisjoint(_given(selection.paths)):
        return None
    runs = {selection.run_of(sample).id: selection.run_of(sample) for sample in samples}
    repairs = (info.figures.repairs for info in runs.values() if info.figures is not None)
    counted = any(REPAIRS in Path(row.path).parts for row in rows)  # their calls are among the traces'
    return Verified(
        lessons=len({sample.lesson for sample in samples if is_verified(sample)}),
        traces=len({sample.trace for sample in samples}),
        repair_calls=0 if counted else sum(each.calls for each in repairs if each is not None),
    )


def _given(paths: Collection[str]) -> set[str]:
    return {str(real_path(path)) for path in paths}


def rate(count: int, calls: int, tokens: int | None, cost: float | None) -> Rate:
    """Returns a count by what it cost; None where a cost is zero or not known.

    `count`: what was got. `calls`: to models. `tokens`: in and out. `cost`: US dollars.
    """
    return Rate(
        count=count,
        per_1000_calls=1000 * count / calls if calls else None,
        per_million_tokens=1_000_000 * count / tokens if tokens else None,
        per_dollar=count / cost if cost else None,
    )


def rates(total: Total, verified: Verified | None) -> dict[str, Rate]:
    """Returns the rates of some traces together. Verified lessons are counted where `revise` was run; its repairs'
    calls count."""
    known = total.tokens_in is not None or total.tokens_out is not None
    tokens = (total.tokens_in or 0) + (total.tokens_out or 0) if known else None
    counts = {"good": total.good, "pairs": total.pairs, "lessons": total.lessons}
    found = {name: rate(count, total.calls, tokens, total.cost) for name, count in counts.items()}
    if verified is not None:
        calls = total.calls + verified.repair_calls
        found["verified_lessons"] = rate(verified.lessons, calls, tokens, total.cost)
    return found
