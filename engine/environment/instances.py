"""Instances of an environment without snapshots, each knowing the path of actions on which it stands.

To stand somewhere, the instance with the longest prefix of the path wanted goes on; where none stands on one, the
instance not used for longest is reset. An instance that stands exactly where an action leads answers it from memory:
siblings that do the same cost nothing. What can't be saved is the way of every other sibling: from one parent, n
different actions need n instances that came there, of which one came with the search; the rest come by reset and the
whole path. `prepare` lets them come, and take their actions, at the same time.
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
from envs.any_gymnasium.foreign import modules_from
from envs.base import EnvError, InstanceDied, TextEnv, Unavailable, make

Path = tuple[str, ...]


class Reply(NamedTuple):
    """What came of a step: the raw observation, the score after it, whether the episode is over."""

    observation: str
    score: Number
    done: bool


@dataclass
class Instance:
    """An environment and where it stands: actions since the root; None: nowhere."""

    env: TextEnv
    path: Path | None = None
    reply: Reply | None = None  # to the last action of the path
    used: int = 0  # when it moved last


class Course:
    """How to bring an instance to the root of a tree, and how many steps and resets were made so far. From any thread;
    an instance is moved by one at a time."""

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
        """A new environment. Raises `EnvError`."""
        with modules_from(self.folder):
            env = make(self.name)
        if self.closed:
            env.close()
            raise _over()
        return env

    def step(self, env: TextEnv, action: str) -> Reply:
        """One step. Raises `EnvError`."""
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
        """Stand at the root, by a reset; an environment that can't begin again is replaced. Raises `EnvError`."""
        if self.closed:
            instance.env.close()  # it may be newer than the end
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
        """Close all of them, whatever one of them says to it; nothing is begun or stepped any more. May be called while
        another thread waits for one of them."""
        self.closed = True
        with contextlib.ExitStack() as closing:
            for instance in instances:
                instance.path = None
                closing.callback(instance.env.close)


def _over() -> InstanceDied:
    return InstanceDied("the search is over: its environment was closed")


class Pool:
    """Up to `size` instances, the first of which is given and stands at the root. Used by one thread at a time."""

    def __init__(self, first: Instance, course: Course, size: int) -> None:
        self._course = course
        self._size = size
        self._clock = 0
        self.way: Sequence[int] = ()  # the nodes to which the actions of the next path lead, where they are in the tree
        self.instances = [first]
        self.current = first

    def go_to(self, path: Path) -> TextEnv:
        """An instance that stands at the end of `path`. Raises `EnvError`."""
        self._come(path, grow=False)
        return self.current.env

    def try_action(self, path: Path, action: str) -> Reply:
        """What comes of an action at the end of `path`; the current instance stands behind it then. Raises
        `EnvError`."""
        wanted = (*path, action)
        for instance in self.instances:
            if instance.path == wanted and instance.reply is not None:
                self._use(instance)
                return instance.reply
        self._come(path, grow=True)
        try:
            return self._step(self.current, action)
        except InstanceDied:
            self._bring(self.current, path)
            return self._step(self.current, action)

    def forget(self) -> None:
        """The current instance was moved by somebody else."""
        self.current.path = None

    def forget_replies(self) -> None:
        """Answer nothing from memory: whether an instance still answers is the question."""
        for instance in self.instances:
            instance.reply = None

    def prepare(self, path: Path, actions: Iterable[str]) -> set[str]:
        """Let as many instances as there may be come to the end of `path` and take one of these actions each, the first
        ones first, at the same time: `try_action` then answers them from memory. Returns which these are.

        What fails here is tried again, and reported, when the action is.
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
            self._bring(instance, path)
            self._step(instance, action)

    # ------------------------------------------------------------------------------------------------------

    def _come(self, path: Path, grow: bool) -> None:
        instance = self._pick(path, grow, [])
        assert instance is not None
        self._use(instance)
        self._bring(instance, path)

    def _use(self, instance: Instance) -> None:
        self._clock += 1
        instance.used = self._clock
        self.current = instance

    def _pick(self, path: Path, grow: bool, but: list[Instance]) -> Instance | None:
        """The instance that has the shortest way to the end of `path`; None where there is none but those."""
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
                new = Instance(self._course.make())
            except EnvError:
                self._size = len(self.instances)  # those that there are have to do
            else:
                self.instances.append(new)
                return new
        return min(free, key=lambda instance: instance.used, default=None)

    def _bring(self, instance: Instance, path: Path) -> None:
        """Bring an instance to the end of `path`, once more where it dies on the way."""
        try:
            self._walk(instance, path)
        except InstanceDied:
            self._walk(instance, path)

    def _walk(self, instance: Instance, path: Path) -> None:
        try:
            if instance.path is None or path[: len(instance.path)] != instance.path:
                self._course.begin(instance)
            assert instance.path is not None
            for place in range(len(instance.path), len(path)):
                reply = self._step(instance, path[place])
                if self.way:
                    self._course.repeats.check(self.way[place], *reply)
        except Unavailable:
            raise
        except EnvError as error:  # it made this way before
            raise Unavailable(str(error)) from error

    def _step(self, instance: Instance, action: str) -> Reply:
        path, instance.path = instance.path, None  # nowhere, should the step fail
        assert path is not None
        instance.reply = self._course.step(instance.env, action)
        instance.path = (*path, action)
        return instance.reply
