"""atropos groups: a line is the attempts at one task, side by side in lists; roles are the environment's own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import Malformed, reward_of, text
from engine.imports.files import RolloutFile
from engine.imports.messages import conversation, instruction_of
from engine.imports.reader import Reader, ReadOptions


def recognise(file: RolloutFile) -> bool:
    """Tokens, masks and scores of a group."""
    return file.has("tokens", "masks", "scores")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """The attempts of each group."""
    for number_of_group, (place, group) in enumerate(file.rows(), start=1):
        with file.reporting(place):
            yield from _attempts(group, file, place, number_of_group)


def _attempts(group: dict[str, Any], file: RolloutFile, place: str, which: int) -> Iterator[Attempt]:
    told, scores = group.get("messages"), group.get("scores")
    if not isinstance(told, list) or not any(told):
        raise Malformed("the group holds tokens only; have the environment keep its messages")
    scores = scores if isinstance(scores, list) else []
    for index, raw in enumerate(told):
        if not isinstance(raw, list) or not raw:
            file.problem(place, f"attempt {index + 1} of the group has no messages")
            continue
        messages = conversation(raw)
        notes: list[str] = []
        reward = reward_of(scores[index], notes, "score") if index < len(scores) else None
        yield Attempt(
            task=f"{file.stem}/group {which}",
            source=str(file.path),
            format="atropos",
            place=f"{place}, attempt {index + 1}" if place else f"attempt {index + 1}",
            id=str(index + 1),
            instruction=instruction_of(messages),
            messages=messages,
            rewards={"reward": reward},
            reward=reward,
            notes=notes,
            raw={"seed": text(group, "seed")} if "seed" in group else {},
        )


READER = Reader("atropos", "atropos groups", recognise, read)
