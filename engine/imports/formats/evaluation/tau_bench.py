"""tau-bench results: a list of runs, `trial` by `trial`; a model plays the user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import listed, part, reward_of, text
from engine.imports.files import RolloutFile
from engine.imports.messages import conversation, shorten
from engine.imports.reader import Reader, ReadOptions


def recognise(file: RolloutFile) -> bool:
    """A run with its task, its trial and its `traj`."""
    return file.has("task_id", "traj", "reward")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a run."""
    for place, row in file.rows():
        with file.reporting(place):
            yield _attempt(row, str(file.path), place)


def _attempt(row: dict[str, Any], source: str, place: str) -> Attempt:
    info = part(row, "info")
    messages = conversation(listed(row, "traj"))
    failed = text(info, "error")
    notes = [f"the run failed, its reward counts as unknown: {shorten(failed)}"] if failed else []
    reward = reward_of(row.get("reward"), notes)
    return Attempt(
        task=f"task {text(row, 'task_id')}",
        source=source,
        format="tau-bench",
        place=place,
        id=f"trial {text(row, 'trial')}" if "trial" in row else "",
        instruction=shorten(text(part(info, "task"), "instruction")),
        messages=messages,
        played_user=True,
        rewards={"reward": reward},
        reward=None if failed else reward,
        reward_range=(0.0, 1.0),
        stop="error" if failed else "",
        cut_off=bool(failed),
        notes=notes,
        raw={"task": info["task"]} if isinstance(info.get("task"), dict) else {},
    )


READER = Reader("tau-bench", "tau-bench results", recognise, read)
