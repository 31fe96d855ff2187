"""An environment that answers as a test says: for what must not depend on any real environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium

from engine.environment.opened import Opened


class Reply(NamedTuple):
    """What the environment answers to one action, wherever it is done."""

    observation: str
    score: float = 0.0
    done: bool = False


class ScriptedEnv(gymnasium.Env[str, str]):
    """Answers each action with the reply of that name."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self._replies = replies

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        return "go", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        observation, score, done = self._replies[action]
        return observation, score, done, False, {}


def opened(replies: Mapping[str, Reply]) -> Opened:
    """Such an environment after its reset."""
    return Opened(ScriptedEnv(replies), "textcraft", "0", "go", {})


def in_a_row(*replies: Reply) -> dict[str, Reply]:
    """Replies to the actions `0`, `1`, `2`, …"""
    return {str(place): reply for place, reply in enumerate(replies)}


def actions(replies: Sequence[Reply]) -> list[str]:
    """The names of the actions of `in_a_row`."""
    return [str(place) for place in range(len(replies))]
