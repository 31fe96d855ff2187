"""The interventions of a person in a search: whether one can be done, and what it will cost.

The search does them between two expansions (`engine.search.search`) and writes them into its trace (`intervened`,
`settings_changed`), so that a resumed search loses none of them. An intervention in the past, or in a search that is
over, starts a new trace: `forked_events`, and `engine.search.job.fork_job`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.answers.form import form_of
from engine.base.errors import InputError
from engine.base.text import stored_action
from engine.query.nodes import parse
from engine.search.expansion import words_of, written_step
from engine.search.settings import settings_from
from engine.tree.events import AnyEvent, Fork, Imported, SearchSettings, Started
from engine.tree.folding.interventions import can_expand
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.tool_schemas import name_of

What = Literal["edited", "forced", "pruned", "restored", "breakpoint", "breakpoint removed", "note", "mark"]
WHATS: tuple[What, ...] = get_args(What)
"""What can be asked for, in the words of the event `intervened`."""

CHANGEABLE = (
    "c",
    "iterations",
    "max_depth",
    "samples",
    "parallel_nodes",
    "concurrency",
    "max_failures",
    "temperature",
    "max_tokens",
    "timeout",
    "retries",
    "budget_tokens",
    "budget_cost",
    "budget_calls",
    "budget_seconds",
    "budget_good",
)
"""Settings that a running search takes up: the others shape what was done already, or belong to the actor."""

PRESETS = (
    ("disaster", "the next disaster"),
    ("good", "the next good leaf"),
    ("repeat", "a state that was seen before"),
    ("return>=0.8", "a return of at least …"),
    ("depth>=6", "a depth of at least …"),
    ("text~", "a text …"),
)
"""Breakpoints to choose from: a query, what it stands for."""


class Intervention(Struct, frozen=True, omit_defaults=True):
    """A person's request. `detail`: the written response, the query of a breakpoint, the words of a note."""

    what: What
    node: int = ROOT  # of `edited`: the node that gets a child
    detail: str = ""
    of: int | None = None  # of `edited`: the child that was edited


# -- whether it can be done ------------------------------------------------------------------------------


def refused(tree: SearchTree, asked: Intervention) -> str | None:
    """Why that can't be done on the tree as it is, in one line; None where it can."""
    if not 0 <= asked.node < len(tree):
        return f"there is no node {asked.node}"
    if tree.imported_from is not None:
        return "this tree was made elsewhere: there is no search to go on with; branch a new one from a node"
    if asked.what == "edited":
        return _edit_refused(tree, asked)
    if asked.what == "forced":
        return _expansion_refused(tree, asked.node)
    if asked.what == "pruned":
        return _pruning_refused(tree, asked.node)
    if asked.what == "restored":
        node = tree.nodes[asked.node]
        if not node.pruned:
            return f"node {asked.node} was not pruned"
        if node.parent >= 0 and tree.nodes[node.parent].pruned:
            return f"node {asked.node} lies below the node that was pruned: restore that one"
    elif asked.what == "breakpoint":
        try:
            parse(asked.detail)
        except InputError as error:
            return str(error)
    elif asked.what == "breakpoint removed" and asked.detail not in tree.breakpoints:
        return f"there is no breakpoint {asked.detail!r}"
    return None


def _edit_refused(tree: SearchTree, asked: Intervention) -> str | None:
    parent = tree.nodes[asked.node]
    if parent.terminal not in (None, "dead_end"):
        return f"node {parent.id} is the end of its trajectory: nothing can follow it"
    if parent.pruned:
        return f"node {parent.id} is pruned: restore it first"
    if not parent.expanded:
        return f"node {parent.id} was not expanded yet: expand it first"
    started = tree.started
    assert started is not None
    response, calls = written_step(tree, form_of(started.environment), started.settings, asked.detail)
    if started.tools and not calls:
        name = name_of(started.tools[0])
        return f"there is no call in it: end with a line such as `{name}(…)`, or with JSON that names the tool"
    if not calls and not stored_action(response):
        return "there is no action in it: write a line `Action: …`"
    if asked.of is not None and asked.of not in parent.children:
        return f"node {asked.of} is no child of node {parent.id}"
    words = words_of(response, calls)
    siblings = (tree.nodes[id] for id in parent.children)
    same = next((node.id for node in siblings if words_of(node.response, node.calls) == words), None)
    return f"that is what node {same} says already" if same is not None else None


def _expansion_refused(tree: SearchTree, id: int) -> str | None:
    node = tree.nodes[id]
    if can_expand(tree, node):
        return None
    if node.terminal == "dead_end":
        return f"node {id} is a dead end: no answer of the actor was usable"
    if node.terminal is not None:
        return f"node {id} is the end of its trajectory ({node.terminal}): nothing can follow it"
    if id in tree.in_flight:
        return f"node {id} is being expanded already"
    if node.pruned:
        return f"node {id} is pruned: restore it first"
    return f"node {id} was expanded already: all its answers came"


def _pruning_refused(tree: SearchTree, id: int) -> str | None:
    node = tree.nodes[id]
    if node.parent < 0:
        return "the root can't be pruned: that would end the search; stop it instead"
    if node.pruned:
        return f"node {id} is pruned already"
    if node.exhausted:
        return f"nothing at or below node {id} would be selected anyway: every line there has ended"
    return None


# -- what it costs ------------------------------------------------------------------------------------


class Price(NamedTuple):
    """What something will cost, from the averages of the search so far. None: unknown, never 0."""

    calls: int  # of the actor
    tokens: float | None = None
    cost: float | None = None  # US dollars
    at_most: bool = False  # nothing is known yet but that it can't be more

    def __str__(self) -> str:
        if self.calls == 0:
            return "no calls"
        calls = f"{'at most ' if self.at_most else ''}{self.calls:,} call{'s'[: self.calls != 1]}"
        tokens = "tokens unknown" if self.tokens is None else f"~{_rounded(self.tokens):,} tokens"
        return ", ".join([calls, tokens, *([] if self.cost is None else [f"~${self.cost:.2g}"])])


def _rounded(value: float) -> int:
    """Two leading digits: an estimate looks like one."""
    whole = round(value)
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return round(whole / step) * step


def price_of_calls(tree: SearchTree, calls: int, at_most: bool = False) -> Price:
    """Returns what calls cost, by the mean of those that were made.

    `tree`: the search. `calls`: how many. `at_most`: whether their number is an upper limit.
    """
    if not calls:
        return Price(0)
    tokens = (tree.tokens_in or 0) + (tree.tokens_out or 0) if tree.tokens_in or tree.tokens_out else None
    made = tree.calls
    return Price(
        calls,
        tokens / made * calls if tokens is not None and made else None,
        tree.cost / made * calls if tree.cost is not None and made else None,
        at_most,
    )


def price(tree: SearchTree, asked: Intervention) -> Price:
    """What an intervention itself costs, not what the search does afterwards."""
    if asked.what != "forced" or tree.started is None:
        return Price(0)
    made = tree.partial.get(asked.node, 0)
    return price_of_calls(tree, max(0, tree.started.settings.samples - made))


def price_of_iterations(tree: SearchTree, iterations: int, settings: SearchSettings | None = None) -> Price:
    """Returns what further iterations cost, by the mean of those that were made; where none was made, an upper limit.
    An iteration expands one line of nodes at most.

    `tree`: the search. `iterations`: how many more. `settings`: those with which they are made; None: the tree's own.
    """
    assert tree.started is not None
    if iterations <= 0:
        return Price(0)
    now = tree.started.settings
    then = settings or now
    if not tree.iteration:
        return price_of_calls(tree, iterations * then.samples * (then.max_depth + 1), at_most=True)
    return price_of_calls(tree, round(tree.calls / tree.iteration * then.samples / now.samples * iterations))


def price_of_rest(tree: SearchTree, settings: SearchSettings) -> Price:
    """What a search costs from here to its end with these settings; budgets may end it before."""
    rest = price_of_iterations(tree, settings.iterations - tree.iteration, settings)
    left = None if settings.budget_calls is None else max(0, settings.budget_calls - tree.calls - len(tree.failures))
    return rest if left is None or rest.calls <= left else price_of_calls(tree, left, at_most=True)


# -- settings -------------------------------------------------------------------------------------------


def parse_changes(text: str, settings: SearchSettings) -> dict[str, Any]:
    """Settings as a person writes them, `c=1.0 iterations=12`; `none` takes a budget away.

    Raises `InputError` naming the one that a running search can't take up, or whose value is unusable.
    """
    changes: dict[str, Any] = {}
    for word in text.replace(" = ", "=").split():
        name, sign, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not value:
            raise InputError(f"{word[:40]!r} is not a setting: write name=value, like c=1.0")
        if name not in CHANGEABLE:
            raise InputError(f"{name[:40]!r} can't be changed while a search runs: one of {', '.join(CHANGEABLE)}")
        changes[name] = None if value.lower() == "none" else _number(name, value)
    if not changes:
        raise InputError(f"no setting is named: write name=value, like c=1.0; one of {', '.join(CHANGEABLE)}")
    settings_from({**msgspec.to_builtins(settings), **changes})
    return changes


def _number(name: str, value: str) -> int | float:
    try:
        number = float(value)
    except ValueError:
        raise InputError(f"setting {name}: {value[:40]!r} is not a number") from None
    return int(number) if number.is_integer() and "." not in value else number


# -- starting from the past -----------------------------------------------------------------------------


def forked_events(events: Iterable[AnyEvent], seq: int, source: str | PathLike[str]) -> list[AnyEvent]:
    """Returns the events of a trace up to one of them, as the beginning of a new trace with an id of its own. Raises
    `InputError` where the trace has no such event, or is an import.

    `events`: of the trace. `seq`: number of the last event to keep. `source`: its file, for messages.
    """
    kept: list[AnyEvent] = []
    for event in events:
        if event.seq > seq:
            break
        if isinstance(event, Imported):
            raise InputError(f"{source}: a tree made elsewhere has no past to go on from: branch from a node instead")
        kept.append(event)
    if not kept or seq != kept[-1].seq:
        raise InputError(f"{source}: has no event {seq}: its last is {kept[-1].seq if kept else 'missing'}")
    first = kept[0]
    assert isinstance(first, Started)
    kept[0] = replace(first, trace=uuid.uuid4().hex[:16], forked_from=Fork(first.trace, seq))
    return kept
