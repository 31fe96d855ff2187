"""Deletes a trace of the workspace, after a question that says what refers to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from agentr_tui.screens.library.families import counted
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.services import Services
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.safe_text import clip
from engine.base.errors import InputError
from engine.base.text import many
from engine.base.untrusted_files import real_path
from engine.trace.trace_file import is_being_written
from engine.workspace.workspace import Workspace, read_samples


class TraceDeletion:
    """Asks, then deletes; `deleted` is called with the file that is gone."""

    def __init__(self, services: Services, deleted: Callable[[Path], None]) -> None:
        self._services = services
        self._deleted = deleted

    def ask(self, rows: Sequence[TraceRow], below: Sequence[TraceRow] = ()) -> None:
        """Ask whether to delete a trace; say so where it stays in any case. `below`: the searches that began in it."""
        (row,), workspace = rows, self._services.session.workspace
        if not real_path(row.path).is_relative_to(real_path(workspace.traces)):
            self._services.say(f"{row.name} is outside the workspace: it is not moved.", severity="warning")
        elif row.live or is_being_written(row.path):
            self._services.say(f"{row.name} is being written: stop that search first.", severity="warning")
        else:
            trace = row.figures.trace if row.figures else ""
            self._services.in_thread(
                lambda: references(workspace, row.path, trace),
                lambda count: self._ask(row.path, count, below),
                "library",
            )

    def _ask(self, path: Path, count: int, below: Sequence[TraceRow]) -> None:
        name = clip(path.name, 48)
        refer = f"{many(count, 'sample')} of `revise` {'refers' if count == 1 else 'refer'} to it"
        told = [f"Delete {name}?"] + ([f"{refer} and can't be exported without it."] if count else [])
        choices = [
            Choice("escape", "keep it", lambda: None),
            Choice("y", "delete it from the disk", lambda: self.delete(path)),
        ]
        if below:
            told.append(f"The {counted(below)} below it {'stays' if len(below) == 1 else 'stay'}.")
            choices.append(Choice("a", f"delete it with its {counted(below)}", lambda: self._delete_all(path, below)))
        self._services.choose(" ".join(told), choices)

    def _delete_all(self, path: Path, below: Sequence[TraceRow]) -> None:
        inside = real_path(self._services.session.workspace.traces)
        for each in (path, *(row.path for row in below if real_path(row.path).is_relative_to(inside))):
            self.delete(each)

    def delete(self, path: Path) -> None:
        """Delete a trace, unless it is being written."""
        session = self._services.session
        if is_being_written(path):
            self._services.say(f"{path.name} is being written: stop that search first.", severity="warning")
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._services.complain(f"{path}: can't be deleted ({error.strerror or error})")
            return
        with suppress(OSError):
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # left by a search that was killed
        if session.path == path:
            session.follower = None  # the open tree stays on screen
        self._deleted(path)


def references(workspace: Workspace, path: Path, trace: str) -> int:
    """Returns how many samples of the workspace's runs are made from a trace. Runs that can't be read are left out.

    `workspace`: holds the runs. `path`: the trace. `trace`: its id.
    """
    place = str(real_path(path))
    found: set[str] = set()
    try:
        runs = workspace.runs()
    except InputError:
        return 0
    for run in runs:
        with suppress(InputError):
            found.update(item.id for item in read_samples(run) if item.path == place or item.trace == trace)
    return len(found)
