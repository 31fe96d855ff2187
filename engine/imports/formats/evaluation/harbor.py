"""Harbor's job and trial folders: the files beside a trajectory, which hold its reward.

`jobs/<job>/<trial>/result.json` has task, agent, rewards and exception; `verifier/reward.json`, else `reward.txt`, the
rewards where it has none. Several steps of one task are in `steps/<name>/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import number, part, rows, text
from engine.imports.files import inside, small_json

SIDECARS = frozenset({"config.json", "result.json", "lock.json", "reward.json"})
"""Files of a job that are no rollouts."""


_TELLS = ("result.json", "verifier/reward.txt", "verifier/reward.json")
"""Any of these beside `agent/` makes a folder a trial's."""


def trial_folder(trajectory: Path) -> Path | None:
    """Returns the folder of the trial that holds a trajectory (`agent/trajectory.json`); None outside of Harbor's
    folders."""
    if trajectory.parent.name != "agent":
        return None
    folder = trajectory.parent.parent
    if folder.parent.name == "steps" and inside(folder.parent.parent, "result.json"):
        return folder.parent.parent
    return folder if any(inside(folder, name) for name in _TELLS) else None


def lost_trials(folder: Path) -> Iterator[tuple[Path, str]]:
    """Returns the trials below a folder that left no trajectory, each with its reason."""
    for place, folders, names in os.walk(folder):
        if "result.json" not in names or "steps" in folders or os.path.exists(f"{place}/agent/trajectory.json"):
            continue
        result = small_json(Path(place), "result.json")
        if text(result, "trial_name") and text(result, "task_name"):
            exception = part(result, "exception_info")
            kind, said = text(exception, "exception_type"), text(exception, "exception_message")
            why = f" ({kind}: {said[:200]})" if kind else ""
            yield Path(place), f"the trial left no trajectory (agent/trajectory.json){why}"


def with_trial(attempt: Attempt, trajectory: Path) -> Attempt:
    """Returns the attempt with the facts of its trial's folder; unchanged where it is in none."""
    folder = trial_folder(trajectory)
    if folder is None:
        return attempt
    result = small_json(folder, "result.json")
    step = trajectory.parent.parent if trajectory.parent.parent != folder else None
    info, exception = part(result, "agent_info"), part(result, "exception_info")
    task, checksum = text(result, "task_name"), text(result, "task_checksum")
    if task:
        attempt.task = f"{task}@{checksum[:12]}" if checksum else task
        attempt.task += f"/{step.name}" if step else ""
    attempt.id = text(result, "trial_name") or folder.name
    attempt.agent = text(info, "name") or attempt.agent
    attempt.model = text(part(info, "model_info"), "name") or attempt.model
    attempt.environment = text(result, "source")
    attempt.rewards = _rewards(result, folder, step)
    if (told := attempt.rewards.get("reward")) is not None or len(attempt.rewards) == 1:
        attempt.reward = told if told is not None else next(iter(attempt.rewards.values()))
    elif attempt.rewards and "reward" not in attempt.rewards:
        attempt.notes.append(f"several rewards and none named reward: {', '.join(sorted(attempt.rewards))}")
    if result.get("reward_valid") is False:
        attempt.reward = None
        attempt.notes.append("Harbor marks the reward as invalid: it counts as unknown")
    if exception:
        attempt.stop = text(exception, "exception_type") or "exception"
        attempt.cut_off = True
        attempt.raw["exception"] = text(exception, "exception_message")[:1000]
    if checksum:
        attempt.raw["task_checksum"] = checksum
    return attempt


def _rewards(result: dict[str, Any], folder: Path, step: Path | None) -> dict[str, float | None]:
    told = part(result, "verifier_result", "rewards")
    if step is not None:
        named = [
            row for row in rows(result, "step_results") if step.name in (text(row, "name"), text(row, "step_name"))
        ]
        told = part(named[0], "verifier_result", "rewards") if named else {}
    beside = step or folder
    told = told or small_json(beside, "verifier/reward.json")
    if told:
        return {name: number(value) for name, value in told.items()}
    place = inside(beside, "verifier/reward.txt")
    if place is None:
        return {}
    try:
        with place.open("rb") as file:
            return {"reward": number(float(file.read(100)))}
    except (OSError, ValueError):
        return {}
