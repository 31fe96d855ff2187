"""Fitting a conversation into a model's context: tokens are counted, whole steps dropped, the oldest first.

The header (with the goal in it) always stays, and so do the roles' turns: a step is its response and its observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.base.tokenizer_file import TokenizerFile
from engine.tree.events import Message

HEADER_TURNS = 4
"""Turns before the first step: system, rules, `Ok.`, first observation."""

TURN_TOKENS = 4
"""Tokens that a chat template puts around a turn, about."""

BYTES_A_TOKEN = 3
"""Of the estimate: English is nearer to 4, so that it rather drops a step too many than one too few."""


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of a text."""

    count: Callable[[str], int]
    name: str  # how it counts, for people
    estimate: bool  # whether it only estimates

    def of(self, messages: Sequence[Message]) -> int:
        """Tokens of a conversation, its template's included."""
        return sum(self._of(message) + TURN_TOKENS for message in messages)

    def _of(self, message: Message) -> int:
        calls = sum(self.count(call.name) + self.count(call.arguments) + TURN_TOKENS for call in message.tool_calls)
        return self.count(message.content) + calls


def estimate(text: str) -> int:
    """Tokens of a text, estimated from its length: a third of its bytes, rounded up."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_A_TOKEN)


ESTIMATE = TokenCounter(estimate, f"estimate of {BYTES_A_TOKEN} bytes a token", True)


def counter(tokenizer: str = "") -> TokenCounter:
    """A counter by the model's own tokenizer file (`tokenizer.json`); without one an estimate.

    Raises `InputError` where the file is unusable, or the package that reads it is missing.
    """
    if not tokenizer:
        return ESTIMATE
    read = TokenizerFile(tokenizer)

    count = lru_cache(maxsize=4096)(read.count)  # a path shares most of its texts with its siblings
    return TokenCounter(count, f"tokenizer {tokenizer}", False)


def fit(
    messages: Sequence[Message], limit: int | None, counted: TokenCounter, header: int = HEADER_TURNS
) -> tuple[list[Message], int]:
    """Returns the conversation with as many of its last steps as fit, and how many steps were dropped. Raises
    `ValueError` with the reason where even the header is too long.

    `messages`: the conversation. `limit`: tokens; None: no limit. `counted`: counts tokens. `header`: number of turns
    that always stay.
    """
    if limit is None or len(messages) < header:
        return list(messages), 0
    kept = list(messages[:header])
    used = counted.of(kept)
    if used > limit:
        about = "about " if counted.estimate else ""
        raise ValueError(f"the header alone has {about}{used} tokens ({counted.name}), {limit} are left for it")
    starts = step_starts(messages, header)
    first, end = len(starts), len(messages)
    while first and (used := used + counted.of(messages[starts[first - 1] : end])) <= limit:
        first -= 1
        end = starts[first]
    return kept + list(messages[end:]), first


def step_starts(messages: Sequence[Message], header: int) -> list[int]:
    """Where each step begins: one turn of the assistant, and all that answers it."""
    return [place for place in range(header, len(messages)) if messages[place].role == "assistant"]


def turns_of_steps(messages: Sequence[Message], header: int, steps: int) -> int:
    """Returns how many turns the first steps after the header have.

    `messages`: the conversation. `header`: number of its turns before the first step. `steps`: number of steps.
    """
    starts = step_starts(messages, header)
    return (starts[steps] if steps < len(starts) else len(messages)) - header if steps else 0
