"""The workspaces beside an empty library, where the work of another day may be. No Textual."""

from __future__ import annotations

from pathlib import Path

from agentr_tui.screens.library.rows import BY_COMMAND, EMPTY
from agentr_tui.state.workspace_contents import command_for, contents, workspaces_beside
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.workspace.workspace import Workspace


def empty_lines(workspace: Path) -> list[Line]:
    """What an empty library says: the other workspaces stand before the commands, which 80×24 cuts off."""
    first, last = ([line((text, "text")) for text in words.splitlines()] for words in (EMPTY, BY_COMMAND))
    return first + beside_lines(workspace) + last


def beside_lines(workspace: Path) -> list[Line]:
    """The other workspaces of the folder and how each is opened; nothing where this one holds something."""
    found = workspaces_beside(workspace) if contents(Workspace(workspace)).empty else []
    if not found:
        return []
    wide = max(len(command_for(path)) for path, _ in found)
    rows = [
        line((f"  {command_for(path):<{wide}}", "text"), (f"  {told}", "muted"), indent=wide + 4)
        for path, told in found
    ]
    return [BLANK, line(("Other workspaces in this folder:", "muted")), BLANK, *rows]
