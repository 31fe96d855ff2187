"""What the lessons of a default run are worth, and what they cost.

    python -m tests.benchmarks.bench_lessons [TRACE…] [--examples 10] [--no-repair] [--as-before]

Makes a run over the traces, then looks at each sample in an environment of its own, opened anew: which trained steps
are refused, judged Bad, idle, or the disowned step again; how long the tails are beside the environment's plan; how
many lessons there are. Nothing of what the run itself says is taken for granted but which steps it holds.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import sample_trees
from agentr_tui.cli.revising import revise_paths
from engine.base.step_kind import only_looks, refused
from engine.environment.replay import HOLDS, Replayer, opener
from engine.samples.finishing import ground_of
from engine.samples.lessons import lesson_id
from engine.samples.sample import Sample, replay_sample, splice_of, steps_to_replay, turns_of
from engine.samples.settings import RepairSettings, ReviseSettings
from engine.trace.sources import find_sources, load_any
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace
from envs.base import StateKeys, TextEnv

SHIPPED = Path(sample_trees.__file__).parent


def look(tree: SearchTree, sample: Sample, count: Counter[str], tails: list[tuple[int, int]]) -> str:
    """Count what a sample trains; returns what tells it apart by its actions."""
    replayer = Replayer(tree, opener(tree))
    ground = ground_of(tree, sample, replayer)
    states = replayer.states
    try:
        count["replayed: " + replay_sample(tree, sample, replayer).verdict] += 1
        steps, bad = steps_to_replay(tree, sample), len(splice_of(tree, sample).bad)
        masks = [turn.loss for turn in turns_of(tree, sample) if turn.role == "assistant" and turn.part == "good"]
        stand = replayer.stand()
        stand.at = -1
        env = stand.env
        comparable = ground.keyed
        at, key, wrong_key = 0, key_of(env) if comparable else "", ""
        seen = set()
        for place, step in enumerate(steps):
            observation, _, _ = stand.step(step.action)
            after = key_of(env) if comparable else ""
            edge = states.step(at, step.action)
            if place == bad - 1:
                wrong_key = key
                left = states.steps_left(edge.to) if ground.judges else None
                if left is not None:
                    tails.append((len(steps) - bad, left))
            if place >= bad and masks[place - bad]:
                count["trained steps"] += 1
                count["refused"] += refused(sample.environment, step.action, observation)
                idle = (comparable and after == key) or only_looks(sample.environment, step.action)
                count["idle"] += idle
                judged = ground.judged(at, step.action, edge)
                count["Bad"] += judged is not None and judged[0] == "Bad"
                count["Uncertain"] += judged is not None and judged[0] == "Uncertain"
                count["loop"] += comparable and after in seen
                again = bool(bad) and step.action == steps[bad - 1].action
                count["own disowned action again"] += again
                count["own disowned action in its state"] += again and comparable and key == wrong_key
            elif place >= bad:
                count["masked"] += 1
            if place >= bad - 1:
                seen.add(after)
            at, key = edge.to, after
    finally:
        replayer.close()
    return "\n".join([sample.environment, sample.task, *(step.action for step in steps), str(bad)])


def key_of(env: TextEnv) -> str:
    """The key of the state in which an environment stands."""
    assert isinstance(env, StateKeys)
    return env.state_key()


def short(tree: SearchTree, sample: Sample) -> str:
    """A sample in a line: what came before, the wrong action, the tail."""
    steps, bad = [step.action for step in steps_to_replay(tree, sample)], len(splice_of(tree, sample).bad)
    shown = f"{sample.kind} {sample.environment} {sample.task} [{sample.instruction}]: "
    shown += " · ".join(steps[: bad - 1]) + f" ✗ {steps[bad - 1]} → " + " · ".join(steps[bad:])
    made = sample.tail.made if sample.tail is not None else "as found"
    return f"{shown} (plan {sample.plan_left}, {made}, {sample.verdict}, {sample.earlier} earlier)"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="*", help="traces; default: the TextCraft and WebShop trees that ship")
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--no-repair", action="store_true")
    parser.add_argument("--as-before", action="store_true", help="the defaults of before: pairs, as found, marks moved")
    given = parser.parse_args()
    paths = given.paths or sorted(map(str, [*SHIPPED.glob("textcraft-[dm]*"), *SHIPPED.glob("webshop-*")]))
    settings = ReviseSettings(repair=None if given.no_repair else RepairSettings())
    if given.as_before:
        settings = ReviseSettings(before_fork="move", rank="return", tail="as-found", per_lesson=0, repair=None)
    with TemporaryDirectory() as folder:
        workspace = Workspace.open(folder, create=True)
        begun, cpu = time.perf_counter(), time.process_time()
        _, figures = revise_paths(workspace, find_sources(paths), settings)
        print(f"revise: {time.perf_counter() - begun:.2f} s, {time.process_time() - cpu:.2f} s of this process's time,")
        print(f"  {figures.steps} environment steps; repairs: {figures.repairs}")
        run = workspace.load_run()
    for kinds in (("revision", "recovery"), ("good",)):
        chosen = [sample for sample in run.samples if sample.kind in kinds]
        count: Counter[str] = Counter()
        tails: list[tuple[int, int]] = []
        texts, lessons, wrongs, depths, earlier = Counter[str](), set(), set(), Counter[int](), Counter[int]()
        trees: dict[str, SearchTree] = {}
        for sample in chosen:
            tree = trees.get(sample.path) or trees.setdefault(sample.path, load_any(Path(sample.path)).tree)
            if sample.verdict not in HOLDS or (sample.mark is None and sample.kind != "good"):
                count["not exported: " + sample.verdict] += 1
                continue
            texts[look(tree, sample, count, tails)] += 1
            if sample.wrong is not None:
                replayer = Replayer(tree, opener(tree))
                lessons.add(lesson_id(tree, ground_of(tree, sample, replayer), sample.wrong))
                replayer.close()
                wrongs.add((sample.task, tree.nodes[sample.wrong].action))
                depths[tree.nodes[sample.wrong].depth] += 1
                earlier[sample.earlier] += 1
        print(f"{' and '.join(kinds)}: {sum(texts.values())} lines")
        names = ("trained steps", "refused", "Bad", "idle", "loop", "own disowned action again", "masked", "Uncertain")
        print("  " + ", ".join(f"{count[name]} {name}" for name in names))
        print("  " + ", ".join(f"{number} {name}" for name, number in sorted(count.items()) if ":" in name))
        print(f"  exact duplicates in actions: {sum(texts.values()) - len(texts)}")
        if lessons:
            print(f"  {len(lessons)} lessons, {len(wrongs)} wrong actions, by depth {dict(sorted(depths.items()))}")
            print(f"  earlier mistakes in the context: {dict(sorted(earlier.items()))}")
        if tails:
            length, left = mean(length for length, _ in tails), mean(left for _, left in tails)
            print(f"  mean tail {length:.2f} steps, the plan's {left:.2f}: {length / left if left else 0:.2f} times")
        if kinds[0] == "revision":
            for sample in chosen[:: max(1, len(chosen) // max(1, given.examples))][: given.examples]:
                print("  " + short(trees.get(sample.path) or load_any(Path(sample.path)).tree, sample))


if __name__ == "__main__":
    main()
