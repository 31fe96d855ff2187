"""How records are made, where a format leaves a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.datasets.templates.markup import CHATML, Markup
from engine.datasets.templates.tokens import Measure, Vocabulary
from engine.models.context_window import estimate


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """How records are made, where a format leaves a choice."""

    max_length: int | None = None  # tokens a record may have; what does not fit is cut off by whole turns
    measure: Measure = estimate  # tokens of a text
    markup: Markup = CHATML  # the chat template that tokens are counted with
    vocabulary: Vocabulary | None = None  # `trl-sft`: write token ids in place of messages
    loss_weight: bool = False  # `sharegpt`: messages with `loss_weight` in place of one record a trained turn
    first_step: bool = False  # `trl-dpo`: only the first step after the fork, in place of both whole tails
    no_system: bool = False  # the system's text at the head of the first user turn, as where a template has no place
    trim: bool = False  # drop white space around texts, as the model's own template does
    escape: bool = False  # break control tokens in texts
    redact: bool = False  # take out of texts what looks like a key
    reasoning: bool = False  # write what the model thought, where turns have it
    tools: Sequence[dict[str, Any]] = ()  # that the agent of this conversation may call

    @property
    def control(self) -> str:
        """A regular expression: control tokens that a text must not hold."""
        return self.markup.control


DEFAULT_OPTIONS = FormatOptions()
