"""The settings files: `agentr.toml` in the workspace, and one of the user for all workspaces."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import read_toml
from envs.user_folders import config_folder

DEFAULT_WORKSPACE = "agentr-workspace"
SETTINGS_FILE = "agentr.toml"
APP_NAMES = ("theme", "keys", "themes")
"""What a settings file holds besides a table for each command (`agentr_tui.app.preferences`)."""


def user_file() -> Path:
    """Settings of the user, for every workspace; may be missing."""
    return config_folder() / SETTINGS_FILE


def workspace_file(arguments: Sequence[str]) -> Path:
    """The settings of the workspace that the arguments or the environment name; may be missing."""
    workspace = os.environ.get("AGENTR_WORKSPACE", DEFAULT_WORKSPACE)
    for place, argument in enumerate(arguments):
        if argument == "--workspace" and place + 1 < len(arguments):
            workspace = arguments[place + 1]
        elif argument.startswith("--workspace="):
            workspace = argument.partition("=")[2]
    return Path(workspace) / SETTINGS_FILE


def read_settings(file: Path) -> dict[str, Any]:
    """Returns the content of a settings file; empty where it is missing. Raises `InputError` that names file and
    place."""
    try:
        return read_toml(file)
    except NoFile:
        return {}
    except InputError as error:
        if isinstance(error.__cause__, PermissionError) and file == user_file():  # the home of somebody else
            return {}
        raise


def check_names(settings: dict[str, Any], commands: Sequence[str], file: Path) -> None:
    """Raises `InputError` for a name at the top of a settings file that means nothing.

    `settings`: the file's content. `commands`: names of the commands, which may be tables. `file`: for the message.
    """
    known = (*APP_NAMES, *commands, "workspace")
    for name in settings:
        if name not in known:
            raise InputError(f"{file}: {name!r} is not a setting or table: one of {', '.join(known)}")
