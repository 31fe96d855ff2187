"""Text environments. Importable without the engine and without a terminal.

The names below are the public API; each is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs.base import Actions as Actions
    from envs.base import EnvError as EnvError
    from envs.base import EnvironmentInfo as EnvironmentInfo
    from envs.base import InstanceDied as InstanceDied
    from envs.base import MapsActions as MapsActions
    from envs.base import Mistakes as Mistakes
    from envs.base import Plan as Plan
    from envs.base import Planner as Planner
    from envs.base import Snapshots as Snapshots
    from envs.base import StateKeys as StateKeys
    from envs.base import TextEnv as TextEnv
    from envs.base import Tools as Tools
    from envs.base import UnknownTask as UnknownTask
    from envs.base import environments as environments
    from envs.base import info_of as info_of
    from envs.base import make as make
    from envs.base import recognise as recognise
    from envs.base import register as register

__all__ = [
    "Actions",
    "EnvError",
    "EnvironmentInfo",
    "InstanceDied",
    "MapsActions",
    "Mistakes",
    "Plan",
    "Planner",
    "Snapshots",
    "StateKeys",
    "TextEnv",
    "Tools",
    "UnknownTask",
    "environments",
    "info_of",
    "make",
    "recognise",
    "register",
]


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562). Raises `AttributeError` for any other."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("envs.base"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
