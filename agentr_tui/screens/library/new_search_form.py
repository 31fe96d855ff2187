"""The fields of the form for a new search: their labels, what may be typed, which actor has them.

Knows no Textual: it can be tested without a terminal.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from agentr_tui.state.places import DEFAULT_ITERATIONS, SearchRequest
from engine.base.errors import InputError
from engine.search.algorithms import ALGORITHMS
from engine.tree.events import SearchSettings

SHOWN_ACTORS = ("scripted", "random", "openai")


def request_of(own: Mapping[str, Any]) -> SearchRequest:
    """A new search by the user's own settings."""
    return SearchRequest(settings=SearchSettings(**{"iterations": DEFAULT_ITERATIONS, **own}))


MOST = 2.0**53
"""Numbers of settings are below it, as in files."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form; `name` is that of the setting, or `delay`."""

    name: str
    label: str
    hint: str
    kind: Literal["text", "whole", "number", "choice"] = "number"
    least: float = 0
    most: float = math.inf
    choices: tuple[tuple[str, Any], ...] = ()  # label and value
    optional: bool = False  # an empty number is None
    actor: str = ""  # the actor that has it; "": all


ROWS: tuple[tuple[Field, ...], ...] = (
    (
        Field("algorithm", "algorithm", "agent-r repeats the original node for node", "choice",
              choices=tuple((name, name) for name in ALGORITHMS)),
        Field("actor", "actor", "scripted: by a plan; random: any valid action; openai: any OpenAI-compatible server",
              "choice"),
    ),
    (
        Field("iterations", "iterations", "walks from the root", "whole", least=1),
        Field("max_depth", "max depth", "deeper nodes are terminal", "whole", least=1),
    ),
    (
        Field("samples", "samples", "answers a node", "whole", least=1),
        Field("parallel_nodes", "parallel", "nodes that are expanded at a time", "whole", least=1),
    ),
    (
        Field("c", "c", "exploration constant"),
        Field("seed", "seed", "of ties and answers", "whole", least=-math.inf),
    ),
    (
        Field("error_rate", "error rate", "0 to 1: how often the actor errs", most=1, actor="scripted"),
        Field("delay", "delay", "seconds an answer takes, to watch it", most=60, actor="scripted"),
    ),
    (Field("model", "model", "its name, as the server knows it", "text", actor="openai"),),
    (Field("base_url", "base URL", "http://127.0.0.1:8000/v1; empty: OpenAI's own", "text", actor="openai"),),
    (
        Field("key_env", "key in $", "the variable that holds the key; the key itself is never typed here", "text",
              actor="openai"),
        Field("concurrency", "concurrency", "calls at a time; never changes a tree", "whole", least=1, actor="openai"),
    ),
    (
        Field("temperature", "temperature", "of the model", actor="openai"),
        Field("max_tokens", "max tokens", "of an answer", "whole", least=1, actor="openai"),
    ),
    (
        Field("context", "context", "tokens of conversation and answer; older steps are dropped; empty: no limit",
              "whole", least=1, optional=True, actor="openai"),
        Field("structured", "structured", "the form that answers are held to, for small models", "choice",
              choices=(("no", ""), ("json", "json"), ("grammar", "grammar")), actor="openai"),
    ),
    (
        Field("example", "example", "a worked example before the task", "choice",
              choices=(("no", False), ("yes", True)), actor="openai"),
        Field("budget_calls", "calls ≤", "the search ends after so many calls; empty: no limit", "whole", least=1,
              optional=True, actor="openai"),
    ),
    (
        Field("tools", "tools", "where there are some: auto may answer in words; off: calls are written as text",
              "choice", choices=tuple((name, name) for name in ("auto", "required", "off")), actor="openai"),
        Field("parallel_tool_calls", "at once", "whether one answer may hold several calls of tools", "choice",
              choices=(("one call", False), ("several calls", True)), actor="openai"),
    ),
    (
        Field("price_in", "price in", "US dollars a million prompt tokens; empty: unknown", optional=True,
              actor="openai"),
        Field("price_out", "price out", "US dollars a million tokens of answers; empty: unknown", optional=True,
              actor="openai"),
    ),
    (
        Field("budget_tokens", "tokens ≤", "the search ends when so many tokens are used; empty: no limit", "whole",
              least=1, optional=True, actor="openai"),
        Field("budget_cost", "dollars ≤", "the search ends when so much is spent; needs the prices", optional=True,
              actor="openai"),
    ),
)  # fmt: skip
"""The form, a line each."""

FIELDS = tuple(field for row in ROWS for field in row)


def choices_of(field: Field, value: object) -> list[tuple[str, Any]]:
    """What may be chosen, the present value included."""
    known = [(name, name) for name in SHOWN_ACTORS] if field.name == "actor" else list(field.choices)
    return known if value in [known_value for _, known_value in known] else [*known, (str(value), value)]


def shown(value: object) -> str:
    """Returns a value as the form shows it."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def parse(field: Field, text: str) -> Any:
    """The value that was typed. Raises `InputError` with a line for a person."""
    text = text.strip()
    if field.kind == "text":
        return text
    if field.optional and not text:
        return None
    kind = "a whole number" if field.kind == "whole" else "a number"
    try:
        value: float | int = int(text) if field.kind == "whole" else float(text)
    except ValueError:
        raise InputError(f"{text[:20]!r} is not {kind}" if text else f"needs {kind}") from None
    if not abs(value) < MOST:
        raise InputError(f"{text[:20]!r} is not {kind}")
    if value < field.least:
        raise InputError(f"must be at least {field.least:g}")
    if value > field.most:
        raise InputError(f"must be at most {field.most:g}")
    return value


def request_from(before: SearchRequest, environment: str, task: str, values: Mapping[str, Any]) -> SearchRequest:
    """Returns the request with what was typed; what the form does not show stays as it was, also budgets and prices in
    hidden fields, which do no harm.

    `before`: the last request. `environment` and `task`: those chosen. `values`: setting → what was typed.
    """
    named = dict(values)
    delay = named.pop("delay", before.delay)
    settings = msgspec.structs.replace(before.settings, **named)
    return replace(before, environment=environment, task=task, settings=settings, delay=delay)


def key_words(name: str) -> tuple[str, bool]:
    """Returns a text about the variable that holds the key, and whether it is set. Never the key."""
    is_set = bool(os.environ.get(name.strip(), "").strip())
    return ("is set" if is_set else "is not set"), is_set
