"""One kept-alive connection to a server, and the sessions that it holds there. Bytes out, bytes in, within time limits.

There are three kinds of faults, since each has another remedy: `Gone` (nobody answers: wait and try again), `Lost` (the
server answers, but does not know the session: make another) and `Failed` (an internal error: the session may be
broken). A fault that another attempt does not cure is an `EnvError`. Every message is one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from envs.agentgym.kind import Id
from envs.agentgym.servers import brief
from envs.base import EnvError

MAX_REPLY = 16 * 2**20
"""Bytes of a reply that are read."""

CONNECT_LIMIT = 5.0
CLOSE_LIMIT = 2.0
"""Seconds that connecting may take, and ending a session."""

_BUSY = frozenset({429, 502, 503, 504})  # what stands before a server that starts, or has too much to do
_CODINGS = frozenset({"identity", "gzip", "deflate"})  # that grow to 1,032 times their size at most
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Trouble(Exception):
    """A failed request that another attempt may cure."""


class Gone(Trouble):
    """Nobody answers, or not in time. `down`: there is no process that could."""

    def __init__(self, message: str, down: bool = False) -> None:
        self.down = down
        super().__init__(message)


class Lost(Trouble):
    """The server does not know the session."""


class Failed(Trouble):
    """The server answered with an internal error."""


@dataclass
class Outage:
    """What all connections of this process know of one server."""

    epoch: int = 0  # grows when the server is found to have lost its sessions: an id of before may be another's now
    held: set[Id] = field(default_factory=set)  # ids of this epoch's sessions that were not ended
    known: bool = False  # whether it ever answered
    since: float | None = None  # when it was first found gone (monotonic, seconds); None while it answers
    lock: threading.Lock = field(default_factory=threading.Lock)


_OUTAGES: dict[str, Outage] = {}
_OUTAGES_LOCK = threading.Lock()


def outage_of(url: str) -> Outage:
    """The record of a server, shared by all its connections."""
    with _OUTAGES_LOCK:
        return _OUTAGES.setdefault(url, Outage())


class Connection:
    """A connection to the server at `base`. `limit`: seconds a request may take, its whole reply included; `close`: the
    path by which a session is ended, and the key of its id there; `prefix`: of all paths of this kind of server."""

    def __init__(self, base: str, limit: float, close: tuple[str, str] | None = None, prefix: str = "") -> None:
        self.base = base
        self.url = url = base + prefix
        self._close = close
        self.limit = limit
        self.outage = outage_of(url)
        host = urlsplit(url).hostname or ""
        try:
            httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise EnvError(f"{brief(url)!r} is not an address: {brief(error)}") from error
        self._client = httpx2.Client(
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=None),
            trust_env=host not in _LOOPBACK,  # a proxy of the environment has no way to this machine
            verify=url.startswith("https:"),  # else no time is spent on certificates
        )
        self._stream: Any = None  # of the last reply, where it promised to stay open
        self._connected: Any = None  # the stream of the last connection
        self._lock = threading.RLock()  # of a request
        self._extensions = {"trace": self._watch}
        self._process = os.getpid()
        self.closed = threading.Event()
        self._sessions: list[tuple[int, Id]] = []  # epoch and id, of those held

    @property
    def broken(self) -> bool:
        """Whether the connection that was promised to stay open is gone: the server may be another process now."""
        return self._stream is not None and bool(self._stream.get_extra_info("is_readable"))

    def greeting(self) -> bytes:
        """What the server says of itself. Raises as `ask`."""
        with self._lock:
            return self._ask("GET", "/", None, self.limit, self.base)

    def ask(self, method: str, path: str, body: object = None, limit: float | None = None) -> bytes:
        """Send a request; returns the body of a good reply.

        `method`: such as GET. `path`: of the URL, after the server's address. `body`: sent as JSON; None: no body.
        `limit`: seconds to wait; None: the connection's own limit.

        Raises `Gone`, `Failed`, and `EnvError` for a fault that another attempt does not cure.
        """
        with self._lock:
            if self.closed.is_set():
                raise Gone(f"{self.url} was closed")
            return self._ask(method, path, body, limit or self.limit)

    def _ask(self, method: str, path: str, body: object, limit: float, base: str | None = None) -> bytes:
        until = time.monotonic() + limit
        # ASCII escapes carry what UTF-8 can't, such as half a surrogate pair.
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"content-type": "application/json"}
        limits = httpx2.Timeout(limit, connect=min(CONNECT_LIMIT, limit))
        place = (self.url if base is None else base) + path
        self._stream = None
        try:
            with self._client.stream(
                method,
                place,
                content=content,
                headers=headers,
                timeout=limits,
                extensions=self._extensions,
            ) as reply:
                data = self._read(reply, until)
                stays = reply.http_version == "HTTP/1.1" and reply.headers.get("connection", "").lower() != "close"
                self._stream = reply.extensions.get("network_stream") if stays else None
                status = reply.status_code
        except httpx2.ConnectTimeout as error:
            raise Gone(f"{self.url}: can't connect within {limits.connect:g} s") from error
        except httpx2.TimeoutException as error:
            raise Gone(f"{self.url}{path} did not answer within {limit:g} s") from error
        except httpx2.TransportError as error:
            raise Gone(f"{self.url}{path}: {_what(error)}", isinstance(error, httpx2.ConnectError)) from error
        except httpx2.HTTPError as error:  # undecodable content and the like
            raise EnvError(f"{self.url}{path}: {brief(error) or type(error).__name__}") from error
        if status in _BUSY:
            raise Gone(f"{self.url}{path} answers with HTTP {status}")
        self._answered()
        if status >= 500:
            raise Failed(f"{self.url}{path} failed with HTTP {status} ({brief(data.decode(errors='replace'))})")
        if status != 200:
            raise EnvError(f"{self.url}{path} refuses with HTTP {status}: {brief(data.decode(errors='replace'))}")
        return data

    def _watch(self, event: str, facts: dict[str, Any]) -> None:
        """Hears of everything that the client does."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._connected = facts["return_value"]

    def _read(self, reply: httpx2.Response, until: float) -> bytes:
        coding = reply.headers.get("content-encoding", "identity").strip().casefold()
        if coding not in _CODINGS:  # the others, and several of them, grow without a bound
            raise EnvError(f"{reply.url} packs its reply as {brief(coding)!r}, which is not read")
        data = bytearray()
        for chunk in reply.iter_bytes():
            data += chunk
            if len(data) > MAX_REPLY:
                raise EnvError(f"{reply.url} sends more than {MAX_REPLY // 2**20} MiB")
            if time.monotonic() > until:  # the client's own limit starts anew with every piece
                raise httpx2.ReadTimeout("the whole reply takes too long")
        return bytes(data)

    def _answered(self) -> None:
        with self.outage.lock:
            self.outage.known, self.outage.since = True, None

    @property
    def epoch(self) -> int:
        """Sessions of an earlier epoch are no longer this process's."""
        return self.outage.epoch

    def lost_sessions(self, epoch: int) -> None:
        """Note that the server holds no session of `epoch`, for any connection of this process."""
        with self.outage.lock:
            if self.outage.epoch == epoch:
                self.outage.epoch += 1
                self.outage.held.clear()

    def made(self, session: Id) -> int:
        """Note that a session was made; returns its epoch, a new one where the server returns a number for the second
        time."""
        outage = self.outage
        with outage.lock:
            if session in outage.held:
                outage.epoch += 1
                outage.held.clear()
            outage.held.add(session)
            self._sessions.append((outage.epoch, session))
            return outage.epoch

    def end_sessions(self, but: int = 0) -> None:
        """End the sessions held, except the last `but`, as far as the server allows."""
        place = len(self._sessions) - but
        held, self._sessions = self._sessions[:place], self._sessions[place:]
        for epoch, session in held:
            with self.outage.lock:
                if epoch != self.outage.epoch:
                    continue  # an id of a server that started again may be somebody else's by now
                self.outage.held.discard(session)
            if self._close is None:
                continue
            path, key = self._close
            try:
                self._ask("POST", path, {key: session}, CLOSE_LIMIT)
            except Gone:
                break
            except (Failed, EnvError):
                continue  # there was no such session any more

    def close(self) -> None:
        """End the sessions and the connection. May be called again, and from another thread: what that one waits for
        ends with `Gone`."""
        if self.closed.is_set() or os.getpid() != self._process:  # a forked child's sessions are its parent's
            return
        self.closed.set()
        if not self._lock.acquire(blocking=False):
            self._hang_up()
            if not self._lock.acquire(timeout=CLOSE_LIMIT):
                return  # it connects: that has a limit of its own
        try:
            self.end_sessions()
            self._client.close()
        finally:
            self._lock.release()

    def _hang_up(self) -> None:
        """Nobody goes on waiting for a reply on this connection."""
        with contextlib.suppress(OSError, AttributeError):  # there is none, or no more
            self._connected.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _what(error: Exception) -> str:
    """What happened to a connection, in plain words."""
    if isinstance(error, httpx2.ConnectError):
        text = str(error)
        if "refused" in text:
            return "no server is listening there"
        return f"can't connect ({brief(text.rpartition('] ')[2])})"
    if isinstance(error, httpx2.RemoteProtocolError) and "disconnected" not in str(error):
        return f"does not speak HTTP ({brief(error)})"
    return "the connection broke"
