"""The actor `random`: any valid action of the environment. No plan, no model, no key, no network."""

from __future__ import annotations

import random
from typing import cast

from engine.actors.base import Answer, DrawFailed, Request, own_answer
from envs.base import Actions, TextEnv, offers

NO_ACTIONS = "the random actor needs an environment that lists valid actions"


class RandomActor:
    """Says one of the valid actions, each as likely as the other.

    A draw depends on its seed and on the valid actions at its node, on nothing else.
    """

    waits = False

    def __init__(self, tools: bool = False) -> None:
        """`tools`: whether its actions are calls of tools."""
        self._tools = tools

    async def sample(self, request: Request) -> Answer:
        """A valid action. Raises `DrawFailed` where there is none."""
        actions = await request.environment(_valid)
        if not actions:
            raise DrawFailed("no valid action", "the environment lists no valid action here")
        action = random.Random(request.seed).choice(actions)
        return own_answer(f"I try one of {len(actions)} valid actions.", action, self._tools)


def _valid(env: TextEnv) -> list[str]:
    if not offers(env, Actions):
        raise DrawFailed("no plan", f"{NO_ACTIONS}: use another --actor")
    return list(cast(Actions, env).valid_actions())
