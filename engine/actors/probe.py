"""Tries a model: puts the first turn of a real environment to it, and finds out by a few calls what else it can do.

Three calls are as a search makes them: two with the same seed, the third with another one. That shows whether a seed
repeats an answer, and whether it is the seed that does. One call has a word of the first answer as its stop word, which
shows whether the server stops there; one offers a tool.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace as changed

from engine.actors.base import DrawFailed
from engine.actors.openai_request import ACTION_LABELS, ANSWER_SCHEMA, form_fields, prepared, stops
from engine.answers.form import form_of
from engine.base.errors import WorkFailed
from engine.base.step_kind import refused
from engine.base.text import flatten, parse_action
from engine.environment.opened import Opened, open_environment
from engine.environment.permission import Permit
from engine.environment.tools import header_of, tools_of
from engine.models.endpoint import Endpoint
from engine.models.tool_calls import tool_fields
from engine.tree.events import SearchSettings, Usage
from envs.base import EnvError
from envs.call_text import calls_text

if TYPE_CHECKING:  # the client library takes half a second to import: only who asks a model waits for it
    from engine.models.client import ChatRequest, Client
    from engine.models.reply import Reply

SEEDS = (1, 1, 2)
ENVIRONMENT, TASK = "textcraft", "0"
TOOL = {
    "type": "function",
    "function": {
        "name": "act",
        "description": "Takes one action in the environment.",
        "parameters": {"type": "object", "properties": {"action": {"type": "string"}}, "required": ["action"]},
    },
}

Stopping = Literal["honoured", "ignored", "refused", "not tried"]
Calling = Literal["called", "not called", "refused"]
Seeding = Literal["honoured", "ignored", "without effect", "refused"]
_SEED_WORDS: dict[Seeding, str] = {
    "honoured": "honours seed",
    "ignored": "ignores seed",
    "without effect": "says the same to every seed",
    "refused": "takes no seed",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model did when it was tried out."""

    seconds: float  # the median call took
    seed: Seeding
    """`honoured`: the same seed gave the same answer, another seed another. `ignored`: one seed, two answers.
    `without effect`: all answers are the same. `refused`: the server takes no seed."""
    logprobs: bool
    usage: Usage | None  # of the first answer; None where the server tells none
    where: str  # environment and task whose first turn was asked
    answer: str  # the first
    action: str  # read from it; "" where there is none
    label: bool  # whether it is labelled, or in the JSON form that was asked for
    problem: str = ""  # why no search works with such answers
    remedy: str = ""  # what may make it answer otherwise
    observation: str = ""  # what the environment said to the action
    refused: bool = False  # whether it refused the action
    stop: Stopping = "not tried"
    system: bool = True  # whether the server takes a system turn
    tools: Calling = "not called"
    left_out: tuple[str, ...] = ()  # what else the server refuses and is asked without
    speed: float | None = None  # tokens of answers a second, of one call at a time

    @property
    def works(self) -> bool:
        """Whether a search would work."""
        return not self.problem

    def __str__(self) -> str:
        logprobs = "logprobs" if self.logprobs else "no logprobs"
        told = f"answers in {self.seconds:.1f} s, {_SEED_WORDS[self.seed]}, {logprobs}, {self._usage_words()}"
        return f"{told}; but {self.problem}" if self.problem else told

    def _usage_words(self) -> str:
        usage = self.usage
        if usage is None or usage.tokens_in is None or usage.tokens_out is None:
            return "tells no usage"
        cost = f"${usage.cost:.2g}" if usage.cost is not None else "cost unknown"
        return f"tells usage ({usage.tokens_in} → {usage.tokens_out} tokens, {cost})"


class Trial:
    """One probe. `run` is called from a thread without an event loop; `cancel` ends it from any."""

    def __init__(
        self, settings: SearchSettings, environment: Permit | str = ENVIRONMENT, task: str | None = None
    ) -> None:
        self._settings = settings
        self._where = environment, task
        self._lock = threading.Lock()
        self._cancelled = False
        self._task: asyncio.Task[Probe] | None = None

    def run(self) -> Probe | None:
        """What the model did; None where the trial was cancelled. Costs a call for each of `SEEDS`, and
        two more.

        Raises `InputError` where the settings can't work, `WorkFailed` where the model does not answer.
        """
        try:
            return asyncio.run(self._main())
        except asyncio.CancelledError:
            return None

    async def _main(self) -> Probe:
        with self._lock:
            self._task = asyncio.current_task()
            if self._cancelled:
                raise asyncio.CancelledError
        try:
            return await probe(self._settings, *self._where)
        finally:
            with self._lock:
                self._task = None

    def cancel(self) -> None:
        """Stop the calls; the outcome is not needed."""
        with self._lock:
            self._cancelled = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


async def probe(settings: SearchSettings, environment: Permit | str = ENVIRONMENT, task: str | None = None) -> Probe:
    """Try the model of these `settings` on the first turn of an environment. Raises as `Trial.run` does.

    `environment`: its name, or the permit to open it. `task`: the task's id; None: the environment's first, or a fixed
    one of the default environment.
    """
    name = environment if isinstance(environment, str) else environment.name
    if task is None and name == ENVIRONMENT:
        task = TASK
    try:
        opened = open_environment(environment, task)
    except EnvError as error:
        raise WorkFailed(str(error)) from error
    try:
        return await _probe(settings, opened)
    finally:
        opened.env.close()


async def _probe(settings: SearchSettings, opened: Opened) -> Probe:
    from engine.actors.openai import check_calling
    from engine.models.client import CallFailed, ChatRequest, open_client

    offered = tools_of(opened, settings)
    check_calling(settings, offered)
    endpoint = Endpoint.of(changed(settings, retries=0))
    client = open_client(endpoint)
    sent, _ = prepared(settings, header_of(opened, settings))
    schema = ANSWER_SCHEMA if settings.structured == "json" else None
    ask = ChatRequest(sent, 1.0, settings.max_tokens, stop=stops(settings, bool(offered)), logprobs=True, schema=schema,
              extra=form_fields(settings) | tool_fields(settings, offered))  # fmt: skip
    try:
        first = await _answer(client, endpoint, ask, SEEDS[0])  # alone: it finds out what the server refuses
        rest = await asyncio.gather(*(_answer(client, endpoint, ask, seed) for seed in SEEDS[1:]))
        stop = await _stopping(client, endpoint, ask, first[0].text)
        tools = await _calling(client, endpoint, ask)
    except CallFailed as error:
        raise WorkFailed(f"{error.kind}: {error}") from None
    finally:
        await client.close()
    replies = [reply for reply, _ in (first, *rest)]
    said = _said(replies[0])
    action, label, problem = (
        _called(replies[0], settings) if offered else _read(replies[0], settings, opened.environment)
    )
    observation = ""
    if action:
        try:
            observation = flatten(opened.env.step(action)[0])
        except EnvError as error:
            observation = str(error)
    usage = replies[0].usage
    tokens = usage.tokens_out if usage is not None else None
    return Probe(
        seconds=sorted(seconds for _, seconds in (first, *rest))[len(replies) // 2],
        seed=_seeding(replies, client),
        logprobs=any(reply.tokens for reply in replies),
        usage=usage,
        where=f"{opened.environment} {opened.task}",
        answer=said,
        action=action,
        label=label,
        problem=problem,
        remedy=remedies(settings, bool(offered)) if problem else "",
        observation=observation,
        refused=bool(observation) and refused(opened.environment, action, observation),
        stop=stop,
        system=not client.no_system,
        tools=tools,
        left_out=tuple(client.left_out()),
        speed=tokens / first[1] if tokens and first[1] > 0 else None,
    )


def _read(reply: Reply, settings: SearchSettings, environment: str) -> tuple[str, bool, str]:
    """The action that a search would read in an answer, whether it is labelled, and why no search works with it."""
    from engine.actors.openai import read_reply_text

    try:
        answer = read_reply_text(reply, settings, form_of(environment))
    except DrawFailed as error:
        return "", False, str(error)
    action = parse_action(answer.response)
    labelled = "without label" not in answer.notes and any(word in answer.response for word in ACTION_LABELS)
    if not action:
        return "", labelled, "no action can be read from its answer"
    if not labelled:
        return action, False, f"its answer has no line `Action:`: try {remedies(settings, False)}"
    return action, True, ""


def remedies(settings: SearchSettings, calls: bool) -> str:
    """Returns settings that may make a model answer in the form, without those that are set already. `calls`: whether
    it is offered tools."""
    if calls:
        ways = [] if settings.tools == "required" else ["--tools required"]
    else:
        ways = [] if settings.structured else ["--structured json"]
        ways += [] if settings.example else ["--example"]
    return ", or ".join(filter(None, (", ".join(ways), "another model")))


def _said(reply: Reply) -> str:
    """All that an answer says, calls of tools as text."""
    calls = calls_text([(call.name, call.arguments) for call in reply.calls])
    return "\n".join(filter(None, (reply.text, calls)))


def _called(reply: Reply, settings: SearchSettings) -> tuple[str, bool, str]:
    """The same of an answer that may call tools."""
    from engine.actors.openai import read_calls

    try:
        answer = read_calls(reply, settings)
    except DrawFailed as error:
        return "", False, str(error)
    action = calls_text([(call.name, call.arguments) for call in answer.tool_calls])
    return action, bool(action), "" if action else f"it called no tool: try {remedies(settings, True)}"


async def _stopping(client: Client, endpoint: Endpoint, ask: ChatRequest, answer: str) -> Stopping:
    """Whether an answer ends where it is told to: at the last of these that the first one held."""
    from engine.models.client import CallFailed

    word = next((word for word in ('"action"', "Action", *answer.split()[1:2]) if word in answer), "")
    if "stop" in client.refused:
        return "refused"
    if not word or ask.extra:  # a grammar knows no other end
        return "not tried"
    try:
        reply, _ = await _answer(client, endpoint, replace(ask, stop=(word,)), SEEDS[0])
    except CallFailed:
        return "not tried"
    return "ignored" if word in reply.text else "honoured"


async def _calling(client: Client, endpoint: Endpoint, ask: ChatRequest) -> Calling:
    """Whether the model calls a tool where one is offered."""
    from engine.models.client import CallFailed

    try:
        reply, _ = await _answer(client, endpoint, replace(ask, extra={"tools": [TOOL]}, schema=None), SEEDS[0])
    except CallFailed:
        return "refused"
    return "called" if reply.tools else "not called"


async def _answer(client: Client, endpoint: Endpoint, ask: ChatRequest, seed: int) -> tuple[Reply, float]:
    from engine.models.client import complete

    began = time.monotonic()
    reply = await complete(client, endpoint, replace(ask, seed=seed))
    return reply, time.monotonic() - began


def _seeding(replies: list[Reply], client: Client) -> Seeding:
    one, same, other = ((reply.text, reply.reasoning) for reply in replies)
    if "seed" in client.refused:
        return "refused"
    if one != same:
        return "ignored"
    return "without effect" if other == one else "honoured"
