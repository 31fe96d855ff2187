"""`xtuner`: messages with `loss` on each, as XTuner reads OpenAI's messages; ms-swift reads the same lines.

Both take a message of the assistant without `loss` as trained, so the header's `Ok.` has `false`. On the others it is
always `false`: every message has the same keys, which Arrow needs and both trainers allow.
"""

from __future__ import annotations

from functools import partial

from engine.datasets.formats.base import Format, register
from engine.datasets.formats.masks import masked, masked_problems

KEY = "loss"

register(
    Format(
        name="xtuner",
        summary="messages with a mask on each, for XTuner and ms-swift",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`loss` (true or false) on every message; one of the assistant without it would be trained",
        validate=partial(masked_problems, key=KEY),
        conversation=partial(masked, key=KEY),
        columns=True,
        calls="text",
        trainer="xtuner",
    )
)
