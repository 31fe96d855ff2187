"""Actors: who proposes the next action.

An actor answers one draw at a time. What it gives depends on the request alone (node, draw, seed), never on the
order in which requests arrive, so concurrency can't change a search.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Protocol

from msgspec import Struct

from engine.base.errors import InputError
from engine.tree.events import AnyEvent, Expanded, Failed, Message, Sampled, Selected, ToolCall, Usage
from engine.tree.failure_kinds import is_outage
from envs.base import TextEnv
from envs.call_text import parse_calls
from envs.recorded import read_recording


class DrawFailed(Exception):
    """A draw without a usable answer; the search goes on without it. `kind` is one word."""

    def __init__(
        self, kind: str, message: str, attempt: int = 1, usage: Usage | None = None, raw: str | None = None
    ) -> None:
        self.kind = kind
        self.raw = raw  # the answer that came, where one did
        self.attempt = attempt  # 1 for the first
        self.usage = usage  # of what was paid for all the same
        super().__init__(message)


class NotPermitted(Exception):
    """The search may make no further call, since a budget is used up. The draw is made when the search goes on."""


class Fault(Protocol):
    """Reports a failed attempt that is tried again, and its cost."""

    def __call__(self, kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None: ...


class Request(Struct):  # of all kinds of record the cheapest: there is one a draw
    """A request for one draw. Not to be changed."""

    parent: int  # node
    draw: int  # 0 ≤ draw < samples
    index: int  # how many draws the search asked for before, in the order of selection
    seed: int  # derived from (search seed, parent, draw)
    conversation: Callable[[], list[Message]]  # header and path
    environment: Callable[[Callable[[TextEnv], Any]], Awaitable[Any]]  # ask the environment as it stands at the parent
    fault: Fault
    permit: Callable[[], None] = lambda: None  # asked before a further attempt; raises `NotPermitted`
    actions: Callable[[], list[str]] = list  # executed from the reset to the parent


class Answer(Struct, frozen=True, gc=False):
    """The answer of an actor to one draw."""

    response: str
    action: str | None = None  # to execute, where it is not what the response says
    usage: Usage | None = None
    prior: float = 1.0
    reasoning: str | None = None
    dropped: int = 0
    raw: str | None = None  # the server's own words, where the response is not the same
    notes: tuple[str, ...] = ()  # what was odd about it, see `engine.answers.form.Note`
    tool_calls: tuple[ToolCall, ...] = ()


def own_answer(thought: str, action: str, tools: bool) -> Answer:
    """The answer of an actor that is not a model.

    `thought`: why it acts so. `action`: what to do, as the environment takes it. `tools`: whether the actor calls
    tools; an action that is not a call then stands alone on the last line.
    """
    if not tools:
        return Answer(f"Thought: {thought}\nAction: {action}")
    calls = parse_calls(action)
    if calls is None:
        return Answer(f"{thought}\n{action}")
    return Answer(thought, tool_calls=tuple(ToolCall(call.name, call.arguments) for call in calls))


class Actor(Protocol):
    """Proposes actions. One that never waits may say so (`waits = False`): its draws are made one by one."""

    async def sample(self, request: Request) -> Answer:
        """Answer one draw. Raises `DrawFailed`, and lets `NotPermitted` of `request.permit` through."""
        ...


def draw_seed(search_seed: int, parent: int, draw: int) -> int:
    """Returns the seed of a draw: 31 bits, the same on every machine.

    `search_seed`: the seed of the search. `parent`: the node that is expanded. `draw`: which of its draws, from 0.
    """
    digest = blake2b(b"%d/%d/%d" % (search_seed, parent, draw), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFF_FFFF


class RecordedActor:
    """Gives the answers of a recording again."""

    waits = False

    def __init__(
        self,
        answers: Mapping[int, Answer] | None,
        by_draw: Mapping[tuple[int, int], Answer | DrawFailed],
        source: str,
        order: Mapping[tuple[int, int], int] | None = None,
    ):
        """`order`: the places of expansions, by node and draws made there before, for a search in any order."""
        self._answers = answers  # by the order in which they were asked for
        self._by_draw = by_draw  # by (parent, draw)
        self._source = source
        self.order = order

    async def sample(self, request: Request) -> Answer:
        """The recorded answer. Raises `DrawFailed` where the recording ends."""
        answer: Answer | DrawFailed | None
        if self._answers is not None:
            answer = self._answers.get(request.index)
        else:
            answer = self._by_draw.get((request.parent, request.draw))
        if answer is None:
            raise DrawFailed(
                "not recorded", f"{self._source} holds no answer to draw {request.draw} of {request.parent}"
            )
        if isinstance(answer, DrawFailed):
            raise answer
        return answer


def actor_of_recording(path: str) -> RecordedActor:
    """An actor over the answers of a recorded search (`replay.json`). Raises `EnvError`, `InputError`."""
    recording = read_recording(path)
    responses = recording.raw.get("responses")
    actions = recording.raw.get("actions")
    if not isinstance(responses, list):
        raise InputError(f"{path}: contains no recorded responses")
    answers = {
        index: Answer(response, actions[index] if isinstance(actions, list) else None)
        for index, response in enumerate(responses)
    }
    return RecordedActor(answers, {}, path)


def actor_of_trace(events: Iterable[AnyEvent], source: str) -> RecordedActor:
    """Returns an actor over the answers of a trace, failed draws included."""
    by_draw: dict[tuple[int, int], Answer | DrawFailed] = {}
    order: dict[tuple[int, int], int] = {}
    draws: dict[int, int] = {}  # of nodes in flight
    made: dict[int, int] = {}  # of nodes that are expanded in part
    for event in events:
        if isinstance(event, Selected):
            if event.path:  # a broken file may say that nothing was selected
                draws[event.path[-1]] = event.draws
        elif isinstance(event, Expanded):
            order[event.parent, made.get(event.parent, 0)] = len(order)
            if event.partial:
                made[event.parent] = made.get(event.parent, 0) + draws.get(event.parent, 0)
        elif isinstance(event, Sampled):
            by_draw[event.parent, event.draw] = Answer(
                event.response,
                event.action,
                event.usage,
                event.prior,
                event.reasoning,
                event.dropped,
                event.raw,
                tuple(event.notes),
                event.tool_calls,
            )
        elif isinstance(event, Failed) and not is_outage(event.what):  # of a draw that was answered: its step failed
            failed = DrawFailed(event.what, event.error, event.attempt, event.usage, event.raw)
            by_draw.setdefault((event.parent, event.draw), failed)
    return RecordedActor(None, by_draw, source, order)
