"""Attempts at one task become one tree (`docs/rollouts.md`).

Each attempt begins at the root: a step that equals a child's step goes to that child, any other makes a new child.
Where an attempt said or saw the same in other words than the node that it shares, these are kept as a wording of the
node, so that the attempt can be read back word for word. Where the same action got different answers, its outcomes are
siblings that know of each other: the attempts parted there by chance, not by a decision.

A node with one child compares with that child alone; keys are made where a second child may come. So attempts that part
early, as most do, cost little more than reading them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from engine.imports.attempt import Attempt
from engine.imports.merging.alike import KnownAnswers
from engine.imports.merging.equal_messages import MERGES, Merge, action_of, said, seen
from engine.imports.merging.steps import Step, opening, plain, steps_of
from engine.tree.events import ImportedAttempt, ImportedNode, Message, Wording
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree

_encode_into = msgspec.msgpack.Encoder(order="deterministic").encode_into


class _Place:
    """A node while attempts are merged."""

    __slots__ = ("children", "ended", "id", "ids", "index", "parted", "row", "wordings")

    def __init__(self, id: int, row: ImportedNode, ids: tuple[str, ...] = ()) -> None:
        self.id = id
        self.row = row
        self.ids = ids  # of its calls, in the file
        self.children: list[_Place] = []
        self.index: _Index | None = None  # from the second child, or wording, on
        self.wordings: dict[Wording, int] | None = None  # the number of each, from the first on
        self.ended = False  # an attempt ended here
        self.parted = False  # it has children that no attempt passes any more

    def wording(self, step: Step) -> int:
        """The number of the wording in which a step says it; 0 for the node's own."""
        own = _wording(self.row, step)
        if own == _SAME:
            return 0
        if self.wordings is None:
            self.wordings = {known: number for number, known in enumerate(self.row.wordings, 1)}
        number = self.wordings.setdefault(own, len(self.wordings) + 1)
        if number > len(self.row.wordings):
            self.row.wordings.append(own)
        return number


_SAME = Wording()


class _Index:
    """The children of a node, to find a step among them."""

    __slots__ = ("actions", "calls")

    def __init__(self) -> None:
        self.actions: dict[Hashable, _Outcomes] = {}  # by the key of the action
        self.calls: dict[Hashable, _Outcomes] = {}  # by the calls of a step to the letter, where they are its action


class _Outcomes:
    """What an action led to."""

    __slots__ = ("by_answer", "first", "known")

    def __init__(self, first: _Place) -> None:
        self.first = first
        self.known: KnownAnswers | None = None  # of the first, from the second step on
        self.by_answer: dict[Hashable, _Place] | None = None  # all of them, from the second on

    def find(self, step: Step) -> _Place | None:
        """The outcome that a step is; None for a new one."""
        if self.by_answer is not None:
            return self.by_answer.get(_answer_key(step))
        row = self.first.row
        if row.compacted is not step.compacted or row.unanswered is not step.unanswered:
            return None
        if self.known is None:
            self.known = KnownAnswers(_step_of(row).all_answers, self.first.ids)
        return self.first if self.known.alike(step.all_answers, step.ids) else None

    def add(self, step: Step, place: _Place) -> None:
        """One more."""
        if self.by_answer is None:
            self.by_answer = {_answer_key(_step_of(self.first.row, self.first.ids)): self.first}
            self.known = None
        self.by_answer[_answer_key(step)] = place


def digest_of(attempt: Attempt, buffer: bytearray | None = None) -> str:
    """Returns a digest of an attempt's content; the place of its file does not count. `buffer` is written over."""
    buffer = bytearray() if buffer is None else buffer
    _encode_into([attempt.id, attempt.reward, attempt.rewards, attempt.stop, attempt.messages], buffer)
    return sha256(buffer).hexdigest()[:16]


class TreeOfAttempts:
    """Merges attempts one by one."""

    def __init__(self, merge: Merge = "action") -> None:
        self.merge: Merge = merge
        self.rows: list[ImportedNode] = []
        self.attempts: list[ImportedAttempt] = []
        self.header: list[Message] = []
        self._buffer = bytearray()
        self._root = _Place(ROOT, ImportedNode(NO_PARENT))
        self.rows.append(self._root.row)

    @classmethod
    def of(cls, tree: SearchTree, without: Mapping[int, int] = {}) -> TreeOfAttempts:
        """Returns the merger of a tree that was merged before, to go on with.

        `tree`: as it is stored. `without`: attempts that are none of it any more, by their places → how many of their
        last nodes are nobody's then, if no other attempt passes them.
        """
        assert tree.started is not None
        self = cls(next(merge for merge in MERGES if merge == tree.merged_by))
        self.header = list(tree.started.header)
        rows = [node.imported for node in tree.nodes]
        places = [_Place(id, row) for id, row in enumerate(rows) if row is not None]
        if len(places) != len(rows):
            raise ValueError("not a tree of attempts")
        passed = [place.id == ROOT or (place.row.silent and not place.row.answers) for place in places]  # ends stay
        for number, attempt in enumerate(tree.attempts):
            path = tree.ancestors(attempt.leaf)
            for id in path[: max(len(path) - without.get(number, 0), 0)]:
                passed[id] = True
            if number not in without:
                places[attempt.leaf].ended = True
        for place in places[1:]:
            above = places[place.row.parent]
            if passed[place.id]:
                above.children.append(place)
            else:
                above.parted = True
        self._root, self.rows, self.attempts = places[ROOT], [place.row for place in places], list(tree.attempts)
        return self

    def add(self, attempt: Attempt) -> None:
        """Merge one more attempt."""
        before, steps = steps_of(attempt)
        header = [plain(message) for message in before]
        if not self.attempts:
            shared = len(before)
            if attempt.played_user:  # what a model says first is not the same in the next attempt
                shared = next((place for place, each in enumerate(before) if each.role == "user"), shared)
            self.header = header[:shared]
        told = ImportedAttempt(
            ROOT,
            digest_of(attempt, self._buffer),
            attempt.source,
            attempt.place,
            attempt.id,
            attempt.reward,
            {} if list(attempt.rewards.items()) == [("reward", attempt.reward)] else attempt.rewards,
            attempt.stop,
            attempt.cut_off,
            notes=attempt.notes,
        )
        self._walk(told, header, [opening(message) for message in before[len(self.header) :]] + steps)

    def again(self, tree: SearchTree, attempt: ImportedAttempt, along: int = -1) -> None:
        """Merge an attempt of another tree that was merged.

        `tree`: it has the attempt. `attempt`: to merge. `along`: the child of the root by which it went until now,
        where no two attempts share a branch.
        """
        words = tree.words_of(attempt)
        way = tree.ancestors(attempt.leaf)[1:]
        steps = [_reworded_row(row, words.get(id, 0)) for id in way if (row := tree.nodes[id].imported) is not None]
        told = replace(attempt, leaf=ROOT, words=[])
        self._walk(told, tree.header_as(words), [step for step in steps if not step.silent or step.answers], along)

    def _walk(self, told: ImportedAttempt, header: list[Message], steps: list[Step], along: int = -1) -> None:
        words = [self._header_wording(header[: len(self.header)])]
        here = self._root
        if self.merge == "none" and steps:
            branch = next((child for child in here.children if child.id == along and _is(child.row, steps[0])), None)
            if branch is not None:
                here, steps = branch, steps[1:]
                words.append(0)
        for step in steps:
            here, wording = self._go(here, step)
            words.append(wording)
        while words and not words[-1]:
            words.pop()
        told.leaf, told.words = self._ended(here).id, words
        self.attempts.append(told)

    def _header_wording(self, header: list[Message]) -> int:
        """In which wording of the header an attempt begins. Another header is another root (`group_key`)."""
        if header == self.header:
            return 0
        wordings = self._root.row.wordings
        own = Wording(messages=tuple(header))
        for number, known in enumerate(wordings, 1):
            if known == own:
                return number
        wordings.append(own)
        return len(wordings)

    # -- one step ----------------------------------------------------------------------------------

    def _go(self, here: _Place, step: Step) -> tuple[_Place, int]:
        """The child that a step is, and the wording in which it says it."""
        children = here.children
        if not children or (self.merge == "none" and here is self._root):
            return self._new(here, step, "" if step.silent else action_of(step.response, step.calls)), 0
        if here.index is None:
            if len(children) == 1 and not children[0].row.wordings and _is(children[0].row, step):
                return children[0], 0
            here.index = index = _Index()
            for child in children:
                self._register(index, child)
        index = here.index
        action, known = self._known(index, step)
        if known is None:
            child = self._new(here, step, action)
            index.actions[self._action_key(step, action)] = _Outcomes(child)
            return child, 0
        if (found := known.find(step)) is not None:
            return found, found.wording(step)
        child = self._new(here, step, action, known.first.id)
        known.add(step, child)
        return child, 0

    def _known(self, index: _Index, step: Step) -> tuple[str, _Outcomes | None]:
        """What a step does, and what that led to before."""
        calls = (step.calls, step.compacted) if step.calls and self.merge == "action" else None
        if calls and (found := index.calls.get(calls)) is not None:
            return found.first.row.action or found.first.row.response, found
        action = "" if step.silent else action_of(step.response, step.calls)
        known = index.actions.get(self._action_key(step, action))
        if calls and known is not None:
            index.calls[calls] = known
        return action, known

    def _action_key(self, step: Step, action: str) -> Hashable:
        if step.silent:
            return "silent"
        return said(step.response, step.calls, action, self.merge, step.ids), bool(step.calls), step.compacted

    def _register(self, index: _Index, child: _Place) -> None:
        """Put a child into its parent's index."""
        step = _step_of(child.row, child.ids)
        if step.silent and not step.answers:
            return
        key = self._action_key(step, child.row.action or step.response)
        if (known := index.actions.get(key)) is None:
            index.actions[key] = _Outcomes(child)
        else:
            known.add(step, child)

    def _new(self, here: _Place, step: Step, action: str, outcome_of: int = -1) -> _Place:
        row = ImportedNode(
            here.id,
            step.response,
            "" if action == step.response else action,
            step.observation,
            tool_calls=step.calls,
            answers=step.answers,
            reasoning=step.reasoning,
            outcome_of=outcome_of,
            silent=step.silent,
            unanswered=step.unanswered,
            compacted=step.compacted,
            error=step.error,
            untrained=step.untrained,
            transcripts=step.transcripts,
        )
        place = _Place(len(self.rows), row, step.ids)
        self.rows.append(row)
        if here.ended and not here.children:  # an attempt ended here, and another goes on
            here.children.append(place)
            self._end(here)
        else:
            here.children.append(place)
        return place

    # -- the end of an attempt ---------------------------------------------------------------------

    def _ended(self, here: _Place) -> _Place:
        """Where an attempt ends that walked to a place."""
        if not here.children and not here.parted:
            here.ended = True
            return here
        ends = [child for child in here.children if child.row.silent and not child.row.answers]
        return ends[0] if ends else self._end(here)

    def _end(self, here: _Place) -> _Place:
        """A child that is no step: here attempts ended where others went on."""
        place = _Place(len(self.rows), ImportedNode(here.id, silent=True))
        place.ended = True
        self.rows.append(place.row)
        here.children.append(place)
        return place


def _answer_key(step: Step) -> Hashable:
    return seen(step.all_answers, step.ids), step.compacted, step.unanswered


def _is(row: ImportedNode, step: Step) -> bool:
    """Whether a step is a node's own, to the letter."""
    return (
        row.response == step.response
        and row.observation == step.observation
        and row.tool_calls == step.calls
        and row.answers == step.answers
        and row.reasoning == step.reasoning
        and row.silent == step.silent
        and row.unanswered == step.unanswered
        and row.compacted == step.compacted
        and row.transcripts == step.transcripts
    )


def _step_of(row: ImportedNode, ids: tuple[str, ...] = ()) -> Step:
    return Step(
        row.response,
        row.reasoning,
        row.tool_calls,
        ids,
        row.observation,
        row.answers,
        row.transcripts,
        row.silent,
        row.unanswered,
        row.compacted,
        row.error,
        row.untrained,
    )


def _reworded_row(row: ImportedNode, wording: int) -> Step:
    return _reworded(_step_of(row), row.wordings[wording - 1]) if wording else _step_of(row)


def _reworded(step: Step, own: Wording) -> Step:
    """The step in another wording."""
    changed = replace(step)
    for name in ("response", "reasoning", "transcripts"):
        if (value := getattr(own, name)) is not None:
            setattr(changed, name, value)
    if own.tool_calls is not None:
        changed.calls = own.tool_calls
    if own.observation is not None or own.answers is not None:
        changed.observation, changed.answers = own.observation or "", own.answers or ()
    return changed


def _wording(row: ImportedNode, step: Step) -> Wording:
    """What a step says otherwise than its node."""
    answered = (row.observation, row.answers) != (step.observation, step.answers)
    return Wording(
        step.response if row.response != step.response else None,
        step.reasoning if row.reasoning != step.reasoning else None,
        step.calls if row.tool_calls != step.calls else None,
        step.observation if answered and not step.answers else None,
        step.answers if answered and step.answers else None,
        step.transcripts if row.transcripts != step.transcripts else None,
    )
