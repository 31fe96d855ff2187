"""Searches of several kinds on the same tasks: what they gave per call, with intervals, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from engine.base.errors import InputError
from engine.base.intervals import Interval, bootstrap
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.trace.sources import Source
from engine.tree.tree import SearchTree
from engine.workspace.figures import TraceFigures, figures
from engine.workspace.rates import is_verified

By = Literal["algorithm", "folder", "actor", "model", "error-rate", "max-depth", "seed"]
"""What tells the groups apart: a setting of the search, or the folder of the trace."""

Task = tuple[str, str]
"""Environment and task."""


class OfTask(Struct):
    """What the searches of one group gave for one task."""

    calls: int = 0
    good: int = 0
    lessons: int = 0
    verified: int = 0
    best: float | None = None  # the best return, on a scale of 0 to 1

    def add(self, other: OfTask) -> None:
        """Add another search."""
        self.calls += other.calls
        self.good += other.good
        self.lessons += other.lessons
        self.verified += other.verified
        if other.best is not None:
            self.best = other.best if self.best is None else max(self.best, other.best)


class Group(Struct, kw_only=True):
    """One kind of search."""

    name: str
    traces: int
    tasks: int
    calls: int
    solved: float  # share of tasks with a good leaf
    per_1000_calls: dict[str, Interval]  # good, lessons, verified_lessons
    best: Interval | None  # mean best return


class Against(Struct, kw_only=True):
    """One kind of search against the first, over the tasks that both searched."""

    name: str
    against: str
    tasks: int
    ratio: dict[str, Interval]  # of what they gave per call: good, lessons, verified_lessons
    best: Interval | None  # difference of the mean best return, task by task


class Comparison(Struct, kw_only=True):
    """Groups of searches, the first of which the others are compared with."""

    by: str
    groups: list[Group]
    against: list[Against]


NAMES = {"good": "good", "lessons": "lessons", "verified": "verified_lessons"}
"""Counts of `OfTask`, and what they are called in results."""


def group_of(source: Source, by: By) -> str:
    """The group of a trace."""
    started = source.tree.started
    assert started is not None
    if by == "folder":
        return Path(source.path).parent.name
    return str(getattr(started.settings, by.replace("-", "_")))


def verified_lessons(tree: SearchTree, path: str) -> int:
    """Different lessons whose samples hold in a replay, without repairs: nothing is asked and nothing written."""
    samples = revise(tree, path, ReviseSettings(repair=None), Revised())
    return len({sample.lesson for sample in samples if is_verified(sample)})


def of_trace(source: Source, row: TraceFigures, verify: bool) -> OfTask:
    """Returns what one search gave.

    `source`: the search. `row`: its figures. `verify`: whether to count verified lessons, which replays samples.
    """
    started = source.tree.started
    assert started is not None
    low, high = started.score_range
    best = None if row.best_return is None or high <= low else (row.best_return - low) / (high - low)
    verified = verified_lessons(source.tree, source.path) if verify else 0
    return OfTask(row.calls, row.good, row.lessons, verified, best)


def compare_traces(sources: Iterable[Source], by: By, verify: bool = False) -> Comparison:
    """Compare searches group by group; the others are compared with the group of the first trace. Raises `InputError`
    where there is only one group.

    `sources`: the searches. `by`: what makes the groups. `verify`: also count verified lessons, which replays samples
    in the environments.
    """
    groups: dict[str, dict[Task, OfTask]] = {}
    traces: dict[str, int] = {}
    for source in sources:
        row, name = figures(source), group_of(source, by)
        traces[name] = traces.get(name, 0) + 1
        known = groups.setdefault(name, {}).setdefault((row.env, row.task), OfTask())
        known.add(of_trace(source, row, verify))
    if len(groups) < 2:
        only = next(iter(groups), "")
        raise InputError(
            f"all traces have the same {by} ({only}): there is nothing to compare; choose another with --by"
        )
    counts = [count for count in NAMES if verify or count != "verified"]
    (first, of_first), *others = groups.items()
    return Comparison(
        by=by,
        groups=[_group(name, traces[name], list(tasks.values()), counts) for name, tasks in groups.items()],
        against=[_against(name, tasks, first, of_first, counts) for name, tasks in others],
    )


def _group(name: str, traces: int, rows: Sequence[OfTask], counts: Sequence[str]) -> Group:
    best = [row.best for row in rows if row.best is not None]
    return Group(
        name=name,
        traces=traces,
        tasks=len(rows),
        calls=sum(row.calls for row in rows),
        solved=sum(row.good > 0 for row in rows) / len(rows),
        per_1000_calls=_known({NAMES[count]: bootstrap(rows, _per_thousand(count)) for count in counts}),
        best=bootstrap(best, _mean) if best else None,
    )


def _against(
    name: str, tasks: dict[Task, OfTask], first: str, of_first: dict[Task, OfTask], counts: Sequence[str]
) -> Against:
    shared = [(tasks[task], of_first[task]) for task in tasks if task in of_first]
    best = [mine.best - other.best for mine, other in shared if mine.best is not None and other.best is not None]
    return Against(
        name=name,
        against=first,
        tasks=len(shared),
        ratio=_known({NAMES[count]: bootstrap(shared, _ratio(count)) for count in counts}),
        best=bootstrap(best, _mean) if best else None,
    )


def _known(found: dict[str, Interval | None]) -> dict[str, Interval]:
    return {name: interval for name, interval in found.items() if interval is not None}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _per_thousand(count: str) -> Callable[[Sequence[OfTask]], float | None]:
    def figure(rows: Sequence[OfTask]) -> float | None:
        calls = sum(row.calls for row in rows)
        return 1000 * sum(getattr(row, count) for row in rows) / calls if calls else None

    return figure


def _ratio(count: str) -> Callable[[Sequence[tuple[OfTask, OfTask]]], float | None]:
    per_thousand = _per_thousand(count)

    def figure(pairs: Sequence[tuple[OfTask, OfTask]]) -> float | None:
        mine, other = per_thousand([pair[0] for pair in pairs]), per_thousand([pair[1] for pair in pairs])
        return mine / other if mine is not None and other else None

    return figure
