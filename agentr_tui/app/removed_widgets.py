"""Lets go of widgets that were removed from a screen and that Textual still holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual.screen import Screen


def forget_removed(stacks: Iterable[Iterable[Screen[Any]]]) -> None:
    """Empty what screens remember of queries.

    Textual keeps the last 1,024 widgets that queries of a screen found, by the number of changes before each query, so
    that most of them are never found again.

    `stacks`: the screens of each mode.
    """
    for stack in stacks:
        for screen in stack:
            screen._query_one_cache.clear()
