"""The app in a browser: textual-serve behind a one-time token. Needs the extra `serve`.

A person in the browser can do what the person at the terminal can: run searches with their keys. So the link holds a
token that works once and gives a cookie, and no request without token or cookie gets an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import re
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server, to_int

from agentr_tui.terminal.output import warn
from agentr_tui.web.browser_process import BrowserProcess
from engine.base.errors import InputError

SHUTDOWN_SECONDS = 3.0
LOG_FILE = "serve.log"
"""Of a workspace: what went wrong in apps and in the server. Made when something did."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REFUSAL = """403: this needs the link that agentr serve printed.

The token in it works once, in one browser; that browser is then known by a cookie. Start agentr serve again for
a new link.
"""


_REMOTE_FONT = re.compile(r"<link[^>]*fonts\.googleapis\.com[^>]*>")
_OWN_FONT = """<style>
@font-face { font-family: "Roboto Mono"; src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf"); }
@font-face {
  font-family: "Roboto Mono"; font-style: italic; src: url("/static/fonts/RobotoMono-Italic-VariableFont_wght.ttf");
}
</style>"""
"""The page asks a service for a font that textual-serve ships too."""


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any that is free. Raises `InputError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{host}:{port}: {reason}: choose another --port or --host") from error


class Gate:
    """Lets in a browser with the token, once, and from then on with the cookie."""

    def __init__(self, port: int, any_host: bool) -> None:
        self.token: str | None = secrets.token_urlsafe(32)  # None once it was used
        self._cookie_name = f"agentr-{port}"  # cookies of one host are shared by its ports
        self._cookie = secrets.token_urlsafe(32)
        self._any_host = any_host

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 403 to requests without token or cookie."""
        if not self._is_ours(request):
            raise web.HTTPForbidden(text=_REFUSAL)
        given = request.cookies.get(self._cookie_name, "")
        if not secrets.compare_digest(given.encode(), self._cookie.encode()):
            return self._first(request)
        if "token" in request.query:
            raise web.HTTPSeeOther("/")
        return await handler(request)

    def _first(self, request: web.Request) -> web.StreamResponse:
        """Somebody unknown: with the token they become known, and the token is spent."""
        given = request.query.get("token", "")
        if self.token is None or not secrets.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPForbidden(text=_REFUSAL)
        if request.method != "GET":  # a look at the link does not use it up
            raise web.HTTPForbidden(text=_REFUSAL)
        self.token = None
        answer = web.HTTPSeeOther("/")  # the address without the token
        answer.set_cookie(self._cookie_name, self._cookie, httponly=True, samesite="Lax", path="/")
        raise answer

    def _is_ours(self, request: web.Request) -> bool:
        """Whether the request was meant for this server: no page elsewhere sent it, by whatever name it knows us."""
        host = urlsplit(f"//{request.host}").hostname or ""
        if not self._any_host and not is_loopback(host):
            return False
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == request.host


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing is fetched from elsewhere, kept, or shown in another page's frame."""
    response.headers.update(
        {
            "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
            f"connect-src 'self' ws://{request.host} wss://{request.host}; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
    )


class AppServer(Server):
    """Starts the app in a process of its own for every browser that is let in."""

    def __init__(self, arguments: Sequence[str], host: str, port: int, log: Path) -> None:
        """`log`: the file that takes what goes wrong."""
        command = shlex.join([sys.executable, "-P", "-m", "agentr_tui.cli.browser_app", *arguments])
        super().__init__(command, host=host, port=port, title="agentr")
        self.gate = Gate(port, any_host=not is_loopback(host))
        self._log = log
        self._apps: set[BrowserProcess] = set()

    @property
    def log(self) -> Path:
        """What went wrong."""
        return self._log

    @property
    def link(self) -> str:
        """The address to open first in a browser."""
        try:
            unspecified = ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            unspecified = False
        host = socket.gethostname() if unspecified else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?token={self.gate.token}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self.gate.middleware)
        app.on_response_prepare.append(harden)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing, since the command does."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End the apps of all browsers."""
        await asyncio.gather(*(each.stop() for each in self._apps))

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run an app for a browser until either is gone."""
        socket = web.WebSocketResponse(heartbeat=15)
        await socket.prepare(request)
        app = BrowserProcess(
            self.command,
            log=self._log,
            warn=warn,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=socket.close,
            download_manager=self.download_manager,
        )
        self._apps.add(app)
        try:
            await app.start(to_int(request.query.get("width", "80"), 80), to_int(request.query.get("height", "24"), 24))
            await app.take(socket)
        except OSError as error:
            warn(f"no app can be started for a browser: {error.strerror or error}")
        finally:
            try:
                await app.stop()
            finally:
                self._apps.discard(app)
        return socket

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, whose addresses are those that the browser used: it may come through a forwarded port."""
        self.public_url = f"{request.scheme}://{request.host}"
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        page.text = _REMOTE_FONT.sub(_OWN_FONT, page.text or "")
        return page


class _Line(logging.Handler):
    """Says in one line that something stands in the log."""

    def __init__(self, log: Path) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        warn(f"{record.getMessage()}: {self._log} says more")


def run(server: AppServer, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; the apps are then asked to end.

    `server`: what to serve. `listening`: its socket. `ready`: called when the server answers and a signal ends it
    cleanly, since a program that reads the link may send one at once.
    """
    logs = logging.FileHandler(server.log, delay=True, encoding="utf-8")
    for name in ("aiohttp", "textual-serve", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(logs)
        logger.addHandler(_Line(server.log))
        logger.propagate = False
    os.environ["PYTHONUTF8"] = "1"  # a browser shows every glyph, whatever the terminal here does
    with contextlib.suppress(KeyboardInterrupt):  # before the handlers stand, or where a system has none
        asyncio.run(_serve(server, listening, ready))


async def _serve(server: AppServer, listening: socket.socket, ready: Callable[[], None]) -> None:
    asked = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows: ctrl+c is a KeyboardInterrupt there
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, asked.set)
    runner = web.AppRunner(await server._make_app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        ready()
        await asked.wait()
    finally:
        await runner.cleanup()


def arguments(paths: Sequence[Path], workspace: Path) -> list[str]:
    """What the process of the app is started with."""
    return [str(workspace.absolute()), *(str(path.absolute()) for path in paths)]
