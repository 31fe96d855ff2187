"""Which actor a search has: made by its name, or chosen by what the environment can (a plan, valid actions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from engine.actors.base import Actor, actor_of_recording, actor_of_trace
from engine.actors.random_actor import RandomActor
from engine.actors.replayed import NAME as REPLAYED
from engine.actors.replayed import replayed_actor
from engine.actors.scripted import ScriptedActor
from engine.base.close_on_failure import closed_on_failure
from engine.base.errors import InputError
from engine.environment.opened import Opened
from engine.trace.sources import is_trace
from engine.trace.trace_file import read_events
from engine.tree.events import SearchSettings
from envs.base import Actions, EnvError, Planner

ACTORS = ("scripted", "random", "openai", "replayed:FILE", "recorded:FILE")

NEEDS: dict[str, tuple[Any, str, str]] = {
    "scripted": (Planner, "no plan for the scripted actor to follow", "random"),
    "random": (Actions, "no valid actions for the random actor to choose from", "scripted"),
}
"""Actors that need something of the environment: its protocol, what is said without it, and the other of the two."""

OTHERS = "--actor openai --model NAME, or --actor replayed:FILE with a file of actions, one a line"


def with_actor(opened: Opened, settings: SearchSettings) -> SearchSettings:
    """Returns the settings of a search for which nobody chose an actor: with the scripted one, or, in an environment
    without a plan, the random one. Raises `InputError` where neither can work there."""
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


def make_actor(
    name: str,
    settings: SearchSettings,
    delay: float = 0.0,
    environment: str = "",
    opened: Opened | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
) -> Actor:
    """Returns the actor of a name. Raises `InputError`.

    `name`: of the actor. `settings`: of the search. `delay`: seconds a draw that the scripted actor takes.
    `environment`: the one whose actions a model names. `opened`: the environment in which the actor has to work; closed
    where it can't; None: not checked. `tools`: the schemas of the tools that it calls.
    """
    if opened is not None:
        with closed_on_failure(opened.env):
            check_actor(opened, name)
    if name == "scripted":
        return ScriptedActor(settings.error_rate, delay, bool(tools))
    if name == "random":
        return RandomActor(bool(tools))
    if name == "openai":
        from engine.actors.openai import OpenAIActor  # its client library takes half a second to import

        return OpenAIActor(settings, environment, tools)
    if name.startswith(REPLAYED):
        return replayed_actor(name.removeprefix(REPLAYED), settings.error_rate, bool(tools))
    if name.startswith("recorded:"):
        path = name.removeprefix("recorded:")
        try:
            if is_trace(path):
                return actor_of_trace(read_events(path), path)
            return actor_of_recording(path)
        except EnvError as error:
            raise InputError(str(error)) from error
    raise InputError(f"unknown actor {name!r}: one of {', '.join(ACTORS)}")
