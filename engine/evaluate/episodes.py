"""An actor alone at its tasks: one answer a step, no search. Scores, steps and repeats, with intervals, and paired.

An episode is a search of one walk with one draw a node, so its trace is one line of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from engine.base.intervals import Interval, mean_interval
from engine.trace.sources import Source
from engine.tree.events import SearchSettings
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree

TOLERANCE = 1e-9


class Episode(Struct, kw_only=True):
    """How one task went."""

    path: str
    env: str
    task: str
    family: str  # of the task
    seed: int
    score: float  # return on a scale of 0 to 1; 0 where the episode has none
    steps: int
    repeated: int  # steps whose action was done before in the episode
    end: str  # done, disaster, depth, or why it has no return: dead_end, stopped, …
    calls: int
    tokens_out: int | None
    cost: float | None


class Scores(Struct, kw_only=True):
    """The figures of several episodes. Intervals are over tasks: the mean of the episodes of a task counts once."""

    episodes: int
    tasks: int
    score: Interval | None
    success: Interval | None  # share of episodes whose score is at least what was asked for
    steps: Interval | None
    repeated: Interval | None  # repeated actions an episode
    ends: dict[str, int]
    calls: int
    tokens_out: int | None
    cost: float | None


class Difference(Struct, kw_only=True):
    """One run less another, task by task, over the tasks of both."""

    tasks: int
    score: Interval | None
    success: Interval | None
    steps: Interval | None
    repeated: Interval | None
    better: int  # tasks with a higher mean score
    worse: int


def episode_settings(settings: SearchSettings, max_steps: int) -> SearchSettings:
    """Returns the settings of a search that is one episode. `max_steps`: the most steps that it may take."""
    return replace(settings, algorithm="agent-r", iterations=1, samples=1, parallel_nodes=1, max_depth=max_steps - 1)


def family_of(environment: str, task: str) -> str:
    """Returns the family of a task: the part of its id before the variation (`find-plant:3`), else its environment."""
    head, colon, _ = task.partition(":")
    return head if colon else environment


def episode_of(source: Source) -> Episode:
    """The episode of a trace: of a search with several lines the one that was made last."""
    tree = source.tree
    started = tree.started
    assert started is not None
    low, high = started.score_range
    last = tree.nodes[-1]
    path = [tree.nodes[id] for id in tree.ancestors(last.id)[1:]]
    known = last.terminal in ("done", "disaster", "depth")
    score = (last.reward - low) / (high - low) if known and high > low else 0.0
    return Episode(
        path=source.path,
        env=started.environment,
        task=started.task,
        family=family_of(started.environment, started.task),
        seed=started.settings.seed,
        score=min(1.0, max(0.0, float(score))),
        steps=len(path),
        repeated=len(path) - len({node.action for node in path}),
        end=_end(tree, last.id),
        calls=tree.calls,
        tokens_out=tree.tokens_out,
        cost=tree.cost,
    )


def is_over(tree: SearchTree) -> bool:
    """Whether an episode is over: its search was not stopped before its end, and owes no draw."""
    budget = (tree.end_reason or "").startswith("budget: ")
    return tree.state == "done" or budget or _nothing_usable(tree)


def _nothing_usable(tree: SearchTree) -> bool:
    """Whether the search ended at an answer that was none, and not in an outage."""
    return tree.end_reason == "failures" and not tree.draws_owed


def _end(tree: SearchTree, id: int) -> str:
    terminal = tree.nodes[id].terminal
    if terminal is not None:
        return terminal
    if id == ROOT and (tree.state == "done" or _nothing_usable(tree)):
        return "no usable answer"
    return tree.end_reason or tree.state


def _by_task(episodes: Iterable[Episode]) -> dict[tuple[str, str], list[Episode]]:
    found: dict[tuple[str, str], list[Episode]] = {}
    for episode in episodes:
        found.setdefault((episode.env, episode.task), []).append(episode)
    return found


def _means(episodes: Sequence[Episode], success: float) -> tuple[float, float, float, float]:
    return (
        fmean(each.score for each in episodes),
        fmean(each.score >= success - TOLERANCE for each in episodes),
        fmean(each.steps for each in episodes),
        fmean(each.repeated for each in episodes),
    )


def scores_of(episodes: Sequence[Episode], success: float = 1.0) -> Scores:
    """Means with 95 % bootstrap intervals. `success`: the least score that counts as one."""
    means = [_means(each, success) for each in _by_task(episodes).values()]
    score, won, steps, repeated = (mean_interval([row[place] for row in means]) for place in range(4))
    ends: dict[str, int] = {}
    for episode in episodes:
        ends[episode.end] = ends.get(episode.end, 0) + 1
    tokens = [each.tokens_out for each in episodes if each.tokens_out is not None]
    costs = [each.cost for each in episodes if each.cost is not None]
    return Scores(
        episodes=len(episodes),
        tasks=len(means),
        score=score,
        success=won,
        steps=steps,
        repeated=repeated,
        ends=ends,
        calls=sum(each.calls for each in episodes),
        tokens_out=sum(tokens) if tokens else None,
        cost=sum(costs) if costs else None,
    )


def by_family(episodes: Sequence[Episode], success: float = 1.0) -> dict[str, Scores]:
    """The scores of each family of tasks, by name."""
    families: dict[str, list[Episode]] = {}
    for episode in episodes:
        families.setdefault(episode.family, []).append(episode)
    return {name: scores_of(families[name], success) for name in sorted(families)}


def difference(episodes: Sequence[Episode], other: Sequence[Episode], success: float = 1.0) -> Difference:
    """Returns the figures of the first run minus those of the other, paired by task.

    `episodes`: of the first run. `other`: those of the other run. `success`: the score from which an episode counts as
    won.
    """
    mine, theirs = _by_task(episodes), _by_task(other)
    pairs = [(_means(mine[task], success), _means(theirs[task], success)) for task in mine if task in theirs]
    score, won, steps, repeated = (
        mean_interval([one[place] - another[place] for one, another in pairs]) for place in range(4)
    )
    return Difference(
        tasks=len(pairs),
        score=score,
        success=won,
        steps=steps,
        repeated=repeated,
        better=sum(one[0] > another[0] + TOLERANCE for one, another in pairs),
        worse=sum(one[0] < another[0] - TOLERANCE for one, another in pairs),
    )
