"""`verl`: messages with `loss_mask` on each, for verl's multi-turn fine-tuning.

`loss_mask` (0 or 1) is the name that verl's maintainers chose for it. No release reads it by itself yet: up to 0.9.1
every message of the assistant is trained. The data set class that is written beside the dataset reads it.
"""

from __future__ import annotations

from functools import partial

from engine.datasets.formats.base import Format, register
from engine.datasets.formats.masks import masked, masked_problems

KEY = "loss_mask"

register(
    Format(
        name="verl",
        summary="messages with a mask on each, for verl",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`loss_mask` (0 or 1) on every message; verl up to 0.9.1 reads it with the class that is written beside",
        validate=partial(masked_problems, key=KEY, on=(0, 1)),
        conversation=partial(masked, key=KEY, kind=int),
        columns=True,
        calls="text",
        thinks=True,
        trainer="verl",
    )
)
