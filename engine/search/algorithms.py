"""How each algorithm walks: where a walk goes on, and how many draws it makes there.

A walk is one iteration: it starts at the root and ends where nothing can be selected. Several walks may be under way
at once (`parallel_nodes`); each stands at the node that it expands or has just expanded.

- `agent-r` (arXiv 2501.11425): every node on the way that was not expanded before is expanded in full.
- `uct`: the classic four phases. The walk selects down to a node whose draws were not all made and expands it in
  full; from there on it rolls out with one draw a step. Rollout steps are kept as nodes; their missing draws are made
  when a later walk selects them.
- `puct`: as `uct`, but selects by PUCT with priors from the actor's log-probabilities.
- `best-first`: an iteration expands the open node with the greatest score so far, of equal ones that with the
  greatest prior.
- `lessons`: the most verified lessons per actor call (docs/scale.md). A walk starts at the open node of the whole
  tree that promises most (`engine.search.lessons_scores`), draws once, and goes on from the step that it drew, one
  draw a step, until the trajectory ends. The root's draws are made at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from engine.search.child_scores import best_children
from engine.search.lessons_scores import promise, steps_by_state
from engine.tree.events import SearchSettings
from engine.tree.node import ROOT, Walk
from engine.tree.tree import SearchTree

ALL = 0
"""As a number of draws: all that were not made yet."""


class Selection(NamedTuple):
    """A node to expand next."""

    path: list[int]  # from where the walk stood to the node
    ties: list[int]  # at each choice, how many shared the best score
    draws: int = ALL


class Outcome(Enum):
    """Why a walk does not go on."""

    OVER = "over"  # nothing can be selected any more: the iteration is over
    BLOCKED = "blocked"  # what could be selected is being expanded by another walk: wait


def walk_on(
    tree: SearchTree, settings: SearchSettings, rng: random.Random, walk: Walk, in_flight: Mapping[int, int]
) -> Selection | Outcome:
    """Returns where a walk goes on. Draws from `rng` only where it returns a selection.

    `tree`: the search. `settings`: algorithm and constants. `rng`: breaks ties. `walk`: where it is. `in_flight`: node
    → expansions at or below it that were not backed up yet.
    """
    return ALGORITHMS[settings.algorithm](tree, settings, rng, walk, in_flight)


def _select_down(
    tree: SearchTree, settings: SearchSettings, rng: random.Random, walk: Walk, in_flight: Mapping[int, int]
) -> Selection | Outcome:
    """`agent-r`, `uct` and `puct`: from where the walk stands down by scores to a node to expand."""
    state = rng.getstate() if in_flight else None
    found = _descend(tree, settings, rng, walk, in_flight)
    if found is Outcome.BLOCKED and state is not None:
        rng.setstate(state)
    return found


def _descend(
    tree: SearchTree, settings: SearchSettings, rng: random.Random, walk: Walk, in_flight: Mapping[int, int]
) -> Selection | Outcome:
    rolls = settings.algorithm in ("uct", "puct")
    low = tree.started.score_range[0] if tree.started else 0.0
    path, ties = [walk.position], list[int]()
    while True:
        node = tree.nodes[path[-1]]
        if node.terminal is None and (not node.expanded or (rolls and node.id in tree.partial and not walk.rolling)):
            if node.id in tree.in_flight:
                return Outcome.BLOCKED
            return Selection(path, ties, 1 if rolls and walk.rolling else ALL)
        best = best_children(tree, node.id, settings.c, algorithm=settings.algorithm, low=low, in_flight=in_flight)
        if not best:
            return Outcome.OVER if node.exhausted or not in_flight or _ended(tree, node.id) else Outcome.BLOCKED
        ties.append(len(best))
        path.append(rng.choice(best))


def _ended(tree: SearchTree, id: int) -> bool:
    """Whether every child is exhausted, in flight ones aside: there is none to wait for."""
    return all(tree.nodes[child].exhausted for child in tree.nodes[id].children)


def _best_first(
    tree: SearchTree, settings: SearchSettings, rng: random.Random, walk: Walk, in_flight: Mapping[int, int]
) -> Selection | Outcome:
    if walk.rolling:  # it made its expansion
        return Outcome.OVER
    best: list[int] = []
    greatest: tuple[float, float] | None = None
    for node in tree.nodes:
        if node.terminal is not None or node.expanded or node.id in tree.in_flight:
            continue
        key = (float(node.reward), float(node.prior))
        if greatest is None or key > greatest:
            greatest, best = key, [node.id]
        elif key == greatest:
            best.append(node.id)
    if not best:
        return Outcome.BLOCKED if tree.in_flight else Outcome.OVER
    return Selection(tree.ancestors(rng.choice(best)), [len(best)])


def _lessons(
    tree: SearchTree, settings: SearchSettings, rng: random.Random, walk: Walk, in_flight: Mapping[int, int]
) -> Selection | Outcome:
    nodes = tree.nodes
    if walk.rolling:
        new = [id for id in nodes[walk.position].children if not nodes[id].children and _takes_a_draw(tree, id)]
        return Selection([walk.position, rng.choice(new)], [len(new)], 1) if new else Outcome.OVER
    steps = steps_by_state(tree)
    low, high = tree.started.score_range if tree.started else (0.0, 1.0)
    best: list[int] = []
    greatest = -math.inf
    for node in nodes:
        if not _takes_a_draw(tree, node.id):
            continue
        total = promise(tree, node.id, steps, low, high)
        if total > greatest:
            greatest, best = total, [node.id]
        elif total == greatest:
            best.append(node.id)
    if not best:
        return Outcome.BLOCKED if tree.in_flight else Outcome.OVER
    chosen = rng.choice(best)
    return Selection(tree.ancestors(chosen), [len(best)], ALL if chosen == ROOT else 1)


def _takes_a_draw(tree: SearchTree, id: int) -> bool:
    """Whether one more draw of a node can be made now."""
    return tree.nodes[id].terminal is None and not tree.fully_drawn(id) and id not in tree.in_flight


WalkOn = Callable[[SearchTree, SearchSettings, random.Random, Walk, Mapping[int, int]], Selection | Outcome]

ALGORITHMS: dict[str, WalkOn] = {
    "agent-r": _select_down,
    "uct": _select_down,
    "puct": _select_down,
    "best-first": _best_first,
    "lessons": _lessons,
}
"""Every algorithm by its name, and how it walks on; another one is added by an entry (docs/architecture.md)."""
