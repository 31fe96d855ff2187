"""`axolotl`: messages with `train` on each, for axolotl's `chat_template` datasets.

The name of the key is the configuration's (`message_field_training: train`); without that line axolotl trains every
turn of the assistant.
"""

from __future__ import annotations

from functools import partial

from engine.datasets.formats.base import Format, register
from engine.datasets.formats.masks import masked, masked_problems

KEY = "train"

register(
    Format(
        name="axolotl",
        summary="messages with a mask on each, for axolotl",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`train` (true or false) on every message; the configuration names it (`message_field_training: train`)",
        validate=partial(masked_problems, key=KEY),
        conversation=partial(masked, key=KEY),
        columns=True,
        calls="native",
        thinks=True,
        trainer="axolotl",
    )
)
