"""The app on a real terminal with a search and a review, killed, or asked to end, at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from engine.trace.follower import Follower
from engine.trace.trace_file import NoEvents, load
from engine.tree.events import AnyEvent
from engine.workspace.workspace import Workspace
from tests.crash.processes import OnTerminal, called
from tests.crash.workspaces import decided

KEYS = (b"1", b"2", b"3", b"4", b"a", b"a", b"}", b"u", b"5", b"j", b"k", b"m", b"e", b"\x1b", b"p", b" ", b"s", b"?")


REVIEW = (b"4", b"a", b"a", b"r", b"}", b"}", b"u", b"\x1b")
"""Keys of somebody who decides on samples."""


class Apps:
    """`demo` on a terminal, keys pressed at random, killed: no event and no decision that was on disk is gone."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.number = 0

    def __call__(self) -> str:
        self.number += 1
        place = Workspace(self.folder / f"w{self.number}")
        app = OnTerminal("demo", "--delay", "0.01", "--iterations", "30", "--workspace", str(place.path))
        trace = place.traces / "textcraft-2-s0.trace.jsonl"
        follower, seen, known = Follower(trace), list[AnyEvent](), set[bytes]()
        keys, most = (KEYS, 5.0) if self.number % 2 else (REVIEW, 12.0)
        end, is_set = time.monotonic() + 60, False
        while time.monotonic() < end:
            app.take()
            if app.is_shown and not is_set:
                end, is_set = time.monotonic() + self.rng.random() * most, True
            if app.is_shown:
                app.press(self.rng.choice(keys))
            seen += follower.poll()
            known |= _decided(place)
            time.sleep(0.05)
        os.kill(app.pid, signal.SIGKILL)
        os.waitpid(app.pid, 0)
        app.close()
        with contextlib.suppress(NoEvents):
            if trace.exists():
                assert load(trace).tree.seq + 1 >= len(seen), "an event that was there is gone"
        assert known <= _decided(place), "a decision that was there is gone"
        if seen:
            assert called("search", "--resume", str(trace), "--iterations", "1") == 0
            assert called("stats", str(place.traces)) == 0
        return "app, before its search" if not seen else "app, with decisions" if known else "app"


def _decided(place: Workspace) -> set[bytes]:
    if not place.decisions.is_dir():
        return set()
    return decided(place.decisions)


WAYS: dict[str, tuple[int, ...]] = {
    "sigterm": (signal.SIGTERM,),
    "sigint": (signal.SIGINT,),
    "sighup": (signal.SIGHUP,),
    "two signals": (signal.SIGTERM, signal.SIGINT),
    "all signals": (signal.SIGHUP, signal.SIGTERM, signal.SIGINT),
    "a closed terminal": (),
    "a terminal that takes nothing": (signal.SIGTERM,),
}
"""How the app is asked to end."""

SHARES = (6, 1, 1, 1, 1, 1, 1)


class Terminations:
    """A signal to the app, or no terminal any more, at any moment: it ends, without a traceback, and what ran can be
    gone on with."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.number = 0
        self.length = 0.0  # seconds until its screen is there

    def __call__(self) -> str:
        self.number += 1
        place = Workspace(self.folder / f"w{self.number}")
        app = OnTerminal("demo", "--delay", "0.01", "--iterations", "30", "--workspace", str(place.path))
        keys = self.rng.random() < 0.5
        if self.number == 1:
            began = time.monotonic()
            while not app.is_shown:
                app.take()
                time.sleep(0.01)
            self.length = time.monotonic() - began
        end = time.monotonic() + self.length * (self.rng.uniform(0.9, 2.5) if keys else self.rng.uniform(0.4, 1.2))
        while time.monotonic() < end:
            app.take()
            if keys and app.is_shown:
                app.press(self.rng.choice(KEYS))
            time.sleep(0.01)
        (way,) = self.rng.choices(list(WAYS), SHARES)
        for number in WAYS[way]:
            os.kill(app.pid, number)
        if way == "a closed terminal":
            app.close()
        code = app.ended(deaf=way == "a terminal that takes nothing")
        app.close()
        assert b"Traceback" not in app.said, app.said[-3000:].decode("utf-8", "replace")
        assert b"unexpected" not in app.said, app.said[-3000:].decode("utf-8", "replace")
        assert code in (130, *(-number for number in WAYS[way] or (signal.SIGHUP,))), code
        log = place.path / "errors.log"
        assert way.endswith("nothing") or not log.exists(), f"it did not end by itself: {log.read_text()}"
        trace = place.traces / "textcraft-2-s0.trace.jsonl"
        if app.is_shown and trace.exists():
            with contextlib.suppress(NoEvents):
                assert load(trace).tree.state in ("stopped", "done"), load(trace).tree.state
        return f"{way}: {'the app' if app.is_shown else 'before its screen'}, code {code}"
