"""A pool of instances of an environment without snapshots. Each instance knows the actions it executed since the root.

To reach a path, the instance with the longest matching prefix executes the rest; if none matches, the least recently
used instance is reset. An instance that is already at the end of a path returns its cached reply, so siblings with the
same action cost nothing. Other siblings do: n different actions from one parent need n instances there. One of them is
there already; the others are reset and execute the whole path. `warm_up` lets them do so in parallel.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from engine.base.errors import foreign_line
from engine.environment.repeats import Repeats
from engine.tree.events import Number
from envs.any_gymnasium.guarded_calls import modules_from
from envs.base import EnvError, InstanceDied, TextEnv, Unavailable, make

Path = tuple[str, ...]


class Reply(NamedTuple):
    """Result of a step: the raw observation, the score after it, whether the episode is over."""

    observation: str
    score: Number
    done: bool


@dataclass
class Instance:
    """An environment and the actions it executed since the root; None if its state is unknown."""

    env: TextEnv
    path: Path | None = None
    reply: Reply | None = None  # to the last action of `path`
    used: int = 0  # logical time of its last use


class RootRecipe:
    """Reset options and prefix that lead to the root of a tree; counts steps and resets.

    Methods are safe from any thread, if each instance is used by one thread at a time.
    """

    def __init__(
        self, name: str, options: dict[str, str], prefix: Path, repeats: Repeats, folder: str = "", offset: float = 0
    ) -> None:
        self.name = name  # of the environment, as asked for
        self.repeats = repeats
        self.offset = offset  # added to every score
        self.folder = folder  # where its module is looked for, too
        self.options = options  # of reset
        self.prefix = prefix  # actions that were executed before the root
        self.steps = 0
        self.resets = 0
        self.closed = False
        self._counting = threading.Lock()

    def make(self) -> TextEnv:
        """Returns a new environment, not yet reset. Raises `EnvError`."""
        with modules_from(self.folder):
            env = make(self.name)
        if self.closed:
            env.close()
            raise _over()
        return env

    def step(self, env: TextEnv, action: str) -> Reply:
        """Executes one action. Raises `EnvError`."""
        if self.closed:
            raise _over()
        with self._counting:
            self.steps += 1
        try:
            observation, score, terminated, truncated, _ = env.step(action)
        except EnvError:
            raise
        except Exception as error:  # another package's code
            raise EnvError(foreign_line(f"{self.name}: step failed", error)) from error
        if self.offset:
            score += self.offset  # type: ignore[operator]
        return Reply(observation, score, bool(terminated or truncated))  # type: ignore[arg-type]

    def begin(self, instance: Instance) -> None:
        """Resets an instance and executes the prefix. An environment that died is replaced. Raises `EnvError`."""
        if self.closed:
            instance.env.close()  # it may have been made after `end` was called
            raise _over()
        instance.path, instance.reply = None, None
        with self._counting:
            self.resets += 1
        try:
            first = self._reset(instance.env)
        except InstanceDied:
            gone, instance.env = instance.env, self.make()
            gone.close()
            first = self._reset(instance.env)
        self.repeats.begun([first, *(self.step(instance.env, action).observation for action in self.prefix)])
        instance.path = ()

    def _reset(self, env: TextEnv) -> str:
        try:
            return env.reset(options=self.options)[0]
        except EnvError:
            raise
        except Exception as error:
            raise EnvError(foreign_line(f"{self.name}: reset failed", error)) from error

    def end(self, instances: Iterable[Instance]) -> None:
        """Closes all instances, even if one raises; resets and steps are refused from now on.

        May be called while another thread waits for one of them.
        """
        self.closed = True
        with contextlib.ExitStack() as closing:
            for instance in instances:
                instance.path = None
                closing.callback(instance.env.close)


def _over() -> InstanceDied:
    return InstanceDied("the search is over: its environment was closed")


class InstancePool:
    """Up to `size` instances of one environment. Not safe for several threads at once."""

    def __init__(self, first: Instance, course: RootRecipe, size: int) -> None:
        self._recipe = course
        self._size = size
        self._clock = 0
        self.way: Sequence[int] = ()  # the nodes to which the actions of the next path lead, where they are in the tree
        self.instances = [first]
        self.current = first

    def go_to(self, path: Path) -> TextEnv:
        """Returns an environment at the end of `path`. Raises `EnvError`."""
        self._acquire(path, grow=False)
        return self.current.env

    def try_action(self, path: Path, action: str) -> Reply:
        """Returns the reply to `action` at the end of `path`; the current instance is after it then.

        Raises `EnvError`.
        """
        wanted = (*path, action)
        for instance in self.instances:
            if instance.path == wanted and instance.reply is not None:
                self._use(instance)
                return instance.reply
        self._acquire(path, grow=True)
        try:
            return self._step(self.current, action)
        except InstanceDied:
            self._move(self.current, path)
            return self._step(self.current, action)

    def forget(self) -> None:
        """Marks the state of the current instance as unknown: the caller stepped it."""
        self.current.path = None

    def forget_replies(self) -> None:
        """Drops the cached replies, so that every action is executed again."""
        for instance in self.instances:
            instance.reply = None

    def warm_up(self, path: Path, actions: Iterable[str]) -> set[str]:
        """Let as many instances as there may be come to the end of `path` and take one of these actions each, the first
        ones first, at the same time: `try_action` then answers them from memory. Returns which these are.

        A failure here is ignored: it is retried, and reported, by `try_action`.
        """
        standing = {instance.path: instance for instance in self.instances if instance.reply is not None}
        work: list[tuple[Instance, str]] = []
        kept: list[Instance] = []  # they stand behind one of the actions already
        ready: set[str] = set()
        for action in dict.fromkeys(actions):
            if (there := standing.get((*path, action))) is not None:
                kept.append(there)
                ready.add(action)
                continue
            instance = self._pick(path, True, [*kept, *(taken for taken, _ in work)])
            if instance is None:
                break
            self._use(instance)
            work.append((instance, action))
            ready.add(action)
        if len(work) == 1:  # it is no quicker here
            return ready
        with ThreadPoolExecutor(max(1, len(work)), "instance") as threads:
            for instance, action in work:
                threads.submit(self._try_to_step, instance, path, action)
        return ready

    def _try_to_step(self, instance: Instance, path: Path, action: str) -> None:
        with contextlib.suppress(EnvError):
            self._move(instance, path)
            self._step(instance, action)

    # ------------------------------------------------------------------------------------------------------

    def _acquire(self, path: Path, grow: bool) -> None:
        instance = self._pick(path, grow, [])
        assert instance is not None
        self._use(instance)
        self._move(instance, path)

    def _use(self, instance: Instance) -> None:
        self._clock += 1
        instance.used = self._clock
        self.current = instance

    def _pick(self, path: Path, grow: bool, but: list[Instance]) -> Instance | None:
        """Returns the instance with the fewest steps to the end of `path`, except those in `but`; or None."""
        free = [instance for instance in self.instances if not any(instance is taken for taken in but)]
        on_it = [
            instance for instance in free if instance.path is not None and path[: len(instance.path)] == instance.path
        ]
        if on_it:
            return max(on_it, key=lambda instance: (len(instance.path or ()), instance.used))
        lost = [instance for instance in free if instance.path is None]
        if lost:
            return lost[0]
        if grow and len(self.instances) < self._size:
            try:
                new = Instance(self._recipe.make())
            except EnvError:
                self._size = len(self.instances)  # use the existing ones
            else:
                self.instances.append(new)
                return new
        return min(free, key=lambda instance: instance.used, default=None)

    def _move(self, instance: Instance, path: Path) -> None:
        """Moves an instance to the end of `path`; retries once if it dies."""
        try:
            self._replay(instance, path)
        except InstanceDied:
            self._replay(instance, path)

    def _replay(self, instance: Instance, path: Path) -> None:
        try:
            if instance.path is None or path[: len(instance.path)] != instance.path:
                self._recipe.begin(instance)
            assert instance.path is not None
            for place in range(len(instance.path), len(path)):
                reply = self._step(instance, path[place])
                if self.way:
                    self._recipe.repeats.check(self.way[place], *reply)
        except Unavailable:
            raise
        except EnvError as error:  # these steps succeeded before
            raise Unavailable(str(error)) from error

    def _step(self, instance: Instance, action: str) -> Reply:
        path, instance.path = instance.path, None  # unknown if the step fails
        assert path is not None
        instance.reply = self._recipe.step(instance.env, action)
        instance.path = (*path, action)
        return instance.reply
