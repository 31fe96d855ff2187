"""Straight ways: from a state to the return with only the steps that are needed.

A way begins as the steps that an actor took, perhaps in another state. Steps go out of it that the environment refuses
there, that leave the state as it was, that a verifier judges Bad there, or that some lesson of the task disowns there;
loops are cut; what is left is tried without each further step, singly and together. Where states can be compared, a
way may also go on as another trajectory of the tree did from the same state. All of this looks ahead in
`engine.environment.states`; whoever uses a way replays it as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from engine.base.step_kind import careless, counts_time, only_looks, refused
from engine.environment.states import Edge, States
from engine.samples.tails.tail import TailStep, tail_step
from engine.tree.events import Number
from engine.tree.messages import NO_WORDS, Words
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import StateVerifier, Verifier, Word

TOLERANCE = 1e-9  # of returns

REFUSED = "refused"
IDLE = "idle"
LOOP = "loop"
BAD = "judged Bad"
DISOWNED = "disowned"
NOT_NEEDED = "not needed"
JOINED = "joined"
"""Why a step is not in a way."""

Doubt = str  # one of the above, or ""

MOST_STEPS = 300
"""Environment steps that trying a way without its steps may take, where there are no state keys to go by."""


class Way(NamedTuple):
    """Steps from a state to a return."""

    moves: list[TailStep]
    score: Number
    why: dict[int, str]  # place among the steps offered → why it was passed over
    joined: bool = False  # whether steps of another trajectory than the one offered are in it
    leaf: int | None = None  # where it ends, where that is another leaf


class Ground:
    """What is needed to make ways of one tree: its states, and the verifier that judges steps in them."""

    def __init__(
        self,
        tree: SearchTree,
        states: States,
        verifier: Verifier | None,
        thresholds: Thresholds,
        disowned: set[tuple[str, str]] | None = None,
    ) -> None:
        """`disowned`: state key and action of steps that are wrong whoever takes them; may grow later."""
        assert tree.started is not None
        self.tree = tree
        self.states = states
        self.verifier = verifier
        self.thresholds = thresholds
        self.disowned: set[tuple[str, str]] = set() if disowned is None else disowned
        self.environment = tree.started.environment
        self.timed = counts_time(self.environment)
        self._doubts: dict[tuple[int, str], Doubt] = {}
        self._roads: dict[tuple[float, str], _Roads] = {}
        self._into: dict[int, list[int]] | None = None

    @property
    def keyed(self) -> bool:
        """Whether a state can be recognised when it is reached again. Raises `InputError` where there is no
        environment."""
        return self.states.has_keys and not self.timed

    @property
    def judges(self) -> bool:
        """Whether the verifier can judge a step in any state."""
        return isinstance(self.verifier, StateVerifier)

    def judged(self, before: int, action: str, edge: Edge) -> tuple[Word, str] | None:
        """Returns what the verifier says about a step between two states; None where it can't judge by states.

        `before`: number of the state. `action`: of the step. `edge`: its observation, and the state that it leads to.
        """
        if not isinstance(self.verifier, StateVerifier):
            return None
        return self.verifier.in_state(before, action, edge.observation, edge.to)

    def doubt(self, before: int, action: str, edge: Edge) -> Doubt:
        """Returns why a step must not be in a way (`REFUSED`, `IDLE`, `BAD`, `DISOWNED`), or why it need not be
        (`NOT_NEEDED`); empty where there is no reason.

        `before`: number of the state. `action`: of the step. `edge`: its observation, and the state that it leads to.
        """
        known = self._doubts.get((before, action))
        if known is None:
            known = self._doubts[before, action] = self._doubt(before, action, edge)
        if known in ("", NOT_NEEDED) and self.disowned:
            key = self.states.key(before)
            if key is not None and (key, action) in self.disowned:
                return DISOWNED
        return known

    def _doubt(self, before: int, action: str, edge: Edge) -> Doubt:
        if refused(self.environment, action, edge.observation):
            return REFUSED
        if edge.to == before:
            return IDLE
        judged = self.judged(before, action, edge)
        if judged is not None and judged[0] == "Bad":
            return BAD
        if only_looks(self.environment, action) or (judged is not None and judged[0] == "Uncertain"):
            return NOT_NEEDED
        # Where states can't be compared, only the answer tells that nothing changed: `The door is already open.`
        return NOT_NEEDED if not self.keyed and careless(self.environment, action, edge.observation) else ""

    # -- ways ----------------------------------------------------------------------------------------------

    def straight(
        self, start: int, moves: Sequence[TailStep], expected: Number, enough: Callable[[Number], bool], never: str = ""
    ) -> Way | None:
        """Returns the shortest clean way that is found from a state, out of some steps or by joining the tree's; None
        where there is no clean way. Raises `EnvError`, `InputError`.

        `start`: number of the state. `moves`: the steps. `expected`: the return to reach. `enough`: says which other
        return will do, where no way reaches it. `never`: an action that must not be in the way; empty: none.
        """
        if not self.keyed:
            return self._tried(start, moves, expected, enough, never)
        least = self._least(start)
        best: Way | None = None
        for strict in (True, False):
            way = self._passed(start, moves, strict, never)
            if way is not None and self._better(way, best, expected, enough):
                best = way
            if best is not None and best.score >= expected - TOLERANCE and len(best.moves) == least:
                return best
        joined = self._joined(start, moves, expected, never)
        if joined is not None and self._better(joined, best, expected, enough):
            best = joined
        if best is not None and (least is None or len(best.moves) > least):
            best = self._without(start, best, never)
        return best

    def _least(self, start: int) -> int | None:
        """Steps that a way takes at least, where the verifier knows."""
        if not self.judges or not self.states.plans:
            return None
        return self.states.steps_left(start)

    def _better(self, way: Way, best: Way | None, expected: Number, enough: Callable[[Number], bool]) -> bool:
        full = way.score >= expected - TOLERANCE
        if not full and not enough(way.score):
            return False
        if best is None:
            return True
        best_full = best.score >= expected - TOLERANCE
        return (full, 0 if full else way.score, -len(way.moves)) > (
            best_full,
            0 if best_full else best.score,
            -len(best.moves),
        )

    def _passed(self, start: int, moves: Sequence[TailStep], strict: bool, never: str) -> Way | None:
        """Go through the steps in order and pass over those that are not clean; `strict`: also those not needed."""
        at = start
        score: Number = 0
        kept: list[int] = []
        standing = [start]  # states before each kept step, and behind the last
        why: dict[int, str] = {}
        for place, move in enumerate(moves):
            if never and move.action == never:
                why[place] = DISOWNED
                continue
            edge = self.states.step(at, move.action)
            doubt = self.doubt(at, move.action, edge)
            if doubt and (strict or doubt != NOT_NEEDED):
                why[place] = doubt
                continue
            if edge.to in standing:
                back = standing.index(edge.to)
                why.update(dict.fromkeys(kept[back:], LOOP))
                why[place] = LOOP
                del kept[back:], standing[back + 1 :]
                at = edge.to
                continue
            kept.append(place)
            standing.append(edge.to)
            at, score = edge.to, edge.score
            if edge.done:
                why.update(dict.fromkeys(range(place + 1, len(moves)), NOT_NEEDED))
                break
        if not kept:
            return None
        return Way([moves[place] for place in kept], max(score, 0), why)

    def _walked(self, start: int, moves: Sequence[TailStep], never: str, wanted: Number) -> tuple[Number, int] | None:
        """The return of these steps and how many of them it takes to have what is wanted; None where one of them is
        refused or comes back."""
        at = start
        score: Number = 0
        seen = {start}
        for place, move in enumerate(moves):
            edge = self.states.step(at, move.action)
            if refused(self.environment, move.action, edge.observation) or move.action == never or edge.to in seen:
                return None
            seen.add(edge.to)
            at, score = edge.to, edge.score
            if edge.done or score >= wanted - TOLERANCE:
                return max(score, 0), place + 1
        return max(score, 0), len(moves)

    def _doubts_of(self, start: int, moves: Sequence[TailStep]) -> list[Doubt]:
        """What there is against each step of a way."""
        found, at = [], start
        for move in moves:
            edge = self.states.step(at, move.action)
            found.append(self.doubt(at, move.action, edge))
            at = edge.to
        return found

    def _clean(self, start: int, moves: Sequence[TailStep]) -> bool:
        """Whether there is nothing against any step of a way, but that it may not be needed."""
        return all(doubt in ("", NOT_NEEDED) for doubt in self._doubts_of(start, moves))

    def _without(self, start: int, way: Way, never: str) -> Way:
        """The way less each step without which it holds, where states can be compared."""
        moves, score = list(way.moves), way.score
        place = 0
        while place < len(moves):
            without = moves[:place] + moves[place + 1 :]
            found = self._walked(start, without, never, score)
            if found is None or found[0] < score - TOLERANCE or not self._clean(start, without[: found[1]]):
                place += 1
            else:
                score, moves = found[0], without[: found[1]]
        return way._replace(moves=moves, score=score)

    # -- where states can't be compared --------------------------------------------------------------------

    def _tried(
        self, start: int, moves: Sequence[TailStep], expected: Number, enough: Callable[[Number], bool], never: str
    ) -> Way | None:
        """A clean way out of these steps, found by trying: without those that are refused or only look, then without
        those that are judged Bad or Uncertain, together and singly. Judging costs most here, so it comes last."""
        way = None
        for looks in (False, True):
            way = self._unrefused(start, moves, never, looks, expected)
            if way is not None and (way.score >= expected - TOLERANCE or enough(way.score)):
                break
            way = None
        if way is None:
            return None
        kept, score, why = list(way.moves), way.score, dict(way.why)
        places = {move: place for place, move in enumerate(moves)}
        begun = self.states.steps

        def try_without(gone: list[int]) -> bool:
            nonlocal kept, score
            without = [move for place, move in enumerate(kept) if place not in gone]
            found = self._walked(start, without, never, score) if without else None
            if found is None or found[0] < score - TOLERANCE:
                return False
            kept, score = without[: found[1]], found[0]
            return True

        doubted = [place for place, doubt in enumerate(self._doubts_of(start, kept)) if doubt]
        before = kept
        if doubted and not try_without(doubted):
            for place in reversed(doubted):
                if self.states.steps - begun > MOST_STEPS:
                    break
                try_without([place])
        if not self._clean(start, kept):
            return None
        why.update({places[move]: NOT_NEEDED for move in before if move not in kept})
        return Way(kept, score, why)

    def _unrefused(
        self, start: int, moves: Sequence[TailStep], never: str, looks: bool, expected: Number
    ) -> Way | None:
        """These steps less those that are refused, that are never to be done, or (without `looks`) that only look; no
        further than the return."""
        at = start
        score: Number = 0
        kept: list[TailStep] = []
        why: dict[int, str] = {}
        for place, move in enumerate(moves):
            if move.action == never:
                why[place] = DISOWNED
            elif not looks and only_looks(self.environment, move.action):
                why[place] = NOT_NEEDED
            else:
                edge = self.states.step(at, move.action)
                if refused(self.environment, move.action, edge.observation):
                    why[place] = REFUSED
                    continue
                kept.append(move)
                at, score = edge.to, edge.score
                if edge.done or score >= expected - TOLERANCE:
                    break
        return Way(kept, max(score, 0), why) if kept else None

    # -- joining -------------------------------------------------------------------------------------------

    def _joined(self, start: int, moves: Sequence[TailStep], expected: Number, never: str) -> Way | None:
        """The shortest way over the tree's own steps: from the state itself, or from one that these steps reach."""
        if not self.keyed:
            return None
        roads = self.roads(expected, never)
        best: tuple[int, int, int] | None = None  # steps, own ones among them, state
        own: list[TailStep] = []
        at, standing, places = start, [start], list[int]()
        if (left := roads.left.get(start)) is not None:
            best = (left, 0, start)
        for place, move in enumerate(moves):
            edge = self.states.step(at, move.action)
            if self.doubt(at, move.action, edge) or move.action == never or edge.to in standing or edge.done:
                continue
            own.append(move)
            places.append(place)
            standing.append(edge.to)
            at = edge.to
            left = roads.left.get(at)
            if left is not None and (best is None or len(own) + left < best[0]):
                best = (len(own) + left, len(own), at)
        if best is None:
            return None
        _, count, at = best
        path = roads.from_state(at)
        steps = own[:count] + self.moves(path)
        nodes = {step.node for step in steps}
        why = {place: JOINED for place, move in enumerate(moves) if move.node not in nodes}
        leaf = path[-1] if path else None
        score = self.tree.nodes[leaf].reward if leaf is not None else 0
        strange = any(step.node not in {move.node for move in moves} for step in steps)
        return Way(steps, score, why, joined=strange, leaf=leaf if strange else None)

    def moves(self, ids: Iterable[int], words: Words = NO_WORDS) -> list[TailStep]:
        """The steps into some nodes, in the words of an attempt."""
        return [tail_step(self.tree.nodes[id], wording=words.get(id, 0)) for id in ids]

    def roads(self, least: Number, never: str = "") -> _Roads:
        """Returns the shortest clean ways of the tree to a good leaf whose return is at least `least`."""
        roads = self._roads.get((least, ""))
        if roads is None:
            roads = self._roads[least, ""] = _Roads(self, least, "")
        if not never or never not in roads.actions:
            return roads
        roads = self._roads.get((least, never))
        if roads is None:
            roads = self._roads[least, never] = _Roads(self, least, never)
        return roads

    def steps_into(self) -> dict[int, list[int]]:
        """The nodes that lead into each state."""
        if self._into is None:
            self._into = {}
            for node in self.tree.nodes[1:]:
                self._into.setdefault(self.states.of_node(node.id), []).append(node.id)
        return self._into


class _Roads:
    """Steps left to a good leaf from each state that a clean way leads from, all over the tree."""

    def __init__(self, ground: Ground, least: Number, never: str) -> None:
        tree, states = ground.tree, ground.states
        self._next: dict[int, int] = {}  # state → the node to step into
        self._states = states
        self.left: dict[int, int] = {}
        self.actions: set[str] = set()
        into = ground.steps_into()
        ends = [leaf.id for leaf in tree.leaves() if ground.thresholds.good(leaf) and leaf.reward >= least - TOLERANCE]
        goals = {states.of_node(id): id for id in reversed(ends)}
        waiting = deque((state, 0) for state in goals)
        seen = set(goals)
        while waiting:
            state, left = waiting.popleft()
            arriving = into.get(state, ())
            if left == 0:  # only leaves that count
                arriving = [id for id in arriving if tree.nodes[id].is_leaf and tree.nodes[id].reward >= least]
            for id in arriving:
                node = tree.nodes[id]
                before = states.of_node(node.parent)
                if before in seen or node.action == never:
                    continue
                doubt = ground.doubt(before, node.action, states.step(before, node.action))
                if doubt and doubt != NOT_NEEDED:
                    continue
                seen.add(before)
                self._next[before] = id
                self.left[before] = left + 1
                self.actions.add(node.action)
                waiting.append((before, left + 1))

    def from_state(self, state: int) -> list[int]:
        """The nodes to step into, one after the other."""
        path = []
        while state in self._next:
            id = self._next[state]
            path.append(id)
            state = self._states.of_node(id)
        return path
