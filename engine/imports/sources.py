"""Reading rollouts from files, folders and patterns: each file by the reader that recognises it, one at a time."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.errors import AgentrError, InputError, foreign_line
from engine.base.untrusted_files import is_folder, what_is
from engine.imports import registry as _registry  # registers the readers
from engine.imports.bounded_json import Malformed
from engine.imports.files import FileState, Problem, RolloutFile, consulted, consulting, look
from engine.imports.formats.chat import NAMES
from engine.imports.formats.coding.openhands_sdk import EVENT_FILE
from engine.imports.formats.coding.reports import evaluations
from engine.imports.formats.evaluation.harbor import SIDECARS, lost_trials
from engine.imports.formats.unreadable import READABLE, kind_of
from engine.imports.reader import Reader, ReadOptions, Rollout, reader_named, reader_of
from engine.imports.wrappers import Part, parts_of

ENDINGS = (".json", ".jsonl", ".traj", ".eval", ".json.gz", ".jsonl.gz", ".traj.gz", ".json.zst", ".jsonl.zst")
"""Of files in a folder: what may hold rollouts. A file that is named is read whatever its ending is."""

FAILED = "the reader failed"
_OTHERS = ("*.trace.jsonl*", "search_results_*.json*")  # traces and trees, which are read elsewhere
_COMPANIONS = re.compile(r"_(materialized_inputs|(aggregate|agent)_metrics|reward_profiling)\.jsonl?$")
"""What NeMo Gym writes beside its rollouts, under their name."""
_BESIDE = SIDECARS | {"metadata.json", "base_state.json", "preds.json", "package.json", "manifest.json", "report.json"}
_PART = re.compile(r"(?P<main>.+)\.(?:cont-\d+|summarization-\d+-\w+)(?P<end>\.json)")

_REWARDS = frozenset(NAMES["reward"] + NAMES["rewards"])

assert _registry


@dataclass
class Rollouts:
    """What is read from some paths. Iterating reads; `problems` grows meanwhile.

    `skipped` counts files of folders that are no rollouts (settings, logs).
    """

    files: list[Path]
    named: frozenset[Path]  # files that were given, not found in a folder
    reader: Reader | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    problems: list[Problem] = field(default_factory=list)
    formats: dict[str, int] = field(default_factory=dict)  # rollouts read, by format
    skipped: int = 0
    folders: list[Path] = field(default_factory=list)  # that were searched
    told: list[str] = field(default_factory=list)  # a line for each file of which a part was read
    states: dict[Path, dict[str, FileState]] = field(default_factory=dict)  # file → all that was looked at for it

    def __iter__(self) -> Iterator[Rollout]:
        """Raises `InputError` at the end where nothing could be read; the line is the first problem's."""
        evaluations.cache_clear()
        for path in self.files:
            with consulting(self.states.setdefault(path, {})):
                consulted(path)
                yield from self._of_file(path)
        if not self.formats:
            raise InputError(self._nothing())

    def _nothing(self) -> str:
        if not self.problems:
            where = ", ".join(map(str, [*self.folders, *self.named][:3])) or "nothing"
            return f"no rollouts in {where}: {READABLE}"
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{self.problems[0]}{more}"

    def _of_file(self, path: Path) -> Iterator[Rollout]:
        try:
            file = look(path)
            reader = self.reader or reader_of(file)
        except AgentrError as error:
            self._problem(path, str(error).removeprefix(f"{path}: "))
            return
        except Malformed as error:
            self._problem(path, str(error))
            return
        except Exception as error:  # another package's `recognise`
            self._problem(path, foreign_line(FAILED, error))
            return
        foreign = reader is None or (self.reader is not None and not _recognises(reader, file))
        parts = self._parts(path, file) if foreign and not self.options.mapping else []
        if parts is None:
            return
        if parts:
            told = ", ".join(part.where for part in parts[:4])
            self.told.append(f"{path}: read as {parts[0].reader.name} from {told}")
            for part in parts:
                yield from self._read(path, part.file, part.reader)
            self.problems += file.problems
            return
        if reader is None:
            if path in self.named or _promises(path) or file.is_broken:
                self._problem(path, kind_of(file))
            else:
                self.skipped += 1
            return
        yield from self._read(path, file, reader)
        self.problems += file.problems

    def _parts(self, path: Path, file: RolloutFile) -> list[Part] | None:
        """The parts of a file that are rollouts, where it is none itself. Of a file that was found in a folder, chats
        count only with a reward: settings hold conversations too. None where that is a problem, which is told."""

        def recognise(part: RolloutFile) -> Reader | None:
            reader = reader_of(part) if self.reader is None else self.reader if self.reader.recognise(part) else None
            strict = reader is not None and reader.name == "chat" and self.reader is None and path not in self.named
            return None if strict and not part.keys & _REWARDS else reader

        try:
            return parts_of(file, recognise)
        except Malformed as error:
            self._problem(path, str(error))
        except Exception as error:  # another package's `recognise`
            self._problem(path, foreign_line(FAILED, error))
        return None

    def _read(self, path: Path, file: RolloutFile, reader: Reader) -> Iterator[Rollout]:
        count = 0
        try:
            for rollout in reader.read(file, self.options):
                count += 1
                self.formats[reader.name] = self.formats.get(reader.name, 0) + 1
                yield rollout
        except (Malformed, AgentrError) as error:
            if isinstance(error, InputError) and str(error).startswith("--map"):
                raise
            self._problem(path, f"{reader.title}: {str(error).removeprefix(f'{path}: ')}")
        except RecursionError:
            self._problem(path, f"{reader.title}: is nested too deeply")
        except OSError as error:
            self._problem(path, f"{reader.title}: {error.strerror or error}")
        except Exception as error:  # another package's code, or a fault of ours: the other files are still read
            self._problem(path, foreign_line(f"{reader.title}: {FAILED}", error))
        if not count and not file.problems and path in self.named and not self.problems:
            self._problem(path, f"{reader.title}: holds no attempts")

    def _problem(self, path: Path, reason: str) -> None:
        self.problems.append(Problem(str(path), "", reason))


def _recognises(reader: Reader, file: RolloutFile) -> bool:
    try:
        return reader.recognise(file)
    except Exception:  # another package's, or a file of another format: its `read` tells
        return False


def _promises(path: Path) -> bool:
    """Whether a file's name says that it holds rollouts, so that being something else is worth a line."""
    name = path.name
    if _COMPANIONS.search(name):
        return False
    return (
        name.endswith((".eval", ".traj", ".traj.json")) or "traject" in name or "rollouts" in name or "traces" in name
    )


def read_rollouts(
    paths: Iterable[str | os.PathLike[str]],
    read_as: str = "",
    mapping: dict[str, str] | None = None,
    only: Container[Path] | None = None,
) -> Rollouts:
    """Returns the rollouts of files in the order of their paths, each file once. Raises `InputError` where a path does
    not exist or a name is unknown.

    `paths`: files, folders (searched to the bottom) and patterns. `read_as`: name of the reader for all files; empty:
    the reader that recognises a file. `mapping`: for chat rows: field of a rollout → path in the row, such as
    `{"reward": "scores.main"}`. `only`: which of the files are read; None: all.
    """
    lost: list[OSError] = []
    files, given, folders = files_of(paths, lost)
    reader = reader_named(read_as) if read_as else None
    problems = [Problem(str(error.filename), "", error.strerror or str(error)) for error in lost]
    if only is None:
        trials = [Problem(str(path), "", reason) for folder in folders for path, reason in lost_trials(folder)]
        problems = trials + problems
    else:
        files = [path for path in files if path in only]
    return Rollouts(files, given, reader, ReadOptions(mapping or {}), problems, folders=folders)


def files_of(
    paths: Iterable[str | os.PathLike[str]], lost: list[OSError]
) -> tuple[list[Path], frozenset[Path], list[Path]]:
    """Returns the files that are read of some paths, those of them that are named, and the folders that are.

    `paths`: files, folders and patterns. `lost`: gets an error for each folder that can't be looked into. Raises
    `InputError` where a path does not exist.
    """
    named: dict[str, Path] = {}
    found: dict[str, Path] = {}
    folders: list[Path] = []
    for path in paths:
        place = Path(path)
        if is_folder(place):
            folders.append(place)
            for inner in files_below(place, lost):
                found.setdefault(os.path.abspath(inner), inner)
        elif what_is(place) is not None:
            named.setdefault(os.path.abspath(place), place)
            found.setdefault(os.path.abspath(place), place)
        elif matched := sorted(glob.glob(os.fspath(path), recursive=True)):
            for name in matched:
                inner_files = files_below(Path(name), lost) if os.path.isdir(name) else [Path(name)]
                for inner in inner_files:
                    found.setdefault(os.path.abspath(inner), inner)
        else:
            raise InputError(f"{path}: no such file or folder")
    given = frozenset(named.values())
    return list(_wholes(found.values(), given)), given, folders


def files_below(folder: Path, lost: list[OSError] | None = None) -> list[Path]:
    """Files below a folder that may hold rollouts, sorted; none that a link leads out of the folder to.

    `lost`: gets an error for each folder that can't be looked into.
    """
    root = os.path.realpath(folder) + os.sep
    names = (
        os.path.join(place, name)
        for place, _, inner in os.walk(folder, onerror=None if lost is None else lost.append)
        for name in inner
        if name.endswith(ENDINGS) and name not in _BESIDE and not any(fnmatch.fnmatch(name, other) for other in _OTHERS)
    )
    inside = (name for name in names if os.path.isfile(name) and os.path.realpath(name).startswith(root))
    return [Path(name) for name in sorted(inside, key=lambda name: name.split(os.sep))]


def _wholes(paths: Iterable[Path], named: frozenset[Path]) -> Iterator[Path]:
    """The files less those that are read as parts of others, unless they were named themselves."""
    conversations: set[Path] = set()
    for path in paths:
        if path in named:
            yield path
        elif EVENT_FILE.fullmatch(path.name):  # the first event stands for its conversation
            if path.parent not in conversations:
                conversations.add(path.parent)
                yield path
        elif not is_part(path):
            yield path


def is_part(path: Path) -> bool:
    """Whether a file is a continuation, or a summary, of a trajectory beside it."""
    found = _PART.fullmatch(path.name)
    return found is not None and path.with_name(found["main"] + found["end"]).is_file()


def mapping_of(told: Iterable[str]) -> dict[str, str]:
    """`--map field=path` options as a mapping. Raises `InputError` for one without `=`."""
    mapping = {}
    for one in told:
        name, equals, path = one.partition("=")
        if not equals or not name.strip() or not path.strip():
            raise InputError(f"--map {one}: write field=path, e.g. --map reward=scores.main")
        mapping[name.strip()] = path.strip()
    return mapping


def recognised(file: RolloutFile) -> str:
    """The name of the format of a file; "" where no reader recognises it."""
    reader = reader_of(file)
    return reader.name if reader else ""
