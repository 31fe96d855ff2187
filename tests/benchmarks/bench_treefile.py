"""How fast, and in how little memory, a big tree file is read and written, against `json.load` of the same file.

Run as `python -m tests.benchmarks.bench_treefile [NODES] [DEPTH]`. Every measurement has a process
of its own. Linux only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from engine.trace.trace_file import TraceWriter, load, write_trace
from engine.trace.treefile.read import read_tree
from engine.trace.treefile.write import save_tree
from engine.tree.events import Imported, ImportedNode, Message, SearchSettings, Selected, Started
from engine.tree.tree import SearchTree


def synthetic_tree(nodes: int, depth: int, seed: int = 0) -> SearchTree:
    """A tree like those of TextCraft: steps of about 100 characters, most of its nodes in the deeper half."""
    rng = Random(seed)
    rows = [ImportedNode(response="ROOT", action="ROOT", visits=1)]
    depths = [0]
    for id in range(1, nodes):
        parent = rng.randrange(max(0, id - 4 * depth), id)
        while depths[parent] >= depth:
            parent = rng.randrange(id)
        action = f"craft {rng.randrange(9)} spruce planks using {rng.randrange(9)} spruce logs"
        response = f"Thought: I need {rng.randrange(10**6)} of these for step {depths[parent]}.\nAction: {action}"
        observation = f"Could not find enough items to craft minecraft:spruce_planks ({rng.randrange(10**6)})"
        rows.append(ImportedNode(parent, response, action, observation, 0, 1, 0.25))
        depths.append(depths[parent] + 1)
    header = [Message("system", "Rules. " * 4), Message("user", "Format. " * 90), Message("assistant", "Ok.")]
    header.append(
        Message("user", "Crafting commands:\n" + "craft 4 stick using 2 planks\n" * 20 + "\nGoal: craft stick.")
    )
    started = Started(
        seq=0, version=1, trace="0", environment="textcraft", task="1", header=header, settings=SearchSettings()
    )
    return SearchTree([started, Imported(seq=1, source="agent-r", nodes=rows)])


def measure(what: str, path: str) -> dict[str, float]:
    """Time (s) and peak memory above the interpreter's own (MiB) of one job, in this process."""
    before = peak_memory()
    began = time.perf_counter()
    if what == "json":
        with open(path, encoding="utf-8") as file:
            kept: object = json.load(file)
    elif what == "tree":
        kept = read_tree(path)
    elif what == "fold":
        kept = SearchTree(read_tree(path))
    else:
        kept = load(path)
    seconds = time.perf_counter() - began
    peak = peak_memory() - before
    del kept
    return {"seconds": seconds, "mib": peak / 1024}


def peak_memory() -> int:
    """KiB that this process has ever had in memory. (`ru_maxrss` would count the process that started it.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def in_process(what: str, path: Path, rounds: int = 3) -> dict[str, float]:
    """The best of some fresh processes."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_treefile", "--measure", what, str(path)]
    results = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    return {key: min(result[key] for result in results) for key in ("seconds", "mib")}


def time_of_an_event(path: Path, count: int = 50_000) -> float:
    """Microseconds that a trace writer takes for an event."""
    events = [Selected(seq=seq, t=1.5, path=[seq, seq + 1, seq + 2], ties=[1, 4]) for seq in range(count)]
    with TraceWriter(path) as writer:
        began = time.perf_counter()
        for event in events:
            writer.write(event)
        return (time.perf_counter() - began) / count * 1e6


def report(nodes: int, depth: int) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = synthetic_tree(nodes, depth)
        began = time.perf_counter()
        save_tree(tree, folder / "search_results_1.json")
        print(f"{nodes} nodes, depth {depth}: written in {time.perf_counter() - began:.2f} s")
        with open(folder / "search_results_1.json", encoding="utf-8") as file:
            value = json.load(file)
        with open(folder / "indented.json", "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
        del value
        for source in (folder / "search_results_1.json", folder / "indented.json"):
            trace = source.with_suffix(".trace.jsonl")
            write_trace(trace, read_tree(source))
            print(f"{source.name}: {source.stat().st_size / 2**20:.1f} MiB, {ratio(source, trace):.1f} times its trace")
            whole = in_process("json", source)
            print(f"  json.load      {whole['seconds']:6.2f} s  {whole['mib']:7.1f} MiB")
            for what, label in (("tree", "read_tree"), ("fold", "read and fold")):
                ours = in_process(what, source)
                times, memory = ours["seconds"] / whole["seconds"], ours["mib"] / whole["mib"]
                print(f"  {label:<14} {ours['seconds']:6.2f} s  {ours['mib']:7.1f} MiB  {times:.2f}x  {memory:.2f}x")
            ours = in_process("trace", trace)
            print(f"  load the trace {ours['seconds']:6.2f} s  {ours['mib']:7.1f} MiB")
        print(f"writing an event: {time_of_an_event(folder / 'plain.trace.jsonl'):.1f} µs")
        print(f"writing an event, packed: {time_of_an_event(folder / 'packed.trace.jsonl.zst'):.1f} µs")


def ratio(source: Path, trace: Path) -> float:
    """How many times bigger the source is."""
    return source.stat().st_size / trace.stat().st_size


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        numbers = [int(argument) for argument in sys.argv[1:3]]
        report(*(numbers + [10_000, 20][len(numbers) :]))
