"""Reading what a model server sent: text, reasoning, cost, log-probabilities. Nothing of it is believed unseen."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.answers.thinking import take_out_thinking
from engine.base.text import clean
from engine.models.faults import Refusal, error_in, refusal_in_body
from engine.models.refused_parameters import is_html, words_of
from engine.models.stream import streamed
from engine.models.tool_calls import calls_of
from engine.tree.events import ToolCall, Usage

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a model."""

    text: str  # without its reasoning
    reasoning: str | None  # what it thought before it spoke, where the server tells
    finish: str  # why it ended, in the server's word: stop, length, …
    usage: Usage | None
    attempt: int = 1  # the one that brought it
    tokens: tuple[tuple[str, float], ...] = ()  # text and log-probability of each token, where there are any
    reasoning_in: str = ""  # the field of the message that the reasoning was in, where it was not in the text
    hidden: int | None = None  # tokens of reasoning, where the server tells; it need not show them
    calls: tuple[ToolCall, ...] = ()  # of tools
    stop_word: str = ""  # at which the answer ended, where the server tells
    raw: str = ""  # the text as it came, with any thinking in it

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools that the model called."""
        return tuple(call.name[:80] for call in self.calls)


def read_reply(
    data: bytes,
    price_in: float | None,
    price_out: float | None,
    scrub: Callable[[str], str] = str,
    price_cached: float | None = None,
) -> Reply:
    """Returns the reply in the body of a chat completion. Raises `Refusal`.

    Also reads a stream of events, which a server may send although none was asked for.

    `data`: the body. `price_in` and `price_out`: US dollars a million tokens; None: not known. `scrub`: removes secrets
    from every text. `price_cached`: of prompt tokens that the server had cached; None: `price_in`.
    """
    body = _completion(data)
    if isinstance(body, dict) and isinstance(body.get("result"), dict) and "choices" not in body:
        body = {**body, **body["result"]}  # a gateway's wrapping
    if not isinstance(body, dict):
        if (error := error_in(body)) is not None:
            raise refusal_in_body(error)
        raise Refusal("bad json", f"not a completion: {_shown(data)}")
    usage = read_usage(body.get("usage"), price_in, price_out, price_cached)
    choices = body.get("choices")
    if not choices:
        if (error := error_in(body)) is not None:
            raise refusal_in_body(error, usage)
        if isinstance(choices, list):
            raise Refusal("empty choices", "the answer has no choices", usage=usage)
    choice = choices[0] if isinstance(choices, list) and choices else None
    if error := (choice.get("error") if isinstance(choice, dict) else None) or body.get("error"):
        raise refusal_in_body(error, usage)  # what came before it is no whole answer
    message = _message(choice)
    if not isinstance(choice, dict) or message is None:
        raise Refusal("bad json", f"not a completion: {_shown(data)}", usage=usage)
    finish = _finish(choice.get("finish_reason"))
    if finish == "error":
        said = choice.get("finish_reason")
        told = "" if said == "error" else f" ({clean(str(said))[:80]})"
        raise Refusal("server error", f"the answer ended in an error{told}", usage=usage)
    if refused := _text(message.get("refusal")) or _refused_part(message.get("content")):
        raise Refusal("refusal", f"the model refused: {refused}", usage=usage)
    if finish == "content_filter":
        raise Refusal("refusal", "a content filter withheld the answer", usage=usage)
    raw = _text(message.get("content"))
    text, thought = take_out_thinking(raw)
    reasoning = "\n".join(part for part in (_reasoning(message), thought) if part)
    field = next((name for name in ("reasoning_content", "reasoning", "thinking") if _text(message.get(name))), "")
    stopped = choice.get("stop_reason") or choice.get("matched_stop")
    return Reply(
        text=clean(scrub(text)),
        reasoning=clean(scrub(reasoning)) or None,
        finish=finish,
        usage=usage,
        tokens=_tokens(choice.get("logprobs")),
        reasoning_in=field,
        hidden=_hidden(body.get("usage")),
        calls=tuple(ToolCall(clean(scrub(name)), clean(scrub(arguments))) for name, arguments in calls_of(message)),
        stop_word=clean(scrub(stopped)) if isinstance(stopped, str) else "",
        raw=clean(scrub(raw)),
    )


def _completion(data: bytes) -> Any:
    """The JSON value of a body, which may be a stream of events. Raises `Refusal`."""
    body = streamed(data)
    if body is not None:
        return body
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        shown = _shown(data)
    if is_html(shown):
        raise Refusal("bad json", f"an HTML page in place of JSON: {words_of(shown)}; does --base-url end in /v1?")
    raise Refusal("bad json", f"not JSON: {shown}")


def _message(choice: object) -> dict[str, Any] | None:
    """The message of a choice; some gateways leave the names of a stream, or of older interfaces, in it."""
    if not isinstance(choice, dict):
        return None
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            found: dict[str, Any] = choice[name]
            return found
    return {"content": choice["text"]} if isinstance(choice.get("text"), str) else None


_FINISHES = {
    "length": {
        *("max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit"),
        "model_context_window_exceeded",
    },
    "content_filter": {
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "sensitive", "refusal"),
        *("content_filtered", "guardrail_intervened", "image_safety"),
    },
    "error": {"abort", "aborted", "cancelled", "canceled", "insufficient_system_resource", "network_error"},
}
"""Why an answer ended, and what others than OpenAI call it."""


def _finish(said: object) -> str:
    """Why an answer ended, in OpenAI's word where there is one."""
    text = _text(said)
    word = text.lower().rpartition(".")[2]
    return next((name for name, others in _FINISHES.items() if word == name or word in others), text)


def _refused_part(content: object) -> str:
    """What a part of the content says that refuses; "" where none does."""
    parts = content if isinstance(content, list) else []
    return next((said for part in parts if isinstance(part, dict) and (said := _text(part.get("refusal")))), "")


def _reasoning(message: dict[str, Any]) -> str:
    """What the model thought, where the server tells it apart: in a field of its own, or in parts of the content."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if said := _text(message.get(name)):
            return said
    content = message.get("content")
    parts = [part for part in content if _is_thinking(part)] if isinstance(content, list) else []
    for name in ("reasoning_details", "thinking_blocks"):
        details = message.get(name)
        parts += [part for part in details if isinstance(part, dict)] if isinstance(details, list) else []
    texts = (_text(part.get("thinking")) or _text(part.get("text")) or _text(part.get("summary")) for part in parts)
    return "\n".join(text for text in texts if text)


def _is_thinking(part: object) -> bool:
    return isinstance(part, dict) and str(part.get("type", "")).startswith(
        ("thinking", "reasoning", "redacted_thinking")
    )


def why_empty(reply: Reply, max_tokens: int, stop: Sequence[str] = (), in_text: str = "use another model") -> str:
    """Returns why an answer holds no text, as far as that can be known: one clause, with the remedy; else empty.

    `reply`: the answer. `max_tokens`: tokens that it was allowed. `stop`: the stop words of the request. `in_text`: how
    to make a model that calls tools write its answer.
    """
    if reply.tools:
        called = ", ".join(dict.fromkeys(reply.tools))
        return f"the model called a tool ({called}) in place of writing an answer: {in_text}"
    tokens = reply.usage.tokens_out if reply.usage is not None else None
    if reply.finish == "length":
        if reply.hidden or reply.reasoning:
            shown = "" if reply.reasoning else ", which is not shown"
            return f"all {reply.hidden or max_tokens} tokens went into its reasoning{shown}: raise --max-tokens"
        return f"its {tokens or max_tokens} tokens hold no text, they may have gone into reasoning: raise --max-tokens"
    if reply.reasoning_in:
        return (
            f"the text lies in `{reply.reasoning_in}`: the server takes all of it for reasoning; turn its reasoning"
            " parser or the model's thinking off (--extra-body, --reasoning-effort)"
        )
    if reply.reasoning:
        return "the model thought and ended without an answer"
    if reply.hidden:
        return f"{reply.hidden} tokens of reasoning are not shown, and no answer followed them"
    if reply.stop_word:
        return f"it began with the stop word {reply.stop_word.strip()!r}"
    if stop and reply.finish == "stop" and tokens is not None and tokens > 1:
        words = ", ".join(repr(word.strip()) for word in stop)
        return f"it has {tokens} tokens and no text, so it probably began with a stop word ({words})"
    return ""


def read_usage(
    usage: object, price_in: float | None, price_out: float | None, price_cached: float | None = None
) -> Usage | None:
    """Returns tokens and cost. What the server does not tell, or has no price, is None: unknown, not zero.

    `usage`: as the body has it. `price_in` and `price_out`: US dollars a million tokens; None: not known.
    `price_cached`: of prompt tokens that the server had cached; None: `price_in`.
    """
    if not isinstance(usage, dict):
        return None
    tokens_in = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
    tokens_out = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    if tokens_in is None and tokens_out is None:
        return None
    cached = min(_cached(usage), tokens_in or 0)
    cost = None
    if tokens_in is not None and tokens_out is not None and price_in is not None and price_out is not None:
        less = price_in if price_cached is None else price_cached
        cost = ((tokens_in - cached) * price_in + cached * less + tokens_out * price_out) / MILLION
    return Usage(tokens_in, tokens_out, cost, cached or None)


def _cached(usage: dict[str, Any]) -> int:
    """Prompt tokens that the server had cached, in OpenAI's or DeepSeek's field."""
    details = usage.get("prompt_tokens_details")
    told = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
    return _count(told) or 0


def _hidden(usage: object) -> int | None:
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    return _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None


def action_probability(tokens: tuple[tuple[str, float], ...], action: str) -> float | None:
    """How probable the action of an answer was: the geometric mean of the probabilities of its tokens. Long actions
    are not punished for their length. None without log-probabilities.
    """
    text = "".join(token for token, _ in tokens)
    start, stop = _place(text, action)
    scores, end = [], 0
    for token, logprob in tokens:
        end += len(token)
        if start < end and end - len(token) < stop and token.strip():
            scores.append(logprob)
    if not scores:
        return None
    mean = math.exp(sum(scores) / len(scores))
    return min(mean, 1.0) if math.isfinite(mean) and mean > 0 else None


_LABEL = re.compile(r"action|aktion|<tool_call>", re.I)


def _place(text: str, action: str) -> tuple[int, int]:
    """Where the action stands in what was said: after a label where it can be, else after the last label, else in the
    last line."""
    labels = [match.end() for match in _LABEL.finditer(text)]
    for written in (action, json.dumps(action)[1:-1], json.dumps(action, ensure_ascii=False)[1:-1]):
        for start in (*labels, 0):
            place = text.find(written, start) if written else -1
            if place >= 0:
                return place, place + len(written)
    return (labels[-1] if labels else len(text.rstrip()[: text.rstrip().rfind("\n") + 1])), len(text)


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
        if not -1e9 <= score <= 0:  # NaN and what no float holds, too
            return ()
        found.append((clean(token), float(score)))
    return tuple(found)


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        return None
    return value


DEEPEST = 5  # parts within parts


def _text(value: object, depth: int = 0) -> str:
    """A text, or the texts of a list of parts; "" for anything else."""
    if isinstance(value, str):
        return clean(value)
    if depth > DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(_text(part, depth + 1) for part in value if not _is_thinking(part))
    if isinstance(value, dict):
        return next((_text(value[name], depth + 1) for name in ("text", "content", "value") if value.get(name)), "")
    return ""


def _shown(data: bytes) -> str:
    return data[:100_000].decode("utf-8", "replace")
