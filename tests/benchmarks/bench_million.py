"""A trace of 1,000,000 nodes in the app, in a real terminal: it opens, scrolls, jumps, filters. Takes minutes and
gigabytes: `make bench` leaves it out.

    python -m tests.benchmarks.bench_million [--nodes 1000000] [--keep FILE]

Prints figures; there are no targets. `--keep` leaves the trace there, or takes one that is there.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine.tree.events import BackedUp, Child, Expanded, Iteration, Sampled, Selected, TerminalReason, event_encoder
from tests.agentr_tui.trees import Grower
from tests.benchmarks.bench_live import p95
from tests.benchmarks.pty_app import PtyApp

DRAWS, MAX_DEPTH = 4, 25


def write_large(path: Path, nodes: int) -> int:
    """Write a random search of about that many nodes; how many events it has."""
    rng = random.Random(1)
    parents, depths, open_nodes = [-1], [0], [0]
    seq, number = 0, 0
    with path.open("wb") as file:

        def write(event: object) -> None:
            nonlocal seq
            event.seq = seq  # type: ignore[attr-defined]
            seq += 1
            file.write(event_encoder.encode(event) + b"\n")

        write(Grower().events[0])
        while len(parents) < nodes:
            place = rng.randrange(len(open_nodes))
            parent, open_nodes[place] = open_nodes[place], open_nodes[-1]
            open_nodes.pop()
            way = [parent]
            while way[-1]:
                way.append(parents[way[-1]])
            write(Selected(seq=0, path=way[::-1], ties=[1] * depths[parent]))
            children, ended = [], []
            for draw in range(DRAWS):
                action = f"get {rng.randint(1, 9)} {rng.choice(('oak log', 'white wool', 'yellow dye', 'iron ingot'))}"
                write(Sampled(seq=0, parent=parent, draw=draw, response=f"Thought: let me {action}\nAction: {action}"))
                depth = depths[parent] + 1
                terminal: TerminalReason | None = None
                if depth > MAX_DEPTH or (depth > 3 and draw and rng.random() < 0.25):
                    terminal = "done" if depth <= MAX_DEPTH else "depth"
                reward = round(rng.random(), 2) if terminal else 0.0
                children.append(
                    Child(draw=draw, action=action, observation="Got it.", reward=reward, terminal=terminal)
                )
                if terminal:
                    ended.append((len(parents), reward))
                else:
                    open_nodes.append(len(parents))
                parents.append(parent)
                depths.append(depth)
            write(Expanded(seq=0, parent=parent, children=children, steps=len(children)))
            for leaf, reward in ended:
                write(BackedUp(seq=0, leaf=leaf, value=reward))
            number += 1
            write(Iteration(seq=0, number=number, leaf=parent))
    return seq


def say(what: str, value: float, unit: str, more: str = "") -> None:
    """A line of the report."""
    print(f"{what:<46}{value:>9.1f} {unit:<4}{more}", flush=True)


def command(app: PtyApp, text: str, shown: bytes, seconds: float = 120) -> float:
    """Do a line after `:` and wait until the screen says so; seconds."""
    app.press(":")
    app.until(b"a node")
    app.press(text)
    app.pump(0.5)
    app.seen = b""
    app.press("\r")
    return app.until(shown, seconds)


def main() -> None:
    """Print the figures."""
    nodes = int(sys.argv[sys.argv.index("--nodes") + 1]) if "--nodes" in sys.argv else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = "--keep" in sys.argv
        path = Path(sys.argv[sys.argv.index("--keep") + 1]).absolute() if kept else folder / "large.trace.jsonl"
        if not path.exists():
            start = time.monotonic()
            events = write_large(path, nodes)
            say("made a trace", path.stat().st_size / 1e6, "MB", f"{events:,} events, {time.monotonic() - start:.0f} s")
        began = time.monotonic()
        app = PtyApp("open", str(path), folder=folder)
        try:
            app.until(b"Reading|root \xc2\xb7 the task", 60)
            say("first screen", time.monotonic() - began, "s")
            app.until(rb"root \xc2\xb7 the task", 900)
            say("the tree is there", time.monotonic() - began, "s", f"{app.cpu():.1f} s of CPU")
            app.pump(3)
            say("memory", app.memory() / 1e6, "MB")
            say(":unfold", command(app, "unfold", rb"tree"), "s")
            app.pump(2)
            node: bytes | None = None
            for keys in ("j", "\x1b[6~", "Gg"):
                walls, owns = [], []
                for place in range(24):
                    app.pump(0.15)
                    wall, own, node = app.key(keys[place % 2] if keys == "Gg" else keys, node, 30)
                    walls.append(wall * 1e3)
                    owns.append(own * 1e3)
                label = {"j": "j", "\x1b[6~": "page down", "Gg": "G and g"}[keys]
                say(f"a key: {label}: p95", p95(owns), "ms", f"p50 {statistics.median(owns):.1f}")
            last = int(re.findall(rb'"seq":(\d+)', _tail(path))[-1])
            took = command(app, f"t {last // 2}", rb"iteration \d+|past")
            say("first jump to a moment", took, "s", f"event {last // 2:,}")
            for at in (last // 3, last // 5, 4 * last // 5, last - 1):
                say(f"jump to event {at:,}", command(app, f"t {at}", f"event {at}".encode()) * 1e3, "ms")
            say("back to live", command(app, "live", rb"event \d+") * 1e3, "ms")
            app.press("/")
            app.pump(1)
            app.press("q>0.5 visits>=3 depth<6")
            say("a numeric filter, typed", app.until(rb"of \d+ match ", 60), "s")
            say("memory at the end", app.memory() / 1e6, "MB")
        finally:
            app.close()


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-4096, 2)
        return file.read()


if __name__ == "__main__":
    main()
