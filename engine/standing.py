"""Standing at a node: an environment in the state that a node stands for.

Where the environment has snapshots, the nearest snapshot above is restored and what is missing is replayed; where
it has none, the instance is reset and the whole path replayed, unless it already stands on a prefix of that path.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from engine.errors import InputError
from engine.events import Message, Number, PrefixStep
from engine.text import clean, flatten, parse_action
from engine.tree import NO_PARENT, ROOT, SearchTree
from envs.base import EnvError, Snapshots, TextEnv, info_of, make

MAX_SNAPSHOTS = 20_000
SYSTEM_TURN = "You are a helpful assistant."
ACKNOWLEDGEMENT = "Ok."


class Opened:
    """An environment after reset: the header conversation of its task, and where its scores lie."""

    def __init__(self, env: TextEnv, name: str, task: str, observation: str, info: dict[str, Any]) -> None:
        self.env = env
        self.name = name  # as asked for
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


def open_environment(name: str, task: str | None, observation: str | None = None) -> Opened:
    """Make an environment and reset it to a task. Raises `InputError` with the remedy."""
    try:
        env = make(name)
        first, info = env.reset(options=reset_options(task, observation))
    except EnvError as error:
        raise InputError(str(error)) from error
    return Opened(env, name, task or "", first, info)


class Stand:
    """An environment that can be asked to stand at any node of a tree."""

    def __init__(self, tree: SearchTree, opened: Opened, prefix: list[PrefixStep]) -> None:
        self.tree = tree
        self.env = opened.env
        self.steps = 0  # environment steps so far, replayed ones included
        self.resets = 0
        self.at = ROOT  # the node it stands at; NO_PARENT where it stands nowhere
        self._task = opened.task
        self._first = opened.first_observation
        self._prefix = prefix
        self._snapshots: OrderedDict[int, Hashable] = OrderedDict()
        self._saves = self.env if isinstance(self.env, Snapshots) else None
        self._run_prefix()

    def _run_prefix(self) -> None:
        for step in self._prefix:
            self.step(step.action or parse_action(step.response))
        self.at = ROOT
        if self._saves is not None:
            self._root_snapshot = self._saves.snapshot()

    def go_to(self, id: int) -> TextEnv:
        """Bring the environment into the state of node `id` with as few steps as there are. Raises `EnvError`."""
        if id == self.at:
            return self.env
        nodes = self.tree.nodes
        missing: list[int] = []  # nodes to replay, deepest first
        at = id
        if self._saves is not None:
            while at != ROOT and at not in self._snapshots and at != self.at:
                missing.append(at)
                at = nodes[at].parent
            if at != self.at:
                snapshot = self._root_snapshot if at == ROOT else self._snapshots[at]
                self._saves.restore(snapshot)
        else:
            while at not in (ROOT, self.at):
                missing.append(at)
                at = nodes[at].parent
            if at != self.at:
                self._reset()
        self.at = NO_PARENT  # nowhere, should a step fail
        for step in reversed(missing):
            self.step(nodes[step].action)
        self.at = id
        return self.env

    def _reset(self) -> None:
        self.env.reset(options=reset_options(self._task, self._first))
        self.resets += 1
        self._run_prefix()

    def step(self, action: str) -> tuple[str, Number, bool]:
        """One step from wherever it stands: raw observation, score after it, done. Raises `EnvError`."""
        observation, score, terminated, truncated, _ = self.env.step(action)
        self.steps += 1
        return observation, score, bool(terminated or truncated)  # type: ignore[return-value]

    def try_action(self, parent: int, action: str) -> tuple[str, Number, bool]:
        """Stand at `parent` and take one step: observation (flattened), score after it, done. Raises `EnvError`."""
        self.go_to(parent)
        self.at = NO_PARENT
        observation, score, done = self.step(action)
        return clean(flatten(observation)), score, done

    def became(self, id: int) -> None:
        """The state after the last `try_action` is that of the new node `id`: keep it."""
        self.at = id
        if self._saves is not None:
            self._snapshots[id] = self._saves.snapshot()
            if len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)

    def close(self) -> None:
        """Close the environment."""
        self.env.close()
