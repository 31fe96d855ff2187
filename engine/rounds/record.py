"""The record of rounds: a JSON file a round, with what each stage ran, what it gave and which files it made.

WORKSPACE/rounds/NAME/round-0.json    the model before any learning, evaluated
WORKSPACE/rounds/NAME/round-1.json    collect → revise → export → learn → evaluate
WORKSPACE/rounds/NAME/round-1/        what was learned: the model, notes, logs
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from engine.base.errors import InputError
from engine.base.files import write_beside
from engine.base.intervals import Interval
from engine.base.untrusted_files import UNREADABLE, names_in, open_given, read_given, refused
from engine.search.started_event import code_versions

FOLDER = "rounds"
"""Folder of a workspace."""

MOST_HASHED = 1 << 28
"""Bytes up to which a file's checksum is taken: weights of a model are told by name and size."""

MOST_FILES = 1000
"""Files of a stage that are told."""

_NAME = re.compile(r"round-(\d+)\.json")


class FileMade(Struct, frozen=True):
    """A file that a stage made."""

    path: str  # below the workspace, where it lies there
    size: int
    checksum: str = ""  # SHA-256; "" where it was not taken


class Stage(Struct, kw_only=True):
    """A stage that was done."""

    name: str
    command: list[str]  # of `agentr`, or of a shell
    began: str  # ISO 8601, UTC
    seconds: float
    figures: dict[str, Any]  # what the command printed with `--json`, less its lists
    files: list[FileMade] = []


class Round(Struct, kw_only=True):
    """One round: its beginning, the stages that are done, and its figures."""

    round: int
    model: str = ""  # that collected
    notes: str = ""  # that the actor had
    learned: str = ""  # the model after it
    learned_notes: str = ""
    stages: list[Stage] = []
    code: dict[str, str] = {}

    def stage(self, name: str) -> Stage | None:
        """A stage that was done; None where it was not."""
        return next((stage for stage in self.stages if stage.name == name), None)


def folder_of(workspace: Path, name: str) -> Path:
    """Where the rounds of that name are recorded."""
    return workspace / FOLDER / name


def path_of(folder: Path, number: int) -> Path:
    """The record of a round."""
    return folder / f"round-{number}.json"


def read_round(folder: Path, number: int) -> Round:
    """The record of a round, a new one where nothing was done yet. Raises `InputError`."""
    path = path_of(folder, number)
    if not path.exists():
        return Round(round=number, code=code_versions())
    try:
        return msgspec.json.decode(read_given(path), type=Round)
    except UNREADABLE as error:
        raise InputError(f"{path}: not the record of a round ({error}): move it away to do the round again") from error


def write_round(folder: Path, done: Round) -> None:
    """Keep the record of a round, whole. Raises `InputError`, `WorkFailed`."""
    data = msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n"
    write_beside(path_of(folder, done.round), lambda stream: stream.write(data))


def rounds_in(folder: Path) -> list[Round]:
    """The rounds that are recorded, in their order. Raises `InputError`."""
    numbers = sorted(int(found[1]) for name in names_in(folder) if (found := _NAME.fullmatch(name)))
    return [read_round(folder, number) for number in numbers]


def files_made(paths: Iterable[Path], workspace: Path) -> list[FileMade]:
    """Returns the facts to keep about files; of a folder, about those below it. Missing files are left out. Raises
    `InputError`."""
    found: list[FileMade] = []
    for path in paths:
        below = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for each in below[: MOST_FILES - len(found)]:
            if each.is_file():
                size = each.stat().st_size
                checksum = _checksum(each) if size <= MOST_HASHED else ""
                found.append(FileMade(_shown(each, workspace), size, checksum))
    return found


def _checksum(path: Path) -> str:
    with open_given(path) as stream, refused(path):
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _shown(path: Path, workspace: Path) -> str:
    whole = path.absolute()
    base = workspace.absolute()
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)


# -- the table -----------------------------------------------------------------------------------------------


class Row(Struct, kw_only=True):
    """A round in the table. None: not known, or not done yet."""

    round: int
    model: str  # after the round
    notes: str  # that the actor has after it
    calls: int | None
    lessons: int | None  # of the run of `revise`
    samples: int | None
    lines: int | None  # of the dataset
    score: dict[str, float] | None  # value, low, high
    success: dict[str, float] | None
    gain: dict[str, float] | None  # of the score, task by task, against the round before
    done: list[str]  # stages
    seconds: float


def row_of(done: Round) -> Row:
    """A round in the table."""

    def figure(stage: str, *names: str) -> Any:
        found = done.stage(stage)
        value: Any = None if found is None else found.figures
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return Row(
        round=done.round,
        model=done.learned or done.model,
        notes=done.learned_notes or done.notes,
        calls=_whole(figure("collect", "calls")),
        lessons=_whole(figure("revise", "lessons")),
        samples=_whole(figure("revise", "samples")),
        lines=_whole(figure("export", "lines")),
        score=_bounds(figure("eval", "scores", "score")),
        success=_bounds(figure("eval", "scores", "success")),
        gain=_bounds(figure("eval", "difference", "score")),
        done=[stage.name for stage in done.stages],
        seconds=round(sum(stage.seconds for stage in done.stages), 3),
    )


def _whole(value: Any) -> int | None:
    """A count as a command printed it; None where the file has none: anybody may have written it."""
    return value if type(value) is int else None


def _bounds(value: Any) -> dict[str, float] | None:
    """A value with its interval, as `_whole`."""
    try:
        found: dict[str, float] = msgspec.to_builtins(msgspec.convert(value, Interval))
    except (msgspec.ValidationError, OverflowError):
        return None
    return found


def table_of(rounds: Sequence[Round]) -> list[Row]:
    """The table of rounds."""
    return [row_of(each) for each in rounds]


COLUMNS = ("round", "model", "calls", "lessons", "samples", "lines", "score", "gain", "success", "time")
"""Of the table as people read it."""


def cells_of(row: Row) -> list[str]:
    """A row of the table as people read it, a text for each of `COLUMNS`."""
    return [
        str(row.round), _learner(row), _count(row.calls), _count(row.lessons), _count(row.samples),
        _count(row.lines), _interval(row.score), _interval(row.gain, sign=True), _interval(row.success),
        f"{row.seconds:.0f} s",
    ]  # fmt: skip


def _learner(row: Row) -> str:
    names = [Path(row.model).parent.name if Path(row.model).name == "model" else row.model]
    names += [f"notes of {Path(row.notes).parent.name}"] if row.notes else []
    return ", ".join(name for name in names if name) or "–"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _interval(value: dict[str, float] | None, sign: bool = False) -> str:
    if value is None:
        return "–"
    told = str(Interval(**value))
    return f"+{told}" if sign and value["value"] > 0 else told
