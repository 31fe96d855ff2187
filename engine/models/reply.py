"""Reading what a model server sent: text, reasoning, cost, log-probabilities. Nothing of it is believed unseen."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.base.response_text import clean
from engine.models.faults import Refusal, refusal_in_answer
from engine.tree.events import Usage

MILLION = 1_000_000
_THINK = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.S)
_THOUGHT_END = "</think>"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said."""

    text: str  # without its reasoning
    reasoning: str | None  # what it thought before it spoke, where the server tells
    finish: str  # why it ended, in the server's word: stop, length, …
    usage: Usage | None
    attempt: int = 1  # the one that brought it
    tokens: tuple[tuple[str, float], ...] = ()  # text and log-probability of each token, where there are any


def read_reply(
    data: bytes, price_in: float | None, price_out: float | None, scrub: Callable[[str], str] = str
) -> Reply:
    """The reply in the body of a chat completion; `scrub` takes the key out of every text.

    Prices are in US dollars a million tokens. Raises `Refusal`.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise Refusal("bad json", f"not JSON: {_shown(data)}") from None
    if not isinstance(body, dict):
        raise Refusal("bad json", f"not a completion: {_shown(data)}")
    usage = read_usage(body.get("usage"), price_in, price_out)
    choices = body.get("choices")
    if not choices:
        if body.get("error"):
            raise refusal_in_answer(body["error"], usage)
        if isinstance(choices, list):
            raise Refusal("empty choices", "the answer holds no choices", usage=usage)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise Refusal("bad json", f"not a completion: {_shown(data)}", usage=usage)
    finish = _text(choice.get("finish_reason"))
    if refused := _text(message.get("refusal")):
        raise Refusal("refusal", f"the model refused: {refused}", usage=usage)
    if finish == "content_filter":
        raise Refusal("refusal", "a content filter withheld the answer", usage=usage)
    text, thought = split_reasoning(_text(message.get("content")))
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or thought
    return Reply(
        text=clean(scrub(text)),
        reasoning=clean(scrub(reasoning)) or None,
        finish=finish,
        usage=usage,
        tokens=_tokens(choice.get("logprobs")),
    )


def read_usage(usage: object, price_in: float | None, price_out: float | None) -> Usage | None:
    """Tokens and cost. What the server does not tell, or has no price, is None: unknown, not zero."""
    if not isinstance(usage, dict):
        return None
    tokens_in, tokens_out = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if tokens_in is None and tokens_out is None:
        return None
    cost = None
    if tokens_in is not None and tokens_out is not None and price_in is not None and price_out is not None:
        cost = (tokens_in * price_in + tokens_out * price_out) / MILLION
    return Usage(tokens_in, tokens_out, cost)


def split_reasoning(text: str) -> tuple[str, str]:
    """Answer and reasoning of a text that begins with `<think>…</think>`.

    A template may have given the opening tag itself; where the closing one is missing nothing was answered.
    """
    match = _THINK.match(text)
    if match:
        return text[match.end() :], match[1].strip()
    if _THOUGHT_END in text and "<think>" not in text:
        before, _, after = text.partition(_THOUGHT_END)
        return after.lstrip(), before.strip()
    return text, ""


def action_probability(tokens: tuple[tuple[str, float], ...]) -> float | None:
    """How probable the action of an answer was: the geometric mean of the probabilities of its tokens, those from
    the last action label on. Long actions are not punished for their length. None without log-probabilities.
    """
    text = "".join(token for token, _ in tokens)
    start = max(text.rfind(label) + len(label) if label in text else -1 for label in _ACTION_LABELS)
    if start < 0:
        start = len(text.rstrip()[: text.rstrip().rfind("\n") + 1])  # no label: the last line is the action
    scores, end = [], 0
    for token, logprob in tokens:
        end += len(token)
        if end > start and token.strip():
            scores.append(logprob)
    if not scores:
        return None
    mean = math.exp(sum(scores) / len(scores))
    return min(mean, 1.0) if math.isfinite(mean) and mean > 0 else None


_ACTION_LABELS = ("Action 1:", "Action:", '"action"')


def _tokens(logprobs: object) -> tuple[tuple[str, float], ...]:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    found = []
    for item in content:
        token = item.get("token") if isinstance(item, dict) else None
        score = item.get("logprob") if isinstance(item, dict) else None
        if not isinstance(token, str) or isinstance(score, bool) or not isinstance(score, int | float):
            return ()
        if not score <= 0:  # NaN too
            return ()
        found.append((token, float(score)))
    return tuple(found)


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        return None
    return value


def _text(value: object) -> str:
    """A text, or the texts of a list of parts; "" for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part.get("text") for part in value if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _shown(data: bytes) -> str:
    return data[:100_000].decode("utf-8", "replace")
