"""The embedded environment with the rules of a server, moved to the state of the server's session.

All sessions of one program share it, since it may be a process of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

from envs.base import EnvError, MapsActions, TextEnv, Unavailable, make


class Twin:
    """An embedded environment that answers what a server does not tell. It starts at the first question."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._users: set[int] = set()
        self._env: TextEnv | None = None
        self._task = ("", "")  # number and first observation of the task that it stands in
        self._walk: list[str] | None = None  # actions since its reset; None: nowhere
        self._lock = threading.RLock()

    def executable(self, user: int, task: str, first: str, walk: Sequence[str], action: str) -> str:
        """Returns the valid action that the environment would execute for `action`.

        `user`: number of the environment that asks. `task`: the task's id. `first`: the first observation, by which the
        task is recognised. `walk`: the actions executed since the reset. `action`: what the actor said.

        Raises `Unavailable` with the remedy.
        """
        with self._lock:
            self._users.add(user)
            try:
                return cast(MapsActions, self._at(task, first, list(walk))).executable(action)
            except EnvError as error:
                self._walk = None
                raise Unavailable(
                    f"only the embedded {self._name} knows valid actions, and it can't be asked ({error}): fix that, "
                    "or choose another --algorithm than agent-r"
                ) from error

    def _at(self, task: str, first: str, walk: list[str]) -> TextEnv:
        if self._env is None:
            self._env, self._walk = make(self._name), None
        if self._walk is None or (task, first) != self._task or walk[: len(self._walk)] != self._walk:
            self._walk = None
            self._env.reset(options={"task": task, "observation": first})
            self._task, self._walk = (task, first), []
        for action in walk[len(self._walk) :]:
            self._env.step(action)
            self._walk.append(action)
        return self._env

    def leave(self, user: int) -> None:
        """Note that this user asks nothing more; after the last user the environment is closed."""
        with self._lock:
            if user in self._users:
                self._users.remove(user)
                if not self._users and self._env is not None:
                    self._env.close()
                    self._env = None


_TWINS: dict[str, Twin] = {}
_TWINS_LOCK = threading.Lock()


def twin_of(name: str) -> Twin:
    """The one twin of that name."""
    with _TWINS_LOCK:
        return _TWINS.setdefault(name, Twin(name))
