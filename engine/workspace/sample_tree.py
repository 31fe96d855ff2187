"""The tree that a sample was made from."""

from __future__ import annotations

import os
from pathlib import Path

from engine.base.errors import InputError
from engine.samples.sample import Sample
from engine.trace.sources import load_any
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace


def trace_path(workspace: Workspace, sample: Sample) -> Path:
    """Where the trace of a sample is: where `revise` read it, else in the workspace. Raises `InputError`."""
    recorded = Path(sample.path)
    places = (recorded, workspace.path / recorded, workspace.traces / recorded.name)
    for place in places:
        if os.path.isfile(place):
            return place
    raise InputError(
        f"{sample.path}: the trace of sample {sample.id} is missing: put it back there, or into {workspace.traces}"
    )


def load_tree(workspace: Workspace, sample: Sample, environment: str | None = None) -> SearchTree:
    """Returns the tree that a sample is made from. Raises `InputError`.

    `workspace`: holds the trace. `sample`: the sample. `environment`: that of a tree file; None: recognised.
    """
    return load_any(trace_path(workspace, sample), environment).tree


def check_same_trace(tree: SearchTree, sample: Sample) -> None:
    """Raise `InputError` where the file no longer holds the trace that the sample was made from."""
    if not is_of(tree, sample):
        trace = tree.started.trace if tree.started else ""
        raise InputError(
            f"{sample.path}: contains a different trace ({trace}) from the one that sample {sample.id} was"
            f" made from ({sample.trace}):"
            " put that one back, or run `agentr revise` again"
        )


def is_of(tree: SearchTree, sample: Sample) -> bool:
    """Whether a tree holds the trace that a sample was made from, with every node that the sample names."""
    leaves = [sample.good] if sample.bad is None else [sample.good, sample.bad]
    same = tree.started is not None and tree.started.trace == sample.trace
    return same and ROOT not in leaves and all(0 <= node < len(tree) for node in _nodes_of(sample))


def _nodes_of(sample: Sample) -> list[int]:
    """All nodes of its trace that a sample names."""
    named = [sample.good, sample.bad, sample.fork, sample.wrong, *(cut.node for cut in sample.cut)]
    named += [step.node for step in sample.tail.steps] if sample.tail is not None else []
    return [node for node in named if node is not None]
