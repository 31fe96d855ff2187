"""`agent-r`: the lines of the original, key for key.

A message of an assistant after the header has `loss`; the header's and users' messages have none. Lines of good
trajectories hold `task_num`, `revise_log` and `revise` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.datasets.formats.base import Format, Item, Record, register
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.preparation import escaped_record, ready
from engine.datasets.formats.rules import EMPTY, NO_MASK, ROLES, SHAPE, UNTRAINED, WRONG_MASK, alternate
from engine.datasets.templates.tokens import fitting, length
from engine.samples.sample import Sample
from engine.samples.splice import Turn, trajectory_turns
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

CENTRIC_KEYS = ("task_num", "revise_log", "high_log", "low_log", "task_description", "revise", "revise_feedback")
GOOD_KEYS = ("task_num", "revise_log", "revise")
FEEDBACK_KEYS = ("revision_feedback", "action", "obs", "judgement")
TASK_DESCRIPTION = 3  # place of the message that holds the goal


def messages(turns: Sequence[Turn]) -> list[Record]:
    """Turns as messages; `loss` where a turn has a mask."""
    rows: list[Record] = []
    for turn in turns:
        row: Record = {"role": turn.role, "content": turn.content}
        if turn.loss is not None:
            row["loss"] = turn.loss
        rows.append(row)
    return rows


def build(item: Item, options: FormatOptions) -> list[Record]:
    """One line; a length limit cuts the trained trajectory only. None where nothing trained is left of it."""
    turns: Sequence[Turn] = ready(item.turns, options)
    if options.max_length is not None and length(turns, options.measure, options.markup) > options.max_length:
        turns = fitting(turns, options.max_length, options.measure, options.markup)
        if not any(turn.loss for turn in turns):
            return []
    return [line(item.tree, item.sample, turns, options)]


def line(tree: SearchTree, sample: Sample, turns: Sequence[Turn], options: FormatOptions) -> Record:
    """Returns one line of the original's format.

    `tree`: the search. `sample`: the sample. `turns`: its conversation, ready to be written. `options`: how records are
    made.
    """
    if sample.kind == "good":
        return {"task_num": sample.task, "revise_log": messages(turns), "revise": False}
    assert tree.started is not None
    header = tree.started.header
    description = header[TASK_DESCRIPTION] if len(header) > TASK_DESCRIPTION else header[-1] if header else None
    revised = sample.kind in ("revision", "recovery")
    low = low_end(tree, sample)
    record = {
        "task_num": sample.task,
        "revise_log": messages(turns),
        "high_log": messages(ready(trajectory_turns(tree, sample.good), options)),
        "low_log": messages(ready(trajectory_turns(tree, low), options)),
        "task_description": description.content if description else "",
        "revise": revised,
        "revise_feedback": feedback(tree, low, sample.judgements) if revised else "",
    }
    return escaped_record(record, options.control) if options.escape else record


def low_end(tree: SearchTree, sample: Sample) -> int:
    """Where the bad trajectory ends: at its leaf; of a recovery, which has none, at the wrong step."""
    if sample.bad is not None:
        return sample.bad
    path = tree.ancestors(sample.good)
    return path[sample.mark or 0]


def feedback(tree: SearchTree, bad: int, judgements: Sequence[Judgement]) -> list[Record]:
    """Returns what the verifier said about each step of the bad trajectory, one record a judged step.

    `tree`: the search. `bad`: the last node of the trajectory. `judgements`: of its steps.
    """
    path = tree.ancestors(bad)
    rows: list[Record] = []
    for judgement in judgements:
        if judgement.step >= len(path):
            continue
        node = tree.nodes[path[judgement.step]]
        text = judgement.raw
        if "Judgement:" not in text:  # a model's own spelling is none of the original's
            text = f"Reason: {judgement.reason}\nJudgement: {judgement.word}"
        rows.append(
            {
                "revision_feedback": text,
                "action": node.action,
                "obs": node.observation,
                "judgement": text.rsplit("Judgement:", 1)[-1].strip(),
            }
        )
    return rows


def validate(record: Record) -> list[str]:
    """What is wrong with a line."""
    if tuple(record) not in (CENTRIC_KEYS, GOOD_KEYS):
        return [SHAPE]
    if not isinstance(record["task_num"], str) or not isinstance(record["revise"], bool):
        return ["`task_num` is not a string, or `revise` not a boolean"]
    problems: list[str] = []
    for log in ("revise_log", "high_log", "low_log"):
        if log in record:
            problems.extend(log_problems(record[log]))
    for row in record.get("revise_feedback") or ():
        if tuple(row) != FEEDBACK_KEYS:
            problems.append(SHAPE)
    return list(dict.fromkeys(problems))


def log_problems(log: Any) -> list[str]:
    """What is wrong with one list of messages."""
    if not isinstance(log, list) or not all(isinstance(row, dict) and {"role", "content"} <= set(row) for row in log):
        return ["not a list of messages"]
    problems = []
    roles = [row["role"] for row in log]
    if not alternate(roles[1:] if roles[:1] == ["system"] else roles):
        problems.append(ROLES)
    if not all(isinstance(row["content"], str) and row["content"].strip() for row in log):
        problems.append(EMPTY)
    masks = [row.get("loss") for row in log if row["role"] == "assistant"]
    first = next((place for place, mask in enumerate(masks) if mask is not None), len(masks))
    if any(not isinstance(mask, bool) for mask in masks[first:]) or first > 1:  # only the header's `Ok.` has none
        problems.append(NO_MASK)
    if any("loss" in row for row in log if row["role"] != "assistant"):
        problems.append(WRONG_MASK)
    if True not in masks:
        problems.append(UNTRAINED)
    return problems


register(
    Format(
        name="agent-r",
        summary="the original's JSON Lines: revision trajectory, both trajectories, the verifier's feedback",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="`loss` (true or false) on every message of the assistant after the header; a message without it is"
        " untrained",
        validate=validate,
        build=build,
    )
)
