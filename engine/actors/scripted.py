"""The scripted actor: an environment's plan with seeded, plausible errors. No model, no key, no network."""

from __future__ import annotations

import asyncio
import random
from typing import cast

from engine.actors.base import Answer, DrawFailed, Request, own_answer
from envs.base import Actions, Mistakes, Planner, TextEnv, offers

_THOUGHTS = ("The next step is clear.", "I still need this for the goal.", "This brings me closer.")


class ScriptedActor:
    """Follows the environment's plan; with probability `error_rate` a draw errs instead.

    A draw depends on its seed and on the state of the environment at its node, on nothing else. `delay` is the
    mean time of a draw in seconds: it makes a search watchable and changes nothing in it.
    """

    def __init__(self, error_rate: float, delay: float = 0.0, tools: bool = False) -> None:
        """`tools`: whether its actions are calls of tools."""
        self._error_rate = error_rate
        self._delay = delay
        self._tools = tools
        self.waits = delay > 0

    async def sample(self, request: Request) -> Answer:
        """The plan's next action, or a mistake. Raises `DrawFailed` where the environment has no plan."""
        # Seeded in there: where the environment dies of the question it is asked again, and answers the same.
        thought, action = await request.environment(lambda env: self._propose(env, random.Random(request.seed)))
        if self._delay:
            await asyncio.sleep(self._delay * random.Random(request.seed).uniform(0.5, 1.5))
        return own_answer(thought, action, self._tools)

    def _propose(self, env: TextEnv, rng: random.Random) -> tuple[str, str]:
        if not offers(env, Planner):
            raise DrawFailed("no plan", "the scripted actor needs an environment that has a plan: use another --actor")
        if rng.random() < self._error_rate:
            return _mistake(env, rng)
        action = cast(Planner, env).plan().action
        if action is None:
            return _mistake(env, rng)
        return _THOUGHTS[rng.random() > 0.7], action


def _mistake(env: TextEnv, rng: random.Random) -> tuple[str, str]:
    if offers(env, Mistakes):
        return cast(Mistakes, env).mistake(rng)
    if offers(env, Actions) and (actions := list(cast(Actions, env).valid_actions())):
        return "I try something else.", rng.choice(actions)
    return "I am not sure what to do.", "wait"
