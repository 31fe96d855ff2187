"""`atif`: each sample as a trajectory in ATIF 1.7, for Harbor's viewers and whoever else reads it.

ATIF has no mask: `extra.untrained` stands on an agent's step that is not trained, and task, return and the sample's id
in the document's `extra`. `engine.imports` reads it again, message by message.
"""

from __future__ import annotations

from dataclasses import replace

from engine.datasets.formats.base import Format, Item, Record, register
from engine.datasets.formats.masks import trained, within
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.preparation import ready
from engine.datasets.formats.rules import SHAPE, UNTRAINED
from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.formats.atif_rules import problems
from engine.imports.formats.writing import atif_document
from engine.samples.splice import Turn


def build(item: Item, options: FormatOptions) -> list[Record]:
    """One document; none where nothing trained is left within the length."""
    turns = ready(item.turns, options)
    kept = within(turns, options)
    if not kept:
        return []
    if len(kept) == len(within(turns, replace(options, max_length=None))):
        kept = turns  # with what came of the last step: nothing is predicted from a trajectory
    sample, started = item.sample, item.tree.started
    reward = float(sample.expected_return)
    attempt = Attempt(
        task=sample.task,
        source=sample.path,
        format="agentr",
        id=sample.id,
        agent="agentr",
        model=started.settings.model if started is not None else "",
        environment=sample.environment,
        tools=list(options.tools),
        messages=[_message(turn) for turn in kept],
        rewards={"reward": reward},
        reward=reward,
    )
    document = atif_document(attempt)
    document["extra"] |= {"kind": sample.kind, "trace": sample.trace}
    return [document]


def _message(turn: Turn) -> AttemptMessage:
    return AttemptMessage(
        role=turn.role,  # type: ignore[arg-type]  # one of the four
        content=turn.content,
        tool_calls=turn.calls,
        tool_call_id=turn.call_id,
        name=turn.name,
        reasoning=turn.reasoning if trained(turn) else "",
        untrained=turn.role == "assistant" and not trained(turn),
    )


def validate(record: Record) -> list[str]:
    """What is wrong with a document."""
    if problems(record):
        return [SHAPE]
    steps = (step for step in record["steps"] if step["source"] == "agent")
    return [] if any(not step.get("extra", {}).get("untrained") for step in steps) else [UNTRAINED]


register(
    Format(
        name="atif",
        summary="trajectories in ATIF 1.7, for Harbor's viewers and other readers of it",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`extra.untrained` on an agent's step that is not trained",
        validate=validate,
        build=build,
        thinks=True,
        calls="own",
    )
)
