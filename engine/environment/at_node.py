"""Moves an environment to the state of any node of a tree.

If the environment has snapshots, the nearest snapshot above the node is restored and the missing actions are replayed.
If it has none, a pool of instances is kept at different paths (`engine.environment.instances`). An instance whose
process or server has ended is reset once and replays the whole path; if that fails, it is replaced.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar, cast

from engine.answers.form import form_of
from engine.base.text import clean, flatten, stored_action
from engine.environment.instances import Instance, InstancePool, Reply, RootRecipe
from engine.environment.opened import Opened, reset_options
from engine.environment.repeats import Repeats
from engine.tree.events import Number, PrefixStep
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, InstanceDied, MapsActions, Remarks, Snapshots, StateKeys, TextEnv, Unavailable

MAX_SNAPSHOTS = 20_000
"""Maximum snapshots in the cache; the least recently used is evicted."""

CLOSE_LIMIT = 1.0
"""Seconds that `close` waits for another thread's step before it closes the environment anyway."""

POOL_SIZE = 4
"""Default number of instances of an environment without snapshots: the default draws of a node."""


T = TypeVar("T")


class EnvironmentAtNode:
    """Moves an environment to the state of any node of a tree.

    Every method takes `lock`, so all are safe from any thread. Hold the lock while you use the environment that
    `go_to` returns, if other threads use this object, too.
    """

    def __init__(self, tree: SearchTree, opened: Opened, prefix: list[PrefixStep], size: int = POOL_SIZE) -> None:
        """`tree`: whose nodes are visited. `opened`: the environment after its reset. `prefix`: steps from the reset to
        the root. `size`: maximum instances, if the environment has no snapshots."""
        self.tree = tree
        self.lock = threading.RLock()
        self.at = ROOT  # the current node; NO_PARENT if unknown
        self.form = form_of(opened.environment)
        self.has_keys = isinstance(opened.env, StateKeys)  # whether its states can be compared
        self._maps = isinstance(opened.env, MapsActions)
        self._saves = isinstance(opened.env, Snapshots)
        actions = tuple(step.action or stored_action(step.response) for step in prefix)
        self._repeats = Repeats(tree)
        self._recipe = RootRecipe(
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
        self._pool: InstancePool | None = None
        self._snapshots: OrderedDict[int, Hashable] = OrderedDict()
        self._repeats.begun([opened.first_observation, *(self._step(action).observation for action in actions)])
        self.at = ROOT
        if self._saves:
            self._keep(ROOT)
        else:
            self._pool = InstancePool(self._only, self._recipe, min(size, opened.instances))
        self.warms_up = opened.blocking and not self._saves  # whether it saves time to `warm_up`

    @property
    def env(self) -> TextEnv:
        """The environment, in the state of node `at`."""
        return self._pool.current.env if self._pool is not None else self._only.env

    @property
    def steps(self) -> int:
        """Number of environment steps so far, replayed ones included."""
        return self._recipe.steps

    @property
    def resets(self) -> int:
        """Number of resets so far, without the first."""
        return self._recipe.resets

    def take_remarks(self) -> list[str]:
        """Returns the remarks since the last call: the environment's own, and steps that it answered differently."""
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
        """Whether the environment was closed; steps are refused then."""
        return self._recipe.closed

    def go_to(self, id: int) -> TextEnv:
        """Moves the environment to the state of node `id` with as few steps as possible, and returns it.

        Raises `Unavailable`.
        """
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
        """Returns the answer of `question` at node `id`. A question must not change the state.

        If the instance dies, the question is retried once on a new one. Raises `EnvError`.
        """
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
        """Moves to `parent` and executes one action. Returns the flattened observation, the score after it, and done.

        Raises `Unavailable` if the action was not executed, and `EnvError` if it was and failed.
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
        """Returns whether the environment still works after a failed step at node `id`.

        It repeats a step that succeeded before: `action` from there, else the step to the node, else (at the root) a
        reset. Restoring a snapshot would not prove it.
        """
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
        """Forgets the nodes from id `first` on: they were not added to the tree after all."""
        with self.lock:
            self.at = NO_PARENT
            for id in [id for id in reversed(self._snapshots) if id >= first]:
                del self._snapshots[id]

    def remember_as(self, id: int) -> None:
        """Records that the state after the last `try_action` is that of the new node `id`, and caches it."""
        with self.lock:
            self.at = id
            if self._saves:
                self._keep(id)

    def executable(self, parent: int, action: str) -> str:
        """Returns the valid action nearest to `action` at `parent`; `action` itself if the environment maps none.

        Raises `EnvError`.
        """
        if not self._maps:  # called for every child: `isinstance` of a protocol costs more than a step of TextCraft
            return action
        return self.ask(parent, lambda env: cast(MapsActions, env).executable(action))

    def warm_up(self, parent: int, actions: Sequence[str]) -> set[str]:
        """These actions are to be tried at `parent`, in this order. Saves time, and changes nothing: where there are no
        snapshots, as many instances as there may be come there and take the first of them, at the same time. Returns
        the actions that were taken care of."""
        if self._pool is None or len(set(actions)) < 2:
            return set(actions)
        with self.lock:
            done = self._pool.warm_up(self._path(parent), actions)
            self.at = NO_PARENT
            return done

    def step(self, action: str) -> Reply:
        """Executes one action in the current state. Raises `EnvError`."""
        with self.lock:
            if self._pool is not None:
                self._pool.forget()
            return self._step(action)

    def restore(self, snapshot: Hashable) -> None:
        """Restores a snapshot that the caller keeps. Raises `ValueError` if it is unusable."""
        with self.lock:
            self.at = NO_PARENT
            cast(Snapshots, self._only.env).restore(snapshot)

    def go_along(self, path: Sequence[str]) -> TextEnv:
        """Executes actions from the root, in or out of the tree; returns the environment. Raises `EnvError`."""
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
        """Executes some actions from the root, then one more. Returns the raw reply to it. Raises `EnvError`."""
        with self.lock:
            self.at = NO_PARENT
            if self._pool is not None:
                self._pool.way = ()
                return self._pool.try_action(tuple(path), action)
            self.go_along(path)
            return self._step(action)

    def close(self) -> None:
        """Closes the environment and all its instances. A step of another thread that takes longer than `CLOSE_LIMIT`
        ends with `InstanceDied`."""
        held = self.lock.acquire(timeout=CLOSE_LIMIT)
        try:
            self.at = NO_PARENT
            self._recipe.end(self._pool.instances if self._pool is not None else [self._only])
        finally:
            if held:
                self.lock.release()

    # -- with snapshots ------------------------------------------------------------------------------------

    def _step(self, action: str) -> Reply:
        self.at = NO_PARENT  # unknown if the step fails
        return self._recipe.step(self.env, action)

    def _keep(self, id: int) -> None:
        """Caches a snapshot of the current state for node `id`. If there is none, the node is reached by actions."""
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
        except EnvError as error:  # these steps succeeded before
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
            self._keep(id)  # each child starts from here

    def _restore(self, id: int) -> bool:
        """Restores the snapshot of a node (at the root, resets if there is none). Returns False if it was evicted."""
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
        self._recipe.begin(self._only)
        self.at = ROOT
        self._keep(ROOT)

    def _begin_again(self) -> None:
        """Resets after the instance died: its snapshots died with it."""
        self.at = NO_PARENT
        self._snapshots.clear()
        self._begin()

    # -- without -------------------------------------------------------------------------------------------

    def _path(self, id: int) -> tuple[str, ...]:
        nodes = self.tree.nodes
        assert self._pool is not None
        self._pool.way = way = self.tree.ancestors(id)[1:]
        return tuple(nodes[node].action for node in way)
