"""What becomes of pairs: recorded TextCraft trees of the original and 50 own ones, by `--compat`, as
they are found, and with `--repair`.

    python -m tests.benchmarks.bench_samples [--quick]

A row: pairs; what the replay said of them; marks that the verifier set at or before the fork; then of the exported
lines: how many, how many of them are marked at or before the fork, were not replayed, or do not hold; the most calls
that a repair took. Every line of the default exports is read back and its actions are executed in a fresh environment,
in a way that shares no code with the replay.

Exit status 1 where a default export holds a line that is marked at or before the fork, was not replayed or does not
hold, where fewer than 95 % of the ranked pairs get there with `--repair`, or where a repair took more than 200 calls.
The recorded trees are left out where `../shared/fixtures` is absent.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from agentr_tui.cli.revising import revise_paths
from engine.base.text import flatten, parse_action
from engine.datasets.export import export
from engine.environment.opened import open_environment
from engine.environment.permission import by_person
from engine.environment.replay import HOLDS
from engine.samples.settings import RepairSettings, ReviseSettings
from engine.samples.splice import WAIT_ACTION
from engine.search.job import new_job
from engine.trace.trace_file import load
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from tests.engine.made import AS_FOUND
from tests.fixtures import RECORDINGS

CALLS, SHARE = 200, 0.95

MODES = {
    "compat": ReviseSettings(compat=True),
    "pairs as found": ReviseSettings(**AS_FOUND | {"rank": "fork"}, repair=None),
    "pairs as found, --repair": ReviseSettings(**AS_FOUND | {"rank": "fork"}, repair=RepairSettings(calls=CALLS)),
}
VERDICTS = ("verified", "reobserved", "repaired", "diverged", "unreplayable")


class Row(NamedTuple):
    """One set of trees in one mode."""

    pairs: int
    verdicts: Counter[str]
    before_fork: int  # marks at or before the fork, as the verifier set them
    lines: int
    marked_early: int  # lines whose mark is at or before the fork
    unchecked: int
    false: int  # lines that do not hold when they are executed
    most_calls: int  # of one repair


def own_trees(folder: Path, count: int) -> list[Path]:
    """Searches by the scripted actor, half of them with many mistakes."""
    paths = []
    for number in range(count):
        path = folder / f"own-{number}.trace.jsonl"
        rate = (0.35, 0.5)[number % 2]
        settings = SearchSettings(iterations=4, error_rate=rate, seed=5)
        job = new_job("textcraft", str(number // 2), settings, path)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(job.run_blocking).result()
        paths.append(path)
    return paths


def executed(line: dict[str, Any], path: str, environment: str, task: str) -> float | None:
    """The return that a line's actions earn; None where an observation is another than the line says."""
    messages = line["revise_log"]
    first = messages[3]["content"]
    opened = open_environment(by_person(environment), task, first)
    score: float = 0.0
    try:
        for at, message in enumerate(messages[4:], 4):
            if message["role"] != "assistant":
                continue
            action = parse_action(message["content"])
            if action == WAIT_ACTION:
                continue
            observation, reward, _, _, info = opened.env.step(action)
            score = float(info.get("score", reward))
            if at + 1 < len(messages) and flatten(observation) != messages[at + 1]["content"]:
                return None
    finally:
        opened.env.close()
    return score


def row_of(folder: Path, paths: list[Path], mode: str) -> Row:
    """Revise and export these trees, and read the export back."""
    workspace = Workspace.open(folder, create=True)
    settings = MODES[mode]
    revise_paths(workspace, paths, settings, quiet=True)
    run = workspace.load_run()
    samples = [sample for sample in run.samples if sample.bad is not None]
    out = workspace.exports / "lines.jsonl"
    done = export(workspace, None, "agent-r", out, all=settings.compat)
    lines = [json.loads(text) for text in out.read_text(encoding="utf-8").splitlines()]
    origins = [json.loads(text) for text in Path(done.provenance).read_text(encoding="utf-8").splitlines()]
    false = early = unchecked = 0
    for line, origin in zip(lines, origins, strict=True):
        early += origin["mark"] is not None and origin["mark"] <= origin["fork_depth"]
        unchecked += origin["replay"] not in HOLDS
        score = executed(line, origin["path"], origin["environment"], origin["task"])
        expected = 0.5 if origin["tail_trace"] is not None else origin["return_good"]  # a new tail is just good
        false += score is None or score < expected - 1e-9
    calls = [load(path).tree.calls for path in (workspace.traces / "repairs").glob("*.trace.jsonl")]
    return Row(
        pairs=len(samples),
        verdicts=Counter(sample.verdict for sample in samples),
        before_fork=sum(sample.found is not None and sample.found <= sample.fork_depth for sample in samples),
        lines=len(lines),
        marked_early=early,
        unchecked=unchecked,
        false=false,
        most_calls=max(calls, default=0),
    )


def main() -> int:
    """Print the table."""
    count = 6 if "--quick" in sys.argv else 50
    missed = []
    heads = ("pairs", *VERDICTS, "before fork", "lines", "before fork", "unchecked", "false", "calls")
    print("| trees, mode | " + " | ".join(heads) + " |")
    print("| --- |" + " ---: |" * len(heads))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {f"{count} own trees": own_trees(folder, count)}
        recorded = sorted(RECORDINGS.glob("agent-r/textcraft/*/search_results_*"))
        if recorded:
            sets[f"{len(recorded)} recorded trees"] = recorded
        else:
            print("the recorded trees are not here: ../shared/fixtures")
        for what, paths in sets.items():
            for mode in MODES:
                row = row_of(folder / f"{what} {mode}", paths, mode)
                figures = [row.pairs, *(row.verdicts[verdict] for verdict in VERDICTS), row.before_fork, row.lines]
                figures += [row.marked_early, row.unchecked, row.false, row.most_calls]
                print(f"| {what}, {mode} | " + " | ".join(map(str, figures)) + " |", flush=True)
                if mode == "compat":
                    continue
                if row.marked_early or row.unchecked or row.false:
                    missed.append(f"{what}, {mode}: lines that must not be there")
                share = sum(row.verdicts[verdict] for verdict in HOLDS) / max(1, row.pairs)
                if mode.endswith("--repair") and (share < SHARE or row.most_calls > CALLS):
                    missed.append(f"{what}, {mode}: {share:.1%} hold, at most {row.most_calls} calls a repair")
    for line in missed:
        print(f"MISSED {line}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
