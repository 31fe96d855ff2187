"""Keys that arrive together, or while something opens: each waits until the one before it is done.

Textual sends a key to the widget that has the focus when the key is read. The keys that are read with it (a paste, a
slow line, a busy app) would go there, too, before a dialog that the first one opens has the focus. Here they wait in
a queue: the next key is sent when the one before went the whole way up from its widget to the app, and when the
screen that it opened is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import InputEvent, Key, Paste
from textual.widgets import Input

Typed = Key | Paste

OPENING = frozenset({"open", "prepare", "library", "compare", "partner", "review", "change", "costs"})
"""Groups of workers that open something when they are done: keys wait for it."""

PATIENCE = 2.0
"""Seconds after a key or a click in which the next keys wait for what it opens."""

START_PATIENCE = 10.0
"""Seconds in which keys wait for a screen that is being made."""

FRAME = 0.1
"""Seconds between two frames while keys wait; what happens between them is drawn once."""

LOOK_EVERY = 0.01
"""Seconds between two looks at what opens."""


class TypeAhead:
    """The keys that wait, in the order in which they were typed."""

    def __init__(
        self,
        app: App[Any],
        send: Callable[[InputEvent | Paste], Awaitable[None]],
        starting: Callable[[], bool] = lambda: False,
    ) -> None:
        """`send` gives a key to the widget that has the focus; `starting`: whether what the screen shows is to come."""
        self._app, self._send, self._starting = app, send, starting
        self._waiting: deque[Typed] = deque()
        self._task: asyncio.Task[None] | None = None
        self._undrawn = ExitStack()  # closed: draw what changed
        self._drawn = 0.0  # seconds of the loop's clock
        self._acted: float | None = None  # when a key was sent or the mouse clicked last, by the same clock

    def acted(self) -> None:
        """A key was sent, or the mouse clicked: it may open something."""
        self._acted = asyncio.get_running_loop().time()

    async def take(self, typed: Typed) -> None:
        """Send a key, now or after those that wait."""
        self._waiting.append(typed)
        if self._acted is None:  # the app starts
            self.acted()
        if self._task is None:
            if self._held(typed):
                self._wait_for(None)
            else:
                await self._next()

    def forget(self) -> None:
        """Drop the keys that wait: the app ends, and they may be hundreds, or start something."""
        self._waiting.clear()

    async def _next(self) -> None:
        self._task = None
        if self._waiting and self._app.is_running:
            target: DOMNode = self._app.focused or self._app.screen
            self._draw_later(len(self._waiting) > 1)
            self.acted()
            await self._send(self._fitted(self._waiting.popleft()))
            self._wait_for(target)

    def _fitted(self, typed: Typed) -> Typed:
        """A key; of a paste into a field of one line all lines, joined: Textual would drop all but the first."""
        if isinstance(typed, Paste) and isinstance(self._app.focused, Input):
            return Paste(" ".join(line.strip() for line in typed.text.splitlines() if line.strip()))
        return typed

    def _draw_later(self, more: bool) -> None:
        """Draw the screen now, or, where more keys wait, only now and then."""
        now = asyncio.get_running_loop().time()
        self._undrawn.close()
        if more and now - self._drawn < FRAME:
            self._undrawn.enter_context(self._app.batch_update())
        else:
            self._drawn = now

    def _wait_for(self, target: DOMNode | None) -> None:
        self._task = asyncio.create_task(self._settle(target))

    async def _settle(self, target: DOMNode | None) -> None:
        """Wait until a key that was sent to a widget is done, then send the next."""
        for node in target.ancestors_with_self if target is not None else ():
            await self._passed(node)
        await self._passed(self._app)  # what the key's own action left there to do
        while self._waiting and self._held(None):
            self._undrawn.close()
            await asyncio.sleep(LOOK_EVERY)
        await self._passed(self._app)
        now = self._app.focused or self._app.screen
        if self._waiting and now is not target:  # something opened: it takes up what it shows
            self._undrawn.close()
            self._wait_for(now)
        else:
            self._app.call_later(self._next)

    async def _passed(self, node: DOMNode) -> None:
        """Wait until a node has handled all messages that it has now."""
        passed = asyncio.Event()
        if node.is_running and node.call_later(passed.set):
            end = asyncio.get_running_loop().time() + PATIENCE
            while node.is_running and asyncio.get_running_loop().time() < end:
                try:
                    await asyncio.wait_for(passed.wait(), 5 * LOOK_EVERY)
                    return
                except TimeoutError:  # closed meanwhile, or busy
                    continue

    def _held(self, typed: Typed | None) -> bool:
        """Whether keys wait: the app starts, or what the last key or click opens is on its way.

        A key that came alone, long after, is meant for the screen that tells of the work; so is an escape at any time.
        """
        app = self._app
        if not app.screen_stack:
            return True
        since = asyncio.get_running_loop().time() - (self._acted or 0.0)
        if not app.screen.is_mounted or self._starting():
            return since < START_PATIENCE
        if since > PATIENCE or (isinstance(typed, Key) and typed.key == "escape"):
            return False
        return any(worker.group in OPENING and not worker.is_finished for worker in app.workers)
