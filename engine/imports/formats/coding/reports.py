"""The verdict of a SWE-bench evaluation on an instance, in a report beside the trajectories of an agent.

No coding agent writes its reward into its trajectory. It is in `report.json` or `results.json` of the same run; in a
report for each instance below the run's folder (`run_evaluation/…/INSTANCE/report.json`); or in the summary that
SWE-bench writes, `MODEL.RUN.json` with its `resolved_ids`.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import number, part
from engine.imports.files import RolloutFile, consulted, small_json

NAMES = ("report.json", "results.json")
_EVALUATIONS = re.compile(r"eval|report|log|result", re.I)  # folders that hold reports of instances
_DEEPEST = 5  # folders below one of these
_MOST_REPORTS = 100_000
_MOST_SUMMARIES = 64


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
    told = _beside(trajectory, instance)
    if told is None:
        own = trajectory.parent
        told = _evaluated(own.parent if own.name == instance else own, instance, attempt.model)
    if told is not None:
        attempt.rewards["resolved"] = attempt.reward = told
        attempt.reward_range = (0.0, 1.0)
        return attempt
    attempt.notes.append("the file holds no reward, and no report (report.json) beside it names the instance")
    return attempt


def _beside(trajectory: Path, instance: str) -> float | None:
    for folder in (trajectory.parent, trajectory.parent.parent):
        for name in NAMES:
            if (told := resolved(small_json(folder, name), instance)) is not None:
                return told
    return None


def _evaluated(run: Path, instance: str, model: str) -> float | None:
    """What an evaluation in the run's folder says; None where several disagree."""
    found = evaluations(run)
    for place in found.folders:
        consulted(place)
    own = tuple(name for name in (model.replace("/", "__"), run.name) if name)
    reports = found.reports.get(instance, [])
    if len(reports) > 1:
        reports = [place for place in reports if any(name.startswith(own) for name in place.parts[-4:-2])] or reports
    summaries = found.summaries
    if len(summaries) > 1:  # of several runs: those that name the model, or the folder
        summaries = [place for place in summaries if place.name.startswith(own)]
    for places in (reports, summaries):
        told = {resolved(small_json(place.parent, place.name), instance) for place in places} - {None}
        if told:
            return told.pop() if len(told) == 1 else None
    return None


class Evaluations:
    """What of an evaluation lies in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.reports: dict[str, list[Path]] = {}  # instance → its reports; several where it was evaluated again
        self.folders: list[Path] = []  # that may get more
        self.summaries: list[Path] = []
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if _EVALUATIONS.search(entry.name):
                    self._look_through(Path(entry.path))
            elif _may_be_summary(entry) and len(self.summaries) < _MOST_SUMMARIES and _is_summary(entry.path):
                self.summaries.append(Path(entry.path))

    def _look_through(self, folder: Path) -> None:
        for place, inner, names in os.walk(folder):
            inner.sort()
            depth = len(Path(place).parts) - len(folder.parts)
            if depth >= _DEEPEST or len(self.reports) >= _MOST_REPORTS:
                inner.clear()
            if "report.json" in names:
                self.reports.setdefault(os.path.basename(place), []).append(Path(place) / "report.json")
                inner.clear()
            elif depth < 3:
                self.folders.append(Path(place))


def _may_be_summary(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return (
        name.endswith(".json")
        and not name.endswith(".traj.json")
        and entry.is_file()
        and entry.stat().st_size < 1 << 24
    )


def _is_summary(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b'"resolved_ids"' in file.read(1 << 24)
    except OSError:
        return False


evaluations = functools.lru_cache(maxsize=64)(Evaluations)
"""Those of a folder; looked for once an import (`evaluations.cache_clear`)."""


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
