"""`sharegpt`: conversations for LLaMA-Factory.

Its converter drops whatever else a message has, so no key can carry a mask. What it can do is train the last turn
alone (`mask_history: true`). So each trained turn gets a record of its own: the conversation up to that turn. The
number of records to a sample is the *factor*, and grows with the trained turns.

With `loss_weight` a sample is one record, in the message form of LLaMA-Factory's version 1, where `loss_weight` (0 or
1) on each message carries the mask.

Calls of tools are `function_call` and `observation`, beside a column `tools`.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.datasets.formats.base import Format, Record, register
from engine.datasets.formats.masks import TOOLS, conversation_problems, mask_problems, tools_column, trained, within
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import SHAPE, WRONG_MASK
from engine.datasets.templates.markup import THINK
from engine.datasets.templates.tool_calls import RESULT, as_texts, call_json, said_text
from engine.samples.splice import Turn

NAMES = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
CALLED = "function_call"
BETWEEN = "".join((RESULT[1], "\n", RESULT[0]))
PAIRED = ("system", "human", "gpt", "observation", CALLED)
WEIGHED = ("role", "content", "loss_weight")


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """A record for each trained turn; one in all with `loss_weight`."""
    kept = within(turns, options)
    if options.loss_weight:
        return [{"messages": [weighed(turn) for turn in as_texts(kept, options.tools)]}] if kept else []
    tools = tools_column(kept, options)
    rows: list[Record] = []
    records = []
    for turn in kept:
        if trained(turn):
            records.append({"conversations": [*rows, _row(turn, _spoken(turn))], **tools})
        if turn.role == "tool" and rows[-1]["from"] == NAMES["tool"]:  # one a turn: the template puts marks around it
            rows[-1] = {**rows[-1], "value": f"{rows[-1]['value']}{BETWEEN}{turn.content}"}
        else:
            rows.append(_row(turn, turn.content))
    return records


def _row(turn: Turn, text: str) -> Record:
    """A message. One that says something beside its calls is the text that the template makes of both: a function call
    has no place for it."""
    if not turn.calls:
        return {"from": NAMES[turn.role], "value": text}
    if text:
        return {"from": NAMES[turn.role], "value": said_text(text, turn.calls)}
    calls = [call_json(call) for call in turn.calls]
    return {"from": CALLED, "value": calls[0] if len(calls) == 1 else f"[{', '.join(calls)}]"}


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
    if tuple(record) in (("conversations",), ("conversations", TOOLS)):
        rows = record["conversations"]
        return conversation_problems(rows, lambda role: ("from", "value"), "from", "value", PAIRED)
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
        calls="native",
        trainer="llamafactory",
    )
)
