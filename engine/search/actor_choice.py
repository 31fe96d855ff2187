"""Which actor can work in an environment: the scripted one follows a plan, the random one chooses valid actions."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.environment.opened import Opened
from engine.tree.events import SearchSettings
from envs.base import Actions, EnvError, Planner

NEEDS: dict[str, tuple[Any, str, str]] = {
    "scripted": (Planner, "no plan for the scripted actor to follow", "random"),
    "random": (Actions, "no valid actions for the random actor to choose from", "scripted"),
}
"""Actors that need something of the environment: its protocol, what is said without it, and the other of the two."""

OTHERS = "--actor openai --model NAME, or --actor replayed:FILE with a file of actions, one a line"


def with_actor(opened: Opened, settings: SearchSettings) -> SearchSettings:
    """The settings of a search for which nobody chose an actor: the scripted one, or, in an environment without a plan,
    the random one. Raises `InputError` where neither can work there."""
    if settings.actor != "scripted" or isinstance(opened.env, Planner):
        return settings
    if isinstance(opened.env, Actions) and lists_some(opened.env):
        return replace(settings, actor="random")
    raise InputError(f"{opened.name} has neither a plan nor valid actions: say {OTHERS}")


def lists_some(env: Actions) -> bool:
    """Whether there is a valid action at the start. Raises `InputError` where the environment can't say."""
    try:
        return bool(list(env.valid_actions()))
    except EnvError as error:
        raise InputError(str(error)) from error


def check_actor(opened: Opened, name: str) -> None:
    """Raises `InputError` where the actor of that name can't work in this environment."""
    protocol, lacks, other = NEEDS.get(name, (object, "", ""))
    if isinstance(opened.env, protocol):
        if name != "random" or lists_some(opened.env):
            return
        raise InputError(f"{opened.name} lists no valid action at the start: say {OTHERS}")
    also = f"--actor {other}, " if isinstance(opened.env, NEEDS[other][0]) else ""
    raise InputError(f"{opened.name} has {lacks}: say {also}{OTHERS}")
