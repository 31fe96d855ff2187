"""Rollouts of other harnesses on the command line: options to read them by, and paths that turn out to be some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.options import INPUT
from agentr_tui.terminal.output import say, warn
from engine.base.errors import InputError
from engine.base.text import many
from engine.base.untrusted_files import is_folder, what_is
from engine.imports.follow import States
from engine.imports.merging.equal_messages import Merge
from engine.imports.recognise import is_rollouts
from engine.imports.sources import files_below, mapping_of
from engine.imports.trace_store import store
from engine.imports.trees import Import, ImportOptions, import_rollouts
from engine.review.decisions import Decisions
from engine.trace.sources import Source, holds_sources, is_trace, is_tree_file, load_any
from engine.trace.trace_file import NoEvents
from engine.workspace.figures import TraceFigures, figures_without_events
from engine.workspace.workspace import Workspace, read_samples

MOST_TOLD = 8
"""Problems that are told one by one."""

ReadAsOption = Annotated[
    str | None,
    Parameter(group=INPUT, name="--read-as", help="Format of rollouts. The default is to recognise it by the content."),
]
MapOption = Annotated[
    list[str] | None,
    Parameter(
        group=INPUT,
        name="--map",
        negative="",
        help="Where rows of rollouts hold a field, written FIELD=PATH, for example reward=scores.main.",
    ),
]
MergeOption = Annotated[
    Merge,
    Parameter(
        group=INPUT,
        name="--merge",
        help="Which turns of rollouts are equal: action (with the same calls), text (also the same words) or none.",
    ),
]
RewardOption = Annotated[
    str | None,
    Parameter(group=INPUT, name="--reward", help="Which reward of rollouts counts, if they have several."),
]


def options_of(read_as: str | None, map_: Sequence[str] | None, merge: Merge, reward: str | None) -> ImportOptions:
    """Returns the options as the import takes them. Raises `InputError`.

    `read_as`: name of the reader; None: the one that recognises a file. `map_`: `field=path` texts. `merge`: rule of
    merging. `reward`: name of the reward; None: the rollout's own.
    """
    return ImportOptions(read_as or "", mapping_of(map_ or ()), merge, reward or "")


def parted(paths: Sequence[Path], options: ImportOptions) -> tuple[list[Path], list[Path]]:
    """Returns the paths of traces and tree files, and the paths of rollouts.

    A folder that holds traces counts as one of traces: other files in it (decisions, datasets) are not rollouts, unless
    `--read-as` is given.
    """
    plain: list[Path] = []
    rollouts: list[Path] = []
    for path in paths:
        if is_folder(path):
            try:
                found = not options.read_as and holds_sources(path)
            except InputError:
                found = False
            (plain if found or not files_below(path) else rollouts).append(path)
        elif options.read_as or what_is(path) is None:
            (rollouts if options.read_as or any(letter in str(path) for letter in "*?[") else plain).append(path)
        elif is_trace(path.name) or is_tree_file(path.name) or not is_rollouts(path):
            plain.append(path)
        else:
            rollouts.append(path)
    return plain, rollouts


def read(paths: Sequence[Path], options: ImportOptions) -> Import:
    """Returns the trees of rollouts; rollouts that can't be read are reported. Raises `InputError`."""
    found = import_rollouts(paths, options)
    lines = [str(problem) for problem in found.problems] + found.warnings
    for line in lines[:MOST_TOLD]:
        warn(line)
    if len(lines) > MOST_TOLD:
        warn(f"{len(lines) - MOST_TOLD} more lines of that kind")
    return found


def with_stored(
    paths: Sequence[Path], options: ImportOptions, workspace: Path, quiet: bool = False, seen: States | None = None
) -> tuple[list[Path], list[Path]]:
    """Store the rollouts of these paths as traces. Returns the paths with rollouts replaced by their traces, and those
    traces alone.

    `paths`: files and folders. `options`: how to read and merge rollouts. `workspace`: its folder, which takes the
    traces. `quiet`: whether to print nothing. `seen`: gets what was read, for who follows it.
    """
    plain, rollouts = parted(paths, options)
    if not rollouts:
        return plain, []
    found = read(rollouts, options)
    place = Workspace.open(workspace, create=True)
    if seen is not None:
        seen.update(found.states)
    stored = store(found, place.traces, options.merge, lambda: decided_traces(place))
    for line in stored.kept:
        warn(line)
    trees = "1 tree" if len(stored.paths) == 1 else f"{len(stored.paths)} trees"
    longer = f", {stored.continued} longer than before" if stored.continued else ""
    if not quiet:
        say(f"{many(found.attempts, 'attempt')}, {stored.new} of them new{longer}: {trees} in {place.traces}")
    return plain + stored.paths, stored.paths


def growing_paths(paths: Sequence[Path], options: ImportOptions) -> Callable[[], list[Path]]:
    """Returns what gives the paths of rollouts among some, at each look: what was one stays one, and is not looked into
    again.

    `paths`: files and folders, some of which may be empty yet. `options`: how rollouts are read.
    """
    known: set[Path] = set()

    def wanted() -> list[Path]:
        known.update(parted([path for path in paths if path not in known], options)[1])
        return [path for path in paths if path in known]

    return wanted


def decided_traces(workspace: Workspace) -> frozenset[str]:
    """The ids of the traces of whose samples a person decided something. Runs that can't be read are left out."""
    decided = Decisions(workspace.decisions, strict=False).current() if workspace.decisions.exists() else {}
    found: set[str] = set()
    if decided:
        with suppress(InputError):
            for run in workspace.runs():
                with suppress(InputError):
                    found.update(sample.trace for sample in read_samples(run) if sample.id in decided)
    return frozenset(found)


def one_source(path: Path, environment: str | None = None) -> Source:
    """A trace, a tree file, or rollouts of one task, read. Raises `InputError`."""
    options = ImportOptions()
    if not parted([path], options)[1]:
        return load_any(path, environment=environment)
    trees = read([path], options).trees
    if len(trees) > 1:
        raise several(path, len(trees))
    return trees[0].source()


def several(path: Path, count: int) -> InputError:
    """What to say where a file holds more tasks than one tree can."""
    return InputError(f"{path}: holds {count} tasks: agentr convert {path} FOLDER/ writes a trace of each")


def as_one_trace(path: Path, workspace: Path) -> Path:
    """A trace as it is; rollouts of one task as the trace of the workspace that they are stored as. Raises
    `InputError`."""
    found, stored = with_stored([path], ImportOptions(), workspace)
    if len(stored) > 1:
        names = ", ".join(map(str, stored[:MOST_TOLD]))
        raise InputError(f"{path}: holds {len(stored)} tasks: name one of their traces: {names}")
    return found[0]


def refuse_rollouts(paths: Sequence[Path], what: str) -> None:
    """Raises `InputError` with the remedy where a path is one of rollouts, which the command can't take."""
    for path in parted(paths, ImportOptions())[1]:
        raise InputError(f"{path}: holds rollouts, and {what}: agentr convert {path} FOLDER/ makes traces of them")


def all_sources(
    files: Sequence[Path], rollouts: Sequence[Path], options: ImportOptions, broken: BrokenFiles
) -> Iterator[Source | TraceFigures]:
    """Yields every tree, read: of rollouts one for each task; the figures alone of a trace without events. Raises
    `InputError`.

    `files`: traces and tree files. `rollouts`: files of rollouts. `options`: how to read and merge them. `broken`:
    takes the files of folders that can't be read.
    """
    for path in files:
        try:
            yield load_any(path)
        except NoEvents:  # its search was killed at once
            if path in broken.named:
                raise
            yield figures_without_events(str(path))
        except InputError as error:
            broken.tell(path, error)
    if rollouts:
        read_in = read(rollouts, options)
        broken.told.update({Path(problem.path): str(problem) for problem in read_in.problems})
        for tree in read_in.trees:
            yield tree.source()
