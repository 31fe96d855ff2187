"""What a sample trains: its trained steps, and which of them must not be trained.

A step is *refused* where the environment says so, *Bad* where the verifier judged it so in the state that the splice is
in, *idle* where it leaves the state as it was or only looks, *repeated* where it is the disowned step once more: the
same action with the same answer, or in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from engine.errors import InputError
from engine.replay import Replayer
from engine.revision import Turn
from engine.samples import Sample, splice_of, steps_to_replay
from engine.text import parse_action
from engine.tree import SearchTree
from engine.verifier import Word
from envs.base import EnvError, EnvironmentInfo, StateKeys, info_of

REFUSED = "trains a step that the environment refuses"
BAD = "trains a step that was judged Bad"
IDLE = "trains a step that changes nothing"
REPEATED = "trains the disowned step again"
FAULTS = (REFUSED, BAD, IDLE, REPEATED)
"""Why a sample is left out for what it trains."""


class Trained(Struct, kw_only=True):
    """Trained turns, and of these the steps that must not be trained."""

    turns: int = 0  # the revision thought included
    refused: int = 0
    bad: int = 0
    idle: int = 0
    repeated: int = 0

    def add(self, other: Trained) -> None:
        """Add those of another sample."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def faults(self) -> list[str]:
        """Why such a sample is left out."""
        counts = (self.refused, self.bad, self.idle, self.repeated)
        return [fault for fault, count in zip(FAULTS, counts, strict=True) if count]

    @property
    def line(self) -> str:
        """In a few words."""
        return (
            f"{self.turns} trained turns, of these {self.refused} refused, {self.bad} Bad, {self.idle} idle,"
            f" {self.repeated} the disowned step again"
        )


class StateWalk:
    """State keys along trajectories of one tree, by the environment; what was walked once is remembered."""

    def __init__(self, tree: SearchTree, replayer: Replayer) -> None:
        self._tree, self._replayer = tree, replayer
        self._known: dict[tuple[int, str], tuple[int, str]] = {}  # state, action → number and key of the state after
        self._start = ""
        self._usable = any(node.state_key for node in tree.nodes) and not self._blocking()

    def _blocking(self) -> bool:
        info = environment_info(self._tree)
        return info is None or info.blocking

    def keys(self, actions: Sequence[str]) -> list[str]:
        """The key of the start and after each action; nothing where the environment is not at hand, or takes too long
        to be asked, or can't tell its states apart."""
        if not self._usable:
            return []
        try:
            return self._keys(actions)
        except (EnvError, InputError):
            self._usable = False
            return []

    def _keys(self, actions: Sequence[str]) -> list[str]:
        state, found, standing = 0, [self._start], False
        for place, action in enumerate(actions):
            after = self._known.get((state, action))
            if after is None:
                if not standing:
                    stand = self._replayer.stand()
                    if not isinstance(stand.env, StateKeys):
                        self._usable = False
                        return []
                    self._start = found[0] = stand.env.state_key()
                    stand.at = -1  # steps are taken past the stand
                    for before in actions[:place]:
                        stand.step(before)
                    standing = True
                stand.step(action)
                env = stand.env
                after = (len(self._known) + 1, env.state_key() if isinstance(env, StateKeys) else "")
                self._known[state, action] = after
            elif standing:
                stand.step(action)
            state = after[0]
            found.append(after[1])
        return found


def environment_info(tree: SearchTree) -> EnvironmentInfo | None:
    """What is known of the environment of a tree; None where it is not here."""
    try:
        return info_of(tree.started.environment) if tree.started is not None else None
    except EnvError:
        return None


def trained_of(tree: SearchTree, sample: Sample, turns: Sequence[Turn], walk: StateWalk) -> Trained:
    """The trained turns of a sample as it is written."""
    found = Trained(turns=sum(bool(turn.loss) for turn in turns))
    steps = [turn for turn in turns if turn.role == "assistant" and turn.part in ("bad", "good")]
    answers = [
        after.content
        for turn, after in pairwise(turns)
        if turn.role == "assistant" and turn.part in ("bad", "good") and after.role == "user"
    ]
    actions = [step.action for step in steps_to_replay(tree, sample)][: len(steps)]
    info = environment_info(tree)
    keys = walk.keys(actions)
    words = tail_words(tree, sample)
    bad = len(splice_of(tree, sample).bad) if sample.kind != "good" else 0
    for place, (turn, action) in enumerate(zip(steps, actions, strict=False)):
        if not turn.loss:
            continue
        answer = answers[place] if place < len(answers) else ""
        found.refused += info is not None and info.refuses(answer)
        found.bad += place >= bad and words.get(place - bad) == "Bad"
        same = bool(keys) and keys[place + 1] == keys[place] != ""
        found.idle += same or _looks(info, action)
        if bad and sample.mark is not None and place >= bad and action == actions[bad - 1]:
            there = bool(keys) and keys[place] == keys[bad - 1] != ""
            found.repeated += there or (len(answers) > bad - 1 and answer == answers[bad - 1])
    return found


def _looks(info: EnvironmentInfo | None, action: str) -> bool:
    looks = getattr(info, "looks", None)
    return looks is not None and bool(looks(parse_action(action)))


def tail_words(tree: SearchTree, sample: Sample) -> dict[int, Word]:
    """What the verifier said of the steps of the tail, by place from 0."""
    judged = {each.step: each.word for each in sample.tail_judgements}
    if not judged:
        return {}
    if sample.tail is None:
        return {step - 1: word for step, word in judged.items()}
    path = tree.ancestors(sample.good)[1:]
    after = sample.fork_depth if sample.bad is not None else (sample.mark or 0)
    steps = {id: place for place, id in enumerate(path[after:], 1)}
    return {
        place: judged[steps[step.node]]
        for place, step in enumerate(sample.tail.steps)
        if step.node is not None and step.node in steps and steps[step.node] in judged
    }
