"""The actor `replayed:FILE`: follows the actions of a file, and strays from them at times. Needs no plan, model or key.

FILE is a trace or a tree file, whose best leaf is followed on the shortest way, or a text with an action a line (a
walkthrough). So an environment that has neither a plan nor valid actions gives a tree, too. Actions that are not on the
way are skipped: after a harmless mistake the actor goes on with its next action.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import cast

from engine.actors.base import Answer, Request, own_answer
from engine.base.errors import InputError
from engine.base.untrusted_files import read_text
from engine.trace.sources import is_trace, load_any
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree
from envs.base import Actions, TextEnv, offers

NAME = "replayed:"
_TREES = (".json", ".json.gz", ".json.zst")


class Way:
    """A place on the ways of a file."""

    __slots__ = ("best", "next")

    def __init__(self) -> None:
        self.best = (0.0, 0)  # the highest return that a way from here came to, and the steps there, counted down
        self.next: dict[str, Way] = {}  # action → the place behind it

    def behind(self, actions: Iterable[str]) -> Way:
        """The place to which these actions lead; those that are not on the way are passed over."""
        at = self
        for action in actions:
            at = at.next.get(action, at)
        return at


class ReplayedActor:
    """Takes the best next action of a file, or with `error_rate` any action; a draw depends on its seed and on the
    actions before it."""

    waits = False

    def __init__(self, way: Way, actions: Sequence[str], error_rate: float, tools: bool = False) -> None:
        """`actions`: all of the file's, to choose from where the environment lists none. `tools`: whether its actions
        are tool calls."""
        self._way = way
        self._actions = actions
        self._error_rate = error_rate
        self._tools = tools

    async def sample(self, request: Request) -> Answer:
        """The best next action, or any."""
        rng, at = random.Random(request.seed), self._way.behind(request.actions())
        if at.next and rng.random() >= self._error_rate:
            best = max(way.best for way in at.next.values())
            action = rng.choice([action for action, way in at.next.items() if way.best == best])
            return own_answer("I go on as it went before.", action, self._tools)
        valid = await request.environment(_valid)
        return own_answer("I try something else.", rng.choice(valid or self._actions), self._tools)


def _valid(env: TextEnv) -> list[str]:
    return list(cast(Actions, env).valid_actions()) if offers(env, Actions) else []


def replayed_actor(path: str, error_rate: float, tools: bool = False) -> ReplayedActor:
    """Returns the actor over a file. Raises `InputError` for a file that can't be read, or that holds no action.

    `path`: a trace, a tree file, or a text with an action a line. `error_rate`: share of the steps at which it strays,
    0 to 1. `tools`: whether the actor calls tools.
    """
    way = way_of_tree(load_any(path).tree) if is_trace(path) or path.endswith(_TREES) else way_of_text(read_text(path))
    actions = _actions_of(way)
    if not actions:
        raise InputError(f"{path}: holds no action: give a trace or tree with some, or a text with an action a line")
    return ReplayedActor(way, actions, error_rate, tools)


def way_of_text(text: str) -> Way:
    """Returns the way of a text with an action a line; empty lines and those that begin with # are no actions."""
    first = at = Way()
    for line in text.splitlines():
        if (action := line.strip()) and not action.startswith("#"):
            at.next[action] = at = Way()
    return first


def way_of_tree(tree: SearchTree) -> Way:
    """The ways of a tree, from the reset on."""
    first = at = Way()
    for step in tree.started.prefix if tree.started is not None else ():
        at = at.next.setdefault(step.action, Way())
    places = {ROOT: at}
    for node in tree.nodes[1:]:
        above = places[node.parent]
        places[node.id] = above.next.setdefault(node.action, Way()) if node.action else above
    for node in reversed(tree.nodes):
        here = places[node.id]
        if node.is_leaf:
            here.best = max(here.best, (float(node.reward), 0))
        if node.parent != NO_PARENT and (above := places[node.parent]) is not here:
            above.best = max(above.best, (here.best[0], here.best[1] - 1))
    return first


def _actions_of(way: Way) -> list[str]:
    """All actions, each once, in the order in which they come."""
    found: dict[str, None] = {}
    waiting = [way]
    while waiting:
        at = waiting.pop(0)
        found.update(dict.fromkeys(at.next))
        waiting.extend(at.next.values())
    return list(found)
