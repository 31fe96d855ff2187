"""ScienceWorld: elementary science experiments by text, in the package's own simulator.

Tasks are named `TASK:VARIATION` (`find-plant:3`) or by a number that counts all variations of all tasks in the
package's order (3539). `scienceworld:easy` or `scienceworld:openDoors,teleportAction` simplify all of them. The score
after a step is the simulator's, 0 to 100, growing as parts of the task are done; a wrong focus is a disaster: -100, and
the episode is over.

Everything is deterministic: the same actions lead to the same state, in any process (see
`envs.scienceworld.simulator`).
"""

from __future__ import annotations

import contextlib
import functools
import random
import re
import string
import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import gymnasium
from gymnasium.spaces import Text

from envs.base import AnyText, EnvError, InstanceDied, Plan, TextEnv, UnknownTask, Words
from envs.numbers import whole
from envs.scienceworld.expert import FIRST_ACTION, REFUSALS, Expert
from envs.scienceworld.mistakes import mistake
from envs.scienceworld.nearest_action import nearest
from envs.scienceworld.simulator import TASK_NAMES, Game, Reply, Situation, Start, give_back, lease
from envs.scienceworld.words import words

MAX_ACTION = 1000
"""Characters of an action that count."""

NOT_IN_AGENTGYM = frozenset(
    {
        *("grow-plant", "grow-fruit", "inclined-plane-determine-angle", "inclined-plane-friction-named-surfaces"),
        *("inclined-plane-friction-unnamed-surfaces", "mendelian-genetics-known-plant"),
        "mendelian-genetics-unknown-plant",
    }
)
"""Tasks that AgentGym's servers leave out when they number them."""

CLOSE_LIMIT = 1.0
"""Seconds that `close` waits for another thread to finish what it asked for."""

_NOT_ON_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Snapshot(NamedTuple):
    """A state that a simulator keeps."""

    game: int  # number of the simulator
    state: int
    situation: Situation
    path: tuple[str, ...]
    reply: Reply


def make(argument: str = "") -> TextEnv:
    """The environment of `scienceworld:SIMPLIFICATIONS`; its simulator starts when it is reset."""
    return ScienceWorld(argument)


class ScienceWorldBase(gymnasium.Env[str, str]):
    """The environment without snapshots."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, simplifications: str = "") -> None:
        self.action_space = Text(max_length=MAX_ACTION, min_length=0, charset=string.printable)
        self.observation_space = AnyText()
        self._simplifications = ",".join(part.strip() for part in simplifications.split(",") if part.strip())
        self._games: list[Game] = []  # at most one; shared with the finalizer
        self._situation: Situation | None = None
        self._path: tuple[str, ...] = ()  # actions since reset
        self._reply = Reply("", 0, False)
        self._closed = False
        self._lock = threading.RLock()  # one thread at a time; `close` may come from another
        weakref.finalize(self, _return, self._games)

    def tasks(self) -> list[str]:
        """The ids of all tasks, in the package's order."""
        with self._lock:
            counts = _variations(self._game())
            return [f"{task}:{variation}" for task, count in counts.items() for variation in range(count)]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start task `options["task"]`, an id or a number; else task number `seed`, modulo how many there are; else
        number 0.

        `options["observation"]` may hold the first observation of a task that was met elsewhere: then it has to be that
        task, where a number may also be one of AgentGym's, whose servers leave tasks out.

        Raises `UnknownTask`, `InstanceDied`, and `EnvError` where there is no Java or the simulator fails.
        """
        super().reset(seed=seed)
        options = options or {}
        with self._lock:
            return self._reset(options.get("task"), options.get("observation"), seed)

    def _reset(self, task: object, expected: str | None, seed: int | None) -> tuple[str, dict[str, Any]]:
        self._situation = None
        game = self._game()
        counts = _variations(game)
        if task is None or task == "":
            task = (seed or 0) % sum(counts.values())
        found = [task_of(str(task), counts)]
        if expected is not None and str(task).isdigit():
            with contextlib.suppress(UnknownTask):
                found.append(task_of(str(task), {name: counts[name] for name in counts if name not in NOT_IN_AGENTGYM}))
        simplifications = _simplifications(self._simplifications, game)
        for name, variation in found:
            observation = self._begin(game, Situation(name, variation, simplifications))
            if expected is None or _goal(observation) == _goal(expected):
                return observation, {"task": f"{name}:{variation}"}
        self._situation = None
        raise UnknownTask(f"scienceworld's task {_brief(task)} is another one than {_brief(_goal(expected or ''))}")

    def _game(self) -> Game:
        if self._closed:
            raise EnvError("scienceworld: this environment was closed")
        if self._games and not self._games[0].alive:
            self._games.clear()
        if not self._games:
            self._games.append(lease())
        return self._games[0]

    def _begin(self, game: Game, situation: Situation) -> str:
        self._path, self._reply = (), Reply("", 0, False)
        start = game.starts.get(situation)
        if start is None or not game.restore(start.state):
            game.load(situation)
            description = game.description()
            reply = game.step(FIRST_ACTION)
            start = Start(f"{description}\n{reply.observation}", game.take())
            game.starts[situation] = start
        self._situation = situation
        return start.observation

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. An action that can't be executed is answered, too.

        Raises `InstanceDied` where the simulator is gone, and `EnvError` where it fails.
        """
        with self._lock:
            game = self._started()
            action = one_line(action)
            try:
                self._reply = game.step(action)
            except EnvError:
                self._situation = None  # nobody knows where it stands
                raise
            self._path = (*self._path, action)
            return self._reply.observation, self._reply.score, self._reply.done, False, {}

    def _started(self) -> Game:
        if self._games and not self._games[0].alive:
            raise InstanceDied("scienceworld's simulator has ended")
        if self._situation is None or not self._games:
            raise EnvError("scienceworld: no task was started: reset it first")
        return self._games[0]

    def close(self) -> None:
        """Give the simulator back. May be called again, and from another thread: what that one waits for too long ends
        with `InstanceDied`."""
        if self._lock.acquire(timeout=CLOSE_LIMIT):
            try:
                self._situation, self._closed = None, True
                _return(self._games)
            finally:
                self._lock.release()
        else:
            self._closed = True
            for game in tuple(self._games):
                game.end()

    # -- what it offers further ----------------------------------------------------------------------------

    def _expert(self) -> Expert:
        game = self._started()
        assert self._situation is not None
        return Expert(game, self._situation, self._path, self._reply)

    def plan(self) -> Plan:
        """The expert's next action and the steps left: on the simulator's own way from the start, and elsewhere where
        the rest of it, or the rest after a step back, was tried and holds. `Plan(None, None)` where none is known.
        """
        with self._lock:
            expert = self._expert()
            way = expert.way()
            if not way:
                return Plan(None, None if way is None else 0)
            return Plan(expert.wording(way), len(way))

    def valid_actions(self) -> list[str]:
        """All valid actions, sorted. Takes tens of milliseconds."""
        with self._lock:
            return self._started().valid_actions()

    def executable(self, action: str) -> str:
        """The valid action that the original's search would execute in the place of `action`."""
        with self._lock:
            return nearest(one_line(action), self._expert().sight().allowed)

    def words(self, taken: str, answer: str, ahead: Sequence[str]) -> Words:
        """What is needed now: where to go, and what to do there.

        `taken`: the action just executed. `answer`: its observation. `ahead`: the actions that are taken next.
        """
        return words(one_line(taken), answer.startswith(REFUSALS), ahead)

    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """A thought and a plausible wrong action."""
        with self._lock:
            expert = self._expert()
            way = expert.way() or ()
            if way:
                way = (expert.wording(way), *way[1:])
            return mistake(way, expert.sight().allowed, self._path[-1] if self._path else None, rng)


class ScienceWorld(ScienceWorldBase):
    """The environment with snapshots. A simulator keeps the latest four thousand; where it can keep none (a foreign
    Java), `restore` raises `ValueError`, and the caller repeats the actions."""

    def snapshot(self) -> Hashable:
        """The state. Raises `EnvError` where no task was started."""
        with self._lock:
            game = self._started()
            assert self._situation is not None
            return Snapshot(game.number, game.take(), self._situation, self._path, self._reply)

    def restore(self, snapshot: Hashable) -> None:
        """Return to the state of `snapshot`. Raises `ValueError` where it is of another instance or kind, or no longer
        kept."""
        with self._lock:
            if not isinstance(snapshot, Snapshot):
                raise ValueError(f"no snapshot of ScienceWorld: {type(snapshot).__name__}")
            if not self._games or self._games[0].number != snapshot.game or not self._games[0].restore(snapshot.state):
                raise ValueError("this snapshot of ScienceWorld is not kept any more")
            self._situation, self._path, self._reply = snapshot.situation, snapshot.path, snapshot.reply

    def state_key(self) -> str:
        """A digest of 16 characters: equal where the state of the simulator is equal, the time that passed included."""
        with self._lock:
            return self._started().digest()


def _goal(observation: str) -> str:
    """What the task is: the first line of a first observation."""
    return observation.split("\n", 1)[0].strip()


def _return(games: list[Game]) -> None:
    while games:
        give_back(games.pop())


_counts: dict[str, int] = {}
_known_simplifications: list[str] = []


def _variations(game: Game) -> dict[str, int]:
    """How many variations each task has, in the package's order; asked for once."""
    if not _counts:
        _counts.update({task: game.variations(task) for task in TASK_NAMES})
    return _counts


def _simplifications(wanted: str, game: Game) -> str:
    """The simplifications, where they exist. Raises `EnvError`."""
    if wanted and not _known_simplifications:
        _known_simplifications.extend(["easy", *game.simplifications()])
    for name in wanted.split(","):
        if wanted and name not in _known_simplifications:
            raise EnvError(f"scienceworld has no simplification {_brief(name)}: {', '.join(_known_simplifications)}")
    return wanted


def task_of(text: str, counts: dict[str, int]) -> tuple[str, int]:
    """Name and variation of a task id, `TASK:VARIATION` or a number over all of them. Raises `UnknownTask`."""
    name, colon, number = text.partition(":")
    if not colon and text.isascii() and text.isdigit():
        place = int(text[:9])
        for task, count in counts.items():
            if place < count:
                return task, place
            place -= count
        raise UnknownTask(f"scienceworld has no task {_brief(text)}: 0 to {sum(counts.values()) - 1}")
    if name not in counts:
        raise UnknownTask(f"scienceworld has no task {_brief(name)}: one of {', '.join(counts)}")
    variation = whole(number)
    if variation is None or variation >= counts[name]:
        asked = f"has no variation {_brief(number)}" if colon else "needs a variation"
        raise UnknownTask(f"scienceworld's task {name} {asked}: {name}:0 to {name}:{counts[name] - 1}")
    return name, variation


@functools.lru_cache(maxsize=10_000)
def one_line(action: str) -> str:
    """An action as the simulator gets it: one line, no control characters, not too long."""
    return _NOT_ON_A_LINE.sub(" ", action[: 2 * MAX_ACTION]).strip()[:MAX_ACTION]


def _brief(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:56]}…"
