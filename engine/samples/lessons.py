"""Lessons of a tree: each wrong action in each state once, with the trajectories that may teach it.

A lesson is defined by its task, the state before the wrong step (without state keys, or where they count time: the
steps so far without those that were refused or only look) and the wrong action. It can be taught by the good trajectory
that holds the wrong step itself (a recovery), or by a bad trajectory through it and a good one that left the way before
(a revision).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal, NamedTuple

from engine.base.errors import InputError
from engine.base.step_kind import counts_time, only_looks, refused
from engine.pairs.pairs import Pair
from engine.pairs.parting import action_group, by_chance, is_decision, is_silent
from engine.samples.tails.needed_steps import Ground
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import StepVerifier
from envs.base import EnvError

MOST_DRAFTS = 6
"""Trajectories that are tried for one lesson."""

MOST_GOOD = 3
"""Good leaves that are tried with one bad trajectory, those that left it last first."""


class Draft(NamedTuple):
    """Trajectories that may teach a lesson."""

    kind: Literal["revision", "recovery"]
    good: int  # leaf
    bad: int | None  # leaf; of an unfinished one the wrong step itself
    fork: int
    wrong: int  # node
    earlier: int = 0  # Bad steps before the wrong one that changed something
    unfinished: bool = False


class Lesson(NamedTuple):
    """A wrong action in a state, and the trajectories that may teach it, the most promising first."""

    id: str
    drafts: list[Draft]


def place_of(tree: SearchTree, ground: Ground, id: int) -> str:
    """Returns the state before the step into a node, as a lesson's id has it.

    `tree`: the search. `ground`: finds states where the tree has no keys. `id`: the node.
    """
    assert tree.started is not None
    environment = tree.started.environment
    parent = tree.nodes[id].parent
    if not counts_time(environment):
        key = tree.nodes[parent].state_key or _key(ground, parent)
        if key:
            return key
    steps = [tree.nodes[at] for at in tree.ancestors(parent)[1:]]
    told = [
        step.action
        for step in steps
        if not only_looks(environment, step.action)
        and not refused(environment, step.action, step.observation, step.results)
    ]
    return json.dumps(told)


def _key(ground: Ground, id: int) -> str | None:
    try:
        return ground.states.key(ground.states.of_node(id)) if ground.states.has_keys else None
    except (EnvError, InputError):
        return None


def lesson_id(tree: SearchTree, ground: Ground, wrong: int) -> str:
    """Returns the digest of the task, the state before the wrong step and the wrong action.

    `tree`: the search. `ground`: finds states where the tree has no keys. `wrong`: the node that the wrong step leads
    to.
    """
    started = tree.started
    assert started is not None
    told = [started.environment, started.task, place_of(tree, ground, wrong), tree.nodes[wrong].action]
    return blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()


def changed_nothing(ground: Ground, id: int) -> bool:
    """Whether the step into a node left the state as it was, as far as that is known."""
    node = ground.tree.nodes[id]
    if refused(ground.environment, node.action, node.observation, node.results):
        return True
    try:
        return ground.keyed and ground.states.of_node(id) == ground.states.of_node(node.parent)
    except (EnvError, InputError):
        return False


class Lessons:
    """The lessons of one tree, as a verifier that judges any step sees them."""

    def __init__(
        self, tree: SearchTree, thresholds: Thresholds, ground: Ground, verifier: StepVerifier, unfinished: bool
    ) -> None:
        self.tree, self.thresholds, self.ground = tree, thresholds, ground
        self.verifier = verifier
        self.unfinished = unfinished
        self.drawn = 0  # lessons that somebody could learn, had anybody gone on
        self.unended = 0  # of these: nobody saw how it ended
        count = len(tree)
        self._good: list[int] = [NO_PARENT] * count  # the best good leaf at or below each node
        self._bad: list[int] = [NO_PARENT] * count  # the worst leaf
        self._harm: dict[int, int] = {ROOT: 0}
        for leaf in tree.leaves():
            at = leaf.id
            while at != NO_PARENT and at < count:
                if thresholds.good(leaf) and self._better(leaf.id, self._good[at]):
                    self._good[at] = leaf.id
                if self._worse(leaf.id, self._bad[at]):
                    self._bad[at] = leaf.id
                at = tree.nodes[at].parent

    def _better(self, leaf: int, than: int) -> bool:
        if than == NO_PARENT:
            return True
        one, other = self.tree.nodes[leaf], self.tree.nodes[than]
        return (-(one.q or 0), one.depth, one.id) < (-(other.q or 0), other.depth, other.id)

    def _worse(self, leaf: int, than: int) -> bool:
        if than == NO_PARENT:
            return True
        one, other = self.tree.nodes[leaf], self.tree.nodes[than]
        return (one.q or 0, one.depth, one.id) < (other.q or 0, other.depth, other.id)

    def harm(self, id: int) -> int:
        """Bad steps up to a node that changed something."""
        if id not in self._harm:
            path = self.tree.ancestors(id)
            for at in path[1:]:
                if at not in self._harm:
                    bad = self.verifier.step_into(at)[0] == "Bad" and not changed_nothing(self.ground, at)
                    self._harm[at] = self._harm[self.tree.nodes[at].parent] + bad
        return self._harm[id]

    def all(self) -> list[Lesson]:
        """The lessons, those first whose context is clean and whose fork is near. Raises as the verifier does."""
        groups: dict[str, list[int]] = {}
        refuted: set[str] = set()  # somebody reached a good leaf by it after all, and the verifier says it is not Bad
        if self._good[ROOT] == NO_PARENT:
            return []
        for node in self.tree.nodes[1 : len(self._good)]:
            if not self._worth_judging(node.id):
                continue
            lesson = lesson_id(self.tree, self.ground, node.id)
            if self.verifier.step_into(node.id)[0] != "Bad":
                refuted.add(lesson)
                continue
            key = self.tree.nodes[node.parent].state_key or _key(self.ground, node.parent)
            groups.setdefault(lesson, []).append(node.id)
            if key and lesson not in refuted:
                self.ground.disowned.add((key, node.action))
        found = []
        for lesson, ids in groups.items():
            if lesson in refuted:
                continue
            self.drawn += 1
            drafts = sorted((draft for id in ids for draft in self._drafts(id)), key=self._promise)
            if drafts:
                found.append(Lesson(lesson, drafts[:MOST_DRAFTS]))
            else:
                self.unended += 1
        found.sort(key=lambda lesson: self._promise(lesson.drafts[0]))
        return found

    def _worth_judging(self, id: int) -> bool:
        """Whether somebody may learn from this step: a good way leaves right before it, or it has an end below. Where a
        state counts time, looking takes long: there only what can give a sample is looked at."""
        beside = self._good[self.tree.nodes[id].parent] != NO_PARENT
        ended = self._good[id] != NO_PARENT or self._bad[id] != NO_PARENT
        if self.ground.timed:
            return beside and (ended or self.unfinished)
        # behind a first mistake only who looks into the state knows
        return beside or (ended and self.ground.judges)

    def _promise(self, draft: Draft) -> tuple[int, int, bool, int, int, int]:
        nodes = self.tree.nodes
        apart = nodes[draft.wrong].depth - 1 - nodes[draft.fork].depth
        tail = nodes[draft.good].depth - nodes[draft.fork].depth
        return draft.earlier, apart, draft.unfinished, draft.kind != "revision", tail, draft.wrong

    def _drafts(self, id: int) -> Iterator[Draft]:
        """The trajectories that may teach that the step into a node is wrong."""
        nodes = self.tree.nodes
        earlier = self.harm(nodes[id].parent)
        if self._good[id] not in (NO_PARENT, id):
            yield Draft("recovery", self._good[id], None, nodes[id].parent, id, earlier)
        bad = self._bad[id]
        unfinished = bad == NO_PARENT
        if unfinished and not self.unfinished:
            return
        found = 0
        below, at = id, nodes[id].parent
        while at != NO_PARENT and found < MOST_GOOD:
            goods = [
                self._good[child]
                for child in nodes[at].children
                if child != below and child < len(self._good) and self._good[child] != NO_PARENT
                if not (self.tree.attempts and by_chance(self.tree, child, below))
            ]
            goods.sort(key=lambda leaf: (-(nodes[leaf].q or 0), nodes[leaf].depth, leaf))
            if not unfinished:
                gap = self.thresholds.beta
                goods = [leaf for leaf in goods if (nodes[leaf].q or 0) - (nodes[bad].q or 0) > gap]
            for good in goods[: MOST_GOOD - found]:
                found += 1
                yield Draft("revision", good, id if unfinished else bad, at, id, earlier, unfinished)
            below, at = at, nodes[at].parent

    def without_mistake(self) -> Iterator[Pair]:
        """For each bad leaf on whose way nothing is Bad: its pair with the latest fork, then the best good leaf."""
        for leaf in self.tree.leaves():
            if leaf.id >= len(self._good) or self._good[leaf.id] == leaf.id:
                continue
            path = self.tree.ancestors(leaf.id)
            if any(self.verifier.step_into(id)[0] == "Bad" for id in path[1:]):
                continue
            for at in reversed(path[:-1]):
                good = self._good[at]
                if good == NO_PARENT:
                    continue
                gap = (self.tree.nodes[good].q or 0) - (leaf.q or 0)
                if gap > self.thresholds.beta and is_decision(self.tree, at, good, leaf.id):
                    yield Pair(good, leaf.id, at, gap)
                break


def known_lessons(tree: SearchTree, thresholds: Thresholds) -> list[tuple[int, str]]:
    """Returns depth and action of each lesson that the tree alone shows: a step that was refused, or below which no
    good leaf was found, on or right beside a way to a good leaf. The same action in the same state counts once."""
    assert tree.started is not None
    environment = tree.started.environment
    keyed = not counts_time(environment)
    nodes, count = tree.nodes, len(tree)
    good, ended = bytearray(count), bytearray(count)
    for leaf in tree.leaves():
        for marks in (ended, good) if thresholds.good(leaf) else (ended,):
            at = leaf.id
            while at != NO_PARENT and at < count and not marks[at]:
                marks[at] = 1
                at = nodes[at].parent
    found: dict[tuple[str, str], tuple[int, str]] = {}
    well = {action_group(node): True for node in nodes if good[node.id]} if tree.attempts else {}
    for node in nodes[1:count]:
        if is_silent(node):
            continue
        wrong = not (good[node.id] or well.get(action_group(node))) or refused(
            environment, node.action, node.observation, node.results
        )
        if wrong and (good[node.id] or (good[node.parent] and ended[node.id])):
            key = (nodes[node.parent].state_key if keyed else None) or f"node {node.parent}"
            found.setdefault((key, node.action), (node.depth, node.action))
    return list(found.values())
