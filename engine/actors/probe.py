"""Trying a model out: a few short calls tell how fast it answers and what it can do.

Two of them are the same to the letter and the third differs in its seed alone: that shows whether a seed repeats an
answer, and whether it is the seed that does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace as changed

from engine.base.errors import WorkFailed
from engine.tree.events import Message, SearchSettings, Usage

if TYPE_CHECKING:  # the client library takes half a second to import: only who asks a model waits for it
    from engine.models.client import Ask, Client, Endpoint
    from engine.models.reply import Reply

SEEDS = (1, 1, 2)
QUESTION = "Write one short sentence about anything you like."
MOST_TOKENS = 500
"""An answer needs a few; a model that thinks before it speaks needs more."""

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

    def __str__(self) -> str:
        logprobs = "logprobs" if self.logprobs else "no logprobs"
        return f"answers in {self.seconds:.1f} s, {_SEED_WORDS[self.seed]}, {logprobs}, {self._usage_words()}"

    def _usage_words(self) -> str:
        usage = self.usage
        if usage is None or usage.tokens_in is None or usage.tokens_out is None:
            return "tells no usage"
        cost = f"${usage.cost:.2g}" if usage.cost is not None else "cost unknown"
        return f"tells usage ({usage.tokens_in} → {usage.tokens_out} tokens, {cost})"


class Trial:
    """One probe. `run` is called from a thread without an event loop; `cancel` ends it from any."""

    def __init__(self, settings: SearchSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._cancelled = False
        self._task: asyncio.Task[Probe] | None = None

    def run(self) -> Probe | None:
        """What the model did; None where the trial was cancelled. Costs a short call for each of `SEEDS`.

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
            return await probe(self._settings)
        finally:
            with self._lock:
                self._task = None

    def cancel(self) -> None:
        """Nobody waits for the outcome any more."""
        with self._lock:
            self._cancelled = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


async def probe(settings: SearchSettings) -> Probe:
    """Try the model of these settings. Raises as `Trial.run` does."""
    from engine.actors.openai import endpoint_of
    from engine.models.client import Ask, CallFailed, open_client

    endpoint = endpoint_of(changed(settings, retries=0))
    client = open_client(endpoint)
    ask = Ask([Message("user", QUESTION)], 1.0, min(settings.max_tokens, MOST_TOKENS), logprobs=True)
    try:
        first = await _answer(client, endpoint, ask, SEEDS[0])  # alone: it finds out what the server refuses
        rest = await asyncio.gather(*(_answer(client, endpoint, ask, seed) for seed in SEEDS[1:]))
    except CallFailed as error:
        raise WorkFailed(f"{error.kind}: {error}") from None
    finally:
        await client.close()
    replies = [reply for reply, _ in (first, *rest)]
    seconds = sorted(seconds for _, seconds in (first, *rest))[len(replies) // 2]
    return Probe(seconds, _seeding(replies, client), any(reply.tokens for reply in replies), replies[0].usage)


async def _answer(client: Client, endpoint: Endpoint, ask: Ask, seed: int) -> tuple[Reply, float]:
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
