"""Path surgery: a bad and a good trajectory become one revision trajectory with a loss mask.

Header, the bad steps up to and including the first wrong step (untrained), the revision thought (trained), answered
by `ok.`, then the good steps after the fork (trained). The revision turn takes no step in the environment.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Literal, NamedTuple

from engine.base.errors import InputError
from engine.base.text import split_thought
from engine.environment.replay import Step
from engine.samples.tail import TailStep
from engine.tree.tree import SearchTree

BeforeFork = Literal["recover", "move", "refuse", "keep"]
"""What becomes of a wrong step that the good trajectory shares: `recover` makes a sample of how the good trajectory
went on from it, and judges on behind the fork; `move` marks the first step after the fork, which nobody judged;
`refuse` leaves the pair out; `keep` keeps the mark."""
Part = Literal["header", "prefix", "bad", "thought", "good"]

WAIT_ACTION = "wait"
WAIT_ANSWER = "ok."


class Turn(NamedTuple):
    """A message of a revision trajectory and where it comes from."""

    role: str
    content: str
    loss: bool | None  # whether an assistant turn is trained; None at user turns and in the header
    part: Part
    node: int | None = None  # the node whose step this is
    replaced: str | None = None  # the stored observation, where a true one stands in its place
    reasoning: str = ""  # what the model thought before it said this, where an export asks for it


class Splice(NamedTuple):
    """Which steps a revision trajectory is made of, as node ids."""

    bad: list[int]  # up to and including the first wrong step
    good: list[int]

    @property
    def steps(self) -> list[int]:
        """All steps in the order in which they are executed."""
        return self.bad + self.good


@cache
def revision_thoughts() -> tuple[str, ...]:
    """The revision thoughts that ship with the engine."""
    text = files("engine.models.prompts").joinpath("revision_thoughts.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def choose_thought(sample: str, seed: int, thoughts: Sequence[str] | None = None) -> str:
    """The thought of a sample: any of the list, the same for the same sample and seed."""
    return random.Random(f"{seed}/{sample}").choice(list(thoughts or revision_thoughts()))


def splice(tree: SearchTree, good: int, bad: int, fork: int, mark: int | None, compat: bool = False) -> Splice:
    """The steps of a revision trajectory.

    `mark` is the first wrong step, counted from 1; None takes the whole bad trajectory. The good part starts after
    the fork (after the mark, where that lies before the fork); with `compat` it starts after the common beginning
    of both texts, as in the original. Raises `InputError` where the mark is not on the bad trajectory.
    """
    bad_path, good_path = tree.ancestors(bad)[1:], tree.ancestors(good)[1:]
    if mark is not None and not 1 <= mark <= len(bad_path):
        raise InputError(f"step {mark} is not on the bad trajectory: it has steps 1 to {len(bad_path)}")
    cut = bad_path if mark is None else bad_path[:mark]
    if compat:
        same = (tree.nodes[a].response == tree.nodes[b].response for a, b in zip(cut, good_path, strict=False))
        shared = sum(1 for _ in takewhile(bool, same))
    else:
        shared = min(tree.nodes[fork].depth, len(cut))
    return Splice(cut, good_path[shared:])


def steps_of(tree: SearchTree, ids: Sequence[int]) -> list[Step]:
    """Steps as they are replayed."""
    return [Step(tree.nodes[id].action, tree.nodes[id].observation) for id in ids]


def header_turns(tree: SearchTree) -> list[Turn]:
    """The header, and the steps before the root; untrained."""
    assert tree.started is not None
    turns = [Turn(message.role, message.content, None, "header") for message in tree.started.header]
    for step in tree.started.prefix:
        turns.append(Turn("assistant", step.response, False, "prefix"))
        turns.append(Turn("user", step.observation, None, "prefix"))
    return turns


def trajectory_turns(tree: SearchTree, leaf: int, part: Part = "good", loss: bool = True) -> list[Turn]:
    """The whole conversation of one trajectory, its steps all trained or all not."""
    return header_turns(tree) + _step_turns(tree, tree.ancestors(leaf)[1:], part, loss, {}, 0)


def revision_turns(
    tree: SearchTree,
    parts: Splice,
    thought: str | None,
    observations: Mapping[int, str] | None = None,
    tail: Sequence[TailStep] = (),
) -> list[Turn]:
    """The revision trajectory as turns; without a thought, one that needs none.

    `observations` are the true ones of a replay, by place among the executed steps; they take the place of the
    stored ones. The steps of `tail` come last, in place of good steps.
    """
    true = observations or {}
    turns = header_turns(tree) + _step_turns(tree, parts.bad, "bad", False, true, 0)
    if thought is not None:
        turns.append(Turn("assistant", thought_turn(thought), True, "thought"))
        turns.append(Turn("user", WAIT_ANSWER, None, "thought"))
    turns += _step_turns(tree, parts.good, "good", True, true, len(parts.bad))
    return turns + tail_turns(tail, true, len(parts.steps))


def tail_turns(tail: Sequence[TailStep], true: Mapping[int, str], first: int) -> list[Turn]:
    """The steps of a tail as turns; `first` is the place of the first among the executed steps."""
    turns = []
    for place, step in enumerate(tail, first):
        turns.append(Turn("assistant", step.response, step.loss, "good", step.node))
        stored = step.observation if place in true else None
        turns.append(Turn("user", true.get(place, step.observation), None, "good", step.node, stored))
    return turns


def step_turns(tree: SearchTree, ids: Sequence[int]) -> list[Turn]:
    """Steps of the tree as turns, as they are stored."""
    return _step_turns(tree, ids, "good", True, {}, 0)


def thought_turn(thought: str) -> str:
    """The text of a revision turn."""
    return f"Thought: {thought}\nAction: {WAIT_ACTION}"


def _step_turns(
    tree: SearchTree, ids: Sequence[int], part: Part, loss: bool, true: Mapping[int, str], first: int
) -> list[Turn]:
    turns = []
    for place, id in enumerate(ids, first):
        node = tree.nodes[id]
        turns.append(Turn("assistant", node.response, loss, part, id))
        if place in true:
            turns.append(Turn("user", true[place], None, part, id, node.observation))
        else:
            turns.append(Turn("user", node.observation, None, part, id))
    return turns


QUOTED_WORDS = 4
"""Words in a row that make a quotation; a shorter observation is quoted as a whole."""


def quoting(turns: Sequence[Turn]) -> list[int]:
    """Places of the actor's turns that quote a stored observation which a true one replaced: they speak of what the
    trajectory no longer shows."""
    stale: set[tuple[str, ...]] = set()
    found = []
    for place, turn in enumerate(turns):
        if turn.replaced is not None:
            stale |= _runs_of_words(turn.replaced) - _runs_of_words(turn.content)
        elif turn.role == "assistant" and stale and turn.part != "thought":
            words = _words(split_thought(turn.content))
            lengths = {len(run) for run in stale}
            if any(tuple(words[at : at + n]) in stale for n in lengths for at in range(len(words) - n + 1)):
                found.append(place)
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _runs_of_words(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    if len(words) < 2:  # one word is no quotation
        return set()
    return {tuple(words[at : at + QUOTED_WORDS]) for at in range(max(1, len(words) - QUOTED_WORDS + 1))}
