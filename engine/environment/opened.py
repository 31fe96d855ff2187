"""An environment after its reset: the header conversation of its task, and where its scores lie."""

from __future__ import annotations

from typing import Any

from engine.base.close_on_failure import closed_on_failure
from engine.base.errors import InputError, foreign_line
from engine.environment.permission import Permit, permit
from engine.tree.events import Message, Started
from envs.any_gymnasium.guarded_calls import modules_from
from envs.base import EnvError, TextEnv, Tools, info_of, make

SYSTEM_TURN = "You are a helpful assistant."


ACKNOWLEDGEMENT = "Ok."


class Opened:
    """An environment after reset: the header conversation of its task, and where its scores lie."""

    def __init__(
        self, env: TextEnv, name: str, task: str, observation: str, info: dict[str, Any], folder: str = ""
    ) -> None:
        self.env = env
        self.name = name  # as asked for
        self.folder = folder  # where its module was looked for, too
        self.environment = str(info.get("environment", name))
        self.task = str(info.get("task", task))
        self.first_observation = observation
        self.header = _header(name, observation, info)
        self.tools: list[dict[str, Any]] = list(env.tools()) if isinstance(env, Tools) else []
        self.score_range = score_range_of(self.environment)
        known = info_of(name)
        self.blocking = known.blocking
        self.instances = known.instances  # that one search may hold
        self.changed = str(info.get("changed", ""))  # what is other than it was, and does not matter
        self.offset = known.offset  # added to every score


def score_range_of(environment: str) -> tuple[float, float]:
    """Returns the least and the greatest return; 0 to 1 for an environment that is not registered."""
    try:
        return info_of(environment).score_range
    except EnvError:
        return (0.0, 100.0) if environment.startswith("sci") else (0.0, 1.0)


def _header(name: str, observation: str, info: dict[str, Any]) -> list[Message]:
    """The four messages before the first step (system, rules, `Ok.`, first observation)."""
    if "header" in info:
        return [Message(message["role"], message["content"]) for message in info["header"]]
    rules = info_of(name).rules
    if "more_rules" in info:
        rules = f"{rules}\n\n{info['more_rules']}"
    return [
        Message("system", SYSTEM_TURN),
        Message("user", rules),
        Message("assistant", ACKNOWLEDGEMENT),
        Message("user", observation),
    ]


def at_hand(environment: str) -> bool:
    """Whether a tree's environment has a name to open it by: those of imports are the imports' own."""
    return environment != "unknown" and not environment.startswith("attempts:")


def name_to_open(started: Started) -> str:
    """Returns the name by which to open the environment of a trace, to execute the trace's steps.

    The name as it was asked for (`castle:blue`) where the environment calls itself by the bare name; not
    `recorded:FILE`, which knows recorded actions alone.
    """
    if started.opened.startswith(f"{started.environment}:"):
        return started.opened
    return started.environment


def name_to_go_on(started: Started) -> str:
    """Returns the environment's name with which a search goes on, also a recording's. It keeps the range that was
    measured for `range=auto`."""
    if started.opened.partition(":")[0] == started.environment.partition(":")[0]:
        return name_to_open(started)
    return started.opened or started.environment


def reset_options(task: str | None, observation: str | None = None) -> dict[str, str]:
    """Options of `reset`: a first observation rebuilds the task of a tree made elsewhere."""
    options = {}
    if task is not None:
        options["task"] = task
    if observation is not None:
        options["observation"] = observation
    return options


def recalls(environment: str) -> bool:
    """Whether an environment takes the first observation of a trace, to see that its task is the same."""
    try:
        return info_of(environment).recalls
    except EnvError:
        return False


def open_environment(which: Permit | str, task: str | None, observation: str | None = None) -> Opened:
    """Make an environment and reset it to a task. Raises `InputError` with the remedy, and `UntrustedTrace`.

    `which`: the permit, or a name; a mere name may reach no place. `task`: its id; None: the environment's default.
    `observation`: the first observation of a trace, by which some environments find the task; None: not known.
    """
    name, folder = permit(which, None) if isinstance(which, str) else which
    try:
        with modules_from(folder):
            env = make(name)
        with closed_on_failure(env):
            first, info = env.reset(options=reset_options(task, observation))
    except EnvError as error:
        raise InputError(str(error)) from error
    except Exception as error:  # another package's code
        raise InputError(foreign_line(f"{name}: can't be started", error)) from error
    return Opened(env, name, task or "", first, info, folder)


def instruction_of(first_observation: str) -> str:
    """The goal in a few words: what follows the last `Goal:`, or the first line with a letter in it (a game may draw a
    banner first)."""
    if "Goal:" in first_observation:
        return first_observation.rsplit("Goal:", 1)[1].strip().rstrip(".")
    if "Instruction: [SEP]" in first_observation:
        return first_observation.split("Instruction: [SEP]", 1)[1].split("[SEP]", 1)[0].strip()
    lines = (line.strip() for line in first_observation.splitlines())
    return next((line for line in lines if any(map(str.isalpha, line))), "")
