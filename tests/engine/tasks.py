"""A workspace with many tasks: the made tree over and over, each time with a task and an id of its own."""

from __future__ import annotations

from pathlib import Path

from engine.workspace.workspace import Workspace
from tests.engine.made import honey_trace, revised


def task_trace(path: Path, number: int) -> Path:
    """The made tree as another task, whose texts differ from every other's."""
    honey_trace(path, trace=f"{number:04x}")
    text = path.read_text(encoding="utf-8")
    text = text.replace('"task":"honey"', f'"task":"honey-{number}"').replace('"Rules."', f'"Rules of {number}."')
    path.write_text(text, encoding="utf-8")
    return path


def tasks_workspace(folder: Path, tasks: int) -> Workspace:
    """A workspace with so many traces and one run over them: five exported revision samples a task, two good ones."""
    workspace = Workspace.open(folder, create=True)
    traces = [task_trace(workspace.traces / f"{number:03d}.trace.jsonl", number) for number in range(tasks)]
    revised(workspace, *traces)
    return workspace
