"""TextCraft: crafting an item from others, by text. `TextCraft` is the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs.textcraft.env import TextCraft as TextCraft

__all__ = ["TextCraft"]


def __getattr__(name: str) -> Any:
    if name == "TextCraft":  # its recipes are read when it is asked for, not when environments are listed
        from envs.textcraft.env import TextCraft

        return TextCraft
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
