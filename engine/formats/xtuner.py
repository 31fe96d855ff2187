"""`xtuner`: messages with `loss` on each, as XTuner reads OpenAI's messages; ms-swift reads the same lines.

Both take a message of the assistant without `loss` as trained, so the header's `Ok.` has `false`. On the others it is
always `false`: every message has the same keys, which Arrow needs and both trainers allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.formats.base import Format, FormatOptions, Record, register
from engine.formats.masks import masked, masked_problems, within
from engine.revision import Turn

KEY = "loss"


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """One line."""
    messages = masked(within(turns, options), KEY)
    return [{"messages": messages}] if messages else []


def validate(record: Record) -> list[str]:
    """What is wrong with a line."""
    return masked_problems(record, KEY)


register(
    Format(
        name="xtuner",
        summary="messages with a mask on each, for XTuner and ms-swift",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`loss` (true or false) on every message; one of the assistant without it would be trained",
        validate=validate,
        conversation=conversation,
        columns=True,
        trainer="xtuner",
    )
)
