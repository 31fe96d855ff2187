"""Plans a recovery before any call: which marks, actor and price, and which continuations are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.text import many
from engine.recovery.continuation_figures import MarkFigures, compared, share_of
from engine.recovery.continuation_store import Arm, Recovered, Recoveries, ended, new_arm
from engine.samples.sample import Sample
from engine.search.settings import settings_from
from engine.trace.sources import is_trace
from engine.tree.events import SearchSettings
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from envs.numbers import whole

EMBEDDED = "scripted"
IGNORES_CONVERSATION = frozenset({EMBEDDED, "random", "replayed"})
"""Actors that read no conversation, so that a thought can't change what they do."""

IGNORES_CONVERSATION_LINE = "the {} actor ignores the conversation, so the revision thought cannot change what it does"


NAMED = (
    "actor", "model", "base_url", "key_env", "price_in", "price_out", "concurrency", "max_depth", "seed", "tools",
)  # fmt: skip
"""Fields of `RecoverySettings` that stand for settings of the search."""


class RecoverySettings(Struct, kw_only=True, frozen=True):
    """How continuations are made. What is None is as in the tree's own search."""

    continuations: Annotated[int, Meta(ge=1)] = 8  # a mark, with the thought and without it each
    alpha: float | None = None  # a good return exceeds it; None: the default, scaled to the environment
    actor: str | None = None
    model: str | None = None
    base_url: str | None = None
    key_env: str | None = None
    price_in: float | None = None
    price_out: float | None = None
    concurrency: int | None = None
    max_depth: int | None = None
    seed: int | None = None
    tools: Literal["auto", "required", "off"] | None = None  # of an agent that calls tools


class Mark(Struct, frozen=True):
    """A step of the bad trajectory after which the actor may go on."""

    mark: int  # counted from 1
    node: int
    action: str
    room: int  # steps that the depth limit leaves
    over: str = ""  # why nothing can be continued here


class Price(Struct, frozen=True):
    """What continuations may cost, known before they are made."""

    continuations: int  # to be made or ended; those that are known already cost nothing
    calls: int  # at most
    actor: str
    cost: float | None  # US dollars, about, for so many calls; None: unknown
    free: bool  # no model is asked

    def __add__(self, other: Price) -> Price:
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        actors = ", ".join(dict.fromkeys((*self.actor.split(", "), *other.actor.split(", "))))
        return Price(
            self.continuations + other.continuations,
            self.calls + other.calls,
            actors,
            cost,
            self.free and other.free,
        )

    @property
    def amount(self) -> str:
        """Calls and what they cost, in a few words."""
        if not self.calls:
            return "nothing is missing: no calls"
        cost = "cost unknown" if self.cost is None else f"about ${self.cost:.4f}"
        return f"at most {many(self.calls, 'call')}, {'free: no model is asked' if self.free else cost}"

    def __str__(self) -> str:
        if not self.calls:
            return self.amount
        return f"{self.amount}; {many(self.continuations, 'continuation')} by {self.actor}"


def named_server(settings: RecoverySettings) -> dict[str, str]:
    """Returns the server and key that a person named for the actor."""
    return {name: value for name in ("base_url", "key_env") if (value := getattr(settings, name)) is not None}


def actor_settings(tree: SearchTree, settings: RecoverySettings) -> SearchSettings:
    """The settings of the continuing actor: the tree's own, but for what is named.

    The actor of a tree made elsewhere is unknown; the embedded one takes its place. Raises `InputError`.
    """
    assert tree.started is not None
    values: dict[str, Any] = msgspec.to_builtins(tree.started.settings)
    if tree.imported_from is not None:
        deepest = max(node.depth for node in tree.nodes)
        usual = SearchSettings(actor=EMBEDDED)
        values = msgspec.to_builtins(replace(usual, max_depth=max(usual.max_depth, deepest - 1)))
    for name in NAMED:
        value = getattr(settings, name)
        if value is not None:
            values[name] = value
    found = settings_from(values)
    if found.actor.startswith("recorded:") and (is_trace(found.actor) or found.actor.endswith((".json", ".json.gz"))):
        raise InputError(
            f"the actor {found.actor} holds no answers to new conversations: name another (--actor), or a file of"
            " recorded continuations (recorded:…/recoveries/….jsonl)"
        )
    if settings.tools == "off" and tree.started.tools:
        raise InputError("--tools off: the conversation of the search holds calls of tools; leave it out")
    if settings.tools == "required" and not tree.started.tools:
        raise InputError("--tools required: the agent of the search had no tools to call; leave it out")
    return found


def reads_thoughts(actor: str) -> bool:
    """Whether an actor reads the conversation at all."""
    return actor.partition(":")[0] not in IGNORES_CONVERSATION


def marks_of(tree: SearchTree, sample: Sample, max_depth: int) -> list[Mark]:
    """Returns every step after the fork of the bad trajectory as a mark, and the sample's own mark where it lies before
    the fork. Raises `InputError` for a good trajectory.

    `tree`: the search. `sample`: the sample. `max_depth`: that of the continuation's settings; deeper nodes are
    terminal.
    """
    if sample.bad is None:
        raise InputError(f"sample {sample.id} is a good trajectory: there is no wrong step to recover from")
    path = tree.ancestors(sample.bad)[1:]
    found = []
    for mark, id in enumerate(path, 1):
        if mark <= sample.fork_depth and mark != sample.mark:
            continue
        node = tree.nodes[id]
        room = max_depth + 1 - mark
        over = "the episode is over here" if node.terminal in ("done", "disaster") else ""
        if not over and room < 1:
            over = "no step is left before the depth limit"
        found.append(Mark(mark, id, node.action, max(0, room), over))
    return found


def chosen_marks(marks: Sequence[Mark], sample: Sample, which: str) -> list[Mark]:
    """Returns the marks that a word names. Raises `InputError`.

    `marks`: those of the sample. `sample`: its own mark is `mark`. `which`: `mark`, `all`, or the number of a step.
    """
    if which == "all":
        return list(marks)
    wanted = sample.mark if which == "mark" else whole(which)
    if wanted is None:
        if which == "mark":
            raise InputError(f"sample {sample.id} has no mark: take all marks, or a step's number")
        raise InputError(f"marks {which!r}: mark, all, or the number of a step")
    found = [each for each in marks if each.mark == wanted]
    if not found:
        steps = f"{marks[0].mark} to {marks[-1].mark}" if marks else "none"
        raise InputError(f"step {wanted} is not one after the fork: {steps}")
    return found


def arms_of(tree: SearchTree, mark: Mark, thought: str, settings: SearchSettings) -> tuple[Arm, Arm]:
    """Returns the arm without the thought, and the arm with it.

    `tree`: the search. `mark`: the wrong step and the node after it. `thought`: the revision thought. `settings`: of
    the actor that continues.
    """
    assert tree.started is not None
    trace = tree.started.trace
    return (
        new_arm(trace, mark.node, mark.mark, "", settings),
        new_arm(trace, mark.node, mark.mark, thought, settings),
    )


def figures_of(
    tree: SearchTree,
    thought: str,
    marks: Sequence[Mark],
    settings: SearchSettings,
    known: Recoveries,
    alpha: float | None = None,
) -> list[MarkFigures]:
    """Returns what the continuations that are known say of these marks, one entry a mark, in their order.

    `tree`: the search. `thought`: the revision thought that was tried. `marks`: the wrong steps. `settings`: of the
    actor that continued. `known`: the continuations of the trace. `alpha`: a return above it is a recovery; None: the
    default for the tree's returns.
    """
    assert tree.started is not None
    above = Thresholds.for_range(tree.started.score_range, alpha, None).alpha
    found = []
    for mark in marks:
        without, with_it = (
            share_of(list(known.of(arm.key).values()), above) for arm in arms_of(tree, mark, thought, settings)
        )
        figures = compared(mark.mark, mark.node, mark.action, without, with_it, reads_thoughts(settings.actor))
        found.append(replace(figures, over=mark.over, room=mark.room))
    return found


def newest(tree: SearchTree, sample: Sample, known: Recoveries) -> RecoverySettings:
    """Returns the settings of the newest continuations of a sample; where there are none, those of the tree's own
    actor.

    `tree`: the search. `sample`: the sample. `known`: the continuations of the trace.
    """
    if sample.bad is None:
        return RecoverySettings()
    path = set(tree.ancestors(sample.bad))
    arms = [arm for arm in known.arms.values() if arm.thought == sample.thought and arm.node in path]
    if not arms:
        return RecoverySettings()
    shaped = max(arms, key=lambda arm: arm.time).settings
    return msgspec.convert(
        {name: shaped[name] for name in ("actor", "model", "max_depth", "seed", "tools") if name in shaped},
        RecoverySettings,
    )


def recovered(tree: SearchTree, sample: Sample, known: Recoveries, alpha: float | None = None) -> Recovered | None:
    """Returns what the newest continuations from a sample's mark came to; None where there are none.

    `tree`: the search. `sample`: the sample. `known`: the continuations of the trace. `alpha`: a return above it is a
    recovery; None: the default for the tree's returns.
    """
    if sample.bad is None or sample.mark is None or not known.arms:
        return None
    try:
        actor = actor_settings(tree, newest(tree, sample, known))
    except InputError:  # their actor is no longer known here
        return None
    marks = chosen_marks(marks_of(tree, sample, actor.max_depth), sample, "mark")
    (figures,) = figures_of(tree, sample.thought, marks, actor, known, alpha)
    if not (figures.without.of and figures.thought.of):
        return None
    return Recovered(actor=actor.actor, model=actor.model, without=str(figures.without), thought=str(figures.thought))


def price_of(
    tree: SearchTree,
    thought: str,
    marks: Sequence[Mark],
    settings: SearchSettings,
    known: Recoveries,
    continuations: int,
    counted: set[tuple[str, int]] | None = None,
) -> Price:
    """Returns how many continuations are missing, and what they may cost: each may go on to the depth limit.

    The cost of a call is taken to be the mean of the tree's own calls, by the tokens they took.

    `tree`: the search. `thought`: the revision thought. `marks`: the wrong steps to continue from. `settings`: of the
    actor that continues. `known`: the continuations of the trace. `continuations`: how many are wanted of each arm.
    `counted`: continuations that another price holds already; those of this price are added to it.
    """
    counted = set() if counted is None else counted
    missing = calls = 0
    for mark in marks:
        if mark.over:
            continue
        for arm in arms_of(tree, mark, thought, settings):
            for number in range(continuations):
                steps = known.of(arm.key).get(number, [])
                if not ended(steps) and (arm.key, number) not in counted:
                    counted.add((arm.key, number))
                    missing += 1
                    calls += mark.room - len(steps)
    free = settings.actor != "openai"
    return Price(
        missing,
        calls,
        settings.actor if free else f"{settings.actor} ({settings.model})",
        0.0 if free else _cost(tree, settings, calls),
        free,
    )


def _cost(tree: SearchTree, settings: SearchSettings, calls: int) -> float | None:
    tokens_in, tokens_out = tree.tokens_in, tree.tokens_out
    price_in, price_out = settings.price_in, settings.price_out
    if tokens_in is None or tokens_out is None or price_in is None or price_out is None or not tree.calls:
        return None
    return (tokens_in * price_in + tokens_out * price_out) / 1e6 / tree.calls * calls
