"""How a person wants the app, as the settings files say it: `agentr.toml` of the workspace and of the user.

theme = "agentr-light"

[keys]
search.pause = "x"
tree.down = ["j", "down", "ctrl+n"]

[themes.mine]
base = "agentr-dark"
good = "#00d7af"
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES

from agentr_tui.app.keymap import check_clashes, read_keys
from agentr_tui.app.preferences import Preferences
from agentr_tui.state.settings_files import APP_NAMES, read_settings
from agentr_tui.terminal.theme import DEFAULT_THEME, LOOKS, THEMES, Look, Palette
from engine.base.errors import InputError

THEME_VARIABLE = "AGENTR_THEME"


def read_preferences(files: Sequence[Path]) -> Preferences:
    """What the files say, the later ones over the earlier; `AGENTR_THEME` over both. Raises `InputError`."""
    found = Preferences()
    looks: dict[str, Look] = {look.name: look for look in LOOKS}
    for file in files:
        settings, place = read_settings(file), str(file)
        given = {name: settings[name] for name in APP_NAMES if name in settings}
        if "themes" in given:
            looks |= _read_looks(given["themes"], looks, place)
        if "keys" in given:
            keys = read_keys(given["keys"], place)
            found = replace(found, keys=found.keys | keys, keys_from=found.keys_from | dict.fromkeys(keys, place))
        if "theme" in given:
            found = replace(found, theme=given["theme"], theme_from=place)
    if os.environ.get(THEME_VARIABLE):
        found = replace(found, theme=os.environ[THEME_VARIABLE], theme_from=f"environment {THEME_VARIABLE}")
    found = replace(found, looks=tuple(look for look in looks.values() if look not in LOOKS))
    if found.theme not in found.themes:
        place = found.theme_from.removeprefix("environment ")
        raise InputError(f"{place}: theme {found.theme!r}: one of {', '.join(found.themes)}")
    check_clashes(found.keys, found.keys_from)
    return found


_GROUNDS = ("ground", "panel", "boost")


def _read_looks(tables: Any, known: Mapping[str, Look], place: str) -> dict[str, Look]:
    """The themes that a file defines: each takes what it does not say from its `base`."""
    if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
        raise InputError(f"{place}: themes: a table each: [themes.mine]")
    return {name: _look(name, dict(table), known, f"{place}: [themes.{name}]") for name, table in tables.items()}


def _look(name: str, table: dict[str, Any], known: Mapping[str, Look], place: str) -> Look:
    if name in {theme.name for theme in THEMES} | BUILTIN_THEMES.keys():
        raise InputError(f"{place}: this name is taken: give it another one")
    base = table.pop("base", DEFAULT_THEME)
    if not isinstance(base, str) or base not in known:
        raise InputError(f"{place} base: {base!r}: one of {', '.join(known)}")
    roles, grounds = {}, {}
    for role, value in table.items():
        if role not in (*Palette.__slots__, *_GROUNDS):
            raise InputError(f"{place} {role}: no such role: {', '.join((*Palette.__slots__, *_GROUNDS))}")
        try:
            color = Color.parse(value).hex6
        except (ColorParseError, TypeError, AttributeError):
            raise InputError(f"{place} {role}: {value!r} is not a colour: write '#00d7af'") from None
        if role in _GROUNDS:
            grounds[role] = color
        else:
            roles[role] = _styled(role, color)
    look = known[base]
    return replace(look, name=name, colors=replace(look.colors, **roles), **grounds, dark=_dark(grounds, look))


def _styled(role: str, color: str) -> str:
    if role.startswith("cursor"):
        return f"on {color}"
    return f"bold {color}" if role == "strong" else color


def _dark(grounds: Mapping[str, str], look: Look) -> bool:
    return Color.parse(grounds.get("ground", look.ground)).brightness < 0.5
