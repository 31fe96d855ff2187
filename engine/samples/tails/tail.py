"""The tail of a sample, and what was cut: types that files and decisions hold."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.tree.events import Number, ToolCall
from engine.tree.node import Node

TailMade = Literal["straight", "joined", "repaired"]
"""`straight`: the good leaf's own steps after the fork, less what is not needed. `joined`: another way of the tree to a
good leaf that passes through the state just after the wrong step. `repaired`: found by a search of its own."""


CutPart = Literal["context", "tail"]


class TailStep(Struct, omit_defaults=True, frozen=True):
    """A step of a tail."""

    response: str
    action: str  # as executed
    observation: str
    node: int | None = None  # the node of the sample's own tree whose step this is; None: a step of another search
    loss: bool = True  # False: the step is wrong but has to stay; it is masked, never trained
    tool_calls: tuple[ToolCall, ...] = ()
    results: tuple[str, ...] = ()  # what each call returned, where there were several


def tail_step(node: Node, *, own: bool = True, wording: int = 0) -> TailStep:
    """Returns the step into a node as a step of a tail.

    `node`: the node. `own`: whether it is of the sample's own tree. `wording`: which of the wordings of an imported
    step; 0: the first.
    """
    step = node.as_prefix(wording)
    id = node.id if own else None
    return TailStep(step.response, step.action, step.observation, id, True, step.tool_calls, step.results)


class Tail(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """Good steps from just after the wrong step; they take the place of the good leaf's steps after the fork."""

    mark: int | None  # the mark after which they hold
    steps: list[TailStep]
    score: Number  # the return at their end
    trace: str = ""  # id of the trace of a repair search; "": the sample's own tree
    path: str = ""  # its file
    leaf: int = 0  # the leaf that it ends at, in that trace
    made: TailMade = "repaired"


class Cut(Struct, omit_defaults=True, frozen=True):
    """A step that was taken out of a sample's trajectory, and why."""

    part: CutPart
    node: int  # of the sample's own tree
    place: int  # how many kept steps of the part stand before it
    reason: str  # refused, idle, loop, judged Bad, not needed, joined
