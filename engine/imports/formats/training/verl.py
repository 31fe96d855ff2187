"""Dumps of trainers that keep a rollout as flat text: verl's `rollout_data_dir`, SkyRL's evaluation results.

Flat text does not show turns and calls: an attempt is one user message and one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, number, reward_of, text
from engine.imports.files import RolloutFile
from engine.imports.messages import digest_key, instruction_of
from engine.imports.reader import Reader, ReadOptions

_FLAT = "the file holds flat text: turns and tool calls can't be told apart"


def recognise(file: RolloutFile) -> bool:
    """`input`, `output` and `score` (verl), or SkyRL's names for them."""
    verl = file.has("input", "output", "score") and bool(file.keys & {"step", "gts", "request_id", "acc"})
    return verl or file.has("input_prompt", "output_response", "score")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row; rows of the same input are attempts at the same task."""
    for place, row in file.rows():
        with file.reporting(place):
            yield _attempt(row, str(file.path), place)


def _attempt(row: dict[str, Any], source: str, place: str) -> Attempt:
    asked = row.get("input", row.get("input_prompt"))
    said = row.get("output", row.get("output_response"))
    if not isinstance(asked, str) or not isinstance(said, str):
        raise Malformed("its input or output is no text")
    messages = [AttemptMessage(role="user", content=asked), AttemptMessage(role="assistant", content=said)]
    score, notes = row.get("score"), [_FLAT]
    if isinstance(score, list):
        scores = [number(one) for one in score]
        known = [one for one in scores if one is not None]
        score = sum(known) if known and len(known) == len(scores) else None
        notes += [] if score is not None else ["a score of a token is no number: the reward counts as unknown"]
        notes.append("the score is given for each token: the reward is their sum")
    reward, stop = reward_of(score, notes, "score"), text(row, "stop_reason")
    return Attempt(
        task=digest_key(messages),
        source=source,
        format="verl",
        place=place,
        id=text(row, "request_id"),
        environment=text(row, "env_class") or text(row, "data_source"),
        instruction=instruction_of(messages),
        messages=messages,
        rewards={"reward": reward, **({"acc": number(row["acc"])} if "acc" in row else {})},
        reward=reward,
        stop=stop,
        cut_off=stop in ("length", "max_tokens"),
        notes=notes,
        raw={key: row[key] for key in ("step", "gts") if isinstance(row.get(key), str | int | float)},
    )


READER = Reader("verl", "verl and SkyRL dumps", recognise, read)
