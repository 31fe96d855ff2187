"""The app in a real terminal while a search goes on, and while nothing does.

    python -m tests.benchmarks.bench_live [--quick]

A trace of 10,000 (and 100,000) nodes is followed while another process's part is played: 200 nodes a second are written
to it. A key takes from its byte until the bytes that show another node; what other processes took of the processor in
between is told apart. Exit status 1 where a target is missed.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from engine.trace.trace_file import TraceWriter, write_trace
from engine.tree.events import AnyEvent, Iteration, Selected
from tests.agentr_tui.trees import Grower, random_tree
from tests.benchmarks.pty_app import PtyApp

NODES_A_SECOND = 200
KEY = 50.0  # milliseconds, 95th percentile
BYTES = 100_000  # a second
IDLE = 2.0  # percent of a processor
DRAWS = 4
KEYS = ("j", "j", "k", "\x1b[6~", "j", "j", "j", "\x1b[6~", "k", "\x1b[5~", "j", "G", "k", "g")
"""Row by row, by pages, to the end and the beginning, with everything unfolded."""


class Writer(threading.Thread):
    """Goes on with the search of a trace, as another process would."""

    def __init__(self, grower: Grower, path: Path) -> None:
        super().__init__(daemon=True)
        self.grower, self.path = grower, path
        self.over = threading.Event()
        self.nodes = 0
        self._rng = random.Random(3)
        self._open = [node.id for node in grower.tree.nodes if node.terminal is None and not node.expanded]

    def run(self) -> None:
        """Write until it is over."""
        start = time.monotonic()
        with TraceWriter(self.path, append_to=self.path.stat().st_size) as writer:
            while not self.over.wait(max(0.0, start + self.nodes / NODES_A_SECOND - time.monotonic())):
                for event in self._iterate():
                    writer.write(event)

    def _iterate(self) -> list[AnyEvent]:
        grower, place = self.grower, self._rng.randrange(len(self._open))
        tree, before = grower.tree, len(grower.events)
        at = self._open[place]
        self._open[place] = self._open[-1]
        self._open.pop()
        grower.apply(Selected(seq=0, path=tree.ancestors(at), ties=[1] * tree.nodes[at].depth))
        actions = [f"get {self._rng.randint(1, 9)} oak log" for _ in range(DRAWS - 1)]
        made = grower.expand(at, [*actions, ("craft 1 bed", "done", round(self._rng.random(), 2))])
        self._open.extend(made[:-1])
        grower.apply(Iteration(seq=0, number=tree.iteration + 1, leaf=at))
        self.nodes += len(made)
        return list(grower.events[before:])


class Report:
    """Lines with figures, and whether all of them are as they should be."""

    def __init__(self) -> None:
        self.met = True

    def say(self, what: str, value: float, unit: str, most: float, more: str = "") -> None:
        """One line."""
        ok = value <= most
        self.met = self.met and ok
        print(f"{what:<56}{value:>9.1f} {unit:<4} <= {most:<8g}{'ok' if ok else 'MISSED'}  {more}", flush=True)


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def following(folder: Path, count: int, presses: int, report: Report) -> None:
    """Keys and bytes while the trace grows."""
    grower = random_tree(count, 1)
    path = folder / f"{count}.trace.jsonl"
    write_trace(path, grower.events)
    app = PtyApp("open", "--follow", str(path), folder=folder)
    writer = Writer(grower, path)
    try:
        app.until(rb"root \xc2\xb7 the task")
        app.pump(1.5)
        for keys in (":", "unfold", "\r"):
            app.press(keys)
            app.pump(1)
        writer.start()
        app.pump(2)
        written, cpu, began = app.written, app.cpu(), time.monotonic()
        app.pump(8)
        seconds = time.monotonic() - began
        report.say(f"bytes to the terminal, {count:,} nodes and growing", (app.written - written) / seconds / 1e3,
                   "kB/s", BYTES / 1e3, f"{(app.cpu() - cpu) / seconds:.0%} of a processor")  # fmt: skip
        walls, owns = [], []
        node: bytes | None = None
        rng = random.Random(5)
        for place in range(presses):
            app.pump(rng.uniform(0.05, 0.25))
            wall, own, node = app.key(KEYS[place % len(KEYS)], node)
            walls.append(wall * 1e3)
            owns.append(own * 1e3)
        report.say(f"a key, {count:,} nodes, {NODES_A_SECOND} a second arriving: p95", p95(owns), "ms", KEY,
                   f"p50 {statistics.median(owns):.1f}, most {max(owns):.1f}; "
                   f"with waiting for a processor p95 {p95(walls):.1f}")  # fmt: skip
        print(f"{'  memory of the app':<56}{app.memory() / 1e6:>9.1f} MB   ({len(grower.tree):,} nodes)")
    finally:
        writer.over.set()
        if writer.ident is not None:
            writer.join()
        app.close()


def standing_still(what: str, app: PtyApp, report: Report, seconds: float) -> None:
    """Processor time of an app that has nothing to do."""
    try:
        app.pump(5)
        before, written = app.cpu(), app.written
        app.pump(seconds)
        spent = (app.cpu() - before) / seconds * 100
        report.say(f"idle: {what}", spent, "%", IDLE, f"{app.written - written} bytes in {seconds:.0f} s")
    finally:
        app.close()


def main() -> int:
    """Print the figures."""
    quick = "--quick" in sys.argv
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (10_000,) if quick else (10_000, 100_000):
            place = folder / str(count)  # a workspace of its own: nobody was here before
            place.mkdir()
            following(place, count, 40 if quick else 130, report)
        seconds = 5 if quick else 20
        finished = folder / "finished.trace.jsonl"
        write_trace(finished, random_tree(5_000, 1).events)
        app = PtyApp("open", str(finished), folder=folder)
        app.until(rb"root \xc2\xb7 the task")
        standing_still("a finished trace", app, report, seconds)
        app = PtyApp("demo", "--delay", "0.05", folder=folder)
        app.until(rb"running")
        app.pump(2)
        app.press(" ")
        app.until(rb"paused")
        standing_still("a paused search", app, report, seconds)
    return not report.met


if __name__ == "__main__":
    sys.exit(main())
