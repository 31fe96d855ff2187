"""AgentGym and its relatives: trajectories (`from`, `value`), evaluations, ETO's runs, and lists of transitions.

The first human turn is the instruction of the environment, the second of the model its acknowledgement, not trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile
from engine.imports.messages import conversation, digest_key, shorten
from engine.imports.reader import Reader, ReadOptions

RANGES = {"sciworld": (0.0, 100.0), "webshop": (0.0, 1.0)}
"""Ranges of the returns, by environment, where they are known."""

_ITEM = re.compile(r"([A-Za-z][A-Za-z0-9_-]*?)_(\d+)")


def recognise(file: RolloutFile) -> bool:
    """`conversations` of an `item_id`, ETO's `conversations` beside `meta`, or episodes of transitions."""
    if file.has("conversations") and (file.has("item_id") or file.has("meta")):
        return True
    episodes = file.peek("episodes") if file.has("episodes") else None
    return (
        isinstance(episodes, list)
        and bool(rows({"e": episodes}, "e"))
        and "transitions" in rows({"e": episodes}, "e")[0]
    )


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row, or an episode."""
    for place, row in file.rows():
        if isinstance(row.get("episodes"), list):
            for index, episode in enumerate(rows(row, "episodes")):
                yield _episode(episode, file, f"episode {index + 1}")
            continue
        with file.reporting(place):
            yield _attempt(row, file, place)


def environment_of(item: str) -> tuple[str, str]:
    """The environment and the task of an item's name: `webshop_6` is task 6 of AgentGym's webshop."""
    found = _ITEM.fullmatch(item)
    return (f"agentgym:{found[1].lower()}", found[2]) if found else ("", "")


def _attempt(row: dict[str, Any], file: RolloutFile, place: str) -> Attempt:
    told = row.get("conversations")
    if told is None:
        raise Malformed("has no conversation: an item of an evaluation, not a rollout")
    if not isinstance(told, list):
        raise Malformed("`conversations` is no list")
    messages = conversation(told)
    item, meta = text(row, "item_id") or text(row, "id"), part(row, "meta")
    environment, number_of_task = environment_of(item)
    notes: list[str] = []
    given = row.get("reward", row.get("score", meta.get("reward")))
    reward = reward_of(given, notes)
    success = number(row.get("success", meta.get("success")))
    stop = text(meta, "terminate_reason")
    notes += ["the file holds no reward"] if given is None else []
    return Attempt(
        task=item or file.stem if meta or item else digest_key(messages),
        source=str(file.path),
        format="agentgym",
        place=place,
        environment=environment,
        instruction=_goal(messages),
        messages=messages,
        rewards={
            **({"reward": reward} if reward is not None else {}),
            **({"success": success} if success is not None else {}),
        },
        reward=reward,
        reward_range=RANGES.get(environment.removeprefix("agentgym:")),
        stop=stop,
        cut_off=stop in ("max_steps", "max_step", "exceeding maximum input length") or bool(meta.get("error")),
        notes=notes,
        raw={"environment_task": number_of_task} if number_of_task else {},
    )


def _goal(messages: list[AttemptMessage]) -> str:
    """The second user turn: the first is the environment's instruction to anybody."""
    users = [message.content for message in messages if message.role == "user"]
    return shorten(users[1] if len(users) > 1 else users[0] if users else "")


def _episode(episode: dict[str, Any], file: RolloutFile, place: str) -> Attempt:
    messages: list[AttemptMessage] = []
    rewards = []
    for step in rows(episode, "transitions"):
        messages.append(AttemptMessage(role="assistant", content=text(step, "action")))
        messages.append(AttemptMessage(role="user", content=text(step, "observation")))
        rewards.append(number(step.get("reward")))
    total = number(episode.get("total_reward"))
    success = number(episode.get("success"))
    return Attempt(
        task=f"{file.stem}/{text(episode, 'data_idx') or text(episode, 'episode_id')}",
        source=str(file.path),
        format="agentgym",
        place=place,
        id=text(episode, "episode_id"),
        messages=messages,
        rewards={"reward": total, **({"success": success} if success is not None else {})},
        reward=total,
        notes=["the file leaves the prompt out"],
        raw={"step_rewards": rewards},
    )


READER = Reader("agentgym", "AgentGym trajectories and evaluations", recognise, read)
