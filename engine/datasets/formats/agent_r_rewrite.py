"""`agent-r-rewrite`: the original's file for training (one JSON array), with the mask that the original drops.

Records are conversations of rounds, as XTuner reads them: `input` is the user's turn, `output` the assistant's,
`system` stands in the first round. `output_with_loss`, a boolean, says whether `output` is trained; XTuner takes a
round without it as trained, so it stands in every round, also at the header's `Ok.`, which is not. An observation
after the last response is dropped: there is no output to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.datasets.formats.base import Format, Record, register
from engine.datasets.formats.masks import trained, within
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import EMPTY, NO_MASK, SHAPE, UNTRAINED
from engine.samples.splice import Turn

FIRST_KEYS = ("system", "input", "output", "output_with_loss")


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """One conversation."""
    rounds: list[Record] = []
    system, asked = "", ""
    for turn in within(turns, options):
        if turn.role == "system":
            system = turn.content
        elif turn.role == "user":
            asked = turn.content
        else:
            row: Record = {} if rounds else {"system": system}
            row.update(input=asked, output=turn.content, output_with_loss=trained(turn))
            rounds.append(row)
            asked = ""
    return [{"conversation": rounds}] if rounds else []


def validate(record: Record) -> list[str]:
    """What is wrong with a conversation."""
    rounds = record.get("conversation")
    if tuple(record) != ("conversation",) or not isinstance(rounds, list) or not rounds:
        return ["not a conversation"]
    problems = []
    for place, row in enumerate(rounds):
        if not isinstance(row, dict) or tuple(row) != (FIRST_KEYS[1:] if place else FIRST_KEYS):
            return [SHAPE]
    if not all(isinstance(row[key], str) and row[key].strip() for row in rounds for key in ("input", "output")):
        problems.append(EMPTY)
    if not all(isinstance(row["output_with_loss"], bool) for row in rounds):
        problems.append(NO_MASK)
    if not any(row["output_with_loss"] is True for row in rounds):
        problems.append(UNTRAINED)
    return problems


register(
    Format(
        name="agent-r-rewrite",
        summary="one JSON array of conversations for XTuner, as the original rewrites its lines, with the mask",
        array=True,
        extension=".json",
        data_types=("centric", "good"),
        mask="`output_with_loss` (true or false) on every round; XTuner takes a round without it as trained",
        validate=validate,
        conversation=conversation,
        calls="text",
        trainer="xtuner-rounds",
    )
)
