"""The verdict of a SWE-bench evaluation on an instance, in a report beside the trajectories of an agent.

No coding agent writes its reward into its trajectory: `report.json` or `results.json` of the same run hold it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import number, part
from engine.imports.files import RolloutFile, small_json

NAMES = ("report.json", "results.json")


def run_of(file: RolloutFile, instance: str) -> str:
    """Returns what distinguishes the runs of an instance: the first name of file and folders that is not the
    instance's."""
    names = (file.stem, file.path.parent.name, file.path.parent.parent.name)
    return next((name for name in names if name and name != instance), "")


def with_report(attempt: Attempt, trajectory: Path, instance: str) -> Attempt:
    """Returns the attempt with the verdict of a report in its folder or the one above; unchanged but for a note where
    there is none.

    `attempt`: is changed. `trajectory`: its file. `instance`: id of the SWE-bench task.
    """
    for folder in (trajectory.parent, trajectory.parent.parent):
        for name in NAMES:
            told = resolved(small_json(folder, name), instance)
            if told is not None:
                attempt.rewards["resolved"] = attempt.reward = told
                attempt.reward_range = (0.0, 1.0)
                return attempt
    attempt.notes.append("the file holds no reward, and no report (report.json) beside it names the instance")
    return attempt


def resolved(report: dict[str, Any], instance: str) -> float | None:
    """Returns 1 or 0 where a report has a verdict on an instance; else None.

    A report lists ids (`resolved_ids`, `resolved` and others), or has an entry for each instance.
    """
    told = number(part(report, instance).get("resolved"))
    if told is not None:
        return told
    for yes in ("resolved_ids", "resolved"):
        if isinstance(report.get(yes), list):
            if instance in report[yes]:
                return 1.0
            for no in ("unresolved_ids", "submitted_ids", "completed_ids", "unresolved", "applied", "generated"):
                if isinstance(report.get(no), list) and instance in report[no]:
                    return 0.0
    return None
