"""Options of commands that call a model: the actor of a search, the judge of revise and verify, doctor and recover.

`SearchSettings` and `JudgeSettings` name the same fields for a server and have the same defaults for them, so that one
option serves both.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.options import BUDGETS, MODEL, PROMPT, option_of
from engine.tree.events import SearchSettings

_option = partial(option_of, SearchSettings)

PRICE_IN = _option(MODEL, "price_in", "Price of a million prompt tokens, in US dollars.")
PRICE_OUT = _option(MODEL, "price_out", "Price of a million completion tokens, in US dollars.")

BaseUrlOption = Annotated[
    str, _option(MODEL, "base_url", "URL of an OpenAI-compatible server. The default is OpenAI's.")
]
KeyEnvOption = Annotated[str, _option(MODEL, "key_env", "Environment variable that holds the API key.")]
TimeoutOption = Annotated[float, _option(MODEL, "timeout", "Timeout of one call, in seconds.")]
RetriesOption = Annotated[int, _option(MODEL, "retries", "Number of retries after a failed call.")]
PriceInOption = Annotated[float, PRICE_IN]
PriceOutOption = Annotated[float, PRICE_OUT]
PriceCachedOption = Annotated[
    float,
    _option(
        MODEL, "price_cached", "Price of a million prompt tokens that the server had cached. The default is --price-in."
    ),
]
TopPOption = Annotated[
    float,
    _option(
        MODEL, "top_p", "Nucleus sampling: the share of probability to draw from. The default is the server's own."
    ),
]
ReasoningEffortOption = Annotated[
    str,
    _option(MODEL, "reasoning_effort", "Reasoning effort, for example low, medium or high, as the server names it."),
]
ExtraBodyOption = Annotated[
    str, _option(MODEL, "extra_body", "JSON object of further fields for every request. A null removes a field.")
]
HeaderOption = Annotated[
    list[str],
    _option(
        MODEL, "header", "HTTP header as NAME=VARIABLE. Its value is read from that environment variable. Repeatable."
    ),
]

# how a conversation is put to an actor's model
NoSystemOption = Annotated[
    bool, _option(PROMPT, "no_system", "Send the system message as part of the first user message.", negative="")
]
ExampleOption = Annotated[bool, _option(PROMPT, "example", "Put a worked example before the task.")]
StructuredOption = Annotated[
    str, _option(PROMPT, "structured", "Ask for structured answers, which helps small models: json or grammar.")
]
PromptsOption = Annotated[str, _option(PROMPT, "prompts", "Folder of prompts that replace the shipped ones.")]

YesOption = Annotated[bool, Parameter(group=BUDGETS, negative="", help="Call a paid model without asking first.")]
