"""One small language to find nodes: for the filter, breakpoints, `agentr grep` and the library (`docs/query.md`).

    q>0.5 visits>=3 depth<6          figures
    terminal disaster !human         flags, negated by ! or -
    action~craft obs~"not find"      texts; case does not matter
    (good or return>=0.8) -repeat    or, parentheses; side by side means and

`parse` reads a query; `Query.on` makes a predicate for a tree at a moment; `engine.query.find` goes through a whole
tree.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from engine.query.grammar import COMPARE, Figure, Flag, Question, Term, Text, predicate, questions, read
from engine.query.grammar import QueryError as QueryError
from engine.query.node_fields import FIELDS as FIELDS
from engine.query.node_fields import FLAGS as FLAGS
from engine.query.node_fields import NODE
from engine.query.node_fields import TEXTS as TEXTS
from engine.tree.events import WITHOUT_RETURN, Number
from engine.tree.node import NO_PARENT, Node
from engine.tree.past_tree import PastTree
from engine.tree.reader import TreeReader
from engine.tree.thresholds import ALPHA
from engine.tree.tree import SearchTree

Predicate = Callable[[Node], bool]
Value = Number | None


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read."""

    text: str
    term: Term

    def names(self) -> set[str]:
        """The fields and flags in it."""
        return {each.name if isinstance(each, Flag) else each.field for each in questions(self.term)}

    @property
    def reads_texts(self) -> bool:
        """Whether it looks into texts, which takes longer."""
        return bool(self.names() & TEXTS.keys())

    @property
    def may_change(self) -> bool:
        """Whether a node that matches now may not match later, or the other way round."""
        fixed = {"depth", "reward", "id", "draw", "prior", "too_deep", "done", "disaster", "repeat", "cut", "tokens"}
        return not self.names() <= fixed | TEXTS.keys()

    def on(self, reader: TreeReader, alpha: float | None = None) -> Predicate:
        """Whether a node matches, at the moment of `reader`; on a growing tree the predicate grows with it.

        `alpha`: what the return of a good leaf exceeds; by default the middle of the score range.
        """
        return compile_term(self.term, View(reader, alpha))


def parse(text: str) -> Query:
    """Read a query. Raises `QueryError` naming the column and what would do."""
    return Query(text.strip(), read(text, NODE))


def tree_of(reader: TreeReader) -> SearchTree:
    """The whole tree behind a view of its past; itself where it is one."""
    tree = reader.tree if isinstance(reader, PastTree) else reader
    assert isinstance(tree, SearchTree)
    return tree


class View:
    """A tree at a moment, as predicates read it. `statistics` takes the place of asking for N and W one by one."""

    def __init__(self, reader: TreeReader, alpha: float | None = None) -> None:
        self.reader = reader
        self.tree = tree_of(reader)
        self.now = reader is self.tree or self.tree.imported_from is not None
        low, high = self.tree.started.score_range if self.tree.started else (0.0, 1.0)
        self.alpha = low + ALPHA * (high - low) if alpha is None else alpha
        self.statistics: tuple[list[int], list[float]] | None = None  # N and W of every node, of the past

    def visits(self, node: Node) -> int:
        """N."""
        return self.statistics[0][node.id] if self.statistics is not None else self.reader.visits(node.id)

    def value_sum(self, node: Node) -> Number:
        """W."""
        return self.statistics[1][node.id] if self.statistics is not None else self.reader.value_sum(node.id)

    def q(self, node: Node) -> Value:
        """Q, None where N = 0."""
        if self.statistics is None:
            return self.reader.q(node.id)
        visits = self.visits(node)
        return self.value_sum(node) / visits if visits else None

    def is_leaf(self, node: Node) -> bool:
        """Whether it ends a trajectory that has a return."""
        return node.terminal is not None and node.terminal not in WITHOUT_RETURN and not node.children

    def is_terminal(self, node: Node) -> bool:
        """Whether it has no future of its own, as far as was known."""
        if node.terminal == "dead_end" and not self.now:
            return self.reader.exhausted(node.id)
        return node.terminal is not None

    def has_failed(self) -> Predicate:
        """Nodes some of whose draws failed."""
        failures, seq = self.tree.failures, None if self.reader is self.tree else self.reader.seq
        known: set[int] = set()
        at = 0

        def test(node: Node) -> bool:
            nonlocal at
            while at < len(failures):
                if seq is None or failures[at].seq <= seq:
                    known.add(failures[at].parent)
                at += 1
            return node.id in known

        return test

    def is_human(self) -> Predicate:
        """Nodes that a person wrote or did something to."""
        tree, seq = self.tree, None if self.reader is self.tree else self.reader.seq
        events = tree.interventions
        known: set[int] = set()
        at = 0

        def test(node: Node) -> bool:
            nonlocal at
            while at < len(events):
                event = events[at]
                passed = event.what in ("edited", "refused") or event.what.startswith("breakpoint")
                if not passed and (seq is None or event.seq <= seq):
                    known.add(event.node)
                at += 1
            return node.id in tree.written_by or node.id in known

        return test


_Getter = Callable[[Node], Value]


def _getter(name: str, view: View) -> _Getter:
    tree, reader = view.tree, view.reader
    if view.now and name in _OF_NOW:
        return _OF_NOW[name]
    getters: dict[str, _Getter] = {
        "q": view.q,
        "visits": view.visits,
        "w": view.value_sum,
        "return": lambda node: node.reward if view.is_leaf(node) else None,
        "children": lambda node: len(reader.children(node.id)),
        "repeats": lambda node: tree.repeats.get(node.id, 0),
        "seen": lambda node: bisect_left(tree.same_state(node.id), len(reader)),
        "tokens": lambda node: _tokens(tree, node.id),
    }
    return getters.get(name) or _OF_NODE[name]


_OF_NODE: dict[str, _Getter] = {
    "depth": operator.attrgetter("depth"),
    "reward": operator.attrgetter("reward"),
    "id": operator.attrgetter("id"),
    "draw": operator.attrgetter("draw"),
    "prior": operator.attrgetter("prior"),
}
_OF_NOW: dict[str, _Getter] = {
    "q": operator.attrgetter("q"),
    "visits": operator.attrgetter("visits"),
    "w": operator.attrgetter("value_sum"),
    "children": lambda node: len(node.children),
}


def _tokens(tree: SearchTree, id: int) -> int | None:
    usage = tree.usages.get(id, (None, None, 0))[0]
    if usage is None or (usage.tokens_in is None and usage.tokens_out is None):
        return None
    return (usage.tokens_in or 0) + (usage.tokens_out or 0)


def _flag(name: str, view: View) -> Predicate:
    tree, reader, alpha = view.tree, view.reader, view.alpha
    flags: dict[str, Callable[[], Predicate]] = {
        "terminal": lambda: view.is_terminal,
        "leaf": lambda: view.is_leaf,
        "good": lambda: lambda node: view.is_leaf(node) and node.reward > alpha,
        "bad": lambda: lambda node: view.is_leaf(node) and node.reward <= alpha,
        "done": lambda: lambda node: node.terminal == "done",
        "disaster": lambda: lambda node: node.terminal == "disaster",
        "too_deep": lambda: lambda node: node.terminal == "depth",
        "dead_end": lambda: lambda node: node.terminal == "dead_end" and view.is_terminal(node),
        "expanded": lambda: lambda node: reader.expanded(node.id),
        "exhausted": lambda: lambda node: reader.exhausted(node.id),
        "unseen": lambda: lambda node: not view.visits(node),
        "failed": view.has_failed,
        "human": view.is_human,
        "pruned": lambda: lambda node: reader.pruned(node.id),
        "repeat": lambda: lambda node: node.state_key is not None and tree.same_state(node.id)[0] < node.id,
        "cut": lambda: lambda node: bool(tree.usages.get(node.id, (None, None, 0))[2]),
    }
    return flags[name]()


_TEXT_OF: dict[str, Callable[[Node], str]] = {
    "action": operator.attrgetter("action"),
    "obs": operator.attrgetter("observation"),
    "thought": operator.attrgetter("thought"),
    "response": operator.attrgetter("response"),
}


def _text(term: Text) -> Predicate:
    wanted = term.wanted
    names = ("action", "obs", "response") if term.field == "text" else (term.field,)
    getters = [_TEXT_OF[name] for name in names]

    def holds(node: Node) -> bool:
        if node.parent == NO_PARENT:
            return False  # the root did nothing
        for get in getters:
            text = get(node).lower()
            if text.strip() == wanted if term.whole else wanted in text:
                return True
        return False

    return holds


def compile_term(term: Term, view: View) -> Predicate:
    """A predicate for a query."""
    return predicate(term, lambda question: _meaning(question, view))


def _meaning(question: Question, view: View) -> Predicate:
    if isinstance(question, Figure):
        get, compare, value = _getter(question.field, view), COMPARE[question.compare], question.value

        def compared(node: Node) -> bool:
            found = get(node)
            return found is not None and compare(found, value)

        return compared
    if isinstance(question, Text):
        return _text(question)
    assert isinstance(question, Flag)  # nodes have no fields that are matched by patterns
    return _flag(question.name, view)
