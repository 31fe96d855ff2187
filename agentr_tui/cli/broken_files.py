"""The files of a folder that can't be read: each is reported once, and the others are processed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agentr_tui.terminal.output import warn
from engine.base.errors import InputError
from engine.trace.sources import Source, is_trace, load_any
from engine.trace.trace_file import NoEvents, read_events
from engine.tree.events import Started


class BrokenFiles:
    """What a command could not read of the folders that it was given. A file that was named itself is an error."""

    def __init__(self, named: Iterable[Path]) -> None:
        self.named = set(named)
        self.told: dict[Path, str] = {}  # path → the line
        self.empty: set[Path] = set()  # traces whose search was killed before its first event: no fault of the file

    @property
    def code(self) -> int:
        """The exit code that they make."""
        return int(bool(self.told))

    def tell(self, path: Path, error: InputError) -> None:
        """Say that a file can't be read. Raises `error` where a person named that very file."""
        if path in self.named:
            raise error
        if isinstance(error, NoEvents):
            if path not in self.empty:
                warn(f"{error}: its search was killed before its first event")
            self.empty.add(path)
        elif path not in self.told:
            self.told[path] = str(error)
            warn(str(error))

    def __contains__(self, path: Path) -> bool:
        return path in self.told or path in self.empty

    def load(self, path: Path, environment: str | None = None) -> Source | None:
        """Returns a trace or tree file; None where it can't be read, which is reported."""
        if path in self:
            return None
        try:
            return load_any(path, environment=environment)
        except InputError as error:
            self.tell(path, error)
            return None

    def each(self, paths: Iterable[Path], environment: str | None = None) -> Iterator[tuple[Path, Source]]:
        """Yields the traces and tree files that can be read; the others are reported."""
        for path in paths:
            source = self.load(path, environment)
            if source is not None:
                yield path, source

    def first(self, path: Path) -> Started | None:
        """Returns the first event of a trace; None for a tree file, and where it can't be read, which is reported."""
        if not is_trace(path.name) or path in self:
            return None
        try:
            found = next(iter(read_events(path)), None)
        except InputError as error:
            self.tell(path, error)
            return None
        return found if isinstance(found, Started) else None

    def as_json(self) -> dict[str, list[dict[str, str]]]:
        """The files with their lines, as a field of a command's JSON; none where all could be read."""
        found = [{"path": str(path), "error": line} for path, line in self.told.items()]
        return {"unreadable": found} if found else {}
