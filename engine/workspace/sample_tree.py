"""The tree that a sample was made from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engine.base.errors import InputError
from engine.samples.sample import Sample
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace


def find_trace(workspace: Workspace, recorded: Path) -> Path | None:
    """Returns where a trace is: at the recorded path, else in the workspace, which may lie elsewhere by now. None where
    it is nowhere."""
    places = (recorded, *_below(workspace.path, recorded), *_below(workspace.traces, recorded))
    return next((place for place in places if os.path.isfile(place)), None)


def _below(folder: Path, recorded: Path) -> Iterator[Path]:
    """Where a file may be in a folder that lay elsewhere: `folder/b/c`, `folder/c` for a recorded `/a/b/c`."""
    parts = recorded.parts[recorded.is_absolute() :]
    for count in range(len(parts), 0, -1):
        yield folder.joinpath(*parts[-count:])


def trace_path(workspace: Workspace, sample: Sample) -> Path:
    """Where the trace of a sample is. Raises `InputError`."""
    found = find_trace(workspace, Path(sample.path))
    if found is None:
        raise InputError(
            f"{sample.path}: the trace of sample {sample.id} is missing: put it back there, or into {workspace.traces}"
        )
    return found


def load_tree(workspace: Workspace, sample: Sample, environment: str | None = None) -> SearchTree:
    """Returns the tree that a sample is made from. Raises `InputError`.

    `workspace`: holds the trace. `sample`: the sample. `environment`: that of a tree file; None: recognised.
    """
    return load_any(trace_path(workspace, sample), environment).tree


def check_same_trace(tree: SearchTree, sample: Sample) -> None:
    """Raise `InputError` where the file no longer holds the trace that the sample was made from, or where the sample,
    which anybody may have written, names nodes or steps that this trace has not."""
    trace = tree.started.trace if tree.started else ""
    if trace != sample.trace:
        raise InputError(
            f"{sample.path}: contains a different trace ({trace}) from the one that sample {sample.id} was"
            f" made from ({sample.trace}):"
            " put that one back, or run `agentr revise` again"
        )
    if odd := _not_there(tree, sample):
        raise InputError(
            f"{sample.path}: has no {odd}, which sample {sample.id} names: run `agentr revise` on it again"
        )


def is_of(tree: SearchTree, sample: Sample) -> bool:
    """Whether a tree holds the trace that a sample was made from, with every node and step that the sample names."""
    return tree.started is not None and tree.started.trace == sample.trace and not _not_there(tree, sample)


def _not_there(tree: SearchTree, sample: Sample) -> str:
    """What a sample names and its tree has not; empty where it has all."""
    tail = sample.tail.steps if sample.tail is not None else []
    named = [sample.good, sample.bad, sample.fork, sample.wrong]
    named += [*(cut.node for cut in sample.cut), *(step.node for step in tail)]
    for node in named:
        if node is not None and not 0 <= node < len(tree):
            return f"node {node}"
    paths = [tree.ancestors(leaf) for leaf in (sample.good, sample.bad) if leaf is not None]
    if not all(sample.fork in path for path in paths):
        return f"fork at node {sample.fork}"
    longest = max(map(len, paths)) + len(tail)
    steps = [sample.mark, sample.found, *(each.step for each in (*sample.judgements, *sample.tail_judgements))]
    steps += [each.place + 1 for each in sample.cut]
    for step in steps:
        if step is not None and not 0 < step <= longest:
            return f"step {step}"
    return ""
