"""How fast samples are replayed and exported, and in how little memory, in every format.

Run as `python -m tests.benchmarks.bench_export [SAMPLES] [LARGE]`. A trace with enough pairs is made, `revise` replays
them on TextCraft, and each format is exported in a process of its own; the last rows export LARGE samples, with which
memory must hardly grow. Linux only.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.datasets.export import export
from engine.datasets.formats import FORMATS
from engine.datasets.options import ExportOptions
from engine.samples.revise import revise
from engine.samples.settings import ReviseSettings
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace
from tests.benchmarks.bench_treefile import peak_memory
from tests.engine.made import GET, GOT, MADE, MAKE, Row, honey_trace

EMPTY_HANDED = "Inventory: You are not carrying anything."
LOOKS = 4  # steps of `inventory` that make trajectories as long as real ones


def pairs_trace(path: Path, pairs: int) -> Path:
    """A trace whose leaves make about so many pairs; no two texts are alike."""
    side = math.ceil(math.sqrt(pairs))
    rows: list[Row] = []

    def grow(leaf: int, kind: str) -> int:
        parent = 0
        for look in range(LOOKS):
            rows.append((parent, f"I look, {kind} {leaf} {look}.", "inventory", EMPTY_HANDED, None, None))
            parent = len(rows)
        return parent

    for leaf in range(side):
        parent = grow(leaf, "well")
        rows.append((parent, f"I fetch them, {leaf}.", GET, GOT, None, None))
        rows.append((len(rows), f"Now the block, {leaf}.", MAKE, MADE, 1, "done"))
    for leaf in range(side):
        parent = grow(leaf, "badly")
        rows.append(
            (parent, f"The goal itself, {leaf}.", "get 1 honey block", "Could not find honey block", 0, "depth")
        )
    return honey_trace(path, rows, trace=f"{pairs:x}")


def make(folder: Path, samples: int) -> float:
    """A workspace with a run of so many samples; samples judged and replayed a second."""
    workspace = Workspace.open(folder, create=True)
    trace = pairs_trace(workspace.traces / "pairs.trace.jsonl", samples)
    settings = ReviseSettings(verifier="value", max_pairs=samples)
    began = time.perf_counter()
    with workspace.new_run(settings, [str(trace)]) as run:
        for sample in revise(load_any(trace).tree, str(trace), settings, run.figures):
            run.add(sample)
    return run.figures.samples / (time.perf_counter() - began)


def measure(folder: Path, format: str, options: dict[str, object]) -> dict[str, float]:
    """One export in this process."""
    base = peak_memory()
    out = folder / "exports" / f"out{FORMATS[format].extension}"
    began = time.perf_counter()
    done = export(Workspace.open(folder), None, format, out, options=ExportOptions(**options))  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    size = sum(file.size for file in done.files)
    return {
        "samples": done.samples,
        "lines": done.lines,
        "seconds": seconds,
        "megabytes": size / 1e6,
        "mib": (peak_memory() - base) / 1024,
    }


def in_a_process(folder: Path, format: str, options: dict[str, object]) -> None:
    """Measure in a process of its own and print the row."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_export", "--one", str(folder), format, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)
    told = f"{format} {' '.join(options) or ''}".strip()
    print(
        f"{told:28} {row['samples']:7.0f} samples  {row['lines']:8.0f} lines  {row['megabytes']:7.1f} MB"
        f"  {row['seconds']:6.2f} s  {row['samples'] / row['seconds']:7.0f} samples/s  +{row['mib']:5.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Measure everything."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))))
        return
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    large = int(sys.argv[2]) if len(sys.argv) > 2 else 40_000
    with tempfile.TemporaryDirectory() as folder:
        print(f"revise, judged and replayed on TextCraft: {make(Path(folder) / 'w', samples):.0f} samples/s")
        for name in FORMATS:
            in_a_process(Path(folder) / "w", name, {})
        in_a_process(Path(folder) / "w", "xtuner", {"split": "train=0.9,dev=0.1", "shuffle": True, "shards": 4})
        in_a_process(Path(folder) / "w", "xtuner", {"compress": "gzip"})
        make(Path(folder) / "large", large)
        in_a_process(Path(folder) / "large", "xtuner", {})


if __name__ == "__main__":
    main()
