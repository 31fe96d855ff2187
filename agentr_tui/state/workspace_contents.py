"""A short list of what a workspace contains, and how to come back to it. Knows no Textual."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from engine.base.errors import AgentrError
from engine.base.untrusted_files import real_path
from engine.review.decisions import Decisions
from engine.trace.sources import is_trace
from engine.workspace.workspace import Workspace

MOST_BESIDE = 8
"""Workspaces beside an empty one that are named."""


class Contents(NamedTuple):
    """How much a workspace contains."""

    traces: int = 0
    runs: int = 0
    decisions: int = 0  # bytes
    exports: int = 0
    newest: float = 0.0  # seconds since the epoch, of the newest trace

    @property
    def empty(self) -> bool:
        """Whether nothing was made in it."""
        return not (self.traces or self.runs or self.decisions or self.exports)


def contents(workspace: Workspace) -> Contents:
    """Returns what a workspace contains; what can't be read counts as nothing."""
    traces = [file for file in _files(workspace.traces) if is_trace(file.name)]
    newest = 0.0
    for file in traces:
        with suppress(OSError):
            newest = max(newest, file.stat().st_mtime)
    decisions = 0
    for file in _files(workspace.decisions):
        with suppress(OSError):
            decisions += file.stat().st_size
    exports = sum(file.name.endswith(".provenance.jsonl") for file in _files(workspace.exports))
    return Contents(len(traces), len(_files(workspace.runs_folder)), decisions, exports, newest)


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [entry for entry in folder.iterdir() if entry.is_file()]
    return []


def contents_told(workspace: Workspace, found: Contents) -> str:
    """The same in a few words: `1 trace, 16 accepted`."""
    accepted = 0
    if found.decisions:
        with suppress(AgentrError):
            current = Decisions(workspace.decisions).current()
            accepted = sum(each.verdict == "accepted" for each in current.values())
    counts = ((found.traces, "trace", "traces"), (accepted, "accepted", "accepted"))
    parts = [f"{count} {one if count == 1 else more}" for count, one, more in counts if count]
    if found.exports:
        parts.append(f"{found.exports} export{'s' if found.exports != 1 else ''}")
    return ", ".join(parts)


def command_for(workspace: Path) -> str:
    """What opens a workspace again, in this folder."""
    if str(workspace) == DEFAULT_WORKSPACE and "AGENTR_WORKSPACE" not in os.environ:
        return "agentr"
    return f"agentr --workspace {shlex.quote(str(workspace))}"


def come_back_line(workspace: Workspace, before: Contents) -> str:
    """Returns how to come back to a workspace in which something was made since; empty where nothing was."""
    now = contents(workspace)
    if now == before or now.empty:
        return ""
    told = contents_told(workspace, now)
    return f"{command_for(workspace.path)}   opens it again" + (f" ({told})" if told else "")


def workspaces_beside(workspace: Path) -> list[tuple[Path, str]]:
    """Other workspaces in the folder of one that hold something, the newest first: each with its contents in words."""
    found = []
    try:
        own = real_path(workspace)
        folders = [entry for entry in (workspace.parent or Path()).iterdir() if entry.is_dir()]
    except OSError:
        return []
    for folder in folders:
        with suppress(OSError):
            if real_path(folder) == own or not (folder / "traces").is_dir():
                continue
            other = Workspace(folder)
            inside = contents(other)
            if not inside.empty:
                found.append((inside.newest, other))
    found.sort(key=lambda each: -each[0])
    return [(other.path, contents_told(other, contents(other))) for _, other in found[:MOST_BESIDE]]
