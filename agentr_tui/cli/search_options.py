"""The settings of a search as options of commands."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypedDict, get_args, get_type_hints

from cyclopts import Parameter

from agentr_tui.cli.model_options import (
    BaseUrlOption,
    ExampleOption,
    ExtraBodyOption,
    HeaderOption,
    KeyEnvOption,
    NoSystemOption,
    PriceCachedOption,
    PriceInOption,
    PriceOutOption,
    PromptsOption,
    ReasoningEffortOption,
    RetriesOption,
    StructuredOption,
    TimeoutOption,
    TopPOption,
)
from agentr_tui.cli.options import ACTOR, BUDGETS, MODEL, PROMPT, SEARCH, option_of
from engine.tree.events import SearchSettings

_option = partial(option_of, SearchSettings)


class SearchOptions(TypedDict, total=False):
    """The settings of a search as options: one for each field of `SearchSettings`."""

    actor: Annotated[
        Literal["scripted", "random", "openai"] | str,
        _option(
            ACTOR,
            "actor",
            "Actor that proposes steps: scripted (follows a plan), random (any valid action), openai, replayed:FILE"
            " (follows a file of actions, or a trace) or recorded:FILE (its answers again). The default is scripted"
            " where the environment has a plan, else random.",
            show_default=False,
            show_choices=False,
        ),
    ]
    algorithm: Annotated[
        Literal["agent-r", "uct", "puct", "best-first", "lessons"] | str,  # a shell completes those
        _option(
            SEARCH,
            "algorithm",
            "Search algorithm: agent-r (as the original, node for node), uct, puct, best-first or lessons (the most"
            " verified lessons per call).",
            show_choices=False,
        ),
    ]
    iterations: Annotated[int, _option(SEARCH, "iterations", "Number of walks from the root.")]
    max_depth: Annotated[int, _option(SEARCH, "max_depth", "Greatest depth. Deeper nodes are terminal.")]
    samples: Annotated[int, _option(SEARCH, "samples", "Number of actions drawn at each node.")]
    c: Annotated[float, _option(SEARCH, "c", "Exploration constant of UCT and PUCT.", name="--c")]
    seed: Annotated[int, _option(SEARCH, "seed", "Seed of ties and of sampled answers.")]
    temperature: Annotated[float, _option(ACTOR, "temperature", "Sampling temperature of the actor's model.")]
    max_tokens: Annotated[int, _option(ACTOR, "max_tokens", "Maximum tokens of one answer.")]
    error_rate: Annotated[
        float,
        _option(
            ACTOR, "error_rate", "Share of answers in which the scripted actor, or that of a file, makes a mistake."
        ),
    ]
    concurrency: Annotated[
        int, _option(SEARCH, "concurrency", "Number of simultaneous calls. It never changes a trace.")
    ]
    parallel_nodes: Annotated[int, _option(SEARCH, "parallel_nodes", "Number of nodes expanded at the same time.")]
    any_order: Annotated[
        bool,
        _option(
            SEARCH,
            "any_order",
            "With --parallel-nodes, apply results as they come. Faster, but another run gives another tree.",
            negative="",
        ),
    ]
    max_failures: Annotated[
        int, _option(SEARCH, "max_failures", "Failed answers or steps in a row after which the search pauses.")
    ]
    model: Annotated[str, _option(MODEL, "model", "Model of the actor openai.")]
    base_url: BaseUrlOption
    key_env: KeyEnvOption
    timeout: TimeoutOption
    retries: RetriesOption
    price_in: PriceInOption
    price_out: PriceOutOption
    price_cached: PriceCachedOption
    top_p: TopPOption
    reasoning_effort: ReasoningEffortOption
    extra_body: ExtraBodyOption
    header: HeaderOption
    no_system: NoSystemOption
    example: ExampleOption
    context: Annotated[
        int, _option(PROMPT, "context", "Context length in tokens. Older steps are left out of longer conversations.")
    ]
    tokenizer: Annotated[
        str, _option(PROMPT, "tokenizer", "File of the model's tokenizer. Without it, tokens are estimated.")
    ]
    parse: Annotated[
        str,
        _option(
            PROMPT,
            "parse",
            "How answers are parsed: first (the first action, in any notation) or agent-r (as the original).",
        ),
    ]
    structured: StructuredOption
    prompts: PromptsOption
    tools: Annotated[
        str,
        _option(
            PROMPT,
            "tools",
            "Where the environment has tools: auto (the model may answer without a call), required (it has to call one)"
            " or off (calls are written as text).",
        ),
    ]
    parallel_tool_calls: Annotated[
        bool, _option(PROMPT, "parallel_tool_calls", "Let one answer hold several calls of tools.", negative="")
    ]
    send_reasoning: Annotated[
        str,
        _option(
            PROMPT,
            "send_reasoning",
            "Field in which a model gets the reasoning of its earlier steps again: reasoning_content or reasoning.",
        ),
    ]
    budget_tokens: Annotated[int, _option(BUDGETS, "budget_tokens", "End the search after this many tokens.")]
    budget_cost: Annotated[float, _option(BUDGETS, "budget_cost", "End the search after this many US dollars.")]
    budget_calls: Annotated[int, _option(BUDGETS, "budget_calls", "End the search after this many calls.")]
    budget_seconds: Annotated[float, _option(BUDGETS, "budget_seconds", "End the search after this many seconds.")]
    budget_good: Annotated[int, _option(BUDGETS, "budget_good", "End the search after this many good leaves.")]


def options_of_command(**changes: Mapping[str, Any]) -> Any:
    """`SearchOptions` as a command's `--help` shows them: an option that it takes otherwise has these attributes of
    `Parameter` changed, such as `show_default` or `help`; `show=False` leaves one out."""
    hints = get_type_hints(SearchOptions, include_extras=True)
    for name, changed in changes.items():
        type_, parameter = get_args(hints[name])
        hints[name] = Annotated[type_, Parameter.combine(parameter, Parameter(**changed))]
    return TypedDict("SearchOptions", hints, total=False)  # type: ignore[operator]
