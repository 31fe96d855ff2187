"""Finding and loading files that hold a tree: traces, and tree files of the original."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import is_folder, refusal, what_is
from engine.trace.trace_file import load
from engine.trace.treefile.read import read_tree
from engine.tree.tree import SearchTree

TRACE_ENDINGS = (".trace.jsonl", ".trace.jsonl.zst", ".trace.jsonl.gz")


TREE_START, TREE_ENDINGS = "search_results_", (".json", ".json.gz", ".json.zst")


class NothingFound(InputError):
    """No folder of those that were named holds a trace."""


@dataclass(frozen=True)
class Source:
    """A trace or tree file, read."""

    tree: SearchTree
    path: str
    kind: Literal["trace", "tree", "rollouts"]
    torn: bool = False  # a torn last line was dropped
    warnings: list[str] = field(default_factory=list)


def is_trace(name: str) -> bool:
    """Whether a file's name is a trace's."""
    return name.endswith(TRACE_ENDINGS)


def is_tree_file(name: str) -> bool:
    """Whether a file's name is one that the original gives its trees."""
    return name.startswith(TREE_START) and name.endswith(TREE_ENDINGS)


def find_sources(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Traces and tree files: files as given, folders searched to the bottom, sorted by path; each once.

    Raises `InputError` where a path does not exist, or nothing is found at all.
    """
    return [Path(name) for name in source_names(paths).values()]


def source_names(paths: Iterable[str | os.PathLike[str]]) -> dict[str, str]:
    """The same as texts, for whoever asks for thousands: absolute path → as it was given. Raises as `find_sources`."""
    given = [Path(path) for path in paths]
    found: dict[str, str] = {}
    for path in given:
        if is_folder(path):
            top, whole = os.fspath(path), os.path.abspath(path)
            here = os.path.join(os.curdir, "") if top == os.curdir else ""
            for name in sorted(_below(path), key=lambda name: name.replace(os.sep, "\0")):  # folder by folder
                found.setdefault(f"{whole}{name[len(top) :]}", name.removeprefix(here))
        elif what_is(path) is not None:
            found.setdefault(os.path.abspath(path), os.fspath(path))
        else:
            raise NoFile(f"{path}: no such file or folder")
    if not found:
        below = ", ".join(str(path) for path in given) or "nothing"
        raise NothingFound(f"no traces below {below}: they are named *.trace.jsonl or search_results_*.json")
    return found


def holds_sources(folder: str | os.PathLike[str]) -> bool:
    """Whether there is any trace or tree file below a folder. Raises `InputError` where it can't be read."""
    return next(_below(Path(folder)), None) is not None


def _below(top: Path) -> Iterator[str]:
    """The traces and tree files in a folder, and the folders in it that can't be looked into: reading them says so.

    Raises `InputError` where the folder itself can't be.
    """
    hidden: list[OSError] = []
    for folder, _, files in os.walk(top, onerror=hidden.append):
        yield from (os.path.join(folder, name) for name in files if is_trace(name) or is_tree_file(name))
    for error in hidden:
        if error.filename == os.fspath(top):
            raise refusal(top, error)
        if isinstance(error, PermissionError):
            yield str(error.filename)


def load_any(path: str | os.PathLike[str], environment: str | None = None, task: str | None = None) -> Source:
    """Read a trace or a tree file, told apart by name. Raises `TraceError`.

    `path`: the file. `environment` and `task`: those of a tree file, which does not hold them; None: as far as the file
    lets them be recognised.
    """
    if _looks_like_tree(Path(path)):
        tree = SearchTree(read_tree(path, environment=environment, task=task))
        tree.source = str(path)
        return Source(tree, str(path), "tree")
    loaded = load(path)
    return Source(loaded.tree, str(path), "trace", loaded.torn, loaded.warnings)


def _looks_like_tree(path: Path) -> bool:
    name = path.name
    for packed in (".gz", ".zst"):
        name = name.removesuffix(packed)
    return name.endswith(".json")
