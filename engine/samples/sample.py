"""A sample: what `revise` makes of a lesson or pair of a tree, and its trajectory.

A sample's id is a digest of its kind, trace and leaves: building it again loses no decision about it. Mark, thought,
tail, cuts, judgements and replay verdict are properties of one run of `revise`.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.environment.replay import Replay, Replayer, Step
from engine.samples.settings import Tails
from engine.samples.splice import Splice, Turn, header_turns, revision_turns, splice, steps_of, steps_to, tail_turns
from engine.samples.tails.tail import Cut, Tail, tail_step
from engine.samples.thoughts.quotes import Quotes, bare
from engine.tree.events import Number
from engine.tree.messages import NO_WORDS, Words
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

Kind = Literal["revision", "recovery", "direct", "good"]


class Sample(Struct, omit_defaults=True, kw_only=True):
    """One line of a dataset to be, as references into a trace."""

    id: str
    kind: Kind
    trace: str  # trace id
    path: str  # where the trace was read from
    environment: str
    task: str
    good: int  # leaf
    return_good: Number
    bad: int | None = None  # leaf
    return_bad: Number = 0
    instruction: str = ""
    fork: int = 0  # node
    fork_depth: int = 0
    bad_depth: int = 0
    good_depth: int = 0
    mark: int | None = None  # first wrong step, counted from 1; None: the whole bad trajectory comes first
    found: int | None = None  # the mark as the verifier set it
    verifier: str = ""
    judgements: list[Judgement] = []
    thought: str = ""
    replay: Replay | None = None
    compat: bool = False
    whole: bool = False  # with no mark, the whole bad trajectory is meant
    thought_by: str = ""  # who wrote the thought: a model, or `reason`: it names the mistake; "": it is of the list
    tail: Tail | None = None  # in place of the good leaf's steps after the fork
    tail_judgements: list[
        Judgement
    ] = []  # of the good steps after the fork, in the state of the splice; 1 is the first
    cut: list[Cut] = []  # steps that were taken out of context and tail, in order
    wrong: int | None = None  # the node of the wrong step: the step at `mark` (a recovery's: on the good trajectory)
    lesson: str = ""  # digest of the task, the state before the wrong step and the wrong action; "": no lesson
    earlier: int = 0  # mistakes before the wrong step that stay in the context, undisowned
    plan_left: int | None = None  # steps that the environment's plan has left just after the wrong step
    unfinished: bool = False  # nobody saw the end of the bad trajectory
    tails: Tails = "as-found"  # how its tail is made, also where a person moves the mark
    alpha: float | None = None  # a return above it will do, where it beats the bad one by more than `beta`
    beta: float = 0  # None at alpha: only the expected return holds
    harmless: str = ""  # why the wrong step changed nothing, as its result says: such a splice is the safest
    seam: Judgement | None = None  # what a model said of a seam that nobody replayed: whether the tail can follow
    merged: bool = False  # the thought has no turn of its own: it is said by the turn that takes the next step

    @property
    def expected_return(self) -> Number:
        """The return that the trajectory is to reach."""
        return self.return_good if self.tail is None else self.tail.score

    @property
    def before_fork(self) -> bool:
        """Whether the verifier flagged a step that the good trajectory shares."""
        return self.found is not None and self.found <= self.fork_depth

    @property
    def no_wrong_step(self) -> bool:
        """Whether a verifier found no wrong step, nobody set a mark since, and the whole trajectory was not asked
        for."""
        return self.kind == "revision" and self.mark is None and not self.whole

    @property
    def verdict(self) -> str:
        """The replay verdict, or `not replayed`."""
        return self.replay.verdict if self.replay else "not replayed"


def sample_id(kind: Kind, trace: str, good: int, bad: int | None) -> str:
    """Digest of what makes a sample the one it is.

    `kind`: revision, recovery, direct or good. `trace`: its id. `good` and `bad`: leaves; None where there is
    none.
    """
    return blake2b(f"{kind}\n{trace}\n{good}\n{bad}".encode(), digest_size=6).hexdigest()


def recovery_id(trace: str, good: int, wrong: int) -> str:
    """Returns the digest that is a recovery's id.

    `trace`: its id. `good`: the good leaf. `wrong`: the node that the wrong step leads to.
    """
    return blake2b(f"recovery\n{trace}\n{good}\n{wrong}".encode(), digest_size=6).hexdigest()


def whole_splice(tree: SearchTree, sample: Sample) -> Splice:
    """All steps of the trajectories that a sample is made of, before anything is cut or replaced."""
    if sample.kind == "recovery":
        path = steps_to(tree, sample.good)
        mark = sample.mark or 0
        return Splice(path[:mark], path[mark:])
    if sample.bad is None:
        return Splice([], steps_to(tree, sample.good))
    return splice(tree, sample.good, sample.bad, sample.fork, sample.mark, sample.compat)


def sample_words(tree: SearchTree, sample: Sample) -> Words:
    """The words of a sample: up to the wrong step those of one attempt, from there on those of another one."""
    if not tree.attempts:
        return NO_WORDS
    words = tree.words_at(sample.good)
    if sample.bad is None:
        return words
    return {**words, **dict.fromkeys(tree.ancestors(sample.bad), 0), **tree.words_at(sample.bad)}


def splice_of(tree: SearchTree, sample: Sample) -> Splice:
    """The steps that a sample is made of, as far as they are nodes: those of its `tail` are not."""
    parts = whole_splice(tree, sample)
    cut = {each.node for each in sample.cut if each.part == "context"}
    bad = [id for id in parts.bad if id not in cut] if cut else parts.bad
    return Splice(bad, parts.good if sample.tail is None else [])


def steps_to_replay(tree: SearchTree, sample: Sample) -> list[Step]:
    """All steps of a sample in the order in which they are executed."""
    tail = sample.tail.steps if sample.tail is not None else []
    return steps_of(tree, splice_of(tree, sample).steps) + [Step(step.action, step.observation) for step in tail]


def turns_of(tree: SearchTree, sample: Sample) -> list[Turn]:
    """Returns the trajectory of a sample with its mask. Where only observations differ, the true ones are in it; never
    in `compat`."""
    parts = splice_of(tree, sample)
    tail = sample.tail.steps if sample.tail is not None else []
    replay = sample.replay
    true = None
    if replay is not None and replay.verdict in ("reobserved", "repaired") and not sample.compat:
        true = replay.observations
        if replay.ended is not None:  # nothing follows the end of an episode
            left = replay.ended - len(parts.bad)
            parts, tail = Splice(parts.bad, parts.good[:left]), tail[:left]
    words = sample_words(tree, sample)
    if sample.kind == "good":
        if sample.tail is None:
            return revision_turns(tree, parts, None, true, words=words)
        return header_turns(tree, words) + tail_turns(tree, tail, true or {}, 0, words)
    turns = revision_turns(tree, parts, sample.thought, true, tail, sample.merged, words)
    return _without_stale_thoughts(tree, sample, turns)


def _without_stale_thoughts(tree: SearchTree, sample: Sample, turns: list[Turn]) -> list[Turn]:
    """Thoughts before the wrong step that quote what was cut are left out; the tail's were when it was made."""
    cut = [each.node for each in sample.cut if each.part == "context"]
    if not cut:
        return turns
    quotes = Quotes(tree)
    for turn in turns:
        if turn.part in ("header", "prefix"):
            quotes.show(turn.said)
    for place, turn in enumerate(turns):
        if turn.part == "bad" and turn.role == "assistant" and turn.node is not None:
            hidden = [id for id in cut if id < turn.node]
            if quotes.stale(turn.content, hidden, turn.calls):
                turns[place] = turn._replace(content=bare(turn.content, turn.calls))
        if turn.part == "bad":
            quotes.show(turn.said)
    return turns


def enough_for(sample: Sample, score: Number) -> bool:
    """Whether a return that is not the expected one meets the sample's own terms."""
    if sample.alpha is None or score <= sample.alpha:
        return False
    return sample.bad is None or score - sample.return_bad > sample.beta


def replay_sample(tree: SearchTree, sample: Sample, replayer: Replayer) -> Replay:
    """Replay a sample's steps. A sample whose tail is from another search, and holds, is `repaired`.

    `tree`: the sample's. `sample`: the sample. `replayer`: of that tree.
    """
    steps = steps_to_replay(tree, sample)
    bad = len(splice_of(tree, sample).bad)
    found = replayer.replay(steps, sample.expected_return, bad, lambda score: enough_for(sample, score))
    if sample.tail is not None and sample.tail.made == "repaired" and found.verdict in ("verified", "reobserved"):
        return replace(found, verdict="repaired")
    return found


def with_tail(tree: SearchTree, sample: Sample, tail: Tail, replayer: Replayer) -> Sample:
    """Returns the sample with another tail, replayed.

    `tree`: the sample's. `sample`: the sample. `tail`: the new tail. `replayer`: of that tree.
    """
    mended = replace(
        sample, tail=tail, seam=None, cut=[each for each in sample.cut if each.part == "context"], replay=None
    )
    return replace(mended, replay=replay_sample(tree, mended, replayer))


WRONG_REASONS = frozenset({"refused", "idle", "loop", "judged Bad", "disowned"})
"""Why steps are cut that must not be trained, also where a person takes them back."""


def with_uncut(tree: SearchTree, sample: Sample, nodes: Collection[int], replayer: Replayer) -> Sample:
    """Returns the sample with some of its cut steps back in their places, replayed. In the tail a step that was cut for
    being wrong is masked.

    `tree`: the sample's. `sample`: the sample. `nodes`: those of the steps. `replayer`: of that tree.
    """
    back = [each for each in sample.cut if each.node in nodes]
    if not back:
        return sample
    tail = sample.tail
    if tail is not None:
        steps = list(tail.steps)
        for each in reversed([each for each in back if each.part == "tail"]):
            node = tree.nodes[each.node]
            loss = each.reason not in WRONG_REASONS
            steps.insert(each.place, replace(tail_step(node), loss=loss))
        tail = replace(tail, steps=steps)
    context = sum(each.part == "context" and each.reason != "loop" for each in back)
    cut = [each for each in sample.cut if each.node not in nodes]
    changed = replace(sample, tail=tail, seam=None, cut=cut, earlier=sample.earlier + context, replay=None)
    return replace(changed, replay=replay_sample(tree, changed, replayer))
