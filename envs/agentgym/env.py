"""Environment servers over HTTP, AgentGym's and others like them: `agentgym:KIND@URL`. A kind is a file of data
(`envs.agentgym.kind`).

The task id is the server's own number of a task. Where a server goes away, the environment waits for it, makes a new
session, and repeats there the actions since reset; each has to get the same answer as before. The address may end with
limits in seconds, of the wait and of a request: `agentgym:textcraft@URL?patience=60&timeout=60`.
"""

from __future__ import annotations

import functools
import re
import string
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import gymnasium
import msgspec
from gymnasium.spaces import Text

from envs.agentgym.catalogue import catalogue
from envs.agentgym.connection import Connection, Failed, Gone, Lost, Trouble
from envs.agentgym.embedded_twin import twin_of
from envs.agentgym.kind import First, Id, Misread, Reply
from envs.agentgym.servers import Address, brief, parse_address
from envs.base import AnyText, EnvError, InstanceDied, Unavailable, UnknownTask

MAX_SESSIONS_LOST = 2
"""How often one step or reset makes a new session. A step that loses one each time is what kills the server."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between tries, doubled each time

_NO_SESSION = re.compile(r"\bid \S+ is not valid|has been deleted")

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Misread)  # what reading a reply may raise

T = TypeVar("T")


class _Error(msgspec.Struct):
    error: str


def make(argument: str) -> AgentGym:
    """Returns the environment of `agentgym:ARGUMENT`. Raises `EnvError`. The first request is made at its reset."""
    address = parse_address(argument)
    return _class_of(address.kind.lists_actions, address.kind.nearest)(address)


class _Refused(EnvError):
    """The server's own words."""


@dataclass
class _Session:
    id: Id
    epoch: int  # of the server, when the session was made
    stands: bool = False  # where the actions since reset lead
    last: str | None = None  # what the server says when it is asked for the observation again


class AgentGym(gymnasium.Env[str, str]):
    """A task of a server. One instance holds one session, and ends it when it is closed, collected, or the program
    exits."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, address: Address) -> None:
        self.address = address
        self.action_space = Text(max_length=10_000, min_length=0, charset=string.printable)
        self.observation_space = AnyText()
        self._kind = address.kind
        close = self._kind.close
        ends = None if close is None else (close.path, close.key or self._kind.id_key)
        self._connection = Connection(address.base, address.timeout, ends, self._kind.prefix)
        self._session: _Session | None = None
        self._greeted = False
        self._task: int | None = None
        self._first: First | None = None
        self._walk: list[tuple[str, Reply]] = []  # since reset
        self._repeated = 0  # steps that were repeated in a new session
        weakref.finalize(self, Connection.close, self._connection)  # at the exit of the program, too

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start task `options["task"]`, a number of the server's; else task `seed`; else task 0.

        `options["observation"]` is the first observation that the task had before. The task then has to be the same
        one. Where the kind compares only a part of it, the rest may differ (`info["changed"]` says so); the earlier
        observation is returned, since that is what actors have read.

        Raises `UnknownTask` where the server has no such task, or another one than before; `InstanceDied` where the
        server is gone; `EnvError`.
        """
        super().reset(seed=seed)
        options = options or {}
        task = options.get("task")
        number = _number_of(task if task is not None else seed or 0)
        self._task, self._first, self._walk, self._repeated = None, None, [], 0
        if self._session is not None:
            self._session.stands = False
        try:
            first = self._persist(lambda session: self._ask_reset(session, number))
        except _Refused as error:
            raise UnknownTask(f"no task {number}, or it can't be started: {error}") from error
        self._task, self._first = number, first
        info = {"environment": self.address.name, "task": str(number)}
        expected = options.get("observation")
        if expected is None or expected.split() == first.observation.split():
            return first.observation, info
        if self._kind.same_of(expected) != first.same:
            self._task = self._first = None
            raise UnknownTask(
                f"task {number} of {self.address.name} is another one: it starts with {brief(first.observation)!r}, "
                f"not with {brief(expected)!r}{self._remedy}"
            )
        changed = f"{self.address.name} begins task {number} otherwise than before, with the same goal{self._remedy}"
        return expected, info | {"changed": changed}

    @property
    def _remedy(self) -> str:
        return f" ({self._kind.remedy})" if self._kind.remedy else ""

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. `info["repeated"]` counts the steps since reset that an outage made it repeat.

        Raises `InstanceDied` where the server is gone for longer than it is waited for, and `EnvError` with its
        words where it refuses.
        """
        if self._task is None:
            raise EnvError(f"{self.address.name}: no task was started: reset it first")
        action = self._kind.sent(action)
        reply = self._persist(lambda session: self._ask_step(session, action))
        self._walk.append((action, reply))
        score = self._kind.score([reply for _, reply in self._walk])
        return reply.observation, score, reply.done, False, {"repeated": self._repeated}

    def close(self) -> None:
        """End the session. May be called again."""
        self._session = None
        self._connection.close()

    def _listed(self) -> tuple[str, ...]:
        """What the server said can be done here. Raises `EnvError`."""
        if self._first is None:
            raise EnvError(f"{self.address.name}: no task was started: reset it first")
        return self._walk[-1][1].actions if self._walk else self._first.actions

    # -- a session that stands where the actions lead ------------------------------------------------------

    def _persist(self, ask: Callable[[_Session], T]) -> T:
        """What `ask` gives in a session that stands where the actions since reset lead.

        Where the server is gone it is waited for; where the session is lost, or broken, another takes its place.
        """
        wait, lost = FIRST_WAIT, 0
        while True:
            epoch = self._connection.epoch
            if self._connection.closed.is_set():
                raise InstanceDied(f"{self.address.name} was closed")
            try:
                return ask(self._standing())
            except EnvError:
                if self._session is not None:
                    self._session.stands = False  # nobody knows what the server did before it refused
                raise
            except Trouble as trouble:
                if isinstance(trouble, Lost) or (isinstance(trouble, Gone) and trouble.down):
                    self._connection.lost_sessions(epoch)
                if self._session is not None:
                    # After a broken connection nobody knows whether the step was made: that session is done with.
                    self._session = None
                    lost += 1
                if isinstance(trouble, Failed) and lost != 1:
                    raise _Refused(str(trouble)) from trouble
                if lost > MAX_SESSIONS_LOST:
                    raise InstanceDied(f"{trouble} ({lost} times in a row)") from trouble
                if isinstance(trouble, Gone):
                    self._wait(wait, trouble)
                    wait = min(2 * wait, LONGEST_WAIT)

    def _wait(self, seconds: float, trouble: Gone) -> None:
        """Wait a while for the server. Raises `InstanceDied` where this outage lasts too long."""
        outage, now = self._connection.outage, time.monotonic()
        with outage.lock:
            outage.since = outage.since if outage.since is not None else now
            left = outage.since + self.address.patience - now
        if not outage.known:  # a wrong address, or a server that was never started
            raise InstanceDied(f"{trouble}: is the server running?") from trouble
        if left <= 0:
            raise InstanceDied(f"{trouble}; waited {self.address.patience:g} s for it") from trouble
        self._connection.closed.wait(min(seconds, left))

    def _standing(self) -> _Session:
        """The session, at the state after the actions since reset; a new one where there is none any more."""
        if self._session is not None and self._session.epoch != self._connection.epoch:
            self._session = None
        if self._session is not None and self._connection.broken:
            self._check(self._session)
            if self._session.epoch != self._connection.epoch:  # another instance found that out meanwhile
                raise Lost(f"{self.address.url} started again")
        if self._session is None:
            self._greet()
            create = self._kind.create
            id = self._ask("POST", create.path, create.body, self._kind.session)
            self._session = _Session(id, self._connection.made(id))
            self._connection.end_sessions(but=1)  # what an outage left behind
        if not self._session.stands:
            self._repeat(self._session)
        return self._session

    def _repeat(self, session: _Session) -> None:
        """Do again what was done since reset. Raises `Unavailable` where it is answered otherwise."""
        if self._task is not None:
            first = self._ask_reset(session, self._task)
            assert self._first is not None
            if first.same != self._first.same:
                raise Unavailable(
                    f"{self.address.name} came back with another task {self._task}: {brief(first.observation)!r}"
                    f"{self._remedy}"
                )
            for place, (action, before) in enumerate(self._walk, 1):
                reply = self._ask_step(session, action)
                self._repeated += 1
                if reply != before:
                    raise Unavailable(
                        f"{self.address.name} came back and answers step {place} ({brief(action, 40)!r}) otherwise: "
                        f"{brief(reply.observation)!r} instead of {brief(before.observation)!r}{self._remedy}"
                    )
        session.stands = True

    def _check(self, session: _Session) -> None:
        """Whether the session is still this one, after the server broke the connection off. Servers do that with any
        idle connection; one that started again may have given the session's number to somebody else.

        Raises `Lost`.
        """
        if session.last is None or not self._kind.observe:
            raise Lost(f"session {session.id} of {self.address.url} may be somebody else's")
        try:
            data = self._connection.ask("GET", self._observed(self._kind.observe, session))
        except Failed as error:
            raise Lost(str(error)) from error
        except EnvError:
            return  # a server that can't be asked so
        if (words := _error_in(data)) is not None:
            if _NO_SESSION.search(words):
                raise Lost(words)
            return
        try:
            now = msgspec.json.decode(data, type=str)
        except _UNREADABLE:
            return
        if now != session.last:
            raise Lost(f"session {session.id} of {self.address.url} is somebody else's")

    def _observed(self, path: str, session: _Session) -> str:
        return f"{path}?{urlencode({self._kind.id_key: session.id})}"

    # -- requests ------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        """Whether this is the right kind of server. Raises `EnvError`."""
        if self._greeted:
            return
        try:
            data = self._connection.greeting()
            said = msgspec.json.decode(data, type=str) if data.startswith(b'"') else data.decode()
        except (Failed, EnvError, *_UNREADABLE):
            said = ""  # the requests that follow will tell
        others = [kind.name for kind in catalogue().kinds.values() if said and kind.greeting == said]
        if others and self._kind.greeting and said != self._kind.greeting:
            names = " or ".join(others)
            raise EnvError(f"{self.address.url} is a server of {names}: agentgym:{others[0]}@URL")
        self._greeted = True

    def _ask_reset(self, session: _Session, task: int) -> First:
        session.last = None
        kind, reset = self._kind, self._kind.reset
        body = reset.constants | {kind.id_key: session.id, reset.task: task}
        if reset.look:
            reply = self._ask("POST", reset.path, body, lambda reply: reply)
            first = self._ask("GET", self._observed(reset.look, session), None, lambda look: kind.first(reply, look))
        else:
            first = self._ask("POST", reset.path, body, kind.first)
        session.last = first.raw
        return first

    def _ask_step(self, session: _Session, action: str) -> Reply:
        session.last = None
        kind, step = self._kind, self._kind.step
        body = step.constants | {kind.id_key: session.id, step.action: action}
        reply = self._ask("POST", step.path, body, kind.reply)
        session.last = reply.observation
        return reply

    def _ask(self, method: str, path: str, body: object, read: Callable[[Any], T]) -> T:
        """A reply, read. Raises `Trouble`, or `EnvError` with the server's words."""
        data = self._connection.ask(method, path, body)
        if (words := _error_in(data)) is not None:
            if _NO_SESSION.search(words):
                raise Lost(f"{self.address.url}{path} says: {brief(words)}")
            raise _Refused(f"{self.address.url}{path} says: {brief(words)}")
        try:
            return read(msgspec.json.decode(data))
        except _UNREADABLE as error:
            raise EnvError(
                f"{self.address.url}{path} answers what no {self._kind.name} server does ({brief(error)}): "
                f"{brief(data[:200].decode(errors='replace'), 60)}"
            ) from error


class _Lists:
    """What an environment adds whose server, or kind, lists valid actions."""

    _listed: Callable[[], tuple[str, ...]]

    def valid_actions(self) -> list[str]:
        """What can be done here, as the server lists it. Raises `EnvError`."""
        return list(self._listed())


class _Maps:
    """What an environment adds where the original's search executes the nearest valid action. The servers list none:
    the embedded twin is led the same way, and asked."""

    address: Address
    _task: int | None
    _first: First | None
    _walk: list[tuple[str, Reply]]

    def __init__(self, address: Address) -> None:
        super().__init__(address)  # type: ignore[call-arg]
        self._twin = twin_of(address.kind.twin)
        weakref.finalize(self, self._twin.leave, id(self))

    def executable(self, action: str) -> str:
        """The valid action that the original's search would execute in the place of `action`. Raises `Unavailable`
        where the twin can't be asked."""
        if self._first is None:
            raise EnvError(f"{self.address.name}: no task was started: reset it first")
        walk = [action for action, _ in self._walk]
        return self._twin.executable(id(self), str(self._task), self._first.observation, walk, action)

    def close(self) -> None:
        """End the session. May be called again."""
        super().close()  # type: ignore[misc]
        self._twin.leave(id(self))


@functools.cache
def _class_of(lists: bool, maps: bool) -> type[AgentGym]:
    """`AgentGym` with what else a kind offers: callers ask by class."""
    more = [*([_Lists] if lists else []), *([_Maps] if maps else [])]
    return type("AgentGym", (*more, AgentGym), {}) if more else AgentGym


def _error_in(data: bytes) -> str | None:
    """The error that a server reports with HTTP 200."""
    try:
        return msgspec.json.decode(data, type=_Error).error
    except _UNREADABLE:
        return None


def _number_of(task: object) -> int:
    text = str(task)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UnknownTask(f"agentgym has no task {brief(text, 40)!r}: a number of the server's, from 0")
    return int(text)
