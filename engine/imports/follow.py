"""Growing rollouts: files that change, or beside which a result comes, and new files are imported again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.base.errors import AgentrError, InputError
from engine.imports.files import FileState, file_state
from engine.imports.sources import files_of
from engine.imports.trace_store import store
from engine.imports.trees import ImportOptions, import_rollouts

SECONDS = 2.0
"""Between two looks."""


States = dict[Path, dict[str, FileState]]
"""File of rollouts → all files that its attempts depend on (a result beside it, too), as they were when it was read."""


class Following:
    """Adds new attempts in rollouts to the traces of a folder, and those that went on.

    `wanted` returns the paths of the rollouts at each look. `seen`: what was read already. `decided`: see
    `engine.imports.trace_store.store`.
    """

    def __init__(
        self,
        wanted: Callable[[], Sequence[Path]],
        options: ImportOptions,
        traces: Path,
        seen: States | None = None,
        decided: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self.wanted, self.options, self.traces, self.decided = wanted, options, traces, decided
        self.seen: States = seen or {}
        self.problem = ""  # why the last look came to nothing

    def look(self) -> int:
        """Import again what changed; returns how many attempts are new. A row that is half written is read when it is
        whole, a file that can't be read is tried again when it changes."""
        paths = self.wanted()
        try:
            files = files_of(paths, [])[0]
        except InputError as error:
            self.problem = str(error)
            return 0
        self.seen = {path: self.seen[path] for path in files if path in self.seen}
        changed = {path for path in files if path not in self.seen or _differs(self.seen[path])}
        if not changed:
            return 0
        self.problem = ""
        self.seen.update({path: {str(path): file_state(path)} for path in changed})
        try:
            found = import_rollouts(paths, self.options, only=changed)
        except (AgentrError, OSError) as error:  # nothing could be read
            self.problem = str(error)
            return 0
        self.seen.update(found.states)
        try:
            return store(found, self.traces, self.options.merge, self.decided, partial=True).new
        except (AgentrError, OSError) as error:  # somebody writes the trace just now: next time
            self.problem = str(error)
            for path in changed:
                self.seen.pop(path, None)
            return 0

    @contextmanager
    def looking(self, seconds: float = SECONDS) -> Iterator[None]:
        """Look again and again, beside what is done meanwhile."""
        over = threading.Event()

        def go_on() -> None:
            while not over.wait(seconds):
                self.look()

        thread = threading.Thread(target=go_on, name="rollouts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _differs(states: dict[str, FileState]) -> bool:
    return any(file_state(path) != state for path, state in states.items())
