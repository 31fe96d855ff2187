"""`sharegpt`: conversations for LLaMA-Factory.

Its converter drops whatever else a message has, so no key can carry a mask. What it can do is train the last turn
alone (`mask_history: true`). So each trained turn gets a record of its own: the conversation up to that turn. The
number of records to a sample is the *factor*, and grows with the trained turns.

With `loss_weight` a sample is one record, in the message form of LLaMA-Factory's version 1, where `loss_weight` (0 or
1) on each message carries the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.datasets.formats.base import Format, Record, register
from engine.datasets.formats.masks import conversation_problems, mask_problems, trained, within
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import SHAPE, WRONG_MASK
from engine.datasets.templates.markup import THINK
from engine.samples.splice import Turn

NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
WEIGHED = ("role", "content", "loss_weight")


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """A record for each trained turn; one in all with `loss_weight`."""
    kept = within(turns, options)
    if options.loss_weight:
        return [{"messages": [weighed(turn) for turn in kept]}] if kept else []
    rows = [{"from": NAMES[turn.role], "value": turn.content} for turn in kept]
    return [
        {"conversations": [*rows[:place], {"from": NAMES[turn.role], "value": _spoken(turn)}]}
        for place, turn in enumerate(kept)
        if trained(turn)
    ]


def _spoken(turn: Turn) -> str:
    """A turn's text, a trained one's with its reasoning at the head: no message has a place of its own for it."""
    if not (turn.reasoning and trained(turn)):
        return turn.content
    return f"{THINK[0]}{turn.reasoning}{THINK[1]}{turn.content}"


def weighed(turn: Turn) -> Record:
    """A message of version 1."""
    return {
        "role": turn.role,
        "content": [{"type": "text", "value": _spoken(turn)}],
        "loss_weight": 1.0 if trained(turn) else 0.0,
    }


def validate(record: Record) -> list[str]:
    """What is wrong with a record."""
    if tuple(record) == ("conversations",):
        rows = record["conversations"]
        return conversation_problems(rows, lambda role: ("from", "value"), "from", "value", ("system", "human", "gpt"))
    if tuple(record) == ("messages",):
        return weighed_problems(record)
    return [SHAPE]


def weighed_problems(record: Record) -> list[str]:
    """What is wrong with a record of version 1."""
    rows = record["messages"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) and tuple(row) == WEIGHED for row in rows):
        return [SHAPE]
    texts = []
    for row in rows:
        parts = row["content"]
        if not isinstance(parts, list) or len(parts) != 1 or tuple(parts[0]) != ("type", "value"):
            return [SHAPE]
        texts.append({"role": row["role"], "content": parts[0]["value"]})
    problems = conversation_problems(texts, lambda role: ("role", "content"))
    if SHAPE in problems:
        return problems
    if any(row["loss_weight"] != 0 for row in rows if row["role"] != "assistant"):
        problems.append(WRONG_MASK)
    weights = [row["loss_weight"] for row in rows if row["role"] == "assistant"]
    return problems + mask_problems(weights, (0.0, 1.0))


register(
    Format(
        name="sharegpt",
        summary="conversations for LLaMA-Factory, one a trained turn",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="a record ends with the one turn that is trained: LLaMA-Factory needs `mask_history: true`;"
        " with --loss-weight, `loss_weight` on every message",
        validate=validate,
        conversation=conversation,
        columns=True,
        thinks=True,
        trainer="llamafactory",
    )
)
