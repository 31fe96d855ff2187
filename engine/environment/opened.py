"""An environment after its reset: the header conversation of its task, and where its scores lie."""

from __future__ import annotations

from typing import Any

from engine.base.errors import InputError
from engine.environment.trust import Permit, permit
from engine.tree.events import Message
from envs.any_gymnasium.foreign import modules_from
from envs.base import EnvError, TextEnv, info_of, make

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
        self.score_range = score_range_of(self.environment)
        self.blocking = info_of(name).blocking


def score_range_of(environment: str) -> tuple[float, float]:
    """Least and greatest return; 0 to 1 for an environment that nobody registered."""
    try:
        return info_of(environment).score_range
    except EnvError:
        return (0.0, 100.0) if environment.startswith("sci") else (0.0, 1.0)


def _header(name: str, observation: str, info: dict[str, Any]) -> list[Message]:
    """The four messages before the first step (system, rules, `Ok.`, first observation)."""
    if "header" in info:
        return [Message(message["role"], message["content"]) for message in info["header"]]
    return [
        Message("system", SYSTEM_TURN),
        Message("user", info_of(name).rules),
        Message("assistant", ACKNOWLEDGEMENT),
        Message("user", observation),
    ]


def reset_options(task: str | None, observation: str | None = None) -> dict[str, str]:
    """Options of `reset`: a first observation rebuilds the task of a tree made elsewhere."""
    options = {}
    if task is not None:
        options["task"] = task
    if observation is not None:
        options["observation"] = observation
    return options


def open_environment(which: Permit | str, task: str | None, observation: str | None = None) -> Opened:
    """Make an environment and reset it to a task. A mere name, without a permit, may reach no place.

    Raises `InputError` with the remedy, and `UntrustedTrace`.
    """
    name, folder = permit(which, None) if isinstance(which, str) else which
    try:
        with modules_from(folder):
            env = make(name)
        try:
            first, info = env.reset(options=reset_options(task, observation))
        except BaseException:
            env.close()
            raise
    except EnvError as error:
        raise InputError(str(error)) from error
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
