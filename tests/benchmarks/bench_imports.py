"""How fast attempts are merged into a tree, and in how little memory.

Run as `python -m tests.benchmarks.bench_imports [ATTEMPTS] [STEPS]`. Three kinds of attempts of one task are made: all
part at once, all go the same way but for times in their results and their wording, and they part one by one. Wanted:
not more than 2 x the time of `json.loads` over the lines, nor 2 x the bytes of the tree's texts. Linux only.
"""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.merging.grouping import Groups
from engine.imports.sources import read_rollouts
from engine.tree.events import ImportedNode
from engine.tree.tree import SearchTree

KINDS = ("apart", "together", "one by one")
LINES = 24  # of a result
RUNS = 3  # the fastest counts; seconds are those of the processor, so that what else runs counts less


def rows(kind: str, attempts: int, steps: int) -> Iterator[dict[str, Any]]:
    """Chat rows with calls, results of some kilobytes and times in them."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(500)]
    shared = [[" ".join(rng.choices(words, k=8)) for _ in range(LINES)] for _ in range(steps)]
    for attempt in range(attempts):
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "You are an agent that mends code."},
            {"role": "user", "content": "Mend the function `parse`."},
        ]
        parts = {"apart": 0, "together": steps, "one by one": rng.randrange(steps)}[kind]
        for step in range(steps):
            own = "" if step < parts else f" # {attempt}"
            call = {"name": "bash", "arguments": json.dumps({"command": f"sed -n {step} file.py{own}"})}
            id = f"call_{attempt}_{step}_{rng.randrange(10**9)}"
            called = {"id": id, "type": "function", "function": call}
            said = f"I look at place {step}, for the time {attempt}."
            messages.append({"role": "assistant", "content": said, "tool_calls": [called]})
            seen = [*shared[step], f"took {rng.random():.3f}s at 12:{step:02}:{attempt % 60:02}{own}"]
            messages.append({"role": "tool", "tool_call_id": id, "content": "\n".join(seen)})
        yield {"task_id": "parse", "messages": messages, "reward": attempt % 2}


def texts(tree: SearchTree) -> int:
    """Bytes of all texts that a tree holds, each once."""
    seen: dict[int, str] = {}
    for node in tree.nodes:
        row = node.imported
        if row is None:
            continue
        kept = [row.response, row.action, row.observation, row.reasoning]
        kept += [call.arguments for call in row.tool_calls] + [message.content for message in row.answers]
        for wording in row.wordings:
            kept += [wording.response or "", wording.observation or "", wording.reasoning or ""]
            kept += [call.arguments for call in wording.tool_calls or ()]
        seen |= {id(text): text for text in kept}
    return sum(len(text.encode()) for text in seen.values())


def measure(path: Path) -> dict[str, float]:
    """Seconds of `json.loads`, of reading and of merging; megabytes of texts, and of all that is held."""
    lines = path.read_bytes().splitlines()
    loads = reading = merging = float("inf")
    trees: list[SearchTree] = []
    for _ in range(RUNS):
        began = time.process_time()
        for line in lines:
            json.loads(line)
        loads = min(loads, time.process_time() - began)
        trees = []
        began = time.process_time()
        attempts = [rollout for rollout in read_rollouts([path]) if isinstance(rollout, Attempt)]
        reading = min(reading, time.process_time() - began)
        gc.disable()  # as `import_rollouts` does
        began = time.process_time()
        groups = Groups()
        for attempt in attempts:
            groups.add(attempt)
        trees = [SearchTree(events) for _, events in groups.all()]
        merging = min(merging, time.process_time() - began)
        gc.enable()
    size = sum(map(texts, trees))
    nodes = sum(map(len, trees))
    del attempts, groups, trees, lines
    tracemalloc.start()
    groups = Groups()
    for rollout in read_rollouts([path]):
        if isinstance(rollout, Attempt):
            groups.add(rollout)
    trees = [SearchTree(events) for _, events in groups.all()]
    held, peak = tracemalloc.get_traced_memory()
    assert isinstance(trees[0].nodes[1].imported, ImportedNode)
    return {
        "json.loads": loads,
        "reading": reading,
        "merging": merging,
        "times": merging / loads,
        "nodes": nodes,
        "text MB": size / 1e6,
        "held MB": held / 1e6,
        "peak MB": peak / 1e6,
        "memory": peak / max(size, 1),
    }


def main() -> None:
    """Measure each kind in a process of its own."""
    if len(sys.argv) == 3 and sys.argv[1] == "--measure":
        print(json.dumps(measure(Path(sys.argv[2]))))
        return
    attempts, steps = (int(text) for text in (sys.argv[1:] + ["1000", "50"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder) / f"{kind.replace(' ', '-')}.jsonl"
            with open(path, "w", encoding="utf-8") as file:
                for row in rows(kind, attempts, steps):
                    file.write(json.dumps(row) + "\n")
            command = [sys.executable, "-m", "tests.benchmarks.bench_imports", "--measure", str(path)]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            figures = "  ".join(f"{name} {value:.2f}" for name, value in told.items())
            print(f"{kind:<11} {path.stat().st_size / 1e6:.0f} MB  {figures}")


if __name__ == "__main__":
    main()
