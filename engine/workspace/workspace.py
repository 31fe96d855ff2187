"""A workspace: the folder that holds traces, runs of `revise`, decisions and exports.

    traces/      what happened; `.trace.jsonl` files
    runs/        what `revise` made of it: one file a run, written once
    decisions/   what people said; append-only (`engine.review.decisions`)
    exports/     what a trainer reads; can always be built again from the rest
    agentr.toml  settings
    index.sqlite a cache; deleting it loses nothing (`engine.workspace.index`)

Every file of the truth has one writer, ever, and is only appended to: fit for a network file system. A run's file
holds a header line, a `Sample` a line, and a last line that seals it. A run that was killed has no last line; what
it holds can still be read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, unusable, unwritten
from engine.base.files import stamp
from engine.base.text import many
from engine.base.untrusted_files import (
    UNREADABLE,
    is_folder,
    lines_of,
    names_in,
    open_given,
    real_path,
    refused,
    what_is,
)
from engine.samples.sample import Sample
from engine.samples.settings import Revised, ReviseSettings

RUN_VERSION = 2  # 1: samples without lessons, every tail as found
FOLDERS = ("traces", "runs", "decisions", "exports")
TAIL = 1 << 16  # bytes; a sealing line is far shorter


class RunHeader(Struct, tag="run", kw_only=True):
    """First line of a run's file."""

    version: int
    run: str  # id; sorts by time
    time: str  # start, ISO 8601, UTC
    settings: ReviseSettings
    paths: list[str]  # as they were given to `revise`


class RunEnd(Struct, tag="end"):
    """Last line of a run's file: the run is complete."""

    samples: int
    figures: Revised


class RunInfo(Struct, kw_only=True):
    """What is known of a run without reading its samples."""

    id: str
    time: str
    settings: ReviseSettings
    paths: list[str]
    file: str
    sealed: bool  # False: still going on, or killed
    samples: int | None = None  # None: not sealed
    figures: Revised | None = None


class Run(Struct, kw_only=True):
    """A run with its samples, in the order in which they were made."""

    info: RunInfo
    samples: list[Sample]
    warnings: list[str] = []


class Selection(Struct, kw_only=True):
    """Samples to review or export: of one run, or of the newest run of each trace."""

    runs: list[RunInfo]  # that samples are of, the newest first
    samples: list[Sample]  # those of the oldest run first, so that what is added comes last
    of_trace: dict[str, RunInfo]  # id of a trace → the run that its samples are of
    paths: list[str] = []  # that these runs were given, each once
    warnings: list[str] = []

    def run_of(self, sample: Sample) -> RunInfo:
        """The run that a sample is of."""
        return self.of_trace[sample.trace]

    def environment_of(self, sample: Sample) -> str | None:
        """The environment that its run replays in; None: the trace's own."""
        return self.of_trace[sample.trace].settings.environment

    @property
    def ids(self) -> list[str]:
        """The runs that samples are of, the newest first."""
        return [info.id for info in self.runs]

    @property
    def name(self) -> str:
        """The runs that samples are of, with blanks between."""
        return " ".join(self.ids)

    @property
    def told(self) -> str:
        """The same in a few words."""
        return f"run {self.runs[0].id}" if len(self.runs) == 1 else f"{len(self.runs)} runs"


_header = msgspec.json.Decoder(RunHeader)
_end = msgspec.json.Decoder(RunEnd)
_sample = msgspec.json.Decoder(Sample)
_END_PREFIX = msgspec.json.encode(RunEnd(0, Revised()))[:12]  # {"type":"end"


def _no_workspace(folder: Path) -> str:
    """Why a folder can't be opened as a workspace, and what to do: often the workspace is another one beside it."""
    if what_is(folder) is not None:
        return f"{folder}: is not a folder: name a workspace with --workspace"
    others: list[str] = []
    with suppress(OSError):
        others = sorted(str(each) for each in folder.parent.iterdir() if is_folder(each / "traces"))
    if others:
        more = f" (and {len(others) - 3} more)" if len(others) > 3 else ""
        return f"{folder}: no such workspace: name one with --workspace, here {', '.join(others[:3])}{more}"
    return f"{folder}: no such workspace: name one with --workspace; agentr search or agentr revise PATH makes one"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder. Reading never writes to it."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = False) -> Workspace:
        """The workspace at `path`; with `create` it is made where it is missing.

        Raises `InputError` where there is none, or it can't be made.
        """
        folder = Path(path)
        if create:
            try:
                for name in FOLDERS:
                    (folder / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise unusable(
                    folder, error, "the workspace can't be made", "name a folder with --workspace"
                ) from error
        elif not is_folder(folder):
            raise InputError(_no_workspace(folder))
        return cls(folder)

    @property
    def traces(self) -> Path:
        """Where traces are."""
        return self.path / "traces"

    @property
    def runs_folder(self) -> Path:
        """Where runs of `revise` are."""
        return self.path / "runs"

    @property
    def decisions(self) -> Path:
        """Where decisions are."""
        return self.path / "decisions"

    @property
    def exports(self) -> Path:
        """Where datasets go."""
        return self.path / "exports"

    @property
    def judgements(self) -> Path:
        """Folder of the replies of models that judged, so that no call is made twice. A cache."""
        return self.path / "cache" / "judgements"

    @property
    def settings_file(self) -> Path:
        """Settings of this workspace; may be missing."""
        return self.path / "agentr.toml"

    @property
    def index_file(self) -> Path:
        """The cache."""
        return self.path / "index.sqlite"

    def new_run(self, settings: ReviseSettings, paths: list[str]) -> RunWriter:
        """Start a run of `revise`. Raises `InputError` where the workspace can't be written."""
        return RunWriter(self.runs_folder, settings, paths)

    def runs(self) -> list[RunInfo]:
        """All runs, newest first. Raises `InputError` for a file that is not a run's."""
        files = (self.runs_folder / name for name in reversed(names_in(self.runs_folder)) if name.endswith(".jsonl"))
        return [info for file in files if (info := read_info(file)) is not None]

    def has_runs(self) -> bool:
        """Whether there is any run, without reading one."""
        return any(name.endswith(".jsonl") for name in names_in(self.runs_folder))

    def run_info(self, id: str | None = None) -> RunInfo:
        """One run; None is the newest that is complete. Raises `InputError` naming those there are."""
        known = self.runs()
        if not known:
            raise InputError(f"{self.path}: no run of `revise` in this workspace: agentr revise PATH… makes one")
        if id is None:
            newest = next((info for info in known if info.sealed), None)
            if newest is None:
                raise InputError(
                    f"{self.path}: no run of `revise` was finished in this workspace: run it again, or name one"
                    f" with --run: {_listed(known)}"
                )
            return newest
        for info in known:
            if info.id == id:
                return info
        raise InputError(f"unknown run {id!r}: one of {_listed(known)}")

    def load_run(self, id: str | None = None) -> Run:
        """One run with its samples; None is the newest that is complete. Raises `InputError`."""
        info = self.run_info(id)
        warnings: list[str] = []
        samples = list(read_samples(info, warnings))
        return Run(info=info, samples=samples, warnings=warnings)

    def select(self, id: str | None = None) -> Selection:
        """The samples of one run; None: those of the newest complete run of each trace. Raises `InputError`."""
        if id is not None:
            run = self.load_run(id)
            return Selection(
                runs=[run.info],
                samples=run.samples,
                of_trace={sample.trace: run.info for sample in run.samples},
                paths=list(run.info.paths),
                warnings=run.warnings,
            )
        newest = self.run_info()
        known = [info for info in self.runs() if info.sealed]
        taken: set[str] = set()  # paths that a newer run was given
        found = Selection(runs=[], samples=[], of_trace={})
        parts: list[list[Sample]] = []
        for info in known:
            given = {self._place(path) for path in info.paths}
            if given <= taken:
                continue
            mine = [
                sample
                for sample in read_samples(info, found.warnings)
                if sample.trace not in found.of_trace and self._place(sample.path) not in taken
            ]
            taken |= given | {self._place(sample.path) for sample in mine}
            found.of_trace.update({sample.trace: info for sample in mine})
            if mine or info.id == newest.id:
                found.runs.append(info)
                found.paths += [path for path in info.paths if path not in found.paths]
                parts.append(mine)
        found.samples = [sample for part in reversed(parts) for sample in part]
        return found

    def _place(self, path: str) -> str:
        """A path by which a file is known, wherever this process stands."""
        for place in (Path(path), self.path / path, self.traces / Path(path).name):
            if os.path.exists(place):
                return str(real_path(place))
        return path


def _listed(known: list[RunInfo], most: int = 8) -> str:
    names = ", ".join(info.id for info in known[:most])
    return names if len(known) <= most else f"{names}, … ({len(known) - most} more)"


def _after_all(folder: Path, now: datetime) -> datetime:
    """The time in the id of a new run: now, or later where a run was made under a clock that runs ahead."""
    for file in sorted(folder.glob("*.jsonl"), reverse=True):
        with suppress(ValueError, OverflowError):
            date, clock, micros = file.stem[:-2].split("-")
            known = datetime.fromisoformat(f"{date}T{clock}.{micros}").replace(tzinfo=UTC)
            return max(now, known + timedelta(microseconds=1))
    return now


class RunWriter:
    """Writes a run of `revise`, a line a sample, and seals it at the end of the `with` block.

    Each line is written at once, so a kill loses at most the one being written. A block that is left by an exception is
    not sealed; where it made no sample, nothing stays.
    """

    def __init__(self, folder: Path, settings: ReviseSettings, paths: list[str]) -> None:
        self.figures = Revised()
        self.samples = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            started = datetime.now(UTC)
            self.id = f"{_after_all(folder, started):%Y%m%d-%H%M%S-%f}{secrets.token_hex(1)}"
            self.path = folder / f"{self.id}.jsonl"
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise unusable(folder, error, "runs can't be written here") from error
        try:
            self._line(RunHeader(version=RUN_VERSION, run=self.id, time=stamp(started), settings=settings, paths=paths))
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def _line(self, row: RunHeader | Sample | RunEnd) -> None:
        data = msgspec.json.encode(row) + b"\n"
        try:
            while data:
                data = data[self._file.write(data) :]
            if isinstance(row, RunEnd):
                os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritten(self.path, error, f"{many(self.samples, 'sample')} kept") from error

    def add(self, sample: Sample) -> None:
        """Write a sample. Raises `WorkFailed` (a full disk)."""
        self._line(sample)
        self.samples += 1

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._line(RunEnd(self.samples, self.figures))
        finally:
            try:
                self._file.close()
            except OSError as failed:  # a network file system may tell only now that it had no room
                raise unwritten(self.path, failed) from failed
        if error is not None and not self.samples:
            self.path.unlink(missing_ok=True)


def read_info(file: Path) -> RunInfo | None:
    """Header and end of a run's file; None where not even the header was written.

    Raises `InputError` for a file of another kind.
    """
    with open_given(file) as stream, refused(file):
        first = next(lines_of(stream, file), b"")
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(len(first), size - TAIL))
        tail = stream.read(TAIL)
    if not first.endswith(b"\n"):
        return None
    header = _decode(_header.decode, first, file, 1)
    if header.version > RUN_VERSION:
        raise InputError(f"{file}:1: run format {header.version}; this version reads up to {RUN_VERSION}")
    if header.version < 2:  # what it does not say was so
        header.settings.tail, header.settings.context, header.settings.per_lesson = "as-found", "as-found", 0
    lines = tail.splitlines()
    sealed = tail.endswith(b"\n") and lines[-1].startswith(_END_PREFIX)
    end = _decode(_end.decode, lines[-1], file, None) if sealed else None
    return RunInfo(
        id=header.run,
        time=header.time,
        settings=header.settings,
        paths=header.paths,
        file=str(file),
        sealed=sealed,
        samples=end.samples if end else None,
        figures=end.figures if end else None,
    )


def read_samples(info: RunInfo, warnings: list[str] | None = None) -> Iterator[Sample]:
    """The samples of a run, one at a time; `warnings` gets a line about an end that is torn off.

    Raises `InputError` naming file and line.
    """
    count = 0
    with open_given(info.file) as stream, refused(info.file):
        for number, line in enumerate(lines_of(stream, info.file), 1):
            if number == 1:
                continue
            if line.startswith(_END_PREFIX) and line.endswith(b"\n"):
                end = _decode(_end.decode, line, info.file, number)
                if end.samples != count:
                    raise InputError(f"{info.file}: holds {count} samples, its last line says {end.samples}")
                return
            if not line.endswith(b"\n"):
                break  # torn
            yield _decode(_sample.decode, line, info.file, number)
            count += 1
    if warnings is not None:
        warnings.append(f"{info.file}: the run was not finished; it holds {many(count, 'sample')}")


T = TypeVar("T")


def _decode(decode: Callable[[bytes], T], line: bytes, file: str | Path, number: int | None) -> T:
    place = f"{file}:{number}" if number else str(file)
    try:
        return decode(line)
    except UNREADABLE as error:
        raise InputError(f"{place}: not a line of a run of `revise`: {error}") from error
