"""The app in a browser: textual-serve behind a one-time token. Needs the extra `serve`.

Whoever gets in can do what the person at the terminal can: run searches with their keys. So the link holds a token
that works once; whoever comes with it gets a cookie, and nothing at all is answered without the one or the other.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from engine.base.errors import InputError

SHUTDOWN_SECONDS = 3.0

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
    """Lets in who has the token, once, and from then on who has the cookie."""

    def __init__(self, port: int, any_host: bool) -> None:
        self.token: str | None = secrets.token_urlsafe(32)  # None once it was used
        self._cookie_name = f"agentr-{port}"  # cookies of one host are shared by its ports
        self._cookie = secrets.token_urlsafe(32)
        self._any_host = any_host

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 403 to whoever is not let in."""
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

    def __init__(self, arguments: Sequence[str], host: str, port: int) -> None:
        command = shlex.join([sys.executable, "-m", "agentr_tui.cli.browser_app", *arguments])
        super().__init__(command, host=host, port=port, title="agentr")
        self.gate = Gate(port, any_host=not is_loopback(host))

    @property
    def link(self) -> str:
        """Where a browser goes first."""
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
        """Say nothing: the command does."""

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, whose addresses are those that the browser used: it may come through a forwarded port."""
        self.public_url = f"{request.scheme}://{request.host}"
        page = await super().handle_index(request)
        assert isinstance(page, web.Response)
        page.text = _REMOTE_FONT.sub(_OWN_FONT, page.text or "")
        return page


def run(server: AppServer, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; the apps are then asked to end."""
    os.environ["PYTHONUTF8"] = "1"  # a browser shows every glyph, whatever the terminal here does
    web.run_app(server._make_app(), sock=listening, print=None, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)


def arguments(paths: Sequence[Path], workspace: Path) -> list[str]:
    """What the process of the app is started with."""
    return [str(workspace.absolute()), *(str(path.absolute()) for path in paths)]
