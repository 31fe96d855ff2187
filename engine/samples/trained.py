"""What a sample trains: its trained steps, and which of them must not be trained.

A step is *refused* where the environment says so, *Bad* where the verifier judged it so in the state that the splice is
in, *idle* where it leaves the state as it was or only looks, *repeated* where it is the disowned step once more: the
same action with the same answer, or in the same state. One is *careless* where it did something else than it says, and
the environment took it all the same, or where it took more than the steps after it use up.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.base.errors import InputError
from engine.base.step_kind import careless, info_or_none, only_looks, refused
from engine.base.text import many
from engine.environment.replay import Replayer
from engine.environment.states import START
from engine.samples.sample import Sample, splice_of, steps_to_replay, whole_splice
from engine.samples.splice import Turn, answer_of, results_of
from engine.tree.tree import SearchTree
from engine.verifiers.base import Word
from envs.base import EnvError

REFUSED = "trains a step that the environment refuses"
BAD = "trains a step that was judged Bad"
IDLE = "trains a step that changes nothing"
REPEATED = "trains the disowned step again"
CARELESS = "trains a step that does something else than it says"
FAULTS = (REFUSED, BAD, IDLE, REPEATED, CARELESS)
"""Why a sample is left out for what it trains."""


class Trained(Struct, kw_only=True):
    """Trained turns, and of these the steps that must not be trained."""

    turns: int = 0  # the revision thought included
    refused: int = 0
    bad: int = 0
    idle: int = 0
    repeated: int = 0
    careless: int = 0

    def add(self, other: Trained) -> None:
        """Add those of another sample."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def faults(self) -> list[str]:
        """Why such a sample is left out."""
        counts = (self.refused, self.bad, self.idle, self.repeated, self.careless)
        return [fault for fault, count in zip(FAULTS, counts, strict=True) if count]

    @property
    def line(self) -> str:
        """In a few words."""
        return (
            f"{many(self.turns, 'trained turn')}, of these {self.refused} refused, {self.bad} Bad, {self.idle} idle,"
            f" {self.repeated} the disowned step again, {self.careless} careless"
        )


class StateWalk:
    """The states along trajectories of one tree, by the environment, as far as it is at hand and answers at once."""

    def __init__(self, tree: SearchTree, replayer: Replayer) -> None:
        self._states = replayer.states
        name = tree.started.environment if tree.started is not None else ""
        info = info_or_none(name)
        self._usable = info is not None and not info.blocking and any(node.state_key for node in tree.nodes)

    def along(self, actions: Sequence[str]) -> list[int]:
        """Returns the state at the start and after each action; no states where they have no keys."""
        if not self._usable:
            return []
        try:
            if not self._states.has_keys:
                return []
            found = [START]
            for action in actions:
                found.append(self._states.step(found[-1], action).to)
        except (EnvError, InputError):
            self._usable = False
            return []
        return found


def trained_of(tree: SearchTree, sample: Sample, turns: Sequence[Turn], walk: StateWalk) -> Trained:
    """Returns the trained turns of a sample, with counts of those that must not be trained.

    `tree`: the sample's. `sample`: the sample. `turns`: as they are written. `walk`: finds the states along the
    trajectory.
    """
    found = Trained(turns=sum(bool(turn.loss) for turn in turns))
    steps: list[Turn] = []
    answers: list[list[Turn]] = []
    for turn in turns:
        if turn.part not in ("bad", "good"):
            continue
        if turn.role == "assistant":
            steps.append(turn)
            answers.append([])
        elif answers:
            answers[-1].append(turn)
    whole = [step.action for step in steps_to_replay(tree, sample)]
    actions = whole[: len(steps)]
    name = tree.started.environment if tree.started is not None else ""
    states = walk.along(actions)
    words = tail_words(tree, sample)
    bad = len(splice_of(tree, sample).bad)
    for place, (turn, action) in enumerate(zip(steps, actions, strict=False)):
        if not turn.loss:
            continue
        told = action, answer_of(answers[place]), results_of(answers[place])
        found.refused += refused(name, *told)
        # a tail as it was found may fetch again what the wrong steps had fetched: that is the splice that was asked for
        behind = list(zip(actions[:place], map(answer_of, answers), strict=False)) if sample.tail is not None else []
        found.careless += careless(name, *told, ahead=whole[place + 1 :], behind=behind)
        found.bad += place >= bad and words.get(place - bad) == "Bad"
        found.idle += only_looks(name, action) or (bool(states) and states[place + 1] == states[place])
        if bad and sample.mark is not None and place >= bad and action == actions[bad - 1]:
            there = bool(states) and states[place] == states[bad - 1]
            found.repeated += there or answer_of(answers[place]) == answer_of(answers[bad - 1])
    return found


def tail_words(tree: SearchTree, sample: Sample) -> dict[int, Word]:
    """Returns the verifier's judgements of the steps of the tail, by place from 0."""
    judged = {each.step: each.word for each in sample.tail_judgements}
    if not judged:
        return {}
    if sample.tail is None:
        return {step - 1: word for step, word in judged.items()}
    places = {id: place for place, id in enumerate(whole_splice(tree, sample).good, 1)}
    words: dict[int, Word] = {}
    for place, step in enumerate(sample.tail.steps):
        if step.node is None or step.node not in places:
            break  # from here on another way is gone: what was judged was judged in other states
        if places[step.node] in judged:
            words[place] = judged[places[step.node]]
    return words
