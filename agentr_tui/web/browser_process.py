"""One browser of `agentr serve`: the process of its app, which ends with it, and what the browser sends.

What a browser sends is checked here: sizes are kept within bounds, and what is no message is passed over. The app is
asked to end when its browser goes, and is killed where it has not ended after a while.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService

from agentr_tui.app.signals import INTERRUPTED, LOG_VARIABLE

MAX_WIDTH, MAX_HEIGHT = 500, 200
"""Cells of the largest screen: the app lays out and draws each of them."""

GRACE_SECONDS = 5.0
"""After which an app that was asked to end is killed: a running search is stopped and its trace closed by then."""


def clamped(width: object, height: object) -> tuple[int, int]:
    """A size within bounds. Raises `ValueError` for what is no size."""
    if not isinstance(width, int | float) or not isinstance(height, int | float) or width != width or height != height:
        raise ValueError("a size is two numbers")
    return (int(max(2, min(width, MAX_WIDTH))), int(max(2, min(height, MAX_HEIGHT))))


class BrowserProcess(AppService):
    """The process of the app of one browser."""

    def __init__(self, command: str, *, log: Path, warn: Callable[[str], object], **more: Any) -> None:
        """`log`: what the process says on standard error; `warn` gets a line that names it when something is there."""
        super().__init__(command, **more)
        self._log = log
        self._log_size = _size(log)
        self._warn = warn

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        width, height = clamped(width, height)
        self._process = await asyncio.create_subprocess_exec(
            *shlex.split(self.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._build_environment(width, height), LOG_VARIABLE: str(self._log)},
            start_new_session=True,  # ctrl+c is for the server, which then ends the apps
        )
        self._stdin = self._process.stdin
        return self._process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell the app about another size, within bounds."""
        await super().set_terminal_size(*clamped(width, height))

    async def take(self, messages: web.WebSocketResponse) -> None:
        """Pass the browser's messages to the app until the browser goes. Data that is not a message is skipped, and
        reported once."""
        said = False
        async for message in messages:
            try:
                if message.type != WSMsgType.TEXT:
                    raise ValueError("not a text")
                kind, *rest = json.loads(message.data)
                await self._take(messages, kind, rest[0] if rest else None)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError, AttributeError) as error:
                if not said:
                    self._warn(f"a browser sent what is no message ({type(error).__name__}: {error}): passed over")
                said = True

    async def _take(self, messages: web.WebSocketResponse, kind: object, data: Any) -> None:
        if kind == "stdin":
            await self.send_bytes(data.encode("utf-8", "replace"))
        elif kind == "resize":
            await self.set_terminal_size(data["width"], data["height"])
        elif kind == "ping":
            await messages.send_json(["pong", data])
        elif kind == "blur":
            await self.blur()
        elif kind == "focus":
            await self.focus()
        else:
            raise ValueError("unknown kind")

    async def run(self) -> None:
        """Pass the app's output to the browser until the app ends, then tell the browser."""
        await super().run()
        with suppress(ConnectionError, RuntimeError):
            await self.remote_close()

    async def on_data(self, payload: bytes) -> None:
        """Take the app's output; also when the browser is gone, else the app would wait for ever."""
        with suppress(ConnectionError, RuntimeError):
            await super().on_data(payload)

    async def on_meta(self, data: bytes) -> None:
        """Take the app's other messages."""
        with suppress(ConnectionError, RuntimeError):
            await super().on_meta(data)

    async def stop(self) -> None:
        """Ask the app to end; kill it after `GRACE_SECONDS`, or at once where the caller does not wait so long."""
        process, task, self._task = self._process, self._task, None
        if process is None or task is None:
            return
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
                await self.send_meta({"type": "quit"})
                await process.wait()
        except TimeoutError:
            self._warn(
                f"the app of a browser did not end within {GRACE_SECONDS:g} s: killed; its search can be resumed"
            )
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            task.cancel()
        await process.wait()
        self._tell(process.returncode)

    def _tell(self, code: int | None) -> None:
        """A line where the process failed, with the file that says more."""
        more = f": {self._log} says more" if _size(self._log) > self._log_size else ""
        if more or code not in (0, INTERRUPTED, -signal.SIGKILL):
            self._warn(f"the app of a browser ended with {code}{more}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
