"""Warnings about scores outside of the environment's range, on which the thresholds of pairs depend."""

from __future__ import annotations

from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, info_of

TOLERANCE = 1e-9


def score_warnings(tree: SearchTree) -> list[str]:
    """A line for scores outside the range of the environment, and one where no first step is left alive."""
    started = tree.started
    if started is None or tree.imported_from is not None:
        return []
    counted_from, remedy = _remedy(started.environment)
    low, high = (end + counted_from for end in started.score_range)
    said = []
    highest = max((float(node.reward) for node in tree.nodes), default=0.0) + counted_from
    if highest > high + TOLERANCE:
        said.append(f"score {highest:g} is outside {low:g} to {high:g}: say {remedy}")
    first = [tree.nodes[id] for id in tree.nodes[ROOT].children]
    if first and all(node.terminal == "disaster" for node in first):
        said.append(f"every first step is a disaster (score < {low:g}): where penalties are no ends, say {remedy}")
    elif (lost := sum(node.terminal == "disaster" for node in tree.nodes)) and 2 * lost > len(tree) - 1:
        count = f"{lost} of {len(tree) - 1} steps are disasters"
        said.append(f"{count} (score < {low:g}): where penalties are no ends, say {remedy}")
    return said


def _remedy(environment: str) -> tuple[float, str]:
    """The environment's own score that stands for 0, and how its range is said."""
    name = environment.partition(":")[0]
    remedy = "?range=LOW,HIGH" if name == "gym" else f"score_range=(LOW, HIGH) in the EnvironmentInfo of {name}"
    try:
        return info_of(environment).counted_from, remedy
    except EnvError:
        return 0.0, remedy
