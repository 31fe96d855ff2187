"""The kinds of servers there are: those of this package, those of installed packages, and the user's own.

A user's own are TOML files in `agentgym/` of their settings folder; they come before the others. What lies in a
workspace, or stands in a trace, describes no kind: that may come from anybody.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import tomllib
import zlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from envs.agentgym.kind import Kind, read_kind
from envs.base import EnvError
from envs.regular_files import read_whole
from envs.user_folders import config_folder

GROUP = "agentr_tui.agentgym"
"""Entry points of this group are kinds: a mapping as a TOML file gives it, or the path of such a file."""

MOST = 1 << 18
"""Bytes of a file that describes a kind."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Catalogue(NamedTuple):
    """Kinds by name, and why others can't be used."""

    kinds: dict[str, Kind]
    broken: dict[str, str]  # name → a line


def own_folder() -> Path:
    """Where a user's own kinds are; may be missing."""
    return config_folder() / "agentgym"


def catalogue() -> Catalogue:
    """All kinds there are now. A user's file is read again when it changed."""
    folder = own_folder()
    try:
        own = tuple(
            (str(place), place.stat().st_mtime_ns) for place in sorted(folder.glob("*.toml")) if place.is_file()
        )
    except OSError:  # the home of somebody else
        own = ()
    return _catalogue(own)


@functools.lru_cache(maxsize=4)
def _catalogue(own: tuple[tuple[str, int], ...]) -> Catalogue:
    found = Catalogue({}, {})
    for place in sorted(files("envs.agentgym").joinpath("kinds").iterdir(), key=lambda place: place.name):
        if place.name.endswith(".toml"):
            _add(found, place.name.removesuffix(".toml"), place.name, place.read_text("utf-8"))
    for point in importlib.metadata.entry_points(group=GROUP):
        where = f"entry point {point.name!r} ({point.value})"
        try:
            said = point.load()
            said = Path(said).read_text("utf-8") if isinstance(said, str | Path) else said
        except Exception as error:  # another package's code
            found.broken.setdefault(point.name, _line(where, f"{type(error).__name__}: {error}"))
            continue
        if point.name in found.kinds:
            found.broken[point.name] = f"{where}: there is a kind {point.name!r} already"
        else:
            _add(found, point.name, where, said)
    for path, _ in own:
        name = Path(path).stem
        try:
            _add(found, name, path, read_whole(path, MOST).decode())
        except EnvError as error:
            _leave_out(found, name, str(error))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            _leave_out(found, name, _line(path, error))
    return found


def _add(found: Catalogue, name: str, where: str, said: str | Mapping[str, Any]) -> None:
    try:
        if _NAME.fullmatch(name) is None:
            raise ValueError("the name of a kind is letters, digits, - and _")
        kind = read_kind(name, tomllib.loads(said) if isinstance(said, str) else said)
    except (ValueError, TypeError, RecursionError) as error:  # what TOML, msgspec and `read_kind` say
        _leave_out(found, name, _line(where, error))
    else:
        found.kinds[name] = kind


def _leave_out(found: Catalogue, name: str, why: str) -> None:
    """A file that is broken is never silently another's: its name means nothing until it is mended."""
    found.kinds.pop(name, None)
    found.broken[name] = why


def _line(where: str, error: object) -> str:
    return f"{where}: {' '.join(str(error).split())}"
