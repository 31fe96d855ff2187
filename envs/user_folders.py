"""The folders of the user in which this program keeps settings, state and caches."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_state_path

_NAME = "agentr"


def config_folder() -> Path:
    """Where the user's settings are."""
    try:
        return user_config_path(_NAME, appauthor=False)
    except RuntimeError:
        return _nowhere()


def state_folder() -> Path:
    """Where what is remembered is."""
    try:
        return user_state_path(_NAME, appauthor=False)
    except RuntimeError:
        return _nowhere()


def cache_folder(name: str = _NAME) -> Path:
    """Where what can be made again is."""
    try:
        return user_cache_path(name, appauthor=False)
    except RuntimeError:
        return _nowhere()


def _nowhere() -> Path:
    """The folder of a user who has no home, as a user id without a name has in some containers: nothing is there, and
    nothing can be made there, so nothing is remembered."""
    return Path(os.devnull) / _NAME
