"""AgentGym's environment servers over HTTP: `agentgym:textcraft@URL`, `agentgym:sciworld@URL`, `agentgym:webshop@URL`.

The task id is the server's own number of a task. The environment survives a server that goes away: it waits for it,
makes a new session, and repeats the actions since reset there, which have to be answered as they were. How long it
waits and how long a request may take stand behind the address: `agentgym:textcraft@URL?patience=60&timeout=60`.
"""

from __future__ import annotations

import re
import string
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gymnasium
import msgspec
from gymnasium.spaces import Text

from envs.agentgym.connection import Connection, Failed, Gone, Lost, Trouble
from envs.agentgym.servers import KINDS, Address, First, Reply, brief, parse_address
from envs.base import AnyText, EnvError, InstanceDied, Unavailable, UnknownTask
from envs.recorded import sent_action

MAX_SESSIONS_LOST = 2
"""How often one step or reset makes a new session. A step that loses one each time is what kills the server."""

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds between tries, doubled each time

_NO_SESSION = re.compile(r"is not valid|has been deleted")

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what reading a reply may raise

T = TypeVar("T")


class _Error(msgspec.Struct):
    error: str


def make(argument: str) -> AgentGym:
    """The environment of `agentgym:ARGUMENT`. Raises `EnvError`; the server is asked first when it is reset."""
    return AgentGym(parse_address(argument))


class _Refused(EnvError):
    """The server's own words."""


@dataclass
class _Session:
    id: int
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
        self._connection = Connection(address.url, address.timeout)
        self._session: _Session | None = None
        self._greeted = False
        self._task: int | None = None
        self._first: First | None = None
        self._walk: list[tuple[str, Reply]] = []  # since reset
        self._repeated = 0  # steps that were repeated in a new session
        weakref.finalize(self, Connection.close, self._connection)  # at the exit of the program, too

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start task `options["task"]`, a number of the server's; else task `seed`; else task 0.

        Raises `UnknownTask` where the server has no such task, or where `options["observation"]` is given and the
        task starts otherwise; `InstanceDied` where the server is gone; `EnvError`.
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
        expected = options.get("observation")
        if expected is not None and expected.split() != first.observation.split():
            raise UnknownTask(
                f"task {number} of {self.address.name} is another one: it starts with {brief(first.observation)!r}, "
                f"not with {brief(expected)!r}"
            )
        self._task, self._first = number, first
        return first.observation, {"environment": self.address.name, "task": str(number)}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Execute one action. `info["repeated"]` counts the steps since reset that an outage made it repeat.

        Raises `InstanceDied` where the server is gone for longer than it is waited for, and `EnvError` with its
        words where it refuses.
        """
        if self._task is None:
            raise EnvError(f"{self.address.name}: no task was started: reset it first")
        action = sent_action(self._kind.name, action)
        reply = self._persist(lambda session: self._ask_step(session, action))
        self._walk.append((action, reply))
        return reply.observation, reply.score, reply.done, False, {"repeated": self._repeated}

    def close(self) -> None:
        """End the session. May be called again."""
        self._session = None
        self._connection.close()

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
            id = self._ask("POST", "/create", self._kind.create_body, self._kind.created)
            self._session = _Session(id, self._connection.made(id, self._kind.closes))
            if self._kind.closes:
                self._connection.end_sessions(but=1)  # what an outage left behind
        if not self._session.stands:
            self._repeat(self._session)
        return self._session

    def _repeat(self, session: _Session) -> None:
        """Do again what was done since reset. Raises `Unavailable` where it is answered otherwise."""
        if self._task is not None:
            first = self._ask_reset(session, self._task)
            if first != self._first:
                raise Unavailable(
                    f"{self.address.name} came back with another task {self._task}: {brief(first.observation)!r}"
                )
            for place, (action, before) in enumerate(self._walk, 1):
                reply = self._ask_step(session, action)
                self._repeated += 1
                if reply != before:
                    raise Unavailable(
                        f"{self.address.name} came back and answers step {place} ({brief(action, 40)!r}) otherwise: "
                        f"{brief(reply.observation)!r} instead of {brief(before.observation)!r}"
                    )
        session.stands = True

    def _check(self, session: _Session) -> None:
        """Whether the session is still this one, after the server broke the connection off. Servers do that with any
        idle connection; one that started again may have given the session's number to somebody else.

        Raises `Lost`.
        """
        if session.last is None:
            raise Lost(f"session {session.id} of {self.address.url} may be somebody else's")
        try:
            data = self._connection.ask("GET", f"/observation?{self._kind.id_key}={session.id}")
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

    # -- requests ------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        """Whether this is the right kind of server. Raises `EnvError`."""
        if self._greeted:
            return
        try:
            said = msgspec.json.decode(self._connection.ask("GET", "/"), type=str)
        except (Failed, EnvError, *_UNREADABLE):
            said = ""  # the requests that follow will tell
        others = {kind.greeting: kind.name for kind in KINDS.values() if kind is not self._kind}
        if said in others:
            raise EnvError(f"{self.address.url} is a server of {others[said]}: agentgym:{others[said]}@URL")
        self._greeted = True

    def _ask_reset(self, session: _Session, task: int) -> First:
        session.last = None
        body = {self._kind.id_key: session.id, self._kind.task_key: task}
        first = self._ask("POST", "/reset", body, self._kind.first)
        session.last = first.raw
        return first

    def _ask_step(self, session: _Session, action: str) -> Reply:
        session.last = None
        body = {self._kind.id_key: session.id, "action": action}
        reply = self._ask("POST", "/step", body, self._kind.reply)
        session.last = reply.observation
        return reply

    def _ask(self, method: str, path: str, body: object, read: Callable[[bytes], T]) -> T:
        """A reply, read. Raises `Trouble`, or `EnvError` with the server's words."""
        data = self._connection.ask(method, path, body)
        if (words := _error_in(data)) is not None:
            if _NO_SESSION.search(words):
                raise Lost(f"{self.address.url}{path} says: {brief(words)}")
            raise _Refused(f"{self.address.url}{path} says: {brief(words)}")
        try:
            return read(data)
        except _UNREADABLE as error:
            raise EnvError(
                f"{self.address.url}{path} answers what no {self._kind.name} server does ({brief(error)}): "
                f"{brief(data[:200].decode(errors='replace'), 60)}"
            ) from error


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
