"""`axolotl`: messages with `train` on each, for axolotl's `chat_template` datasets.

The name of the key is the configuration's (`message_field_training: train`); without that line axolotl trains every
turn of the assistant.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.formats.base import Format, FormatOptions, Record, register
from engine.formats.masks import masked, masked_problems, within
from engine.revision import Turn

KEY = "train"


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """One line."""
    messages = masked(within(turns, options), KEY)
    return [{"messages": messages}] if messages else []


def validate(record: Record) -> list[str]:
    """What is wrong with a line."""
    return masked_problems(record, KEY)


register(
    Format(
        name="axolotl",
        summary="messages with a mask on each, for axolotl",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`train` (true or false) on every message; the configuration names it (`message_field_training: train`)",
        validate=validate,
        conversation=conversation,
        columns=True,
        trainer="axolotl",
    )
)
