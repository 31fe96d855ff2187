"""Figures of traces and tree files: what `stats` prints and the library lists."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import pstdev
from typing import Any, Literal

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, NoFile
from engine.base.sums_with_unknowns import known_sum
from engine.base.untrusted_files import UNREADABLE, what_is
from engine.pairs.pairs import count_by_chance, count_pairs, return_of
from engine.samples.lessons import known_lessons
from engine.trace.sources import Source, load_any
from engine.trace.trace_file import NoEvents, is_being_written, trace_state
from engine.tree.answer_counts import AnswerCounts
from engine.tree.events import Started
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace

STATES = ("running", "done", "stopped", "crashed")
State = Literal["running", "done", "stopped", "crashed"]
KIND = "figures"
"""Of what the index keeps of a trace."""

MANY = 200
"""Files from which on all figures of the index are read at once."""


class TraceFigures(Struct, kw_only=True):
    """Figures of one trace. What is unknown is None, never 0."""

    path: str
    trace: str  # id
    env: str
    task: str
    state: State
    algorithm: str
    nodes: int  # the root included
    leaves: int  # terminal nodes with a return
    good: int  # leaves whose Q is above the default alpha
    bad: int  # all others
    best_return: float | None
    max_depth: int  # of the deepest node
    pairs: int  # with the default alpha and beta
    calls: int  # answers that the trace records
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None  # of tokens_in, as far as servers tell
    cost: float | None  # US dollars
    failures: int  # failed draws
    answers: AnswerCounts  # how they went
    steps_per_node: float | None  # environment steps for each node that was made
    resets_per_node: float | None
    seconds: float | None  # from the start to the last event
    lessons: int = 0  # wrong actions, each in each state once, that the tree alone tells of (`known_lessons`)
    lessons_by_depth: dict[int, int] = {}
    wrong_actions: int = 0  # different ones among the lessons
    disasters: int = 0  # leaves whose score fell below 0
    repeats: int = 0  # draws that said what an earlier draw of their node had said
    duplicates: int = 0  # nodes in a state in which another node was before
    seconds_of_calls: float | None = None  # that answers took, added up; overlapping calls count each
    source: str = ""  # format of an import; "" of a search
    attempts: int = 0  # of an import: equal ones count each
    solved: int = 0  # of these, how many have a return above the default alpha
    scored: int = 0  # and how many have one at all
    spread: float | None = None  # standard deviation of their returns
    cut_off: int = 0  # ended by a limit
    by_chance: int = 0  # pairs that are none, because no decision parts them


class Total(Struct, kw_only=True):
    """Figures of several traces together. Sums leave out what is unknown; None where nothing is known."""

    traces: int = 0
    states: dict[str, int] = {}
    nodes: int = 0
    leaves: int = 0
    good: int = 0
    bad: int = 0
    best_return: float | None = None
    max_depth: int = 0
    pairs: int = 0
    calls: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    cost: float | None = None
    failures: int = 0
    answers: AnswerCounts = msgspec.field(default_factory=AnswerCounts)
    steps_per_node: float | None = None  # over all nodes of the traces that know it
    resets_per_node: float | None = None
    seconds: float | None = None
    lessons: int = 0
    lessons_by_depth: dict[int, int] = {}
    attempts: int = 0
    solved: int = 0
    scored: int = 0
    disasters: int = 0
    repeats: int = 0
    duplicates: int = 0
    seconds_of_calls: float | None = None


def figures(source: Source) -> TraceFigures:
    """The figures of one trace."""
    tree = source.tree
    started = tree.started
    assert started is not None
    thresholds = Thresholds.for_range(started.score_range, None, None)
    returns = [return_of(leaf) for leaf in tree.leaves()]
    good = sum(value > thresholds.alpha for value in returns)
    made = len(tree) - 1
    lessons = known_lessons(tree, thresholds)
    searched = tree.imported_from is None
    return TraceFigures(
        path=source.path,
        trace=started.trace,
        env=started.environment,
        task=started.task,
        state=state_of(tree, source.path),
        algorithm=started.settings.algorithm,
        nodes=len(tree) - tree.left_nodes,
        leaves=len(returns),
        good=good,
        bad=len(returns) - good,
        best_return=max(returns, default=None),
        max_depth=max(node.depth for node in tree.nodes if node.visits or not tree.attempts),
        pairs=count_pairs(tree, thresholds),
        calls=tree.calls,
        tokens_in=tree.tokens_in,
        tokens_out=tree.tokens_out,
        tokens_cached=tree.tokens_cached,
        cost=tree.cost,
        failures=len(tree.failures),
        answers=tree.answers,
        steps_per_node=tree.steps / made if searched and made else None,
        resets_per_node=tree.resets / made if searched and made else None,
        seconds=tree.t if searched else None,
        lessons=len(lessons),
        lessons_by_depth=dict(sorted(Counter(depth for depth, _ in lessons).items())),
        wrong_actions=len({action for _, action in lessons}),
        disasters=sum(node.terminal == "disaster" for node in tree.nodes),
        repeats=sum(tree.repeats.values()),
        duplicates=sum(len(ids) - 1 for ids in tree.by_state.values()),
        seconds_of_calls=known_sum(latency for _, latency, _ in tree.usages.values()),
        source=tree.imported_from or "",
        **_of_attempts(tree, thresholds),
    )


def _of_attempts(tree: SearchTree, thresholds: Thresholds) -> dict[str, Any]:
    """The figures that only imported attempts have."""
    if not tree.attempts:
        return {}
    returns = [float(attempt.reward) for attempt in tree.attempts if attempt.reward is not None]
    return {
        "attempts": len(tree.attempts),
        "solved": sum(value > thresholds.alpha for value in returns),
        "scored": len(returns),
        "spread": pstdev(returns) if len(returns) > 1 else None,
        "cut_off": sum(attempt.cut_off for attempt in tree.attempts),
        "by_chance": count_by_chance(tree, thresholds),
    }


def figures_without_events(path: str) -> TraceFigures:
    """Those of a trace without a whole event: its search was killed before it wrote one, or begins this moment."""
    return TraceFigures(
        path=path, trace="", env="", task="", state="running" if is_being_written(path) else "crashed", algorithm="",
        nodes=0, leaves=0, good=0, bad=0, best_return=None, max_depth=0, pairs=0, calls=0, tokens_in=None,
        tokens_out=None, cost=None, tokens_cached=None, failures=0, answers=AnswerCounts(), steps_per_node=None,
        resets_per_node=None, seconds=None,
    )  # fmt: skip


def state_of(tree: SearchTree, path: str | os.PathLike[str]) -> State:
    """Returns whether a search is running, done, stopped, or was killed; a paused search whose process lives is
    running."""
    if tree.imported_from is not None:
        return "done"
    state = trace_state(tree, path)
    return "running" if state == "paused" else state


def total(rows: Sequence[TraceFigures]) -> Total:
    """The figures of several traces together."""
    states = {state: sum(row.state == state for row in rows) for state in STATES}
    best = [row.best_return for row in rows if row.best_return is not None]
    return Total(
        traces=len(rows),
        states={state: count for state, count in states.items() if count},
        nodes=sum(row.nodes for row in rows),
        leaves=sum(row.leaves for row in rows),
        good=sum(row.good for row in rows),
        bad=sum(row.bad for row in rows),
        best_return=max(best, default=None),
        max_depth=max((row.max_depth for row in rows), default=0),
        pairs=sum(row.pairs for row in rows),
        calls=sum(row.calls for row in rows),
        tokens_in=known_sum(row.tokens_in for row in rows),
        tokens_out=known_sum(row.tokens_out for row in rows),
        tokens_cached=known_sum(row.tokens_cached for row in rows),
        cost=known_sum(row.cost for row in rows),
        failures=sum(row.failures for row in rows),
        answers=_all_answers(rows),
        steps_per_node=_mean((row.steps_per_node, row.nodes - 1) for row in rows),
        resets_per_node=_mean((row.resets_per_node, row.nodes - 1) for row in rows),
        seconds=known_sum(row.seconds for row in rows),
        lessons=sum(row.lessons for row in rows),
        lessons_by_depth=dict(sorted(sum((Counter(row.lessons_by_depth) for row in rows), Counter[int]()).items())),
        attempts=sum(row.attempts for row in rows),
        solved=sum(row.solved for row in rows),
        scored=sum(row.scored for row in rows),
        disasters=sum(row.disasters for row in rows),
        repeats=sum(row.repeats for row in rows),
        duplicates=sum(row.duplicates for row in rows),
        seconds_of_calls=known_sum(row.seconds_of_calls for row in rows),
    )


def _all_answers(rows: Sequence[TraceFigures]) -> AnswerCounts:
    counts = AnswerCounts()
    for row in rows:
        counts.add(row.answers)
    return counts


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    weights = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / weights if weights else None


class Head(Struct):
    """What the first event of a trace tells a list of traces."""

    goal: str
    score_range: tuple[float, float]
    forked_from: str = ""  # id of the trace that it began in


class Kept(Struct):
    """What the index keeps of a trace."""

    figures: TraceFigures
    ended: bool  # its state no longer depends on whether a process still writes it
    head: Head


def head_of(started: Started) -> Head:
    """Returns what a list shows of a trace's first event."""
    forked = started.forked_from
    return Head(started.instruction, started.score_range, forked.trace if forked is not None else "")


def cached_figures(
    workspace: Workspace | None,
    sources: Iterable[str | os.PathLike[str]],
    on_error: Callable[[str, InputError], None] | None = None,
) -> list[TraceFigures]:
    """Returns the figures of traces and tree files, from the workspace's index where a file did not change since.

    `workspace`: None: nothing is kept. `sources`: the files. `on_error`: called with each file that can't be read,
    which is left out; None: its `InputError` is raised.
    """
    rows, paths = [], list(sources)
    with Index(workspace.index_file if workspace else None) as index:
        if len(paths) >= MANY:
            index.load(KIND)
        for path in paths:
            try:
                rows.append(_one(index, os.fspath(path)))
            except InputError as error:
                if on_error is None:
                    raise
                on_error(os.fspath(path), error)
    return rows


def kept_of(index: Index, path: str, stat: os.stat_result) -> Kept | None:
    """Returns what the index holds of a file; None where it changed, or its search may have gone on.

    `index`: of the workspace. `path`: the file. `stat`: of the file now.
    """
    kept = _kept(index, os.path.abspath(path), stat)
    if kept is None or not kept.ended:
        return None
    kept.figures.path = path
    return kept


def kept_head(index: Index, path: str, stat: os.stat_result) -> Head | None:
    """Returns what the `index` holds of the first event of the file at `path`; None where the file, of which `stat` was
    taken just now, changed since."""
    kept = _kept(index, os.path.abspath(path), stat)
    return kept.head if kept is not None else None


def _one(index: Index, path: str) -> TraceFigures:
    key = os.path.abspath(path)
    stat = what_is(path)
    if stat is None:
        raise NoFile(f"{path}: no such file")
    kept = _kept(index, key, stat)
    if kept is None:
        try:
            source = load_any(path)
        except NoEvents:
            return figures_without_events(path)
        assert source.tree.started is not None
        ended = source.tree.imported_from is not None or source.tree.state in ("done", "stopped")
        kept = Kept(figures(source), ended, head_of(source.tree.started))
        index.put(KIND, key, stat, msgspec.json.encode(kept))  # of before it was read: what grew since is stale
        return kept.figures
    kept.figures.path = path
    if not kept.ended:  # the file did not change, but who wrote it may be gone
        kept.figures.state = "running" if is_being_written(path) else "crashed"
    return kept.figures


_decoder = msgspec.json.Decoder(Kept)


def _kept(index: Index, key: str, stat: os.stat_result) -> Kept | None:
    body = index.get(KIND, key, stat)
    try:
        return None if body is None else _decoder.decode(body)
    except UNREADABLE:
        return None
