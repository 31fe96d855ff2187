"""A long day with the app: what it holds stays flat, and what it does while nobody does anything stays small.

python -m tests.long.run [--rounds 40] [--switches 10000] [--idle 30]

A round is a search that runs to its end while a person moves about: other traces, every screen, pairs, samples, plots,
searches for words, dialogs that are left again. Nobody waits, so a round is some ten minutes of a person. After each,
memory, threads, open files and child processes are counted; after the first quarter none may grow. Then screens are
switched, and at last the app is left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.state.session import Session
from engine.search.control import Control
from engine.search.job import SearchJob, new_job
from engine.tree.events import SearchSettings
from tests.agentr_tui.apps import opened, searched

KEYS = (
    *"jjjkkllhhGg[].,<>L/vvmnNzpP{}Jub",
    "enter", "escape", "escape", "tab", "down", "up", "1", "2", "3", "4", "5", "question_mark", "space",
)  # fmt: skip
LEFT = ("escape", "escape", "escape")
MOST_GROWTH = 0.05  # of what was held after the first quarter
MOST_IDLE = 0.01  # of a processor


class Held(NamedTuple):
    """What a process holds."""

    megabytes: float
    threads: int
    files: int
    children: int

    @classmethod
    def now(cls) -> Held:
        """What this one holds."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        told = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        files = len(os.listdir("/proc/self/fd"))
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, threading.active_count(), files, len(told))


async def press(pilot: Pilot[Any], keys: tuple[str, ...]) -> None:
    """Press keys, one after the other."""
    for key in keys:
        await pilot.press({"[": "left_square_bracket", "]": "right_square_bracket", ".": "full_stop", ",": "comma",
                           "<": "less_than_sign", ">": "greater_than_sign", "/": "slash", "{": "left_curly_bracket",
                           "}": "right_curly_bracket"}.get(key, key))  # fmt: skip


async def a_round(app: AgentrApp, pilot: Pilot[Any], number: int, rng: random.Random, moves: int) -> None:
    """A search to its end, and a person meanwhile."""
    workspace = app.session.workspace
    path = workspace.traces / f"round-{number % 4}.trace.jsonl"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    settings = SearchSettings(iterations=6, error_rate=0.5, seed=number)

    def make(listener: Any) -> SearchJob:
        return new_job("textcraft", "2", settings, path, listener=listener, control=Control(waits_on_failures=True))

    app.session.start(make)
    live = app.session.live
    assert live is not None
    app.run_live(live)
    app.show_tree()
    for _ in range(moves):
        await press(pilot, (rng.choice(KEYS),))
    await press(pilot, LEFT)
    if not live.over:
        live.control.resume()
    while not live.over or any(worker.is_running for worker in app.workers):
        await asyncio.sleep(0.01)
        live.control.resume()
    app.open_path(workspace.traces / "textcraft-2-s0.trace.jsonl")
    await pilot.pause()
    await press(pilot, ("1",))


def grown(before: Held, after: Held) -> list[str]:
    """What grew more than it may."""
    told = []
    if after.megabytes > before.megabytes * (1 + MOST_GROWTH) + 5:
        told.append(f"memory: {before.megabytes:.0f} to {after.megabytes:.0f} MB")
    for name in ("threads", "files", "children"):
        if getattr(after, name) > getattr(before, name) + (2 if name == "threads" else 0):
            told.append(f"{name}: {getattr(before, name)} to {getattr(after, name)}")
    return told


async def day(rounds: int, switches: int, idle: float, moves: int, folder: Path) -> list[str]:
    """Live through it; what is wrong, a line each."""
    workspace, rng, wrong = opened(folder / "w"), random.Random(0), list[str]()
    searched(workspace)
    app = AgentrApp(Session(workspace), "library")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        before = Held.now()
        for number in range(rounds):
            await a_round(app, pilot, number, rng, moves)
            if number == rounds // 4:
                before = Held.now()
            if number % max(1, rounds // 8) == 0 or number == rounds - 1:
                print(f"round {number + 1}: {Held.now()}", flush=True)
        wrong += grown(before, Held.now()) if rounds else []
        for number in range(switches):
            app.action_mode([*app.MODES][number % 5])
            await pilot.pause()
            if number == switches // 4:
                before = Held.now()
            if number % max(1, switches // 8) == 0:
                print(f"switch {number + 1}: {Held.now()}", flush=True)
        wrong += [f"{switches} switches: {line}" for line in grown(before, Held.now())] if switches else []
        print(f"after {switches} switches: {Held.now()}", flush=True)
        for mode in app.MODES:
            app.action_mode(mode)
            await pilot.pause()
            await asyncio.sleep(3)  # what was just opened is done
            await app.workers.wait_for_complete()
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(idle / 5)
            share = (time.process_time() - used) / (time.monotonic() - began)
            print(f"idle on {mode}: {share:.2%} of a processor", flush=True)
            if share > MOST_IDLE:
                wrong.append(f"idle on {mode}: {share:.2%} of a processor")
    return wrong


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--moves", type=int, default=60, help="Keys of a round.")
    parser.add_argument("--switches", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=30.0, help="Seconds.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = f"{folder}/{name}"
        wrong = asyncio.run(day(given.rounds, given.switches, given.idle, given.moves, Path(folder)))
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
