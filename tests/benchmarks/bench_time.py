"""What looking back costs in a search of 100,000 events.

    python -m tests.benchmarks.bench_time [--quick]

CPU time of the whole process. A jump is measured on the Search screen itself: the fold is what it takes to have the
tree, the rows and the marks of the other moment; the repaint is everything from there until the screen stands still,
layout and the bytes for the terminal included. Exit status 1 where a target is missed.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.state.session import Session
from agentr_tui.widgets.overview import layout
from agentr_tui.widgets.tree.view import TreeView
from engine.explain.graph import state_graph
from engine.explain.repeated_states import repeated_states
from engine.explain.series import figures, snapshot
from engine.explain.timeline import Timeline, changed_between
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace
from tests.agentr_tui.trees import Grower, random_tree
from tests.benchmarks.bench_tree_view import BytesDriver

EVENTS = 100_000
SIZE = (120, 40)
FOLD, REPAINT = 100.0, 50.0  # milliseconds

MET = True


def say(what: str, spent: list[float], most: float | None, unit: str = "ms") -> None:
    """A line of the report: median, 95th percentile, greatest; the greatest must meet the target."""
    global MET
    ordered = sorted(spent)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    ok = most is None or ordered[-1] <= most
    MET = MET and ok
    verdict = "" if most is None else f"  <= {most:g}  {'ok' if ok else 'MISSED'}"
    print(f"{what:<58}{statistics.median(spent):9.2f}{p95:9.2f}{ordered[-1]:9.2f} {unit}{verdict}", flush=True)


def timed(action: Callable[[], Any]) -> float:
    """CPU milliseconds of a call."""
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1000


def grown(events: int) -> Grower:
    """A random tree of at least that many events, cut to them."""
    nodes = events // 3
    while len((grower := random_tree(nodes, 1)).events) < events:
        nodes = int(nodes * 1.3)
    cut = Grower()
    for event in grower.events[1:events]:
        cut.apply(event)
    return cut


def data(tree: SearchTree, rng: random.Random, jumps: int) -> None:
    """The parts without a screen."""
    timeline: list[Timeline] = []
    say("timeline, built on first use", [timed(lambda: timeline.append(Timeline(tree, 0.5)))], FOLD)
    say("timeline: take up nothing new", [timed(timeline[0].extend) for _ in range(50)], 1)
    say(f"timeline: {SIZE[0]} columns", [timed(lambda: timeline[0].columns(SIZE[0])) for _ in range(20)], 10)
    moments = [rng.randrange(tree.seq) for _ in range(jumps)]
    spent = []
    for one, other in pairwise(moments):
        spent.append(timed(lambda one=one, other=other: changed_between(tree, one, other)))  # type: ignore[misc]
    say("what changed between two random moments", spent, FOLD)
    near = [timed(lambda at=at: changed_between(tree, at, at + 1)) for at in moments]  # type: ignore[misc]
    say("what changed by one event", near, 1)
    spent = [timed(lambda at=at: layout(tree.at(at), SIZE[0], 6)) for at in moments]  # type: ignore[misc]
    say(f"overview: {SIZE[0]} x 6 cells of a random moment", spent, 20)
    spent = [timed(lambda at=at: figures(snapshot(tree, tree.at(at), (0.0, 1.0)))) for at in moments[:10]]  # type: ignore[misc]
    say("figures of all plots (counted beside the screen)", spent, None)
    say("graph of states", [timed(lambda: state_graph(tree))], None)
    say("repeated states and loops", [timed(lambda: repeated_states(tree))], None)


Row = tuple[str, list[float], float]
"""What was measured, its times, the target."""


async def screen(tree: SearchTree, rng: random.Random, jumps: int, everything: bool) -> list[Row]:
    """Jumps on the Search screen. Nothing is printed while the app has the terminal."""
    told: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Workspace.open(Path(folder) / "w", create=True))
        session.tree, session.path = tree, Path(folder) / "none.trace.jsonl"
        app = AgentrApp(session, "search")
        app.driver_class = BytesDriver
        async with app.run_test(headless=False, size=SIZE) as pilot:
            await pilot.pause(0.3)
            search = app.screen
            assert isinstance(search, SearchScreen)
            if everything:
                search.query_one("#tree", TreeView).unfold_all()
            search.time.look_at(tree.seq // 2)  # first use
            await pilot.pause()
            await pilot.pause(0.5)
            folds, repaints = [], []
            for _ in range(jumps):
                seq = rng.randrange(tree.seq)
                fold = jump(search, seq)
                start = time.process_time()
                search.refresh_view()
                await pilot.pause()
                folds.append(fold)
                repaints.append((time.process_time() - start) * 1000)
            rows = "all rows unfolded" if everything else "rows down to depth 3"
            told.append((f"jump to a random moment, {rows}: fold", folds, FOLD))
            told.append((f"jump to a random moment, {rows}: repaint", repaints, REPAINT))
            folds = []
            for _ in range(jumps):
                start = time.process_time()
                search.action_event(1)
                await pilot.pause()
                folds.append((time.process_time() - start) * 1000)
            told.append((f"one event forth, {rows}: fold and repaint", folds, REPAINT))
    return told


def jump(search: SearchScreen, seq: int) -> float:
    """CPU milliseconds of the fold: the first part of what the screen does when it looks at a moment."""
    session = search.agentr.session
    assert session.tree is not None
    before = session.tree.seq if session.past is None else session.past
    start = time.process_time()
    session.past = seq
    reader = session.reader
    assert reader is not None
    search.query_one("#tree", TreeView).set_moment(reader)
    search.time.stepped(before, seq)
    return (time.process_time() - start) * 1000


def measure(quick: bool) -> bool:
    """Print everything; whether all targets are met."""
    rng = random.Random(7)
    jumps = 15 if quick else 60
    start = time.process_time()
    tree = grown(EVENTS).tree
    print(f"{tree.seq + 1} events, {len(tree)} nodes (made in {time.process_time() - start:.1f} s)")
    print(f"{'':<58}{'median':>9}{'p95':>9}{'most':>9}")
    data(tree, rng, jumps)
    for everything in (False, True):
        for row in asyncio.run(screen(tree, rng, jumps, everything)):
            say(*row)
    return MET


if __name__ == "__main__":
    sys.exit(0 if measure("--quick" in sys.argv) else 1)
