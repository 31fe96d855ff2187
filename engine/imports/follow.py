"""Growing rollouts: files that become longer, and new files in a folder, are imported again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.base.errors import AgentrError
from engine.imports.sources import files_below
from engine.imports.trees import ImportOptions, import_rollouts, store

SECONDS = 2.0
"""Between two looks."""


class Following:
    """Adds new attempts in rollouts to the traces of a folder. `wanted` returns the paths of the rollouts at each look.

    Attempts that exist when it is made count as read.
    """

    def __init__(self, wanted: Callable[[], Sequence[Path]], options: ImportOptions, traces: Path) -> None:
        self.wanted, self.options, self.traces = wanted, options, traces
        self.seen = dict(_states(wanted()))  # when a file changed last, and its length
        self.problem = ""  # why the last look came to nothing

    def look(self) -> int:
        """Import again where a file changed; returns how many attempts are new. A row that is half written is read when
        it is whole, a file that can't be read is tried again when it changes."""
        paths = self.wanted()
        seen = dict(_states(paths))
        if seen == self.seen or not seen:
            return 0
        self.seen, self.problem = seen, ""
        try:
            found = import_rollouts(paths, self.options)
        except (AgentrError, OSError) as error:
            self.problem = str(error)
            return 0
        try:
            return store(found, self.traces, self.options.merge)[1]
        except (AgentrError, OSError) as error:  # somebody writes the trace just now: next time
            self.seen, self.problem = {}, str(error)
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


def _states(paths: Sequence[Path]) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in paths:
        for file in files_below(path) if path.is_dir() else [path]:
            try:
                found = os.stat(file)
            except OSError:  # it went meanwhile
                continue
            yield os.fspath(file), (found.st_mtime_ns, found.st_size)
