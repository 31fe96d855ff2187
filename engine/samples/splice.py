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

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.text import split_thought, stored_action
from engine.environment.replay import Step
from engine.samples.tails.tail import TailStep
from engine.tree.events import Message, ToolCall
from engine.tree.folding.attempts import is_end
from engine.tree.messages import NO_WORDS, Words, messages_of, prefix_messages, step_messages
from engine.tree.tree import SearchTree
from envs.call_text import calls_text, split_results

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
    loss: bool | None  # whether an assistant turn is trained; None at all others and in the header
    part: Part
    node: int | None = None  # the node whose step this is
    replaced: str | None = None  # the stored observation, where a true one stands in its place
    reasoning: str = ""  # what the model thought before it said this, where an export asks for it
    calls: tuple[ToolCall, ...] = ()  # of tools, with their ids; trained where the turn is
    call_id: str = ""  # of a tool's turn: the call that it answers
    name: str = ""  # of a tool's turn: the tool
    revises: bool = False  # whether its content is the revision thought (`merged`)

    @property
    def action(self) -> str:
        """What an assistant's turn does, as text."""
        return calls_text([(call.name, call.arguments) for call in self.calls]) or stored_action(self.content)

    @property
    def thought(self) -> str:
        """The text of an assistant's turn beside its action."""
        return self.content if self.calls else split_thought(self.content)

    @property
    def said(self) -> str:
        """The whole text of the turn, with its calls as text."""
        return "\n".join(filter(None, (self.content, self.action))) if self.calls else self.content


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
    """Returns the thought of a sample: any of the list, the same for the same sample and seed.

    `sample`: its id. `seed`: of the run. `thoughts`: the list; None: the shipped one.
    """
    return random.Random(f"{seed}/{sample}").choice(list(thoughts or revision_thoughts()))


def splice(tree: SearchTree, good: int, bad: int, fork: int, mark: int | None, compat: bool = False) -> Splice:
    """Returns the steps of a revision trajectory. Raises `InputError` where the mark is not on the bad trajectory.

    The good part starts after the fork; after the mark, where that is before the fork.

    `tree`: the search. `good` and `bad`: the leaves. `fork`: the deepest node of both trajectories. `mark`: the first
    wrong step, counted from 1; None takes the whole bad trajectory. `compat`: start the good part after the common
    beginning of both texts, as the original does.
    """
    bad_path, good_path = steps_to(tree, bad), steps_to(tree, good)
    if mark is not None and not 1 <= mark <= len(bad_path):
        raise InputError(f"step {mark} is not on the bad trajectory: it has steps 1 to {len(bad_path)}")
    cut = bad_path if mark is None else bad_path[:mark]
    if compat:
        same = (tree.nodes[a].response == tree.nodes[b].response for a, b in zip(cut, good_path, strict=False))
        shared = sum(1 for _ in takewhile(bool, same))
    else:
        shared = min(tree.nodes[fork].depth, len(cut))
    return Splice(cut, good_path[shared:])


def steps_to(tree: SearchTree, leaf: int) -> list[int]:
    """The steps from the root to a leaf. The end of an attempt where others went on is no step."""
    path = tree.ancestors(leaf)[1:]
    return path[:-1] if path and is_end(tree.nodes[path[-1]]) else path


def steps_of(tree: SearchTree, ids: Sequence[int]) -> list[Step]:
    """Steps as they are replayed."""
    return [Step(tree.nodes[id].action, tree.nodes[id].observation) for id in ids]


def header_turns(tree: SearchTree, words: Words = NO_WORDS) -> list[Turn]:
    """The header, and the steps before the root; untrained."""
    assert tree.started is not None
    turns = [_turn(message, None, "header") for message in tree.header_as(words)]
    return turns + [_turn(message, False, "prefix") for message in prefix_messages(tree.started.prefix)]


def trajectory_turns(tree: SearchTree, leaf: int, part: Part = "good", loss: bool = True) -> list[Turn]:
    """Returns the whole conversation of one trajectory, its steps all trained or all not.

    `tree`: the search. `leaf`: where it ends. `part`: as which its steps count. `loss`: whether they are trained.
    """
    words = tree.words_at(leaf)
    return header_turns(tree, words) + _step_turns(tree, tree.ancestors(leaf)[1:], part, loss, {}, 0, words)


def revision_turns(
    tree: SearchTree,
    parts: Splice,
    thought: str | None,
    observations: Mapping[int, str] | None = None,
    tail: Sequence[TailStep] = (),
    merged: bool = False,
    words: Words = NO_WORDS,
) -> list[Turn]:
    """Returns the revision trajectory as turns.

    `tree`: the search. `parts`: its steps. `thought`: the revision thought; None: a trajectory that needs none.
    `observations`: those of a replay, by place among the executed steps; they replace the stored ones. `tail`: steps
    that come last, in place of good steps. `merged`: whether the thought is in the turn that takes the next step,
    instead of a turn of its own. `words`: those of the attempts that the steps are of.
    """
    true = observations or {}
    turns = header_turns(tree, words) + _step_turns(tree, parts.bad, "bad", False, true, 0, words)
    ahead = _step_turns(tree, parts.good, "good", True, true, len(parts.bad), words)
    ahead += tail_turns(tree, tail, true, len(parts.steps), words)
    if thought is None:
        return turns + ahead
    if merged and ahead:
        first = ahead[0]
        content = thought if first.calls else f"Thought: {thought}\nAction: {first.action}"
        return [*turns, first._replace(content=content, revises=True), *ahead[1:]]
    turns.append(Turn("assistant", thought_turn(thought), True, "thought"))
    turns.append(Turn("user", WAIT_ANSWER, None, "thought"))
    return turns + ahead


def tail_turns(
    tree: SearchTree, tail: Sequence[TailStep], true: Mapping[int, str], first: int, words: Words = NO_WORDS
) -> list[Turn]:
    """Returns the steps of a tail as turns.

    `tree`: the search. `tail`: the steps. `true`: observations of a replay, by place among the executed steps. `first`:
    the place of the first step of the tail. `words`: those of the attempts that the steps are of.
    """
    turns = []
    for place, step in enumerate(tail, first):
        name = f"t{place}" if step.node is None else str(step.node)
        if step.node is not None and (node := tree.nodes[step.node]).imported is not None:
            said, *answers = node.messages_as(words.get(node.id, 0))
            stored = [replace(said, content=step.response), *answers]
        else:
            stored = messages_of(step, name)
        turns += _turns_of(stored, name, step.tool_calls, true.get(place), step.loss, "good", step.node)
    return turns


def step_turns(tree: SearchTree, ids: Sequence[int]) -> list[Turn]:
    """Steps of the tree as turns, as they are stored."""
    return _step_turns(tree, ids, "good", True, {}, 0, tree.words_at(ids[-1]) if ids else NO_WORDS)


def thought_turn(thought: str) -> str:
    """The text of a revision turn."""
    return f"Thought: {thought}\nAction: {WAIT_ACTION}"


def answer_of(turns: Sequence[Turn]) -> str:
    """All that answers a step, as one text; `turns` are its own."""
    return "\n".join(turn.content for turn in turns if turn.role != "assistant")


def results_of(turns: Sequence[Turn]) -> list[str]:
    """What each call of a step returned; `turns` are its own."""
    return [turn.content for turn in turns if turn.role == "tool"]


def _step_turns(
    tree: SearchTree, ids: Sequence[int], part: Part, loss: bool, true: Mapping[int, str], first: int, words: Words
) -> list[Turn]:
    turns = []
    for place, id in enumerate(ids, first):
        node = tree.nodes[id]
        stored = node.messages_as(words.get(id, 0))
        trained = loss and not (node.imported is not None and node.imported.untrained)
        turns += _turns_of(stored, str(id), node.calls, true.get(place), trained, part, id)
    return turns


def _turns_of(
    stored: Sequence[Message],
    name: str,
    calls: Sequence[ToolCall],
    true: str | None,
    loss: bool,
    part: Part,
    node: int | None,
) -> list[Turn]:
    """A step as turns, with its true observation where another was stored."""
    if true is None:
        return [_turn(message, loss, part, node) for message in stored]
    answers = [Message("tool", result) for result in split_results(true, len(calls))] if len(calls) > 1 else []
    now = step_messages(name, stored[0].content, true, calls, answers)
    was = [message.content for message in stored[1:]]
    turns = [_turn(now[0], loss, part, node)]
    for place, message in enumerate(now[1:]):
        turns.append(_turn(message, loss, part, node)._replace(replaced=was[place] if place < len(was) else ""))
    return turns


def _turn(message: Message, loss: bool | None, part: Part, node: int | None = None) -> Turn:
    return Turn(
        message.role,
        message.content,
        loss if message.role == "assistant" else None,
        part,
        node,
        None,
        "",
        message.tool_calls,
        message.tool_call_id,
        message.name,
    )


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
        elif turn.role == "assistant" and stale and turn.part != "thought" and not turn.revises:
            words = _words(turn.thought)
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
