"""The states of a task that were reached, as a graph: each step is taken in the environment once, from any state.

Where states have keys (`StateKeys`), ways that lead to the same state meet in it. The graph is for looking ahead, which
needs many steps again and again; the result is then confirmed by `engine.environment.replay`, which executes the whole
way in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypeVar, cast

from engine.base.errors import InputError
from engine.base.step_kind import counts_time, only_looks, refused
from engine.base.text import clean, flatten
from engine.environment.at_node import MAX_SNAPSHOTS, EnvironmentAtNode
from engine.environment.opened import Opened
from engine.tree.events import Number
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, InstanceDied, Planner, Snapshots, StateKeys, TextEnv

T = TypeVar("T")

START = 0
"""The state at the root of the tree."""


class Edge(NamedTuple):
    """A step from one state to another."""

    to: int
    observation: str  # flattened; where ways met before the step, that of the first of them
    score: Number  # after it
    done: bool  # whether the episode is over: nothing leads on from `to`


class States:
    """The states of one tree's task."""

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened]) -> None:
        self._tree = tree
        self._open = open_environment
        self._stand: EnvironmentAtNode | None = None
        self._at: int | None = None  # where the environment stands
        self._saves = False
        self._origin: list[tuple[int, str]] = [(START, "")]  # state → the step that led to it first
        self._keys: list[str | None] = [None]
        self._snapshots: dict[int, Hashable] = {}
        self._left: dict[int, int | None] = {}
        assert tree.started is not None
        self._environment = tree.started.environment
        self._timed = counts_time(self._environment)
        self._timeless: list[int] = [START]  # state → the first that differs from it by time alone, as far as is known
        self._after: dict[tuple[int, str], int] = {}  # such a state, action → the one it leads to
        self._edges: dict[tuple[int, str], Edge] = {}
        self._by_key: dict[tuple[str, bool], int] = {}
        self._of_node: dict[int, int] = {ROOT: START}

    @property
    def steps(self) -> int:
        """Steps that were taken in the environment."""
        return self._stand.steps if self._stand is not None else 0

    @property
    def has_keys(self) -> bool:
        """Whether states can be compared. Raises `InputError` where there is no environment."""
        return self._opened().has_keys and bool(self._keys[START])

    def key(self, state: int) -> str | None:
        """The key of a state; None where the environment has none. Raises `InputError`."""
        self._opened()
        return self._keys[state]

    def path(self, state: int) -> list[str]:
        """Actions from the root that lead to a state."""
        actions = []
        while state != START:
            state, action = self._origin[state]
            actions.append(action)
        actions.reverse()
        return actions

    def step(self, state: int, action: str) -> Edge:
        """What an action leads to. Raises `EnvError`, and `InputError` where there is no environment."""
        known = self._edges.get((state, action))
        if known is None:
            try:
                known = self._step(state, action)
            except InstanceDied:
                self._at = None
                self._snapshots.clear()
                known = self._step(state, action)
            self._edges[state, action] = known
        return known

    def walk(self, actions: Sequence[str], state: int = START) -> int:
        """The state at the end of some actions. Raises as `step` does."""
        for action in actions:
            state = self.step(state, action).to
        return state

    def of_node(self, id: int) -> int:
        """The state of a node. Raises as `step` does."""
        known = self._of_node
        if id in known:
            return known[id]
        nodes = self._tree.nodes
        missing = []
        while id not in known:
            missing.append(id)
            id = nodes[id].parent
        state = known[id]
        for below in reversed(missing):
            state = known[below] = self.step(state, nodes[below].action).to
        return state

    @property
    def plans(self) -> bool:
        """Whether the environment knows an expert's way. Raises `InputError` where there is no environment."""
        return isinstance(self._opened().env, Planner)

    def steps_left(self, state: int) -> int | None:
        """Returns the steps of the expert's way from a state; None where no way is known. Where states count time,
        those that differ only by refused steps and looks are asked about once. Raises `EnvError`, `InputError`."""
        state = self._timeless[state]
        if state not in self._left:
            if not self.plans:
                assert self._tree.started is not None
                raise InputError(
                    f"the environment {self._tree.started.environment!r} has no plan to measure progress by:"
                    " use --verifier value"
                )
            try:
                left = self._plan(state)
            except InstanceDied:
                self._at = None
                self._snapshots.clear()
                left = self._plan(state)
            self._left[state] = left
        return self._left[state]

    def ask(self, state: int, question: Callable[[TextEnv], T]) -> T:
        """Returns the environment's answer to a question in a state. A question must change nothing. Raises `EnvError`,
        `InputError`."""
        try:
            return question(self._come(state).env)
        except InstanceDied:
            self._at = None
            self._snapshots.clear()
            return question(self._come(state).env)

    def close(self) -> None:
        """Close the environment."""
        if self._stand is not None:
            self._stand.close()

    # -- in the environment --------------------------------------------------------------------------------

    def _opened(self) -> EnvironmentAtNode:
        if self._stand is None:
            assert self._tree.started is not None
            self._stand = EnvironmentAtNode(self._tree, self._open(), self._tree.started.prefix)
            env = self._stand.env
            self._saves = isinstance(env, Snapshots)
            if self._stand.has_keys:
                key = cast(StateKeys, env).state_key() or None
                self._keys[START] = key
                if key is not None:
                    self._by_key[key, False] = START
            self._at = START
            self._keep(START)
        return self._stand

    def _keep(self, state: int) -> None:
        if not self._saves or self._stand is None:
            return
        try:
            self._snapshots[state] = cast(Snapshots, self._stand.env).snapshot()
        except EnvError:
            self._at = None
        if len(self._snapshots) > MAX_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]  # the oldest

    def _come(self, state: int) -> EnvironmentAtNode:
        """Bring the environment into a state."""
        stand = self._opened()
        if self._at == state:
            return stand
        snapshot = self._snapshots.get(state)
        if snapshot is not None:
            try:
                stand.restore(snapshot)
            except ValueError:
                del self._snapshots[state]
            else:
                self._at = state
                return stand
        self._at = None
        stand.go_along(self.path(state))
        self._at = state
        self._keep(state)
        return stand

    def _step(self, state: int, action: str) -> Edge:
        stand = self._opened()
        if self._saves:
            stand = self._come(state)
            self._at = None
            raw, score, done = stand.step(action)
        else:
            self._at = None
            raw, score, done = stand.try_path(self.path(state), action)
        done = done or score < 0
        key = (cast(StateKeys, stand.env).state_key() or None) if stand.has_keys else None
        to = self._by_key.get((key, done)) if key is not None else None
        if to is None:
            to = len(self._origin)
            self._origin.append((state, action))
            self._keys.append(key)
            self._timeless.append(self._without_time(state, action, clean(flatten(raw)), to))
            if key is not None:
                self._by_key[key, done] = to
            self._at = to
            self._keep(to)
        else:
            self._at = to
        return Edge(to, clean(flatten(raw)), score, done)

    def _without_time(self, state: int, action: str, observation: str, to: int) -> int:
        if not self._timed:
            return to
        before = self._timeless[state]
        if only_looks(self._environment, action) or refused(self._environment, action, observation):
            return before
        return self._after.setdefault((before, action), to)

    def _plan(self, state: int) -> int | None:
        stand = self._come(state)
        return cast(Planner, stand.env).plan().steps_left
