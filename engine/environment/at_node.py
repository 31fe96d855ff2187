"""Standing at a node: an environment in the state that a node stands for.

Where the environment has snapshots, the nearest snapshot above is restored and what is missing is replayed; where it
has none, a few instances stand on different paths (`engine.environment.instances`). An instance whose process or server
is gone begins again, once, and goes the whole path; one that can't is replaced.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, cast

from engine.answers.reader import form_of
from engine.base.text import clean, flatten, stored_action
from engine.environment.instances import Course, Instance, Pool, Reply
from engine.environment.opened import Opened, reset_options
from engine.environment.repeats import Repeats
from engine.tree.events import Number, PrefixStep
from engine.tree.tree import NO_PARENT, ROOT, SearchTree
from envs.base import EnvError, InstanceDied, MapsActions, Remarks, Snapshots, StateKeys, TextEnv, Unavailable

MAX_SNAPSHOTS = 20_000
"""Snapshots that a stand keeps; the one not used for longest goes first."""

CLOSE_LIMIT = 1.0
"""Seconds for which closing waits for another thread's step; then the environment is closed under its hands."""

POOL_SIZE = 4
"""Instances of an environment without snapshots: as many as a node has draws, by default."""


T = TypeVar("T")


class Stand:
    """An environment that can be asked to stand at any node of a tree. `lock` makes its methods safe from any thread;
    hold it while you use the environment that `go_to` gives, where other threads ask, too."""

    def __init__(self, tree: SearchTree, opened: Opened, prefix: list[PrefixStep], size: int = POOL_SIZE) -> None:
        """`size`: how many instances there may be of an environment without snapshots."""
        self.tree = tree
        self.lock = threading.RLock()
        self.at = ROOT  # the node it stands at; NO_PARENT where it stands nowhere
        self.form = form_of(opened.environment)
        self.has_keys = isinstance(opened.env, StateKeys)  # whether its states can be compared
        self._maps = isinstance(opened.env, MapsActions)
        self._saves = isinstance(opened.env, Snapshots)
        actions = tuple(step.action or stored_action(step.response) for step in prefix)
        self._repeats = Repeats(tree)
        self._course = Course(
            opened.name,
            reset_options(opened.task, opened.first_observation),
            actions,
            self._repeats,
            opened.folder,
            opened.offset,
        )
        self._tells = isinstance(opened.env, Remarks)
        self._told: set[str] = set()  # remarks that were taken
        self._only = Instance(opened.env, ())  # with snapshots; else the first of the pool
        self._pool: Pool | None = None
        self._snapshots: OrderedDict[int, Hashable] = OrderedDict()
        self._repeats.begun([opened.first_observation, *(self._step(action).observation for action in actions)])
        self.at = ROOT
        if self._saves:
            self._keep(ROOT)
        else:
            self._pool = Pool(self._only, self._course, min(size, opened.instances))
        self.prepares = opened.blocking and not self._saves  # whether it saves time to `prepare`

    @property
    def env(self) -> TextEnv:
        """The environment that stands at `at`."""
        return self._pool.current.env if self._pool is not None else self._only.env

    @property
    def steps(self) -> int:
        """Environment steps so far, replayed ones included."""
        return self._course.steps

    @property
    def resets(self) -> int:
        """Resets so far, but for the first."""
        return self._course.resets

    def take_remarks(self) -> list[str]:
        """What the environment, or that it does not repeat itself, gave rise to since this was asked last."""
        if not self._tells and len(self._repeats.remarks) == len(self._told):
            return []
        found = list(self._repeats.remarks)
        if self._tells:
            instances = self._pool.instances if self._pool is not None else [self._only]
            found += [line for instance in instances for line in cast(Remarks, instance.env).remarks]
        new = [line for line in dict.fromkeys(found) if line not in self._told]
        self._told.update(new)
        return new

    @property
    def differences(self) -> int:
        """Repeated steps that were answered otherwise than before."""
        return self._repeats.differences

    @property
    def closed(self) -> bool:
        """Whether it was closed: then nothing is stepped any more."""
        return self._course.closed

    def go_to(self, id: int) -> TextEnv:
        """Bring the environment into the state of node `id` with as few steps as there are. Raises `Unavailable`."""
        with self.lock:
            if id == self.at:
                return self.env
            if self._pool is not None:
                self.at = NO_PARENT
                env = self._pool.go_to(self._path(id))
                self.at = id
                return env
            try:
                self._go(id)
            except InstanceDied:
                self._begin_again()
                self._go(id)
            return self._only.env

    def ask(self, id: int, question: Callable[[TextEnv], T]) -> T:
        """What the environment answers at node `id`. A question must change nothing; where the instance dies of it,
        another is asked. Raises `EnvError`."""
        with self.lock:
            try:
                return question(self.go_to(id))
            except InstanceDied:
                self.at = NO_PARENT
                if self._pool is not None:
                    self._pool.forget()
                else:
                    self._begin_again()
                return question(self.go_to(id))

    def try_action(self, parent: int, action: str) -> tuple[str, Number, bool]:
        """Stand at `parent` and take one step: observation (flattened), score after it, done.

        Raises `Unavailable` where nothing was learned of the action, and `EnvError` where the step itself failed.
        """
        with self.lock:
            if self._pool is not None:
                self.at = NO_PARENT
                observation, score, done = self._pool.try_action(self._path(parent), action)
                return clean(flatten(observation)), score, done
            try:
                if parent != self.at:
                    self._go(parent)
                observation, score, done = self._step(action)
            except InstanceDied:
                self._begin_again()
                self._go(parent)
                observation, score, done = self._step(action)
            return clean(flatten(observation)), score, done

    def lives(self, id: int, action: str | None = None) -> bool:
        """Whether the environment, after a step that failed at node `id`, still makes a step that it made before: the
        `action` from there, else the step to the node. A snapshot alone would not tell; of the root a reset has to."""
        with self.lock:
            self.at = NO_PARENT
            try:
                if self._pool is not None:
                    self._pool.forget()
                    self._pool.forget_replies()
                if action is not None:
                    self.try_action(id, action)
                elif self._pool is not None:
                    self.go_to(id)
                elif id == ROOT:
                    self._begin()
                else:
                    self.try_action(self.tree.nodes[id].parent, self.tree.nodes[id].action)
            except EnvError:
                return False
            finally:
                self.at = NO_PARENT
            return True

    def drop(self, first: int) -> None:
        """The nodes from `first` on, which this stand was told of, were not made after all."""
        with self.lock:
            self.at = NO_PARENT
            for id in [id for id in reversed(self._snapshots) if id >= first]:
                del self._snapshots[id]

    def became(self, id: int) -> None:
        """The state after the last `try_action` is that of the new node `id`: keep it."""
        with self.lock:
            self.at = id
            if self._saves:
                self._keep(id)

    def executable(self, parent: int, action: str) -> str:
        """What to execute at `parent` in the place of `action`, where the environment has valid actions to choose the
        nearest from; else the action itself. Raises `EnvError`."""
        if not self._maps:  # asked for every child: `isinstance` of a protocol costs more than a step of TextCraft
            return action
        return self.ask(parent, lambda env: cast(MapsActions, env).executable(action))

    def prepare(self, parent: int, actions: Sequence[str]) -> set[str]:
        """These actions are to be tried at `parent`, in this order. Saves time, and changes nothing: where there are no
        snapshots, as many instances as there may be come there and take the first of them, at the same time. Returns
        the actions that were taken care of."""
        if self._pool is None or len(set(actions)) < 2:
            return set(actions)
        with self.lock:
            done = self._pool.prepare(self._path(parent), actions)
            self.at = NO_PARENT
            return done

    def step(self, action: str) -> Reply:
        """One step from wherever it stands: raw observation, score after it, done. Raises `EnvError`."""
        with self.lock:
            if self._pool is not None:
                self._pool.forget()
            return self._step(action)

    def restore(self, snapshot: Hashable) -> None:
        """Take up a snapshot of this environment that is kept elsewhere. Raises `ValueError` where it can't be."""
        with self.lock:
            self.at = NO_PARENT
            cast(Snapshots, self._only.env).restore(snapshot)

    def go_along(self, path: Sequence[str]) -> TextEnv:
        """Stand where some actions from the root lead, in or out of the tree. Raises `EnvError`."""
        with self.lock:
            self.at = NO_PARENT
            if self._pool is not None:
                self._pool.way = ()
                return self._pool.go_to(tuple(path))
            self.go_to(ROOT)
            for action in path:
                self._step(action)
            return self._only.env

    def try_path(self, path: Sequence[str], action: str) -> Reply:
        """Stand where some actions from the root lead and take one step: the raw reply. Raises `EnvError`."""
        with self.lock:
            self.at = NO_PARENT
            if self._pool is not None:
                self._pool.way = ()
                return self._pool.try_action(tuple(path), action)
            self.go_along(path)
            return self._step(action)

    def close(self) -> None:
        """Close the environment, with all its instances. Where another thread uses it and does not come to an end soon,
        what it waits for ends with `InstanceDied`."""
        held = self.lock.acquire(timeout=CLOSE_LIMIT)
        try:
            self.at = NO_PARENT
            self._course.end(self._pool.instances if self._pool is not None else [self._only])
        finally:
            if held:
                self.lock.release()

    # -- with snapshots ------------------------------------------------------------------------------------

    def _step(self, action: str) -> Reply:
        self.at = NO_PARENT  # nowhere, should the step fail
        return self._course.step(self.env, action)

    def _keep(self, id: int) -> None:
        """Keep the state of node `id`, at which it stands, where that can be done: else it is gone to by actions."""
        try:
            snapshot = cast(Snapshots, self._only.env).snapshot()
        except EnvError:
            self.at = NO_PARENT
            return
        self._snapshots[id] = snapshot
        if len(self._snapshots) > MAX_SNAPSHOTS:
            self._snapshots.popitem(last=False)

    def _go(self, id: int) -> None:
        try:
            self._repeat(id)
        except Unavailable:
            raise
        except EnvError as error:  # it made this way before
            raise Unavailable(str(error)) from error

    def _repeat(self, id: int) -> None:
        nodes = self.tree.nodes
        while True:
            missing: list[int] = []  # nodes to replay, deepest first
            at = id
            while at != ROOT and at not in self._snapshots and at != self.at:
                missing.append(at)
                at = nodes[at].parent
            if at == self.at or self._restore(at):
                break
        for child in reversed(missing):
            self._repeats.check(child, *self._step(nodes[child].action))
        self.at = id
        if missing:
            self._keep(id)  # its children start from here, each

    def _restore(self, id: int) -> bool:
        """Take up the snapshot of a node, at the root else by a reset; False where it is kept no more."""
        self.at = NO_PARENT
        if id in self._snapshots:
            try:
                cast(Snapshots, self._only.env).restore(self._snapshots[id])
            except ValueError:
                del self._snapshots[id]
            else:
                self._snapshots.move_to_end(id)
                return True
        if id == ROOT:
            self._begin()
        return id == ROOT

    def _begin(self) -> None:
        self._course.begin(self._only)
        self.at = ROOT
        self._keep(ROOT)

    def _begin_again(self) -> None:
        """The instance died with all its snapshots."""
        self.at = NO_PARENT
        self._snapshots.clear()
        self._begin()

    # -- without -------------------------------------------------------------------------------------------

    def _path(self, id: int) -> tuple[str, ...]:
        nodes = self.tree.nodes
        assert self._pool is not None
        self._pool.way = way = self.tree.ancestors(id)[1:]
        return tuple(nodes[node].action for node in way)
