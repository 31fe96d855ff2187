"""Where a person was: kept for each workspace in the user's own state folder. A cache: losing it loses no work.

Knows no Textual.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.base.errors import AgentrError
from engine.base.files import write_beside
from engine.base.untrusted_files import read_struct, real_path
from envs.user_folders import state_folder

MOST_VIEWS = 20
"""Traces of a workspace whose views are kept."""


class View(Struct, omit_defaults=True):
    """How a tree was looked at."""

    cursor: int = 0  # node
    top: int = 0  # node of the first visible row
    shut: bool = True  # whether `folds` are the folded nodes, all others open; False: the other way round
    folds: list[int] | None = None  # None: as a tree is folded when it is opened
    tab: int = 0


class Place(Struct, omit_defaults=True):
    """Where a person was in a workspace."""

    mode: str = "library"
    trace: str = ""  # path of the open trace
    views: dict[str, View] = {}  # by trace id, the last looked at last


class ThemeChoice(Struct):
    """A theme that was chosen in the app, and the settings at that time: the choice holds until the settings change."""

    theme: str
    instead_of: str


class LastPlace:
    """Reads and writes what is remembered. Never raises: what can't be read is forgotten."""

    def __init__(self, workspace: Path, folder: Path | None = None) -> None:
        folder = folder or state_folder()
        name = hashlib.sha256(str(real_path(workspace)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._place, self._theme = folder / f"place-{name}.json", folder / "theme.json"

    def place(self) -> Place:
        """Where the person was, the start where that is not known."""
        return read_struct(self._place, Place) or Place()

    def keep_place(self, mode: str, trace: Path | None, views: dict[str, View]) -> None:
        """Remember where a person was.

        `mode`: name of the screen. `trace`: the open one; None: none. `views`: what each trace's tree looked like, the
        newest last.
        """
        last = dict(list(views.items())[-MOST_VIEWS:])
        with suppress(FileNotFoundError):  # the folder that the program was started in is gone
            _write(self._place, Place(mode, str(trace.absolute()) if trace else "", last))

    def theme(self, configured: str) -> str:
        """Returns the theme that was chosen in the app, if the settings did not change since; else that of the
        settings."""
        choice = read_struct(self._theme, ThemeChoice)
        return choice.theme if choice is not None and choice.instead_of == configured else configured

    def keep_theme(self, theme: str, configured: str) -> None:
        """Remember it."""
        _write(self._theme, ThemeChoice(theme, configured))


def _write(file: Path, value: Struct) -> None:
    data = msgspec.json.encode(value)
    with suppress(OSError, AgentrError):
        write_beside(file, lambda stream: stream.write(data))
