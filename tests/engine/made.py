"""A small TextCraft tree made by hand, whose splices come out in every way; and a run of `revise` over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import structs

from engine.samples.revise import revise
from engine.samples.settings import ReviseSettings
from engine.trace.sources import load_any
from engine.trace.trace_file import TraceWriter
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, SearchSettings, Started, TerminalReason
from engine.workspace.workspace import Workspace

FIRST = (
    "Crafting commands:\ncraft 3 sugar using 1 honey bottle\ncraft 1 honey block using 4 honey bottle\n\n"
    "Goal: craft honey block."
)
GET, MAKE = "get 4 honey bottle", "craft 1 honey block using 4 honey bottle"
CHECK = "[inventory]"
"""Looks, and is executed, without being known as an action that only looks: an export leaves the others out."""
GOT, MADE = "Got 4 honey bottle", "Crafted 1 minecraft:honey_block"

# parent, thought, action, observation, return of a leaf, why it ended
Row = tuple[int, str, str, str, int | None, TerminalReason | None]
ROWS: list[Row] = [
    (0, "I fetch them.", GET, GOT, None, None),  # 1
    (1, "Now the block.", MAKE, MADE, 1, "done"),  # 2: good
    (1, "Sugar is nice.", "craft 3 sugar using 1 honey bottle", "Crafted 3 minecraft:sugar", None, None),  # 3
    (3, "What do I have?", "inventory", "Inventory: [honey bottle] (3) [sugar] (3) ", 0, "depth"),  # 4: bad
    (0, "I look first.", "inventory", "Inventory: You are not carrying anything.", None, None),  # 5
    (5, "One will do.", "get 1 honey bottle", "Got 1 honey bottle", 0, "depth"),  # 6: bad
    (0, "One is enough.", "get 1 honey bottle", "Got 1 honey bottle", None, None),  # 7
    (7, "The goal itself.", "get 1 honey block", "Could not find honey block", 0, "depth"),  # 8: bad
    (0, "Four bottles.", GET, GOT, None, None),  # 9
    (9, "I check.", CHECK, "Inventory: [honey bottle] (4) ", None, None),  # 10
    (10, "Now the block.", MAKE, MADE, 1, "done"),  # 11: good
]
TWIN: list[Row] = [(0, "I fetch them.", GET, GOT, None, None), (12, "Now the block.", MAKE, MADE, 1, "done")]
"""Nodes 12 and 13: word for word as 1 and 2."""

VERDICTS = {"diverged": 1, "reobserved": 2, "verified": 3}
"""Of the six revision samples, with the verifier `value`."""


AS_FOUND: dict[str, Any] = {
    "thought": "list",
    "before_fork": "move",
    "rank": "return",
    "tail": "as-found",
    "context": "as-found",
    "per_lesson": 0,
}
"""Settings of `revise` under which every pair gives a sample, spliced as its trajectories are found."""


def honey_trace(path: Path, rows: list[Row] | None = None, trace: str = "5ee5") -> Path:
    """Write the tree as a trace."""
    nodes = [ImportedNode(observation="")]
    for parent, thought, action, observation, score, terminal in rows or ROWS:
        response = f"Thought: {thought}\nAction: {action}"
        nodes.append(ImportedNode(parent, response, action, observation, score or 0, 0, 0.0, terminal))
    for id, (_, _, _, _, score, _) in enumerate(rows or ROWS, 1):
        at = id if score is not None else -1
        while at != -1:
            nodes[at].visits += 1
            nodes[at].value += score or 0
            at = nodes[at].parent
    header = [
        Message("system", "You are a helpful assistant."),
        Message("user", "Rules."),
        Message("assistant", "Ok."),
        Message("user", FIRST),
    ]
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace=trace,
        environment="textcraft",
        task="honey",
        header=header,
        settings=SearchSettings(),
        instruction="craft honey block",
    )
    with TraceWriter(path, overwrite=True) as writer:
        writer.write(started)
        writer.write(Imported(seq=1, source="made", nodes=nodes))
    return path


def revised(workspace: Workspace, *paths: Path, verifier: str = "value", verify: bool = True) -> str:
    """Run `revise` over traces; returns the run's id."""
    settings = ReviseSettings(verifier=verifier, verify=verify, **AS_FOUND)
    with workspace.new_run(settings, [str(path) for path in paths]) as run:
        for path in paths:
            for sample in revise(load_any(path).tree, str(path), settings, run.figures):
                run.add(structs.replace(sample, lesson=""))  # as runs had it before there were lessons
    return run.id


def made_workspace(folder: Path, rows: list[Row] | None = None, verify: bool = True) -> Workspace:
    """A workspace with that one trace and a run over it."""
    workspace = Workspace.open(folder, create=True)
    revised(workspace, honey_trace(workspace.traces / "honey.trace.jsonl", rows), verify=verify)
    return workspace
